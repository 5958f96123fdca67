"""How keys, masks, arguments and metadata lie in DPDK's memory: metadata of up to 64 bits in the machine's order, the rest as on the wire."""

from __future__ import annotations

from typing import NamedTuple

from k8s_p4.target.dpdk.places import Layout
from k8s_p4.target.instructions import key_refs
from k8s_p4.target.match import Identity
from k8s_p4.target.operands import WORD, Scope
from k8s_p4.target.runtime import TableState
from k8s_p4.target.spec import Spec

HIGHEST_PRIORITY = (1 << 29) - 2
"""rte_acl's bound, less the one that stands for none."""
_ACL_PRIORITY = (1 << 29) - 1


class Place(NamedTuple):
    """A field's place: bytes from the start, how many, and "little" or "big"."""

    at: int
    size: int
    order: str


def put(buffer: bytearray, place: Place, value: int) -> None:
    """Write a value."""
    buffer[place.at : place.at + place.size] = value.to_bytes(place.size, "little" if place.order == "little" else "big")


def get(data: bytes, place: Place) -> int:
    """Read a value."""
    return int.from_bytes(data[place.at : place.at + place.size], "little" if place.order == "little" else "big")


class SwxKey(NamedTuple):
    """An entry's identity for DPDK: of entries of one value and mask it keeps only one, whatever their priorities."""

    key: bytes
    mask: bytes | None


class KeyLayout:
    """One table's keys."""

    def __init__(self, scope: Scope, state: TableState, lpm_width: int) -> None:
        """`scope`: that of the assembly DPDK was given; `lpm_width`: bits of the prefix field in P4, for a table that has one."""
        refs = key_refs(scope, scope.spec.tables[state.spec.name])
        first = min((ref.offset for ref in refs), default=0)
        self._size = (max((ref.offset + ref.bits for ref in refs), default=0) - first) // 8
        # In packing order, which is that of `state.widths`; the lowest bits of a packed key are those of the last.
        self._places = [
            Place((ref.offset - first) // 8, ref.bits // 8, "little" if ref.space == "m" and ref.bits <= WORD else "big") for ref in refs
        ]
        self._widths = state.widths
        self._full = (1 << sum(state.widths)) - 1
        self._lpm_width = lpm_width
        kinds = {match for _, match in state.spec.keys}
        self.ternary = "wildcard" in kinds
        self.lpm = "lpm" in kinds

    def key(self, identity: Identity) -> SwxKey:
        """The key and mask of an identity (see `match.Identity`)."""
        if self.ternary:
            return SwxKey(self.bytes_of(identity[0]), self.bytes_of(identity[1]))
        if self.lpm:
            beyond = self._lpm_width - identity[0]
            # In P4 the prefix may be narrower than in the assembly: the bits above it are all compared.
            return SwxKey(self.bytes_of(identity[1] << beyond), self.bytes_of(self._full & ~((1 << beyond) - 1)))
        return SwxKey(self.bytes_of(identity), None)

    def packed(self, key: bytes) -> int:
        """The packed key of a learned entry; the inverse of `bytes_of`."""
        value = 0
        for place, width in zip(self._places, self._widths, strict=True):
            value = value << width | get(key, place)
        return value

    @property
    def size(self) -> int:
        """Bytes of a key."""
        return self._size

    def priority(self, identity: Identity) -> int:
        """DPDK's priority, of which the smallest wins."""
        if self.ternary:
            return _ACL_PRIORITY - int(identity[2])
        return self._lpm_width - int(identity[0]) if self.lpm else 0

    def bytes_of(self, packed: int) -> bytes:
        """A packed key as it lies in memory; the inverse of `packed`."""
        buffer = bytearray(self._size)
        for place, width in zip(reversed(self._places), reversed(self._widths), strict=True):
            put(buffer, place, packed & ((1 << width) - 1))
            packed >>= width
        return bytes(buffer)


class Arguments:
    """An action's number on DPDK, and how its arguments lie in an entry's data."""

    def __init__(self, number: int, bits: list[int]) -> None:
        """`bits` of each argument, negative for network order."""
        self.number = number
        self._places: list[Place] = []
        self.size = 0
        for each in bits:
            self._places.append(Place(self.size, abs(each) // 8, "big" if each < 0 or abs(each) > WORD else "little"))
            self.size += abs(each) // 8

    def data(self, params: tuple[int, ...]) -> bytes:
        """The data of these arguments."""
        buffer = bytearray(self.size)
        for place, value in zip(self._places, params, strict=True):
            put(buffer, place, value)
        return bytes(buffer)

    def params(self, data: bytes) -> tuple[int, ...]:
        """The arguments of that data."""
        return tuple(get(data, place) for place in self._places)


class MetadataReader:
    """The metadata of an assembly, from the bytes of where they are kept: DPDK's metadata, then each scratch header."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        found: dict[tuple[str, str], Place] = {}
        at = 0
        for header, fields in (("", layout.metadata), *layout.scratch.items()):
            for name, bits in fields:
                found[header, name] = Place(at, bits // 8, "big" if header or bits > WORD else "little")
                at += bits // 8
        self.size = at
        self._places = {field.name: found[layout.places[field.name]] for field in spec.structs[spec.metadata].fields}

    def value(self, data: bytes, name: str) -> int:
        """One field."""
        return get(data, self._places[name])

    def values(self, data: bytes) -> list[int]:
        """All fields, in the order of declaration; where several share a place, that of the last which was written."""
        return [get(data, place) for place in self._places.values()]
