"""Rows of `masquerade_v4` and `masquerade_v6`: who is masqueraded, and where to (k8s_p4/p4/core/masquerade.p4, contract 4.4).

Masqueraded is what comes from a pool that says so (nat_outgoing) and goes to no pool at all; with NATOutgoingExclusions=IPPoolsAndHostIPs
not to a node's address either. A pool for LoadBalancers only is none in this sense.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from felix_proto.types import IPAMPool

from .addresses import is_host, is_v6, length_of, parse_address, parse_cidr, value_of
from .claims import Change, Claims, Row
from .errors import Untranslatable

MASQUERADED, INSIDE = 1, 2
_POOL, _HOST = 0, 1


class MasqueradePart:
    """Owner of the tables `masquerade_v4` and `masquerade_v6`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._pools: dict[int, int] = {}

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        if dirty.pools:
            self._pools = read_pools(store.pools)
            self._claims.set((_POOL,), {_row(place): ("pool", flags) for place, flags in self._pools.items()})
        excluded = store.config.get("NATOutgoingExclusions", "").strip().lower() == "ippoolsandhostips"
        due = store.host_metadata.keys() | dirty.hosts if dirty.pools or dirty.config else dirty.hosts
        for node in due:
            self._claims.set((_HOST, node), dict(self._of_node(store.host_metadata.get(node))) if excluded else {})
        return self._claims.changes()

    def _of_node(self, known: Any) -> Iterator[tuple[Row, tuple[Any, ...]]]:
        for text in () if known is None else (known.ipv4_addr, known.ipv6_addr):
            try:
                place = parse_address(text.partition("/")[0])
            except Untranslatable:
                continue
            if place not in self._pools:
                yield _row(place), ("pool", INSIDE | self._covering(place))

    def _covering(self, place: int) -> int:
        """What the pools around an address say: its own row is looked up instead of theirs."""
        return sum({flags & MASQUERADED for pool, flags in self._pools.items() if _holds(pool, place)})


def read_pools(pools: Mapping[str, IPAMPool]) -> dict[int, int]:
    """Place of every pool but those for LoadBalancers only, with its flags; one that can't be read is left out, and named by `pending`."""
    found: dict[int, int] = {}
    for pool in pools.values():
        if pool.allowed_uses == ("LoadBalancer",):
            continue
        try:
            found[parse_cidr(pool.cidr)] = INSIDE | (MASQUERADED if pool.masquerade else 0)
        except Untranslatable:
            continue
    return found


def _holds(pool: int, place: int) -> bool:
    if is_v6(pool) != is_v6(place) or is_host(pool):
        return pool == place
    shift = (128 if is_v6(pool) else 32) - length_of(pool)
    return value_of(pool) >> shift == value_of(place) >> shift


def _row(place: int) -> Row:
    return ("masquerade_v6" if is_v6(place) else "masquerade_v4"), ((value_of(place), length_of(place)),)
