"""Make an assembly fit DPDK: operands are addressed by a byte offset of eight bits, which wraps without a word, and one
instruction forgets an operand.

A field that starts beyond byte 255 of the metadata is silently another field (struct instr_operand in DPDK's
lib/pipeline/rte_swx_pipeline_internal.h; true of every release so far), and p4c makes metadata as large as it likes. What does not fit
is moved to headers that are neither extracted nor emitted: an invalid header's fields can be read and written like any others.

And `regadd ARRAY INDEX VALUE` or `regwr` with two numbers is done to the first array of the program, whatever ARRAY is
(instr_regadd_translate in lib/pipeline/rte_swx_pipeline.c forgets to say which): the index goes through a field of our own.

Fields stay together where instructions or tables take a run of them, and stay metadata where only that will do: ports, arguments and
timeouts of what is learned, keys of learners and operands of a hash, whose bytes (and so buckets) would turn round in a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from k8s_p4.target.errors import LoadError
from k8s_p4.target.spec import Field, Instruction, Spec

_ROOM = 256  # bytes of a struct that operands can reach
_HEADER_ROOM = 240  # a header's size has eight bits as well
SPILL = "spill"
_INDEX = Field("legal_index", 32, False)
_TWO_NUMBERS = re.compile(r"\b(regadd|regwr) (\w+) (0x[0-9A-Fa-f]+|\d+) (0x[0-9A-Fa-f]+|\d+)$", re.MULTILINE)
# Instructions whose metadata operands must be metadata: which of them, by position from 0.
_FIXED = {"rx": (0,), "tx": (0,), "recircid": (0,), "extract": (1,), "rearm": (0,), "hash": (1,), "meter": (4,)}


class Legal(NamedTuple):
    """An assembly that fits. `names`: a metadata field's operand in the given assembly to that in this one, where they differ."""

    text: str
    names: dict[str, str]
    spills: int


def legalise(text: str, spec: Spec) -> Legal:
    """Move metadata fields so that DPDK reaches all of them; `spec` is `text`, parsed.

    Raises:
        LoadError: what must be metadata is more than DPDK reaches.
    """
    fields = (*spec.structs[spec.metadata].fields, _INDEX)
    kept, headers = _place(list(_groups(fields, spec)), _fixed(spec) | {_INDEX.name})
    names = {f"m.{field.name}": f"h.{SPILL}{at}.f{n}" for at, header in enumerate(headers) for n, field in enumerate(header)}
    return Legal(_rewrite(text, spec, kept, headers, names), names, len(headers))


def _instructions(spec: Spec) -> Iterator[Instruction]:
    yield from spec.apply
    for action in spec.actions.values():
        yield from action.body


def _fixed(spec: Spec) -> set[str]:
    """Fields that must be metadata."""
    found = {name for table in spec.tables.values() if table.learner for name, _ in table.keys}
    for instruction in _instructions(spec):
        found.update(instruction.args[at] for at in _FIXED.get(instruction.op, ()) if at < len(instruction.args))
        if instruction.op in ("learn", "hash"):
            found.update(instruction.args[1:])
    return {name.removeprefix("m.") for name in found if name.startswith("m.")}


def _runs(spec: Spec) -> Iterator[list[str]]:
    """Fields of which all between the first and the last must stay side by side."""
    for table in spec.tables.values():
        yield [name for name, _ in table.keys]
    for instruction in _instructions(spec):
        if instruction.op == "hash":
            yield list(instruction.args[2:])
        elif instruction.op == "learn" and len(instruction.args) > 2:
            yield _learned(spec, instruction)


def _learned(spec: Spec, instruction: Instruction) -> list[str]:
    """The fields a `learn` takes for its action's arguments: as many as there are, from the one it names."""
    args = spec.actions[instruction.args[0]].args
    names = [field.name for field in spec.structs[spec.metadata].fields]
    first = names.index(instruction.args[1].removeprefix("m."))
    count = len(spec.structs[args].fields) if args else 0
    return [f"m.{name}" for name in names[first : first + count]]


def _groups(fields: tuple[Field, ...], spec: Spec) -> Iterator[list[Field]]:
    """The fields in their order, cut wherever no run goes across."""
    place = {f"m.{field.name}": at for at, field in enumerate(fields)}
    joined = [False] * len(fields)  # with the one after
    for run in _runs(spec):
        at = sorted(place[name] for name in run if name in place)
        if at:
            joined[at[0] : at[-1]] = [True] * (at[-1] - at[0])
    group: list[Field] = []
    for field, more in zip(fields, joined, strict=True):
        group.append(field)
        if not more:
            yield group
            group = []


def _size(group: list[Field]) -> int:
    return sum(field.bits for field in group) // 8


def _place(groups: list[list[Field]], fixed: set[str]) -> tuple[list[Field], list[list[Field]]]:
    """What stays metadata, and the fields of each header."""
    must = [group for group in groups if any(field.name in fixed for field in group)]
    kept = [field for group in must for field in group]
    if _size(kept) > _ROOM:
        raise LoadError(f"pipeline.spec: {_size(kept)} bytes have to be metadata, DPDK reaches {_ROOM}")
    headers: list[list[Field]] = []
    for group in groups:
        if group in must:
            continue
        if _size(kept) + _size(group) <= _ROOM:
            kept += group
        elif headers and _size(headers[-1]) + _size(group) <= _HEADER_ROOM:
            headers[-1] += group
        elif _size(group) <= _HEADER_ROOM:
            headers.append(list(group))
        else:
            raise LoadError(f"pipeline.spec: fields that belong together from {group[0].name} on are {_size(group)} bytes")
    return kept, headers


def _rewrite(text: str, spec: Spec, kept: list[Field], headers: list[list[Field]], names: dict[str, str]) -> str:
    lines = text.splitlines()
    start = spec.structs[spec.metadata].line - 1
    end = lines.index("}", start)
    declared = [f"struct {spec.metadata} {{", *(f"\tbit<{field.bits}> {field.name}" for field in kept), "}"]
    for at, header in enumerate(headers):
        declared += [f"struct {SPILL}{at}_t {{", *(f"\tbit<{field.bits}> f{n}" for n, field in enumerate(header)), "}"]
        declared.append(f"header {SPILL}{at} instanceof {SPILL}{at}_t")
    body = "\n".join((*lines[:start], *declared, *lines[end + 1 :])) + "\n"
    body = _TWO_NUMBERS.sub(rf"mov m.{_INDEX.name} \g<3>\n\t\g<1> \g<2> m.{_INDEX.name} \g<4>", body)
    return re.sub(r"(?<![\w.])m\.\w+", lambda found: names.get(found[0], found[0]), body)
