"""What is wanted and what is there, per table, and the difference between the two.

Generic: tables, keys and values are any hashable things; nothing here knows what a row is. Kept are the desired rows, and for
the keys where the target holds something else, what it holds. That is all: a row that is on the target as wanted costs one
dictionary entry, and the pending operations are read off the differing keys, so the work is proportional to the change and
never to the state.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any, Literal, NamedTuple

Key = Hashable
Value = Hashable
Change = tuple[str, Key, Value | None]
Kind = Literal["insert", "modify", "delete"]


class Op(NamedTuple):
    """One write that is due: ``value`` is what the target shall hold, None for a delete."""

    kind: Kind
    table: str
    key: Key
    value: Value | None


_NOTHING: Any = object()
_TABLE = attrgetter("table")


@dataclass(slots=True)
class _Table:
    """Desired rows, and for every differing key the value that is on the target (None: no row there)."""

    desired: dict[Key, Value] = field(default_factory=dict)
    differs: dict[Key, Value | None] = field(default_factory=dict)

    def actual(self, key: Key) -> Value | None:
        return self.differs[key] if key in self.differs else self.desired.get(key)

    def want(self, key: Key, value: Value | None) -> None:
        if key not in self.desired and key not in self.differs:  # a new row, which most are
            if value is not None:
                self.desired[key], self.differs[key] = value, None
            return
        there = self.actual(key)
        if value is None:
            self.desired.pop(key, None)
        else:
            self.desired[key] = value
        self._settle(key, value, there)

    def learn(self, key: Key, there: Value | None) -> None:
        self._settle(key, self.desired.get(key), there)

    def learn_all(self, keys: Sequence[Key], there: Sequence[Value | None]) -> None:
        if list(map(self.desired.get, keys)) == there:  # nothing else was desired since; a loop takes twice as long
            deque(map(self.differs.pop, keys, repeat(None)), maxlen=0)
            self.shrink()
        else:
            deque(map(self.learn, keys, there), maxlen=0)

    def _settle(self, key: Key, wanted: Value | None, there: Value | None) -> None:
        if wanted == there:
            self.differs.pop(key, None)
            self.shrink()
        else:
            self.differs[key] = there

    def shrink(self) -> None:
        if not self.differs:  # a dict keeps the room it once had: a snapshot's worth of it
            self.differs = {}


class Tracker:
    """Desired and actual rows of all tables.

    ``desired.apply(changes)`` says what is wanted, ``pending()`` what to write, ``confirm(op)`` that a write was carried out,
    ``fail(op, error)`` that it was refused, ``actual.replace(table, rows)`` what was read back.
    """

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._errors: dict[tuple[str, Key], str] = {}
        self.desired = Desired(self._tables, self._errors)
        self.actual = Actual(self._tables, self._errors)

    def pending(self) -> Iterator[Op]:
        """Yield what has to be written for the target to hold the desired rows; stable while nothing is applied or confirmed."""
        for name, table in self._tables.items():
            for key, there in table.differs.items():
                yield _op(name, key, table.desired.get(key), there)

    def pending_in(self, table: str, deletes: bool | None = None) -> Iterator[Op]:
        """Yield what has to be written to one table, of deletes or all others only if asked. Confirming
        what was yielded, applying and reading back meanwhile do not disturb."""
        rows = _table(self._tables, table)
        differs, desired = rows.differs, rows.desired
        for key, there in zip(list(differs), list(differs.values()), strict=True):
            if rows.differs is not differs and (there := rows.differs.get(key, _NOTHING)) is _NOTHING:  # read back meanwhile
                continue
            wanted = desired.get(key)
            if deletes is not None and (wanted is None) is not deletes:
                continue
            kind: Kind = "delete" if wanted is None else "insert" if there is None else "modify"
            yield tuple.__new__(Op, (kind, table, key, wanted))  # half the price of Op(...)

    def pending_count(self) -> int:
        """Return how many writes are due."""
        return sum(len(table.differs) for table in self._tables.values())

    def pending_op(self, table: str, key: Key) -> Op | None:
        """Return the write that is due for one key, or None if the target holds what is wanted."""
        rows = self._tables.get(table)
        if rows is None or key not in rows.differs:
            return None
        return _op(table, key, rows.desired.get(key), rows.differs[key])

    def confirm(self, op: Op) -> None:
        """Record that the target carried ``op`` out; what was desired since stays pending."""
        self._tables[op.table].learn(op.key, op.value)
        if self._errors:
            self._errors.pop((op.table, op.key), None)

    def confirm_all(self, ops: Sequence[Op]) -> None:
        """As ``confirm`` for each."""
        for name, run in groupby(ops, _TABLE):
            changed = list(run)
            self._tables[name].learn_all([op.key for op in changed], [op.value for op in changed])
        if self._errors:
            for op in ops:
                self._errors.pop((op.table, op.key), None)

    def fail(self, op: Op, error: str) -> None:
        """Record that the target refused ``op``: it stays pending, with the reason, until confirmed or no longer wanted."""
        self._errors[op.table, op.key] = error

    def errors(self) -> Mapping[tuple[str, Key], str]:
        """Return the reasons of the refused writes that are still pending."""
        return self._errors


class Desired:
    """The wanted side of a ``Tracker``."""

    def __init__(self, tables: dict[str, _Table], errors: dict[tuple[str, Key], str]) -> None:
        self._tables, self._errors = tables, errors

    def apply(self, changes: Iterable[Change]) -> list[tuple[str, Key]]:
        """Set rows, or with value None unset them; returns the keys touched, in order. The last change of a key counts."""
        touched = []
        for name, key, value in changes:
            table = _table(self._tables, name)
            table.want(key, value)
            touched.append((name, key))
            if self._errors:  # what was refused is not what is wanted now
                self._errors.pop((name, key), None)
        return touched

    def load(self, changes: Iterable[Change]) -> None:
        """As ``apply``, for a snapshot: nobody asks which keys were touched."""
        for name, key, value in changes:
            _table(self._tables, name).want(key, value)

    def rows(self, table: str) -> Mapping[Key, Value]:
        """Return the desired rows of one table, read-only."""
        return _table(self._tables, table).desired

    def tables(self) -> list[str]:
        """Return the names of the tables that ever held something, sorted."""
        return sorted(self._tables)


class Actual:
    """What is on the target, as far as was confirmed or read back."""

    def __init__(self, tables: dict[str, _Table], errors: dict[tuple[str, Key], str]) -> None:
        self._tables, self._errors = tables, errors

    def get(self, table: str, key: Key) -> Value | None:
        """Return what the target holds under ``key``, None if nothing."""
        return _table(self._tables, table).actual(key)

    def replace(self, table: str, rows: Mapping[Key, Value]) -> None:
        """Take ``rows`` for the whole content of ``table`` on the target: what a read-back says replaces what was believed."""
        known = _table(self._tables, table)
        known.differs = dict.fromkeys(known.desired.keys() - rows.keys())
        for key, there in rows.items():
            known.learn(key, there)
        for name, key in [of for of in self._errors if of[0] == table and of[1] not in known.differs]:
            del self._errors[name, key]

    def rows(self, table: str) -> dict[Key, Value]:
        """Return a copy of what the target holds in one table."""
        known = _table(self._tables, table)
        there = dict(known.desired)
        for key, value in known.differs.items():
            if value is None:
                there.pop(key, None)
            else:
                there[key] = value
        return there

    def count(self, table: str) -> int:
        """Return the number of rows that the target holds in one table."""
        known = _table(self._tables, table)
        absent = sum(1 for key, value in known.differs.items() if value is None and key in known.desired)
        extra = sum(1 for key, value in known.differs.items() if value is not None and key not in known.desired)
        return len(known.desired) - absent + extra


def _table(tables: dict[str, _Table], name: str) -> _Table:
    table = tables.get(name)
    if table is None:
        table = tables[name] = _Table()
    return table


def _op(table: str, key: Key, wanted: Value | None, there: Value | None) -> Op:
    kind: Kind = "delete" if wanted is None else "insert" if there is None else "modify"
    return Op(kind, table, key, wanted)
