"""Rows of `tunnel` and `tunnel_*`: VXLAN and IP in IP to and from other nodes (k8s_p4/p4/core/tunnel.p4, contract 4.3).

Out: one row for each way through a tunnel (`ways`). A way that can't be made yet has none, so that what takes it is dropped.
In: where tunnels end (the node's own addresses under them), who may send (VXLAN: the nodes with a VTEP; IPIP: all nodes with an
address), and which sources are behind which node: what the stream's routes say, and its VTEP's own address. A prefix of this node's is
behind this node, which is nobody's peer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .addresses import is_v6, length_of, parse_address, parse_mac, value_of
from .claims import Change, Claims, Row
from .config import own_node, positive
from .degraded import Degraded
from .errors import Untranslatable
from .host_endpoints import HostEndpoints
from .inventory import Port, Ports, PortsWatch
from .numbers import Names, Numbers
from .outer import IPIP, UDP, VXLAN_PORT, ipv4_sum, vxlan_v6_sum
from .ways import TUNNELS, Way, Ways, vxlan_name

VXLAN_DEVICE, IPIP_DEVICE = "vxlan.calico", "tunl0"
_KINDS = {VXLAN_DEVICE: 1, IPIP_DEVICE: 2}
_WAY, _LOCAL, _PEER, _ROUTE, _VTEP = range(5)
Rows = dict[Row, tuple[Any, ...]]


class Vtep(NamedTuple):
    """One end of a VXLAN tunnel in one family: the place of its outer address, and the MAC inside."""

    outer: int
    mac: int


class Underlay(NamedTuple):
    """What is asked about interfaces: the next hop's number to a place, and the host endpoint of a port (0 none)."""

    hop: Callable[[int], int | None]
    host_endpoint: Callable[[Port], int]
    hosts: HostEndpoints


class TunnelPart:
    """Owner of the tables `tunnel`, `tunnel_local_*`, `tunnel_peer_*` and `tunnel_source_*`."""

    def __init__(self, names: Names, ways: Ways, numbers: Numbers, underlay: Underlay) -> None:
        """`numbers`: of the tunnels, shared with routing, which leads to them."""
        self._ways, self._underlay = ways, underlay
        self._claims = Claims()
        self._numbers = numbers
        self._nodes = Numbers("node", names)
        self._watch = PortsWatch()
        self._local: dict[tuple[str, bool], int] = {}
        self._vteps: dict[tuple[str, bool], Vtep] = {}
        self._known: set[str] = set()
        self._broken: dict[str, Degraded] = {}

    def update(self, store: Any, dirty: Any, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update; to be called when routing's next hops are known."""
        moved = self._watch.changed(ports) or dirty.config or self._underlay.hosts.changed
        own = own_node(store.config)
        due = set(dirty.vteps | dirty.hosts)
        if moved or own in due:
            due |= store.vteps.keys() | store.host_metadata.keys() | self._known
        for node in due:
            self._read_vtep(node, store)
        opened = self._set_local(own, store, ports) if moved or own in due else False
        for node in due:
            self._set_peer(node, own, store)
        self._set_sources(opened)
        vxlan = {vxlan_name(node, v6) for node in due for v6 in (False, True)}
        everything = moved or own in due
        for name in self._ways.changed_ways | (self._ways.in_use.keys() if everything else vxlan):
            self._set_way(name, store, ports)
        self._retire(due | self._ways.changed_nodes, store)
        return self._claims.changes()

    def rest(self) -> None:
        """Give back the numbers of nodes and tunnels that are gone; to be called when no row uses them any more."""
        self._nodes.settle()
        self._numbers.settle()

    def degraded(self) -> Iterator[Degraded]:
        """The ways that can't be made."""
        yield from self._broken.values()

    def _read_vtep(self, node: str, store: Any) -> None:
        for v6 in (False, True):
            self._vteps.pop((node, v6), None)
        known = store.vteps.get(node)
        if known is None:
            return
        # A node whose VTEP carries both families through one device may name one MAC only.
        for v6, outer, mac in ((False, known.parent_device_ip, known.mac), (True, known.parent_device_ipv6, known.mac_v6 or known.mac)):
            try:
                made = Vtep(parse_address(outer), parse_mac(mac))
            except Untranslatable:
                continue
            if is_v6(made.outer) == v6:
                self._vteps[node, v6] = made

    def _set_local(self, own: str, store: Any, ports: Ports) -> bool:
        """Where tunnels end; tells whether the families in which some do are others than before."""
        before = {v6 for _, v6 in self._local}
        self._local = {}
        rows: Rows = {}
        for device, kind in _KINDS.items():
            port = ports.get(device)
            for address, vni in self._ends(device, own, store) if port is not None and port.kind == "tunnel" else ():
                self._local[device, is_v6(address)] = address
                rows[f"tunnel_local_{_family(address)}", (kind, value_of(address))] = ("terminate", port.number, vni)  # type: ignore[union-attr]
        self._claims.set((_LOCAL,), rows)
        return before != {v6 for _, v6 in self._local}

    def _ends(self, device: str, own: str, store: Any) -> Iterator[tuple[int, int]]:
        if device == VXLAN_DEVICE and vxlan_problem(store.config):
            return
        if device == VXLAN_DEVICE:
            yield from ((vtep.outer, vni(store.config)) for v6 in (False, True) if (vtep := self._vteps.get((own, v6))))
        elif (address := _node_address(own, store)) is not None:
            yield address, 0

    def _set_peer(self, node: str, own: str, store: Any) -> None:
        """What may come from a node: by VXLAN from its VTEP, by IPIP from its address; and that its VTEP is behind it."""
        rows: Rows = {}
        if node != own:
            for v6 in (False, True):
                vtep = self._vteps.get((node, v6))
                if vtep is not None and (VXLAN_DEVICE, v6) in self._local:
                    rows[f"tunnel_peer_{_family(vtep.outer)}", (_KINDS[VXLAN_DEVICE], value_of(vtep.outer))] = ("from_peer", self._number(node))
            address = _node_address(node, store)
            if address is not None and (IPIP_DEVICE, False) in self._local:
                rows["tunnel_peer_v4", (_KINDS[IPIP_DEVICE], value_of(address))] = ("from_peer", self._number(node))
        self._claims.set((_PEER, node), rows)
        known = store.vteps.get(node)
        addresses = () if known is None else (known.ipv4_addr, known.ipv6_addr)
        self._claims.set((_VTEP, node), {row: value for text in addresses for row, value in self._behind(_parsed(text), node).items()})

    def _set_sources(self, everything: bool) -> None:
        for destination in self._ways.routes.keys() | self._ways.changed if everything else self._ways.changed:
            read = self._ways.routes.get(destination)
            there = read is not None and read.behind and read.node
            self._claims.set((_ROUTE, destination), self._behind(read.place, read.node) if there and read is not None else {})

    def _behind(self, place: int | None, node: str) -> Rows:
        """Nothing where no tunnel of that family ends."""
        if place is None or all(v6 != is_v6(place) for _, v6 in self._local):
            return {}
        return {(f"tunnel_source_{_family(place)}", ((value_of(place), length_of(place)),)): ("behind", self._number(node))}

    def _set_way(self, name: str, store: Any, ports: Ports) -> None:
        way = self._ways.in_use.get(name)
        self._broken.pop(name, None)
        if way is None or way.kind not in TUNNELS:
            self._claims.set((_WAY, name), {})
            if name in self._numbers:
                self._numbers.retire(name)
            return
        value = self._outer(way, store, ports)
        if isinstance(value, str):
            where = f"Node {way.node}" if way.node else f"Tunnel {name}"
            self._broken[name] = Degraded(where, f"{value}: what takes {name} is dropped", "pending")
        rows: Rows = {} if isinstance(value, str) else {("tunnel", (self._numbers.get(name),)): value}
        self._claims.set((_WAY, name), rows)

    def _outer(self, way: Way, store: Any, ports: Ports) -> tuple[Any, ...] | str:
        """The row's value, or why it can't be made."""
        device = ports.get(VXLAN_DEVICE if way.kind == "vxlan" else IPIP_DEVICE)
        if way.kind == "vxlan" and (problem := vxlan_problem(store.config)):
            return problem
        local = self._local.get((VXLAN_DEVICE if way.kind == "vxlan" else IPIP_DEVICE, way.v6))
        if device is None or local is None:
            return "this node has no tunnel device of that kind"
        peer = self._vteps.get((way.node, way.v6)) if way.kind == "vxlan" else None
        remote = way.address if way.kind == "ipip" else None if peer is None else peer.outer
        if remote is None:
            return "it has no tunnel endpoint with address and MAC"
        hop = self._underlay.hop(remote)
        if hop is None:
            return "no port leads to it"
        shared = (hop, self._underlay.host_endpoint(device), value_of(local), value_of(remote))
        if peer is None:
            return "ipip", *shared, ipv4_sum(IPIP, local, remote)
        macs, number = (self._vteps[own_node(store.config), way.v6].mac, peer.mac), vni(store.config)
        total = vxlan_v6_sum(number, local, remote, *macs) if way.v6 else ipv4_sum(UDP, local, remote)
        return f"vxlan_{_family(local)}", *shared, total, number, *macs

    def _number(self, node: str) -> int:
        self._known.add(node)
        return self._nodes.get(node)

    def _retire(self, due: set[str], store: Any) -> None:
        """Forget nodes that nothing names any more."""
        for node in due & self._known:
            if node not in store.vteps and node not in store.host_metadata and not self._ways.leads_to(node):
                self._known.discard(node)
                self._nodes.retire(node)


def vni(config: Any) -> int:
    """VXLANVNI, default 4096."""
    return positive(config, "VXLANVNI", 4096)


def vxlan_problem(config: Any) -> str:
    """Why no VXLAN tunnel can be had, "" if it can."""
    port = positive(config, "VXLANPort", VXLAN_PORT)
    return "" if port == VXLAN_PORT else f"VXLANPort is {port}, and {VXLAN_PORT} is compiled in"


def _node_address(node: str, store: Any) -> int | None:
    """The IPv4 address of a node, which is that of its IPIP tunnels."""
    known = store.host_metadata.get(node)
    address = None if known is None else _parsed(known.ipv4_addr)
    return None if address is None or is_v6(address) else address


def _parsed(cidr: str) -> int | None:
    try:
        return parse_address(cidr.partition("/")[0]) if cidr else None
    except Untranslatable:
        return None


def _family(place: int) -> str:
    return "v6" if is_v6(place) else "v4"
