"""A table that is full on a real switch: what could be wrong is closed and named, the rest works."""

import json
import re
from pathlib import Path

import pytest

from calico_p4 import switch
from calico_p4.replay import Options, replay
from k8s_p4 import artefacts
from k8s_p4.target import pack_device_config
from test.support.shared import RECORDINGS, recording_path
from test.support.target import architecture

QUICKSTART = str(recording_path("quickstart.felixstream"))
FULL = {"pna": "RESOURCE_EXHAUSTED", "v1model": "UNKNOWN: Error when adding match entry to target"}
"""What a target says of a full table; PI's words are of BMv2."""
PACKETS = str(RECORDINGS / "quickstart.packets.json")


def verdicts(answer: dict) -> dict:
    return {packet["id"]: packet["verdict"] for packet in answer["packets"]}


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that makes one table of the pipeline smaller than it is."""

    def shrink(table: str, size: int) -> None:
        make = shrunk if architecture() == "pna" else shrunk_v1model
        config = make(table, size)
        monkeypatch.setattr(switch.artefacts, "device_config", lambda _main: config)

    return shrink


def shrunk_v1model(table: str, size: int) -> bytes:
    """The program for BMv2 with one table smaller."""
    content = json.loads(artefacts.device_config(artefacts.V1MODEL))
    (found,) = (each for pipeline in content["pipelines"] for each in pipeline["tables"] if each["name"].endswith(f".{table}"))
    found["max_size"] = size
    return json.dumps(content).encode()


def shrunk(table: str, size: int) -> bytes:
    """The program for the embedded switch with one table smaller."""
    spec = artefacts.read(artefacts.SPEC).decode()
    tables = json.loads(artefacts.read(artefacts.CONTEXT))["tables"]
    (name,) = (entry["target_name"] for entry in tables if entry["name"].endswith(f".{table}"))
    block = rf"(^table {re.escape(name)} {{$.*?^\tsize )0x\w+$"
    smaller, found = re.subn(block, rf"\g<1>{size:#x}", spec, count=1, flags=re.MULTILINE | re.DOTALL)
    assert found
    return pack_device_config(smaller, artefacts.read(artefacts.CONTEXT))


@pytest.mark.parametrize(
    "table",
    ["egress.rules", "ingress.rules", "ingress.peer_class", "egress.peer_class", "egress.binding", "src_identity_host_v4",
     "dst_identity_host_v6", "src_identity_net_v4", "local_v4", "port", "next_hop", "source_host_v4"],
)  # fmt: skip
def test_a_full_table_ends_closed(table: str, shrink):
    good = replay(Options(QUICKSTART, packets=PACKETS)).answer
    shrink(table, good["entries"][table] - 3 if good["entries"][table] > 3 else 1)
    outcome = replay(Options(QUICKSTART, packets=PACKETS))
    assert outcome.status == 1 and "not converged" in outcome.errors[0]
    wrong = [name for name, verdict in verdicts(outcome.answer).items() if verdict == "allow" and verdicts(good)[name] != "allow"]
    assert not wrong, "denied when all is there, allowed when something is missing"
    refused = [entry for entry in outcome.answer["degraded"] if f"{table} " in entry["reason"] and FULL[architecture()] in entry["reason"]]
    assert 0 < len(refused) <= 6, [e["reason"] for e in outcome.answer["degraded"]][:4]


def test_the_rest_goes_on(shrink):
    good = replay(Options(QUICKSTART, packets=PACKETS)).answer
    shrink("ingress.rules", good["entries"]["ingress.rules"] - 3)
    answer = replay(Options(QUICKSTART, packets=PACKETS)).answer
    assert "allow" in verdicts(answer).values(), "some endpoints need none of the refused rows"
    closed = {entry["object"] for entry in answer["degraded"] if entry["effect"] == "closed"}
    assert closed and all(name.startswith("WorkloadEndpoint k8s/") for name in closed)
    for packet in answer["packets"]:
        if packet["reason"] == "degraded":
            assert packet["verdict"] == "deny"


def test_when_there_is_room_again_it_opens(shrink, tmp_path: Path):
    """The recording's later states need fewer rules: what was refused in between leaves nothing behind."""
    packets = tmp_path / "packets.json"
    packets.write_text(json.dumps([{"proto": "tcp", "src": "10.244.10.11", "dst": "10.244.10.13", "dport": 9090, "after": n} for n in (353, 1100)]))
    shrink("ingress.rules", 300)
    churn = str(recording_path("churn.felixstream"))
    assert replay(Options(churn, until=353)).status == 1
    outcome = replay(Options(churn, packets=str(packets), until=1100, dump=str(tmp_path / "a")))
    replay(Options(str(recording_path("churn.checkpoint-5.felixstream")), dump=str(tmp_path / "b")))
    assert (outcome.status, outcome.errors) == (0, [])
    assert outcome.answer["converged"] and not [entry for entry in outcome.answer["degraded"] if entry["effect"] != "partial"]
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
