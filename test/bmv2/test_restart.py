"""A connection survives its driver on a switch that learns nothing: the next driver adopts the entries it finds, with their time-outs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from calico_p4.driver import Driver
from calico_p4.replay import open_allocator
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from k8s_p4.reasons import Reason
from test.support import bmv2
from test.support.bmv2_clock import SECOND
from test.support.shared import recording_path

CLIENT, SERVER = "10.244.10.11", "10.244.10.13"
"""Which may speak to each other on port 9090."""
TCP_S = 43200
MACS = {"src": "02:00:00:00:00:01", "dst": "ee:ee:ee:ee:ee:ee"}
NOTHING = {"requests": 0, "inserted": 0, "modified": 0, "deleted": 0}
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


class Life:
    """One life of a driver: it connects, and is told a whole recording."""

    def __init__(self, made: bmv2.Bmv2, state: Path) -> None:
        self.switch: Any = bmv2.Bmv2Switch(made)
        self.switch.prepare()
        self.found = self.switch.learning.entries()
        self._allocator = open_allocator(str(state))
        self.driver = Driver(self.switch, self._allocator)
        decoder = Decoder()
        for frame in read_recording(str(recording_path("quickstart.felixstream"))):
            self.driver.apply(decoder.decode(frame).payload)
        self.driver.sync()
        self.driver.rest()
        assert self.driver.converged

    @property
    def writes(self) -> dict[str, int]:
        return self.driver.pusher.writes.as_dict()

    def say(self, src: str, dst: str, sport: int, dport: int, flags: str) -> Reason:
        """A segment through the switch."""
        number = int.from_bytes(bytes(map(int, src.split("."))), "big")
        ((endpoint, _),) = [key for key in self.driver.tracker.actual.rows("source_host_v4") if key[1] == number]
        (port,) = [key[0] for key, value in self.driver.tracker.actual.rows("port").items() if value[:2] == ("workload", endpoint)]
        frame = bytes(Ether(**MACS) / IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags))
        return Reason(self.switch.bench.inject(port, frame).metadata["reason"])

    def open(self, sport: int) -> None:
        assert self.say(CLIENT, SERVER, sport, 9090, "S").allows
        assert self.say(SERVER, CLIENT, 9090, sport, "SA") == self.say(CLIENT, SERVER, sport, 9090, "A") == Reason.ESTABLISHED

    def end(self) -> None:
        self.switch.close()
        self._allocator.close()


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[bmv2.Bmv2]:
    made = bmv2.Bmv2()
    yield made
    made.close()


def test_a_connection_survives_a_driver_and_ends_in_its_time(made: bmv2.Bmv2, tmp_path: Path) -> None:
    first = Life(made, tmp_path)
    assert first.writes["inserted"] > 100 and first.found == {}
    first.open(40000)
    entries = first.switch.learning.entries()
    assert len(entries) == 2
    first.end()

    second = Life(made, tmp_path)
    assert second.writes == NOTHING
    assert second.found == entries
    assert second.say(CLIENT, SERVER, 40000, 9090, "A") == second.say(SERVER, CLIENT, 9090, 40000, "A") == Reason.ESTABLISHED
    assert second.say(SERVER, CLIENT, 9090, 40001, "SA") == Reason.POLICY, "what belongs to no connection"
    assert second.switch.learning.learned == 0 and second.switch.learning.entries() == entries
    second.switch.bench.set_time(TCP_S - 60)
    assert second.say(SERVER, CLIENT, 9090, 40000, "A") == Reason.ESTABLISHED
    second.switch.bench.set_time(2 * TCP_S)
    assert second.switch.learning.entries() == {}
    assert second.say(SERVER, CLIENT, 9090, 40000, "A") == Reason.POLICY
    second.end()


def test_what_ran_out_without_a_driver_is_deleted_by_the_next(made: bmv2.Bmv2, tmp_path: Path) -> None:
    if made.clock is None:
        pytest.skip("without gcc the time of bmv2 can't be set")
    first = Life(made, tmp_path)
    first.open(41000)
    first.end()
    made.clock.set(made.clock.now + (TCP_S + 10) * SECOND)
    second = Life(made, tmp_path)
    assert len(second.found) in (0, 2), "those, unless the switch was quicker to tell"
    second.switch.bench.set_time(0.001)
    assert second.switch.learning.entries() == {}
    assert second.say(SERVER, CLIENT, 9090, 41000, "A") == Reason.POLICY
    second.end()
