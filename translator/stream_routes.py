"""What a RouteUpdate asks for (contract 4.2, 4.3).

`types` is a mask whose bits are not matched exactly: releases differ in which of them they set.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from felix_proto.types import IPPoolType, RouteType, RouteUpdate

from .addresses import is_host, parse_address, parse_cidr

_WORKLOAD, _LOCAL = RouteType.REMOTE_WORKLOAD, RouteType.LOCAL_WORKLOAD
_OWN = RouteType.LOCAL_HOST | RouteType.LOCAL_TUNNEL
_TUNNELS = {IPPoolType.VXLAN: "VXLAN", IPPoolType.IPIP: "IPIP"}


class StreamRoute(NamedTuple):
    """One route: its place (`addresses`), and

    * own: an address of this node; * blackhole: a block of this node, of which only the addresses in use are routed, or what needs a
      tunnel, because it must not leave in the clear; * via: by the port that leads to `gateway` (place of a node's address);
    * nothing: no row.

    `tunnel`: the tunnel that this route needs and does not get, "" if it needs none.
    """

    place: int
    kind: Literal["own", "blackhole", "via", "nothing"]
    gateway: int = 0
    tunnel: str = ""


def read_route(route: RouteUpdate) -> StreamRoute:
    """Read a route. Raises Untranslatable: its destination or node address can't be parsed."""
    place = parse_cidr(route.dst)
    if route.types & _OWN and is_host(place):
        return StreamRoute(place, "own")
    if route.types & _LOCAL:
        return StreamRoute(place, "nothing" if route.local_workload or is_host(place) else "blackhole")
    tunnel_address = bool(route.types & RouteType.REMOTE_TUNNEL and (route.types & _WORKLOAD or route.borrowed))
    if not (route.types & _WORKLOAD or tunnel_address):
        return StreamRoute(place, "nothing")
    tunnel = "" if route.same_subnet and not tunnel_address else _TUNNELS.get(IPPoolType(route.ip_pool_type), "")
    if tunnel:
        return StreamRoute(place, "blackhole", 0, tunnel)
    if not route.dst_node_ip or not (route.same_subnet or route.ip_pool_type == IPPoolType.NO_ENCAP):
        return StreamRoute(place, "nothing")
    return StreamRoute(place, "via", parse_address(route.dst_node_ip.partition("/")[0]))
