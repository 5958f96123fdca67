"""Which backend each bucket of a group leads to: a pure function of the set of backends, even, and steady under change.

A group has a power of two of buckets; a packet takes bucket `hash & (buckets - 1)`. Buckets are dealt with in cells: those that agree in the lowest
bits of their number. Every backend likes every cell so much, by a hash of its own; wishes are granted from the strongest on, while the cell has buckets
left and the backend may have more. So when one backend comes or goes, it is mostly its own buckets that move; the rest makes room for
the shares to stay even.

The more cells, the less rest: but a table can have no more cells than buckets, and if all cells were split when the table grows, most buckets would get a new
backend at once. So some cells are split with each backend more, and a table that has just grown has the cells of the smaller one, only finer. Within a
cell the buckets are dealt in the order of their bits reversed, so that a fraction of the cell is the same part of the hash's range in both tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import ceil, floor
from struct import iter_unpack

from .service_choice import Backend

SIZES = ((1, 1), (2, 2), (5, 64), (10, 256), (42, 1024), (85, 2048))
"""(up to so many backends, buckets): at least 12 for each from 3 on, and a whole number of them is within 7 % of even; 24 where there are more cells."""
BOUND = 4096
"""Buckets for more backends than that, while there is one for each."""
EVEN = 64
"""Up to so many backends shares are within the tolerance; with more they may differ ever more, for what is moved to stay the same."""
TOLERANCE = 0.07
FEW = 64
"""Cells before any is split."""
SPLITS = ((64, 256, 11, 21), (256, 1024, 21, 46))
"""(cells, cells when all are split, twice the number of backends at which that begins, twice that at which it ends)."""
MANY = SPLITS[-1][1]
"""Cells when all are split."""
Liking = tuple[tuple[int, int, int, int], ...]
"""(factor, summand, flipped bits, fraction) for each `FEW` cells: the cell of a rank is `rank * factor + summand` with bits flipped; see `_liking`."""


def size(backends: int) -> int:
    """Return the number of buckets for a number of backends."""
    known = [buckets for most, buckets in SIZES if backends <= most]
    return known[0] if known else max(BOUND, 1 << (backends - 1).bit_length())


def buckets(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Return the backend of each bucket; for no backends, no buckets."""
    ordered = sorted(set(backends))
    if len(ordered) < 3:
        return tuple(ordered)
    number = size(len(ordered))
    likings = [_liking(backend, min(number, MANY) // FEW) for backend in ordered]
    return tuple(map(ordered.__getitem__, _deal(likings, number)))


def _deal(likings: Sequence[Liking], left: int) -> list[int]:
    """Return the place of each bucket's backend. Every backend gets at least its least and at most its most, whatever the wishes."""
    least, most = bounds([(mine[0][3] >> 16) / 0x10000 for mine in likings], left)
    free = {cell: list(members) for cell, members in _cells(len(likings)).items()}
    owners, load, owed = [0] * left, [0] * len(likings), sum(least)
    for which, cell in _strongest_first(likings, load, most):
        here = free.get(cell)
        while here and load[which] < most[which] and (load[which] < least[which] or left > owed):
            owed -= load[which] < least[which]
            owners[here.pop()] = which
            load[which] += 1
            left -= 1
        if not left:
            break
    return owners


def bounds(fractions: Sequence[float], buckets: int) -> tuple[list[int], list[int]]:
    """Return the least and the most buckets of each backend: within the tolerance if whole numbers allow that, else as even as can be.

    Where the tolerance grows with the number of backends, whole numbers would step for all of them at once: each is rounded at a fraction of its own.
    """
    count = len(fractions)
    even, beyond = buckets / count, max(count - EVEN, 0)
    fewest, highest = even * (1 - min(TOLERANCE + beyond / 200, 0.5)), even * (1 + min(TOLERANCE + beyond / 500, 0.5))
    least = [floor(fewest + mine) if beyond else ceil(fewest) for mine in fractions]
    most = [floor(highest + mine) if beyond else floor(highest) for mine in fractions]
    return [max(min(each, floor(even)), 1) for each in least], [max(each, ceil(even)) for each in most]


def _strongest_first(likings: Sequence[Liking], load: Sequence[int], most: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (which, cell) of the wishes of those who have less than their most; some ranks at a time, because nearly always the first ones are enough."""
    count, ranks = len(likings), range(-(-4 * FEW // len(likings)))
    while ranks:
        found: list[int] = []
        for which, mine in enumerate(likings):
            if load[which] < most[which]:
                for factor, summand, flip, fraction in mine:
                    found += [(rank << 32 | fraction | (rank * factor + summand) % FEW ^ flip) * count + which for rank in ranks]
        found.sort()
        for wish in found:
            yield wish % count, wish // count & 0xFFFF
        ranks = range(ranks.stop, min(2 * ranks.stop, FEW))


@lru_cache(64)
def _cells(backends: int) -> dict[int, tuple[int, ...]]:
    """Return the buckets of each cell; the last one is dealt first."""
    found: dict[int, list[int]] = {}
    for bucket in sorted(range(size(backends)), key=lambda bucket: f"{bucket:032b}"[::-1]):
        found.setdefault(_cell(bucket, 2 * backends), []).append(bucket)
    return {cell: tuple(members) for cell, members in found.items()}


def _cell(bucket: int, doubled: int) -> int:
    """Return the cell of a bucket, given twice the number of backends. The number of cells split grows in proportion to the share of those who came."""
    cell = bucket % FEW
    for few, many, first, last in SPLITS:
        split = few * last * (min(doubled, last) - first) // (min(doubled, last) * (last - first))
        if bucket % few < split:
            cell = bucket % many
    return cell


@lru_cache(1 << 12)
def _liking(backend: Backend, blocks: int) -> Liking:
    """Return how a backend ranks cells: in each block of `FEW` it has every rank once, so that no chance makes it want many or few.

    A wish is compared by rank, then by a fraction that is the backend's own in each block.
    """
    packed = backend.address.to_bytes(17) + backend.port.to_bytes(2)
    drawn = iter_unpack(">BBBxH", hashlib.shake_128(packed).digest(6 * blocks))
    return tuple(
        (factor | 1, summand, block * FEW | flip % FEW, fraction << 16) for block, (factor, summand, flip, fraction) in enumerate(drawn)
    )
