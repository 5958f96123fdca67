"""Frames on their way to somebody who watches: a bounded queue that the switch never waits for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

FRAMES = 1024
"""How many may wait, if nobody says otherwise."""
MOST_FRAMES = 65_536
MOST_WATCHERS = 8
"""At a time: each holds a thread of the server."""


class WatchQueue:
    """What waits for one watcher. A gap stands where frames did not fit: their number, in the order of the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Any] = deque()
        self._frames = self._lost = 0
        self._changed = threading.Condition()
        self._closed = False

    def offer(self, make: Callable[[], Any]) -> None:
        """Add what ``make`` returns, which is not called when there is no room: then one more is lost."""
        with self._changed:
            if self._frames >= self._limit:
                self._lost += 1
                return
            if self._lost:
                self._items.append(self._lost)
                self._lost = 0
            self._items.append(make())
            self._frames += 1
            self._changed.notify()

    def close(self) -> None:
        """End the iteration; what waits is thrown away."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def __iter__(self) -> Iterator[Any]:
        """Yield what was added, and an int for each gap, until it is closed."""
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items or self._lost)
            if self._closed:
                return None
            if not self._items:
                lost, self._lost = self._lost, 0
                return lost
            item = self._items.popleft()
            self._frames -= not isinstance(item, int)
            return item
