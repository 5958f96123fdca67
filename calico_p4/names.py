"""How objects and places are named in answers: workload endpoints, and where a packet leaves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from calico_p4.node_ports import node_addresses, own_node
from calico_p4.ports import Port, PortInventory
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID

KUBERNETES = "k8s"


class Places:
    """Who owns which address and interface, in one state of the store: made anew when the state has changed."""

    def __init__(self, store: Any, ports: PortInventory) -> None:
        self._ports = ports
        self._endpoints: Mapping[WorkloadEndpointID, WorkloadEndpoint] = store.endpoints
        self._hosts: dict[Any, WorkloadEndpointID] = {}
        self._nets: list[tuple[IPv4Network | IPv6Network, WorkloadEndpointID]] = []
        self._by_interface: dict[str, WorkloadEndpointID] = {}
        pods = Counter((key.orchestrator_id, key.workload_id) for key in store.endpoints)
        self._names = {key: _endpoint_name(key, pods) for key in store.endpoints}
        self._by_name: dict[str, WorkloadEndpointID] = {}
        for key in sorted(store.endpoints):  # the lowest id wins, here and in Calico
            self._note(key, store.endpoints[key])
        self._own = _own_addresses(store, ports)

    def _note(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint) -> None:
        self._by_interface.setdefault(endpoint.name, key)
        self._by_name.setdefault(self._names[key], key)
        self._by_name.setdefault("/".join(key), key)
        if key.orchestrator_id == KUBERNETES:
            self._by_name.setdefault(key.workload_id, key)
        for net in _networks(endpoint.ipv4_nets + endpoint.ipv6_nets):
            if net.prefixlen == net.max_prefixlen:
                self._hosts.setdefault(net.network_address, key)
            else:
                self._nets.append((net, key))

    def owner(self, address: str) -> WorkloadEndpointID | None:
        """Return the endpoint that an address belongs to: of several claimants the one with the lowest id."""
        parsed = ip_address(address)
        found = [key for net, key in self._nets if parsed in net]
        if parsed in self._hosts:
            found.append(self._hosts[parsed])
        return min(found, default=None)

    def is_own(self, address: str) -> bool:
        """Tell whether an address is one of the node itself."""
        return ip_address(address) in self._own

    def endpoint(self, name: str) -> WorkloadEndpointID | None:
        """Return the endpoint named NAMESPACE/POD (of several the lowest) or ORCHESTRATOR/WORKLOAD/ENDPOINT."""
        return self._by_name.get(name)

    def name(self, key: WorkloadEndpointID) -> str:
        """Return an endpoint's name: NAMESPACE/POD where that is enough."""
        return self._names[key]

    def at_interface(self, interface: str) -> WorkloadEndpointID | None:
        """Return the endpoint behind an interface: of several the one with the lowest id."""
        return self._by_interface.get(interface)

    def out(self, port: Port, dst: str | None) -> str:
        """Return the contract's name for a port that a packet to ``dst`` left by."""
        if port.kind == "workload" and (key := self.behind(port, dst)) is not None:
            return f"workload:{self._names[key]}"
        if port.kind == "host":
            return "host"
        if port.kind == "uplink" and port == self._ports.of_kind("uplink")[0]:
            return "uplink"
        return f"interface:{port.name}"

    def behind(self, port: Port, address: str | None) -> WorkloadEndpointID | None:
        """Return the endpoint behind a port: the owner of ``address`` if it is there, else the first of that interface."""
        owner = self.owner(address) if address else None
        if owner is not None and self._endpoints[owner].name == port.name:
            return owner
        return self._by_interface.get(port.name)


def _endpoint_name(key: WorkloadEndpointID, pods: Counter[tuple[str, str]]) -> str:
    if key.orchestrator_id == KUBERNETES and pods[key.orchestrator_id, key.workload_id] == 1:
        return key.workload_id
    return "/".join(key)


def _networks(texts: Iterable[str]) -> Iterable[IPv4Network | IPv6Network]:
    """Yield what can be read; what can't is reported where it is translated."""
    for text in texts:
        try:
            yield ip_network(text, strict=False)
        except ValueError:
            continue


def _own_addresses(store: Any, ports: PortInventory) -> set[Any]:
    node = own_node(store)
    texts = [cidr for kind in ("uplink", "host", "tunnel") for port in ports.of_kind(kind) for cidr in port.addresses]
    texts += node_addresses(store, node)
    vtep = store.vteps.get(node)
    if vtep is not None:
        texts += [address for address in (vtep.ipv4_addr, vtep.ipv6_addr) if address]
    return {address for text in texts if (address := _address(text)) is not None}


def _address(text: str) -> Any:
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        return None
