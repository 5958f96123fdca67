"""Rows of `local_*`, `route_*` and `next_hop`: where packets go (k8s_p4/p4/core/routing.p4, replay contract "Where packets go").

First local addresses: those of the node itself (of its uplink, host and tunnel ports, its HostMetadata and VTEP, and what the
stream's routes call a local host or local tunnel), then those of the workload endpoints. Then prefixes: what the stream's routes
say, those mirrored from the node's kernel, the subnets that ports are connected to, and a default route for each family by the first uplink.

An address owned by two endpoints belongs to the one with the lowest (orchestrator, workload, endpoint) id. A route leads to a way
(`ways`) by its number, whether or not that way can be had: without a row for it, what goes there is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from felix_proto.types import WorkloadEndpointID

from .addresses import is_host, is_v6, length_of, place, value_of
from .claims import Change, Claims, Row
from .config import endpoint_to_host_accepted
from .endpoint_state import OPEN, EndpointStates, EndpointView
from .host_endpoints import HostEndpoints
from .inventory import Port, Ports, PortsWatch, RouteDirty, RouteStore
from .names import endpoint_meaning
from .next_hops import NextHops, host_route
from .node import own_addresses
from .numbers import Names, Numbers
from .stream_routes import StreamRoute
from .ways import FIB, Way, Ways

# Claimants; where two ask for one row, the first here has it.
_NODE, _WORKLOAD, _STREAM, _FIB, _NEIGHBOUR, _CONNECTED, _DEFAULT, _NEXT_HOP, _WAY = range(9)
Rows = dict[Row, tuple[Any, ...]]
_DEFAULT_ROUTES = (place(False, 0, 0), place(True, 0, 0))


class RoutingPart:
    """Owner of the tables `local_v4`, `local_v6`, `route_v4`, `route_v6` and `next_hop`."""

    def __init__(self, names: Names, states: EndpointStates, hosts: HostEndpoints, ways: Ways, tunnels: Numbers) -> None:
        """`tunnels`: the numbers of tunnels, to which routes lead."""
        self._states, self._hosts, self._ways, self._tunnels = states, hosts, ways, tunnels
        self._claims = Claims()
        self.hops = NextHops(names, hosts, self._claims, (_NEXT_HOP, _WAY))
        self._watch = PortsWatch()
        self._own: dict[str, int] = {}
        self._host: int | None = None

    def update(self, store: RouteStore, dirty: RouteDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        due = self._states.changed | self._states.views.keys() if self._hosts.changed else self._states.changed
        for endpoint_id in due:
            self._set_workload(endpoint_id, self._states.views.get(endpoint_id))
        moved = self._watch.changed(ports)
        if moved or self._hosts.changed:
            self._set_ports(ports)
        own_before = dict(self._own) if self._ways.changed else self._own
        for destination in self._ways.changed:
            self._set_route(destination, self._ways.routes.get(destination), self._ways.way.get(destination))
        everything = moved or self._hosts.changed
        for name in self._ways.changed_ways | (self._ways.in_use.keys() if everything else set()):
            self._set_way(name, self._ways.in_use.get(name))
        if moved or dirty.config or dirty.hosts or dirty.vteps or own_before != self._own:
            self._set_node(store, ports)
        return self._claims.changes()

    def rest(self) -> None:
        """Give back the numbers of next hops that are gone; to be called when no row uses them any more."""
        self.hops.numbers.settle()

    def _set_workload(self, endpoint_id: WorkloadEndpointID, view: EndpointView | None) -> None:
        hop = f"workload:{endpoint_meaning(endpoint_id)}"
        rows: Rows = {}
        if view is not None:
            value: tuple[Any, ...] = ("to_workload_closed", view.number, view.ingress, view.incarnation)
            if view.ingress == OPEN and view.port is not None:
                number = self.hops.numbers.get(hop)
                rows["next_hop", (number,)] = self.hops.send(view.port, view.port.mac)
                value = ("to_workload", view.number, number, view.incarnation)
            rows.update((_local_row(own), value) for own in view.addresses.own if is_host(own))
        if (view is None or view.ingress != OPEN) and hop in self.hops.numbers:
            self.hops.numbers.retire(hop)
        self._claims.set((_WORKLOAD, endpoint_id), rows)

    def _set_ports(self, ports: Ports) -> None:
        """Next hops, connected subnets, default routes."""
        self.hops.set_ports(ports)
        subnets = self.hops.subnets
        assert subnets is not None
        self._claims.set((_NEIGHBOUR,), {host_route(place): ("to_uplink", number) for place, number in self.hops.neighbours()})
        self._claims.set((_CONNECTED,), {_route_row(subnet): self._leads_to(port) for subnet, port in subnets.connected.items()})
        default = {} if subnets.uplink is None else {_route_row(every): self._leads_to(subnets.uplink) for every in _DEFAULT_ROUTES}
        self._claims.set((_DEFAULT,), default)
        host = next(iter(ports.of_kind("host")), None)
        self._host = None if host is None else self.hops.of_port(host)

    def _set_node(self, store: RouteStore, ports: Ports) -> None:
        """The node's own addresses. Without a host port nothing listens there: a route decides."""
        rows: Rows = {}
        if self._host is not None:
            value = ("to_host", self._host, int(endpoint_to_host_accepted(store.config)))
            rows = {_local_row(own): value for own in own_addresses(store, ports)}
            rows |= {_local_row(own): value for own in self._own.values()}
        self._claims.set((_NODE,), rows)

    def _set_route(self, destination: str, route: StreamRoute | None, way: Way | None) -> None:
        self._own.pop(destination, None)
        rows: Rows = {}
        if route is not None and route.kind == "own":
            self._own[destination] = route.place
        elif route is not None and route.kind == "blackhole":
            rows = {_route_row(route.place): ("blackhole",)}
        elif route is not None and way is not None:
            plain = way.kind == "plain"
            number = (self.hops.numbers if plain else self._tunnels).get(way.name)
            rows = {_route_row(route.place): ("to_uplink" if plain else "to_tunnel", number)}
        self._claims.set((_FIB if destination.startswith(FIB) else _STREAM, destination), rows)

    def _set_way(self, name: str, way: Way | None) -> None:
        if way is None or way.kind == "plain":
            self.hops.set_way(name, way)

    def _leads_to(self, port: Port) -> tuple[str, int]:
        return "to_uplink", self.hops.of_port(port)


def _local_row(own: int) -> Row:
    return ("local_v6" if is_v6(own) else "local_v4"), (value_of(own),)


def _route_row(where: int) -> Row:
    return ("route_v6" if is_v6(where) else "route_v4"), ((value_of(where), length_of(where)),)
