"""The stream's routes, read once for all parts, and the ways they take: many routes share the way to one node.

A way's name is the meaning of its number, of kind next_hop or tunnel. Ways to a node are named by the node wherever its address is
the one that the node is known to have, so that a change of that address changes the way and none of the routes.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from .addresses import is_v6, parse_address, text
from .degraded import Degraded
from .errors import Untranslatable
from .inventory import RouteDirty, RouteStore
from .stream_routes import StreamRoute, read_fib, read_route
from .wireguard import Wireguard

TUNNELS = ("vxlan", "ipip")
FIB = "fib "
"""Stands before the destination of a route of the node's kernel."""


class Way(NamedTuple):
    """How to get to a node: kind is plain, vxlan or ipip. Of a VXLAN way `node` is given, whose VTEP says where that is; of the others
    `address`, a place. `v6`: the family of the outer packet, or of the address."""

    kind: str
    name: str
    node: str
    v6: bool
    address: int | None


class Ways:
    """`routes` by destination as sent; `way` of those that take one. After `update`, `changed` holds the destinations that are new,
    different or gone, `changed_ways` the names of ways of which the same is true, `changed_nodes` the nodes that routes no longer lead to."""

    def __init__(self, wireguard: Wireguard) -> None:
        self.routes: dict[str, StreamRoute] = {}
        self.way: dict[str, Way] = {}
        self.in_use: dict[str, Way] = {}
        self.changed: set[str] = set()
        self.changed_ways: set[str] = set()
        self.changed_nodes: set[str] = set()
        self._wireguard = wireguard
        self._of_node: dict[str, set[str]] = {}
        self._users: dict[str, int] = {}
        self._addresses: dict[str, set[int]] = {}
        self._at: dict[int, set[str]] = {}
        self._problems: dict[str, str] = {}

    def update(self, store: RouteStore, dirty: RouteDirty) -> None:
        """Follow the routes, and what is known of the nodes they lead to."""
        self.changed, self.changed_ways, self.changed_nodes = set(), set(), set()
        due = set(dirty.routes) | {FIB + prefix for prefix in dirty.fib}
        for node in dirty.hosts | self._sharing(dirty.hosts, store) | self._wireguard.changed:
            due |= self._of_node.get(node, set())
        if dirty.hosts:
            due |= self._of_node.get("", set())
        for destination in due:
            fib = destination.startswith(FIB)
            self._take(destination, self._read_fib(destination, store) if fib else _read(store.routes.get(destination)), store)

    def degraded(self) -> Iterator[Degraded]:
        """Routes of the kernel that can't be followed; those of the stream are `pending`'s."""
        for prefix, problem in self._problems.items():
            yield Degraded(f"Fib {prefix}", f"{problem}: what goes there is dropped", "partial")

    def _sharing(self, nodes: AbstractSet[str], store: RouteStore) -> set[str]:
        """Note the addresses of nodes; who has, or had, one of them as well: a route of the kernel is of the first by name."""
        touched: set[int] = set()
        for node in nodes:
            touched |= self._addresses.get(node, set())
            self._note_node(node, store)
            touched |= self._addresses[node]
        return set().union(*(self._at.get(address, ()) for address in touched))

    def _note_node(self, node: str, store: RouteStore) -> None:
        for address in self._addresses.pop(node, ()):
            there = self._at[address]
            there.discard(node)
            if not there:
                del self._at[address]
        known = store.host_metadata.get(node)
        found = {_address(text) for text in (known.ipv4_addr, known.ipv6_addr)} - {None} if known is not None else set()
        self._addresses[node] = {address for address in found if address is not None}
        for address in self._addresses[node]:
            self._at.setdefault(address, set()).add(node)

    def _read_fib(self, destination: str, store: RouteStore) -> StreamRoute | None:
        prefix = destination.removeprefix(FIB)
        route = store.fib.get(prefix)
        self._problems.pop(prefix, None)
        try:
            read = None if route is None else read_fib(route, min(self._at.get(_address(route.gateway) or 0, ("",))))
        except Untranslatable as error:
            self._problems[prefix] = str(error)
            return None
        if read is not None and read.problem:
            self._problems[prefix] = read.problem
        return read

    def leads_to(self, node: str) -> bool:
        """Whether any route leads to a node."""
        return node in self._of_node

    def _take(self, destination: str, read: StreamRoute | None, store: RouteStore) -> None:
        if read is not None:
            read = self._kept_secret(read)
        old, old_way = self.routes.get(destination), self.way.get(destination)
        way = None if read is None else _way(read, store)
        if read == old and way == old_way:
            return
        self.changed.add(destination)
        self._file(destination, old, read)
        self._use(old_way, way)
        if read is None:
            del self.routes[destination]
        else:
            self.routes[destination] = read
        if way is None:
            self.way.pop(destination, None)
        else:
            self.way[destination] = way

    def _kept_secret(self, read: StreamRoute) -> StreamRoute:
        """What would have to be encrypted and can't be leads nowhere."""
        secret = self._wireguard.needed(read.node, is_v6(read.place))
        if secret and (read.kind in ("plain", *TUNNELS) or (read.kind == "host" and self._wireguard.hosts)):
            return read._replace(kind="blackhole")
        return read

    def _file(self, destination: str, old: StreamRoute | None, read: StreamRoute | None) -> None:
        if old is not None:
            there = self._of_node[old.node]
            there.discard(destination)
            if not there:
                del self._of_node[old.node]
                self.changed_nodes.add(old.node)
        if read is not None:
            self._of_node.setdefault(read.node, set()).add(destination)

    def _use(self, old: Way | None, way: Way | None) -> None:
        if way is not None:
            self._users[way.name] = self._users.get(way.name, 0) + 1
            if self.in_use.get(way.name) != way:
                self.in_use[way.name] = way
                self.changed_ways.add(way.name)
        if old is not None:
            self._users[old.name] -= 1
            if not self._users[old.name]:
                del self._users[old.name], self.in_use[old.name]
                self.changed_ways.add(old.name)


def _read(route: Any) -> StreamRoute | None:
    """A route that can't be read leads nowhere; `pending` names it."""
    try:
        return None if route is None else read_route(route)
    except Untranslatable:
        return None


def _way(read: StreamRoute, store: RouteStore) -> Way | None:
    v6 = is_v6(read.place)
    if read.kind == "vxlan":
        return Way("vxlan", vxlan_name(read.node, v6), read.node, v6, None)
    if read.kind not in ("plain", "ipip") or read.gateway is None:
        return None
    name = _place_name(read.node, read.gateway, store)
    return Way(read.kind, name if read.kind == "plain" else f"ipip:{name}", "", is_v6(read.gateway), read.gateway)


def vxlan_name(node: str, v6: bool) -> str:
    """The name of the way to a node's VTEP."""
    return f"vxlan-{'v6' if v6 else 'v4'}:node:{node}"


def _place_name(node: str, address: int, store: RouteStore) -> str:
    """A node by its name if that is where it is known to be, else by the address."""
    known = store.host_metadata.get(node)
    texts = () if known is None else (known.ipv4_addr, known.ipv6_addr)
    if any(_address(text) == address for text in texts):
        return f"node:{node}/{'v6' if is_v6(address) else 'v4'}"
    return f"via:{text(address).partition('/')[0]}"


def _address(cidr: str) -> int | None:
    try:
        return parse_address(cidr.partition("/")[0]) if cidr else None
    except Untranslatable:
        return None
