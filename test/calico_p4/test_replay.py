"""``calico-p4 replay`` as a program: exit status, errors with their place, what is printed even then."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calico_p4.files import schema
from felix_proto.framing import encode_frame
from felix_proto.recordings import read_recording
from test.support.shared import ROOT, recording_path
from test.support.target import architecture, connected, running_target

QUICKSTART = recording_path("quickstart.felixstream")
PACKET = {"proto": "tcp", "src": "10.244.10.11", "dst": "10.244.10.13"}


def run(*arguments: object, data: bytes | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "calico_p4", "replay", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, cwd=ROOT, timeout=300, check=False)


def answer(result: subprocess.CompletedProcess) -> dict:
    """The JSON that was printed; it follows the shipped schema whatever happened."""
    content = json.loads(result.stdout)
    Draft202012Validator(schema("answer")).validate(content)
    return content


def test_a_good_recording():
    result = run(QUICKSTART, "-o", "json")
    assert (result.returncode, result.stderr) == (0, b"")
    content = answer(result)
    assert (content["frames"], content["in_sync"], content["converged"], content["generation"]) == (146, True, True, "3.34")
    assert content["packets"] == [] and sum(content["entries"].values()) == content["writes"]["inserted"] > 500


def test_the_table_for_people():
    result = run(QUICKSTART)
    text = result.stdout.decode()
    assert result.returncode == 0 and text.startswith("146 frames of Felix 3.34, in sync, converged; ")
    assert "\x1b" not in text and "ingress.rules" in text


def test_standard_input_and_gzip():
    data = QUICKSTART.read_bytes()
    plain, packed = run("-", "-o", "json", data=data), run("-", "-o", "json", data=gzip.compress(data))
    assert plain.returncode == packed.returncode == 0 and plain.stdout == packed.stdout


def test_until_stops_before_a_frame():
    content = answer(run(QUICKSTART, "--until", 145, "-o", "json"))
    assert (content["frames"], content["in_sync"], content["converged"], content["entries"]) == (145, False, True, {})
    assert answer(run(QUICKSTART, "--until", 0, "-o", "json"))["frames"] == 0


def test_a_recording_that_ends_before_in_sync(tmp_path: Path):
    cut = tmp_path / "cut"
    cut.write_bytes(b"".join(encode_frame(frame.payload) for frame in list(read_recording(QUICKSTART))[:100]))
    result = run(cut, "-o", "json")
    assert result.returncode == 1 and result.stderr.decode() == f"calico-p4 replay: {cut}: ended before InSync\n"
    assert answer(result)["frames"] == 100


def offset_of(frame: int) -> int:
    return list(read_recording(QUICKSTART))[frame].offset


def test_a_truncated_recording_is_applied_as_far_as_it_goes(tmp_path: Path):
    data = QUICKSTART.read_bytes() + bytes.fromhex("ff00000000000000aabb")
    (tmp_path / "cut").write_bytes(data)
    result = run(tmp_path / "cut", "-o", "json")
    assert result.returncode == 2
    assert f"cut: byte {len(data) - 10}, frame 146: the stream ends after 2 of the 255 bytes" in result.stderr.decode()
    content = answer(result)
    assert content["frames"] == 146 and content["converged"] and sum(content["entries"].values()) > 500


def test_what_came_after_in_sync_is_pushed_too_before_the_error_is_told(tmp_path: Path):
    churn = list(read_recording(recording_path("churn.felixstream")))
    (tmp_path / "cut").write_bytes(b"".join(encode_frame(frame.payload) for frame in churn[:188]) + b"\x01")
    cut = run(tmp_path / "cut", "-o", "json", "--dump", tmp_path / "a")
    whole = run(recording_path("churn.felixstream"), "--until", 188, "-o", "json", "--dump", tmp_path / "b")
    assert (cut.returncode, whole.returncode) == (2, 0)
    assert answer(cut)["entries"] == answer(whole)["entries"] and answer(cut)["converged"]
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_garbage_is_named_by_its_offset(tmp_path: Path):
    (tmp_path / "bad").write_bytes(QUICKSTART.read_bytes()[: offset_of(50)] + b"\xff" * 100)
    result = run(tmp_path / "bad", "-o", "json")
    assert result.returncode == 2 and f"bad: byte {offset_of(50)}, frame 50: length of " in result.stderr.decode()
    assert answer(result)["frames"] == 50


def test_a_message_that_can_not_be_decoded_is_named_by_frame_and_offset(tmp_path: Path):
    data = QUICKSTART.read_bytes()
    start = offset_of(50)
    (tmp_path / "bad").write_bytes(data[:start] + encode_frame(b"\x0a\xff") + data[start:])
    result = run(tmp_path / "bad", "-o", "json")
    error = result.stderr.decode()
    assert result.returncode == 2 and "frame 50: " in error
    offset = int(error.partition("bad: byte ")[2].partition(",")[0])
    assert start + 8 <= offset <= start + 10
    assert answer(result)["frames"] == 50


def test_gzip_cut_short(tmp_path: Path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(QUICKSTART.read_bytes())[:-2000])
    result = run(tmp_path / "cut.gz", "-o", "json")
    assert result.returncode == 2 and "cut.gz: byte " in result.stderr.decode() and answer(result)["frames"] > 0


def _service(spec: dict) -> str:
    return json.dumps({"type": "ADDED", "object": {"kind": "Service", "metadata": {"name": "web"}, "spec": spec}}) + "\n"


@pytest.mark.parametrize(
    ("option", "content", "error"),
    [
        ("--packets", "[{", "packets: byte 2: "),
        ("--packets", '[{"proto": "tcp", "src": "10.0.0.1"}]', "packets: $[0]"),
        ("--ports", '[{"name": "a", "kind": "uplink"}, {"name": "a", "kind": "host"}]', "ports: [1]: port 'a' is already [0]"),
        ("--ports", '[{"name": "a", "kind": "uplink", "addresses": ["10.0.0.300/8"]}]', "ports: [0].addresses: '10.0.0.300/8'"),
        ("--ports", '[{"name": "a", "kind": "uplink", "mac": "12"}]', "ports: $[0].mac"),
        ("--k8s", '{"type": "ADDED", "object": {"kind": "Pod", "metadata": {"name": "x"}}}', "k8s: line 1: $.object.kind"),
        ("--k8s", '\n{"type"', "k8s: line 2: "),
        ("--k8s", _service({"clusterIP": "10.0.0.300"}), "k8s: line 1: object.spec.clusterIP: '10.0.0.300'"),
        ("--k8s", _service({}) + _service({"ports": [{"port": 80}, {"port": 0}]}), "k8s: line 2: object.spec.ports[1].port: 0 is not within 1 to 65535"),
        ("--k8s", _service({"ports": [{"port": "http"}]}), "k8s: line 1: object.spec.ports[0].port: an integer is expected, not 'http'"),
        ("--k8s", _service({"internalTrafficPolicy": "local"}), "object.spec.internalTrafficPolicy: 'local' is none of Cluster, Local"),
        ("--config", '{"a": 1}', "config: $.a"),
    ],
)
def test_other_files_that_can_not_be_used(tmp_path: Path, option: str, content: str, error: str):
    path = tmp_path / option.removeprefix("--")
    path.write_text(content)
    result = run(QUICKSTART, option, path, "-o", "json")
    assert (result.returncode, result.stdout) == (2, b"")
    assert error in result.stderr.decode() and result.stderr.count(b"\n") == 1


def test_files_that_are_not_there(tmp_path: Path):
    for arguments in (["none.felixstream"], [QUICKSTART, "--packets", "none.json"]):
        result = run(*arguments, "-o", "json")
        assert (result.returncode, result.stdout) == (2, b"") and b"No such file or directory" in result.stderr
    (tmp_path / "state").write_text("")
    assert run(QUICKSTART, "--state", tmp_path / "state").returncode == 2


def test_a_damaged_allocator_file_is_named(tmp_path: Path):
    (tmp_path / "allocator.sqlite").write_bytes(b"nonsense" * 1000)
    result = run(QUICKSTART, "--state", tmp_path)
    assert result.returncode == 2 and b"allocator.sqlite: file is not a database" in result.stderr


@pytest.mark.parametrize("target", ["unix:{}/nobody.sock", "127.0.0.1:1"])
def test_a_target_that_is_not_there_is_told_after_four_seconds(tmp_path: Path, target: str):
    address = target.format(tmp_path)
    result = run(QUICKSTART, "--target", address)
    assert (result.returncode, result.stdout) == (1, b"")
    assert f"target {address}: {address}: no P4Runtime server answers there (waited 4 s)" in result.stderr.decode()


def test_kubernetes_objects_count_from_their_place_on(tmp_path: Path):
    metadata = {"name": "web", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}}
    service = {"kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}}
    endpoints = {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}],
                 "endpoints": [{"addresses": ["10.244.10.13"]}]}  # fmt: skip
    packets = [{**PACKET, "dst": "10.96.7.7"}, {**PACKET, "src": "198.51.100.7", "dst": "10.96.7.7", "id": "outside"}]
    (tmp_path / "p").write_text(json.dumps(packets))

    def replayed(*events: tuple[int, str, dict]) -> dict:
        lines = (json.dumps({"after": after, "type": what, "object": item}) + "\n" for after, what, item in events)
        (tmp_path / "k8s").write_text("".join(lines))
        return answer(run(QUICKSTART, "--k8s", tmp_path / "k8s", "--packets", tmp_path / "p", "-o", "json"))

    for events in (((0, "ADDED", service),), ((146, "DELETED", endpoints), (3, "ADDED", service), (140, "ADDED", endpoints), (147, "ADDED", endpoints))):
        content = replayed(*events)
        assert [packet["reason"] for packet in content["packets"]] == ["no_backend", "no_backend"]
        assert (content["entries"]["service_v4"], "backend_v4" in content["entries"]) == (1, False)
    content = replayed((0, "ADDED", service), (146, "ADDED", endpoints))
    assert content["entries"]["service_v4"] == content["entries"]["backend_v4"] == 1
    (decided,) = content["packets"][0]["policy"]
    assert (content["packets"][0]["reason"], decided["stage"], decided["tier"]) == ("default_deny", "egress", "default")


def test_a_packet_beyond_until_or_the_end_is_an_error(tmp_path: Path):
    (tmp_path / "p").write_text(json.dumps([{**PACKET, "after": 140}, {**PACKET, "after": 131}, {**PACKET, "id": "end"}]))
    packets = answer(run(QUICKSTART, "--until", 135, "--packets", tmp_path / "p", "-o", "json"))["packets"]
    assert [(p["verdict"], p["reason"]) for p in packets][:1] == [("error", "not_sent")]
    assert packets[0]["detail"] == "due after frame 140, and 135 frames were applied"
    assert [p["id"] for p in packets] == [0, 1, "end"] and packets[1]["verdict"] == packets[2]["verdict"]


def test_the_target_runs_as_a_daemon(tmp_path: Path):
    address = f"unix:{tmp_path}/t.sock"
    command = [sys.executable, "-m", "calico_p4", "target", "--listen", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout.readline().decode() == f"listening on {address}\n"
            assert run(QUICKSTART, "--target", address).returncode == 0
            process.terminate()
            assert process.wait(120) == 0
        finally:
            process.kill()


def test_a_target_that_can_not_listen_says_why(tmp_path: Path):
    command = [sys.executable, "-m", "calico_p4", "target", "--listen", f"unix:{tmp_path}/no/such/folder/t.sock"]
    result = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=300, check=False)
    assert result.returncode == 1 and b"calico-p4 target: unix:" in result.stderr and b"Traceback" not in result.stderr


def test_a_pipeline_that_is_not_ours_is_not_replaced(tmp_path: Path):
    with running_target(tmp_path) as address:
        other = connected(address)
        other.client.arbitrate()
        other.client.set_pipeline(*other.program(), 0xABC)
        other.close()
        result = run(QUICKSTART, "--target", address, "--architecture", architecture())
    assert result.returncode == 1 and b"another pipeline (cookie 0xabc" in result.stderr


def test_a_configuration_file_is_laid_over_felixs(tmp_path: Path):
    (tmp_path / "config").write_text('{"FelixHostname": "somebody-else"}')
    result = run(QUICKSTART, "--config", tmp_path / "config", "--dump", tmp_path / "a")
    assert result.returncode == 0
    run(QUICKSTART, "--dump", tmp_path / "b")
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text(), "another node's addresses are the node's own"
