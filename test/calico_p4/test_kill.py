"""The driver is killed at any moment, and started again; the switch goes on.

Every life gets what a fresh Felix would say (all it said so far, with InSync at the end), then changes, and is killed in the midst of
them. Meanwhile, after every Write, packets are sent that no state allows since the last one that was surely in place. A connection that
was opened in the beginning goes on all the time. ``CALICO_P4_KILLS`` says how often (default 2; the long run: 100).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from calico_p4.replay import Options, replay
from felix_proto.framing import encode_frame
from k8s_p4.rows import TABLES
from k8s_p4.schema import COUNTERS
from k8s_p4.target.server import Server, serve
from test.support.driven import driver
from test.support.fault_run import stream
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.lives import FIRST, LAST, NAME, barred, fresh_felix, settled, states_at, talkers
from test.support.shared import recording_path
from test.support.target import connected, embedded_only
from test.support.world import World

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
KILLS = int(os.environ.get("CALICO_P4_KILLS") or 2)


class Watch:
    """Looks after every Write, from the target's own thread."""

    def __init__(self, server: Server, rng: Random) -> None:
        self._server, self._rng = server, rng
        self.barred: list[tuple[Sent, bytes]] = []
        self.wrong: list[str] = []
        self.looked = 0

    def allow(self, states: list[World], messages: list[Any]) -> None:
        """From now on a packet may pass if one of these states allows it, or one of those a flush of the messages leads through."""
        self.barred = barred(self._rng, states, messages)

    def look(self) -> None:
        device = self._server.device
        for one, data in self.barred:
            port = device.ports.get({"uplink": "eth0"}.get(one.ingress, one.ingress))
            if port is not None:
                self.looked += 1
                if device.inject(port, data).outputs:
                    self.wrong.append(f"passes, though no state allows it: {one}")


@contextmanager
def watched(folder: Path, rng: Random) -> Iterator[tuple[Server, Watch]]:
    """A target that does not die with the driver, and calls back after every Write."""
    server = serve(f"unix:{folder}/target.sock")
    watch, carry_out = Watch(server, rng), server.device.write

    def write(updates: Any) -> Any:
        try:
            return carry_out(updates)
        finally:
            watch.look()

    server.device.write = write  # type: ignore[method-assign]
    try:
        yield server, watch
    finally:
        server.stop()


class Connection:
    """A TCP connection between two workloads that live as long as the test."""

    def __init__(self, server: Server, states: list[World]) -> None:
        self._device = server.device
        self._there, self._back = talkers(states)

    def lives(self) -> bool:
        """Send a segment each way; tells whether both arrive."""
        both = (self._there, self._back)
        return all(self._device.inject(self._device.ports[one.ingress], self._segment(one)).outputs for one in both)

    def open(self) -> None:
        assert self._device.inject(self._device.ports[self._there.ingress], self._segment(self._there)).outputs
        assert self.lives()

    def _segment(self, one: Sent) -> bytes:
        return frame(one.packet)


def rules_and_counts(address: str) -> dict[Any, int]:
    """Rule rows on the target, each with the count of its slot."""
    switch = connected(address)
    try:
        if switch.client.pipeline_cookie() is None:
            return {}
        found = {}
        for stage in ("egress", "ingress"):
            counts = switch.client.read_counters(COUNTERS[f"{stage}.hits"][0], range(1, 2000))
            for key, value in switch.read(f"{stage}.rules").items():
                found[stage, key, value] = counts.get(value[1], 0)
        return found
    finally:
        switch.close()


@embedded_only("it looks after every Write; BMv2's is test/bmv2/test_kill.py")
def test_a_driver_that_is_killed_again_and_again(tmp_path: Path) -> None:
    rng, states, messages = Random(SEED), states_at(), [payload for _, payload in stream(NAME)[:LAST]]
    ends = sorted(rng.sample(range(FIRST, LAST), KILLS))
    told = f"CALICO_P4_SEED={SEED}"
    with watched(tmp_path, rng) as (server, watch):
        with driver(tmp_path, server.address) as process:
            process.send(fresh_felix(FIRST))
            settled(process, len(states[FIRST].endpoints))
            connection = Connection(server, states)
            connection.open()
        place = surely = FIRST
        for end in ends:
            counted = rules_and_counts(server.address)
            with driver(tmp_path, server.address) as process:
                watch.allow(states[surely : end + 1], messages[surely:end])
                process.send(fresh_felix(place))
                if rng.random() < 0.5:
                    settled(process, len(states[place].endpoints))
                    surely = place
                    watch.look()
                    again = rules_and_counts(server.address)
                    assert all(again[row] >= count for row, count in counted.items() if row in again), f"{told}: a count was lost"
                    watch.allow(states[surely : end + 1], messages[surely:end])
                for each, _ in stream(NAME)[place:end]:
                    process.send(encode_frame(each.payload))
                    time.sleep(rng.choice((0.0, 0.0, 0.0, 0.01)))
                time.sleep(rng.choice((0.0, 0.02, 0.3)))
                process.process.kill()
                process.process.wait()
            watch.look()
            assert connection.lives(), f"{told}: the connection was lost before frame {end}"
            assert not watch.wrong, f"{told}: before frame {end}: {watch.wrong[:3]}"
            place = end
        with driver(tmp_path, server.address) as process:
            process.send(fresh_felix(place))
            settled(process, len(states[place].endpoints))
        assert connection.lives() and watch.looked > 100
        assert_as_fresh(tmp_path, server.address, place)


def assert_as_fresh(folder: Path, address: str, place: int) -> None:
    """The target ends up with what a driver without a past puts there, under the same meanings."""
    recording = str(recording_path(f"{NAME}.felixstream"))
    after = replay(Options(recording, target=address, state=str(folder / "state"), until=place, dump=str(folder / "after")))
    replay(Options(recording, until=place, dump=str(folder / "fresh")))
    assert (folder / "after").read_text() == (folder / "fresh").read_text()
    fresh = replay(Options(recording, until=place)).answer
    assert after.answer is not None and fresh is not None and after.answer["entries"] == fresh["entries"]
    switch = connected(address)
    assert sum(len(switch.read(table)) for table in TABLES) == sum(fresh["entries"].values())
    switch.close()
