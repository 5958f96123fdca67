"""From port to port: source guard, routing, policy stages, TTL, drop reasons and counters, both families."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6Unknown, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from k8s_p4.rows import TABLES
from test.support.pipeline import (
    EGRESS_SLOT,
    FAR,
    FAR_V6,
    HOOKS,
    INGRESS_SLOT,
    MAC,
    MACS,
    NODE,
    NODE_V6,
    POD1,
    POD1_V6,
    POD2,
    POD2_V6,
    Bench,
    Outcome,
    family,
    number,
    prefix,
    rule,
)

POD1S, POD2S, NODES, FARS = (POD1, POD1_V6), (POD2, POD2_V6), (NODE, NODE_V6), (FAR, FAR_V6)
FAMILIES = pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
UDP_53 = UDP(sport=40000, dport=53)


def packet(src: str, dst: str, ttl: int = 64, l4: Any = UDP_53, **fields: Any) -> Any:
    ip = IPv6(src=src, dst=dst, hlim=ttl, **fields) if ":" in src else IP(src=src, dst=dst, ttl=ttl, **fields)
    return Ether(src=MACS["cali1"], dst=MAC) / ip / l4


def send(bench: Bench, port: str, src: str, dst: str, **fields: Any) -> Outcome:
    return bench.send(port, bytes(packet(src, dst, **fields)))


def verdict(bench: Bench, port: str, src: str, dst: str, **fields: Any) -> tuple[Reason, str]:
    outcome = send(bench, port, src, dst, **fields)
    return outcome.reason, outcome.out


def ttl_of(outcome: Outcome) -> int:
    frame = Ether(outcome.frame)
    ttl: int = frame[IPv6].hlim if IPv6 in frame else frame[IP].ttl
    return ttl


# --- who meets which policy ------------------------------------------------------------------------------------------------------


@FAMILIES
def test_paths(bench: Bench, v: int) -> None:
    """Port in, addresses; reason, port out, slots (egress, ingress), and whether TTL is lowered."""
    pod1, pod2, node, far = POD1S[v], POD2S[v], NODES[v], FARS[v]
    policy = Reason.POLICY_ALLOW
    cases = [
        ("cali1", pod1, pod2, policy, "cali2", (EGRESS_SLOT, INGRESS_SLOT), True),
        ("cali1", pod1, pod1, policy, "cali1", (EGRESS_SLOT, INGRESS_SLOT), True),
        ("cali1", pod1, far, policy, "eth0", (EGRESS_SLOT, 0), True),
        ("cali1", pod1, node, Reason.ENDPOINT_ACTION_ALLOW, "host", (EGRESS_SLOT, 0), False),
        ("eth0", far, pod1, policy, "cali1", (0, INGRESS_SLOT), True),
        ("eth0", far, node, Reason.NO_POLICY, "host", (0, 0), False),
        ("eth0", far, far, Reason.NO_POLICY, "eth0", (0, 0), True),
        ("host", node, pod1, Reason.HOST_TO_WORKLOAD, "cali1", (0, 0), False),
        ("host", node, far, Reason.NO_POLICY, "eth0", (0, 0), False),
        ("host", node, node, Reason.NO_POLICY, "host", (0, 0), False),
    ]
    for port, src, dst, reason, out, slots, lowered in cases:
        outcome = send(bench, port, src, dst)
        assert (outcome.reason, outcome.out, outcome.slots) == (reason, out, slots), (port, dst)
        assert ttl_of(outcome) == (63 if lowered else 64), (port, dst)
        frame = Ether(outcome.frame)
        assert (frame.src, frame.dst) == (MAC, MACS[out]), (port, dst)


@FAMILIES
@pytest.mark.parametrize("ttl", [0, 1, 2])
def test_ttl(bench: Bench, v: int, ttl: int) -> None:
    forwarded = [("cali1", POD1S[v], POD2S[v]), ("cali1", POD1S[v], FARS[v]), ("eth0", FARS[v], POD1S[v]), ("eth0", FARS[v], FARS[v])]
    for port, src, dst in forwarded:
        outcome = send(bench, port, src, dst, ttl=ttl)
        assert (outcome.reason == Reason.TTL) == (ttl < 2)
        assert (outcome.out == "") == (ttl < 2)
        assert ttl < 2 or ttl_of(outcome) == 1
    for port, src, dst in [("cali1", POD1S[v], NODES[v]), ("eth0", FARS[v], NODES[v]), ("host", NODES[v], POD1S[v]), ("host", NODES[v], FARS[v])]:
        assert ttl_of(send(bench, port, src, dst, ttl=ttl)) == ttl
    assert bench.counter("drops", Reason.TTL) == (4 if ttl < 2 else 0)


# --- ports -----------------------------------------------------------------------------------------------------------------------


@FAMILIES
def test_unknown_port(bench: Bench, v: int) -> None:
    bench.delete("port", bench.ports["cali1"])
    assert verdict(bench, "cali1", POD1S[v], POD2S[v]) == (Reason.UNKNOWN_PORT, "")
    assert bench.counter("drops", Reason.UNKNOWN_PORT) == 1


@FAMILIES
@pytest.mark.parametrize("reason", [Reason.ENDPOINT_DOWN, Reason.DEGRADED])
def test_closed_endpoints(bench: Bench, v: int, reason: Reason) -> None:
    bench.row("port", (bench.ports["cali1"],), ("workload_closed", 1, reason))
    bench.row(f"local_{family(POD2S[v])}", (number(POD2S[v]),), ("to_workload_closed", 2, reason, 102))
    assert verdict(bench, "cali1", POD1S[v], FARS[v]) == (reason, "")
    for port, src in (("cali2", POD2S[v]), ("eth0", FARS[v]), ("host", NODES[v])):
        assert verdict(bench, port, src, POD2S[v]) == (reason, "")
    assert bench.counter("drops", reason) == 4


# --- source guard ----------------------------------------------------------------------------------------------------------------


@FAMILIES
def test_spoofed_sources(bench: Bench, v: int) -> None:
    for src in (POD2S[v], FARS[v], NODES[v], ("10.0.0.0", "fd00::")[v], ("0.0.0.0", "::")[v]):
        assert verdict(bench, "cali1", src, POD2S[v]) == (Reason.SPOOFED, "")
    assert verdict(bench, "cali2", POD1S[v], POD2S[v]) == (Reason.SPOOFED, "")
    assert bench.counter("drops", Reason.SPOOFED) == 6
    assert send(bench, "eth0", POD1S[v], POD2S[v]).out == "cali2"


@FAMILIES
def test_source_nets(bench: Bench, v: int) -> None:
    net, inside, outside = [("10.7.0.0/16", "10.7.255.255", "10.8.0.0"), ("fd07::/16", "fd07:ffff::", "fd08::")][v]
    bench.row(f"source_net_{family(inside)}", (1, prefix(net)), ("source_ok",))
    assert send(bench, "cali1", inside, POD2S[v]).out == "cali2"
    assert verdict(bench, "cali1", outside, POD2S[v]) == (Reason.SPOOFED, "")
    assert verdict(bench, "cali2", inside, POD1S[v]) == (Reason.SPOOFED, "")
    bench.row(f"source_net_{family(inside)}", (2, (0, 0)), ("source_ok",))
    assert send(bench, "cali2", outside, POD1S[v]).out == "cali1"
    assert verdict(bench, "cali1", outside, POD1S[v]) == (Reason.SPOOFED, "")


@pytest.mark.parametrize(("src", "excepted"), [("fe80::1", True), ("febf::1", True), ("fe7f:ffff::1", False), ("fec0::1", False), ("fd80::1", False)])
def test_link_local_icmpv6_is_excepted(bench: Bench, src: str, excepted: bool) -> None:
    reason, out = verdict(bench, "cali1", src, POD2_V6, l4=ICMPv6EchoRequest())
    assert (reason, out) == ((Reason.POLICY_ALLOW, "cali2") if excepted else (Reason.SPOOFED, ""))
    assert verdict(bench, "cali1", src, POD2_V6) == (Reason.SPOOFED, "")


# --- routing ---------------------------------------------------------------------------------------------------------------------


@FAMILIES
def test_longest_prefix(bench: Bench, v: int) -> None:
    wide, narrow, address, beside = [("198.51.0.0/16", "198.51.100.9/32", FAR, "198.51.100.8"), ("2001:db8:9::/48", f"{FAR_V6}/128", FAR_V6, "2001:db8:9::8")][v]
    table = f"route_{family(address)}"
    bench.row(table, (prefix(wide),), ("blackhole",))
    assert verdict(bench, "cali1", POD1S[v], address) == (Reason.BLACKHOLE, "")
    bench.row(table, (prefix(narrow),), ("to_uplink", 20))
    assert send(bench, "cali1", POD1S[v], address).out == "eth0"
    assert verdict(bench, "cali1", POD1S[v], beside) == (Reason.BLACKHOLE, "")
    assert bench.counter("drops", Reason.BLACKHOLE) == 2


@FAMILIES
def test_no_route(bench: Bench, v: int) -> None:
    bench.delete(f"route_{family(FARS[v])}", (0, 0))
    assert verdict(bench, "cali1", POD1S[v], FARS[v]) == (Reason.NO_ROUTE, "")
    assert send(bench, "cali1", POD1S[v], POD2S[v]).out == "cali2"
    assert bench.counter("drops", Reason.NO_ROUTE) == 1


@FAMILIES
def test_local_address_outranks_routes(bench: Bench, v: int) -> None:
    bench.row(f"route_{family(POD2S[v])}", (prefix(POD2S[v]),), ("blackhole",))
    assert send(bench, "cali1", POD1S[v], POD2S[v]).out == "cali2"


@FAMILIES
def test_next_hop_unknown(bench: Bench, v: int) -> None:
    bench.delete("next_hop", 2)
    assert verdict(bench, "cali1", POD1S[v], POD2S[v]) == (Reason.NEIGHBOUR_UNKNOWN, "")
    assert bench.counter("drops", Reason.NEIGHBOUR_UNKNOWN) == 1


# --- policy ----------------------------------------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("stage", ["egress", "ingress"])
def test_unbound_endpoint_is_closed(bench: Bench, v: int, stage: str) -> None:
    bench.delete(f"{stage}.binding", 1)
    port, src, dst = ("cali1", POD1S[v], FARS[v]) if stage == "egress" else ("eth0", FARS[v], POD1S[v])
    outcome = send(bench, port, src, dst)
    assert (outcome.reason, outcome.out, outcome.slots) == (Reason.UNBOUND, "", (0, 0))
    assert bench.counter("drops", Reason.UNBOUND) == 1
    assert send(bench, "host", NODES[v], POD1S[v]).reason == Reason.HOST_TO_WORKLOAD


@FAMILIES
@pytest.mark.parametrize("stage", ["egress", "ingress"])
def test_no_rule_is_deny(bench: Bench, v: int, stage: str) -> None:
    bench.delete(f"{stage}.rules", *rule(1))
    outcome = send(bench, "cali1", POD1S[v], POD2S[v])
    assert (outcome.reason, outcome.out) == (Reason.POLICY, "")
    assert outcome.slots == ((0, 0) if stage == "egress" else (EGRESS_SLOT, 0))
    assert bench.counter("drops", Reason.POLICY) == 1


@FAMILIES
@pytest.mark.parametrize("stage", ["egress", "ingress"])
def test_deny_has_its_slot(bench: Bench, v: int, stage: str) -> None:
    bench.row(f"{stage}.rules", rule(1, priority=2), ("deny", 77))
    outcome = send(bench, "cali1", POD1S[v], POD2S[v])
    assert (outcome.reason, outcome.out) == (Reason.POLICY, "")
    assert outcome.slots == ((77, 0) if stage == "egress" else (EGRESS_SLOT, 77))
    assert bench.counter(f"{stage}.hits", 77) == 1
    assert bench.counter("egress.hits", EGRESS_SLOT) == (0 if stage == "egress" else 1)


def test_larger_priority_wins(bench: Bench) -> None:
    bench.row("egress.rules", rule(1, priority=9, dst_port=53), ("deny", 9))
    bench.row("egress.rules", rule(1, priority=10, src_port=40000), ("allow", 10))
    assert send(bench, "cali1", POD1, POD2).slots == (10, INGRESS_SLOT)
    bench.row("egress.rules", rule(1, priority=11, protocol=17), ("deny", 11))
    assert send(bench, "cali1", POD1, POD2).slots == (11, 0)


def test_last_slot_counts(bench: Bench) -> None:
    """The counters have an index for every slot there can be; they do not wrap."""
    bench.row("ingress.rules", rule(1, priority=5), ("allow", 262143))
    send(bench, "eth0", FAR, POD1)
    assert bench.counter("ingress.hits", 262143) == 1
    assert bench.counter("ingress.hits", 0) == 0


RULE_FIELDS: list[tuple[str, int | tuple[int, int], dict[str, Any], dict[str, Any]]] = [
    ("ip_version", 4, {"src": POD1, "dst": POD2}, {"src": POD1_V6, "dst": POD2_V6}),
    ("ip_version", 6, {"src": POD1_V6, "dst": POD2_V6}, {"src": POD1, "dst": POD2}),
    ("protocol", 17, {}, {"l4": TCP(sport=40000, dport=53)}),
    ("l4_kind", 1, {}, {"l4": ICMP()}),
    ("l4_kind", 2, {"l4": ICMP()}, {}),
    ("l4_kind", 3, {"frag": 5, "proto": 17}, {}),
    ("l4_kind", 0, {"l4": Raw(b"12345678"), "proto": 253}, {}),
    ("src_port", 40000, {}, {"l4": UDP(sport=53, dport=40000)}),
    ("dst_port", 53, {}, {"l4": UDP(sport=53, dport=40000)}),
    ("dst_port", (0x8000, 0xC000), {"l4": UDP(dport=0xBFFF)}, {"l4": UDP(dport=0xC000)}),
    ("dst_port", 0, {"l4": UDP(dport=0)}, {"l4": UDP(dport=1)}),
    ("icmp_type", 8, {"l4": ICMP(type=8)}, {"l4": ICMP(type=0)}),
    ("icmp_type", 128, {"src": POD1_V6, "dst": POD2_V6, "l4": ICMPv6EchoRequest()}, {"src": POD1_V6, "dst": POD2_V6, "l4": ICMPv6Unknown(type=129)}),
    ("icmp_code", 4, {"l4": ICMP(type=3, code=4)}, {"l4": ICMP(type=3, code=3)}),
    ("list", (1, 0xFFFFFFFF), {}, {}),
]


@pytest.mark.parametrize("stage", ["egress", "ingress"])
@pytest.mark.parametrize(("field", "wanted", "matching", "other"), RULE_FIELDS, ids=[f"{case[0]}-{case[1]}" for case in RULE_FIELDS])
def test_every_field_of_a_rule(bench: Bench, stage: str, field: str, wanted: Any, matching: dict[str, Any], other: dict[str, Any]) -> None:
    bench.row(f"{stage}.rules", rule(1, priority=7, **{field: wanted}), ("deny", 7))
    ends = {"src": POD1, "dst": POD2}
    assert send(bench, "cali1", **{**ends, **matching}).reason == Reason.POLICY
    if other:
        assert send(bench, "cali1", **{**ends, **other}).reason == Reason.POLICY_ALLOW


def identity_rows(bench: Bench, side: str, address: str, identity: int) -> None:
    bench.row(f"{side}_identity_host_{family(address)}", (number(address),), ("set_identity", identity))


@FAMILIES
@pytest.mark.parametrize("stage", ["egress", "ingress"])
def test_classes_choose_the_list(bench: Bench, v: int, stage: str) -> None:
    """Own identity chooses variant and list, the peer's another list; each only its own chain and variant."""
    own_side, peer_side = ("src", "dst") if stage == "egress" else ("dst", "src")
    endpoint, own, peer = (1, POD1S[v], POD2S[v]) if stage == "egress" else (2, POD2S[v], POD1S[v])
    place = 0 if stage == "egress" else 1
    for number_, slot in ((2, 20), (3, 30), (4, 40)):
        bench.row(f"{stage}.rules", rule(number_), ("allow", slot))

    def slot() -> int:
        return send(bench, "cali1", POD1S[v], POD2S[v]).slots[place]

    default = slot()
    bench.row(f"{stage}.peer_class", (endpoint, 500), ("set_list", 2))
    assert slot() == default
    identity_rows(bench, peer_side, peer, 500)
    assert slot() == 20
    bench.row(f"{stage}.self_class", (endpoint, 600), ("set_variant", 9, 3))
    assert slot() == 20
    identity_rows(bench, own_side, own, 600)
    assert slot() == 30
    bench.row(f"{stage}.peer_class", (9, 500), ("set_list", 4))
    assert slot() == 40
    bench.delete(f"{stage}.peer_class", 9, 500)
    bench.row(f"{stage}.peer_class", (9, 600), ("set_list", 2))
    bench.row(f"{stage}.peer_class", (8, 500), ("set_list", 2))
    bench.row(f"{stage}.self_class", (8, 600), ("set_variant", 1, 2))
    assert slot() == 30


@FAMILIES
def test_no_identity_is_identity_zero(bench: Bench, v: int) -> None:
    bench.row("egress.rules", rule(2), ("allow", 20))
    bench.row("egress.peer_class", (1, 0), ("set_list", 2))
    assert send(bench, "cali1", POD1S[v], POD2S[v]).slots[0] == 20


@FAMILIES
@pytest.mark.parametrize("side", ["src", "dst"])
def test_identity_host_outranks_net_and_long_outranks_short(bench: Bench, v: int, side: str) -> None:
    address = POD1S[v] if side == "src" else POD2S[v]
    table, width = f"{side}_identity_net_{family(address)}", 128 if v else 32

    def identity() -> int:
        got: int = send(bench, "cali1", POD1S[v], POD2S[v]).injected.metadata[f"{side}_identity"]
        return got

    assert identity() == 0
    bench.row(table, ((0, 0),), ("set_identity", 1))
    assert identity() == 1
    bench.row(table, (prefix(["10.0.0.0/24", "fd00::/64"][v]),), ("set_identity", 2))
    assert identity() == 2
    bench.row(table, ((number(address), width),), ("set_identity", 3))
    assert identity() == 3
    bench.row(f"{side}_identity_host_{family(address)}", (number(address),), ("set_identity", 0xFFFFFFFF))
    assert identity() == 0xFFFFFFFF


# --- what a workload may not, and may ---------------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize(("flags", "vxlan", "ipip"), [(0, False, False), (1, True, False), (2, False, True), (3, True, True)])
def test_encapsulated_traffic(bench: Bench, v: int, flags: int, vxlan: bool, ipip: bool) -> None:
    bench.row("port", (bench.ports["cali1"],), ("workload", 1, flags, 0, 101))
    protocol = "nh" if v else "proto"
    for dst, out in ((POD2S[v], "cali2"), (FARS[v], "eth0"), (NODES[v], "host")):
        assert send(bench, "cali1", POD1S[v], dst, l4=UDP(dport=4789)).out == (out if vxlan else "")
        assert send(bench, "cali1", POD1S[v], dst, l4=Raw(bytes(20)), **{protocol: 4}).out == (out if ipip else "")
        assert send(bench, "cali1", POD1S[v], dst, l4=TCP(dport=4789)).out == out
        assert send(bench, "cali1", POD1S[v], dst, l4=UDP(sport=4789, dport=4788)).out == out
    assert bench.counter("drops", Reason.ENCAPSULATED) == 3 * ((not vxlan) + (not ipip))
    assert send(bench, "eth0", FARS[v], POD2S[v], l4=UDP(dport=4789)).out == "cali2"
    assert send(bench, "host", NODES[v], POD2S[v], l4=UDP(dport=4789)).out == "cali2"


@FAMILIES
def test_endpoint_to_host_action(bench: Bench, v: int) -> None:
    bench.row(f"local_{family(NODES[v])}", (number(NODES[v]),), ("to_host", 10, 0))
    outcome = send(bench, "cali1", POD1S[v], NODES[v])
    assert (outcome.reason, outcome.out, outcome.slots) == (Reason.ENDPOINT_ACTION, "", (EGRESS_SLOT, 0))
    assert send(bench, "eth0", FARS[v], NODES[v]).out == "host"
    bench.row("egress.rules", rule(1, priority=2), ("deny", 5))
    outcome = send(bench, "cali1", POD1S[v], NODES[v])
    assert (outcome.reason, outcome.slots) == (Reason.POLICY, (5, 0))


@pytest.mark.parametrize("icmp_type", [0, 1, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143, 255])
def test_icmpv6_that_always_gets_in(bench: Bench, icmp_type: int) -> None:
    """Listener messages 130-132, router solicitation 133, neighbours 135 and 136 pass egress policy and endpoint action by."""
    bench.row("egress.rules", rule(1, priority=2), ("deny", 5))
    bench.row("local_v6", (number(NODE_V6),), ("to_host", 10, 0))
    always = icmp_type in (130, 131, 132, 133, 135, 136)
    outcome = send(bench, "cali1", POD1_V6, NODE_V6, l4=ICMPv6Unknown(type=icmp_type, msgbody=bytes(4)))
    assert (outcome.reason, outcome.out) == ((Reason.NO_POLICY, "host") if always else (Reason.POLICY, ""))
    for dst in (POD2_V6, FAR_V6):
        assert verdict(bench, "cali1", POD1_V6, dst, l4=ICMPv6Unknown(type=icmp_type, msgbody=bytes(4))) == (Reason.POLICY, "")


@pytest.mark.parametrize("icmp_type", [130, 133, 135])
def test_icmp_over_ipv4_has_no_such_exception(bench: Bench, icmp_type: int) -> None:
    bench.row("egress.rules", rule(1, priority=2), ("deny", 5))
    assert verdict(bench, "cali1", POD1, NODE, l4=ICMP(type=icmp_type)) == (Reason.POLICY, "")
    assert verdict(bench, "cali1", POD1_V6, NODE_V6, l4=Raw(bytes([icmp_type]) + bytes(7)), nh=1) == (Reason.POLICY, "")


# --- nothing depends on what was there before --------------------------------------------------------------------------------------


def every_kind() -> list[tuple[str, bytes]]:
    frames = []
    for v in (0, 1):
        for port, src in (("cali1", POD1S[v]), ("cali2", POD2S[v]), ("eth0", FARS[v]), ("host", NODES[v]), ("cali1", FARS[v])):
            for dst in (POD1S[v], POD2S[v], NODES[v], FARS[v]):
                for l4 in (UDP_53, TCP(dport=443), UDP(dport=4789), (ICMP(), ICMPv6EchoRequest())[v]):
                    frames.append((port, bytes(packet(src, dst, l4=l4))))
        frames.append(("cali1", bytes(packet(POD1S[v], POD2S[v], ttl=1, l4=TCP(dport=443)))))
    frames.append(("cali1", bytes(packet(POD1, POD2, frag=3))))
    frames.append(("cali1", bytes(60)))
    return frames


@pytest.mark.parametrize("seed", [1, 2])
def test_no_trace_of_the_packet_before(seed: int) -> None:
    """Real DPDK leaves the last packet's metadata: each packet must fare as it does alone, whatever came before it."""
    poisoned, stale = Bench(poison=True), Bench(poison=False)
    for each in (poisoned, stale):
        each.row("src_identity_host_v4", (number(POD1),), ("set_identity", 5))
        each.row("egress.peer_class", (1, 0), ("set_list", 2))
        each.row("egress.rules", rule(2, dst_port=443), ("allow", 3))
    alone = {frame: poisoned.send(*frame) for frame in every_kind()}
    order = list(alone)
    random.Random(seed).shuffle(order)
    for frame in order:
        outcome = stale.send(*frame)
        assert (outcome.reason, outcome.out, outcome.frame, outcome.slots) == (
            alone[frame].reason, alone[frame].out, alone[frame].frame, alone[frame].slots)  # fmt: skip
    assert {outcome.reason for outcome in alone.values()} >= {
        Reason.POLICY_ALLOW, Reason.POLICY, Reason.TTL, Reason.SPOOFED, Reason.PARSE, Reason.NO_POLICY, Reason.HOST_TO_WORKLOAD}  # fmt: skip
    poisoned.close()
    stale.close()


def test_drop_counters_add_up(bench: Bench) -> None:
    outcomes = [bench.send(*frame) for frame in every_kind()]
    for reason in Reason:
        assert bench.counter("drops", reason) == sum(outcome.reason == reason and not outcome.out for outcome in outcomes), reason
    for place, stage in enumerate(("egress", "ingress")):
        for slot in (EGRESS_SLOT, INGRESS_SLOT):
            assert bench.counter(f"{stage}.hits", slot) == sum(outcome.slots[place] == slot for outcome in outcomes)


def test_every_table_is_used_by_some_packet(bench: Bench) -> None:
    """A table that no packet reaches would be a construct without a test."""
    used = {entry.table for port, frame in every_kind() for entry in bench.client.inject(bench.ports[port], frame, trace=True).trace}
    names = {table.partition("MainControl.pipeline.")[2] or table for table in used}
    missing = {name for name in TABLES if not any(each.endswith(name) for each in names)}
    hooks = {name for name in TABLES if name.startswith((*HOOKS, "pre_dst_", "host_rule_"))}  # only with host endpoints: test_packet_hooks
    tunnels = {name for name in TABLES if name.startswith("tunnel") and "_local_" not in name}  # the others: test_packet_tunnels
    # Where a service or pool was found first: test_translation.
    nat = {f"{name}_{family}" for name in ("backend", "affinity_backend", "service_source", "masquerade_address") for family in ("v4", "v6")}
    marked = {"cluster_v4", "cluster_v6"}  # what leaves the cluster with a DSCP
    assert missing == {"arp_answer", "nd_answer", "answer_port"} | hooks | tunnels | nat | marked
