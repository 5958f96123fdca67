"""Rows of `service_loop_v4` and `service_loop_v6`: the ranges of service addresses that nothing is forwarded to (contract 4.4).

Those of BGPConfiguration: cluster, external and load balancer ranges. ServiceLoopPrevention: Drop (the default) and Reject (`rejects`
says what is told to the sender); anything else is Disabled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .addresses import is_v6, length_of, parse_cidr, value_of
from .claims import Change, Claims
from .degraded import Degraded
from .errors import Untranslatable


class ServiceLoopPart:
    """Owner of the tables `service_loop_v4` and `service_loop_v6`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._problems: tuple[str, ...] = ()

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        if dirty.bgp or dirty.config:
            places, self._problems = _read(store.bgp if _prevented(store.config) else None)
            self._claims.set((), {_row(place): ("loops",) for place in places})
        return self._claims.changes()

    def degraded(self) -> Iterator[Degraded]:
        """Ranges that can't be read."""
        if self._problems:
            yield Degraded("GlobalBGPConfig", "service loops: " + ", ".join(self._problems), "partial")


def _prevented(config: Any) -> bool:
    return config.get("ServiceLoopPrevention", "Drop").strip().lower() in ("drop", "reject", "")


def _read(bgp: Any) -> tuple[set[int], tuple[str, ...]]:
    places, problems = set(), []
    for cidr in () if bgp is None else bgp.service_cluster_cidrs + bgp.service_external_cidrs + bgp.service_loadbalancer_cidrs:
        try:
            places.add(parse_cidr(cidr))
        except Untranslatable as error:
            problems.append(str(error))
    return places, tuple(problems)


def _row(place: int) -> tuple[str, tuple[tuple[int, int]]]:
    return ("service_loop_v6" if is_v6(place) else "service_loop_v4"), ((value_of(place), length_of(place)),)
