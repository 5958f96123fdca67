"""The port inventory: which ports the switch has, and who is behind each.

Felix names interfaces; P4 needs port numbers, and routing needs the MAC and the addresses of what is behind a port. Here the ports
are virtual ones of the embedded target, made by name: one for the interface of every workload endpoint, one host port, one uplink
with the addresses of the node itself, and the tunnel devices that the stream calls for. A file (the contract's ``--ports``) adds
ports and replaces those of the same name; a file with any host or uplink replaces the default ones of that kind.

A port's number is keyed by its name, so it stays over a restart. It is given back only after the push that removed its last row
(``forget_removed``): a number that went to another interface at once would, for a moment, lead to the wrong one.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple, Protocol, TypeVar

from calico_p4.files import BadFile, load_list
from felix_proto.types import RouteType, WorkloadEndpoint, WorkloadEndpointID
from translator.addresses import parse_mac
from translator.inventory import CALICO_MAC

T = TypeVar("T")
UPLINK = "eth0"
HOST = "host"
VXLAN_DEVICE = "vxlan.calico"
IPIP_DEVICE = "tunl0"
_IPIP_MODES = ("always", "crosssubnet", "cross-subnet")
KIND = "port"
"""The allocator's kind of port numbers; the meaning is the name."""


class Port(NamedTuple):
    """A port: ``kind`` is workload, host, uplink or tunnel; ``mac`` is that of the device behind it; ``addresses`` are CIDRs.

    ``own_mac`` is the switch's own there; ``neighbours`` are (address, MAC) of what stands at the same link.
    """

    name: str
    number: int
    kind: str
    mac: int
    addresses: tuple[str, ...] = ()
    own_mac: int = CALICO_MAC
    neighbours: tuple[tuple[str, int], ...] = ()


class Numbers(Protocol):
    """What is asked of the allocator."""

    def get(self, kind: str, meaning: str) -> int:
        """Return the number of ``meaning``."""

    def release(self, kind: str, meaning: str) -> None:
        """Give it back."""


def load_ports(path: str) -> list[dict[str, Any]]:
    """Read a ports file. Raises BadFile: not the schema, a name twice, or an address that is none, with the list index."""
    items = load_list(path, "ports")
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        first = seen.setdefault(item["name"], index)
        if first != index:
            raise BadFile(f"{path}: [{index}]: port {item['name']!r} is already [{first}]")
        for field, reader in (("addresses", ip_interface), ("neighbours", ip_address)):
            for address in item.get(field, ()):
                try:
                    reader(address)
                except ValueError as error:
                    raise BadFile(f"{path}: [{index}].{field}: {error}") from error
    return items


class PortInventory:
    """The ports by name. ``generation`` grows with every change, so that readers need not compare."""

    def __init__(self, numbers: Numbers, extra: Sequence[Mapping[str, Any]] = ()) -> None:
        """``extra`` is the content of a ports file (schema ``ports``)."""
        self.generation = 0
        self._numbers = numbers
        self._ports: dict[str, Port] = {}
        self._by_number: dict[int, Port] = {}
        self._file = {item["name"]: item for item in extra}
        self._file_kinds = {item["kind"] for item in extra}
        self._users: dict[str, set[WorkloadEndpointID]] = {}
        self._interface: dict[WorkloadEndpointID, str] = {}
        self._tunnel_routes: set[str] = set()
        self._removed: set[str] = set()
        self._touched: set[str] = set()
        self.problems: dict[str, str] = {}
        """Ports with something in the stream that can't be read, and what: the rest of the port is there."""
        for name in self._file:
            self._refresh_port(name, None)

    def get(self, name: str) -> Port | None:
        """Return the port of that name, None if there is none."""
        return self._ports.get(name)

    def by_number(self, number: int) -> Port | None:
        """Return the port with that number, None if there is none."""
        return self._by_number.get(number)

    def all(self) -> list[Port]:
        """Return every port, sorted by name."""
        return [self._ports[name] for name in sorted(self._ports)]

    def endpoints(self) -> set[WorkloadEndpointID]:
        """Return the endpoints that have an interface here."""
        return set(self._interface)

    def of_kind(self, kind: str) -> list[Port]:
        """Return the ports of a kind, those of the file first in its order, then by name: the first uplink is the default one."""
        order = {name: place for place, name in enumerate(self._file)}
        chosen = (port for port in self._ports.values() if port.kind == kind)
        return sorted(chosen, key=lambda port: (order.get(port.name, len(order)), port.name))

    def refresh(self, store: Any, dirty: Any) -> bool:
        """Bring the ports in line with what changed in the intent store; tells whether any port changed. Raises what ``numbers`` raises."""
        before = self.generation
        self._note_tunnel_routes(store.routes, dirty.routes)
        for endpoint_id in dirty.endpoints:
            self._touched |= self._move(endpoint_id, store.endpoints.get(endpoint_id))
        for name in sorted(self._touched):  # one that gets no number now is tried again with the next change
            self._refresh_port(name, self._workload_port(store, name))
            self._touched.discard(name)
        self._refresh_node(store)
        return self.generation != before

    def renumber(self, numbers: Numbers) -> bool:
        """Ask another source for the number of every port; tells whether any came out different."""
        self._numbers = numbers
        ports = [port._replace(number=numbers.get(KIND, port.name)) for port in sorted(self._ports.values(), key=lambda port: port.number)]
        changed = any(port != self._ports[port.name] for port in ports)
        self._ports = {port.name: port for port in ports}
        self._by_number = {port.number: port for port in ports}
        self.generation += changed
        return changed

    def forget_removed(self) -> None:
        """Give the numbers of removed ports back; to be called when no row on the target uses them any more."""
        for name in self._removed - self._ports.keys():
            self._numbers.release(KIND, name)
        self._removed.clear()

    def _move(self, endpoint_id: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> set[str]:
        """Follow an endpoint to the interface it has now; returns the interfaces concerned."""
        old, new = self._interface.pop(endpoint_id, ""), endpoint.name if endpoint else ""
        if old:
            self._users[old].discard(endpoint_id)
        if new:
            self._interface[endpoint_id] = new
            self._users.setdefault(new, set()).add(endpoint_id)
        return {old, new} - {""}

    def _workload_port(self, store: Any, name: str) -> Mapping[str, Any] | None:
        """Describe the port of an interface, None if no endpoint has it; of several the one with the lowest id counts."""
        if not self._users.get(name):
            self._users.pop(name, None)
            return None
        owner = store.endpoints[min(self._users[name])]
        return {"name": name, "kind": "workload", "mac": owner.mac, "addresses": ()}

    def _note_tunnel_routes(self, routes: Mapping[str, Any], dirty: Iterable[str]) -> None:
        for destination in dirty:
            route = routes.get(destination)
            if route is not None and route.types & RouteType.LOCAL_TUNNEL and route.tunnel_type and route.tunnel_type.ipip:
                self._tunnel_routes.add(destination)
            else:
                self._tunnel_routes.discard(destination)

    def _refresh_node(self, store: Any) -> None:
        """The node's own ports: few, so they are simply described anew."""
        node = own_node(store)
        for kind, name in (("host", HOST), ("uplink", UPLINK)):
            addresses = node_addresses(store, node) if kind == "uplink" else ()
            wanted = None if kind in self._file_kinds else {"name": name, "kind": kind, "addresses": addresses}
            self._refresh_port(name, wanted)
        self._refresh_port(VXLAN_DEVICE, _vxlan_device(store.vteps.get(node)))
        self._refresh_port(IPIP_DEVICE, self._ipip_device(store))

    def _ipip_device(self, store: Any) -> Mapping[str, Any] | None:
        pools = any(pool.ipip_mode.lower() in _IPIP_MODES for pool in store.pools.values())
        if not (pools or (store.encapsulation is not None and store.encapsulation.ipip_enabled)):
            return None
        configured = store.config.get("IpInIpTunnelAddr", "")
        own = {address for address in self._tunnel_routes if address.partition("/")[0] != configured}
        addresses = sorted(own | {configured} - {"", "none"})
        return {"name": IPIP_DEVICE, "kind": "tunnel", "addresses": tuple(addresses)}

    def _refresh_port(self, name: str, described: Mapping[str, Any] | None) -> None:
        """Set or remove one port; what the file says of this name comes before everything else."""
        described = self._file.get(name, described)
        port = None if described is None else self._port(described)
        if port == self._ports.get(name):
            return
        self.generation += 1
        if port is not None:
            self._ports[name] = self._by_number[port.number] = port
        else:
            self._removed.add(name)
            del self._by_number[self._ports.pop(name).number]

    def _port(self, described: Mapping[str, Any]) -> Port:
        name = described["name"]
        self.problems.pop(name, None)
        addresses = tuple(cidr for cidr in (self._read(name, _cidr, text) for text in described.get("addresses", ())) if cidr)
        mac = self._read(name, parse_mac, described["mac"]) if described.get("mac") else None
        own = parse_mac(described["own_mac"]) if described.get("own_mac") else CALICO_MAC
        neighbours = tuple(sorted((str(ip_address(address)), parse_mac(text)) for address, text in described.get("neighbours", {}).items()))
        number = self._numbers.get(KIND, name)
        return Port(name, number, described["kind"], made_up_mac(name) if mac is None else mac, addresses, own, neighbours)

    def _read(self, name: str, reader: Callable[[str], T], text: str) -> T | None:
        """Read a text of the stream; one that makes no sense is kept in ``problems`` and costs only itself."""
        try:
            return reader(text)
        except ValueError as error:
            self.problems[name] = str(error)
            return None


def own_node(store: Any) -> str:
    """Return the name of this node as ConfigUpdate gives it, "" before the first one."""
    name: str = store.config.get("FelixHostname", "")
    return name


def node_addresses(store: Any, node: str) -> tuple[str, ...]:
    """Return the node's own addresses as HostMetadata has them: CIDRs, up to 3.32 bare addresses."""
    metadata = store.host_metadata.get(node)
    if metadata is None:
        return ()
    return tuple(address for address in (metadata.ipv4_addr, metadata.ipv6_addr) if address)


def _vxlan_device(vtep: Any) -> Mapping[str, Any] | None:
    if vtep is None:
        return None
    addresses = tuple(address for address in (vtep.ipv4_addr, vtep.ipv6_addr) if address)
    return {"name": VXLAN_DEVICE, "kind": "tunnel", "mac": vtep.mac or vtep.mac_v6, "addresses": addresses}


def _cidr(address: str) -> str:
    """Return an address with its prefix length, the whole address where none was given."""
    if "/" in address:
        return str(ip_interface(address))
    return f"{address}/{ip_address(address).max_prefixlen}"


def made_up_mac(name: str) -> int:
    """Return a locally administered unicast MAC for a port whose own is not known: always the same for one name."""
    digest = hashlib.blake2b(name.encode(), digest_size=5).digest()
    return 0x02 << 40 | int.from_bytes(digest)
