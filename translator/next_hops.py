"""Rows of `next_hop` that are no workload's: one for each port of the node, each neighbour of a port, and each node that a way of the
stream leads to in the clear (k8s_p4/p4/core/next_hop.p4).

A port's own next hop is whatever stands behind it (a gateway, a switch): its MAC is that of the port. A neighbour is an address in a
port's subnet whose MAC the inventory knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .addresses import is_v6, parse_address, text, value_of
from .claims import Claims, Row
from .errors import Untranslatable
from .host_endpoints import HostEndpoints
from .inventory import Port, Ports
from .node import Subnets
from .numbers import Names, Numbers
from .ways import Way

Rows = dict[Row, tuple[Any, ...]]


class NextHops:
    """The next hops, and which of them leads to an address. Workloads' are in `numbers`, too; their rows are routing's."""

    def __init__(self, names: Names, hosts: HostEndpoints, claims: Claims, claimants: tuple[int, int]) -> None:
        """`claimants`: in the name of which rows for ports and for ways are asked."""
        self.numbers = Numbers("next_hop", names)
        self.subnets: Subnets | None = None
        self._hosts, self._claims = hosts, claims
        self._ports, self._ways = claimants
        self._names: set[str] = set()
        self._neighbours: dict[int, tuple[Port, int]] = {}

    def set_ports(self, ports: Ports) -> None:
        """Follow the inventory."""
        self.subnets = Subnets(ports)
        self._neighbours = {place: (port, mac) for port in reversed(_others(ports)) for place, mac in _neighbours(port)}
        there = {_hop(port): self.send(port, port.mac) for port in _others(ports)}
        there |= {_neighbour_hop(place): self.send(port, mac) for place, (port, mac) in self._neighbours.items()}
        self._claims.set((self._ports,), {("next_hop", (self.numbers.get(name),)): value for name, value in there.items()})
        for name in self._names - there.keys():
            self.numbers.retire(name)
        self._names = set(there)

    def neighbours(self) -> Iterable[tuple[int, int]]:
        """Place and next hop's number of every neighbour."""
        return ((place, self.numbers.get(_neighbour_hop(place))) for place in self._neighbours)

    def set_way(self, name: str, way: Way | None) -> None:
        """Follow a way in the clear."""
        value = self._towards(way.address) if way is not None and way.address is not None else None
        self._claims.set((self._ways, name), {} if value is None else {("next_hop", (self.numbers.get(name),)): value})
        if way is None and name in self.numbers:
            self.numbers.retire(name)

    def of_port(self, port: Port) -> int:
        """The number of a port's own next hop."""
        return self.numbers.get(_hop(port))

    def to(self, place: int) -> int | None:
        """The number of the next hop to an address in the clear; None: no port leads there."""
        if place in self._neighbours:
            return self.numbers.get(_neighbour_hop(place))
        port = None if self.subnets is None else self.subnets.port_to(place)
        return None if port is None else self.of_port(port)

    def send(self, port: Port, mac: int) -> tuple[str, int, int, int, int]:
        """The value of a row that leads to a MAC behind a port."""
        return "send", port.number, port.own_mac, mac, self._hosts.number_at(port)

    def _towards(self, place: int) -> tuple[str, int, int, int, int] | None:
        if place in self._neighbours:
            return self.send(*self._neighbours[place])
        port = None if self.subnets is None else self.subnets.port_to(place)
        return None if port is None else self.send(port, port.mac)


def _others(ports: Ports) -> list[Port]:
    return [port for port in ports.all() if port.kind != "workload"]


def _neighbours(port: Port) -> Iterable[tuple[int, int]]:
    for address, mac in port.neighbours:
        try:
            yield parse_address(address), mac
        except Untranslatable:
            continue


def _hop(port: Port) -> str:
    """Meaning of a port's next hop: the default host port is plainly "host"."""
    return port.kind if port.name == port.kind else f"{port.kind}:{port.name}"


def _neighbour_hop(place: int) -> str:
    return f"neighbour:{text(place).partition('/')[0]}"


def host_route(place: int) -> Row:
    """The row of a route to one address."""
    v6 = is_v6(place)
    return ("route_v6" if v6 else "route_v4"), ((value_of(place), 128 if v6 else 32),)
