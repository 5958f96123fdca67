"""Incarnations: a number for each life of an endpoint, so that what the switch learned about one never serves another.

No number is given twice: they count up, from a start drawn at random when nothing is remembered of an earlier run, because flows
that were learned then may still be on the switch. What is remembered is kept by the allocator, as text: `NUMBER MEANING` for each
endpoint and `next NUMBER`.
"""

from __future__ import annotations

import secrets

from .numbers import Names

KIND = "incarnation"
_LAST = (1 << 32) - 1
_STARTS = 1 << 31


class Incarnations:
    """The incarnations of endpoints, by meaning (`names.endpoint_meaning`)."""

    __slots__ = ("_names", "_next", "_numbers")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._numbers: dict[str, int] = {}
        self._next = 0
        for text, _ in list(names.items(KIND)):
            number, _, meaning = text.partition(" ")
            if number == "next":
                self._next = int(meaning)
            else:
                self._numbers[meaning] = int(number)

    def get(self, meaning: str) -> int:
        """The number of an endpoint's present life; a new one if it has none."""
        number = self._numbers.get(meaning)
        if number is None:
            number = self._numbers[meaning] = self._take()
            self._names.get(KIND, f"{number} {meaning}")
        return number

    def end(self, meaning: str) -> None:
        """The endpoint is gone: should it come back, that is another life."""
        number = self._numbers.pop(meaning, None)
        if number is not None:
            self._names.release(KIND, f"{number} {meaning}")

    def end_all_but(self, meanings: set[str]) -> None:
        """Endpoints that an earlier run knew and this one does not are gone as well."""
        for meaning in self._numbers.keys() - meanings:
            self.end(meaning)

    def _take(self) -> int:
        number = self._next or secrets.randbelow(_STARTS) + 1
        following = number % _LAST + 1
        if self._next:
            self._names.rename(KIND, f"next {self._next}", f"next {following}")
        else:
            self._names.get(KIND, f"next {following}")
        self._next = following
        return number
