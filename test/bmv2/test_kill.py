"""A driver on a real switch is killed at any moment, and started again; connections go on, for what it learned stays on the switch.

As test/calico_p4/test_kill.py, but for the looking: here packets that no state allows are sent all the time, whatever is being written. Every
life opens a connection, and all that were opened before go on, with and without a driver. ``CALICO_P4_KILLS`` says how often (default 2).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom
from threading import Event, Lock, Thread
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from calico_p4.p4runtime.errors import TargetError
from calico_p4.replay import Options, replay
from felix_proto.framing import encode_frame
from k8s_p4.rows import TABLES
from k8s_p4.schema import COUNTERS
from test.support import bmv2
from test.support.bmv2_bench import received
from test.support.driven import Felix, driver
from test.support.evaluator import ALLOW, judge
from test.support.fault_run import stream
from test.support.gen_packets import Sent
from test.support.lives import FIRST, LAST, NAME, barred, fresh_felix, numbered_ports, settled, states_at, talkers
from test.support.shared import recording_path

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
KILLS = int(os.environ.get("CALICO_P4_KILLS") or 2)
MACS = {"src": "02:00:00:00:00:01", "dst": "ee:ee:ee:ee:ee:ee"}
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


class Wire:
    """Frames into the switch's ports. Every one of them leaves, or is counted as dropped, or waits for a driver."""

    def __init__(self, made: bmv2.Bmv2) -> None:
        self._sockets = made.namespace.sockets
        self._numbers = {port["name"]: port["number"] for port in numbered_ports()}
        self._reader = bmv2.connect(made.address, bmv2.WAIT_S, architecture="v1model")
        self.lock = Lock()

    def close(self) -> None:
        self._reader.close()

    def drops(self) -> int:
        number, size = COUNTERS["drops"][:2]
        return sum(self._reader.client.read_counters(number, range(size)).values())

    def send(self, where: str, frame: bytes) -> None:
        """Send it into the port of this name; into the last one if there is none."""
        self._sockets[self._numbers.get({"uplink": "eth0"}.get(where, where), len(self._sockets)) - 1].send(frame)

    def until(self, enough: Any) -> list[tuple[int, bytes]]:
        """What left, when ``enough`` says of it that it is."""
        found: list[tuple[int, bytes]] = []
        end = time.monotonic() + bmv2.WAIT_S
        while not enough(found):
            assert time.monotonic() < end, f"neither left nor was dropped; {len(found)} left"
            found += received(self._sockets, 0.005)
        return found


class Watch(Thread):
    """Sends packets that must not pass, round after round."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(daemon=True)
        self._wire, self._over = wire, Event()
        self.barred: list[tuple[Sent, bytes]] = []
        self.wrong: list[str] = []
        self.looked = 0

    def run(self) -> None:
        try:
            while not self._over.wait(0.001) and not self.wrong:
                with self._wire.lock:
                    self.look()
        except (AssertionError, OSError, TargetError) as error:
            self.wrong.append(repr(error))

    def look(self) -> None:
        before = self._wire.drops()
        for one, data in self.barred:
            self._wire.send(one.ingress, data)
        left = self._wire.until(lambda left: left or self._wire.drops() - before >= len(self.barred))
        self.wrong += [f"left by port {port}, though no state allows it: {frame.hex()}" for port, frame in left]
        self.looked += len(self.barred)

    def bar(self, packets: list[tuple[Sent, bytes]]) -> None:
        with self._wire.lock:
            self.barred = packets

    def end(self) -> None:
        self._over.set()
        self.join(bmv2.WAIT_S)


class Connection:
    """A TCP connection between two workloads."""

    def __init__(self, wire: Wire, ends: tuple[Sent, Sent], sport: int) -> None:
        self._wire, self.sport = wire, sport
        self._ends = ends

    def say(self, place: int, flags: str) -> None:
        """A segment of the client's (0) or the server's (1) arrives at the other end."""
        packet = self._ends[place].packet
        ours = {"sport": self.sport, "dport": packet.dport} if place == 0 else {"sport": packet.sport, "dport": self.sport}
        frame = bytes(Ether(**MACS) / IP(src=packet.src, dst=packet.dst) / TCP(**ours, flags=flags))
        with self._wire.lock:
            self._wire.send(self._ends[place].ingress, frame)
            (left,) = self._wire.until(len)
        assert left[1][34:38] == frame[34:38], "another packet"

    def open(self) -> None:
        for place, flags in ((0, "S"), (1, "SA"), (0, "A")):
            self.say(place, flags)
        self.go_on()

    def go_on(self) -> None:
        self.say(0, "A")
        self.say(1, "A")


@contextmanager
def life(folder: Path, address: str) -> Iterator[Felix]:
    with driver(folder, address, CALICO_P4_ARCHITECTURE="v1model", CALICO_P4_PORTS=str(folder / "ports.json")) as process:
        yield process


def go_on(connections: Sequence[Connection], when: str) -> None:
    for each in connections:
        try:
            each.go_on()
        except AssertionError as error:
            raise AssertionError(f"CALICO_P4_SEED={SEED}: {when}, connection {each.sport} of {len(connections)}: {error}") from error


def test_a_driver_on_a_switch_that_learns_nothing_is_killed_again_and_again(tmp_path: Path) -> None:
    rng, states, messages = Random(SEED), states_at(), [payload for _, payload in stream(NAME)[:LAST]]
    (tmp_path / "ports.json").write_text(json.dumps(numbered_ports()))
    with bmv2.served_switch(tmp_path, len(numbered_ports()) + 1) as made:
        wire = Wire(made)
        watch, ends, connections = Watch(wire), talkers(states), []
        watch.start()
        place = surely = FIRST
        for end in [FIRST, *sorted(rng.sample(range(FIRST, LAST), KILLS))]:
            with life(tmp_path, made.address) as process:
                watch.bar(barred(rng, states[surely : end + 1], messages[surely:end]))
                process.send(fresh_felix(place))
                ready = not connections or rng.random() < 0.5
                if ready:
                    settled(process, len(states[place].endpoints))
                    surely = place
                    watch.bar(barred(rng, states[surely : end + 1], messages[surely:end]))
                if ready and judge(states[place], ends[0].packet, ends[0].ingress).verdict == ALLOW:
                    connections.append(Connection(wire, ends, 52000 + len(connections)))
                    connections[-1].open()
                for each, _ in stream(NAME)[place:end]:
                    process.send(encode_frame(each.payload))
                    time.sleep(rng.choice((0.0, 0.0, 0.0, 0.01)))
                time.sleep(rng.choice((0.0, 0.02, 0.3)))
                go_on(connections, f"with the driver, before frame {end}")
                process.process.kill()
                process.process.wait()
            go_on(connections, f"without a driver, before frame {end}")
            assert not watch.wrong, f"CALICO_P4_SEED={SEED}: before frame {end}: {watch.wrong[:3]}"
            place = end
        with life(tmp_path, made.address) as process:
            process.send(fresh_felix(place))
            settled(process, len(states[place].endpoints))
            go_on(connections, "in the end")
        watch.end()
        assert not watch.wrong and watch.looked > 100
        print(f"CALICO_P4_SEED={SEED}: {KILLS} kills, {watch.looked} packets that must not pass")
        wire.close()
        assert_as_fresh(tmp_path, made.address, place)


def assert_as_fresh(folder: Path, address: str, place: int) -> None:
    """The switch ends up with what a driver without a past puts anywhere, under the same meanings."""
    recording, numbered = str(recording_path(f"{NAME}.felixstream")), str(folder / "ports.json")
    after = replay(Options(recording, target=address, architecture="v1model", ports=numbered, state=str(folder / "state"), until=place, dump=str(folder / "after")))
    fresh = replay(Options(recording, ports=numbered, until=place, dump=str(folder / "fresh")))
    assert (folder / "after").read_text() == (folder / "fresh").read_text()
    assert after.answer is not None and fresh.answer is not None and after.answer["entries"] == fresh.answer["entries"]
    switch = bmv2.connect(address, bmv2.WAIT_S, architecture="v1model")
    assert sum(len(switch.read(table)) for table in TABLES) == sum(fresh.answer["entries"].values())
    switch.close()
