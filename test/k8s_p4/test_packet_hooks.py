"""The stages of host endpoints, packet by packet with rows written by hand: who meets which, in which order, and what an allow excuses.

eth0 has host endpoint 101, the workload interfaces have 102 (as that of all interfaces would be). Each stage's list says `pass_on`
with a slot of its own unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from k8s_p4.rows import TABLES
from test.support.pipeline import (
    FAR,
    FAR_V6,
    HOOKS,
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
    mac,
    number,
    prefix,
    rule,
)

FAMILIES = pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
POD1S, POD2S, NODES, FARS = (POD1, POD1_V6), (POD2, POD2_V6), (NODE, NODE_V6), (FAR, FAR_V6)
ETH0, ALL = 101, 102
STAGES = (*HOOKS, "egress", "ingress")
LIST = 7
SLOTS = {stage: 50 + place for place, stage in enumerate(STAGES)}


def host_endpoint(bench: Bench, endpoint: int) -> None:
    for stage in STAGES:
        bench.row(f"{stage}.binding", (endpoint,), ("bind", endpoint, endpoint, LIST))


def says(bench: Bench, stage: str, action: str) -> None:
    """Let the stage's list say this of everything."""
    bench.row(f"{stage}.rules", rule(LIST), (action, SLOTS[stage]))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.row("port", (bench.ports["eth0"],), ("uplink", ETH0))
    bench.row("next_hop", (20,), ("send", bench.ports["eth0"], mac(MAC), mac(MACS["eth0"]), ETH0))
    for endpoint in (1, 2):
        port = f"cali{endpoint}"
        bench.row("port", (bench.ports[port],), ("workload", endpoint, 0, ALL, 100 + endpoint))
        bench.row("next_hop", (endpoint,), ("send", bench.ports[port], mac(MAC), mac(MACS[port]), ALL))
    for endpoint in (ETH0, ALL):
        host_endpoint(bench, endpoint)
    for stage in STAGES:
        says(bench, stage, "pass_on")
    yield bench
    bench.close()


def packet(src: str, dst: str) -> bytes:
    ip = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
    return bytes(Ether(src=MACS["cali1"], dst=MAC) / ip / TCP(sport=40000, dport=80))


def path(bench: Bench, name: str, v: int) -> tuple[str, bytes]:
    """A port and a packet for it; the name is where from and where to."""
    places = {"pod1": ("cali1", POD1S[v]), "pod2": ("cali2", POD2S[v]), "node": ("host", NODES[v]), "far": ("eth0", FARS[v])}
    (port, src), (_, dst) = (places[end] for end in name.split("-"))
    return port, packet(src, dst)


def send(bench: Bench, name: str, v: int) -> Outcome:
    port, frame = path(bench, name, v)
    return bench.send(port, frame)


def met(outcome: Outcome) -> dict[str, int]:
    """The stages that took the packet to their list, with the slot given."""
    slots = {stage: outcome.injected.metadata[f"{stage}_slot"] for stage in STAGES}
    return {stage: slot for stage, slot in slots.items() if slot}


PATHS = {
    "far-node": {"untracked_ingress", "pre_dnat", "ingress"},
    "node-far": {"untracked_egress", "egress"},
    "far-pod1": {"untracked_ingress", "pre_dnat", "forward_ingress", "ingress", "forward_egress"},
    "pod1-far": {"pre_dnat", "forward_ingress", "egress", "forward_egress"},
    "pod1-pod2": {"pre_dnat", "forward_ingress", "egress", "ingress", "forward_egress"},
    "pod1-node": {"pre_dnat", "egress"},
    "node-pod1": set(),
    "far-far": {"untracked_ingress", "pre_dnat", "forward_ingress", "forward_egress"},
    "node-node": set(),
}
"""From the table of the Calico contract, 3.8: which stages a packet meets where every interface has a host endpoint."""


@FAMILIES
@pytest.mark.parametrize("name", PATHS)
def test_who_meets_which_stage(bench: Bench, name: str, v: int) -> None:
    outcome = send(bench, name, v)
    assert set(met(outcome)) == PATHS[name]
    assert outcome.out, outcome.reason


@FAMILIES
@pytest.mark.parametrize("name", PATHS)
def test_no_host_endpoint_no_stage(bench: Bench, name: str, v: int) -> None:
    bench.row("port", (bench.ports["eth0"],), ("uplink", 0))
    bench.row("next_hop", (20,), ("send", bench.ports["eth0"], mac(MAC), mac(MACS["eth0"]), 0))
    for endpoint in (1, 2):
        port = f"cali{endpoint}"
        bench.row("port", (bench.ports[port],), ("workload", endpoint, 0, 0, 100 + endpoint))
        bench.row("next_hop", (endpoint,), ("send", bench.ports[port], mac(MAC), mac(MACS[port]), 0))
    outcome = send(bench, name, v)
    workload = {end for end, pod in (("egress", name.startswith("pod")), ("ingress", "-pod" in name and name[:4] != "node")) if pod}
    assert set(met(outcome)) == workload and outcome.out


@FAMILIES
@pytest.mark.parametrize(("name", "stage"), [(name, stage) for name, stages in PATHS.items() for stage in sorted(stages)])
def test_deny_ends_it_there(bench: Bench, name: str, stage: str, v: int) -> None:
    """What comes later is not asked, and a missing binding is a deny of its own."""
    order = ["untracked_ingress", "untracked_egress", "pre_dnat", "forward_ingress", "egress", "ingress", "forward_egress"]
    workload = (stage == "egress" and name.startswith("pod")) or (stage == "ingress" and "-pod" in name)
    if workload:
        bench.row(f"{stage}.rules", rule(1), ("deny", SLOTS[stage]))
    says(bench, stage, "deny")
    outcome = send(bench, name, v)
    assert (outcome.out, outcome.reason) == ("", Reason.POLICY)
    assert set(met(outcome)) == {each for each in PATHS[name] if order.index(each) <= order.index(stage)}
    assert met(outcome)[stage] == SLOTS[stage] and bench.counter(f"{stage}.hits", SLOTS[stage]) == 1
    for endpoint in (ETH0, ALL) if stage in HOOKS else (1, 2, ETH0, ALL):
        bench.delete(f"{stage}.binding", endpoint)
    outcome = send(bench, name, v)
    assert (outcome.out, outcome.reason) == ("", Reason.UNBOUND) and stage not in met(outcome)


EXCUSES = [
    ("untracked_ingress", "far-node", {"untracked_ingress"}, Reason.UNTRACKED),
    ("untracked_ingress", "far-pod1", {"untracked_ingress", "ingress", "forward_egress"}, Reason.POLICY_ALLOW),
    ("untracked_ingress", "far-far", {"untracked_ingress", "forward_egress"}, Reason.UNTRACKED),
    ("untracked_egress", "node-far", {"untracked_egress"}, Reason.UNTRACKED),
    ("pre_dnat", "far-node", {"untracked_ingress", "pre_dnat"}, Reason.POLICY_ALLOW),
    ("pre_dnat", "far-pod1", {"untracked_ingress", "pre_dnat", "ingress", "forward_egress"}, Reason.POLICY_ALLOW),
    ("pre_dnat", "far-far", {"untracked_ingress", "pre_dnat", "forward_egress"}, Reason.POLICY_ALLOW),
    ("pre_dnat", "pod1-pod2", {"pre_dnat", "egress", "ingress", "forward_egress"}, Reason.POLICY_ALLOW),
    ("pre_dnat", "pod1-node", {"pre_dnat", "egress"}, Reason.ENDPOINT_ACTION_ALLOW),
    ("forward_ingress", "far-pod1", PATHS["far-pod1"], Reason.POLICY_ALLOW),
    ("forward_ingress", "far-far", PATHS["far-far"], Reason.POLICY_ALLOW),
    ("forward_egress", "far-far", PATHS["far-far"], Reason.POLICY_ALLOW),
    ("ingress", "far-node", PATHS["far-node"], Reason.POLICY_ALLOW),
    ("egress", "node-far", PATHS["node-far"], Reason.POLICY_ALLOW),
]
"""Who allows, on which path; which stages are then met, and the reason told."""


@FAMILIES
@pytest.mark.parametrize(("stage", "name", "stages", "reason"), EXCUSES)
def test_what_an_allow_excuses(bench: Bench, stage: str, name: str, stages: set[str], reason: Reason, v: int) -> None:
    says(bench, stage, "allow")
    outcome = send(bench, name, v)
    assert set(met(outcome)) == stages
    assert outcome.reason == reason and outcome.out
    assert bench.counter(f"{stage}.hits", SLOTS[stage]) == 1


@FAMILIES
@pytest.mark.parametrize("name", PATHS)
def test_a_verdict_less_end_leaves_no_reason(bench: Bench, name: str, v: int) -> None:
    reasons = {"pod1-node": Reason.ENDPOINT_ACTION_ALLOW, "node-pod1": Reason.HOST_TO_WORKLOAD}
    default = Reason.POLICY_ALLOW if "pod" in name else Reason.NO_POLICY
    assert send(bench, name, v).reason == reasons.get(name, default)


FAILSAFE = [
    ("untracked_ingress", "far-node", Reason.FAILSAFE),
    ("untracked_egress", "node-far", Reason.FAILSAFE),
    ("pre_dnat", "far-node", Reason.FAILSAFE),
    ("pre_dnat", "far-pod1", Reason.POLICY_ALLOW),
    ("ingress", "far-node", Reason.FAILSAFE),
    ("egress", "node-far", Reason.FAILSAFE),
]


INBOUND, OUTBOUND, TUNNEL = 1, 2, 3
HOST_SLOT = 5


def behind_host_rules(bench: Bench, *stages: str) -> None:
    """Let these stages stand behind host rules, and deny what is none."""
    for stage in stages:
        bench.row(f"{stage}.binding", (ETH0,), ("bind_host", ETH0, ETH0, LIST))
        says(bench, stage, "deny")


def host_rule(bench: Bench, v: int, kind: int, protocol: int, port: int, where: str, action: str = "failsafe", slot: int = HOST_SLOT) -> None:
    bench.row(f"host_rule_v{6 if v else 4}", (kind, protocol, port, prefix(where)), (action, slot))


def anywhere(v: int) -> str:
    return ("0.0.0.0/0", "::/0")[v]


@FAMILIES
@pytest.mark.parametrize(("stage", "name", "reason"), FAILSAFE)
def test_failsafe_lets_through_and_excuses_nothing(bench: Bench, stage: str, name: str, reason: Reason, v: int) -> None:
    behind_host_rules(bench, stage)
    assert send(bench, name, v).reason == Reason.POLICY
    host_rule(bench, v, OUTBOUND if name.startswith("node") else INBOUND, 6, 80, anywhere(v))
    outcome = send(bench, name, v)
    assert set(met(outcome)) == PATHS[name] and met(outcome)[stage] == HOST_SLOT
    assert outcome.reason == reason and outcome.out
    assert bench.counter(f"{stage}.hits", HOST_SLOT) == 1 and bench.counter(f"{stage}.hits", SLOTS[stage]) == 1


@FAMILIES
@pytest.mark.parametrize(("kind", "protocol", "port", "far"), [
    (OUTBOUND, 6, 80, "any"), (TUNNEL, 6, 80, "any"), (INBOUND, 17, 80, "any"), (INBOUND, 6, 81, "any"), (INBOUND, 6, 40000, "any"),
    (INBOUND, 6, 80, "node"),
])  # fmt: skip
def test_a_failsafe_port_is_that_port_only(bench: Bench, kind: int, protocol: int, port: int, far: str, v: int) -> None:
    """Of that direction and protocol, for the far side's address, at the destination's port. The tunnel is one in normal policy."""
    behind_host_rules(bench, "untracked_ingress", "pre_dnat")
    host_rule(bench, v, kind, protocol, port, anywhere(v) if far == "any" else f"{NODES[v]}/{128 if v else 32}")
    assert send(bench, "far-node", v).reason == Reason.POLICY


@FAMILIES
@pytest.mark.parametrize(("stages", "passes"), [
    (("untracked_ingress",), True), (("untracked_egress",), True), (("pre_dnat",), False), (("ingress",), False), (("egress",), False),
])  # fmt: skip
def test_what_comes_back_from_a_failsafe_port_passes_before_flows_only(bench: Bench, stages: tuple[str], passes: bool, v: int) -> None:
    behind_host_rules(bench, *stages)
    inward = not stages[0].endswith("egress")
    host_rule(bench, v, OUTBOUND if inward else INBOUND, 6, 40000, anywhere(v))
    outcome = send(bench, "far-node" if inward else "node-far", v)
    assert (outcome.reason == Reason.FAILSAFE) == passes and bool(outcome.out) == passes


@FAMILIES
@pytest.mark.parametrize("name", ["far-node", "node-far"])
def test_a_known_tunnel_passes_the_nodes_own_policy_without_a_verdict(bench: Bench, name: str, v: int) -> None:
    stage = "ingress" if name == "far-node" else "egress"
    behind_host_rules(bench, stage)
    host_rule(bench, v, TUNNEL, 6, 80, f"{FARS[v]}/{128 if v else 32}", "tunnelled", 9)
    host_rule(bench, v, INBOUND, 6, 80, anywhere(v))
    host_rule(bench, v, OUTBOUND, 6, 80, anywhere(v))
    outcome = send(bench, name, v)
    assert (outcome.reason, met(outcome)[stage]) == (Reason.NO_POLICY, 9) and outcome.out
    assert bench.counter(f"{stage}.hits", 9) == 1


@FAMILIES
def test_the_longest_prefix_of_a_failsafe_port_is_counted(bench: Bench, v: int) -> None:
    behind_host_rules(bench, "ingress")
    host_rule(bench, v, INBOUND, 6, 80, anywhere(v), slot=11)
    host_rule(bench, v, INBOUND, 6, 80, f"{FARS[v]}/{128 if v else 32}", slot=12)
    assert met(send(bench, "far-node", v))["ingress"] == 12


@FAMILIES
@pytest.mark.parametrize("stage", ["ingress", "untracked_ingress"])
def test_a_later_fragment_is_to_no_failsafe_port(bench: Bench, stage: str, v: int) -> None:
    behind_host_rules(bench, stage)
    host_rule(bench, v, INBOUND, 6, 0, anywhere(v))
    ends = {"src": FARS[v], "dst": NODES[v]}
    ip = IPv6(**ends) / IPv6ExtHdrFragment(nh=6, offset=5) if v else IP(**ends, frag=5, proto=6)
    frame = bytes(Ether(src=MACS["cali1"], dst=MAC) / ip / Raw(bytes(64)))
    assert met(bench.send("eth0", frame))[stage] == SLOTS[stage]


@FAMILIES
def test_chains_of_workloads_do_not_see_what_was_found_for_the_host(bench: Bench, v: int) -> None:
    """Pre-DNAT policy let the packet past as a failsafe port; the workload's own policy denies it."""
    behind_host_rules(bench, "pre_dnat")
    host_rule(bench, v, INBOUND, 6, 80, anywhere(v))
    bench.row("ingress.rules", rule(1), ("deny", 77))
    outcome = send(bench, "far-pod1", v)
    assert outcome.reason == Reason.POLICY and met(outcome)["ingress"] == 77


@FAMILIES
def test_what_was_passed_on_the_way_to_a_list_is_told_and_counted(bench: Bench, v: int) -> None:
    """Lists with one low part of their number have the same rows; host rules decide before any list."""
    way = 5 << 18
    bench.row("ingress.binding", (ETH0,), ("bind", ETH0, ETH0, way | LIST))
    bench.row("ingress.rules", ((LIST, 0x3FFFF), *rule(LIST)[1:]), ("deny", SLOTS["ingress"]))
    bench.delete("ingress.rules", *rule(LIST))
    assert met(send(bench, "far-node", v))["ingress"] == way | SLOTS["ingress"]
    assert (bench.counter("ingress.hits", SLOTS["ingress"]), bench.counter("ingress.passes", 5)) == (1, 1)
    name_address(bench, "src", FARS[v], 500)
    bench.row("ingress.peer_class", (ETH0, 500), ("set_list", 9 << 18 | LIST))
    assert met(send(bench, "far-node", v))["ingress"] == 9 << 18 | SLOTS["ingress"]
    assert [bench.counter("ingress.passes", index) for index in (5, 9)] == [1, 1]
    bench.row("ingress.binding", (ETH0,), ("bind_host", ETH0, ETH0, way | LIST))
    host_rule(bench, v, INBOUND, 6, 80, anywhere(v))
    assert met(send(bench, "far-node", v))["ingress"] == HOST_SLOT
    assert [bench.counter("ingress.passes", index) for index in (5, 9)] == [1, 1]


# --- identities ------------------------------------------------------------------------------------------------------------------

SIDES = {
    "untracked_ingress": ("far-node", "pre_dst", "src"),
    "untracked_egress": ("node-far", "src", "pre_dst"),
    "pre_dnat": ("far-node", "pre_dst", "src"),
    "forward_ingress": ("far-far", "dst", "src"),
    "forward_egress": ("far-far", "src", "dst"),
    "ingress": ("far-node", "dst", "src"),
    "egress": ("node-far", "src", "dst"),
}
"""Stage: a path that meets it, the identities of the endpoint's own side and of the other."""


def name_address(bench: Bench, side: str, address: str, identity: int) -> None:
    bench.row(f"{side}_identity_host_{family(address)}", (number(address),), ("set_identity", identity))


@FAMILIES
@pytest.mark.parametrize("stage", SIDES)
def test_own_and_other_side(bench: Bench, stage: str, v: int) -> None:
    name, own, peer = SIDES[stage]
    src, dst = (FARS[v] if end == "far" else NODES[v] for end in name.split("-"))
    for listed in (2, 3):
        bench.row(f"{stage}.rules", rule(listed), ("deny", 10 * listed))
    bench.row(f"{stage}.self_class", (ETH0, 600), ("set_variant", 9, 3))
    bench.row(f"{stage}.peer_class", (9, 500), ("set_list", 2))
    addresses = {"src": src, "dst": dst, "pre_dst": dst}

    def slot() -> int:
        return met(send(bench, name, v)).get(stage, 0)

    name_address(bench, peer, addresses[peer], 500)
    assert slot() == SLOTS[stage]
    name_address(bench, own, addresses[own], 600)
    assert slot() == 20
    bench.delete(f"{peer}_identity_host_{family(addresses[peer])}", number(addresses[peer]))
    assert slot() == 30
    other = {"dst": "pre_dst", "pre_dst": "dst"}.get(own if peer == "src" else peer, "")
    if other:  # the same address has another identity before and after translation
        name_address(bench, other, dst, 777)
        assert slot() == 30


@FAMILIES
def test_identity_before_translation_of_prefix_and_host(bench: Bench, v: int) -> None:
    table = f"pre_dst_identity_net_{family(NODES[v])}"

    def identity() -> int:
        got: int = send(bench, "far-node", v).injected.metadata["pre_dst_identity"]
        return got

    assert identity() == 0
    bench.row(table, ((0, 0),), ("set_identity", 1))
    assert identity() == 1
    bench.row(table, (prefix(["192.0.2.0/24", "2001:db8::/64"][v]),), ("set_identity", 2))
    assert identity() == 2
    name_address(bench, "pre_dst", NODES[v], 3)
    assert identity() == 3


def test_every_table_of_the_hooks_is_used_by_some_packet(bench: Bench) -> None:
    paths = [path(bench, name, v) for name in PATHS for v in (0, 1)]
    used = {entry.table for port, frame in paths for entry in bench.client.inject(bench.ports[port], frame, trace=True).trace}
    missing = {name for name in TABLES if name.startswith((*HOOKS, "pre_dst_")) and not any(each.endswith(name) for each in used)}
    assert not missing


@FAMILIES
def test_metadata_names_both_host_endpoints(bench: Bench, v: int) -> None:
    expected: dict[str, tuple[Any, Any]] = {"far-pod1": (ETH0, ALL), "pod1-far": (ALL, ETH0), "node-far": (0, ETH0), "far-node": (ETH0, 0)}
    for name, ends in expected.items():
        metadata = send(bench, name, v).injected.metadata
        assert (metadata["in_endpoint"], metadata["out_endpoint"]) == ends
