"""A bench over BMv2: ports by name, packets through veth pairs, and what became of them, told by the program itself (`bmv2_told.py`)."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pytest

from calico_p4.kept import Kept
from calico_p4.learning import Learning
from calico_p4.switch import Switch
from k8s_p4.schema import COUNTERS
from k8s_p4.target import Injected
from k8s_p4.target.client import Learned
from test.support.bmv2_clock import SECOND, Clock
from test.support.bmv2_told import Told, of_packet_in

_WAIT_S = 60.0
_WAY_SHIFT = 18
"""Where the way to a list stands in the slot that is told."""
_SHORTEST = 14
"""A link carries no frame without an Ethernet header."""
_SMALL = ("drops", "rejects", "flows")
"""Counters that are cleared as a whole."""
STAGES = tuple(name.removesuffix(".hits") for name in COUNTERS if name.endswith(".hits"))


class Hearing(Learning):
    """Learns, and keeps what a program that tells says of the packets that come to the driver."""

    heard: dict[str, int] | None = None
    """Of the last one."""

    def learn(self, told: Mapping[str, int]) -> None:
        """As `Learning.learn`."""
        self.heard = of_packet_in(dict(told))
        super().learn(told)


class Bmv2Bench:
    """What a bench offers, over a switch that knows nothing of it: ports by name, packets through it, virtual time, and what was learned."""

    def __init__(self, sockets: Sequence[socket.socket], counted: set[tuple[str, int]], switch: Switch, told: Told, clock: Clock | None) -> None:
        """``sockets``: the packets' ends of the switch's ports, from 1 on, and at last that of what is dropped; ``counted``: where something was
        counted before, by others."""
        self._ports_of, self._dropped, self._all = sockets[:-1], sockets[-1], sockets
        self._switch, self._told, self._clock = switch, told, clock
        self._start = clock.now if clock else 0
        assert isinstance(switch.learning, Hearing)
        self._learning = switch.learning
        self._kept = Kept(switch.learning)
        switch.learning.now = self.time
        self._ports: dict[str, int] = {}
        self._counted = counted
        for name in {*_SMALL, *(counter for counter, _ in counted)}:
            indices = range(COUNTERS[name][1]) if name in _SMALL else {index for counter, index in counted if counter == name}
            assert not any(switch.client.clear_counters(COUNTERS[name][0], indices))
        self._counted.clear()
        received(self._all, 0.0)

    def ports(self) -> dict[str, int]:
        """Numbers by name."""
        return dict(self._ports)

    def ensure_port(self, name: str) -> int:
        """The number of a port; that of its veth pair."""
        if name not in self._ports:
            number = len(self._ports) + 1
            if number > len(self._ports_of):
                raise AssertionError(f"more than {len(self._ports_of)} ports")
            self._ports[name] = number
        return self._ports[name]

    def describe(self) -> dict[str, str]:
        """Nothing is told."""
        return {}

    # --- what was learned

    def learned(self, *tables: str) -> list[Learned]:
        """As the embedded target's."""
        return self._kept.learned(*tables)

    def learned_counts(self) -> dict[str, int]:
        """As the embedded target's."""
        return self._kept.learned_counts()

    def learned_expired(self) -> dict[str, int]:
        """As the embedded target's."""
        return self._kept.learned_expired()

    def forget_learned(self, entries: Iterable[Learned]) -> int:
        """As the embedded target's."""
        return self._kept.forget_learned(entries)

    def clear_learned(self, *tables: str) -> int:
        """As the embedded target's."""
        return self._kept.clear_learned(*tables)

    # --- time

    def time(self) -> float:
        """Virtual seconds since this bench was made."""
        return (self._clock.now - self._start) / SECOND if self._clock else 0.0

    def set_time(self, now: float) -> None:
        """Move the switch's time of day forward, and wait until what has run out by then is told and deleted."""
        if self._clock is None:
            pytest.skip("without gcc the time of bmv2 can't be set")
        if now == self.time():
            return
        self._clock.set(self._start + round(now * SECOND))
        end = time.monotonic() + _WAIT_S
        while not self._clock.settled():
            assert time.monotonic() < end, f"{_WAIT_S:g} s and bmv2 still looks for what ran out"
            time.sleep(0.001)
        while over := self._learning.over(self._learning.entries()):
            assert time.monotonic() < end, f"{_WAIT_S:g} s and not told that they ran out: {over}"
            time.sleep(0.005)

    # --- packets

    def inject(self, port: int, frame: bytes, at_seconds: float | None = None, trace: bool = False) -> Injected:
        """Send a frame into a port and wait for what becomes of it."""
        if trace:
            pytest.skip("bmv2 tells no look-ups")
        if at_seconds is not None:
            self.set_time(at_seconds)
        if len(frame) < _SHORTEST:
            return Injected((), True, "SHORT_FRAME", _Metadata())
        self._learning.heard = None
        dropped = self._learning.dropped
        self._ports_of[port - 1].send(frame)
        out, told, left = self._wait(dropped)
        self._note(told)
        if self._learning.heard is not None:
            self._note(self._learning.heard)
            told = self._learning.heard if out else told
        outputs = ((out, left),) if out else ()
        return Injected(outputs, not outputs, "SENT" if outputs else "DROPPED", _Metadata(told))

    def _wait(self, dropped: int) -> tuple[int, dict[str, int], bytes]:
        """The port that a packet leaves by, 0 if it is dropped; what is told of it, and the frame."""
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            if left := received(self._all, 0.05):
                ((number, frame),) = left
                return (0 if number > len(self._ports_of) else number, *self._told.read(frame))
            assert self._learning.dropped == dropped, "the driver had no entry for the packet, and dropped it"
        raise AssertionError(f"{_WAIT_S:g} s and the packet neither left nor was dropped")

    def _note(self, told: Mapping[str, int]) -> None:
        """Note where something was counted: counters outlive the entries."""
        for stage in STAGES:
            slot = told[f"{stage}_slot"]
            self._counted |= {(f"{stage}.hits", slot & (1 << _WAY_SHIFT) - 1), (f"{stage}.passes", slot >> _WAY_SHIFT)} if slot else set()


def received(links: Sequence[socket.socket], timeout: float) -> list[tuple[int, bytes]]:
    """The frames that came out of the switch, each with the number of the port; waits for the first so many seconds."""
    ready, _, _ = select.select(links, [], [], timeout)
    return [frame for link in ready for frame in iter(partial(_frame, link), None)]


def _frame(link: socket.socket) -> tuple[int, bytes] | None:
    """A frame that came out of the switch, and the number of the port; None if there is none."""
    while True:
        try:
            frame, (interface, _protocol, kind, *_) = link.recvfrom(65536)
        except BlockingIOError:
            return None
        if kind != socket.PACKET_OUTGOING:
            return int(interface[1:]), frame


class _Metadata(dict[str, int]):
    """What can be known; a test that asks for more is skipped."""

    def __missing__(self, name: str) -> int:
        pytest.skip(f"bmv2 does not tell {name}")


