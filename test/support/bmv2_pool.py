"""BMv2 in place of every embedded target that is made in a process, also of several at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from calico_p4 import switch
from test.support.bmv2 import Bmv2, Bmv2Switch, served
from test.support.target import MAKES, SERVES

MOST = 6
"""Switches that run at once. Whoever needs one more gets the one that was taken first: of a test that left it open."""


class Pool:
    """Switches that run, whether they are in use or not."""

    def __init__(self) -> None:
        self._running: list[Bmv2] = []

    def take(self) -> Bmv2Switch:
        """A connection to one that nobody uses, empty."""
        free = next((each for each in self._running if each.current is None), None)
        if free is None and len(self._running) < MOST:
            free = Bmv2()
        elif free is None:
            free = self._running[0]
        if free in self._running:
            self._running.remove(free)
        self._running.append(free)
        return Bmv2Switch(free, sweep=True)

    def close(self) -> None:
        """End all of them."""
        for each in self._running:
            each.close()


@contextlib.contextmanager
def in_place_of_embedded() -> Iterator[None]:
    """Whoever asks for an embedded switch from now on, the product included, gets one of BMv2's."""
    pool, embedded = Pool(), switch.embedded
    MAKES.append(pool.take)
    SERVES.append(("v1model", served))
    switch.embedded = pool.take
    try:
        yield
    finally:
        MAKES.pop()
        SERVES.pop()
        switch.embedded = embedded
        pool.close()
