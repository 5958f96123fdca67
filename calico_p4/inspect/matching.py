"""Which of the rows read back a look-up must have hit: what the target's own trace does not say.

The target tells the key it asked with, hit or miss, and the action; the row is found here, by the match kinds of P4Info. If there is
no such row, or its action is not the one that was run, target and read-back disagree, and that is an error, never passed over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from k8s_p4.rows import TABLES

Key = tuple[Any, ...]
Value = tuple[Any, ...]


class Disagreement(Exception):
    """What the target did is not what its entries say."""


class Index:
    """The rows of one table, arranged for finding the one that matches."""

    def __init__(self, table: str, rows: Mapping[Key, Value]) -> None:
        self._table, self._rows = TABLES[table], rows
        self._kinds = [field.kind for field in self._table.fields]
        self._lengths: list[tuple[int, ...]] | None = None
        self._by_first: dict[int | None, list[Key]] | None = None

    def find(self, asked: Sequence[int]) -> Key | None:
        """Return the key of the row that matches ``asked`` (one number for each field), None for a miss."""
        if "ternary" in self._kinds:
            return self._ternary(asked)
        if "lpm" in self._kinds:
            return self._lpm(asked)
        key = tuple(asked)
        return key if key in self._rows else None

    def _lpm(self, asked: Sequence[int]) -> Key | None:
        place = self._kinds.index("lpm")
        bits = self._table.fields[place].bits
        if self._lengths is None:
            self._lengths = sorted({(key[place][1],) for key in self._rows}, reverse=True)
        for (length,) in self._lengths:
            prefix = asked[place] >> (bits - length) << (bits - length)
            key = (*asked[:place], (prefix, length), *asked[place + 1 :])
            if key in self._rows:
                return key
        return None

    def _ternary(self, asked: Sequence[int]) -> Key | None:
        """The row of highest priority; rows are filed by their first field where that is exact in all its bits."""
        if self._by_first is None:
            full = (1 << self._table.fields[0].bits) - 1
            self._by_first = {}
            for key in self._rows:
                self._by_first.setdefault(key[0][0] if key[0][1] == full else None, []).append(key)
        candidates = self._by_first.get(asked[0], []) + self._by_first.get(None, [])
        return max((key for key in candidates if _matches(self._kinds, key, asked)), key=lambda key: int(key[-1]), default=None)


def _matches(kinds: Sequence[str], key: Key, asked: Sequence[int]) -> bool:
    return all((number & item[1]) == item[0] if kind == "ternary" else number == item for kind, item, number in zip(kinds, key, asked, strict=False))
