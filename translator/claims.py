"""Rows that several objects may ask for: the lowest claimant has its way, and only differences come out.

One index serves every part whose rows belong to objects: what an object asks for is set as a whole, and the part need not know
what it asked for before, nor who else asks for the same row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Claimant: TypeAlias = tuple[Any, ...]
"""Who asks. Tuples that can be compared with each other; the lowest wins."""
Row: TypeAlias = tuple[str, tuple[Any, ...]]
"""(table, key)."""
Change: TypeAlias = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]


class Claims:
    """Who asks for which rows with which values, and what was last given out."""

    __slots__ = ("_asked", "_claims", "_given", "_touched", "contested")

    def __init__(self) -> None:
        self._asked: dict[Claimant, Mapping[Row, tuple[Any, ...]]] = {}
        self._claims: dict[Row, dict[Claimant, tuple[Any, ...]]] = {}
        self._given: dict[Row, tuple[Any, ...]] = {}
        self._touched: set[Row] = set()
        self.contested: set[Row] = set()
        """Rows that more than one asks for."""

    def set(self, claimant: Claimant, rows: Mapping[Row, tuple[Any, ...]]) -> None:
        """Let `claimant` ask for these rows and for no others."""
        for row in self._asked.pop(claimant, {}):
            if row not in rows:
                self._drop(row, claimant)
        for row, value in rows.items():
            claims = self._claims.setdefault(row, {})
            claims[claimant] = value
            if len(claims) > 1:
                self.contested.add(row)
            self._touched.add(row)
        if rows:
            self._asked[claimant] = rows

    def claimants(self) -> list[Claimant]:
        """Who asks for anything."""
        return list(self._asked)

    def by_rank(self, row: Row) -> list[Claimant]:
        """Who asks for a row, the one that has it first."""
        return sorted(self._claims.get(row, ()))

    def changes(self) -> Iterator[Change]:
        """What differs from what was given out before; afterwards it counts as given out."""
        touched, self._touched = self._touched, set()
        for row in touched:
            claims = self._claims.get(row)
            value = claims[min(claims)] if claims else None
            if value != self._given.get(row):
                yield (*row, value)
                if value is None:
                    del self._given[row]
                else:
                    self._given[row] = value

    def _drop(self, row: Row, claimant: Claimant) -> None:
        claims = self._claims[row]
        del claims[claimant]
        if len(claims) < 2:
            self.contested.discard(row)
        if not claims:
            del self._claims[row]
        self._touched.add(row)
