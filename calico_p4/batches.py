"""Writes in the making: ops in batches, each with what is sent for it. The next one can be made before it is its turn."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from datastore.tracker import Op

Encode = Callable[[Sequence[Op]], Any]
"""Makes of ops what a Write of them sends."""


class Batch(NamedTuple):
    """Ops of one Write, at least one, and the same encoded."""

    ops: Sequence[Op]
    encoded: Any


class Batches:
    """Ops in batches of some size, the last one may be smaller."""

    def __init__(self, ops: Iterable[Op], size: int, encode: Encode) -> None:
        """``ops`` are asked for batch by batch."""
        self._due, self._size, self._encode = iter(ops), size, encode
        self._made: Batch | None = None
        self.ended = False
        """Whether all that there are have been made."""

    def make(self) -> None:
        """Make the next one, unless it is there."""
        if self._made is None and not self.ended:
            ops = list(islice(self._due, self._size))
            self.ended = len(ops) < self._size
            self._put(ops)

    def take(self) -> Batch | None:
        """Return the next one, None at the end."""
        self.make()
        batch, self._made = self._made, None
        return batch

    def revise(self, revised: Callable[[Sequence[Op]], list[Op]]) -> None:
        """Change what was made ahead."""
        if self._made is not None:
            self._put(revised(self._made.ops))

    def _put(self, ops: Sequence[Op]) -> None:
        self._made = Batch(ops, self._encode(ops)) if ops else None
