"""Recordings on BMv2: no entry is refused, what is read back is what was written, a restart writes nothing, a killed switch converges.

By default those beside the tests; with CALICO_P4_BMV2_RECORDINGS=all every one of the shared collection, in full size: minutes and gigabytes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest

from calico_p4.driver import Driver
from calico_p4.p4runtime.errors import TargetError
from calico_p4.replay import open_allocator
from datastore.allocator import Allocator
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from k8s_p4.rows import TABLES
from test.support import bmv2, gen_packets
from test.support.frames import frame
from test.support.lives import FIRST, numbered_ports, states_at
from test.support.shared import RECORDINGS, shared_recordings

DEATHS = (3, 23, 43, 120, 240)
"""Before which Writes the switch dies; after the later ones connections stood."""
ALL = os.environ.get("CALICO_P4_BMV2_RECORDINGS") == "all"
PATHS = shared_recordings() if ALL else sorted(RECORDINGS.glob("*.felixstream*"))
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


@pytest.fixture(scope="module", name="switch")
def _switch() -> Iterator[bmv2.Bmv2]:
    with bmv2.running() as made:
        yield made


def play(path: Path, driver: Driver) -> None:
    """Give a driver a whole recording."""
    decoder = Decoder()
    for each in read_recording(str(path)):
        driver.apply(decoder.decode(each).payload)
    driver.sync()
    driver.rest()


def connect(made: bmv2.Bmv2, sweep: bool = False) -> bmv2.Bmv2Switch:
    switch = bmv2.Bmv2Switch(made, sweep, full=ALL, plain=True)
    switch.prepare()
    switch.bench = None  # ports are numbered as on any target
    return switch


def rows(driver: Driver) -> dict[str, dict[object, object]]:
    return {table: dict(driver.tracker.desired.rows(table)) for table in TABLES if driver.tracker.desired.rows(table)}


def there(switch: bmv2.Bmv2Switch) -> dict[str, dict[object, object]]:
    return {table: found for table in TABLES if (found := switch.read(table))}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name.partition(".felixstream")[0])
def test_a_recording(path: Path, switch: bmv2.Bmv2, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allocator = open_allocator(str(tmp_path))
    driver = Driver(connect(switch, sweep=True), allocator)
    start = time.monotonic()
    play(path, driver)
    took = time.monotonic() - start
    assert driver.converged and driver.tracker.errors() == {}
    wanted = rows(driver)
    with capsys.disabled():
        print(f"\n{path.name}: {sum(map(len, wanted.values()))} rows in {took:.1f} s", end=" ")
    allocator.close()

    again = Driver(connect(switch), open_allocator(str(tmp_path)))
    assert there(again._switch) == wanted
    play(path, again)
    assert again.converged and again.pusher.writes.as_dict() == {"requests": 0, "inserted": 0, "modified": 0, "deleted": 0}


def test_a_switch_that_is_killed_under_load_converges(switch: bmv2.Bmv2) -> None:
    """It dies before some of the driver's Writes, which change rows while flows begin; in the end all rows are there, and were written.

    What was learned is gone with each death, and the next switch's flows are learned from nothing.
    """
    driver = Driver(connect(switch, sweep=True), Allocator(), numbered_ports())
    written = itertools.count(1)
    driver.before_write = lambda: switch.kill() if next(written) in DEATHS else None
    load, decoder, deaths, learned = Load(switch), Decoder(), 0, []
    load.start()
    for each in read_recording(str(next(path for path in PATHS if path.name == "churn.felixstream"))):
        driver.apply(decoder.decode(each).payload)
        try:
            driver.sync()
        except TargetError:
            deaths += 1
            learned.append(driver._switch.learning.learned)
            switch.start()
            again = connect(switch)
            assert again.learning is not None and again.learning.entries() == {}
            driver.attach(again)
    driver.rest()
    load.stop()
    assert deaths == len(DEATHS) and driver.converged and there(driver._switch) == rows(driver)
    assert sum(learned) > 0 < driver._switch.learning.learned, "no flow began while there was load"


class Load(Thread):
    """Packets of `churn`'s endpoints, some of which begin flows, and damaged ones, as fast as one thread sends them."""

    def __init__(self, switch: bmv2.Bmv2) -> None:
        super().__init__(daemon=True)
        self._sockets, self._ended = switch.namespace.sockets, Event()
        rng, states = Random(1), states_at()
        drawn = (gen_packets.packet(rng, rng.choice(states[FIRST:])) for _ in range(400))
        numbers = {port["name"]: port["number"] for port in numbered_ports()} | {"uplink": 2}
        self._frames = [(numbers[one.ingress], frame(one.packet)) for one in drawn if one.ingress in numbers]
        self._frames += [(number, bytes(12) + b"\x08\x00" + bytes(46)) for number in (1, 2, 3, 4)]

    def run(self) -> None:
        while not self._ended.wait(0.001):
            for number, data in self._frames:
                self._sockets[number - 1].send(data)
                self._ended.wait(0.0002)

    def stop(self) -> None:
        self._ended.set()
        self.join()
