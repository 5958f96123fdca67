"""bisect, minimize and the fixture with Kubernetes objects and Felix parameters beside the stream."""

import json
import runpy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calico_p4.cli.bisect import command as bisect
from calico_p4.cli.minimize import command as minimize
from calico_p4.files import BadFile
from calico_p4.tools.stream import Stream
from felix_proto.framing import encode_frame
from felix_proto.recordings import read_recording
from test.support.service_scenarios import read
from test.support.shared import recording_path

FRAMES, GONE = 165, 160
"""After so many frames, past InSync, the endpoints of the service go."""
ASKED = {"proto": "tcp", "src": "198.51.100.7", "dst": "10.96.0.10", "dport": 80, "from": "host"}


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def added(text: str) -> list[dict[str, Any]]:
    return [{"type": "ADDED", "object": item} for item in read(text).objects]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "churn.felixstream"
    frames = islice(read_recording(recording_path("churn.felixstream")), FRAMES)
    path.write_bytes(b"".join(encode_frame(frame.payload) for frame in frames))
    return path


@pytest.fixture
def going(tmp_path: Path) -> Path:
    """A service whose endpoints are gone near the end."""
    lines = added("x |  | m | ")
    slices = [line["object"] for line in lines if line["object"]["kind"] == "EndpointSlice"]
    return written(tmp_path / "going", [*lines, *({"type": "DELETED", "object": item, "after": GONE} for item in slices)])


@pytest.fixture
def contested(tmp_path: Path) -> Path:
    """Two services with one address; the younger comes near the end."""
    lines = added("x | lb born=1 ; ip=cluster2 ext=lb born=2 | m ; m | ")
    late = [{**line, "after": GONE} if line["object"]["metadata"]["name"] == "web1" else line for line in lines]
    return written(tmp_path / "contested", late)


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_bisect_finds_when_the_endpoints_went(recording: Path, going: Path):
    found = json.loads(run(bisect, recording, "--packet", json.dumps(ASKED), "--k8s", going, "-o", "json").stdout)
    assert found["frame"] == GONE - 1
    assert (found["packet"]["before"]["verdict"], found["packet"]["after"]["reason"]) == ("allow", "no_backend")
    without = run(bisect, recording, "--packet", json.dumps(ASKED), "-o", "json")
    assert without.exit_code == 1, "nothing of it happens without the objects"


def test_bisect_compares_with_a_driver_that_met_objects_and_parameters_in_one_go(recording: Path, going: Path, tmp_path: Path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"NATPortRange": "5000:5001"}))
    for symptom in (("--scratch",), ("--scratch", "--packet", json.dumps(ASKED))):
        assert run(bisect, recording, *symptom, "--k8s", going, "--config", config, "--good", GONE - 1).exit_code == 1


def test_minimize_writes_the_objects_beside_the_recording(recording: Path, contested: Path, tmp_path: Path):
    small, test = tmp_path / "small.felixstream", tmp_path / "test_small.py"
    answer = run(minimize, recording, "--degraded", "any", "--k8s", contested, "-o", small)
    assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
    assert len(list(read_recording(small))) <= 3
    beside = tmp_path / "small.k8s.jsonl"
    lines = [json.loads(line) for line in beside.read_text().splitlines()]
    assert not any("after" in line for line in lines) and len(lines) == len(contested.read_text().splitlines())
    (check,) = [function for name, function in runpy.run_path(str(test)).items() if name.startswith("test_")]
    with pytest.raises(AssertionError):
        check()
    written(beside, [line for line in lines if line["object"]["metadata"]["name"] != "web1"])
    check()


def test_a_stream_with_objects_and_parameters(recording: Path, going: Path):
    with Stream(recording, k8s=going, after=GONE - 1, config={"NATPortRange": "5000:5000"}) as stream, stream.fresh() as fresh:
        assert stream.send(**ASKED).allowed and fresh.send(**ASKED).allowed
        assert stream.rows() == stream.rows_from_scratch() == fresh.rows()
        assert any(row.startswith("masquerade_address_v4") and "5000" in row for row in stream.rows())
    with Stream(recording, k8s=going) as stream, stream.fresh() as fresh:
        assert stream.send(**ASKED).reason == fresh.send(**ASKED).reason == "no_backend"
        assert not any("5000" in row for row in stream.rows() if row.startswith("masquerade_address"))
    with Stream(recording) as stream:
        assert stream.send(**ASKED).reason != "no_backend"


def test_files_that_can_not_be_used_are_named(recording: Path, tmp_path: Path):
    bad = written(tmp_path / "bad", [{"type": "ADDED", "object": {"kind": "Service"}}])
    for command in (bisect, minimize):
        answer = run(command, recording, "--degraded", "any", "--k8s", bad, *(("-o", tmp_path / "small") if command is minimize else ()))
        assert answer.exit_code == 2 and f"{bad}: line 1" in answer.stderr
    with pytest.raises(BadFile, match="line 1"):
        Stream(recording, k8s=bad)
    assert run(bisect, recording, "--run", "true", "--k8s", bad).exit_code == 2
