"""The node's own ports as the stream has them: a host port, an uplink with the node's addresses, and the tunnels' devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from felix_proto.types import RouteType

UPLINK = "eth0"
HOST = "host"
VXLAN_DEVICE = "vxlan.calico"
IPIP_DEVICE = "tunl0"
_IPIP_MODES = ("always", "crosssubnet", "cross-subnet")
Described = Mapping[str, Any]
"""A port, in the form of a ports file."""


class NodePorts:
    """Describes them anew each time: they are few."""

    def __init__(self) -> None:
        self._tunnel_routes: set[str] = set()

    def note(self, routes: Mapping[str, Any], dirty: Iterable[str]) -> None:
        """Take in which routes changed: those of the node's own tunnels are addresses of its device."""
        for destination in dirty:
            route = routes.get(destination)
            if route is not None and route.types & RouteType.LOCAL_TUNNEL and route.tunnel_type and route.tunnel_type.ipip:
                self._tunnel_routes.add(destination)
            else:
                self._tunnel_routes.discard(destination)

    def described(self, store: Any, taken: Collection[str]) -> dict[str, Described | None]:
        """Describe each, by name; None: there is none, as with those of the kinds that a file has ``taken``."""
        node = own_node(store)
        host = None if "host" in taken else {"name": HOST, "kind": "host", "addresses": ()}
        uplink = None if "uplink" in taken else {"name": UPLINK, "kind": "uplink", "addresses": node_addresses(store, node)}
        return {HOST: host, UPLINK: uplink, VXLAN_DEVICE: _vxlan_device(store.vteps.get(node)), IPIP_DEVICE: self._ipip_device(store)}

    def _ipip_device(self, store: Any) -> Mapping[str, Any] | None:
        pools = any(pool.ipip_mode.lower() in _IPIP_MODES for pool in store.pools.values())
        if not (pools or (store.encapsulation is not None and store.encapsulation.ipip_enabled)):
            return None
        configured = store.config.get("IpInIpTunnelAddr", "")
        own = {address for address in self._tunnel_routes if address.partition("/")[0] != configured}
        addresses = sorted(own | {configured} - {"", "none"})
        return {"name": IPIP_DEVICE, "kind": "tunnel", "addresses": tuple(addresses)}


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
