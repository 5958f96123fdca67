"""Tunnels and ways to nodes: rows of small states, spelled out, and how few change."""

from __future__ import annotations

from typing import Any

import pytest

from felix_proto.types import (
    Encapsulation,
    HostMetadataRemove,
    HostMetadataUpdate,
    IPPoolType,
    RouteRemove,
    RouteType,
    RouteUpdate,
    VXLANTunnelEndpointRemove,
    VXLANTunnelEndpointUpdate,
    WireguardEndpointRemove,
    WireguardEndpointUpdate,
    WireguardEndpointV6Update,
)
from test.support.reach import NODE, Node, config, endpoint
from test.support.tunnels import VNI, datagram_sum, header_sum

MACS = {NODE: (0x660000000011, 0x660000000611), "node-b": (0x660000000012, 0x660000000612)}
OWN, PEER, OWN_V6, PEER_V6 = "192.0.2.11", "192.0.2.12", "2001:db8::11", "2001:db8::12"
METADATA = [HostMetadataUpdate(NODE, f"{OWN}/24", f"{OWN_V6}/64"), HostMetadataUpdate("node-b", f"{PEER}/24", f"{PEER_V6}/64")]
VXLAN_V4, VXLAN_V6, IPIP_B = "vxlan-v4:node:node-b", "vxlan-v6:node:node-b", "ipip:node:node-b/v4"
HOP = "uplink:eth0"


def vtep(node: str, number: int, outer: str = "", outer_v6: str = "", **fields: str) -> VXLANTunnelEndpointUpdate:
    macs = [mac.to_bytes(6, "big").hex(":") for mac in MACS.get(node, (0x66 << 40 | number, 0x66 << 40 | 0x600 | number))]
    given = {"mac": macs[0], "ipv4_addr": f"10.0.{number}.0", "parent_device_ip": outer or f"192.0.2.{number}", "mac_v6": macs[1],
             "ipv6_addr": f"fd00:{number}::", "parent_device_ipv6": outer_v6 or f"2001:db8::{number}"}  # fmt: skip
    return VXLANTunnelEndpointUpdate(node, **{**given, **fields})


def remote(dst: str, pool: IPPoolType, node: str = "node-b", node_ip: str = "", types: int = RouteType.REMOTE_WORKLOAD, **fields: Any) -> RouteUpdate:
    return RouteUpdate(dst, int(types), int(pool), node, node_ip or (PEER_V6 if ":" in dst else PEER), **fields)


def number(address: str) -> int:
    from ipaddress import ip_address

    return int(ip_address(address))


VTEPS = [vtep(NODE, 11), vtep("node-b", 12)]


def node(*payloads: Any, **more: Any) -> Node:
    return Node(*METADATA, *payloads, **more)


# --- rows ------------------------------------------------------------------------------------------------------------------------


def test_vxlan_of_both_families() -> None:
    made = node(*VTEPS, remote("10.0.12.0/26", IPPoolType.VXLAN), remote("fd00:12::/122", IPPoolType.VXLAN))
    macs, macs_v6 = (MACS[NODE][0], MACS["node-b"][0]), (MACS[NODE][1], MACS["node-b"][1])
    assert made.table("tunnel") == {
        VXLAN_V4: ("vxlan_v4", HOP, 0, number(OWN), number(PEER), header_sum(17, OWN, PEER), VNI, *macs),
        VXLAN_V6: ("vxlan_v6", HOP, 0, number(OWN_V6), number(PEER_V6), datagram_sum(VNI, OWN_V6, PEER_V6, *macs_v6), VNI, *macs_v6)}  # fmt: skip
    assert made.table("route_v4")["10.0.12.0/26"] == ("to_tunnel", VXLAN_V4)
    assert made.table("route_v6")["fd00:12::/122"] == ("to_tunnel", VXLAN_V6)
    assert made.table("tunnel_local_v4") == {(1, OWN): ("terminate", "vxlan.calico", VNI)}
    assert made.table("tunnel_local_v6") == {(1, OWN_V6): ("terminate", "vxlan.calico", VNI)}
    assert made.table("tunnel_peer_v4") == {(1, PEER): ("from_peer", "node-b")}
    assert made.table("tunnel_peer_v6") == {(1, PEER_V6): ("from_peer", "node-b")}
    behind, own = ("behind", "node-b"), ("behind", NODE)
    assert made.table("tunnel_source_v4") == {"10.0.12.0/26": behind, "10.0.12.0/32": behind, "10.0.11.0/32": own}
    assert made.table("tunnel_source_v6") == {"fd00:12::/122": behind, "fd00:12::/128": behind, "fd00:11::/128": own}
    assert made.table("port")["vxlan.calico"] == ("tunnel_device", 0)
    assert made.degraded() == set()


def test_ipip() -> None:
    made = node(Encapsulation(ipip_enabled=True), remote("10.0.12.0/26", IPPoolType.IPIP), HostMetadataUpdate("node-c", "192.0.2.13"))
    assert made.table("tunnel") == {IPIP_B: ("ipip", HOP, 0, number(OWN), number(PEER), header_sum(4, OWN, PEER))}
    assert made.table("tunnel_local_v4") == {(2, OWN): ("terminate", "tunl0", 0)}
    assert made.table("tunnel_peer_v4") == {(2, PEER): ("from_peer", "node-b"), (2, "192.0.2.13"): ("from_peer", "node-c")}
    assert made.table("tunnel_source_v4") == {"10.0.12.0/26": ("behind", "node-b")}
    assert made.degraded() == set()


def test_without_tunnels_there_are_no_rows_for_them() -> None:
    made = node(remote("10.0.12.0/26", IPPoolType.NO_ENCAP), HostMetadataUpdate("node-c", "192.0.2.13"))
    assert not [name for name in made.named() if name.startswith("tunnel")]


def test_same_subnet_goes_in_the_clear_but_for_an_address_of_the_device() -> None:
    made = node(*VTEPS, remote("10.0.12.0/26", IPPoolType.VXLAN, same_subnet=True),
                remote("10.0.12.0/32", IPPoolType.VXLAN, types=RouteType.REMOTE_TUNNEL, same_subnet=True),
                remote("10.0.13.7/32", IPPoolType.VXLAN, types=RouteType.REMOTE_TUNNEL, same_subnet=True, borrowed=True),
                remote("10.0.14.0/32", IPPoolType.VXLAN, types=RouteType.REMOTE_TUNNEL | RouteType.REMOTE_WORKLOAD, same_subnet=True))  # fmt: skip
    routes = {dst: value for dst, value in made.table("route_v4").items() if dst.startswith("10.")}
    assert routes == {"10.0.12.0/26": ("to_uplink", "node:node-b/v4"), "10.0.13.7/32": ("to_tunnel", VXLAN_V4), "10.0.14.0/32": ("to_tunnel", VXLAN_V4)}


def test_a_borrowed_address_of_ours_comes_out_of_nobodys_tunnel() -> None:
    mine = RouteUpdate("10.0.12.9/32", 5, IPPoolType.VXLAN, NODE, OWN, local_workload=True, borrowed=True)
    made = node(*VTEPS, remote("10.0.12.0/26", IPPoolType.VXLAN), mine, endpoint("shop/web", nets=["10.0.12.9/32"]))
    assert made.table("tunnel_source_v4")["10.0.12.9/32"] == ("behind", NODE)
    assert "10.0.12.9/32" not in made.table("route_v4")
    made.apply(mine._replace(local_workload=False))
    assert made.table("route_v4")["10.0.12.9/32"] == ("blackhole",)


def test_vni_of_the_configuration() -> None:
    made = node(*VTEPS, remote("10.0.12.0/26", IPPoolType.VXLAN))
    made.apply(config(VXLANVNI="77"))
    assert made.table("tunnel")[VXLAN_V4][6] == 77
    assert made.table("tunnel_local_v4")[1, OWN] == ("terminate", "vxlan.calico", 77)


def test_a_mac_for_both_families() -> None:
    made = node(vtep(NODE, 11, mac_v6=""), vtep("node-b", 12, mac_v6=""), remote("fd00:12::/122", IPPoolType.VXLAN))
    assert made.table("tunnel")[VXLAN_V6][-2:] == (MACS[NODE][0], MACS["node-b"][0])


# --- what is not there yet, or can't be --------------------------------------------------------------------------------------------


def test_reasons_are_told_in_one_order_whatever_came_first() -> None:
    routes = remote("10.0.12.0/26", IPPoolType.VXLAN), remote("fd00:12::/122", IPPoolType.VXLAN)
    found = []
    for first, second in (routes, routes[::-1]):
        made = node(VTEPS[0], first)
        made.apply(second)
        found.append([(entry.object, entry.reason) for entry in made.degraded()])
    assert found[0] == found[1] and found[0][0][1].count("no tunnel endpoint") == 2


def test_a_route_before_its_vtep_is_dropped_until_it_comes() -> None:
    made = node(VTEPS[0], remote("10.0.12.0/26", IPPoolType.VXLAN))
    assert made.table("route_v4")["10.0.12.0/26"] == ("to_tunnel", VXLAN_V4)
    assert "tunnel" not in made.named()
    assert {(entry.object, entry.effect) for entry in made.degraded()} == {("Node node-b", "pending")}
    changes = made.apply(VTEPS[1])
    assert "route_v4" not in {table for table, _, _ in changes}
    assert made.degraded() == set()
    made.apply(VXLANTunnelEndpointRemove("node-b"))
    assert "tunnel" not in made.named()


@pytest.mark.parametrize("broken", [{"mac": ""}, {"mac": "x"}, {"parent_device_ip": "x"}])
@pytest.mark.parametrize("whose", [NODE, "node-b"])
def test_a_vtep_without_address_or_mac_makes_no_tunnel(whose: str, broken: dict[str, str]) -> None:
    vteps = [vtep(name, at, **(broken if name == whose else {})) for name, at in ((NODE, 11), ("node-b", 12))]
    made = node(*vteps, remote("10.0.12.0/26", IPPoolType.VXLAN))
    assert "tunnel" not in made.named()
    assert {entry.effect for entry in made.degraded() if entry.object == "Node node-b"} == {"pending"}


@pytest.mark.parametrize("whose", [NODE, "node-b"])
@pytest.mark.parametrize("broken", [{"outer": OWN_V6, "outer_v6": OWN_V6}, {"outer": OWN, "outer_v6": OWN}])
def test_an_address_of_the_other_family_makes_no_tunnel(whose: str, broken: dict[str, str]) -> None:
    vteps = [vtep(name, at, **(broken if name == whose else {})) for name, at in ((NODE, 11), ("node-b", 12))]
    made = node(*vteps, remote("10.0.12.0/26", IPPoolType.VXLAN), remote("fd00:12::/122", IPPoolType.VXLAN))
    good, bad = (VXLAN_V4, VXLAN_V6) if broken["outer"] == OWN else (VXLAN_V6, VXLAN_V4)
    assert made.table("tunnel").keys() == {good}
    assert [bad in entry.reason for entry in made.degraded() if entry.object == "Node node-b"] == [True]


def test_another_vxlan_port_makes_no_tunnel_and_is_named() -> None:
    made = node(*VTEPS, remote("10.0.12.0/26", IPPoolType.VXLAN))
    made.apply(config(VXLANPort="8472"))
    assert not {"tunnel", "tunnel_local_v4", "tunnel_peer_v4", "tunnel_source_v4"} & made.named().keys()
    assert made.table("route_v4")["10.0.12.0/26"] == ("to_tunnel", VXLAN_V4)
    assert {entry.object for entry in made.degraded()} == {"Config VXLANPort=8472", "Node node-b"}


@pytest.mark.parametrize("route", [
    remote("fd00:12::/122", IPPoolType.IPIP), remote("10.0.12.0/26", IPPoolType.VXLAN, node=""),
    RouteUpdate("10.0.12.0/26", 1, IPPoolType.IPIP, "node-b"), RouteUpdate("10.0.12.0/26", 1, 9, "node-b", PEER)])  # fmt: skip
def test_what_needs_a_tunnel_that_is_none_of_ours_is_dropped_and_named(route: RouteUpdate) -> None:
    made = node(*VTEPS, Encapsulation(ipip_enabled=True), route)
    assert made.table("route_v6" if ":" in route.dst else "route_v4")[route.dst] == ("blackhole",)
    (entry,) = made.degraded()
    assert entry.object == f"Route {route.dst}" and entry.reason.endswith(": what goes there is dropped")


ENCRYPTED = config(WireguardEnabled="true", WireguardEnabledV6="true")
KEYS = [WireguardEndpointUpdate("node-b", "key"), WireguardEndpointV6Update("node-b", "key")]


@pytest.mark.parametrize("pool", [IPPoolType.NO_ENCAP, IPPoolType.VXLAN])
def test_what_wireguard_should_encrypt_is_dropped(pool: IPPoolType) -> None:
    made = node(*VTEPS, remote("10.0.12.0/26", pool), remote("fd00:12::/122", pool), remote("10.0.13.0/26", pool, "node-c", "192.0.2.13"),
                endpoint("shop/web", nets=["10.0.11.1/32"]), endpoint("shop/db"))  # fmt: skip
    clear = made.table("route_v4")
    made.apply(ENCRYPTED)
    assert made.table("route_v4") == clear, "nobody has a key"
    made.apply(KEYS[0])
    assert made.table("route_v4") == {**clear, "10.0.12.0/26": ("blackhole",)}
    assert made.table("route_v6")["fd00:12::/122"][0] != "blackhole"
    assert {entry.object for entry in made.degraded()} >= {"Wireguard node-b", "WorkloadEndpoint k8s/shop/web/eth0"}
    assert "WorkloadEndpoint k8s/shop/db/eth0" not in {entry.object for entry in made.degraded()}
    made.apply(KEYS[1])
    assert made.table("route_v6")["fd00:12::/122"] == ("blackhole",)
    made.apply(WireguardEndpointRemove("node-b"))
    assert made.table("route_v4") == clear
    made.apply(KEYS[0], config(WireguardEnabledV6="true"))
    assert made.table("route_v4") == clear
    assert made.table("route_v6")["fd00:12::/122"] == ("blackhole",)


def test_host_encryption_holds_for_nodes_addresses_too() -> None:
    made = node(*KEYS, RouteUpdate(f"{PEER}/32", RouteType.REMOTE_HOST, 0, "node-b", PEER), ENCRYPTED)
    assert f"{PEER}/32" not in made.table("route_v4")
    made.apply(config(WireguardEnabled="true", WireguardHostEncryptionEnabled="true"))
    assert made.table("route_v4")[f"{PEER}/32"] == ("blackhole",)
    made.apply(config(WireguardHostEncryptionEnabled="true"))
    assert f"{PEER}/32" not in made.table("route_v4")


def test_nothing_is_left_when_all_is_gone() -> None:
    made = node(endpoint("shop/web", nets=["10.0.11.1/32"]))
    before = made.named()
    routes = [remote("10.0.12.0/26", IPPoolType.VXLAN), remote("10.0.12.0/32", IPPoolType.VXLAN, types=RouteType.REMOTE_TUNNEL),
              remote("10.0.13.0/26", IPPoolType.IPIP), remote("10.0.14.0/26", IPPoolType.NO_ENCAP)]  # fmt: skip
    made.apply(*VTEPS, Encapsulation(ipip_enabled=True), *routes)
    assert made.named() != before
    made.apply(Encapsulation(), VXLANTunnelEndpointRemove("node-b"), VXLANTunnelEndpointRemove(NODE), *(RouteRemove(route.dst) for route in routes))
    assert made.named() == before
    made.apply(HostMetadataRemove("node-b"))
    made.rest()
    for kind, meaning in (("tunnel", VXLAN_V4), ("tunnel", IPIP_B), ("node", "node-b"), ("next_hop", "node:node-b/v4")):
        assert made.allocator.find(kind, meaning) is None


# --- neighbours --------------------------------------------------------------------------------------------------------------------

LINK = [{"name": "eth0", "kind": "uplink", "mac": "02:00:00:00:00:01", "own_mac": "02:00:00:00:00:0a", "addresses": [f"{OWN}/24"],
         "neighbours": {PEER: "02:00:00:00:00:0b"}}]  # fmt: skip


def test_neighbours_are_reached_by_their_macs() -> None:
    plain = remote("10.0.12.0/26", IPPoolType.NO_ENCAP)
    made = node(*VTEPS, plain, remote("10.0.13.0/26", IPPoolType.VXLAN), remote("10.0.14.0/26", IPPoolType.NO_ENCAP, "node-c", "192.0.2.13"), ports=LINK)
    own, gateway, peer = 0x02000000000A, 0x020000000001, 0x02000000000B
    hops = made.table("next_hop")
    assert hops[HOP] == ("send", "eth0", own, gateway, 0)
    assert hops["node:node-b/v4"] == hops[f"neighbour:{PEER}"] == ("send", "eth0", own, peer, 0)
    assert hops["via:192.0.2.13"] == hops[HOP]
    assert made.table("tunnel")[VXLAN_V4][1] == f"neighbour:{PEER}"
    assert made.table("route_v4")[f"{PEER}/32"] == ("to_uplink", f"neighbour:{PEER}")


# --- how few rows change -------------------------------------------------------------------------------------------------------------


def touched(made: Node, *payloads: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, _, _ in made.apply(*payloads):
        found[table] = found.get(table, 0) + 1
    return found


def crowd(pool: IPPoolType, blocks: int = 50) -> tuple[Node, list[RouteUpdate]]:
    routes = [remote(f"10.1.{at}.0/26", pool) for at in range(blocks)]
    return node(*VTEPS, Encapsulation(ipip_enabled=True), *routes), routes


def test_a_veteps_mac_is_one_row() -> None:
    made, _ = crowd(IPPoolType.VXLAN)
    assert touched(made, vtep("node-b", 12, mac="66:00:00:00:00:99")) == {"tunnel": 1}


def test_a_veteps_address_is_its_own_rows() -> None:
    made, _ = crowd(IPPoolType.VXLAN)
    assert touched(made, vtep("node-b", 12, outer="192.0.2.99")) == {"tunnel": 1, "tunnel_peer_v4": 2}


@pytest.mark.parametrize("pool", [IPPoolType.NO_ENCAP, IPPoolType.IPIP])
def test_a_peers_address_is_no_routes_row(pool: IPPoolType) -> None:
    """Felix sends every route of the node again; HostMetadata comes in the same flush."""
    made, routes = crowd(pool)
    moved = [route._replace(dst_node_ip="192.0.2.99") for route in routes]
    changed = touched(made, *moved, HostMetadataUpdate("node-b", "192.0.2.99/24", f"{PEER_V6}/64"))
    assert changed == ({"tunnel": 1, "tunnel_peer_v4": 2} if pool == IPPoolType.IPIP else {"tunnel_peer_v4": 2})


def test_addresses_between_routes_and_host_metadata() -> None:
    """The routes first: they go where they say, by ways of their own, and come back to the node's when that is known."""
    made, routes = crowd(IPPoolType.IPIP, 3)
    made.apply(routes[0]._replace(dst_node_ip="192.0.2.99"))
    assert made.table("route_v4")["10.1.0.0/26"] == ("to_tunnel", "ipip:via:192.0.2.99")
    assert made.table("tunnel")["ipip:via:192.0.2.99"][4] == number("192.0.2.99")
    assert made.table("tunnel")[IPIP_B][4] == number(PEER)
    made.apply(HostMetadataUpdate("node-b", "192.0.2.99/24"))
    assert made.table("route_v4")["10.1.0.0/26"] == ("to_tunnel", IPIP_B)
    assert made.table("route_v4")["10.1.1.0/26"] == ("to_tunnel", f"ipip:via:{PEER}")


def test_a_route_is_its_row_and_its_source() -> None:
    made, _ = crowd(IPPoolType.VXLAN)
    assert touched(made, remote("10.2.0.0/26", IPPoolType.VXLAN)) == {"route_v4": 1, "tunnel_source_v4": 1}
    assert touched(made, RouteRemove("10.2.0.0/26")) == {"route_v4": 1, "tunnel_source_v4": 1}
