"""Which backend each bucket of a group leads to: a pure function of the set of backends, even, and steady under change.

A group has a power of two of buckets, some 16 per backend up to a bound; a packet takes bucket `hash & (buckets - 1)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from .service_choice import Backend

PER_BACKEND = 16
BOUND = 4096
"""Beyond it there are fewer buckets per backend, and shares are less even."""


def size(backends: int) -> int:
    """Return the number of buckets for a number of backends."""
    if backends < 3:
        return max(backends, 1)
    wanted = max(min(PER_BACKEND * backends, BOUND), backends)
    return 1 << (wanted - 1).bit_length()


def buckets(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Return the backend of each bucket; for no backends, no buckets."""
    ordered = sorted(set(backends), key=_seed)
    if not ordered:
        return ()
    number = size(len(ordered))
    owner: list[Backend | None] = [None] * number
    orders = [iter(_order(backend, number)) for backend in ordered]
    left = number
    while True:
        for backend, order in zip(ordered, orders, strict=True):
            if not left:
                return tuple(each for each in owner if each is not None)
            bucket = next(bucket for bucket in order if owner[bucket] is None)
            owner[bucket], left = backend, left - 1


@lru_cache(1 << 16)
def _seed(backend: Backend) -> int:
    packed = backend.address.to_bytes(17) + backend.port.to_bytes(2)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=16).digest())


def _order(backend: Backend, number: int) -> list[int]:
    """The buckets, the one that the backend would like best first."""
    seed = _seed(backend)
    start, step = seed & 0xFFFFFFFF, (seed >> 32) | 1
    return [(start + turn * step) & (number - 1) for turn in range(number)]
