"""One run of the driver's loop over a recording, on virtual time, with a target that goes wrong on the way, and packets after every Write.

A packet may pass if any of the states allows it that Felix went through since the target last held what was wanted (``probes.worlds``:
with the sets of a flush known on one side only, too). Nothing else may ever pass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from calico_p4 import switch as product_switch
from calico_p4.driver import Driver
from calico_p4.dump import dump_lines
from calico_p4.live import Live
from datastore.allocator import Allocator
from felix_proto.decode import Decoder
from felix_proto.framing import Frame
from felix_proto.recordings import read_recording
from k8s_p4.rows import TABLES
from test.support import gen_packets
from test.support.evaluator import DENY, judge
from test.support.faulty_target import Clock, Fault, FaultyTarget, answered
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.probes import Third, worlds
from test.support.shared import recording_path
from test.support.world import World

PROBES = 16
NEAR = 40
"""Frames before and after the fault's in which changes come few at a time; elsewhere they come in large bites."""
PATIENCE_S = 900.0


@cache
def stream(name: str) -> list[tuple[Frame, Any]]:
    """Return a recording's frames with their payloads."""
    decoder = Decoder()
    return [(each, decoder.decode(each).payload) for each in read_recording(recording_path(f"{name}.felixstream"))]


@dataclass
class Guard:
    """What may pass: the states since the target last held what was wanted, and packets with what these say of them."""

    rng: Random
    target: FaultyTarget
    states: list[World] = field(default_factory=lambda: [World()])
    barred: list[tuple[Sent, bytes]] = field(default_factory=list)
    looked: int = 0

    def settled(self, world: World, probes: int = PROBES) -> None:
        """The target holds what this state wants: it is the old one from now on."""
        self.states = [_copy(world)]
        drawn = [gen_packets.packet(self.rng, world) for _ in range(probes)]
        self.barred = [(one, frame(one.packet)) for one in drawn if _denied(world, one)]

    def flush(self, before: World, messages: list[Any], after: World) -> None:
        """Felix said something."""
        new: list[World] = []
        for state in worlds(before, messages).states[1:]:
            if state not in (before, *new):  # where no sets change some of them are the same
                new.append(state)
        self.states += new
        fresh = [gen_packets.packet(self.rng, after) for _ in range(PROBES // 2)]
        denied_before = [one for one in fresh if all(_denied(world, one) for world in self.states)]
        still = [one for one, _ in self.barred if all(_denied(world, one) for world in new)]
        self.barred = [(one, frame(one.packet)) for one in still + denied_before]

    def look(self) -> None:
        """Send the packets that no state allows. Raises Third if one passes."""
        looked, left = self.target.passing(self.barred)
        self.looked += looked
        for one in left:
            if not answered(one):
                raise Third(f"allow, though none of {len(self.states)} states allows it: {one}")


def _denied(world: World, one: Sent) -> bool:
    return judge(world, one.packet, one.ingress).verdict == DENY


def _copy(world: World) -> World:
    return World(*(dict(getattr(world, name)) for name in World.__dataclass_fields__))


class Run:
    """A driver, its faulty target, and the state Felix is in."""

    def __init__(self, seed: int, make: Callable[[Clock, int], FaultyTarget] = FaultyTarget, ports: Sequence[Mapping[str, Any]] = ()) -> None:
        self.rng = Random(seed)
        self.clock = Clock()
        self.target = make(self.clock, seed)
        self.allocator = Allocator()
        self.said: list[bytes] = []
        self.live = Live("faulty", self.allocator, ports, self.said.append, clock=self.clock, opener=self.target.open, rng=Random(seed))
        self.world = World()
        self.guard = Guard(self.rng, self.target)
        self.target.after_write = self.guard.look

    @property
    def driver(self) -> Driver:
        return self.live.driver

    def work(self) -> None:
        """One step of the driver's loop, and some time."""
        self.target.tick()
        self.live.work(self.clock())
        self.guard.look()
        if self.settled:
            self.guard.settled(self.world)

    @property
    def settled(self) -> bool:
        live = self.live
        connected = live._switch is not None and live._dirty_since_s is None
        return connected and self.driver.store.in_sync and self.driver.converged and self.driver._resynced

    def feed(self, name: str, point: int, fault: Fault | None) -> None:
        """Feed a recording; the fault begins before the frame at ``point``."""
        frames = stream(name)
        place = 0
        while place < len(frames):
            if fault is not None and place >= point:
                self.target.start(fault)
                fault = None
            near = abs(place - point) < NEAR
            bite = self.rng.randint(1, 10) if near else 100
            end = min(place + bite, len(frames))
            if fault is not None and place < point < end:
                end = point
            self._take(frames[place:end])
            place = end

    def _take(self, frames: list[tuple[Frame, Any]]) -> None:
        before = _copy(self.world)
        for each, payload in frames:
            self.live.take(each)
            self.world.apply(payload)
        if self.driver.store.in_sync:
            self.guard.flush(before, [payload for _, payload in frames], self.world)
        for _ in range(self.rng.randint(1, 3)):
            self.clock.advance(self.rng.choice((0.01, 0.3, 2.0)))
            self.work()

    def calm(self) -> None:
        """Let time pass until the fault is over (if it ever ends) and nothing is to be done any more."""
        end_s = self.clock() + PATIENCE_S
        while self.clock() < end_s and not (self.target.fault is None and self.settled and self.live._rest_due_s is None):
            self.clock.advance(max(0.01, self.live.wait_s(self.clock())))
            self.work()
        self.guard.settled(self.world, 10 * PROBES)
        self.guard.look()

    def on_target(self) -> dict[str, dict[Any, Any]]:
        """Return the rows that are on the target."""
        found = self.live._switch
        assert found is not None, "not connected"
        return {table: found.read(table) for table in TABLES}

    def wanted(self) -> dict[str, dict[Any, Any]]:
        """Return the rows that the driver wants there."""
        return {table: dict(self.driver.tracker.desired.rows(table)) for table in TABLES}

    def dump(self) -> list[str]:
        """Return the lines of the dump."""
        return list(dump_lines(self.driver))


def impatient(monkeypatch: Any) -> None:
    """Real seconds that a handover may take, shortened: nobody is on its way out here."""
    monkeypatch.setattr(product_switch, "HANDOVER_S", 0.01)
