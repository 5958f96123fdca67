"""Match structures: exact, longest prefix, ternary. Keys are one packed int each, so that a look-up hashes ints only.

A key's fields are packed most significant first; the field of an LPM table stands last. An entry is a plain tuple (`Entry`) made by
the caller; the structures read nothing of it but its priority.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

# (function, parameters, id from 1 on, priority, action binding, extra): see `tables.Table`. Index of the priority:
PRIORITY = 3
Entry = tuple[Any, ...]
# What identifies an entry: exact: the packed key; LPM: (prefix length, packed key without the bits beyond it); ternary:
# (value, mask, priority).
Identity = Any
# Up to here a sorted list beats one dict per mask.
_SCAN_BOUND = 24


class Match(Protocol):
    """What the three structures have in common."""

    def __len__(self) -> int: ...

    def get(self, identity: Identity) -> Entry | None:
        """The entry of that identity."""

    def put(self, identity: Identity, entry: Entry) -> None:
        """Add or replace."""

    def remove(self, identity: Identity) -> None:
        """Remove one that exists."""

    def items(self) -> Iterator[tuple[Identity, Entry]]:
        """All of them, in no promised order."""

    def lookup(self, key: int) -> Entry | None:
        """The entry a packet with this packed key hits."""

    def clear(self) -> None:
        """Remove all."""


class Exact:
    """One dict."""

    __slots__ = ("entries", "get", "lookup")

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.get = self.lookup = self.entries.get

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, identity: int, entry: Entry) -> None:
        """Add or replace."""
        self.entries[identity] = entry

    def remove(self, identity: int) -> None:
        """Remove one that exists."""
        del self.entries[identity]

    def items(self) -> Iterator[tuple[int, Entry]]:
        """All entries by packed key."""
        return iter(self.entries.items())

    def clear(self) -> None:
        """Remove all."""
        self.entries.clear()


class Lpm:
    """One dict for each prefix length in use, tried from the longest; exact fields stand before the prefix."""

    __slots__ = ("_by_length", "_levels", "_size", "_width")

    def __init__(self, width: int) -> None:
        """`width`: bits of the prefix field."""
        self._width = width
        self._by_length: dict[int, dict[int, Entry]] = {}
        self._levels: list[tuple[int, dict[int, Entry]]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def get(self, identity: tuple[int, int]) -> Entry | None:
        """The entry of (prefix length, key shifted by width - length)."""
        level = self._by_length.get(identity[0])
        return None if level is None else level.get(identity[1])

    def put(self, identity: tuple[int, int], entry: Entry) -> None:
        """Add or replace."""
        length, key = identity
        level = self._by_length.get(length)
        if level is None:
            level = self._by_length[length] = {}
            self._levels = [(self._width - n, self._by_length[n]) for n in sorted(self._by_length, reverse=True)]
        self._size += key not in level
        level[key] = entry

    def remove(self, identity: tuple[int, int]) -> None:
        """Remove one that exists."""
        length, key = identity
        del self._by_length[length][key]
        self._size -= 1
        if not self._by_length[length]:
            del self._by_length[length]
            self._levels = [level for level in self._levels if level[1]]

    def items(self) -> Iterator[tuple[tuple[int, int], Entry]]:
        """All entries by (prefix length, shifted key)."""
        for length, level in self._by_length.items():
            for key, entry in level.items():
                yield (length, key), entry

    def lookup(self, key: int) -> Entry | None:
        """The longest prefix that covers the key."""
        for shift, level in self._levels:
            entry = level.get(key >> shift)
            if entry is not None:
                return entry
        return None

    def clear(self) -> None:
        """Remove all."""
        self._by_length.clear()
        self._levels, self._size = [], 0


class _Bucket:
    """Rows that share their first field, ordered for look-up when the first packet after a change comes."""

    __slots__ = ("_groups", "_sorted", "_stale", "rows")

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int, int], Entry] = {}
        self._sorted: list[tuple[int, int, Entry]] = []
        self._groups: list[tuple[int, int, dict[int, Entry]]] = []
        self._stale = True

    def touch(self) -> None:
        self._stale = True

    def lookup(self, key: int) -> Entry | None:
        if self._stale:
            self._arrange()
        for mask, value, entry in self._sorted:
            if key & mask == value:
                return entry
        return self._among_groups(key) if self._groups else None

    def _among_groups(self, key: int) -> Entry | None:
        best: Entry | None = None
        reached = 0
        for highest, mask, by_value in self._groups:
            if highest <= reached:
                break
            entry = by_value.get(key & mask)
            if entry is not None and entry[PRIORITY] > reached:
                best, reached = entry, entry[PRIORITY]
        return best

    def _arrange(self) -> None:
        # Equal priorities: P4Runtime leaves open which wins; by mask and value it does not depend on the order of arrival.
        rows = sorted((-priority, mask, value) for value, mask, priority in self.rows)
        ordered = [(mask, value, self.rows[value, mask, -minus]) for minus, mask, value in rows]
        few = len(ordered) <= _SCAN_BOUND
        self._sorted = ordered if few else []
        self._groups = [] if few else _by_mask(ordered)
        self._stale = False


def _by_mask(ordered: list[tuple[int, int, Entry]]) -> list[tuple[int, int, dict[int, Entry]]]:
    """One dict per mask, in the order of the highest priority in each."""
    groups: dict[int, dict[int, Entry]] = {}
    highest: dict[int, int] = {}
    for mask, value, entry in ordered:
        groups.setdefault(mask, {}).setdefault(value, entry)
        highest.setdefault(mask, entry[PRIORITY])
    return [(highest[mask], mask, by_value) for mask, by_value in groups.items()]


class Ternary:
    """Value and mask by priority, larger wins; rows whose first field is fully masked are found by that field."""

    __slots__ = ("_buckets", "_full", "_shift", "_size", "_wild")

    def __init__(self, shift: int, full: int) -> None:
        """`shift`: bits below the first field; `full`: that field's mask when every bit counts."""
        self._shift = shift
        self._full = full
        self._buckets: dict[int, _Bucket] = {}
        self._wild = _Bucket()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def _bucket(self, identity: tuple[int, int, int]) -> _Bucket | None:
        if identity[1] >> self._shift == self._full:
            return self._buckets.get(identity[0] >> self._shift)
        return self._wild

    def get(self, identity: tuple[int, int, int]) -> Entry | None:
        """The entry of (value, mask, priority)."""
        bucket = self._bucket(identity)
        return None if bucket is None else bucket.rows.get(identity)

    def put(self, identity: tuple[int, int, int], entry: Entry) -> None:
        """Add or replace."""
        bucket = self._bucket(identity)
        if bucket is None:
            bucket = self._buckets[identity[0] >> self._shift] = _Bucket()
        self._size += identity not in bucket.rows
        bucket.rows[identity] = entry
        bucket.touch()

    def remove(self, identity: tuple[int, int, int]) -> None:
        """Remove one that exists."""
        bucket = self._bucket(identity)
        if bucket is None:
            raise KeyError(identity)
        del bucket.rows[identity]
        bucket.touch()
        self._size -= 1
        if not bucket.rows and bucket is not self._wild:
            del self._buckets[identity[0] >> self._shift]

    def items(self) -> Iterator[tuple[tuple[int, int, int], Entry]]:
        """All entries by (value, mask, priority)."""
        yield from self._wild.rows.items()
        for bucket in self._buckets.values():
            yield from bucket.rows.items()

    def lookup(self, key: int) -> Entry | None:
        """The entry with the largest priority whose value equals the key under its mask."""
        bucket = self._buckets.get(key >> self._shift)
        found = None if bucket is None else bucket.lookup(key)
        if not self._wild.rows:
            return found
        other = self._wild.lookup(key)
        if found is None or (other is not None and other[PRIORITY] > found[PRIORITY]):
            return other
        return found

    def clear(self) -> None:
        """Remove all."""
        self._buckets.clear()
        self._wild = _Bucket()
        self._size = 0
