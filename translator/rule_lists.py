"""Interned rule lists and slots of one policy stage: rows of `<stage>.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from .composition import Row
from .l4 import Box, expand
from .numbers import Names, Numbers
from .rules import Ref

Change = tuple[str, Any, Any]
"""(table, key, value); value None deletes."""

_EXACT = 0xFFFFFFFF
_ACTIONS = {"failsafe": "failsafe", "chain_end": "pass_on", "tunnel": "pass_on"}
"""What lets a packet through by something else than a rule, and the action for it."""


class RuleList:
    """One interned list: its number, its rows, and how many rows of other tables lead to it."""

    __slots__ = ("id", "meaning", "rows", "uses")

    def __init__(self, number: int, meaning: str, rows: tuple[Row, ...]) -> None:
        self.id, self.meaning, self.rows, self.uses = number, meaning, rows, 0


_SPARE = 1024
"""Texts and digests of paths that are kept though nothing may need them any more."""


def path_text(path: tuple[Ref, ...]) -> str:
    """A path as one line of text, the meaning of a slot."""
    return " > ".join(_ref_text(ref) for ref in path)


@lru_cache(maxsize=65536)
def _ref_text(ref: Ref) -> str:
    owner = "/".join(part for part in ref.owner if part) if isinstance(ref.owner, tuple) else ref.owner or ""
    place = "" if ref.rule_index is None else f"#{ref.rule_index}"
    rule_id = f"({ref.rule_id})" if ref.rule_id else ""
    return f"{ref.kind}:{ref.tier}:{owner}:{ref.direction}{place}:{ref.action}{rule_id}"


@lru_cache(maxsize=262144)
def _box_digest(box: Box) -> bytes:
    return blake2b(repr(tuple(box)).encode(), digest_size=8).digest()


class Slots:
    """Numbers for paths. A slot is a counter on the target: what decided, and what was passed on the way."""

    def __init__(self, stage: str, names: Names) -> None:
        self._numbers = Numbers(f"{stage}.slot", names)
        self._slots: dict[tuple[Ref, ...], list[Any]] = {}
        self._paths: dict[int, tuple[Ref, ...]] = {}
        self._digests: dict[tuple[Ref, ...], bytes] = {}
        self.retired: list[tuple[int, tuple[Ref, ...]]] = []
        """Slots that nothing leads to any more, whose counts somebody may still want; whoever takes them clears the list."""

    def acquire(self, path: tuple[Ref, ...]) -> int:
        """The number of ``path``, counted."""
        entry = self._slots.get(path)
        if entry is None:
            number = self._numbers.get(path_text(path))
            entry = self._slots[path] = [number, 0]
            self._paths[number] = path
        entry[1] += 1
        return int(entry[0])

    def digest(self, path: tuple[Ref, ...]) -> bytes:
        """Eight bytes that stand for the path, the same in every run."""
        found = self._digests.get(path)
        if found is None:
            found = self._digests[path] = blake2b(path_text(path).encode(), digest_size=8).digest()
        return found

    def release(self, path: tuple[Ref, ...]) -> None:
        """Give back one `acquire`."""
        entry = self._slots[path]
        entry[1] -= 1
        if not entry[1]:
            del self._slots[path], self._paths[entry[0]]
            self.retired.append((entry[0], path))
            self._digests.pop(path, None)
            self._numbers.retire(path_text(path))

    def settle(self) -> None:
        """Give back the numbers of slots that nothing leads to any more, and forget what was worked out for paths that are gone."""
        self._numbers.settle()
        if len(self._digests) > 2 * len(self._slots) + _SPARE:
            self._digests = {path: digest for path, digest in self._digests.items() if path in self._slots}
        if _ref_text.cache_info().currsize > _SPARE + 4 * len(self._slots):
            _ref_text.cache_clear()

    def path(self, number: int) -> tuple[Ref, ...] | None:
        """What slot ``number`` stands for."""
        return self._paths.get(number)

    def text(self, number: int) -> str:
        """The path as text; "?NUMBER" if the slot is not in use."""
        path = self._paths.get(number)
        return path_text(path) if path else f"?{number}"

    def items(self) -> Iterator[tuple[int, tuple[Ref, ...]]]:
        """All slots in use."""
        yield from self._paths.items()


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
