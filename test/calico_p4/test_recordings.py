"""Every recording through the whole driver into the embedded switch."""

import json
import os
from pathlib import Path

import pytest

from calico_p4.files import schema
from calico_p4.replay import Options, replay
from test.support.shared import ROOT, needs_shared, recording_path, shared_path, shared_recordings
from test.support.target import architecture

EXPECTED = ROOT / "test" / "expected"
UPDATE = os.environ.get("CALICO_P4_UPDATE_EXPECTED")
NAMES = [path.name.partition(".felixstream")[0] for path in shared_recordings()]
LARGE = {"scale-xl"}
CHECKPOINTS = [
    ("churn", 1, 188), ("churn", 2, 353), ("churn", 3, 555), ("churn", 4, 1072), ("churn", 5, 1100), ("churn", 6, 1182),
    ("churn-v3.31", 2, 356), ("churn-v3.31", 5, 1042), ("churn-v3.32", 2, 404), ("churn-v3.32", 5, 1130),
]  # fmt: skip

NO_INTERFACE = "HostEndpoint node-a-mgmt | both | pending | no interface that is not another's has an expected address (10.99.0.11)"
"""A management interface that nobody named in a ports file; with one, test_host_endpoints.py."""


def path_of(name: str) -> str:
    suffix = ".felixstream.gz" if name.startswith("scale") else ".felixstream"
    return str(recording_path(name + suffix))


def run(name: str, **options) -> dict:
    outcome = replay(Options(path_of(name), **options))
    assert (outcome.status, outcome.errors) == (0, [])
    assert outcome.answer is not None
    return outcome.answer


def degraded_text(answer: dict) -> str:
    lines = [f"{d['object']} | {d['direction']} | {d['effect']} | {d['reason']}" for d in answer["degraded"]]
    return "".join(f"{line}\n" for line in lines)


@needs_shared
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in NAMES])
def test_a_recording_is_applied_whole_and_nothing_is_refused(name: str):
    if name.startswith("scale") and architecture() != "pna":
        pytest.skip("tables of full size: test/bmv2/test_recordings.py")
    from jsonschema import Draft202012Validator

    answer = run(name)
    Draft202012Validator(schema("answer")).validate(answer)
    summary = json.loads(shared_path("recordings", f"{name}.summary.json").read_text())
    assert answer["frames"] == summary["frames"]
    assert answer["in_sync"] and answer["converged"]
    expected = EXPECTED / f"{name}.degraded.txt"
    if UPDATE:
        expected.write_text(degraded_text(answer))
    assert degraded_text(answer) == expected.read_text()


def test_every_expected_list_has_its_recording():
    if NAMES:
        assert {path.name.removesuffix(".degraded.txt") for path in EXPECTED.glob("*.txt")} == set(NAMES)


def test_expected_lists_hold_only_what_is_not_built_yet():
    lines = [line for path in EXPECTED.glob("*.txt") for line in path.read_text().splitlines() if "partial" not in line.split(" | ")]
    assert set(lines) == {NO_INTERFACE}


def dump(name: str, folder: Path, until: int | None = None) -> str:
    path = folder / "dump"
    run(name, until=until, dump=str(path))
    return path.read_text()


@pytest.mark.parametrize(("name", "checkpoint", "frames"), CHECKPOINTS)
def test_a_churned_state_is_the_state_of_a_fresh_snapshot(name: str, checkpoint: int, frames: int, tmp_path: Path):
    assert dump(name, tmp_path, until=frames) == dump(f"{name}.checkpoint-{checkpoint}", tmp_path)


def test_dumps_of_different_states_differ_and_have_each_line_once(tmp_path: Path):
    dumps = [dump(f"churn.checkpoint-{checkpoint}", tmp_path) for checkpoint in (2, 5)]
    assert dumps[0] != dumps[1]
    for text in dumps:
        assert text.splitlines() == sorted(set(text.splitlines()))


@needs_shared
def test_checkpoints_are_where_the_recording_says():
    for name, checkpoint, frames in CHECKPOINTS:
        steps = shared_path("recordings", f"{name}.steps.tsv").read_text()
        assert f"CHECKPOINT {checkpoint}: state after {frames} frames equals {name}.checkpoint-{checkpoint}" in steps


@needs_shared
def test_a_stalled_reader_ends_in_the_state_of_its_snapshot(tmp_path: Path):
    assert dump("stalled-reader", tmp_path) == dump("stalled-reader.snapshot", tmp_path)


def test_two_replays_of_one_recording_are_alike_to_the_byte(tmp_path: Path):
    assert dump("quickstart", tmp_path) == dump("quickstart", tmp_path)
    assert run("quickstart") == run("quickstart")
