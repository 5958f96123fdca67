"""Rows of `port`: what stands behind each ingress port (k8s_p4/p4/core/ports.p4).

A port of the inventory that no endpoint has, and a tunnel's port, get no row: what comes in there is dropped (unknown_port).
"""

from __future__ import annotations

from collections.abc import Iterable

from .claims import Change, Claims
from .config import flag
from .endpoint_state import OPEN, EndpointStates, EndpointView
from .inventory import EndpointDirty, EndpointStore, Port, Ports, PortsWatch

VXLAN_ALLOWED, IPIP_ALLOWED = 1, 2


class PortPart:
    """Owner of the table `port`."""

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self._claims = Claims()
        self._flags = -1
        self._watch = PortsWatch()

    def update(self, store: EndpointStore, dirty: EndpointDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        flags = encapsulation_flags(store)
        due = self._states.changed if flags == self._flags else self._states.changed | self._states.views.keys()
        self._flags = flags
        for endpoint_id in due:
            view = self._states.views.get(endpoint_id)
            self._claims.set((1, endpoint_id), {} if view is None else self._workload_rows(view))
        if self._watch.changed(ports):
            self._claims.set((0,), {("port", (port.number,)): row for port in ports.all() if (row := _row(port)) is not None})
        return self._claims.changes()

    def _workload_rows(self, view: EndpointView) -> dict[tuple[str, tuple[int]], tuple[str | int, ...]]:
        if view.port is None:
            return {}
        opened = view.egress == OPEN
        value: tuple[str | int, ...]
        value = ("workload", view.number, self._flags, 0, view.incarnation) if opened else ("workload_closed", view.number, view.egress)
        return {("port", (view.port.number,)): value}


def _row(port: Port) -> tuple[str | int, ...] | None:
    """The value for a port that is no workload's."""
    if port.kind == "host":
        return ("host",)
    return ("uplink", 0) if port.kind == "uplink" else None


def encapsulation_flags(store: EndpointStore) -> int:
    """What workloads may encapsulate: Allow{VXLAN,IPIP}PacketsFromWorkloads, both false by default (contract 3.7)."""
    vxlan = VXLAN_ALLOWED if flag(store.config, "AllowVXLANPacketsFromWorkloads") else 0
    return vxlan | (IPIP_ALLOWED if flag(store.config, "AllowIPIPPacketsFromWorkloads") else 0)
