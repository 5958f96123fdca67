"""A driver stops, another takes over the running target: what is there as wanted is not written again."""

from pathlib import Path

import pytest

from calico_p4.replay import Options, replay
from calico_p4.switch import Switch
from datastore.tracker import Op
from test.support.shared import needs_shared, recording_path
from test.support.target import architecture, running_target

SAME_STATE = [("churn", 353, "churn.checkpoint-2"), ("churn", 1100, "churn.checkpoint-5")]


def run(name: str, target: str, dump: Path | None = None, state: Path | None = None, until: int | None = None) -> dict:
    recording, paths = str(recording_path(f"{name}.felixstream")), {"dump": dump and str(dump), "state": state and str(state)}
    options = Options(recording, target=target, architecture=architecture(), until=until, **paths)
    outcome = replay(options)
    assert (outcome.status, outcome.errors) == (0, [])
    return outcome.answer


def written(answer: dict) -> int:
    return sum(answer["writes"][kind] for kind in ("inserted", "modified", "deleted"))


@pytest.mark.parametrize(("first", "until", "second"), SAME_STATE)
def test_another_recording_of_the_same_state_writes_nothing(first: str, until: int, second: str, tmp_path: Path):
    with running_target(tmp_path) as address:
        before = run(first, address, tmp_path / "a", tmp_path / "state", until)
        after = run(second, address, tmp_path / "b", tmp_path / "state")
    assert written(before) > 100
    assert after["writes"] == {"requests": 0, "inserted": 0, "modified": 0, "deleted": 0}
    assert after["entries"] == before["entries"]
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_without_the_allocators_file_endpoints_are_closed_before_numbers_change_their_meaning(tmp_path: Path, monkeypatch):
    writes: list[list[Op]] = []
    original = Switch.write
    with running_target(tmp_path) as address:
        run("churn", address, until=353)
        monkeypatch.setattr(Switch, "write", lambda self, ops, *more: (writes.append(list(ops)), original(self, ops, *more))[1])
        run("churn.checkpoint-5", address)
    assert {(op.kind, op.table) for op in writes[0]} == {("delete", "egress.binding"), ("delete", "ingress.binding")}
    assert not any(op.table.endswith(".binding") for op in writes[1])


@needs_shared
def test_a_stalled_reader_and_its_snapshot(tmp_path: Path):
    with running_target(tmp_path) as address:
        run("stalled-reader", address, state=tmp_path / "state")
        after = run("stalled-reader.snapshot", address, state=tmp_path / "state")
    assert written(after) == 0 == after["writes"]["requests"]


@pytest.mark.parametrize(("first", "until", "second"), SAME_STATE)
def test_without_the_allocators_file_it_converges_to_the_same_dump(first: str, until: int, second: str, tmp_path: Path):
    with running_target(tmp_path) as address:
        run(first, address, until=until)
        after = run(second, address, tmp_path / "b")
    run(second, "embedded", tmp_path / "fresh")
    assert after["converged"] and after["entries"] == run(second, "embedded")["entries"]
    assert (tmp_path / "b").read_text() == (tmp_path / "fresh").read_text()


def test_what_changed_meanwhile_is_all_that_is_written(tmp_path: Path):
    with running_target(tmp_path) as address:
        before = run("churn", address, state=tmp_path / "state", until=353)
        after = run("churn.checkpoint-5", address, tmp_path / "b", tmp_path / "state")
        again = run("churn.checkpoint-5", address, state=tmp_path / "state")
    run("churn.checkpoint-5", "embedded", tmp_path / "fresh")
    assert after["entries"] != before["entries"] and after["writes"]["deleted"] > 0
    assert (tmp_path / "b").read_text() == (tmp_path / "fresh").read_text()
    assert written(again) == 0


def test_no_write_before_in_sync(tmp_path: Path):
    with running_target(tmp_path) as address:
        before = run("quickstart", address, state=tmp_path / "state")
        half = run("quickstart", address, state=tmp_path / "state", until=100)
        after = run("quickstart", address, state=tmp_path / "state")
    assert not half["in_sync"] and half["writes"]["requests"] == 0
    assert written(before) > 100 and written(after) == 0


def test_in_process_and_over_a_socket_are_the_same(tmp_path: Path):
    with running_target(tmp_path) as address:
        remote = run("quickstart", address, tmp_path / "a")
    assert remote == run("quickstart", "embedded", tmp_path / "b")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
