"""Rows of `source_host_*` and `source_net_*`: the addresses an endpoint may send from (k8s_p4/p4/core/source_guard.p4).

A single address is an exact row, a wider net (etcd) or a prefix of allow_spoofed_source_prefixes a prefix row.
"""

from __future__ import annotations

from collections.abc import Iterable

from .addresses import is_host, is_v6, length_of, value_of
from .claims import Change, Claims, Row
from .endpoint_state import EndpointStates
from .inventory import EndpointDirty, EndpointStore, Ports


class SourceGuardPart:
    """Owner of the tables `source_host_v4`, `source_host_v6`, `source_net_v4`, `source_net_v6`."""

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self._claims = Claims()

    def update(self, store: EndpointStore, dirty: EndpointDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update. An endpoint without a port has none: nothing comes in as its own."""
        for endpoint_id in self._states.changed:
            view = self._states.views.get(endpoint_id)
            places = () if view is None or view.port is None else (*view.addresses.own, *view.addresses.spoofed)
            self._claims.set(endpoint_id, {source_row(view.number, place): ("source_ok",) for place in places} if view else {})
        return self._claims.changes()


def source_row(endpoint: int, place: int) -> Row:
    """Table and key that let the endpoint with this number send from a place."""
    family = "v6" if is_v6(place) else "v4"
    if is_host(place):
        return f"source_host_{family}", (endpoint, value_of(place))
    return f"source_net_{family}", (endpoint, (value_of(place), length_of(place)))
