"""Interned rule lists of one policy stage: rows of `<stage>.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from .composition import Row
from .l4 import Box, expand
from .numbers import Names, Numbers
from .rules import Ref
from .slots import LAST_PASSED, OWN, OWN_BITS, Slots

Change = tuple[str, Any, Any]
"""(table, key, value); value None deletes."""

_ACTIONS = {"chain_end": "pass_on"}
"""What lets a packet through by something else than a rule, and the action for it."""


class Body:
    """The rows that lists share: their number, and how many lists have them."""

    __slots__ = ("id", "meaning", "rows", "uses")

    def __init__(self, number: int, meaning: str, rows: tuple[Row, ...]) -> None:
        self.id, self.meaning, self.rows, self.uses = number, meaning, rows, 0


class RuleList:
    """One interned list: a body, and what every row of the list passed before. How many rows of other tables lead to it."""

    __slots__ = ("body", "id", "meaning", "passed", "rows", "uses")

    def __init__(self, body: Body, number: int, meaning: str, passed: tuple[Ref, ...], rows: tuple[Row, ...]) -> None:
        self.body, self.id, self.meaning, self.passed, self.rows, self.uses = body, number, meaning, passed, rows, 0


@lru_cache(maxsize=262144)
def _box_digest(box: Box) -> bytes:
    return blake2b(repr(tuple(box)).encode(), digest_size=8).digest()


def passed_by_all(rows: tuple[Row, ...]) -> tuple[Ref, ...]:
    """What all rows have passed, by their paths: not what decides."""
    first = rows[0].path[:-1]
    length = len(first)
    for row in rows:
        path = row.path
        length = min(length, len(path) - 1)
        while length and path[:length] != first[:length]:
            length -= 1
        if not length:
            break
    return first[:length]


class RuleLists:
    """The lists of one stage, interned by content; new rows and rows to delete are emitted into ``changes``."""

    def __init__(self, stage: str, names: Names) -> None:
        self.table = f"{stage}.rules"
        self.slots = Slots(stage, names)
        self.passed = Slots(stage, names, first=1, kind="passed")
        self._numbers = Numbers(f"{stage}.list", names)
        self._bodies: dict[tuple[Row, ...], Body] = {}
        self._bodies_by_id: dict[int, Body] = {}
        self._by_rows: dict[tuple[Row, ...], RuleList] = {}
        self._by_id: dict[int, RuleList] = {}
        self._seen: dict[int, tuple[tuple[Row, ...], RuleList]] = {}
        self._idle: set[RuleList] = set()

    def get(self, rows: tuple[Row, ...], changes: list[Change]) -> RuleList:
        """The list with these rows, made if need be; it stays until `rest` finds it unused."""
        seen = self._seen.get(id(rows))
        if seen is not None:
            return seen[1]
        found = self._by_rows.get(rows) or self._make(rows, changes)
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
        self.passed.settle()
        self._seen.clear()
        for found in self._idle:
            self._delete(found, changes)
        self._idle.clear()

    def meaning(self, number: int) -> str:
        """A name that is the same in every run, of a list or the rows of one."""
        found = self._by_id.get(number) or self._bodies_by_id.get(number)
        return found.meaning if found else f"?{number}"

    def path(self, slot: int) -> tuple[Ref, ...] | None:
        """What a slot told with a packet stands for, or either part of one; None if nothing leads to it."""
        passed = self.passed.path(slot >> OWN_BITS) if slot >> OWN_BITS else ()
        own = self.slots.path(slot & OWN) if slot & OWN else ()
        return None if passed is None or own is None else (*passed, *own)

    def all_slots(self) -> Iterator[tuple[int, tuple[Ref, ...]]]:
        """All slots in use, and what was passed on the way to lists."""
        yield from self.slots.items()
        yield from ((number << OWN_BITS, path) for number, path in self.passed.items())

    def retired(self, forget: bool) -> Iterator[tuple[int, tuple[Ref, ...]]]:
        """As `all_slots`, those that nothing leads to any more."""
        yield from self.slots.retired
        yield from ((number << OWN_BITS, path) for number, path in self.passed.retired)
        if forget:
            self.slots.retired.clear()
            self.passed.retired.clear()

    def _make(self, rows: tuple[Row, ...], changes: list[Change]) -> RuleList:
        passed = passed_by_all(rows)
        number = self.passed.acquire(passed) if passed else 0
        if number > LAST_PASSED:
            self.passed.release(passed)
            passed, number = (), 0
        own = tuple(Row(box, allow, path[len(passed) :]) for box, allow, path in rows) if passed else rows
        body = self._bodies.get(own) or self._make_body(own, changes)
        body.uses += 1
        meaning = f"{self.passed.digest(passed).hex()}+{body.meaning}" if passed else body.meaning
        found = self._by_rows[rows] = RuleList(body, number << OWN_BITS | body.id, meaning, passed, rows)
        self._by_id[found.id] = found
        self._idle.add(found)
        return found

    def _make_body(self, rows: tuple[Row, ...], changes: list[Change]) -> Body:
        meaning = self._meaning(rows)
        body = self._bodies[rows] = Body(self._numbers.get(meaning), meaning, rows)
        self._bodies_by_id[body.id] = body
        changes.extend(self._table_rows(body))
        return body

    def _meaning(self, rows: tuple[Row, ...]) -> str:
        digest = blake2b(digest_size=12)
        for box, allow, path in rows:
            digest.update(_box_digest(box))
            digest.update(b"+" if allow else b"-")
            digest.update(self.slots.digest(path))
        return digest.hexdigest()

    def _table_rows(self, body: Body) -> Iterator[Change]:
        list_key = (body.id, OWN)
        priority = len(body.rows)
        for box, allow, path in body.rows:
            action = _ACTIONS.get(path[-1].kind, "allow") if allow else "deny"
            value = (action, self.slots.acquire(path))
            for key in expand(box):
                yield self.table, (list_key, *key, priority), value
            priority -= 1

    def _delete(self, found: RuleList, changes: list[Change]) -> None:
        del self._by_rows[found.rows], self._by_id[found.id]
        if found.passed:
            self.passed.release(found.passed)
        found.body.uses -= 1
        if not found.body.uses:
            self._delete_body(found.body, changes)

    def _delete_body(self, body: Body, changes: list[Change]) -> None:
        changes.extend((self.table, key, None) for key in self._keys(body))
        for row in body.rows:
            self.slots.release(row.path)
        del self._bodies[body.rows], self._bodies_by_id[body.id]
        self._numbers.retire(body.meaning)

    def _keys(self, body: Body) -> Iterable[Any]:
        list_key = (body.id, OWN)
        for priority, row in zip(range(len(body.rows), 0, -1), body.rows, strict=True):
            for key in expand(row.box):
                yield (list_key, *key, priority)
