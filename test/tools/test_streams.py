"""cat, pack and lint: streams as text and back, and the rules of order that Felix keeps."""

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner

from calico_p4.cli.cat import command as cat
from calico_p4.cli.lint import command as lint_command
from calico_p4.cli.pack import command as pack
from calico_p4.tools.lint import RULES, lint
from calico_p4.tools.text import to_bytes, to_text
from felix_proto import types as felix
from felix_proto.framing import encode_frame
from felix_proto.recordings import read_recording
from test.support.shared import RECORDINGS, shared_recordings

NAMES = sorted({path.name: path for path in (*RECORDINGS.glob("*.felixstream"), *shared_recordings())}.items())
ALL = [pytest.param(path, id=name) for name, path in NAMES]


def plain(recording: Path) -> bytes:
    """Return the bytes as Felix wrote them."""
    return gzip.decompress(recording.read_bytes()) if recording.suffix == ".gz" else recording.read_bytes()


def run(command, *arguments: str):
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize("recording", [pytest.param(path, id=name) for name, path in NAMES if name.endswith(".gz")])
def test_large_recordings_come_back_too(recording: Path):
    back = [to_bytes(to_text(frame.payload)) for frame in read_recording(recording)]
    assert b"".join(map(encode_frame, back)) == plain(recording)


@pytest.mark.parametrize("recording", [pytest.param(path, id=name) for name, path in NAMES if not name.endswith(".gz")])
def test_cat_and_pack_give_the_same_bytes(recording: Path, tmp_path: Path):
    text, back = tmp_path / "stream.txt", tmp_path / "back"
    shown = run(cat, str(recording))
    assert shown.exit_code == 0
    text.write_bytes(shown.stdout_bytes)
    assert len(text.read_text().splitlines()) == sum(1 for _ in read_recording(recording))
    packed = run(pack, str(text), "-o", str(back))
    assert (packed.exit_code, back.read_bytes() == plain(recording)) == (0, True)


def test_unknown_fields_and_odd_encodings_come_back_as_they_were(tmp_path: Path):
    odd = [b"\x9a\x3f\x03abc", b"\xfa\x01\x00", b"\x78\x80\x00", b"", b"\xff\xff"]
    recording, text, back = tmp_path / "odd", tmp_path / "text", tmp_path / "back"
    recording.write_bytes(b"".join(map(encode_frame, odd)))
    text.write_bytes(run(cat, str(recording)).stdout_bytes)
    assert run(pack, str(text), "-o", str(back)).exit_code == 0
    assert back.read_bytes() == recording.read_bytes()


@pytest.mark.parametrize(("line", "place"), [("nonsense {", "line 2"), ("in_sync { } }", "line 2"), ('sequence_number: "x"', "line 2")])
def test_a_line_that_is_no_message_is_named_and_nothing_is_written(tmp_path: Path, line: str, place: str):
    text, out = tmp_path / "text", tmp_path / "out"
    text.write_text(f"in_sync {{ }}\n{line}\n")
    answer = run(pack, str(text), "-o", str(out))
    assert (answer.exit_code, out.exists()) == (2, False)
    assert place in answer.stderr


@pytest.mark.parametrize("recording", ALL)
def test_recordings_of_felix_are_clean(recording: Path):
    assert [str(violation) for violation in lint(read_recording(recording))] == []


def test_a_truncated_recording_is_a_violation_with_its_place(tmp_path: Path):
    whole = (RECORDINGS / "quickstart.felixstream").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[:-3])
    answer = run(lint_command, str(cut))
    assert answer.exit_code == 1
    assert "frame 145" in answer.stdout and ": frame: " in answer.stdout


POLICY = felix.PolicyID("GlobalNetworkPolicy", "", "p")
ENDPOINT = felix.WorkloadEndpointID("k8s", "ns/pod", "eth0")
LINES = {
    "config": "config_update { }", "sync": "in_sync { }",
    "set": 'ipset_update { id: "s" members: "10.0.0.1/32" type: NET }',
    "policy": 'active_policy_update { id { name: "p" kind: "GlobalNetworkPolicy" } policy { inbound_rules { action: "allow" src_ip_set_ids: "s" } } }',
    "profile": 'active_profile_update { id { name: "open" } profile { } }',
    "endpoint": 'workload_endpoint_update { id { orchestrator_id: "k8s" workload_id: "ns/pod" endpoint_id: "eth0" } endpoint { profile_ids: "open" '
    'tiers { name: "default" ingress_policies { name: "p" kind: "GlobalNetworkPolicy" } } } }',
    "join": 'ipset_delta_update { id: "s" added_members: "10.0.0.2/32" }',
}  # fmt: skip
GOOD = ("config", "set", "policy", "profile", "endpoint", "sync", "join")
BAD = {
    "config-first": ("set", *GOOD),
    "in-sync-once": ("config", "set", "policy", "profile", "endpoint"),
    "late-dependency": ("config", "set", "policy", "profile", "endpoint", 'active_profile_update { id { name: "late" } profile { } }', "sync"),
    "delta-unknown-set": (*GOOD, 'ipset_delta_update { id: "none" added_members: "10.0.0.9/32" }'),
    "member-added-twice": (*GOOD, 'ipset_delta_update { id: "s" added_members: "10.0.0.1/32" }'),
    "member-removed-absent": (*GOOD, 'ipset_delta_update { id: "s" removed_members: "10.0.0.9/32" }'),
    "member-both-ways": (*GOOD, 'ipset_delta_update { id: "s" added_members: "10.0.0.7/32" removed_members: "10.0.0.7/32" }'),
    "member-repeated": (*GOOD, 'ipset_update { id: "s" members: "10.0.0.1/32" members: "10.0.0.1/32" type: NET }'),
    "dangling-set": ("config", "policy", "profile", "endpoint", "sync"),
    "dangling-policy": ("config", "set", "profile", "endpoint", "sync"),
    "dangling-profile": ("config", "set", "policy", "endpoint", "sync"),
    "remove-while-referenced": (*GOOD, 'ipset_remove { id: "s" }'),
    "remove-unknown": (*GOOD, 'ipset_remove { id: "none" }'),
    "unreferenced": ("config", "set", "policy", "profile", "sync"),
    "empty-message": (*GOOD, ""),
}


def stream(tmp_path: Path, parts: tuple[str, ...]) -> Path:
    text, recording = tmp_path / "text", tmp_path / "recording"
    text.write_text("".join(f"sequence_number: {n} {LINES.get(part, part)}\n" for n, part in enumerate(parts)))
    answer = run(pack, str(text), "-o", str(recording))
    assert answer.exit_code == 0, answer.stderr
    return recording


def test_the_good_stream_is_clean(tmp_path: Path):
    assert list(lint(read_recording(stream(tmp_path, GOOD)))) == []


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_fires_on_what_breaks_it(tmp_path: Path, rule: str):
    found = {violation.rule for violation in lint(read_recording(stream(tmp_path, BAD[rule])))}
    assert rule in found


def test_a_gap_in_the_sequence_and_bytes_that_are_no_message(tmp_path: Path):
    recording = tmp_path / "recording"
    recording.write_bytes(encode_frame(b"\x78\x05\x0a\x00") + encode_frame(b"\xff\xff\xff"))
    assert {"sequence", "decode"} <= {violation.rule for violation in lint(read_recording(recording))}


def test_every_rule_is_shown_to_fire():
    assert set(BAD) | {"frame", "decode", "sequence"} == set(RULES)
