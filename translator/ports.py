"""Rows of `port`: what stands behind each ingress port (k8s_p4/p4/core/ports.p4).

A port of the inventory that no endpoint has gets no row: what comes in there is dropped (unknown_port). What comes in by a tunnel's
device was taken out of a packet.
"""

from __future__ import annotations

from collections.abc import Iterable

from .claims import Change, Claims
from .config import flag
from .endpoint_state import OPEN, EndpointStates, EndpointView
from .host_endpoints import HostEndpoints
from .inventory import EndpointDirty, EndpointStore, Port, Ports, PortsWatch

VXLAN_ALLOWED, IPIP_ALLOWED = 1, 2


class PortPart:
    """Owner of the table `port`."""

    def __init__(self, states: EndpointStates, hosts: HostEndpoints) -> None:
        self._states, self._hosts = states, hosts
        self._claims = Claims()
        self._flags = -1
        self._watch = PortsWatch()

    def update(self, store: EndpointStore, dirty: EndpointDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        flags = encapsulation_flags(store)
        unmoved = flags == self._flags and not self._hosts.changed
        due = self._states.changed if unmoved else self._states.changed | self._states.views.keys()
        self._flags = flags
        for endpoint_id in due:
            view = self._states.views.get(endpoint_id)
            self._claims.set((1, endpoint_id), {} if view is None else self._workload_rows(view))
        if self._watch.changed(ports) or self._hosts.changed:
            rows = ((port.number, self._row(port)) for port in ports.all())
            self._claims.set((0,), {("port", (number,)): row for number, row in rows if row is not None})
        return self._claims.changes()

    def _workload_rows(self, view: EndpointView) -> dict[tuple[str, tuple[int]], tuple[str | int, ...]]:
        if view.port is None:
            return {}
        opened, host = view.egress == OPEN, self._hosts.number_at(view.port)
        value: tuple[str | int, ...]
        value = ("workload", view.number, self._flags, host, view.incarnation) if opened else ("workload_closed", view.number, view.egress)
        return {("port", (view.port.number,)): value}

    def _row(self, port: Port) -> tuple[str | int, ...] | None:
        """The value for a port that is no workload's."""
        if port.kind == "host":
            return ("host",)
        action = {"uplink": "uplink", "tunnel": "tunnel_device"}.get(port.kind)
        return None if action is None else (action, self._hosts.number_at(port))


def encapsulation_flags(store: EndpointStore) -> int:
    """What workloads may encapsulate: Allow{VXLAN,IPIP}PacketsFromWorkloads, both false by default (contract 3.7)."""
    vxlan = VXLAN_ALLOWED if flag(store.config, "AllowVXLANPacketsFromWorkloads") else 0
    return vxlan | (IPIP_ALLOWED if flag(store.config, "AllowIPIPPacketsFromWorkloads") else 0)
