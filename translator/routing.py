"""Rows of `local_*`, `route_*` and `next_hop`: where packets go (k8s_p4/p4/core/routing.p4, replay contract "Where packets go").

First local addresses: those of the node itself (of its uplink, host and tunnel ports, its HostMetadata and VTEP, and what the
stream's routes call a local host or local tunnel), then those of the workload endpoints. Then prefixes: what the stream's routes
say, the subnets that ports are connected to, and a default route for each family by the first uplink.

An address owned by two endpoints belongs to the one with the lowest (orchestrator, workload, endpoint) id. A route that needs a
tunnel drops what goes there rather than let it leave in the clear; `pending` lists it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from felix_proto.types import WorkloadEndpointID

from .addresses import is_host, is_v6, length_of, place, value_of
from .claims import Change, Claims, Row
from .config import endpoint_to_host_accepted
from .endpoint_state import OPEN, EndpointStates, EndpointView
from .errors import Untranslatable
from .host_endpoints import HostEndpoints
from .inventory import CALICO_MAC, Port, Ports, PortsWatch, RouteDirty, RouteStore
from .names import endpoint_meaning
from .node import Subnets, own_addresses
from .numbers import Names, Numbers
from .stream_routes import StreamRoute, read_route

# Claimants; where two ask for one row, the first here has it.
_NODE, _WORKLOAD, _STREAM, _CONNECTED, _DEFAULT, _NEXT_HOP = range(6)
Rows = dict[Row, tuple[Any, ...]]
_DEFAULT_ROUTES = (place(False, 0, 0), place(True, 0, 0))


class RoutingPart:
    """Owner of the tables `local_v4`, `local_v6`, `route_v4`, `route_v6` and `next_hop`."""

    def __init__(self, names: Names, states: EndpointStates, hosts: HostEndpoints) -> None:
        self._states, self._hosts = states, hosts
        self._claims = Claims()
        self._numbers = Numbers("next_hop", names)
        self._watch = PortsWatch()
        self._hop_ports: set[str] = set()
        self._via: dict[str, StreamRoute] = {}
        self._host: int | None = None

    def update(self, store: RouteStore, dirty: RouteDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        due = self._states.changed | self._states.views.keys() if self._hosts.changed else self._states.changed
        for endpoint_id in due:
            self._set_workload(endpoint_id, self._states.views.get(endpoint_id))
        moved = self._watch.changed(ports)
        if moved or self._hosts.changed:
            self._set_ports(ports)
        if moved or dirty.routes:
            self._set_stream(store, dirty.routes, ports, moved)
        if moved or dirty.config or dirty.hosts or dirty.vteps or dirty.routes:
            self._set_node(store, ports)
        return self._claims.changes()

    def rest(self) -> None:
        """Give back the numbers of next hops that are gone; to be called when no row uses them any more."""
        self._numbers.settle()

    def _set_workload(self, endpoint_id: WorkloadEndpointID, view: EndpointView | None) -> None:
        hop = f"workload:{endpoint_meaning(endpoint_id)}"
        rows: Rows = {}
        if view is not None:
            value: tuple[Any, ...] = ("to_workload_closed", view.number, view.ingress, view.incarnation)
            if view.ingress == OPEN and view.port is not None:
                number = self._numbers.get(hop)
                rows["next_hop", (number,)] = self._send(view.port)
                value = ("to_workload", view.number, number, view.incarnation)
            rows.update((_local_row(own), value) for own in view.addresses.own if is_host(own))
        if (view is None or view.ingress != OPEN) and hop in self._numbers:
            self._numbers.retire(hop)
        self._claims.set((_WORKLOAD, endpoint_id), rows)

    def _set_ports(self, ports: Ports) -> None:
        """Next hops of ports that are no workload's, connected subnets, default routes."""
        there = {_hop(port): port for port in ports.all() if port.kind != "workload"}
        self._claims.set((_NEXT_HOP,), {("next_hop", (self._numbers.get(name),)): self._send(port) for name, port in there.items()})
        for name in self._hop_ports - there.keys():
            self._numbers.retire(name)
        self._hop_ports = set(there)
        subnets = Subnets(ports)
        self._claims.set((_CONNECTED,), {_route_row(subnet): self._leads_to(port) for subnet, port in subnets.connected.items()})
        default = {} if subnets.uplink is None else {_route_row(every): self._leads_to(subnets.uplink) for every in _DEFAULT_ROUTES}
        self._claims.set((_DEFAULT,), default)
        host = next(iter(ports.of_kind("host")), None)
        self._host = None if host is None else self._numbers.get(_hop(host))

    def _set_node(self, store: RouteStore, ports: Ports) -> None:
        """The node's own addresses. Without a host port nothing listens there: a route decides."""
        rows: Rows = {}
        if self._host is not None:
            value = ("to_host", self._host, int(endpoint_to_host_accepted(store.config)))
            rows = {_local_row(own): value for own in own_addresses(store, ports)}
            rows |= {_local_row(route.place): value for route in self._via.values() if route.kind == "own"}
        self._claims.set((_NODE,), rows)

    def _set_stream(self, store: RouteStore, dirty: Iterable[str], ports: Ports, moved: bool) -> None:
        for destination in dirty:
            self._via.pop(destination, None)
            route = store.routes.get(destination)
            read = _read(route) if route is not None else None
            if read is not None and read.kind != "nothing":
                self._via[destination] = read
        subnets = Subnets(ports)
        for destination in {*self._via, *dirty} if moved else dirty:
            self._claims.set((_STREAM, destination), self._stream_rows(self._via.get(destination), subnets))

    def _stream_rows(self, route: StreamRoute | None, subnets: Subnets) -> Rows:
        if route is None or route.kind == "own":
            return {}
        if route.kind == "blackhole":
            return {_route_row(route.place): ("blackhole",)}
        port = subnets.port_to(route.gateway)
        return {} if port is None else {_route_row(route.place): self._leads_to(port)}

    def _send(self, port: Port) -> tuple[str, int, int, int, int]:
        return "send", port.number, CALICO_MAC, port.mac, self._hosts.number_at(port)

    def _leads_to(self, port: Port) -> tuple[str, int]:
        return "to_uplink", self._numbers.get(_hop(port))


def _read(route: Any) -> StreamRoute | None:
    """A route that can't be read leads nowhere; `pending` names it."""
    try:
        return read_route(route)
    except Untranslatable:
        return None


def _hop(port: Port) -> str:
    """Meaning of a port's next hop: the default host port is plainly "host"."""
    return port.kind if port.name == port.kind else f"{port.kind}:{port.name}"


def _local_row(own: int) -> Row:
    return ("local_v6" if is_v6(own) else "local_v4"), (value_of(own),)


def _route_row(where: int) -> Row:
    return ("route_v6" if is_v6(where) else "route_v4"), ((value_of(where), length_of(where)),)
