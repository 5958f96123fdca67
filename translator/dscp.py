"""Rows of `dscp` and `cluster_*`: what is marked that workloads send out of the cluster (k8s_p4/p4/core/dscp.p4, contract 3.9).

The DSCP is that of an endpoint's first QoS policy; where pools are is no outside (those for LoadBalancers only are no pools here).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .addresses import is_v6, length_of, value_of
from .claims import Change, Claims, Row
from .endpoint_state import EndpointStates, EndpointView
from .masquerade import read_pools

_HIGHEST = 63
_POOLS, _ENDPOINT = 0, 1


class DscpPart:
    """Owner of the tables `dscp`, `cluster_v4` and `cluster_v6`."""

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self._claims = Claims()

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        for key in self._states.changed | dirty.endpoints:
            self._claims.set((_ENDPOINT, key), _rows(store.endpoints.get(key), self._states.views.get(key)))
        if dirty.pools:
            self._claims.set((_POOLS,), {_row(place): ("in_cluster",) for place in read_pools(store.pools)})
        return self._claims.changes()


def _rows(endpoint: Any, view: EndpointView | None) -> dict[Row, tuple[Any, ...]]:
    if endpoint is None or view is None or not endpoint.qos_policies:
        return {}
    dscp = endpoint.qos_policies[0].dscp
    return {("dscp", (view.number,)): ("mark", dscp)} if 0 <= dscp <= _HIGHEST else {}


def _row(place: int) -> Row:
    return ("cluster_v6" if is_v6(place) else "cluster_v4"), ((value_of(place), length_of(place)),)
