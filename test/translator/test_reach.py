"""Ports, neighbours, source guard and routing: rows of small states, spelled out."""

from __future__ import annotations

from typing import Any

import pytest

from felix_proto.types import (
    HostMetadataUpdate,
    IPPoolType,
    RouteRemove,
    RouteType,
    RouteUpdate,
    TunnelType,
    VXLANTunnelEndpointUpdate,
)
from test.support.reach import NODE, Node, config, endpoint, endpoint_id, gone
from translator.claims import Claims
from translator.degraded import Degraded
from translator.endpoint_state import DEGRADED, ENDPOINT_DOWN
from translator.inventory import CALICO_MAC

WEB = "k8s/shop/web/eth0"
DB = "k8s/shop/db/eth0"
NAME = f"WorkloadEndpoint {WEB}"
METADATA = HostMetadataUpdate(NODE, "192.0.2.11/24", "2001:db8:1::11/64")


def port_mac(node: Node, name: str) -> int:
    port = node.ports.get(name)
    assert port is not None
    return port.mac


# --- one endpoint ----------------------------------------------------------------------------------------------------------------


def test_active_endpoint() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32", "fd00::5/128"]))
    assert node.table("port") == {"caliweb": ("workload", WEB, 0, 0), "host": ("host",), "eth0": ("uplink", 0)}
    assert node.table("answer_port") == {"caliweb": ("send_back", "caliweb")}
    assert node.table("source_host_v4") == {(WEB, "10.0.0.5"): ("source_ok",)}
    assert node.table("source_host_v6") == {(WEB, "fd00::5"): ("source_ok",)}
    hop = f"workload:{WEB}"
    assert node.table("local_v4") == {"10.0.0.5": ("to_workload", WEB, hop)}
    assert node.table("local_v6") == {"fd00::5": ("to_workload", WEB, hop)}
    assert node.table("next_hop")[hop] == ("send", "caliweb", CALICO_MAC, port_mac(node, "caliweb"), 0)
    assert node.degraded() == set()


def test_mac_of_etcd_endpoint_is_used() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"], mac="02:11:22:33:44:55"))
    assert node.table("next_hop")[f"workload:{WEB}"] == ("send", "caliweb", CALICO_MAC, 0x021122334455, 0)


def test_gateways_are_answered_for() -> None:
    node = Node()
    assert node.table("arp_answer") == {"169.254.1.1": ("arp_reply", CALICO_MAC)}
    assert node.table("nd_answer") == {"fe80::ecee:eeff:feee:eeee": ("nd_reply", CALICO_MAC)}


def test_removed_endpoint_leaves_nothing() -> None:
    node = Node()
    empty = node.named()
    node.apply(endpoint("shop/web", nets=["10.0.0.5/32", "fd00::5/128", "10.1.0.0/24"]))
    assert node.named() != empty
    node.apply(gone("shop/web"))
    assert node.named() == empty
    node.rest()
    assert node.allocator.find("endpoint", WEB) is None
    assert node.allocator.find("next_hop", f"workload:{WEB}") is None


def test_number_is_kept_until_rest() -> None:
    """The rows that name it may still be on the target while another endpoint comes."""
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"]))
    (number,) = {key[0] for key in node.rows["source_host_v4"]}
    node.apply(gone("shop/web"), endpoint("shop/db", nets=["10.0.0.6/32"]))
    assert {key[0] for key in node.rows["source_host_v4"]} != {number}


def test_nothing_changed_gives_no_rows() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"]), METADATA)
    assert node.apply() == []
    assert node.apply(endpoint("shop/web", nets=["10.0.0.5/32"]), METADATA) == []


def test_changed_address_touches_only_that() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"]), endpoint("shop/db", nets=["10.0.0.6/32"]))
    changes = node.apply(endpoint("shop/web", nets=["10.0.0.7/32"]))
    assert sorted((table, value is None) for table, _key, value in changes) == [
        ("local_v4", False), ("local_v4", True), ("source_host_v4", False), ("source_host_v4", True)]  # fmt: skip


# --- closed ----------------------------------------------------------------------------------------------------------------------


def test_inactive_endpoint_is_down_both_ways() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"], state="inactive"))
    assert node.table("port")["caliweb"] == ("workload_closed", WEB, ENDPOINT_DOWN)
    assert node.table("local_v4") == {"10.0.0.5": ("to_workload_closed", WEB, ENDPOINT_DOWN)}
    assert f"workload:{WEB}" not in node.table("next_hop")
    assert node.degraded() == set()
    node.apply(endpoint("shop/web", nets=["10.0.0.5/32"]))
    assert node.table("port")["caliweb"] == ("workload", WEB, 0, 0)
    assert node.table("local_v4")["10.0.0.5"][0] == "to_workload"


@pytest.mark.parametrize("state", ["", "Active", "down"])
def test_only_active_is_up(state: str) -> None:
    assert Node(endpoint("shop/web", state=state)).table("port")["caliweb"] == ("workload_closed", WEB, ENDPOINT_DOWN)


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_policy_closes_one_direction(direction: str) -> None:
    why: dict[Any, str] = {}
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"]), closed=lambda *key: why.get(key))
    why[endpoint_id("shop/web"), direction] = "policy x: unknown action 'permit'"
    node.apply()
    egress, ingress = direction == "egress", direction == "ingress"
    assert (node.table("port")["caliweb"] == ("workload_closed", WEB, DEGRADED)) == egress
    assert (node.table("local_v4")["10.0.0.5"] == ("to_workload_closed", WEB, DEGRADED)) == ingress
    assert node.degraded() == {Degraded(NAME, "policy x: unknown action 'permit'", "closed", direction)}  # type: ignore[arg-type]
    why.clear()
    node.apply()
    assert node.table("port")["caliweb"] == ("workload", WEB, 0, 0)
    assert node.table("local_v4")["10.0.0.5"][0] == "to_workload"
    assert node.degraded() == set()


def test_no_port_is_pending() -> None:
    class Hidden:
        """An inventory without that port."""

        def __init__(self, ports: Any) -> None:
            self.ports, self.hidden, self.generation = ports, True, 0

        def get(self, name: str) -> Any:
            return None if self.hidden else self.ports.get(name)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.ports, name)

    node = Node()
    hidden = Hidden(node.ports)
    node.store.apply(endpoint("shop/web", nets=["10.0.0.5/32"]))
    dirty = node.store.take_dirty()
    node.ports.refresh(node.store, dirty)
    changes = {(table, key): value for table, key, value in node.reach.update(node.store, dirty, hidden)}
    assert [value[:3] for (table, _), value in changes.items() if table == "local_v4"] == [("to_workload_closed", 1, DEGRADED)]
    assert not any(table in ("port", "source_host_v4", "answer_port") for table, _ in changes)
    assert node.degraded() == {Degraded(NAME, "no workload port is named 'caliweb'", "pending")}
    hidden.hidden, hidden.generation = False, 1
    after = node.reach.update(node.store, node.store.take_dirty(), hidden)
    assert {table for table, _, _ in after} == {"local_v4", "port", "source_host_v4", "answer_port", "next_hop"}
    assert node.degraded() == set()


def test_port_of_another_kind_is_no_workload_port() -> None:
    node = Node(endpoint("shop/web", interface="eth9", nets=["10.0.0.5/32"]), ports=[{"name": "eth9", "kind": "uplink", "addresses": []}])
    assert node.table("port")["eth9"] == ("uplink", 0)
    assert node.table("local_v4")["10.0.0.5"] == ("to_workload_closed", WEB, DEGRADED)
    assert {entry.effect for entry in node.degraded()} == {"pending"}


# --- two that want one thing -----------------------------------------------------------------------------------------------------


def test_shared_interface_belongs_to_the_lowest_id() -> None:
    node = Node(endpoint("shop/web", "cali1", ["10.0.0.5/32"]), endpoint("shop/db", "cali1", ["10.0.0.6/32"]))
    assert node.table("port")["cali1"] == ("workload", DB, 0, 0)
    assert node.table("local_v4") == {"10.0.0.6": ("to_workload", DB, f"workload:{DB}"), "10.0.0.5": ("to_workload_closed", WEB, DEGRADED)}
    assert node.table("source_host_v4") == {(DB, "10.0.0.6"): ("source_ok",)}
    assert node.degraded() == {Degraded(NAME, f"interface cali1 belongs to WorkloadEndpoint {DB}", "closed")}
    node.apply(gone("shop/db"))
    assert node.table("port")["cali1"] == ("workload", WEB, 0, 0)
    assert node.table("local_v4") == {"10.0.0.5": ("to_workload", WEB, f"workload:{WEB}")}
    assert node.degraded() == set()


def test_shared_interface_is_given_up_by_a_move() -> None:
    node = Node(endpoint("shop/web", "cali1", ["10.0.0.5/32"]), endpoint("shop/db", "cali1", ["10.0.0.6/32"]))
    node.apply(endpoint("shop/db", "cali2", ["10.0.0.6/32"]))
    assert {name: value[1] for name, value in node.table("port").items() if name.startswith("cali")} == {"cali1": WEB, "cali2": DB}
    assert node.degraded() == set()


def test_shared_address_belongs_to_the_lowest_id_and_both_may_send() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32"]), endpoint("shop/db", nets=["10.0.0.5/32"]))
    assert node.table("local_v4") == {"10.0.0.5": ("to_workload", DB, f"workload:{DB}")}
    assert node.table("source_host_v4") == {(DB, "10.0.0.5"): ("source_ok",), (WEB, "10.0.0.5"): ("source_ok",)}
    assert node.table("port")["caliweb"] == ("workload", WEB, 0, 0)
    node.apply(gone("shop/db"))
    assert node.table("local_v4") == {"10.0.0.5": ("to_workload", WEB, f"workload:{WEB}")}


def test_address_of_the_node_is_the_nodes() -> None:
    node = Node(endpoint("shop/web", nets=["192.0.2.11/32"]), METADATA)
    assert node.table("local_v4")["192.0.2.11"] == ("to_host", "host", 0)


# --- addresses -------------------------------------------------------------------------------------------------------------------


def test_wider_nets_and_spoofed_prefixes() -> None:
    spoofed = ("203.0.113.0/24", "198.51.100.7/32", "::/0")
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32", "10.1.0.0/24"], allow_spoofed_source_prefixes=spoofed))
    assert set(node.table("source_host_v4")) == {(WEB, "10.0.0.5"), (WEB, "198.51.100.7")}
    assert set(node.table("source_net_v4")) == {(WEB, "10.1.0.0/24"), (WEB, "203.0.113.0/24")}
    assert set(node.table("source_net_v6")) == {(WEB, "::/0")}
    assert set(node.table("local_v4")) == {"10.0.0.5"}
    text = "10.1.0.0/24 is no single address: packets from it are let out, none are led to it"
    assert node.degraded() == {Degraded(NAME, text, "partial")}


def test_unreadable_addresses_are_named_and_allow_nothing() -> None:
    node = Node(endpoint("shop/web", nets=["10.0.0.5/32", "10.0.0.300/32"], allow_spoofed_source_prefixes=("10/8",)))
    assert set(node.table("local_v4")) == {"10.0.0.5"}
    assert set(node.table("source_host_v4")) == {(WEB, "10.0.0.5")}
    assert "source_net_v4" not in node.named()
    (entry,) = node.degraded()
    reasons = dict(reason.split(":", 1) for reason in entry.reason.split("; "))
    assert reasons.keys() == {"ipv4_nets", "allow_spoofed_source_prefixes"}
    assert "'10.0.0.300" in reasons["ipv4_nets"] and "'10" in reasons["allow_spoofed_source_prefixes"]


def test_one_entry_for_an_object_and_direction_with_the_gravest_effect() -> None:
    nets = ["10.0.0.5/32", "10.0.0.300/32"]
    node = Node(endpoint("shop/web", nets=nets, live_migration_role=1), endpoint("shop/db", "caliweb"))
    (entry,) = node.degraded()
    assert entry.effect == "closed" and entry.object == NAME
    assert entry.reason.count("; ") == 2 and entry.reason.startswith("interface caliweb belongs to")


# --- configuration ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vxlan", "ipip", "flags"), [("true", "", 1), ("", "True", 2), ("1", "yes", 3), ("false", "no", 0)])
def test_encapsulation_allowed_from_workloads(vxlan: str, ipip: str, flags: int) -> None:
    node = Node(endpoint("shop/web"))
    node.apply(config(AllowVXLANPacketsFromWorkloads=vxlan, AllowIPIPPacketsFromWorkloads=ipip))
    assert node.table("port")["caliweb"] == ("workload", WEB, flags, 0)


@pytest.mark.parametrize(("action", "accepted"), [("Accept", 1), ("RETURN", 1), ("Drop", 0), ("DROP", 0), ("Reject", 0), ("", 0)])
def test_default_endpoint_to_host_action(action: str, accepted: int) -> None:
    node = Node(METADATA)
    node.apply(config(DefaultEndpointToHostAction=action))
    assert node.table("local_v4") == {"192.0.2.11": ("to_host", "host", accepted)}


# --- node and prefixes -----------------------------------------------------------------------------------------------------------


def test_own_addresses_and_connected_subnets() -> None:
    node = Node(METADATA, VXLANTunnelEndpointUpdate(NODE, "66:00:00:00:00:01", "10.65.0.1", "192.0.2.11", "", "fd00:65::1", ""))
    to_host = ("to_host", "host", 0)
    assert node.table("local_v4") == {"192.0.2.11": to_host, "10.65.0.1": to_host}
    assert node.table("local_v6") == {"2001:db8:1::11": to_host, "fd00:65::1": to_host}
    uplink = ("to_uplink", "uplink:eth0")
    assert node.table("route_v4") == {"0.0.0.0/0": uplink, "192.0.2.0/24": uplink}
    assert node.table("route_v6") == {"::/0": uplink, "2001:db8:1::/64": uplink}
    assert node.table("next_hop")["uplink:eth0"] == ("send", "eth0", CALICO_MAC, port_mac(node, "eth0"), 0)
    assert node.table("next_hop")["host"] == ("send", "host", CALICO_MAC, port_mac(node, "host"), 0)


def test_bare_host_metadata_and_other_nodes() -> None:
    node = Node(HostMetadataUpdate(NODE, "192.0.2.11"), HostMetadataUpdate("node-b", "192.0.2.12/24"))
    assert set(node.table("local_v4")) == {"192.0.2.11"}
    assert set(node.table("route_v4")) == {"0.0.0.0/0"}


def test_two_uplinks_and_the_hosts_subnet() -> None:
    ports = [
        {"name": "eth1", "kind": "uplink", "addresses": ["198.51.100.1/24", "203.0.113.1/25"]},
        {"name": "eth0", "kind": "uplink", "addresses": ["198.51.100.2/24", "192.0.2.11/24"]},
        {"name": "docker0", "kind": "host", "addresses": ["172.17.0.1/16"]},
    ]
    node = Node(ports=ports)
    assert node.table("route_v4") == {
        "0.0.0.0/0": ("to_uplink", "uplink:eth1"), "198.51.100.0/24": ("to_uplink", "uplink:eth1"),
        "203.0.113.0/25": ("to_uplink", "uplink:eth1"), "192.0.2.0/24": ("to_uplink", "uplink:eth0"),
        "172.17.0.0/16": ("to_uplink", "host:docker0")}  # fmt: skip
    own = {"198.51.100.1", "203.0.113.1", "198.51.100.2", "192.0.2.11", "172.17.0.1"}
    assert node.table("local_v4") == dict.fromkeys(own, ("to_host", "host:docker0", 0))


def test_without_uplink_there_is_no_default_route() -> None:
    node = Node(ports=[{"name": "host", "kind": "host", "addresses": ["172.17.0.1/16"]}, {"name": "eth0", "kind": "tunnel", "addresses": []}])
    assert set(node.table("route_v4")) == {"172.17.0.0/16"}
    assert "route_v6" not in node.named()


def route(dst: str, types: int, **fields: Any) -> RouteUpdate:
    return RouteUpdate(dst, types, **fields)


def test_routes_of_the_stream() -> None:
    ports = [{"name": "eth0", "kind": "uplink", "addresses": ["192.0.2.11/24"]}, {"name": "eth1", "kind": "uplink", "addresses": ["198.51.100.1/24"]}]
    remote, local = RouteType.REMOTE_WORKLOAD, RouteType.LOCAL_WORKLOAD
    node = Node(
        route("10.0.0.0/16", RouteType.CIDR_INFO, ip_pool_type=IPPoolType.NO_ENCAP),
        route("10.0.1.0/26", remote, ip_pool_type=IPPoolType.NO_ENCAP, dst_node_ip="192.0.2.12"),
        route("10.0.2.0/26", remote, ip_pool_type=IPPoolType.VXLAN, dst_node_ip="198.51.100.12", same_subnet=True),
        route("10.0.3.0/26", remote, ip_pool_type=IPPoolType.VXLAN, dst_node_name="node-c", dst_node_ip="198.51.100.13"),
        route("10.0.4.0/26", remote, ip_pool_type=IPPoolType.NO_ENCAP),
        route("10.0.5.0/26", local, dst_node_name=NODE),
        route("10.0.5.7/32", remote | local, local_workload=True, borrowed=True),
        route("10.0.5.9/32", remote, ip_pool_type=IPPoolType.IPIP, dst_node_ip="192.0.2.13", borrowed=True),
        route("192.0.2.12/32", RouteType.REMOTE_HOST, dst_node_ip="192.0.2.12"),
        route("192.0.2.99/32", RouteType.LOCAL_HOST, dst_node_ip="192.0.2.99"),
        route("10.0.5.1/32", RouteType.LOCAL_TUNNEL | local, tunnel_type=TunnelType(vxlan=True)),
        route("10.0.3.1/32", RouteType.REMOTE_TUNNEL | remote, ip_pool_type=IPPoolType.VXLAN, dst_node_name="node-c",
              dst_node_ip="198.51.100.13"),
        ports=ports,
    )
    eth0, eth1 = ("to_uplink", "uplink:eth0"), ("to_uplink", "uplink:eth1")
    assert node.table("route_v4") == {
        "0.0.0.0/0": eth0, "192.0.2.0/24": eth0, "198.51.100.0/24": eth1, "10.0.5.0/26": ("blackhole",),
        "10.0.1.0/26": ("to_uplink", "via:192.0.2.12"), "10.0.2.0/26": ("to_uplink", "via:198.51.100.12"),
        "10.0.3.0/26": ("to_tunnel", "vxlan-v4:node:node-c"), "10.0.3.1/32": ("to_tunnel", "vxlan-v4:node:node-c"),
        "10.0.5.9/32": ("to_tunnel", "ipip:via:192.0.2.13")}  # fmt: skip
    assert {name: node.table("next_hop")[name][1] for name in ("via:192.0.2.12", "via:198.51.100.12")} == {
        "via:192.0.2.12": "eth0", "via:198.51.100.12": "eth1"}  # fmt: skip
    assert set(node.table("local_v4")) == {"192.0.2.11", "198.51.100.1", "192.0.2.99", "10.0.5.1"}
    assert "tunnel" not in node.named()
    assert {(entry.object, entry.effect) for entry in node.degraded()} == {("Node node-c", "pending"), ("Tunnel ipip:via:192.0.2.13", "pending")}
    node.apply(*(RouteRemove(dst) for dst in list(node.store.routes)))
    assert set(node.table("route_v4")) == {"0.0.0.0/0", "192.0.2.0/24", "198.51.100.0/24"}
    assert set(node.table("local_v4")) == {"192.0.2.11", "198.51.100.1"}
    assert node.degraded() == set()


def test_route_follows_its_gateways_subnet() -> None:
    node = Node(route("10.0.1.0/26", RouteType.REMOTE_WORKLOAD, ip_pool_type=IPPoolType.NO_ENCAP, dst_node_ip="192.0.2.12"),
                ports=[{"name": "eth1", "kind": "uplink", "addresses": ["198.51.100.1/24"]}, {"name": "tun0", "kind": "tunnel"}])  # fmt: skip
    assert node.table("route_v4")["10.0.1.0/26"] == ("to_uplink", "via:192.0.2.12")
    assert node.table("next_hop")["via:192.0.2.12"][1] == "eth1"


def test_route_takes_the_longest_subnet_of_its_gateway() -> None:
    node = Node(route("10.0.1.0/26", RouteType.REMOTE_WORKLOAD, ip_pool_type=IPPoolType.NO_ENCAP, dst_node_ip="192.0.2.12"),
                ports=[{"name": "eth0", "kind": "uplink", "addresses": ["192.0.0.1/16"]},
                       {"name": "eth1", "kind": "uplink", "addresses": ["192.0.2.1/24"]}])  # fmt: skip
    assert node.table("route_v4")["10.0.1.0/26"] == ("to_uplink", "via:192.0.2.12")
    assert node.table("next_hop")["via:192.0.2.12"][1] == "eth1"


def test_unreadable_route_is_named() -> None:
    node = Node(route("10.0.1.0/33", RouteType.REMOTE_WORKLOAD), route("10.0.2.0/24", RouteType.REMOTE_WORKLOAD, same_subnet=True, dst_node_ip="x"))
    assert {entry.object for entry in node.degraded()} == {"Route 10.0.1.0/33", "Route 10.0.2.0/24"}
    assert set(node.table("route_v4")) == {"0.0.0.0/0"}


# --- claims ----------------------------------------------------------------------------------------------------------------------


def test_claims_lowest_wins_and_the_next_takes_over() -> None:
    claims = Claims()
    row = ("t", (1,))
    claims.set((2,), {row: ("b",)})
    assert list(claims.changes()) == [("t", (1,), ("b",))]
    claims.set((1,), {row: ("a",)})
    claims.set((3,), {row: ("c",)})
    assert list(claims.changes()) == [("t", (1,), ("a",))]
    claims.set((1,), {})
    claims.set((2,), {row: ("a",)})
    assert list(claims.changes()) == []
    claims.set((2,), {})
    assert list(claims.changes()) == [("t", (1,), ("c",))]
    claims.set((3,), {})
    assert list(claims.changes()) == [("t", (1,), None)]
    assert list(claims.changes()) == []
