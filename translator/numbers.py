"""Numbers of one kind, keyed by meaning, that are not given out again while old rows may still carry them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Names(Protocol):
    """What is needed of `datastore.allocator.Allocator`."""

    def get(self, kind: str, meaning: str) -> int: ...
    def find(self, kind: str, meaning: str) -> int | None: ...
    def release(self, kind: str, meaning: str) -> None: ...
    def rename(self, kind: str, old: str, new: str) -> None: ...
    def items(self, kind: str) -> Iterator[tuple[str, int]]: ...
    def meaning(self, kind: str, number: int) -> str | None: ...


class Numbers:
    """The numbers of one kind. What is retired keeps its number, under no meaning, until `settle`."""

    __slots__ = ("_aside", "_live", "_names", "_swept", "kind")

    def __init__(self, kind: str, names: Names) -> None:
        self.kind = kind
        self._names = names
        self._live: set[str] = set()
        self._aside: list[str] = []
        self._swept = False

    def __contains__(self, meaning: str) -> bool:
        """Whether the meaning is in use in this run."""
        return meaning in self._live

    def get(self, meaning: str) -> int:
        """The number of ``meaning``; an earlier run's number if the allocator remembers one."""
        self._live.add(meaning)
        return self._names.get(self.kind, meaning)

    def meaning(self, number: int) -> str:
        """What a number means; "?NUMBER" if it is free."""
        return self._names.meaning(self.kind, number) or f"?{number}"

    def rename(self, old: str, new: str) -> None:
        """Let the number of ``old`` mean ``new``, which must not be in use in this run."""
        self._live.discard(old)
        if old != new and self._names.find(self.kind, new) is not None:
            self._set_aside(new)
        self._names.rename(self.kind, old, new)
        self._live.add(new)

    def retire(self, meaning: str) -> None:
        """Free the meaning now and its number at `settle`."""
        self._live.discard(meaning)
        self._set_aside(meaning)

    def _set_aside(self, meaning: str) -> None:
        gone = f"gone:{self._names.find(self.kind, meaning)}"
        self._names.rename(self.kind, meaning, gone)
        self._aside.append(gone)

    def settle(self) -> None:
        """Give back what was retired; the first time also what an earlier run left and nothing took up."""
        for gone in self._aside:
            self._names.release(self.kind, gone)
        self._aside.clear()
        if not self._swept:
            self._swept = True
            for meaning in [meaning for meaning, _ in self._names.items(self.kind) if meaning not in self._live]:
                self._names.release(self.kind, meaning)
