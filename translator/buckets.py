"""Which backend each bucket of a group leads to: a pure function of the set of backends, even, and steady under change.

A group has a power of two of buckets, 12 to 24 for each backend up to a bound; a packet takes bucket `hash & (buckets - 1)`. The buckets are dealt with
in `COLUMNS` columns: all buckets that agree in the lowest bits of their number. Every backend likes every column so much, by a hash
of its own; wishes are granted from the strongest on, while the column has buckets left and the backend may have more. So when one backend comes
or goes, it is mostly its own buckets that move; the rest makes room for the shares to stay even.

A table twice as large has the same columns, only finer. Within a column the buckets are numbered by their upper bits
reversed, so that a fraction of the column is the same part of the hash's range in both tables: growing moves nearly nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from struct import unpack

from .service_choice import Backend

PER_BACKEND = 12
"""The least number of buckets for a backend: of n backends, an equal share is then within 7 % of even for every n up to 64."""
BOUND = 4096
"""Beyond it there are fewer buckets for each backend, and shares are less even."""
COLUMNS = 64
TOLERANCE_PERCENT = 7


def size(backends: int) -> int:
    """Return the number of buckets for a number of backends."""
    if backends < 3:
        return max(backends, 1)
    wanted = max(min(PER_BACKEND * backends, BOUND), backends)
    return 1 << (wanted - 1).bit_length()


def buckets(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Return the backend of each bucket; for no backends, no buckets."""
    ordered = sorted(set(backends), key=lambda backend: (_wishes(backend), backend))
    number = size(len(ordered))
    if len(ordered) < 3:
        return tuple(ordered)
    columns = _deal(ordered, number)
    depth = number // COLUMNS
    places = [_reversed(place, depth) for place in range(depth)]
    return tuple(columns[bucket % COLUMNS][places[bucket // COLUMNS]] for bucket in range(number))


def _deal(backends: list[Backend], number: int) -> list[list[Backend]]:
    """Return the backends of each column. Every backend gets at least `least` and at most `most`, whatever the wishes."""
    least, most = bounds(len(backends), number)
    depth = number // COLUMNS
    columns: list[list[Backend]] = [[] for _ in range(COLUMNS)]
    load = [0] * len(backends)
    left, owed = number, least * len(backends)
    for _, which, column in _strongest_first(backends):
        here = columns[column]
        while len(here) < depth and load[which] < most and (load[which] < least or left > owed):
            owed -= load[which] < least
            here.append(backends[which])
            load[which] += 1
            left -= 1
        if not left:
            break
    return columns


def bounds(backends: int, number: int) -> tuple[int, int]:
    """Return the least and the most buckets of a backend: within the tolerance if whole numbers allow that, else as even as can be."""
    least = -(-number * (100 - TOLERANCE_PERCENT) // (100 * backends))
    most = number * (100 + TOLERANCE_PERCENT) // (100 * backends)
    return min(least, number // backends), max(most, -(-number // backends))


def _strongest_first(backends: list[Backend]) -> list[tuple[int, int, int]]:
    """Return (wish, backend, column) of all, the lowest number being the strongest wish."""
    return sorted((wish, which, column) for which, backend in enumerate(backends) for column, wish in enumerate(_wishes(backend)))


@lru_cache(1 << 14)
def _wishes(backend: Backend) -> tuple[int, ...]:
    """How much a backend likes each column."""
    packed = backend.address.to_bytes(17) + backend.port.to_bytes(2)
    return unpack(f">{COLUMNS}I", hashlib.shake_128(packed).digest(4 * COLUMNS))


def _reversed(place: int, depth: int) -> int:
    """Return the place whose bits are those of `place` the other way round."""
    found = 0
    for _ in range(depth.bit_length() - 1):
        found, place = found << 1 | place & 1, place >> 1
    return found
