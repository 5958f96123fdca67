"""Match structures that note what was changed, so that the same can be done to DPDK's tables before the next packet."""

from __future__ import annotations

from collections.abc import Iterator

from k8s_p4.target.dpdk.keys import HIGHEST_PRIORITY
from k8s_p4.target.errors import out_of_range
from k8s_p4.target.match import Entry, Identity, Match


class Journal:
    """A match structure; `changed` holds the identities put or removed since it was last emptied."""

    def __init__(self, match: Match, ternary: bool) -> None:
        self._match = match
        self._ternary = ternary
        self.changed: set[Identity] = set()
        self.get = match.get
        self.lookup = match.lookup

    def __len__(self) -> int:
        return len(self._match)

    def put(self, identity: Identity, entry: Entry) -> None:
        """Add or replace.

        Raises:
            Refused: OUT_OF_RANGE for a priority that DPDK can't tell from the highest.
        """
        if self._ternary and identity[2] > HIGHEST_PRIORITY:
            raise out_of_range(f"priority {identity[2]} is above {HIGHEST_PRIORITY}, the highest of this target")
        self._match.put(identity, entry)
        self.changed.add(identity)

    def remove(self, identity: Identity) -> None:
        """Remove one that exists."""
        self._match.remove(identity)
        self.changed.add(identity)

    def drop(self, identity: Identity) -> None:
        """Remove what was put but could not be kept."""
        self._match.remove(identity)

    def items(self) -> Iterator[tuple[Identity, Entry]]:
        """All of them."""
        return self._match.items()

    def clear(self) -> None:
        """Remove all."""
        self.changed.update(identity for identity, _ in self._match.items())
        self._match.clear()
