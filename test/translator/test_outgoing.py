"""NAT outgoing and floating addresses: rows against the contract's words (4.4)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest

from felix_proto.types import (
    GlobalBGPConfigUpdate,
    HostMetadataRemove,
    HostMetadataUpdate,
    IPAMPool,
    IPAMPoolRemove,
    IPAMPoolUpdate,
    NatInfo,
    QoSPolicy,
)
from test.support.reach import NODE, Node, config, endpoint, gone

BOTH, ONLY_LB = ("Workload", "Tunnel"), ("LoadBalancer",)


def pool(cidr: str, masquerade: bool = True, uses: tuple[str, ...] = BOTH) -> IPAMPoolUpdate:
    name = cidr.replace("/", "-")
    return IPAMPoolUpdate(name, IPAMPool(name, cidr, masquerade, allowed_uses=uses))


POOLS = [pool("10.1.0.0/16"), pool("10.2.0.0/16", False), pool("203.0.113.0/24", True, ONLY_LB), pool("fd00:1::/48"), pool("10.1.7.0/24", False),
         pool("192.0.2.0/25", True, ())]  # fmt: skip
HOSTS = [HostMetadataUpdate(NODE, "192.0.2.11/24", "2001:db8::11/64"), HostMetadataUpdate("node-b", "192.0.2.212", "2001:db8::12/64"),
         HostMetadataUpdate("node-c", "10.1.9.9/16")]  # fmt: skip
PLACES = ["10.1.0.1", "10.1.7.7", "10.1.9.9", "10.2.0.1", "203.0.113.7", "192.0.2.11", "192.0.2.212", "8.8.8.8", "fd00:1::1", "fd00:2::1", "2001:db8::12"]


def flags(node: Node, address: str) -> int:
    """What the longest prefix says."""
    rows = [(ip_network(cidr), value[1]) for cidr, value in node.table("masquerade_v6" if ":" in address else "masquerade_v4").items()]
    there = [(net.prefixlen, value) for net, value in rows if ip_address(address) in net]
    return int(max(there)[1]) if there else 0


def masqueraded(pools: list[IPAMPoolUpdate], hosts: list[HostMetadataUpdate], src: str, dst: str, exclude_hosts: bool) -> bool:
    """SNAT iff src in a masquerade pool and dst in no pool (those for LoadBalancers only left out) and, if so configured, no host."""
    counted = [each.pool for each in pools if each.pool.allowed_uses != ONLY_LB]
    inside = [ip_network(each.cidr) for each in counted]
    addresses = [ip_address(text.partition("/")[0]) for host in hosts for text in (host.ipv4_addr, host.ipv6_addr) if text]
    source = any(ip_address(src) in ip_network(each.cidr) for each in counted if each.masquerade)
    return source and not any(ip_address(dst) in net for net in inside) and not (exclude_hosts and ip_address(dst) in addresses)


@pytest.mark.parametrize("excluded", ["IPPoolsOnly", "IPPoolsAndHostIPs"])
def test_who_is_masqueraded_towards_whom(excluded: str) -> None:
    """A pool within a pool is no more than its own prefix says: Calico refuses overlapping pools."""
    pools = [each for each in POOLS if each.id != "10.1.7.0-24"]
    node = Node(*pools, *HOSTS)
    node.apply(config(NATOutgoingExclusions=excluded))
    for src, dst in product(PLACES, repeat=2):
        if (":" in src) == (":" in dst):
            found = bool(flags(node, src) & 1 and not flags(node, dst) & 2)
            assert found == masqueraded(pools, HOSTS, src, dst, excluded != "IPPoolsOnly"), (src, dst)


def test_a_pool_that_stops_and_one_that_goes() -> None:
    node = Node(pool("10.1.0.0/16"))
    assert node.table("masquerade_v4") == {"10.1.0.0/16": ("pool", 3)}
    node.apply(pool("10.1.0.0/16", False))
    assert node.table("masquerade_v4") == {"10.1.0.0/16": ("pool", 2)}
    node.apply(pool("10.1.0.0/16", False, ONLY_LB))
    assert node.table("masquerade_v4") == {}
    node.apply(pool("10.1.0.0/16"), IPAMPoolRemove("10.1.0.0-16"))
    assert node.table("masquerade_v4") == {}


def test_hosts_come_and_go_with_the_exclusion() -> None:
    node = Node(pool("10.1.0.0/16"), *HOSTS)
    assert set(node.table("masquerade_v4")) == {"10.1.0.0/16"}
    node.apply(config(NATOutgoingExclusions="IPPoolsAndHostIPs"))
    assert node.table("masquerade_v4") == {
        "10.1.0.0/16": ("pool", 3), "192.0.2.11/32": ("pool", 2), "192.0.2.212/32": ("pool", 2), "10.1.9.9/32": ("pool", 3)}  # fmt: skip
    assert set(node.table("masquerade_v6")) == {"2001:db8::11/128", "2001:db8::12/128"}
    changes = node.apply(HostMetadataRemove("node-b"))
    assert sorted(table for table, _, _ in changes) == ["masquerade_v4", "masquerade_v6"]
    node.apply(config())
    assert set(node.table("masquerade_v4")) == {"10.1.0.0/16"}


# --- floating addresses --------------------------------------------------------------------------------------------------------------

ENABLED = config(FloatingIPs="Enabled")


def floating(name: str, *pairs: tuple[str, str]) -> Any:
    v4 = tuple(NatInfo(*pair) for pair in pairs if ":" not in pair[0])
    v6 = tuple(NatInfo(*pair) for pair in pairs if ":" in pair[0])
    return endpoint(name, nets=[f"{inner}/{128 if ':' in inner else 32}" for _, inner in pairs], ipv4_nat=v4, ipv6_nat=v6)


def shown(node: Node) -> dict[str, str]:
    found = {}
    for v, bits in (("v4", 32), ("v6", 128)):
        for outside, value in node.table(f"floating_{v}").items():
            found[outside] = str(ip_address(value[1].to_bytes(bits // 8, "big")))
            halves = [(value[at], value[at] >> 64, value[at] & (1 << 64) - 1) for at in ((1, 4) if v == "v6" else ())]
            assert value[1:] == sum(halves, ()) if halves else len(value) == 3
    return found


def test_floating_addresses_of_both_families() -> None:
    node = Node(floating("shop/web", ("203.0.113.9", "10.0.0.5"), ("2001:db8:f::9", "fd00::5")))
    assert shown(node) == {}, "not enabled"
    node.apply(ENABLED)
    assert shown(node) == {"203.0.113.9": "10.0.0.5", "2001:db8:f::9": "fd00::5"}
    node.apply(floating("shop/web", ("203.0.113.10", "10.0.0.5")))
    assert shown(node) == {"203.0.113.10": "10.0.0.5"}
    node.apply(gone("shop/web"))
    assert shown(node) == {}


def test_one_claimed_by_two_belongs_to_the_lowest_text() -> None:
    """As strings: 10.0.0.10 comes before 10.0.0.9."""
    node = Node(floating("shop/a", ("203.0.113.9", "10.0.0.9")), floating("shop/b", ("203.0.113.9", "10.0.0.10")))
    node.apply(ENABLED)
    assert shown(node) == {"203.0.113.9": "10.0.0.10"}
    node.apply(gone("shop/b"))
    assert shown(node) == {"203.0.113.9": "10.0.0.9"}


@pytest.mark.parametrize("values", [{"FloatingIPs": "enabled"}, {"ClusterType": "k8s,openstack"}, {"MetadataAddr": "10.0.0.1"}])
def test_enabled(values: dict[str, str]) -> None:
    node = Node(floating("shop/web", ("203.0.113.9", "10.0.0.5")))
    node.apply(config(**values))
    assert shown(node) == {"203.0.113.9": "10.0.0.5"}
    node.apply(config(FloatingIPs="Disabled", ClusterType="k8s", MetadataAddr="127.0.0.1"))
    assert shown(node) == {}


def test_one_that_cant_be_read_is_named() -> None:
    node = Node(floating("shop/web", ("203.0.113.9", "10.0.0.5")))
    node.apply(ENABLED, endpoint("shop/web", ipv4_nat=(NatInfo("203.0.113.x", "10.0.0.5"), NatInfo("203.0.113.8", "10.0.0.5"), NatInfo("::9", "10.0.0.5"))))
    assert shown(node) == {"203.0.113.8": "10.0.0.5"}
    (entry,) = node.degraded()
    assert entry.object == "WorkloadEndpoint k8s/shop/web/eth0" and entry.effect == "partial"


def test_what_an_endpoint_sends_to_itself_comes_from_its_lowest_floating_address() -> None:
    """The lowest text of all that lead there, whoever asks for them."""
    node = Node(floating("shop/a", ("203.0.113.9", "10.0.0.5"), ("203.0.113.10", "10.0.0.5")), floating("shop/b", ("203.0.113.77", "10.0.0.6")))
    node.apply(ENABLED)
    sources = {outside: str(ip_address(value[2])) for outside, value in node.table("floating_v4").items()}
    assert sources == {"203.0.113.9": "203.0.113.10", "203.0.113.10": "203.0.113.10", "203.0.113.77": "203.0.113.77"}
    node.apply(floating("shop/b", ("203.0.113.1", "10.0.0.5")))
    assert str(ip_address(node.table("floating_v4")["203.0.113.9"][2])) == "203.0.113.1"


# --- service loops and marks -----------------------------------------------------------------------------------------------------------


def test_ranges_of_services() -> None:
    bgp = GlobalBGPConfigUpdate(("10.96.0.0/12", "fd00:96::/112"), ("203.0.113.0/24",), ("203.0.113.192/26",))
    node = Node(bgp)
    assert set(node.table("service_loop_v4")) == {"10.96.0.0/12", "203.0.113.0/24", "203.0.113.192/26"}
    assert node.table("service_loop_v6") == {"fd00:96::/112": ("loops",)}
    node.apply(config(ServiceLoopPrevention="Disabled"))
    assert not node.table("service_loop_v4")
    node.apply(config(ServiceLoopPrevention="Drop"))
    assert len(node.table("service_loop_v4")) == 3
    node.apply(GlobalBGPConfigUpdate())
    assert not node.table("service_loop_v4") and not node.table("service_loop_v6")


def test_marks() -> None:
    marked = endpoint("shop/web", nets=["10.1.0.1/32"], qos_policies=(QoSPolicy("", 46), QoSPolicy("", 10)))
    node = Node(marked, endpoint("shop/db"), pool("10.1.0.0/16"), pool("203.0.113.0/24", True, ONLY_LB), pool("fd00:1::/48"))
    assert list(node.rows["dscp"].values()) == [("mark", 46)]
    assert (set(node.table("cluster_v4")), set(node.table("cluster_v6"))) == ({"10.1.0.0/16"}, {"fd00:1::/48"})
    node.apply(endpoint("shop/web", nets=["10.1.0.1/32"], qos_policies=(QoSPolicy("", 64),)))
    assert not node.rows["dscp"]
    node.apply(marked)
    node.apply(gone("shop/web"), IPAMPoolRemove("10.1.0.0-16"))
    assert not node.rows["dscp"] and not node.table("cluster_v4")
