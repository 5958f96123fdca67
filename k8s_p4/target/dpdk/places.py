"""Where an assembly's metadata go on DPDK as it is packaged, which has eight bits for a field's offset in its struct.

p4c-dpdk gives every temporary a metadata field of its own, kilobytes of them; beyond byte 255 DPDK takes another field without a word. So:

* Temporaries that are written and read within one straight run of instructions, and nowhere else, share places (`_Pool`).
* What is left lies in metadata where DPDK allows nothing else (ports, colours, what is hashed or learned), and in scratch headers of at most
  256 bytes otherwise. A scratch header is valid from the first instruction on and never emitted; its fields are operands like others.

What has to stand side by side (keys of an exact table, hashed fields, arguments of `learn`) stays so; keys of one table stay in one struct.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from k8s_p4.target.errors import LoadError
from k8s_p4.target.instructions import JUMPS
from k8s_p4.target.operands import USER_METADATA
from k8s_p4.target.spec import Instruction, Spec

BOUND: Final = 256
"""Bytes that an offset of eight bits reaches."""
_STEPS: Final = 1 << 16  # more than an action has instructions
_HASH_BOUND: Final = 32  # DPDK cuts the offset of a hash's result while it still counts bits


class Place(NamedTuple):
    """Where a field is kept: the header it lies in, "" for metadata, and its name there."""

    header: str
    name: str


@dataclass(slots=True)
class Layout:
    """Fields (name, bits) of metadata and of each scratch header, and the place of each field of the assembly."""

    metadata: list[tuple[str, int]] = field(default_factory=list)
    scratch: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    """Fields that share a place: at the end of a packet another's value may stand there."""


@dataclass(slots=True)
class _Unit:
    """Fields that stand side by side; `lives`: from when to when their values matter, None if always."""

    names: list[str]
    bits: list[int]
    lives: list[tuple[int, int]] | None = None
    in_metadata: bool = False
    hash_result: bool = False

    @property
    def size(self) -> int:
        return sum(self.bits) // 8


def layout(spec: Spec, prefix: str = "scratch") -> Layout:
    """Places for all metadata of an assembly.

    Raises:
        LoadError: what must lie in metadata, or beside it, does not fit.
    """
    fields = {each.name: each.bits for each in spec.structs[spec.metadata].fields}
    made = Layout()
    if sum(fields.values()) // 8 <= BOUND:
        made.metadata = list(fields.items())
        made.places = {name: Place("", name) for name in fields}
        return made
    uses = _Uses(spec, fields)
    pools = {True: _Pool("kept"), False: _Pool("shared")}
    lasting = []
    for unit in sorted(uses.units(), key=lambda unit: -unit.size):
        if unit.lives is None:
            lasting.append(unit)
        else:
            pools[unit.in_metadata].take(unit)
    renamed = {old: new for pool in pools.values() for old, new in pool.names.items()}
    made.shared = set(renamed)
    clusters = _clusters([*lasting, *(slot.unit for pool in pools.values() for slot in pool.slots)], _together(spec, renamed))
    _place(clusters, made, prefix)
    made.places = {name: made.places[renamed.get(name, name)] for name in fields}
    return made


class _Uses:
    """Where each metadata field is used."""

    def __init__(self, spec: Spec, fields: dict[str, int]) -> None:
        self._spec, self._fields, self._order = spec, fields, list(fields)
        self._at = {name: at for at, name in enumerate(self._order)}
        self._runs: list[list[str]] = []
        self._block: dict[str, tuple[str, int] | None] = {}  # the one straight run of instructions it is used in, by routine; None: several
        self._life: dict[str, tuple[int, int]] = {}  # first and last instruction of that
        self._metadata: set[str] = set()
        self._results: set[str] = set()
        self._runs_at: dict[str, list[int]] = {}  # by action, the look-ups that may run it
        for table in spec.tables.values():
            keys = list(self._metadata_of(key for key, _ in table.keys))
            if table.learner or all(match == "exact" for _, match in table.keys):
                self._side_by_side(keys)
        for action in spec.actions.values():
            self._walk(action.name, action.body)
        self._walk("", spec.apply)

    def _side_by_side(self, names: list[str]) -> None:
        if len(names) > 1:
            places = sorted(self._at[name] for name in names)
            self._runs.append(self._order[places[0] : places[-1] + 1])

    def _metadata_of(self, operands: Iterable[str]) -> Iterator[str]:
        return (operand[2:] for operand in operands if operand.startswith("m.") and operand[2:] in self._fields)

    def _learned(self, instruction: Instruction) -> list[str]:
        """The fields that `learn` copies."""
        struct = self._spec.actions[instruction.args[0]].args
        if struct is None or len(instruction.args) != 3:
            return []
        first = self._at[instruction.args[1].removeprefix("m.")]
        return self._order[first : first + len(self._spec.structs[struct].fields)]

    def _hashed(self, instruction: Instruction) -> list[str]:
        places = [self._at[name] for name in self._metadata_of(instruction.args[2:4])]
        return self._order[places[0] : places[-1] + 1] if places else []

    def _used(self, instruction: Instruction) -> list[str]:
        named = list(self._metadata_of(instruction.args))
        if instruction.op == "hash":
            return [*named, *self._hashed(instruction)]
        if instruction.op == "learn":
            return [*named, *self._learned(instruction)]
        if instruction.op == "table":
            return list(self._metadata_of(key for key, _ in self._spec.tables[instruction.args[0]].keys))
        return named

    def _written(self, instruction: Instruction) -> set[str]:
        """What an instruction gives a value without reading it."""
        at = {"mov": 0, "hash": 1}.get(instruction.op)
        return set() if at is None else set(self._metadata_of(instruction.args[at : at + 1])) - set(self._metadata_of(instruction.args[at + 1 :]))

    def _note_demands(self, instruction: Instruction) -> None:
        """What DPDK takes from metadata only, or in metadata's byte order."""
        op, args = instruction.op, instruction.args
        if op == "hash":
            self._results.update(self._metadata_of(args[1:2]))
            self._side_by_side(self._hashed(instruction))
        elif op == "learn":
            self._side_by_side(self._learned(instruction))
        if op in ("hash", "learn", "rx", "tx", "recircid", "rearm", "extract"):
            self._metadata.update(self._used(instruction))
        elif op == "meter":
            self._metadata.update(self._metadata_of(args[3:]))

    def _walk(self, routine: str, body: tuple[Instruction, ...]) -> None:
        number = 0
        for at, instruction in enumerate(body):
            number += bool(instruction.labels)
            self._note_demands(instruction)
            if instruction.op == "table":
                for ref in self._spec.tables[instruction.args[0]].actions:
                    self._runs_at.setdefault(ref.name, []).append(at)
            for name in self._used(instruction):
                self._note(name, (routine, number), at, name in self._written(instruction))
            number += instruction.op in JUMPS or instruction.op == "jmp"

    def _note(self, name: str, block: tuple[str, int], at: int, written: bool) -> None:
        if name not in self._block:
            self._block[name] = block if written else None
        elif self._block[name] != block:
            self._block[name] = None
        self._life[name] = (self._life.get(name, (at, at))[0], at)

    def units(self) -> Iterator[_Unit]:
        """All fields that are used, with those that have to stand beside them."""
        run_of: dict[str, int] = {}
        for run in self._runs:
            joined = {run_of[name] for name in run if name in run_of}
            first = min((*joined, self._at[run[0]]))
            run_of.update({name: first for name, old in run_of.items() if old in joined})
            run_of.update(dict.fromkeys(run, first))
        grouped: dict[int, list[str]] = {}
        for name in self._order:
            grouped.setdefault(run_of.get(name, self._at[name]), []).append(name)
        return (self._unit(names) for names in grouped.values())

    def _unit(self, names: list[str]) -> _Unit:
        unit = _Unit(names, [self._fields[name] for name in names])
        blocks = {self._block.get(name) for name in names}
        block = blocks.pop()
        if block is not None and not blocks and not any(name.startswith(USER_METADATA) for name in names):
            unit.lives = self._lives(block[0], names)
        unit.in_metadata = not self._metadata.isdisjoint(names)
        unit.hash_result = not self._results.isdisjoint(names)
        return unit

    def _lives(self, routine: str, names: list[str]) -> list[tuple[int, int]]:
        """From when to when, in instructions outside actions times `_STEPS`; those of an action come where a look-up may run it."""
        first, last = min(self._life[name][0] for name in names), max(self._life[name][1] for name in names)
        if routine:
            return [(at * _STEPS + first, at * _STEPS + last) for at in self._runs_at.get(routine, ())]
        return [(first * _STEPS, last * _STEPS + _STEPS - 1)]


@dataclass(slots=True)
class _Slot:
    """A place that units take one after the other; `lives` by field."""

    unit: _Unit
    lives: list[list[tuple[int, int]]]

    def free_at(self, unit: _Unit) -> int | None:
        """The first of its fields from which on the unit fits while it lives."""
        wanted, size = unit.lives or (), len(unit.bits)
        for first in range(len(self.lives) - size + 1):
            taken = (life for lives in self.lives[first : first + size] for life in lives)
            if self.unit.bits[first : first + size] == unit.bits and not any(a <= d and c <= b for a, b in taken for c, d in wanted):
                return first
        return None


class _Pool:
    """Slots, made as they are needed; the biggest units first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.slots: list[_Slot] = []
        self.names: dict[str, str] = {}
        """The field of a slot for each field of the assembly."""

    def take(self, unit: _Unit) -> None:
        """Give a unit its place."""
        slot, first = next(((slot, first) for slot in self.slots if (first := self._fits(slot, unit)) is not None), (None, 0))
        if slot is None:
            slot = self._new(unit)
        for at, name in enumerate(unit.names, first):
            slot.lives[at].extend(unit.lives or ())
            self.names[name] = slot.unit.names[at]

    def _fits(self, slot: _Slot, unit: _Unit) -> int | None:
        return slot.free_at(unit) if slot.unit.hash_result or not unit.hash_result else None

    def _new(self, unit: _Unit) -> _Slot:
        number = len(self.slots)
        names = [f"{self._name}_{number}_{at}" for at in range(len(unit.names))]
        made = _Slot(_Unit(names, list(unit.bits), in_metadata=unit.in_metadata, hash_result=unit.hash_result), [[] for _ in names])
        self.slots.append(made)
        return made


def _together(spec: Spec, renamed: dict[str, str]) -> Iterator[list[str]]:
    """Fields that are keys of one table."""
    for table in spec.tables.values():
        names = [key[2:] for key, _ in table.keys if key.startswith("m.")]
        yield [renamed.get(name, name) for name in names]


def _clusters(units: list[_Unit], together: Iterable[list[str]]) -> list[list[_Unit]]:
    """Units by the struct they have to share."""
    cluster = {name: [unit] for unit in units for name in unit.names}
    for unit in units:
        shared = cluster[unit.names[0]]
        for name in unit.names:
            cluster[name] = shared
    for names in together:
        for name in names[1:]:
            one, other = cluster[names[0]], cluster[name]
            if one is not other:
                one.extend(other)
                for unit in other:
                    cluster.update(dict.fromkeys(unit.names, one))
    return list({id(each): each for each in cluster.values()}.values())


def _place(clusters: list[list[_Unit]], made: Layout, prefix: str) -> None:
    demanded = [cluster for cluster in clusters if any(unit.in_metadata for unit in cluster)]
    # What a hash results in stands first.
    inside = sorted((unit for cluster in demanded for unit in cluster), key=lambda unit: not unit.hash_result)
    rooms: list[tuple[str, list[_Unit]]] = [("", inside)]
    if (size := sum(unit.size for unit in inside)) > BOUND or sum(unit.size for unit in inside if unit.hash_result) > _HASH_BOUND:
        raise LoadError(f"what has to lie in metadata takes {size} bytes: DPDK reaches {BOUND}, {_HASH_BOUND} of them with results of hashes")
    for cluster in sorted((each for each in clusters if each not in demanded), key=lambda each: -sum(unit.size for unit in each)):
        wanted = sum(unit.size for unit in cluster)
        room = next((units for _, units in rooms if wanted + sum(unit.size for unit in units) <= BOUND), None)
        if room is None:
            rooms.append((f"{prefix}_{len(rooms)}", []))
            room = rooms[-1][1]
        room.extend(cluster)
    for header, units in rooms:
        _declare(header, units, made)


def _declare(header: str, units: list[_Unit], made: Layout) -> None:
    fields = [pair for unit in units for pair in zip(unit.names, unit.bits, strict=True)]
    # DPDK has room for 63 characters of an operand.
    told = [(f"f{number}", bits) for number, (_, bits) in enumerate(fields)] if header else fields
    made.places.update({name: Place(header, short) for (name, _), (short, _) in zip(fields, told, strict=True)})
    if header:
        made.scratch[header] = told
    else:
        made.metadata = told
