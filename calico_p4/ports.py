"""The port inventory: which ports the switch has, and who is behind each.

Felix names interfaces; P4 needs port numbers, and routing needs the MAC and the addresses of what is behind a port. Here the ports
are virtual ones of the embedded target, made by name: one for the interface of every workload endpoint, one host port, one uplink
with the addresses of the node itself, and the tunnel devices that the stream calls for. A file (the contract's ``--ports``) adds
ports and replaces those of the same name; a file with any host or uplink replaces the default ones of that kind. Where the kernel's
interfaces are watched (`watched.py`), an endpoint's port is there when its interface is, and uplinks are what the kernel has.

A port's number is keyed by its name, so it stays over a restart, unless a file or a rule says it. It is given back only after the push that removed its last row
(``forget_removed``): a number that went to another interface at once would, for a moment, lead to the wrong one.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple, Protocol, TypeVar

from calico_p4.files import BadFile, load_list
from calico_p4.interfaces import Interface
from calico_p4.node_ports import NodePorts
from calico_p4.port_rules import Rule
from calico_p4.watched import Watched
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID
from translator.addresses import parse_mac
from translator.inventory import CALICO_MAC

T = TypeVar("T")
KIND = "port"
"""The allocator's kind of port numbers; the meaning is the name."""


class Port(NamedTuple):
    """A port: ``kind`` is workload, host, uplink or tunnel; ``mac`` is that of the device behind it; ``addresses`` are CIDRs.

    ``own_mac`` is the switch's own there; ``neighbours`` are (address, MAC) of what stands at the same link; ``up``: whether it carries.
    """

    name: str
    number: int
    kind: str
    mac: int
    addresses: tuple[str, ...] = ()
    own_mac: int = CALICO_MAC
    neighbours: tuple[tuple[str, int], ...] = ()
    up: bool = True


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
        self._node = NodePorts()
        self._removed: set[str] = set()
        self._touched: set[str] = set()
        self._fixed: dict[str, int] = {}
        self._leaving: dict[int, str] = {}
        self._clashing: set[str] = set()
        self._watched: Watched | None = None
        self.moved = False
        """Whether interfaces changed, or a number became free that somebody waits for, since the last `refresh`."""
        self.concerned: set[WorkloadEndpointID] = set()
        """Endpoints whose interface changed since whoever reports on them last cleared this."""
        self.problems: dict[str, str] = {}
        """Ports with something in the stream that can't be read, and what: the rest of the port is there."""
        for name in self._file:
            self._refresh_port(name, None)

    def watch(self, rules: tuple[Rule, ...]) -> None:
        """From now on the ports are those of the kernel's interfaces, which `follow` is told."""
        self._watched = Watched(rules)

    def follow(self, changes: Mapping[str, Interface | None]) -> None:
        """Take in what changed of the kernel's interfaces; `refresh` brings the ports in line."""
        assert self._watched is not None
        self._watched.follow(changes)
        self._touched |= changes.keys()
        self.moved = True

    @property
    def known(self) -> bool:
        """Whether all interfaces are known; until then no endpoint's absence means anything."""
        return self._watched is None or self._watched.known

    @property
    def watching(self) -> bool:
        """Whether the kernel says which interfaces there are."""
        return self._watched is not None

    def waits(self, name: str) -> bool:
        """Whether nothing is wrong with an interface but that it is down, or not there yet."""
        port = self._ports.get(name)
        return name not in self.problems if port is None else not port.up

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

    def as_file(self) -> list[dict[str, Any]]:
        """Return the ports in the form of a ports file, those that an endpoint waits for as absent: it makes the same ports without a kernel."""
        absent = (name for name, users in sorted(self._users.items()) if users and name not in self._ports)
        there = ({**_item(port), **({"number": port.number} if port.name in self._fixed else {})} for port in self.all())
        return [*there, *({"name": name, "kind": "workload", "state": "absent"} for name in absent)]

    def of_kind(self, kind: str) -> list[Port]:
        """Return the ports of a kind, those that carry first, then those of the file in its order, then by name: the first uplink is the
        default one."""
        order = {name: place for place, name in enumerate(self._file)}
        chosen = (port for port in self._ports.values() if port.kind == kind)
        return sorted(chosen, key=lambda port: (not port.up, order.get(port.name, len(order)), port.name))

    def refresh(self, store: Any, dirty: Any) -> bool:
        """Bring the ports in line with what changed in the intent store; tells whether any port changed. Raises what ``numbers`` raises."""
        before = self.generation
        self._node.note(store.routes, dirty.routes)
        for endpoint_id in dirty.endpoints:
            self._touched |= self._move(endpoint_id, store.endpoints.get(endpoint_id))
        self.moved = False
        self._touched |= self._clashing
        node = self._node.described(store, self._file_kinds)
        for name in sorted(self._touched - node.keys()):  # one that gets no number now is tried again with the next change
            self.concerned |= self._users.get(name, set())
            self._refresh_port(name, *self._workload_port(store, name))
            self._touched.discard(name)
        for name, wanted in node.items():  # few, so they are simply described anew
            self._refresh_port(name, wanted)
        self._touched.clear()
        return self.generation != before

    def renumber(self, numbers: Numbers) -> bool:
        """Ask another source for the number of every port; tells whether any came out different."""
        self._numbers = numbers
        ports = [port._replace(number=self._number(port.name)) for port in sorted(self._ports.values(), key=lambda port: port.number)]
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
        self._leaving.clear()
        self.moved |= bool(self._clashing)

    def _move(self, endpoint_id: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> set[str]:
        """Follow an endpoint to the interface it has now; returns the interfaces concerned."""
        old, new = self._interface.pop(endpoint_id, ""), endpoint.name if endpoint else ""
        if old:
            self._users[old].discard(endpoint_id)
        if new:
            self._interface[endpoint_id] = new
            self._users.setdefault(new, set()).add(endpoint_id)
        return {old, new} - {""}

    def _workload_port(self, store: Any, name: str) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
        """Describe the port of an interface, None if no endpoint has it, and its addresses; of several the one with the lowest id counts."""
        if not self._users.get(name):
            self._users.pop(name, None)
            return None, ()
        owner = store.endpoints[min(self._users[name])]
        addresses = (cidr.partition("/")[0] for cidr in (*owner.ipv4_nets, *owner.ipv6_nets))
        return {"name": name, "kind": "workload", "mac": owner.mac, "addresses": ()}, tuple(addresses)

    def _refresh_port(self, name: str, wanted: Mapping[str, Any] | None, addresses: tuple[str, ...] = ()) -> None:
        """Set or remove one port; what the file says of this name comes before everything else, then the kernel, then the stream."""
        self.problems.pop(name, None)
        self._clashing.discard(name)
        described = self._file.get(name) or self._found(name, wanted, addresses)
        before, fixed = self._ports.get(name), name in self._fixed
        port = None if described is None or described.get("state") == "absent" else self._port(described)
        if port == before:
            return
        self.generation += 1
        if before is not None and (port is None or port.number != before.number):
            self._take_away(before, fixed)
        if port is not None:
            self._ports[name] = self._by_number[port.number] = port

    def _found(self, name: str, wanted: Mapping[str, Any] | None, addresses: tuple[str, ...]) -> Mapping[str, Any] | None:
        """What the kernel makes of what the stream wants."""
        if self._watched is None:
            return wanted
        described = self._watched.described(name, wanted, addresses)
        if name in self._watched.problems:
            self.problems[name] = self._watched.problems[name]
        return described

    def _take_away(self, port: Port, fixed: bool) -> None:
        del self._by_number[port.number], self._ports[port.name]
        if fixed:
            self._leaving[port.number] = port.name
        else:
            self._removed.add(port.name)

    def _number(self, name: str) -> int:
        return self._fixed[name] if name in self._fixed else self._numbers.get(KIND, name)

    def _port(self, described: Mapping[str, Any]) -> Port | None:
        """The port as described, None if its number is another's."""
        name = described["name"]
        addresses = tuple(cidr for cidr in (self._read(name, _cidr, text) for text in described.get("addresses", ())) if cidr)
        mac = self._read(name, parse_mac, described["mac"]) if described.get("mac") else None
        own = parse_mac(described["own_mac"]) if described.get("own_mac") else CALICO_MAC
        neighbours = tuple(sorted((str(ip_address(address)), parse_mac(text)) for address, text in described.get("neighbours", {}).items()))
        self._fixed.pop(name, None)
        if "number" in described:
            self._fixed[name] = described["number"]
        number = self._number(name)
        mac = made_up_mac(name) if mac is None else mac
        port = Port(name, number, described["kind"], mac, addresses, own, neighbours, described.get("state") != "down")
        return None if self._clashes(port) else port

    def _clashes(self, port: Port) -> bool:
        """Whether a port's number is another's, or was until now: it waits until no row leads there any more."""
        there = self._by_number.get(port.number)
        other = there.name if there is not None else self._leaving.get(port.number, port.name)
        if other == port.name:
            return False
        self.problems[port.name] = f"no port: its number {port.number} is that of {other}"
        self._clashing.add(port.name)
        return True

    def _read(self, name: str, reader: Callable[[str], T], text: str) -> T | None:
        """Read a text of the stream; one that makes no sense is kept in ``problems`` and costs only itself."""
        try:
            return reader(text)
        except ValueError as error:
            self.problems[name] = str(error)
            return None


def _item(port: Port) -> dict[str, Any]:
    neighbours = {address: mac.to_bytes(6).hex(":") for address, mac in port.neighbours}
    return {
        "name": port.name, "kind": port.kind, "mac": port.mac.to_bytes(6).hex(":"), "addresses": list(port.addresses),
        "own_mac": port.own_mac.to_bytes(6).hex(":"), "neighbours": neighbours, "state": "up" if port.up else "down",
    }  # fmt: skip


def _cidr(address: str) -> str:
    """Return an address with its prefix length, the whole address where none was given."""
    if "/" in address:
        return str(ip_interface(address))
    return f"{address}/{ip_address(address).max_prefixlen}"


def made_up_mac(name: str) -> int:
    """Return a locally administered unicast MAC for a port whose own is not known: always the same for one name."""
    digest = hashlib.blake2b(name.encode(), digest_size=5).digest()
    return 0x02 << 40 | int.from_bytes(digest)
