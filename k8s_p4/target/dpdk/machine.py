"""The engine as a machine like the embedded one, but for traces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s_p4.target.dpdk.swx import Learned, Swx
from k8s_p4.target.errors import unimplemented
from k8s_p4.target.externs import Meter
from k8s_p4.target.learner import LearnedEntry, Learner
from k8s_p4.target.match import Entry, Identity
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import Machine, Packet, TableState
from k8s_p4.target.spec import Spec


class DpdkMachine(Machine):
    """A program on DPDK. Tables are those of the embedded machine, which DPDK's are made equal to before a packet."""

    def __init__(self, text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> None:
        super().__init__(spec, options, lpm_widths)
        self._swx = Swx(text, self, options, lpm_widths)
        self.registers = dict(self._swx.registers)
        for name, array in self.meters.items():
            array.meters = SwxMeters(self._swx, name)
        for state, _ in list(self.learners()):
            state.learner = SwxLearner(self, self._swx, state)

    def settle(self) -> dict[str, set[Identity]]:
        """As `Machine.settle`: what DPDK refuses is taken out again."""
        return self._swx.commit()

    def run(self, frame: bytes, port: int, now: int, trace: bool = False) -> Packet:
        """As `Machine.run`.

        Raises:
            Refused: UNIMPLEMENTED for a trace.
        """
        if trace:
            raise unimplemented("DPDK traces no packets: ask the embedded engine")
        return self._swx.run(frame, port, now)


class SwxMeters(dict[int, Meter]):
    """What is configured of an array's meters, here and on DPDK."""

    def __init__(self, swx: Swx, name: str) -> None:
        super().__init__()
        self._swx, self._name = swx, name

    def __setitem__(self, index: int, meter: Meter) -> None:
        """Raises Refused: INVALID_ARGUMENT for a rate or burst of 0."""
        self._swx.set_meter(self._name, index, meter)
        super().__setitem__(index, meter)

    def update(self, other: Any) -> None:
        """Of another array's meters; raises Refused."""
        for index, meter in other.items():
            self[index] = meter

    def pop(self, index: int, default: Any = None) -> Any:
        """Take one's configuration away."""
        self._swx.set_meter(self._name, index, None)
        return super().pop(index, default)


class SwxLearner(Learner):
    """A table that learns on DPDK: what it holds is read there, whenever asked."""

    __slots__ = ("_machine", "_state", "_swx")

    def __init__(self, machine: Machine, swx: Swx, state: TableState) -> None:
        super().__init__(1, state.spec.timeouts, lambda key: b"")
        self._machine, self._swx, self._state = machine, swx, state

    def clear(self) -> int:
        """Forget everything; returns how many entries there had been since the program started, expired ones not counted."""
        if not hasattr(self, "_swx"):  # while it is made
            return super().clear()
        held = list(self._swx.learned(self._state.spec.name, 0))
        for learned in held:
            self._swx.unlearn(self._state.spec.name, learned.place)
        return len(held)

    def resize(self, size: int) -> None:
        """Fewer buckets; raises ValueError for more."""
        self._swx.shrink(self._state.spec.name, size)

    def live(self, now: int) -> Iterator[LearnedEntry]:
        """The entries that have not expired."""
        return (self._entry(learned, now) for learned in self._swx.learned(self._state.spec.name, now))

    def _entry(self, learned: Learned, now: int) -> LearnedEntry:
        # DPDK does not keep when it learned something: as if just now.
        entry = LearnedEntry(learned.key, learned.place // 4, learned.place % 4, now)
        action = self._machine.actions[learned.action]
        entry.entry = (action.function, learned.params, learned.place + 1, 0, action, None)
        entry.expires = learned.expires
        return entry

    def expired(self, now: int) -> int:
        """Always 0: DPDK does not count what ran out."""
        return 0

    def lookup(self, key: int, now: int) -> Entry | None:
        """The entry of the key, if there is one and it has not expired."""
        self.found = next((entry for entry in self.live(now) if entry.key == key), None)
        return None if self.found is None else self.found.entry

    def restore(self, key: int, entry: Entry, left: int, now: int) -> bool:
        """As `Learner.restore`, but for DPDK's grain."""
        return self._swx.learn(self._state.spec.name, (key, entry[4].name, entry[1]), left, now)

    def forget(self) -> None:
        """Remove the entry just found."""
        if self.found is not None:
            self._swx.unlearn(self._state.spec.name, self.found.bucket * 4 + self.found.place)
            self.found = None
