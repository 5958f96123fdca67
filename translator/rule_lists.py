"""Interned rule lists of one policy stage: rows of `<stage>.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from .composition import Row
from .l4 import Box, expand
from .numbers import Names, Numbers
from .slots import Slots

Change = tuple[str, Any, Any]
"""(table, key, value); value None deletes."""

_EXACT = 0xFFFFFFFF
_ACTIONS = {"chain_end": "pass_on"}
"""What lets a packet through by something else than a rule, and the action for it."""


class RuleList:
    """One interned list: its number, its rows, and how many rows of other tables lead to it."""

    __slots__ = ("id", "meaning", "rows", "uses")

    def __init__(self, number: int, meaning: str, rows: tuple[Row, ...]) -> None:
        self.id, self.meaning, self.rows, self.uses = number, meaning, rows, 0


@lru_cache(maxsize=262144)
def _box_digest(box: Box) -> bytes:
    return blake2b(repr(tuple(box)).encode(), digest_size=8).digest()


class RuleLists:
    """The lists of one stage, interned by content; new rows and rows to delete are emitted into ``changes``."""

    def __init__(self, stage: str, names: Names) -> None:
        self.table = f"{stage}.rules"
        self.slots = Slots(stage, names)
        self._numbers = Numbers(f"{stage}.list", names)
        self._by_rows: dict[tuple[Row, ...], RuleList] = {}
        self._by_id: dict[int, RuleList] = {}
        self._seen: dict[int, tuple[tuple[Row, ...], RuleList]] = {}
        self._idle: set[RuleList] = set()

    def get(self, rows: tuple[Row, ...], changes: list[Change]) -> RuleList:
        """The list with these rows, made if need be; it stays until `rest` finds it unused."""
        seen = self._seen.get(id(rows))
        if seen is not None:
            return seen[1]
        found = self._by_rows.get(rows)
        if found is None:
            meaning = self._meaning(rows)
            found = RuleList(self._numbers.get(meaning), meaning, rows)
            self._by_rows[rows] = found
            self._by_id[found.id] = found
            self._idle.add(found)
            changes.extend(self._table_rows(found))
        self._seen[id(rows)] = (rows, found)
        return found

    def use(self, found: RuleList) -> None:
        """Count one row that leads to the list."""
        if not found.uses:
            self._idle.discard(found)
        found.uses += 1

    def drop(self, found: RuleList) -> None:
        """Take back one `use`."""
        found.uses -= 1
        if not found.uses:
            self._idle.add(found)

    def rest(self, changes: list[Change]) -> None:
        """Delete the lists nobody uses; numbers deleted by the rest before this one are free again."""
        self._numbers.settle()
        self.slots.settle()
        self._seen.clear()
        for found in self._idle:
            self._delete(found, changes)
        self._idle.clear()

    def meaning(self, number: int) -> str:
        """A name that is the same in every run."""
        found = self._by_id.get(number)
        return found.meaning if found else f"?{number}"

    def _meaning(self, rows: tuple[Row, ...]) -> str:
        digest = blake2b(digest_size=12)
        for box, allow, path in rows:
            digest.update(_box_digest(box))
            digest.update(b"+" if allow else b"-")
            digest.update(self.slots.digest(path))
        return digest.hexdigest()

    def _table_rows(self, found: RuleList) -> Iterator[Change]:
        list_key = (found.id, _EXACT)
        priority = len(found.rows)
        for box, allow, path in found.rows:
            action = _ACTIONS.get(path[-1].kind, "allow") if allow else "deny"
            value = (action, self.slots.acquire(path))
            for key in expand(box):
                yield self.table, (list_key, *key, priority), value
            priority -= 1

    def _delete(self, found: RuleList, changes: list[Change]) -> None:
        changes.extend((self.table, key, None) for key in self._keys(found))
        for row in found.rows:
            self.slots.release(row.path)
        del self._by_rows[found.rows], self._by_id[found.id]
        self._numbers.retire(found.meaning)

    def _keys(self, found: RuleList) -> Iterable[Any]:
        list_key = (found.id, _EXACT)
        for priority, row in zip(range(len(found.rows), 0, -1), found.rows, strict=True):
            for key in expand(row.box):
                yield (list_key, *key, priority)
