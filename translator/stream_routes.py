"""What a RouteUpdate asks for (contract 4.2, 4.3).

`types` is a mask whose bits are not matched exactly: releases differ in which of them they set.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from felix_proto.types import IPPoolType, RouteType, RouteUpdate

from .addresses import is_host, is_v6, parse_address, parse_cidr

_WORKLOAD, _LOCAL = RouteType.REMOTE_WORKLOAD, RouteType.LOCAL_WORKLOAD
_OWN = RouteType.LOCAL_HOST | RouteType.LOCAL_TUNNEL
_REMOTE = RouteType.REMOTE_WORKLOAD | RouteType.REMOTE_HOST | RouteType.REMOTE_TUNNEL

IPIP_DEVICE = "tunl0"
FIB_TUNNELS = (IPIP_DEVICE, "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali")
"""Devices by which routes of the kernel lead into a tunnel."""
Kind = Literal["own", "blackhole", "plain", "vxlan", "ipip", "host", "nothing"]


class StreamRoute(NamedTuple):
    """One route: its place (`addresses`), the node it leads to, and its kind:

    * own: an address of this node; * blackhole: a block of this node, of which only the addresses in use are routed, or what can't be
      reached as it should be (`problem` says why), because it must not leave in the clear;
    * plain: to `gateway`, an address of that node, as it is; * vxlan, ipip: through a tunnel to that node;
    * host: the node's own address, which needs no row; * nothing: no row.

    `behind`: whether it matters to a packet out of a tunnel that its source is there: of another node's addresses, which may come from
    that node alone, and of those that this node has borrowed, which may come from nobody.
    """

    place: int
    kind: Kind
    node: str = ""
    gateway: int | None = None
    behind: bool = False
    problem: str = ""


def read_route(route: RouteUpdate) -> StreamRoute:
    """Read a route. Raises Untranslatable: its destination or node address can't be parsed."""
    place = parse_cidr(route.dst)
    if route.types & (_OWN | _LOCAL):
        return StreamRoute(place, _local_kind(route, is_host(place)), route.dst_node_name, None, route.borrowed)
    gateway = parse_address(route.dst_node_ip.partition("/")[0]) if route.dst_node_ip else None
    kind, problem = _remote_kind(route, place, gateway)
    return StreamRoute(place, kind, route.dst_node_name, gateway, bool(route.types & _REMOTE), problem)


def read_fib(route: Any, node: str) -> StreamRoute:
    """Read a route of the node's kernel; `node` is who has its gateway's address, "" if nobody does. Raises Untranslatable."""
    place = parse_cidr(route.dst)
    gateway = parse_address(route.gateway) if route.gateway else None
    if route.blackhole:
        return StreamRoute(place, "blackhole")
    if route.interface in FIB_TUNNELS:
        problem = "" if gateway is not None and not is_v6(place) and route.interface == IPIP_DEVICE else f"goes by {route.interface}, which is none of ours"
        return StreamRoute(place, "blackhole" if problem else "ipip", node, gateway, not problem, problem)
    return StreamRoute(place, "nothing" if gateway is None else "plain", node, gateway, bool(node))


def _local_kind(route: RouteUpdate, host: bool) -> Kind:
    """Addresses in use come from workload endpoints; what is left of a block of ours is nowhere. So is an address borrowed from another
    node's block while no endpoint has it: that node would send it back."""
    if route.types & _OWN and host:
        return "own"
    if route.local_workload or (host and not route.types & _WORKLOAD):
        return "nothing"
    return "blackhole"


def _remote_kind(route: RouteUpdate, place: int, gateway: int | None) -> tuple[Kind, str]:
    # A tunnel address within a block of exactly that prefix, or borrowed, is behind its tunnel even in our own subnet.
    tunnel_address = bool(route.types & RouteType.REMOTE_TUNNEL and (route.types & _WORKLOAD or route.borrowed))
    if not (route.types & _WORKLOAD or tunnel_address):
        return ("host" if route.types & RouteType.REMOTE_HOST else "nothing"), ""
    pool = route.ip_pool_type
    if pool == IPPoolType.NO_ENCAP or (route.same_subnet and not tunnel_address):
        return ("nothing" if gateway is None else "plain"), ""
    if pool == IPPoolType.NONE:
        return "nothing", ""
    problem = _tunnel_problem(route, is_v6(place), gateway)
    if problem:
        return "blackhole", problem
    return ("vxlan" if pool == IPPoolType.VXLAN else "ipip"), ""


def _tunnel_problem(route: RouteUpdate, v6: bool, gateway: int | None) -> str:
    """Why the tunnel that a route needs is none of ours, "" if it is."""
    if route.ip_pool_type == IPPoolType.VXLAN:
        return "" if route.dst_node_name else "needs a tunnel (VXLAN) to a node that is not named"
    if route.ip_pool_type != IPPoolType.IPIP:
        return f"ip_pool_type {route.ip_pool_type} is unknown"
    if v6 or (gateway is not None and is_v6(gateway)):
        return "IP in IP is for IPv4 only"
    return "needs a tunnel (IPIP) to a node whose address is not known" if gateway is None else ""
