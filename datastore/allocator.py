"""Small stable numbers for things that have long names: port numbers, identities, chains, rule lists, next hops.

A number is keyed by what it *means* (a text that the translator makes), never by order of arrival: Felix sends a snapshot in
random order, and a driver that restarts must find the numbers that are already on the switch. With a path the table of numbers
lives in an SQLite file; changes gather in memory and ``flush`` writes them in one transaction, before the rows that use them are
pushed. Without a path nothing survives.

Every operation costs a dictionary look-up, plus a step in a heap of free numbers when one is given back or reused.
"""

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FORMAT = 1  # PRAGMA user_version of the file
_CREATE = "CREATE TABLE IF NOT EXISTS ids (kind TEXT, id INTEGER, meaning TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"


class AllocatorError(Exception):
    """The allocator's file can't be used; the text names the file and what is wrong with it."""


@dataclass(slots=True)
class _Kind:
    """The numbers of one kind: both directions, and what is free below the highest ever given."""

    ids: dict[str, int] = field(default_factory=dict)
    meanings: dict[int, str] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    top: int = 0
    changed: set[int] = field(default_factory=set)

    def take(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.top += 1
        return self.top


class Allocator:
    """Numbers from 1 up, per kind, by meaning; kept in the SQLite file ``path`` if one is given."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Open or create the file.

        Raises:
            AllocatorError: the file is no allocator file, is damaged, or is in use by another process.
        """
        self._kinds: dict[str, _Kind] = {}
        self._path = path
        self._file = _open(path) if path is not None else None
        if self._file is not None:
            self._load()

    def get(self, kind: str, meaning: str) -> int:
        """Return the number that stands for ``meaning``: the one it has, else the smallest free one."""
        numbers = self._kinds.get(kind)
        if numbers is None:
            numbers = self._kinds[kind] = _Kind()
        known = numbers.ids.get(meaning)
        return known if known is not None else _assign(numbers, numbers.take(), meaning)

    def adopt(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Let each number of the (kind, meaning, number) stand for its meaning, as it did where this comes from.

        Raises:
            AllocatorError: a number is none, or it or its meaning is taken.
        """
        for kind, meaning, number in rows:
            numbers = self._kinds.setdefault(kind, _Kind())
            if number in numbers.meanings:
                raise AllocatorError(f"{kind}: {number} stands for {numbers.meanings[number]!r} and can't stand for {meaning!r}")
            self._adopt(numbers, kind, number, meaning)
        for numbers in self._kinds.values():
            numbers.free = [free for free in range(1, numbers.top) if free not in numbers.meanings]

    def find(self, kind: str, meaning: str) -> int | None:
        """Return the number that stands for ``meaning``, or None; gives out nothing."""
        numbers = self._kinds.get(kind)
        return None if numbers is None else numbers.ids.get(meaning)

    def meaning(self, kind: str, number: int) -> str | None:
        """Return what ``number`` stands for, or None if it is free."""
        numbers = self._kinds.get(kind)
        return None if numbers is None else numbers.meanings.get(number)

    def release(self, kind: str, meaning: str) -> None:
        """Give a number back. Raises KeyError if ``meaning`` has none: a double release is a fault of the caller."""
        numbers = self._kinds.get(kind, _Kind())
        number = numbers.ids.pop(meaning)
        del numbers.meanings[number]
        numbers.changed.add(number)
        heapq.heappush(numbers.free, number)

    def rename(self, kind: str, old: str, new: str) -> None:
        """Let the number of ``old`` stand for ``new`` from now on.

        Raises:
            KeyError: ``old`` has no number.
            ValueError: ``new`` already has one; two numbers never get one meaning.
        """
        numbers = self._kinds.get(kind, _Kind())
        if new in numbers.ids and new != old:
            raise ValueError(f"{kind}: {new!r} already has number {numbers.ids[new]}")
        _assign(numbers, numbers.ids.pop(old), new)

    @property
    def empty(self) -> bool:
        """Whether no number is in use: nothing was kept from an earlier run."""
        return not any(kind.ids for kind in self._kinds.values())

    def items(self, kind: str) -> Iterator[tuple[str, int]]:
        """Yield (meaning, number) of one kind, in no particular order."""
        numbers = self._kinds.get(kind)
        yield from (() if numbers is None else numbers.ids.items())

    def kinds(self) -> list[str]:
        """Return the kinds that have been asked for, sorted."""
        return sorted(self._kinds)

    def flush(self) -> None:
        """Write what changed since the last flush, in one transaction; does nothing without a file.

        Raises:
            AllocatorError: the file could not be written; the changes stay due.
        """
        dirty = [(name, kind) for name, kind in self._kinds.items() if kind.changed]
        if self._file is not None and dirty:
            self._write(self._file, dirty)
        for _name, kind in dirty:
            kind.changed.clear()

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, file: sqlite3.Connection, dirty: list[tuple[str, _Kind]]) -> None:
        gone = [(name, number) for name, kind in dirty for number in kind.changed if number not in kind.meanings]
        kept = [(name, number, kind.meanings[number]) for name, kind in dirty for number in kind.changed if number in kind.meanings]
        try:
            with file:
                file.executemany("DELETE FROM ids WHERE kind = ? AND id = ?", gone)
                file.executemany("INSERT OR REPLACE INTO ids VALUES (?, ?, ?)", kept)
        except sqlite3.Error as error:
            raise AllocatorError(f"{self._path}: {error}") from error

    def _load(self) -> None:
        assert self._file is not None
        try:
            rows = self._file.execute("SELECT kind, id, meaning FROM ids").fetchall()
        except sqlite3.Error as error:
            raise AllocatorError(f"{self._path}: {error}") from error
        for name, number, meaning in rows:
            self._adopt(self._kinds.setdefault(name, _Kind()), name, number, meaning)
        for kind in self._kinds.values():
            kind.free = [number for number in range(1, kind.top) if number not in kind.meanings]
            kind.changed.clear()

    def _adopt(self, kind: _Kind, name: str, number: int, meaning: str) -> None:
        if not isinstance(number, int) or number < 1 or meaning in kind.ids:
            raise AllocatorError(f"{self._path}: row ({name!r}, {number!r}, {meaning!r}) is not one that was written here")
        _assign(kind, number, meaning)
        kind.top = max(kind.top, number)


def _assign(kind: _Kind, number: int, meaning: str) -> int:
    kind.ids[meaning] = number
    kind.meanings[number] = meaning
    kind.changed.add(number)
    return number


def _open(path: str | Path) -> sqlite3.Connection:
    """Open the file for this process alone: two drivers on one file would give one number two meanings."""
    try:
        file = sqlite3.connect(path, timeout=2.0)
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = file.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _FORMAT):
            raise AllocatorError(f"{path}: format {version}, this program knows {_FORMAT}")
        with file:
            file.execute("BEGIN EXCLUSIVE")
            file.execute(_CREATE)
            file.execute(f"PRAGMA user_version = {_FORMAT}")
    except sqlite3.Error as error:
        raise AllocatorError(f"{path}: {error}") from error
    return file
