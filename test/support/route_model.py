"""Where a packet of the node goes, by the contract (4.2, 4.3) and the replay contract's "Where packets go". Written from them alone.

`resolve` answers with a tuple: ("host",), ("workload", id), ("plain", port, gateway or None), ("vxlan", source, destination, vni,
inner source MAC, inner destination MAC), ("ipip", source, destination), or ("drop",).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

REMOTE_WORKLOAD, REMOTE_HOST, LOCAL_WORKLOAD, LOCAL_HOST, REMOTE_TUNNEL, LOCAL_TUNNEL = 1, 2, 4, 8, 16, 32
NO_ENCAP, VXLAN, IPIP = 1, 2, 3
DROP = ("drop",)


class RouteModel:
    """The routing of one node: an intent store as it stands, and (name, kind, CIDRs) of the node's ports, the first uplink first."""

    def __init__(self, store: Any, ports: list[tuple[str, str, tuple[str, ...]]]) -> None:
        self.store = store
        self.node = store.config.get("FelixHostname", "")
        self.subnets = [(name, ip_interface(cidr).network) for name, _, cidrs in ports for cidr in cidrs]
        self.uplink = next((name for name, kind, _ in ports if kind == "uplink"), None)
        self.own = {ip_interface(cidr).ip for _, _, cidrs in ports for cidr in cidrs} | set(self._own_addresses())
        self.workloads = self._workloads()
        self.routes = {ip_network(dst): route for dst, route in store.routes.items()}
        self.by_length = sorted(self.routes, key=lambda net: -net.prefixlen)

    def _own_addresses(self) -> Iterator[Any]:
        metadata, vtep = self.store.host_metadata.get(self.node), self.store.vteps.get(self.node)
        for known in (metadata, vtep):
            for text in (known.ipv4_addr, known.ipv6_addr) if known else ():
                if text:
                    yield ip_address(text.partition("/")[0])
        for dst, route in self.store.routes.items():
            if route.types & (LOCAL_HOST | LOCAL_TUNNEL) and ip_network(dst).num_addresses == 1:
                yield ip_network(dst).network_address

    def _workloads(self) -> dict[Any, str]:
        found: dict[Any, str] = {}
        for key in sorted(self.store.endpoints):
            endpoint = self.store.endpoints[key]
            for cidr in endpoint.ipv4_nets + endpoint.ipv6_nets:
                if ip_network(cidr).num_addresses == 1:
                    found.setdefault(ip_network(cidr).network_address, "/".join(key))
        return found

    def resolve(self, text: str) -> tuple[Any, ...]:
        """Where what is sent to an address goes."""
        address = ip_address(text)
        if address in self.own:
            return ("host",)
        if address in self.workloads:
            return "workload", self.workloads[address]
        best, answer = -1, DROP
        for net in self.by_length:
            if net.version == address.version and address in net and (found := self._follow(net, self.routes[net])) is not None:
                best, answer = net.prefixlen, found
                break
        for name, subnet in self.subnets:  # a longer prefix wins, whoever it is from; the stream's where they are equal
            if subnet.version == address.version and address in subnet and subnet.prefixlen > best:
                best, answer = subnet.prefixlen, ("plain", name, None)
        if best < 0 and self.uplink:
            return "plain", self.uplink, None
        return answer

    def _follow(self, net: Any, route: Any) -> tuple[Any, ...] | None:
        """What a route says, None if it is none."""
        single = net.num_addresses == 1
        if route.types & LOCAL_WORKLOAD:
            # Borrowed by this node and nobody's: the node whose block it is would send it back.
            nobodys = not route.local_workload and (not single or route.types & REMOTE_WORKLOAD)
            return DROP if nobodys and not (single and route.types & (LOCAL_HOST | LOCAL_TUNNEL)) else None
        if route.types & (LOCAL_HOST | LOCAL_TUNNEL):
            return None
        if self._secret(route, net.version) and route.types & (REMOTE_WORKLOAD | REMOTE_TUNNEL) and self._remote(route, net) is not None:
            return DROP
        if route.types & REMOTE_HOST and not route.types & REMOTE_WORKLOAD and self._secret(route, net.version):
            return DROP if self.store.config.get("WireguardHostEncryptionEnabled") == "true" else None
        return self._remote(route, net)

    def _secret(self, route: Any, version: int) -> bool:
        enabled = self.store.config.get("WireguardEnabled" if version == 4 else "WireguardEnabledV6") == "true"
        keys = self.store.wireguard.get(route.dst_node_name)
        return bool(enabled and route.dst_node_name != self.node and keys and (keys.public_key if version == 4 else keys.public_key_v6))

    def _remote(self, route: Any, net: Any) -> tuple[Any, ...] | None:
        on_device = bool(route.types & REMOTE_TUNNEL and (route.types & REMOTE_WORKLOAD or route.borrowed))
        if not route.types & REMOTE_WORKLOAD and not on_device:
            return None
        if route.ip_pool_type == NO_ENCAP or (route.same_subnet and not on_device):
            return ("plain", self._port_to(route.dst_node_ip), route.dst_node_ip) if route.dst_node_ip else None
        if route.ip_pool_type == VXLAN:
            return self._vxlan(route.dst_node_name, net.version)
        if route.ip_pool_type == IPIP:
            own = self.store.host_metadata.get(self.node)
            there = own is not None and own.ipv4_addr and route.dst_node_ip
            return ("ipip", own.ipv4_addr.partition("/")[0], route.dst_node_ip) if there else DROP
        return None

    def _vxlan(self, node: str, version: int) -> tuple[Any, ...]:
        if self.store.config.get("VXLANPort", "4789") != "4789":
            return DROP
        ends = []
        for name in (self.node, node):
            vtep = self.store.vteps.get(name)
            outer, mac = ("", "") if vtep is None else (vtep.parent_device_ip, vtep.mac) if version == 4 else (vtep.parent_device_ipv6, vtep.mac_v6 or vtep.mac)
            if not outer or not mac:
                return DROP
            ends.append((outer, mac))
        return "vxlan", ends[0][0], ends[1][0], int(self.store.config.get("VXLANVNI", "4096")), ends[0][1], ends[1][1]

    def _port_to(self, gateway: str) -> str | None:
        address = ip_address(gateway)
        holding = [(net.prefixlen, name) for name, net in self.subnets if net.version == address.version and address in net]
        return max(holding)[1] if holding else self.uplink
