"""Which backend each bucket of a group leads to: a pure function of the set of backends, even, and steady under change.

A group has a power of two of buckets; a packet takes bucket `hash & (buckets - 1)`. Buckets are dealt with in cells: those that agree in the lowest
bits of their number. Every backend likes every cell so much, by a hash of its own; wishes are granted from the strongest on, while the cell has buckets
left and the backend may have more. So when one backend comes or goes, it is mostly its own buckets that move; the rest makes room for
the shares to stay even.

The more cells, the less rest: but few backends have few buckets, and if all cells were split when there are more, most buckets would get a new
backend at once. So with each backend more some buckets leave their cell and become cells of their own, of all cells alike: what is left of a large cell
disturbs by its size, so a cell that has lost half its buckets is as good as four. Within a cell the buckets are dealt, and leave it, in the order of their bits
reversed, so that a fraction of the cell is the same part of the hash's range in a smaller and a larger table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from math import ceil, floor, log
from struct import iter_unpack
from typing import NamedTuple

from .service_choice import Backend

IN_ROW = 4
"""Buckets that a row of the table holds: those that agree in all but the two lowest bits."""
SIZES = ((2, IN_ROW), (5, 128), (10, 1024), (20, 2048), (85, 4096))
"""(up to so many backends, buckets): from 3 on a whole number of them is within 7 % of even, and there are as many cells as it takes."""
BOUND = 8192
"""Buckets for more backends than that, while there is one for each."""
MOST = 1 << 16
"""Buckets at most, for a bucket's number has 16 bits; of more backends, those whose wishes come last have none."""
EVEN = 64
"""Up to so many backends shares are within the tolerance; with more they may differ ever more, for what is moved to stay the same."""
TOLERANCE = 0.07
FEW = 128
"""Cells before any bucket leaves its own."""
MANY = 4096
"""Cells when all have left; buckets of larger tables that agree in these bits stay together."""
KEPT = ((5, 1.0), (10, 0.75), (30, 0.1), (64, 0.0))
"""(backends, part of the buckets that are still in the first cells); between those in proportion to the logarithm, so that each change costs alike."""
BLOCK = 64
"""Cells that a backend ranks together."""


class Ranking(NamedTuple):
    """How a backend ranks a block of cells: the cell of a rank is `rank * factor + summand` within the block, with bits flipped.

    `fraction`: decides between equal ranks, 16 bits over those of a cell's number. `inverse`: of the factor.
    """

    factor: int
    summand: int
    flip: int
    fraction: int
    inverse: int

    def rank(self, cell: int) -> int:
        """Return the rank of a cell of the block; 0 is liked most."""
        return ((cell ^ self.flip) - self.summand) * self.inverse % BLOCK


Liking = tuple[Ranking, ...]
"""A backend's ranking of each block."""


def size(backends: int) -> int:
    """Return the number of buckets for a number of backends."""
    known = [buckets for most, buckets in SIZES if backends <= most]
    return known[0] if known else min(max(BOUND, 1 << (backends - 1).bit_length()), MOST)


def buckets(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Return the backend of each bucket, a whole number of rows; for no backends, no buckets."""
    ordered = sorted(set(backends))
    if len(ordered) < 3:
        return (*ordered,) * (IN_ROW // max(len(ordered), 1))
    number = size(len(ordered))
    likings = [_liking(backend, min(number, MANY) // BLOCK) for backend in ordered]
    return tuple(map(ordered.__getitem__, _deal(likings, number)))


def _deal(likings: Sequence[Liking], left: int) -> list[int]:
    """Return the place of each bucket's backend. Every backend gets at least its least and at most its most, whatever the wishes."""
    least, most = bounds([(mine[0].fraction >> 16) / 0x10000 for mine in likings], left)
    free = {cell: list(members) for cell, members in _cells(len(likings)).items()}
    owners, load, owed = [0] * left, [0] * len(likings), sum(least)
    for wish in chain.from_iterable(_strongest_first(likings, free, load, most)):
        which, cell = wish % len(likings), wish // len(likings) & 0xFFFF
        here = free.get(cell)
        while here and load[which] < most[which] and (load[which] < least[which] or left > owed):
            owed -= load[which] < least[which]
            owners[here.pop()] = which
            load[which] += 1
            left -= 1
        if here == []:
            del free[cell]
    return owners


def bounds(fractions: Sequence[float], buckets: int) -> tuple[list[int], list[int]]:
    """Return the least and the most buckets of each backend: within the tolerance if whole numbers allow that, else as even as can be.

    Where the tolerance grows with the number of backends, whole numbers would step for all of them at once: each is rounded at a fraction of its own.
    """
    count = len(fractions)
    even, beyond = buckets / count, max(count - EVEN, 0)
    fewest, highest = even * (1 - min(TOLERANCE + beyond / 300, 0.5)), even * (1 + min(TOLERANCE + beyond / 600, 0.5))
    least = [floor(fewest + mine) if beyond else ceil(fewest) for mine in fractions]
    most = [floor(highest + mine) if beyond else floor(highest) for mine in fractions]
    return [max(min(each, floor(even)), 1) for each in least], [max(each, ceil(even)) for each in most]


def _strongest_first(likings: Sequence[Liking], free: Collection[int], load: Sequence[int], most: Sequence[int]) -> Iterator[list[int]]:
    """Yield the wishes, each as one number, of those who have less than their most: rank by rank, then all at once for the few cells that are left.

    A wish that was not granted in its turn never will be, so it may be yielded again.
    """
    count, rank = len(likings), 0
    while len(free) > 2 * len(likings[0]):
        yield sorted(
            (rank << 32 | fraction | (rank * factor + summand) % BLOCK ^ flip) * count + which
            for which, mine in enumerate(likings) if load[which] < most[which]
            for factor, summand, flip, fraction, _ in mine
        )  # fmt: skip
        rank += 1
    yield sorted(
        (mine[cell // BLOCK].rank(cell) << 32 | mine[cell // BLOCK].fraction | cell) * count + which
        for which, mine in enumerate(likings) if load[which] < most[which]
        for cell in free
    )  # fmt: skip


@lru_cache(32)
def _cells(backends: int) -> dict[int, tuple[int, ...]]:
    """Return the buckets of each cell; the last one is dealt first."""
    number = size(backends)
    found: dict[int, list[int]] = {}
    for bucket in sorted(range(number), key=lambda bucket: _reversed(bucket, number)):
        found.setdefault(_cell(bucket, backends), []).append(bucket)
    return {cell: tuple(members) for cell, members in found.items()}


def _cell(bucket: int, backends: int) -> int:
    """Return the cell of a bucket: the first that it left the larger one for, in this table or a smaller one."""
    for most, number in SIZES:
        if number > FEW:
            many = min(number, MANY)
            height = _reversed(bucket % many // FEW, many // FEW) * FEW + bucket % FEW
            if height >= _kept(min(backends, most)) * many:
                return bucket % many
        if backends <= most:
            break
    return bucket % FEW


@lru_cache(128)
def _kept(backends: int) -> float:
    """Return the part of all buckets that are still in the first cells."""
    for (few, before), (many, after) in pairwise(KEPT):
        if backends <= many:
            return before + (after - before) * log(max(backends, few) / few) / log(many / few)
    return 0.0


def _reversed(number: int, below: int) -> int:
    """Return a number below a power of two with its bits reversed."""
    return int(f"{number + below:b}"[:0:-1] or "0", 2)


def _liking(backend: Backend, blocks: int) -> Liking:
    """Return how a backend ranks cells: in each block it has every rank once, so that no chance makes it want many or few."""
    packed = backend.address.to_bytes(17) + backend.port.to_bytes(2)
    drawn = iter_unpack(">BBBxH", hashlib.shake_128(packed).digest(6 * blocks))
    return tuple(
        Ranking(factor | 1, summand, block * BLOCK | flip % BLOCK, fraction << 16, _INVERSE[factor % BLOCK | 1])
        for block, (factor, summand, flip, fraction) in enumerate(drawn)
    )


_INVERSE = {factor: pow(factor, -1, BLOCK) for factor in range(1, BLOCK, 2)}
