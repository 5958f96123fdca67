"""Operands of the assembly as Python expressions over a packet's state.

State at run time (see `codegen`): `m`, the metadata fields as ints; `h`, one int for the fixed part of each header, network order;
`v`, validity by header; `p`, the arguments of the running action. So every field is a value, and what byte order does to sizes in
DPDK comes out as truncation and zero extension by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from k8s_p4.target.spec import Field, Spec, Struct, fail, number

USER_METADATA: Final = "local_metadata_"

WORD = 64  # the widest operand of arithmetic, jumps and registers, in bits


class Ref(NamedTuple):
    """A field: its place in the state, its width, and where it lies in its struct (bits from the start)."""

    space: str  # "m", "h" or "t"
    slot: int  # index into m or p, or the header's index into h
    bits: int
    shift: int  # in h: bits below it
    offset: int

    @property
    def mask(self) -> int:
        """All ones, as wide as the field."""
        return (1 << self.bits) - 1

    def read(self) -> str:
        """An expression for the value."""
        if self.space == "m":
            return f"m[{self.slot}]"
        if self.space == "t":
            return f"p[{self.slot}]"
        shifted = f"h[{self.slot}] >> {self.shift}" if self.shift else f"h[{self.slot}]"
        # The topmost field of a header needs no mask.
        return f"({shifted})" if self.offset == 0 else f"({shifted} & {self.mask:#x})"

    def write(self, value: str) -> str:
        """A statement that stores an expression known to fit."""
        if self.space == "m":
            return f"m[{self.slot}] = {value}"
        placed = f"({value}) << {self.shift}" if self.shift else f"({value})"
        if self.offset == 0 and self.shift == 0:
            return f"h[{self.slot}] = {value}"
        return f"h[{self.slot}] = h[{self.slot}] & ~{self.mask << self.shift:#x} | {placed}"


class Header(NamedTuple):
    """A header instance: its index into h and v, the bytes of its fixed part, and whether a varbit field follows."""

    slot: int
    size: int
    var: bool
    struct: Struct


class Scope:
    """Resolves names; one per program, with the arguments of one action where there is one."""

    def __init__(self, spec: Spec, args: str | None = None) -> None:
        self.spec = spec
        self.headers = {name: self._header(i, spec.structs[struct]) for i, (name, struct) in enumerate(spec.headers.items())}
        self.metadata = spec.structs[spec.metadata]
        self.args = spec.structs[args] if args else None
        self._refs: dict[str, Ref] = {}
        self._declare("m.", self.metadata)
        if self.args:
            self._declare("t.", self.args)
        for name, header in self.headers.items():
            self._declare(f"h.{name}.", header.struct, header)

    def _header(self, index: int, struct: Struct) -> Header:
        size = sum(f.bits for f in struct.fields if not f.var) // 8
        return Header(index, size, any(f.var for f in struct.fields), struct)

    def _declare(self, prefix: str, struct: Struct, header: Header | None = None) -> None:
        offset = 0
        for slot, field in enumerate(struct.fields):
            if not field.var:
                shift = header.size * 8 - offset - field.bits if header else 0
                self._refs[prefix + field.name] = Ref(prefix[0], header.slot if header else slot, field.bits, shift, offset)
            offset += field.bits

    def field(self, line: int, name: str, widest: int | None = None) -> Ref:
        """The field of that name ("m.x", "h.ipv4.ttl", "t.port").

        Raises:
            LoadError: there is none, or it is wider than `widest` bits.
        """
        ref = self._refs.get(name)
        if ref is None:
            raise fail(line, f"no field {name!r}")
        if widest is not None and ref.bits > widest:
            raise fail(line, f"{name} has {ref.bits} bits, more than {widest}")
        return ref

    def target(self, line: int, name: str, widest: int | None = None) -> Ref:
        """A field one can write: not an action's argument."""
        ref = self.field(line, name, widest)
        if ref.space == "t":
            raise fail(line, f"{name}: an action's arguments can't be written")
        return ref

    def metadata_field(self, line: int, name: str) -> Ref:
        """A metadata field of at most 64 bits."""
        ref = self.field(line, name, WORD)
        if ref.space != "m":
            raise fail(line, f"{name} is not a metadata field")
        return ref

    def header(self, line: int, name: str) -> Header:
        """The header "h.NAME"."""
        header = self.headers.get(name.removeprefix("h.")) if name.startswith("h.") else None
        if header is None:
            raise fail(line, f"no header {name!r}")
        return header

    def is_field(self, name: str) -> bool:
        """Whether the operand is a field and not a literal."""
        return name in self._refs

    def value(self, line: int, name: str, fit: int | None = None) -> tuple[str, int]:
        """(expression, its width) of a field or literal of at most 64 bits; a literal is cut to `fit` bits if given."""
        if self.is_field(name):
            ref = self.field(line, name, WORD)
            return ref.read(), ref.bits
        if name[:1].isalpha():
            raise fail(line, f"no field {name!r}")
        literal = number(line, name)
        if fit is not None:
            literal &= (1 << fit) - 1
        return hex(literal), literal.bit_length()

    def run(self, line: int, first: str, last: str) -> list[Ref]:
        """The consecutive fields of one struct from `first` to `last`."""
        a, b = self.field(line, first), self.field(line, last)
        if first.rpartition(".")[0] != last.rpartition(".")[0] or a.offset > b.offset:
            raise fail(line, f"{first} to {last} is no run of fields of one struct")
        prefix = first.rpartition(".")[0] + "."
        inside = (r for n, r in self._refs.items() if n.startswith(prefix) and "." not in n[len(prefix) :])
        return sorted((r for r in inside if a.offset <= r.offset <= b.offset), key=lambda r: r.offset)


def memory_bytes(ref: Ref) -> str:
    """An expression for the field's bytes as they lie in DPDK's memory: metadata and arguments up to 64 bits little-endian."""
    order = "little" if ref.space != "h" and ref.bits <= WORD else "big"
    return f"{ref.read()}.to_bytes({ref.bits // 8}, {order!r})"


def packed(refs: list[Ref]) -> str:
    """An expression for the fields packed into one int, the first in the highest bits."""
    below = sum(ref.bits for ref in refs)
    parts = []
    for ref in refs:
        below -= ref.bits
        parts.append(f"{ref.read()} << {below}" if below else ref.read())
    return " | ".join(parts)


def metadata_names(fields: Sequence[Field], old_names: dict[str, str]) -> tuple[tuple[str, int], ...]:
    """(name, bytes) of each field: in the P4 source for user metadata (p4c's prefix and shortening undone), else as in the assembly."""
    return tuple((full.removeprefix(USER_METADATA), field.bits // 8) for field, full in _full_names(fields, old_names))


def told_metadata(fields: Sequence[Field], old_names: dict[str, str]) -> tuple[tuple[int, str, int], ...]:
    """What is told of a packet's metadata, as (index, name, bytes): user metadata, because the compiler adds a thousand fields of its
    own; all fields of an assembly that has none."""
    every = tuple((index, *named) for index, named in enumerate(metadata_names(fields, old_names)))
    full = _full_names(fields, old_names)
    return tuple(told for told, (_field, name) in zip(every, full, strict=True) if name.startswith(USER_METADATA)) or every


def _full_names(fields: Sequence[Field], old_names: dict[str, str]) -> list[tuple[Field, str]]:
    long = {short: full for full, short in old_names.items()}
    return [(field, long.get(field.name, field.name)) for field in fields]
