"""Which host endpoint stands at which interface of the node (Calico contract 3.8).

A host endpoint with a name has the interface of that name; one without has every interface that has one of its expected addresses;
of several the alphabetically first id wins; "*" has all interfaces that no other has, workload interfaces included. Interfaces are
the uplinks and tunnel devices of the port inventory. One that has none is kept, and looked for again when the inventory changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from ipaddress import ip_address, ip_interface
from typing import Protocol

from felix_proto.types import HostEndpoint

from .degraded import Degraded
from .failsafe import INBOUND, OUTBOUND, failsafe_ports
from .inventory import Port, Ports, PortsWatch
from .names import ALL_INTERFACES, endpoint_meaning, host_endpoint_name
from .numbers import Numbers
from .stages import STAGES

INTERFACE_KINDS = ("uplink", "tunnel")
Closed = Callable[[str, str], str | None]


class Store(Protocol):
    """What is read of the intent store."""

    @property
    def host_endpoints(self) -> Mapping[str, HostEndpoint]: ...
    @property
    def config(self) -> Mapping[str, str]: ...


class Dirty(Protocol):
    """What is read of a batch of changes."""

    @property
    def host_endpoints(self) -> AbstractSet[str]: ...
    @property
    def config(self) -> bool: ...


class HostEndpoints:
    """The host endpoints by interface. `changed` tells whether any interface got another one in the last update."""

    def __init__(self, numbers: Numbers, closed: Closed) -> None:
        """`numbers` are those of endpoints; `closed(id, stage)`: why policy keeps a stage closed, None if it does not."""
        self.changed = False
        self.by_interface: dict[str, str] = {}
        self.all_interfaces: str | None = None
        self._numbers, self._closed = numbers, closed
        self._known: dict[str, HostEndpoint] = {}
        self._unresolved: dict[str, str] = {}
        self._config: tuple[Degraded, ...] = ()
        self._watch = PortsWatch()

    def update(self, store: Store, dirty: Dirty, ports: Ports) -> None:
        """Resolve anew if host endpoints or ports changed."""
        self.changed = False
        if dirty.config:
            self._config = tuple(_config_problems(store.config))
        moved = self._watch.changed(ports)
        if not (moved or dirty.host_endpoints):
            return
        before = self._numbers_there()
        for endpoint_id in dirty.host_endpoints:
            self._note(endpoint_id, store.host_endpoints.get(endpoint_id))
        self._resolve(ports)
        self.changed = before != self._numbers_there()

    def number_at(self, port: Port) -> int:
        """The number of the host endpoint at an interface, 0 for none; a workload interface has that of all interfaces."""
        if port.kind == "workload":
            return self._number(self.all_interfaces)
        return self._number(self.by_interface.get(port.name)) if port.kind in INTERFACE_KINDS else 0

    def interfaces(self, endpoint_id: str) -> list[str]:
        """The uplinks and tunnel devices at which a host endpoint stands."""
        return [name for name, there in self.by_interface.items() if there == endpoint_id]

    def degraded(self) -> Iterator[Degraded]:
        """Host endpoints without an interface, those whose policy can't be translated, failsafe ports that can't be read."""
        yield from self._config
        for endpoint_id in sorted(self._known):
            name = host_endpoint_name(endpoint_id)
            if endpoint_id in self._unresolved:
                yield Degraded(name, self._unresolved[endpoint_id], "pending")
            for stage in STAGES:
                if (why := self._closed(endpoint_id, stage.name)) is not None:
                    yield Degraded(name, f"{stage.name}: {why}", "closed", stage.direction)

    def _note(self, endpoint_id: str, endpoint: HostEndpoint | None) -> None:
        meaning = endpoint_meaning(endpoint_id)
        if endpoint is not None:
            self._known[endpoint_id] = endpoint
            self._numbers.get(meaning)
        elif self._known.pop(endpoint_id, None) is not None:
            self._numbers.retire(meaning)

    def _number(self, endpoint_id: str | None) -> int:
        return 0 if endpoint_id is None or endpoint_id not in self._known else self._numbers.get(endpoint_meaning(endpoint_id))

    def _numbers_there(self) -> tuple[int, dict[str, int]]:
        return self._number(self.all_interfaces), {name: self._number(key) for name, key in self.by_interface.items()}

    def _resolve(self, ports: Ports) -> None:
        by_name, by_address = self._index()
        self.all_interfaces = by_name.pop(ALL_INTERFACES, None)
        self.by_interface = {}
        for port in ports.all():
            if port.kind in INTERFACE_KINDS:
                addresses = {ip_interface(cidr).ip for cidr in port.addresses}
                found = [by_name.get(port.name), *(by_address.get(address) for address in addresses)]
                best = min((key for key in found if key is not None), default=self.all_interfaces)
                if best is not None:
                    self.by_interface[port.name] = best
        self._unresolved = {key: why for key, each in self._known.items() if (why := self._why_not(each, ports))}

    def _index(self) -> tuple[dict[str, str], dict[object, str]]:
        """The first id by interface name, and of those without a name by expected address."""
        by_name: dict[str, str] = {}
        by_address: dict[object, str] = {}
        for endpoint_id in sorted(self._known):
            endpoint = self._known[endpoint_id]
            if endpoint.name:
                by_name.setdefault(endpoint.name, endpoint_id)
                continue
            for address in _expected(endpoint):
                by_address.setdefault(address, endpoint_id)
        return by_name, by_address

    def _why_not(self, endpoint: HostEndpoint, ports: Ports) -> str:
        """Why a host endpoint stands nowhere, "" if it does not."""
        if endpoint.id == self.all_interfaces or endpoint.id in self.by_interface.values():
            return ""
        if endpoint.name == ALL_INTERFACES:
            return f"{host_endpoint_name(self.all_interfaces or '')} stands for all interfaces"
        port = ports.get(endpoint.name) if endpoint.name else None
        if port is not None and port.kind in INTERFACE_KINDS:
            return f"interface {endpoint.name!r} is that of {host_endpoint_name(self.by_interface[port.name])}"
        if endpoint.name:
            return f"there is no interface {endpoint.name!r}"
        wanted = ", ".join(endpoint.expected_ipv4_addrs + endpoint.expected_ipv6_addrs) or "none"
        return f"no interface that is not another's has an expected address ({wanted})"


def _expected(endpoint: HostEndpoint) -> Iterator[object]:
    """The expected addresses; what is no address is that of no interface, and so is told."""
    for text in endpoint.expected_ipv4_addrs + endpoint.expected_ipv6_addrs:
        try:
            yield ip_address(text.partition("/")[0])
        except ValueError:
            continue


def _config_problems(config: Mapping[str, str]) -> Iterator[Degraded]:
    for name in (INBOUND, OUTBOUND):
        problem = failsafe_ports(config, name)[1]
        if problem is not None:
            yield Degraded(f"Config {name}={config[name]}", f"{problem}: Calico's defaults are used", "partial")
