"""DPDK as a judge: a machine that sends every packet through DPDK's SWX pipeline as well and compares what became of it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, MutableSequence
from dataclasses import replace
from typing import Any

from k8s_p4.target import engines
from k8s_p4.target.dpdk.machine import SwxMeters
from k8s_p4.target.dpdk.swx import Swx
from k8s_p4.target.learner import Learner
from k8s_p4.target.match import Entry
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import LOOP, SENT, SHORT_FRAME, Machine, Packet
from k8s_p4.target.spec import Spec

_BUCKETS = int(os.environ.get("CALICO_P4_JUDGE_BUCKETS") or 0x1000)
"""The most of a table that learns: DPDK writes all of its memory at the start, so a judge's are small."""
_KEYS = 0x4000
"""The most that any other table of a judge holds, for the same reason."""
_GRAIN_NS = 10**9 // 16
OUTCOMES = {1: "sent", 2: "dropped", 3: "short frame", 4: "no port", 5: "loop"}


class Disagreement(AssertionError):
    """The executor and DPDK do not agree about a packet."""


@contextlib.contextmanager
def everywhere() -> Iterator[None]:
    """Every embedded target that gets a pipeline meanwhile is judged."""
    before = engines.ENGINES["embedded"]
    engines.ENGINES["embedded"] = judged
    try:
        yield
    finally:
        engines.ENGINES["embedded"] = before


def judged(text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> Machine:
    """A judged machine; a plain one for buckets that DPDK does not have."""
    if options.learner_bucket != Options().learner_bucket:
        return Machine(spec, options, lpm_widths)
    return JudgedMachine(text, spec, options, lpm_widths)


class Tally:
    """How much was judged."""

    packets = 0
    """Compared with DPDK."""
    short = 0
    """Refused by the executor as cut short."""


def small(assembly: str) -> str:
    """The assembly with small tables."""
    sizes = re.compile(r"^(learner|table)( .*?\tsize )(0x\w+)", re.MULTILINE | re.DOTALL)
    return sizes.sub(lambda found: f"{found[1]}{found[2]}{min(int(found[3], 16), _BUCKETS if found[1] == 'learner' else _KEYS):#x}", assembly)


class Both(MutableSequence[int]):
    """An array of the executor and the same on DPDK: set in both, read here."""

    def __init__(self, ours: MutableSequence[int], theirs: MutableSequence[int]) -> None:
        self.ours, self._theirs = ours, theirs

    def __len__(self) -> int:
        return len(self.ours)

    def __getitem__(self, index: Any) -> Any:
        return self.ours[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.ours[index] = self._theirs[index] = value

    def __delitem__(self, index: Any) -> None:
        raise TypeError("an array's elements can't be deleted")

    def insert(self, index: int, value: int) -> None:
        """Never possible."""
        raise TypeError("an array has a fixed size")


class JudgedMachine(Machine):
    """The executor's machine with DPDK beside it. What the executor says is what is returned."""

    def __init__(self, text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> None:
        super().__init__(spec, options, lpm_widths)
        text = small(text)
        for state, learner in self.learners():
            learner.resize(min(state.spec.size, _BUCKETS))
        self.swx = Swx(text, self, replace(options, real_time=False), lpm_widths)
        # The program counts in the lists themselves; whoever else sets an element sets DPDK's too.
        self.registers = {name: Both(cells, self.swx.registers[name]) for name, cells in self.registers.items()}
        for name, array in self.meters.items():
            array.meters = SwxMeters(self.swx, name)
        self._judged = 0
        self._compare_at = 32
        self.running = False
        for state, learner in self.learners():
            _learn_together(state.spec.name, learner, self)

    def run(self, frame: bytes, port: int, now: int, trace: bool = False) -> Packet:
        """As `Machine.run`; raises Disagreement."""
        self.running = True
        packet = super().run(frame, port, now, trace)
        self.running = False
        if refused := self.swx.commit():
            raise RuntimeError(f"not judged: DPDK refuses entries, of which a judge's tables hold {_KEYS}: {', '.join(refused)}")
        if packet.outcome == SHORT_FRAME:
            self._judge_short(packet, frame, now)
            return packet
        theirs = self.swx.run(frame, port, now)
        Tally.packets += 1
        self._judged += 1
        differences = [*self._differences(packet, theirs), *self._counters(), *self._meters(), *self._learned(now)]
        if differences:
            where = f"frame {frame.hex()} into port {port} at {now} ns"
            raise Disagreement("\n  ".join((f"the executor and DPDK differ: {where}", *differences)))
        return packet

    def _judge_short(self, packet: Packet, frame: bytes, now: int) -> None:
        """A frame that ends before its headers do: DPDK goes on with bytes that are not the frame's, so only what leaves can be compared.

        It may count and learn, where the executor does neither, so it is only tried. What it left in the metadata is what the next
        packet meets if nothing is poisoned.
        """
        Tally.short += 1
        theirs = self.swx.run(frame, packet.port_in, now, trial=True)
        if theirs.outcome == SENT:
            raise Disagreement(f"a frame cut short left DPDK by port {theirs.port_out}: {frame.hex()} into port {packet.port_in}")
        if theirs.metadata:
            self._last = [other if kept else mine for mine, other, kept in zip(packet.metadata, theirs.metadata, self.swx.kept, strict=True)]

    def _counters(self) -> Iterator[str]:
        """Small arrays after each packet; of the others, from time to time, what we say is not 0."""
        for name, cells in self.registers.items():
            theirs = self.swx.registers[name]
            every = len(cells) <= 64
            for index in range(len(cells)) if every else _counted(cells) if self._judged % 256 == 1 else ():
                if cells[index] != theirs[index]:
                    yield f"{name}[{index}]: {cells[index]}, DPDK: {theirs[index]}"

    def _meters(self) -> Iterator[str]:
        """How many of each colour."""
        for name, array in self.meters.items():
            for index, meter in array.meters.items():
                if (theirs := self.swx.metered(name, index)) != (meter.packets, meter.octets):
                    yield f"meter {name}[{index}]: {meter.packets}, {meter.octets}, DPDK: {theirs}"

    def _learned(self, now: int) -> Iterator[str]:
        """From time to time, the more seldom the more there is, what was learned: keys, actions, parameters, and when they expire."""
        if self._judged < self._compare_at:
            return
        self._compare_at = self._judged + 32
        for state, learner in self.learners():
            mine = {each.key: (each.entry[4].name, each.entry[1], each.expires) for each in learner.live(now)}
            theirs = {each.key: (each.action, each.params, each.expires) for each in self.swx.learned(state.spec.name, now)}
            self._compare_at += len(mine)
            for key in mine.keys() | theirs.keys():
                if (one := mine.get(key)) != (other := theirs.get(key)):
                    yield f"learned in {state.spec.name}, key {key:#x}: {one}, DPDK: {other}"

    def _differences(self, ours: Packet, theirs: Packet) -> Iterator[str]:
        if ours.outcome != theirs.outcome:
            yield f"{OUTCOMES[ours.outcome]}, DPDK: {OUTCOMES[theirs.outcome]}"
        elif ours.outcome == SENT and ours.port_out != theirs.port_out:
            yield f"port {ours.port_out}, DPDK: {theirs.port_out}"
        elif ours.outcome == SENT and ours.sent_frame() != theirs.sent_frame():
            yield f"frame {ours.sent_frame().hex()}, DPDK: {theirs.sent_frame().hex()}"
        if LOOP not in (ours.outcome, theirs.outcome):
            for (name, _), mine, other, kept in zip(self.metadata_fields, ours.metadata, theirs.metadata, self.swx.kept, strict=True):
                if mine != other and kept:
                    yield f"metadata {name}: {mine:#x}, DPDK: {other:#x}"


def _counted(cells: list[int]) -> list[int]:
    return [index for index, value in enumerate(cells) if value]


def _learn_together(name: str, learner: Learner, machine: JudgedMachine) -> None:
    """What a learner is told to forget or to learn between packets, DPDK forgets or learns; and how many buckets it has.

    Entries expire in DPDK's steps, so that both see the same of them.
    """
    swx = machine.swx

    class Together(Learner):
        __slots__ = ()

        def clear(self) -> int:
            swx.forget()
            return super().clear()

        def resize(self, size: int) -> None:
            swx.shrink(name, size)
            super().resize(size)

        def forget(self) -> None:
            for learned in () if machine.running else list(swx.learned(name, 0)):
                if self.found is not None and learned.key == self.found.key:
                    swx.unlearn(name, learned.place)
            super().forget()

        def restore(self, key: int, entry: Entry, left: int, now: int) -> bool:
            swx.learn(name, (key, entry[4].name, entry[1]), left, now)
            restored = super().restore(key, entry, left, now)
            self._step()
            return restored

        def rearm(self, now: int) -> None:
            super().rearm(now)
            self._step()

        def rearm_new(self, timeout: int, now: int) -> None:
            super().rearm_new(timeout, now)
            self._step()

        def _step(self) -> None:
            if self.found is not None:
                self.found.expires -= self.found.expires % _GRAIN_NS

    learner.__class__ = Together
