"""From everywhere to everywhere through host endpoints of every kind, stage and rule: each verdict is that of the table in test/support.

By default every host endpoint meets some of the paths, others in each run; the whole matrix, 7,200 packets:

    CALICO_P4_MATRIX=all python -m pytest test/calico_p4/test_host_matrix.py -s
"""

import os
from collections.abc import Iterator
from itertools import count
from random import Random, SystemRandom
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from calico_p4.bench import Bench
from calico_p4.packets import Packet
from felix_proto import types as felix
from felix_proto.types import IPPoolType, RouteType, Rule
from test.support import host_matrix
from test.support.host_matrix import FORWARD, NORMAL, PLACES, PRE_DNAT, RULES, UNTRACKED, Setting
from test.support.product import Product, on_embedded
from test.support.tunnels import in_vxlan

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
WHOLE = os.environ.get("CALICO_P4_MATRIX") == "all"
SHARE = 0.12
NODE, PEER, FAR_NODE = ("192.0.2.11", "2001:db8:1::11"), ("192.0.2.12", "2001:db8:1::12"), ("198.51.100.13", "2001:db8:c::13")
ENDS = {
    "uplink": (("203.0.113.1", "2001:db8:f::1"), ("203.0.113.2", "2001:db8:f::2")),
    "host": (NODE, NODE),
    "local workload": (("10.65.0.1", "fd00:65::1"), ("10.65.0.2", "fd00:65::2")),
    "remote workload": (("10.66.0.1", "fd00:66::1"), ("10.66.0.2", "fd00:66::2")),
    "overlay": (("10.67.0.1", "fd00:67::1"), ("10.67.0.2", "fd00:67::2")),
}
"""Addresses by place: as source, as destination; IPv4 and IPv6."""
SECTIONS = {UNTRACKED: "untracked_tiers", PRE_DNAT: "pre_dnat_tiers", FORWARD: "forward_tiers", NORMAL: "tiers"}
KINDS = {"named": ("eth0", ()), "expected addresses": ("", (NODE[0],)), "*": ("*", ()), "tunnel device": ("vxlan.calico", ())}
SPORTS = count(20000)


class Path(NamedTuple):
    """From one place to another, by IP version (0 is 4, 1 is 6)."""

    source: str
    target: str
    v: int


PATHS = [Path(source, target, v) for source in PLACES for target in PLACES for v in (0, 1)]


def policy_id(rule: str) -> felix.PolicyID:
    return felix.PolicyID("GlobalNetworkPolicy", "", f"matrix.{rule.replace(' ', '-')}")


def node_messages() -> Iterator[felix.Payload]:
    """A node with two pods, a neighbour whose pods are reached by routing, and another whose pods are behind a tunnel."""
    yield felix.ConfigUpdate((("DefaultEndpointToHostAction", "Accept"), ("FelixHostname", "node-a")))
    for rule in RULES:
        rules = (Rule("deny", protocol="tcp") if rule == "no match" else Rule(rule),)
        yield felix.ActivePolicyUpdate(policy_id(rule), felix.Policy(policy_id(rule), tier="matrix", inbound_rules=rules, outbound_rules=rules))
    yield felix.ActiveProfileUpdate("open", felix.Profile("open", (Rule("allow"),), (Rule("allow"),)))
    for place, addresses in enumerate(ENDS["local workload"]):
        key = felix.WorkloadEndpointID("k8s", f"shop/pod-{place}", "eth0")
        yield felix.WorkloadEndpointUpdate(key, felix.WorkloadEndpoint(
            key, "active", f"cali{place}", profile_ids=("open",), ipv4_nets=(f"{addresses[0]}/32",), ipv6_nets=(f"{addresses[1]}/128",)))  # fmt: skip
    for number, (name, address, mac) in enumerate((("node-a", NODE, "66:00:00:00:00:11"), ("node-c", FAR_NODE, "66:00:00:00:00:13"))):
        yield felix.VXLANTunnelEndpointUpdate(name, mac, f"10.{65 + 2 * number}.0.0", address[0], mac, f"fd00:{65 + 2 * number}::", address[1])
    for name, address in (("node-a", NODE), ("node-b", PEER), ("node-c", FAR_NODE)):
        yield felix.HostMetadataUpdate(name, f"{address[0]}/24", f"{address[1]}/64")
    for block, name, address, pool in (("66", "node-b", PEER, IPPoolType.NO_ENCAP), ("67", "node-c", FAR_NODE, IPPoolType.VXLAN)):
        for v, dst in enumerate((f"10.{block}.0.0/24", f"fd00:{block}::/64")):
            yield felix.RouteUpdate(dst, int(RouteType.REMOTE_WORKLOAD), int(pool), name, address[v])
    yield felix.Encapsulation(False, True, True)
    yield felix.InSync()


def host_endpoint(setting: Setting) -> felix.HostEndpointUpdate:
    name, expected = KINDS[setting.kind]
    tiers = {SECTIONS[setting.stage]: (tier(setting.rule, setting.stage),)}
    if setting.closed:
        tiers |= {SECTIONS[stage]: (tier("deny", stage),) for stage in (FORWARD, NORMAL)}
    fields: dict[str, Any] = {"profile_ids": ("open",), "expected_ipv4_addrs": expected, **tiers}
    return felix.HostEndpointUpdate("hep", felix.HostEndpoint("hep", name, **fields))


def tier(rule: str, stage: str) -> felix.TierInfo:
    policies = (policy_id(rule),)
    return felix.TierInfo("matrix", policies, () if stage == PRE_DNAT else policies, "Deny" if stage in (FORWARD, NORMAL) else "Pass")


class World:
    """The node, and its flows kept from packet to packet."""

    def __init__(self, product: Product) -> None:
        self._product, self._bench = product, Bench(product.driver, product.switch.bench)

    def set(self, *messages: felix.Payload) -> None:
        self._product.flush(messages)
        self._bench.settle()
        assert self._product.driver.degraded() == []

    def send(self, path: Path, sport: int) -> bool:
        """Whether a packet passes; one to the overlay leaves through the tunnel."""
        answer = self._bench.send(Packet(0, 0, None, 0.0, self._fields(path, sport) | {"flow": "keep"}))
        assert answer["verdict"] in ("allow", "deny")
        if answer["verdict"] == "allow":
            place = {"host": "host", "local workload": "workload:shop/pod-1"}.get(path.target, "uplink")
            assert (answer["out"], bool(answer["tunnel"])) == (place, path.target == "overlay"), answer
        return bool(answer["verdict"] == "allow")

    def _fields(self, path: Path, sport: int) -> dict[str, Any]:
        src, dst = ENDS[path.source][0][path.v], ENDS[path.target][1][path.v]
        if path.source != "overlay":
            port = {"host": "host", "local workload": "interface:cali0"}.get(path.source, "uplink")
            return {"proto": "udp", "src": src, "dst": dst, "sport": sport, "dport": 8080, "from": port}
        inner = Ether(src="66:00:00:00:00:13", dst="66:00:00:00:00:11") / (IPv6 if path.v else IP)(src=src, dst=dst) / UDP(sport=sport, dport=8080)
        return {"raw": bytes(in_vxlan(inner, FAR_NODE[path.v], NODE[path.v])).hex(), "from": "uplink"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    product = on_embedded()
    made = World(product)
    made.set(*node_messages())
    yield made
    product.close()


@pytest.fixture(scope="module")
def flows(world: World) -> dict[Path, int]:
    """A flow on every path, by its source port, from before there was a host endpoint."""
    found = {path: next(SPORTS) for path in PATHS}
    assert all(world.send(path, sport) for path, sport in found.items()), "without host endpoints everything passes"
    return found


SETTINGS = list(host_matrix.settings())


@pytest.mark.parametrize("setting", SETTINGS, ids=["-".join(map(str, setting)) for setting in SETTINGS])
def test_verdicts_are_those_of_the_table(world: World, flows: dict[Path, int], setting: Setting) -> None:
    world.set(host_endpoint(setting))
    rng = Random(f"{SEED} {setting}")
    for path in PATHS:
        for established in (False, True):
            if WHOLE or rng.random() < SHARE:
                sport = flows[path] if established else next(SPORTS)
                expected = host_matrix.passes(setting, path.source, path.target, established)
                assert world.send(path, sport) == expected, f"CALICO_P4_SEED={SEED}: {path}, established {established}"


def test_the_page_is_up_to_date() -> None:
    assert host_matrix.PATH.read_text() == host_matrix.page(), "python -m test.support.host_matrix"
