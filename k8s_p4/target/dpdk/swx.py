"""One program on DPDK: its tables kept like those of a `Machine`, frames sent through it."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable, Iterator, MutableSequence
from typing import Any, NamedTuple, overload

from k8s_p4.target.dpdk import library
from k8s_p4.target.dpdk.build import DpdkMissing
from k8s_p4.target.dpdk.journal import Journal
from k8s_p4.target.dpdk.keys import Arguments, KeyLayout, MetadataReader, SwxKey
from k8s_p4.target.dpdk.legal import legalise
from k8s_p4.target.dpdk.program import open_pipeline
from k8s_p4.target.errors import LoadError, invalid
from k8s_p4.target.externs import Meter, round_up
from k8s_p4.target.match import Entry, Identity
from k8s_p4.target.operands import Scope
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import LOOP, Machine, Packet, TableState

_DATA_SIZE = 4096
_NUMBERS = itertools.count(1)


class Learned(NamedTuple):
    """A learned entry: its place in the table, packed key, action and parameters, and when it expires, in ns of virtual time."""

    place: int
    key: int
    action: str
    params: tuple[int, ...]
    expires: int


class _Table:
    """A table's entries on DPDK. `held`: for each key and mask there, the identity of the one that is in force."""

    def __init__(self, state: TableState, layout: KeyLayout) -> None:
        self.name = state.spec.name.encode()
        self.state, self.layout = state, layout
        self.journal = Journal(state.match, layout.ternary)
        self.default: Entry = state.default[0]
        self._rivals: dict[SwxKey, set[Identity]] = {}
        self.learns = state.learner is not None
        state.match = self.journal

    def changes(self) -> Iterator[tuple[SwxKey, Identity, Entry | None]]:
        """What DPDK has to do: (key, an identity of it, the entry or None to delete); empties the journal."""
        changed, self.journal.changed = self.journal.changed, set()
        if not self.layout.ternary:
            yield from ((self.layout.key(identity), identity, self.journal.get(identity)) for identity in changed)
            return
        for key, identity in {self.layout.key(identity): identity for identity in self._file(changed)}.items():
            best = max(self._rivals.get(key, ()), key=lambda rival: rival[2], default=None)
            yield (key, identity, None) if best is None else (key, best, self.journal.get(best))

    def _file(self, changed: set[Identity]) -> set[Identity]:
        """Keep the lists of entries that differ in priority only."""
        for identity in changed:
            rivals = self._rivals.setdefault(self.layout.key(identity), set())
            if self.journal.get(identity) is None:
                rivals.discard(identity)
            else:
                rivals.add(identity)
        return changed


class _Packet(Packet):
    """A packet whose metadata are read only when somebody asks: there are a thousand fields."""

    __slots__ = ("_values", "raw", "reader")

    _values: list[int]
    raw: bytes
    reader: Callable[[bytes], list[int]]

    @property
    def metadata(self) -> list[int]:
        """The fields' values, none if the packet never ended."""
        if not self._values and hasattr(self, "raw"):
            self._values = self.reader(self.raw)
        return self._values

    @metadata.setter
    def metadata(self, value: list[int]) -> None:
        self._values = value


class Registers(MutableSequence[int]):
    """A register array on DPDK, as a list of a fixed length."""

    def __init__(self, swx: Swx, name: str, size: int) -> None:
        self._swx, self._name, self._size = swx, name.encode(), size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._size))]
        return self._swx.read_register(self._name, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for at, each in zip(range(*index.indices(self._size)), value, strict=True):
                self[at] = each
        else:
            self._swx.write_register(self._name, index, value)

    def __delitem__(self, index: Any) -> None:
        raise TypeError("registers can't be deleted")

    def insert(self, index: int, value: int) -> None:
        """Never possible."""
        raise TypeError("registers can't be added")


class Swx:
    """A DPDK pipeline beside a `Machine`: it takes over the machine's match structures to see what is written."""

    def __init__(self, text: str, machine: Machine, options: Options, lpm_widths: dict[str, int]) -> None:
        """`text`: the assembly.

        Raises:
            LoadError: DPDK is not there, or refuses the program.
        """
        legal = legalise(text, machine.spec)
        try:
            self._library = library.start()
            self._handle = open_pipeline(f"pipeline{next(_NUMBERS)}", legal.spec, self._library, options)
        except (DpdkMissing, ValueError) as error:
            raise LoadError(str(error)) from None
        self._close = weakref.finalize(self, self._library.engine_close, self._handle)
        scope = Scope(legal.spec)
        self._tables = [_Table(state, KeyLayout(scope, state, _lpm_width(state, lpm_widths))) for state in machine.table_list]
        self._metadata = MetadataReader(machine.spec, legal.layout)
        self.kept = tuple(field.name not in legal.layout.shared for field in machine.spec.structs[machine.spec.metadata].fields)
        """Of each metadata field of the assembly, whether its value is there at the end of a packet."""
        self._port = legal.port
        self._actions = {name: self._action(name, len(action.widths)) for name, action in machine.actions.items()}
        self._by_number = {arguments.number: (name, arguments) for name, arguments in self._actions.items()}
        learners = [table for table in self._tables if table.learns]
        self._learners = {table.state.spec.name: (number, table.layout) for number, table in enumerate(learners)}
        for number, table in enumerate(learners):
            if self._library.engine_learner_check(self._handle, number, table.layout.size):
                raise LoadError(f"DPDK keeps what {table.state.spec.name} learns otherwise than release 22.11 does")
        self.registers: dict[str, Registers] = {name: Registers(self, name, len(cells)) for name, cells in machine.registers.items()}

    def _action(self, name: str, arguments: int) -> Arguments:
        number = self._library.engine_action(self._handle, name.encode())
        if number < 0:
            raise LoadError(f"DPDK has no action {name!r} of the assembly")
        return Arguments(number, [self._library.engine_argument(self._handle, number, at) for at in range(arguments)])

    def commit(self) -> dict[str, set[Identity]]:
        """Do what was written since the last time. Returns what DPDK refuses, by table: it is taken out again.

        A failed commit throws everything pending away, so it is tried again entry by entry.
        """
        if not any(table.journal.changed or table.state.default[0] is not table.default for table in self._tables):
            return {}
        changes = [(table, *change) for table in self._tables for change in table.changes()]
        defaults = [table for table in self._tables if table.state.default[0] is not table.default and not table.learns]
        wrong = [self._change(*change) for change in changes] + [self._default(table) for table in defaults]
        if not self._library.engine_commit(self._handle) and not any(wrong):
            return {}
        refused: dict[str, set[Identity]] = {}
        for change in changes:
            if self._change(*change) or self._library.engine_commit(self._handle):
                table, _, identity, entry = change
                refused.setdefault(table.state.spec.name, set()).add(identity)
                if entry is not None:
                    table.journal.drop(identity)
        return refused

    def _change(self, table: _Table, key: SwxKey, identity: Identity, entry: Entry | None) -> int:
        priority = table.layout.priority(identity)
        if entry is None:
            self._library.engine_delete(self._handle, table.name, key.key, key.mask, priority)
            return 0
        action = self._actions[entry[4].name]
        status: int = self._library.engine_add(self._handle, table.name, key.key, key.mask, priority, action.number, action.data(entry[1]))
        return status

    def _default(self, table: _Table) -> int:
        entry = table.default = table.state.default[0]
        action = self._actions[entry[4].name]
        status: int = self._library.engine_default(self._handle, table.name, action.number, action.data(entry[1]))
        return status

    def read_register(self, name: bytes, index: int) -> int:
        """One element."""
        value = ctypes.c_uint64()
        if self._library.engine_read(self._handle, name, index, ctypes.byref(value)):
            raise IndexError(index)
        return value.value

    def write_register(self, name: bytes, index: int, value: int) -> None:
        """Set one element."""
        if self._library.engine_write(self._handle, name, index, value):
            raise IndexError(index)

    def learned(self, table: str, now: int) -> Iterator[Learned]:
        """What a table that learns holds and has not expired."""
        number, layout = self._learners[table]
        key, data = ctypes.create_string_buffer(layout.size), ctypes.create_string_buffer(_DATA_SIZE)
        action, left = ctypes.c_uint64(), ctypes.c_uint64()
        at = 0
        while (at := self._library.engine_learned(self._handle, number, at, now, key, ctypes.byref(action), data, ctypes.byref(left))) >= 0:
            name, arguments = self._by_number[action.value]
            yield Learned(at, layout.packed(key.raw), name, arguments.params(data.raw), now + left.value)
            at += 1

    def unlearn(self, table: str, place: int) -> None:
        """Forget one learned entry, by its place."""
        self._library.engine_unlearn(self._handle, self._learners[table][0], place)

    def shrink(self, table: str, size: int) -> None:
        """Let a table that learns have no more than so many buckets. Raises ValueError if it has fewer; what it learned is gone."""
        if self._library.engine_shrink(self._handle, self._learners[table][0], round_up(size)):
            raise ValueError(f"{table}: it has fewer than {size} buckets")

    def learn(self, table: str, learned: tuple[int, str, tuple[int, ...]], left: int, now: int) -> bool:
        """Put (packed key, action, parameters) into a table that learns, for `left` ns; False if its bucket is full."""
        number, layout = self._learners[table]
        key, action, params = learned
        arguments = self._actions[action]
        data = arguments.data(params).ljust(_DATA_SIZE, b"\0")
        return not self._library.engine_learn(self._handle, number, now, layout.bytes_of(key), arguments.number, data, left)

    def set_meter(self, array: str, index: int, meter: Meter | None) -> None:
        """Configure a meter, or take its configuration away.

        Raises:
            Refused: INVALID_ARGUMENT for rates and bursts that DPDK does not take, which are those of 0.
        """
        given = (0, 0, 0, 0, 0) if meter is None else (meter.cir, meter.cbs, meter.pir, meter.pbs, meter.since)
        if (meter is not None and not all(given[:4])) or self._library.engine_meter(self._handle, array.encode(), index, *given):
            raise invalid(f"meter {array}[{index}]: DPDK takes no rate or burst of 0")

    def metered(self, array: str, index: int) -> tuple[list[int], list[int]]:
        """How many packets and octets a meter has marked green, yellow and red."""
        counts = (ctypes.c_uint64 * 6)()
        if self._library.engine_metered(self._handle, array.encode(), index, counts):
            raise IndexError(index)
        return counts[:3], counts[3:]

    def forget(self) -> None:
        """Forget everything learned."""
        self._library.engine_forget(self._handle)

    def run(self, frame: bytes, port: int, now: int, trial: bool = False) -> Packet:
        """One frame through the program, after what was written before it; `now` in ns. A `trial` counts and learns nothing."""
        self.commit()
        packet = _Packet(frame, port, now, False)
        packet.reader = self._metadata.values
        run = self._library.engine_try if trial else self._library.engine_run
        answer = run(self._handle, port, frame, len(frame), now)
        if not answer:
            packet.outcome = LOOP
            return packet
        result = answer.contents
        packet.outcome, packet.passes = result.outcome, result.passes
        packet.raw = ctypes.string_at(result.metadata, self._metadata.size)
        packet.port_out = self._metadata.value(packet.raw, self._port) if self._port else 0
        # What is sent is complete: nothing is left to be put behind it.
        packet.frame = ctypes.string_at(result.frame, result.length) if result.outcome == library.SENT else b""
        return packet


def _lpm_width(state: TableState, widths: dict[str, int]) -> int:
    return widths.get(state.spec.name, state.widths[-1] if state.widths else 0)
