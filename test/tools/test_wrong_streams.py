"""bisect and minimize, on bugs planted in the driver: three kinds, in the first thousand frames of a long recording."""

import json
import math
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from calico_p4.cli.bisect import command as bisect
from calico_p4.cli.minimize import command as minimize
from calico_p4.driver import Driver
from calico_p4.tools.lint import lint
from calico_p4.tools.product import state_of
from calico_p4.tools.stream import Stream
from calico_p4.tools.symptoms import IsDegraded, NotAsFromScratch, NotAsGolden, OtherwiseFresh, Symptom, for_shrinking, showing
from calico_p4.tools.text import to_text as felix_text
from felix_proto import types as felix
from felix_proto.framing import encode_frame
from felix_proto.recordings import read_recording
from felix_proto.types import Rule
from test.support.build import A, B, endpoint, gnp, policy, profile, sets, tier
from test.support.shared import recording_path
from test.support.stream import save
from translator import Translator, rules

FRAMES = 1000
IN_SYNC = 145
SHORT = 320
PACKET = json.dumps({"proto": "tcp", "src": "10.244.10.22", "dst": "198.51.100.65", "dport": 442})


def forgetful_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of a policy after InSync loses the last outbound rule."""

    def read(payload: felix.Payload, in_sync: bool) -> felix.Payload:
        if in_sync and isinstance(payload, felix.ActivePolicyUpdate):
            return payload._replace(policy=payload.policy._replace(outbound_rules=payload.policy.outbound_rules[:-1]))
        return payload

    misread(monkeypatch, read)


def hasty_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of IP sets are overlooked when an endpoint changes with them."""
    translate = Translator.translate

    def hasty(self: Translator, store: Any, dirty: Any, ports: Any) -> Any:
        if len(dirty.endpoints) == 1:
            dirty.ip_sets.clear()
        return translate(self, store, dirty, ports)

    monkeypatch.setattr(Translator, "translate", hasty)


def strange_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The action of a rule that logs UDP is not understood."""

    def strange(rule: felix.Rule) -> felix.Rule:
        return rule._replace(action="strange") if (rule.action, rule.protocol) == ("log", "udp") else rule

    def read(payload: felix.Payload, _in_sync: bool) -> felix.Payload:
        if isinstance(payload, felix.ActivePolicyUpdate):
            rules = tuple(map(strange, payload.policy.outbound_rules))
            return payload._replace(policy=payload.policy._replace(outbound_rules=rules))
        return payload

    misread(monkeypatch, read)


def misread(monkeypatch: pytest.MonkeyPatch, read: Callable[[felix.Payload, bool], felix.Payload]) -> None:
    apply = Driver.apply
    monkeypatch.setattr(Driver, "apply", lambda self, payload: apply(self, read(payload, self.store.in_sync)))


class Bug(NamedTuple):
    plant: Callable[[pytest.MonkeyPatch], None]
    options: tuple[str, ...]
    culprit: str
    """How the message found begins, after its sequence number."""
    symptom: Callable[[], Symptom]


BUGS = [
    pytest.param(Bug(forgetful_policies, ("--packet", PACKET, "--scratch"), "active_policy_update", lambda: OtherwiseFresh(json.loads(PACKET))), id="verdict"),
    pytest.param(Bug(hasty_sets, ("--scratch",), "workload_endpoint_update", NotAsFromScratch), id="rows"),
    pytest.param(Bug(strange_actions, ("--degraded", "k8s/payments/db-1/eth0"), "active_policy_update", lambda: IsDegraded("k8s/payments/db-1/eth0")), id="degraded"),
]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a stream of a thousand frames."""
    return first(FRAMES, tmp_path_factory.mktemp("stream") / "thousand.felixstream")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shorter one, for whatever does not need that many."""
    return first(SHORT, tmp_path_factory.mktemp("stream") / "short.felixstream")


def first(count: int, path: Path) -> Path:
    frames = list(read_recording(recording_path("churn.felixstream")))[:count]
    path.write_bytes(b"".join(encode_frame(frame.payload) for frame in frames))
    return path


def run(command: Any, *arguments: Any) -> Any:
    return CliRunner().invoke(command, list(map(str, arguments)))


@pytest.mark.parametrize("bug", BUGS)
def test_bisect_finds_the_frame(bug: Bug, stream: Path, short: Path, monkeypatch: pytest.MonkeyPatch):
    bug.plant(monkeypatch)
    if bug.plant is not hasty_sets:  # which shows late
        stream = short
    answer = run(bisect, stream, *bug.options, "-o", "json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["replays"] <= math.log2(len(list(read_recording(stream)))) + 1
    assert found["message"].partition(" ")[2].partition(" ")[2].startswith(bug.culprit)
    assert found["shown"]
    assert found["frame"] > IN_SYNC
    payloads = [frame.payload for frame in read_recording(stream)]
    symptom = bug.symptom()
    before, after = (showing(symptom, payloads[:count], None) for count in (found["frame"], found["frame"] + 1))
    assert not before and after


@pytest.mark.parametrize("bug", BUGS)
def test_minimize_leaves_a_dozen_messages_and_a_test(bug: Bug, stream: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    small, test = tmp_path / "small.felixstream", tmp_path / "test_small.py"
    bug.plant(monkeypatch)
    begin_s = time.process_time()
    answer = run(minimize, stream, *bug.options, "-o", small)
    taken_s = time.process_time() - begin_s
    assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
    assert len(list(read_recording(small))) <= 12
    assert taken_s < 60
    assert not list(lint(read_recording(small)))
    (check,) = [function for name, function in runpy.run_path(str(test)).items() if name.startswith("test_")]
    with pytest.raises(AssertionError):
        check()
    monkeypatch.undo()
    check()


def test_an_expectation_keeps_what_the_objects_mean(short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    forgetful_policies(monkeypatch)
    answer = run(minimize, short, "--packet", PACKET, "--expect", "allow", "-o", tmp_path / "small")
    assert answer.exit_code == 0, answer.output
    before, after = (state_of(read_recording(path)) for path in (short, tmp_path / "small"))
    assert 0 < len(after.policies) < len(before.policies)
    assert all(before.policies[key] == policy for key, policy in after.policies.items())
    assert all(before.endpoints[key] == endpoint for key, endpoint in after.endpoints.items())
    assert all(before.ip_sets[key].members == known.members for key, known in after.ip_sets.items())


def test_a_program_can_judge(short: Path):
    """Here the program is a search for a member in the bytes; docs/streams.md has the same for minimize."""
    command = "grep -c 198.18.7.7 {} && exit 1 || exit 0"
    found = json.loads(run(bisect, short, "--run", command, "-o", "json").stdout)
    assert "198.18.7.7" in found["message"]


def test_rows_against_a_golden_dump(short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    golden = tmp_path / "golden"
    with Stream(short) as good:
        golden.write_text("".join(f"{row}\n" for row in good.rows()))
    assert run(bisect, short, "--golden", golden).exit_code == 1
    intervals = rules._intervals  # in this stream only one rule asks for 8080, and not before InSync

    def off_by_one(ranges: Any, field: str) -> Any:
        return intervals([(first, last + (first == 8080)) for first, last in ranges], field)

    monkeypatch.setattr(rules, "_intervals", off_by_one)
    found = json.loads(run(bisect, short, "--golden", golden, "-o", "json").stdout)
    added = {row["row"] for row in found["rows"]["added"]}
    assert {line[2:] for line in found["shown"]} & added and added - set(golden.read_text().splitlines())
    assert found["replays"] <= math.log2(SHORT) + 1 and found["shown"]
    symptom = for_shrinking(NotAsGolden(golden.read_text().splitlines()), [frame.payload for frame in read_recording(short)])
    assert isinstance(symptom, NotAsGolden) and not symptom.needs_reference


def test_minimize_by_a_golden_dump(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    stream, golden, small, test = (tmp_path / name for name in ("stream", "golden", "small.felixstream", "test_small.py"))
    save(stream, [
        felix.ConfigUpdate(), *sets({"s:a": ["10.1.0.1/32"], "s:b": ["10.1.0.2/32"]}), profile("open", [Rule("allow")], [Rule("allow")]),
        *(policy(gnp(name), [Rule("allow", protocol="tcp", src_ip_set_ids=(ip_set,))]) for name, ip_set in (("one", "s:a"), ("other", "s:b"))),
        endpoint(A, profile_ids=("open",), tiers=(tier("default", [gnp("one"), gnp("other")]),)), endpoint(B, profile_ids=("open",)), felix.InSync(),
        policy(gnp("other"), [Rule("allow", protocol="tcp", dst_ports=(felix.PortRange(80, 80),)), Rule("deny")]),
        policy(gnp("one"), [Rule("allow", protocol="tcp", dst_ports=(felix.PortRange(443, 443), felix.PortRange(8080, 8080)))]),
    ])  # fmt: skip
    with Stream(stream) as good:
        golden.write_text("".join(f"{row}\n" for row in good.rows()))
    intervals = rules._intervals
    monkeypatch.setattr(rules, "_intervals", lambda ranges, field: intervals([(first, last + (first == 8080)) for first, last in ranges], field))
    answer = run(minimize, stream, "--golden", golden, "-o", small)
    assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
    assert len(list(read_recording(small))) <= 8 and not list(lint(read_recording(small)))
    (check,) = [function for name, function in runpy.run_path(str(test)).items() if name.startswith("test_")]
    with pytest.raises(AssertionError):
        check()
    monkeypatch.undo()
    check()


def test_a_golden_dump_that_has_rows_too_many_is_no_measure_of_a_smaller_stream(short: Path, tmp_path: Path):
    golden = tmp_path / "golden"
    with Stream(short) as good:
        rows = good.rows()
    golden.write_text("".join(f"{row}\n" for row in [*rows, "arp_answer 1.2.3.4 -> arp_reply ee:ee:ee:ee:ee:ee"]))
    answer = run(minimize, short, "--golden", golden, "-o", tmp_path / "small")
    assert answer.exit_code == 1 and "only lack" in answer.stderr and not (tmp_path / "small").exists()
    golden.write_text("".join(f"{row}\n" for row in rows))
    answer = run(minimize, short, "--golden", golden, "-o", tmp_path / "small")
    assert answer.exit_code == 1 and "are those of the golden dump" in answer.stderr


def test_a_fault_of_the_driver(short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    apply = Driver.apply

    def faulty(self: Driver, payload: felix.Payload) -> None:
        if isinstance(payload, felix.ServiceAccountUpdate) and self.store.in_sync:
            raise RuntimeError("no way back")
        apply(self, payload)

    monkeypatch.setattr(Driver, "apply", faulty)
    found = json.loads(run(bisect, short, "--fails", "-o", "json").stdout)
    assert found["fault"].startswith("RuntimeError: no way back in ") and "service_account_update" in found["message"]
    assert run(minimize, short, "--fails", "-o", tmp_path / "small").exit_code == 0
    assert any("service_account_update" in felix_text(frame.payload) for frame in read_recording(tmp_path / "small"))


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ((), 2, "say what is wrong: one of --packet"),
        (("--scratch", "--fails"), 2, "say what is wrong: one of --packet"),
        (("--packet", "{"), 2, "--packet: Expecting property name"),
        (("--packet", '{"proto": "tcp"}'), 2, "--packet: $[0]: "),
        (("--packet", "7", "--packets", "{tmp}/packets.json"), 2, "no packet with id '7'"),
        (("--packet", "1", "--packets", "{tmp}/packets.json"), 2, "the reply to another"),
        (("--golden", "{tmp}/none"), 2, "none: No such file"),
        (("--packet", PACKET, "--good", "3"), 1, "no good moment before InSync"),
        (("--scratch", "--good", "150", "--bad", "160"), 1, "it does not show"),
    ],
)
def test_what_cannot_be_looked_for(short: Path, tmp_path: Path, options: tuple[str, ...], status: int, text: str):
    (tmp_path / "packets.json").write_text('[{"proto": "tcp", "src": "10.0.0.1", "dst": "10.0.0.2"}, {"id": 1, "reply_to": 0}]')
    answer = run(bisect, short, *(option.replace("{tmp}", str(tmp_path)) for option in options))
    assert (answer.exit_code, text in answer.stderr) == (status, True), answer.stderr


def test_a_truncated_recording_is_named(tmp_path: Path, short: Path):
    (tmp_path / "cut").write_bytes(short.read_bytes()[:-1])
    for command, more in ((bisect, ()), (minimize, ("-o", tmp_path / "small"))):
        answer = run(command, tmp_path / "cut", "--scratch", *more)
        assert answer.exit_code == 2 and f"frame {SHORT - 1}" in answer.stderr


def test_time_runs_out(short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    forgetful_policies(monkeypatch)
    answer = run(minimize, short, "--packet", PACKET, "--scratch", "-o", tmp_path / "small", "--seconds", 0.5)
    assert answer.exit_code == 0 and "it may become smaller yet" in answer.stderr
    assert (tmp_path / "small").stat().st_size <= short.stat().st_size
