"""A connection survives its driver: the switch runs as a daemon of its own, and whoever takes over leaves alone what it learned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from calico_p4.cli import main
from calico_p4.replay import Options, replay
from k8s_p4.reasons import Reason
from test.support.driven import driver, entries, frames
from test.support.shared import ROOT, recording_path
from test.support.target import connected

CLIENT, SERVER = "10.244.10.11", "10.244.10.13"
"""shop/frontend-1 and shop/backend-1, which may speak to each other on port 9090."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A switch in a process of its own."""
    listen = f"unix:{tmp_path / 'target.sock'}"
    command = [sys.executable, "-m", "calico_p4", "target", "--listen", listen]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().startswith("listening")
        yield listen
        process.terminate()


def drive(address: str, state: Path) -> dict[str, Any]:
    """One life of a driver."""
    outcome = replay(Options(str(recording_path("quickstart.felixstream")), target=address, state=str(state)))
    assert (outcome.status, outcome.errors) == (0, [])
    return outcome.answer["writes"]


def say(address: str, src: str, dst: str, sport: int, dport: int, flags: str) -> Reason:
    """A segment through the switch, between two lives."""
    switch = connected(address)
    assert switch.bench is not None
    try:
        frame = Ether(src="02:00:00:00:00:01", dst="ee:ee:ee:ee:ee:ee") / IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags)
        (key,) = [key for key in switch.read("source_host_v4") if key[1] == int.from_bytes(bytes(map(int, src.split("."))), "big")]
        (port,) = [where[0] for where, value in switch.read("port").items() if value[:2] == ("workload", key[0])]
        return Reason(switch.bench.inject(port, bytes(frame)).metadata["reason"])
    finally:
        switch.close()


def test_a_connection_survives_a_driver(address: str, tmp_path: Path) -> None:
    written = drive(address, tmp_path / "state")
    assert written["inserted"] > 100
    assert say(address, CLIENT, SERVER, 40000, 9090, "S").allows
    assert say(address, SERVER, CLIENT, 9090, 40000, "SA") == Reason.ESTABLISHED
    assert say(address, SERVER, CLIENT, 9090, 40001, "SA") == Reason.POLICY, "what belongs to no connection"
    written = drive(address, tmp_path / "state")
    assert written == dict.fromkeys(written, 0)
    assert say(address, CLIENT, SERVER, 40000, 9090, "A") == Reason.ESTABLISHED
    assert say(address, SERVER, CLIENT, 9090, 40000, "A") == Reason.ESTABLISHED


def test_not_one_whose_numbers_nobody_remembers(address: str, tmp_path: Path) -> None:
    """Without the allocator's file the driver can't tell whether an endpoint is the same: its flows are nobody's."""
    drive(address, tmp_path / "state")
    assert say(address, CLIENT, SERVER, 40000, 9090, "S").allows
    assert say(address, SERVER, CLIENT, 9090, 40000, "SA") == Reason.ESTABLISHED
    drive(address, tmp_path / "another")
    assert say(address, SERVER, CLIENT, 9090, 40000, "A") == Reason.POLICY


def asked(folder: Path, *command: str) -> Any:
    """What the command says that a person gives a running driver."""
    result = CliRunner().invoke(main, [*command, f"unix:{folder / 'admin.sock'}", "-o", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_flows_of_a_driver_at_work_and_of_the_next_one(address: str, tmp_path: Path) -> None:
    """Asked by the command of a driver that Felix started, on a switch in a process of its own; the driver is killed, and another asked.

    With flows judged again when policy changes: the next driver finds no change, and so the same number of the policy.
    """
    shown = []
    for life in range(2):
        with driver(tmp_path, address, CALICO_P4_ARCHITECTURE="pna", CALICO_P4_ESTABLISHED_CONNECTIONS="reevaluate") as felix:
            felix.send(b"".join(frames("quickstart")))
            felix.until(lambda: len(felix.statuses()) == 8)
            if not life:
                assert asked(tmp_path, "get", "flows") == [] and entries(address)["epoch"] == 2
                assert say(address, CLIENT, SERVER, 40000, 9090, "S").allows
            assert say(address, SERVER, CLIENT, 9090, 40000, "SA") == Reason.ESTABLISHED
            (flow,) = asked(tmp_path, "get", "flows")
            shown.append([flow[name] for name in ("protocol", "src", "dst", "leaves", "state", "learned")])
            counts = {item["event"]: item["flows"] for item in asked(tmp_path, "get", "flowcounts")}
            assert (counts["learned"], counts["refused"], counts["live halves"]) == (1, 0, 2)
    assert shown == [["tcp", f"{CLIENT}:40000", f"{SERVER}:9090", "", "open", ["back", "forth"]]] * 2
