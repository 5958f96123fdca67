"""The reference evaluator against the statements of the contracts, one line a statement."""

from typing import NamedTuple

import pytest

from felix_proto.types import IPSetDeltaUpdate, PolicyID, PortRange, Rule, TierInfo
from test.support.build import ALLOW, DENY, A, B, endpoint, gnp, one_rule, policy, profile, sets, tier, world
from test.support.evaluator import judge
from test.support.packet import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, Packet, make
from test.support.scenario import CONFIG
from test.support.world import World

V4 = ("10.9.9.9", "10.0.0.2")
V6 = ("fd00:9::9", "fd00::2")
EIGHTY = (PortRange(80, 80),)


def tcp(**fields: int | bool) -> Packet:
    return make(4, TCP, *V4, **fields)


def p4(proto: int, **fields: object) -> Packet:
    return make(4, proto, *V4, **fields)


def p6(proto: int, **fields: object) -> Packet:
    return make(6, proto, *V6, **fields)


class Row(NamedTuple):
    """One rule, the packets it matches and those it does not."""

    rule: dict[str, object]
    matches: tuple[Packet, ...]
    others: tuple[Packet, ...]
    sets: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never written


NO_PORTS = p4(253)
MATCHES = {
    "nothing asked": Row({}, (tcp(), p6(UDP), NO_PORTS), ()),
    "ip_version": Row({"ip_version": 4}, (tcp(),), (p6(TCP),)),
    "protocol by name": Row({"protocol": "tcp"}, (tcp(), p6(TCP)), (p4(UDP), NO_PORTS)),
    "protocol name in capitals": Row({"protocol": "TCP"}, (tcp(),), (p4(UDP),)),
    "protocol by number": Row({"protocol": 17}, (p4(UDP),), (tcp(),)),
    "not_protocol by name": Row({"not_protocol": "sctp"}, (tcp(),), (p4(SCTP),)),
    "not_protocol by number": Row({"not_protocol": 6}, (p4(UDP), p6(UDP)), (tcp(), p6(TCP))),
    "src_net is OR": Row({"src_net": ("10.9.0.0/16", "10.8.0.0/16")}, (tcp(),), (make(4, TCP, "10.7.0.1", V4[1]),)),
    "a v4 list is no rule for v6": Row({"src_net": ("10.9.0.0/16",)}, (tcp(),), (p6(TCP),)),
    "nor is a negated v4 list": Row({"not_src_net": ("10.8.0.0/16",)}, (tcp(),), (p6(TCP),)),
    "negated v6 list": Row({"not_dst_net": ("fd11::/16",)}, (p6(TCP),), (tcp(),)),
    "a negated catch-all is no rule": Row({"not_src_net": ("0.0.0.0/0", "fd11::/16")}, (p6(TCP),), (tcp(),)),
    "negated list: none may match": Row({"not_dst_net": ("10.8.0.0/16", "10.0.0.2")}, (), (tcp(),)),
    "host bits are masked": Row({"dst_net": ("10.0.0.77/24",)}, (tcp(),), ()),
    "sets are AND": Row({"src_ip_set_ids": ("s1", "s2")}, (tcp(),), (make(4, TCP, "10.9.9.8", V4[1]),),
                        {"s1": ("10.9.0.0/16", "fd00:9::/64"), "s2": ("10.9.9.9/32",)}),
    "overlap within a set": Row({"dst_ip_set_ids": ("s",)}, (tcp(),), (p6(TCP),), {"s": ("10.0.0.0/8", "10.0.0.0/24")}),
    "an empty set holds nobody": Row({"src_ip_set_ids": ("s",)}, (), (tcp(), p6(TCP)), {"s": ()}),
    "in none of the negated sets": Row({"not_dst_ip_set_ids": ("s", "t")}, (p6(TCP),), (tcp(),), {"s": (), "t": ("10.0.0.2/32",)}),
    "port range, both ends": Row({"protocol": "tcp", "dst_ports": (PortRange(79, 81),)},
                                 (tcp(dport=79), tcp(dport=81)), (tcp(dport=78), tcp(dport=82))),
    "port 0 is a port": Row({"protocol": "tcp", "src_ports": (PortRange(0, 80),)}, (tcp(sport=0),), (tcp(sport=81),)),
    "ports without protocol": Row({"dst_ports": EIGHTY}, (tcp(), p4(UDP), p4(SCTP)), (p4(UDPLITE), NO_PORTS, p4(ICMP))),
    "ports with UDP-Lite": Row({"protocol": "udplite", "dst_ports": EIGHTY}, (p4(UDPLITE),), (p4(UDPLITE, dport=81),)),
    "negated ports": Row({"not_dst_ports": EIGHTY}, (tcp(dport=81), NO_PORTS, p4(ICMP)), (tcp(), p4(UDP))),
    "ports OR named ports": Row({"dst_ports": EIGHTY, "dst_named_port_ip_set_ids": ("n", "m")},
                                (tcp(), p4(UDP), p4(UDP, dport=53), tcp(dport=54)), (tcp(dport=53), NO_PORTS, make(4, UDP, *V4[::-1], dport=53)),
                                {"n": ("10.0.0.2,udp:53",), "m": ("10.0.0.2,tcp:54",)}),
    "source named port": Row({"src_named_port_ip_set_ids": ("n",)}, (p4(SCTP, sport=9),), (p4(SCTP), tcp(sport=9)),
                             {"n": ("10.9.9.9,sctp:9",)}),
    "not ports nor named ports": Row({"not_src_ports": EIGHTY, "not_src_named_port_ip_set_ids": ("n",)}, (tcp(sport=10), NO_PORTS),
                                     (tcp(sport=80), tcp(sport=9)), {"n": ("10.9.9.9,tcp:9",)}),
    "services are AND": Row({"dst_ip_port_set_ids": ("v", "w")}, (p6(TCP),), (p6(UDP), p6(TCP, dport=81)),
                            {"v": ("fd00::2,tcp:80", "fd00::2,tcp:81"), "w": ("fd00::2,tcp:80",)}),
    "ICMP type": Row({"protocol": "icmp", "icmp": (8, None)}, (p4(ICMP, icmp=(8, 3)),), (p4(ICMP, icmp=(0, 0)), tcp())),
    "ICMP type and code": Row({"icmp": (8, 3)}, (p4(ICMP, icmp=(8, 3)), p6(ICMPV6, icmp=(8, 3))), (p4(ICMP), NO_PORTS)),
    "ICMPv6 in IPv4 has no type": Row({"icmp": (8, None)}, (), (p4(ICMPV6), p6(ICMP))),
    "not ICMP type": Row({"not_icmp": (8, None)}, (p4(ICMP, icmp=(0, 0)), tcp(), NO_PORTS, p6(ICMP)), (p4(ICMP), p4(ICMP, icmp=(8, 7)))),
    "not ICMP type and code": Row({"not_icmp": (8, 3)}, (p4(ICMP, icmp=(8, 0)),), (p4(ICMP, icmp=(8, 3)),)),
    "criteria are AND": Row({"protocol": "tcp", "src_net": ("10.9.0.0/16",), "dst_ports": EIGHTY}, (tcp(),), (tcp(dport=81), p4(UDP))),
    "both directions of net": Row({"dst_net": ("10.9.0.0/16",)}, (), (tcp(),)),
}  # fmt: skip


@pytest.mark.parametrize("name", MATCHES)
@pytest.mark.parametrize("action", ["allow", "", "deny"])
def test_rule(name: str, action: str) -> None:
    row = MATCHES[name]
    state = one_rule(Rule(action, rule_id="r", **row.rule), row.sets)
    for packet in row.matches:
        answer = judge(state, packet, "uplink")
        assert (answer.verdict, answer.policy[0].decision.hit.rule_id) == ("deny" if action == "deny" else "allow", "r"), packet
    for packet in row.others:
        assert judge(state, packet, "uplink").reason in ("default_deny", "no_policy"), packet


FLAWS = {
    "action": Rule("alow"), "protocol": Rule(protocol="tpc"), "not_protocol": Rule(not_protocol=256), "no name": Rule(protocol=""),
    "cidr": Rule(src_net=("10.0.0.0/33",)), "address": Rule(not_dst_net=("10.0.0",)), "port": Rule(dst_ports=(PortRange(0, 65536),)),
    "unknown set": Rule(dst_ip_set_ids=("gone",)), "member": Rule(src_ip_set_ids=("bad",)), "kind": Rule(src_ip_set_ids=("ports",)),
    "member protocol": Rule(dst_named_port_ip_set_ids=("bad-proto",)), "nets": Rule(dst_ip_port_set_ids=("nets",)),
}  # fmt: skip
BAD_SETS = {"bad": ("10.0.0.0/8", "ten"), "bad-proto": ("10.0.0.2,dccp:80",), "ports": ("10.0.0.2,tcp:80",), "nets": ("10.0.0.0/8",)}


@pytest.mark.parametrize("name", FLAWS)
def test_flaw_closes_its_direction_alone(name: str) -> None:
    state = one_rule(FLAWS[name], BAD_SETS)
    state.policies[gnp("default.one")] = state.policies[gnp("default.one")]._replace(inbound_rules=(ALLOW, FLAWS[name]))
    assert judge(state, tcp(), "uplink").reason == "degraded"
    egress = judge(state, make(4, TCP, *V4[::-1]), "calib")
    assert (egress.verdict, egress.reason) == ("deny", "default_deny"), "no egress tier and no profile"


def chained(*tiers: TierInfo, profiles: tuple[str, ...] = (), **rules: tuple[Rule, ...]) -> World:
    """A state in which B has some tiers; policies are named by keyword, ``staged`` ones by their name."""
    messages = [policy(gnp(n, "StagedGlobalNetworkPolicy" if "staged" in n else "GlobalNetworkPolicy"), r) for n, r in rules.items()]
    kinds = [profile("closed", (DENY,)), profile("log", (Rule("log"),)), profile("pass", (Rule("pass"),)), profile("open", (ALLOW,))]
    return world(*messages, *kinds, endpoint(B, tiers=tiers, profile_ids=profiles))


def ids(*names: str) -> tuple[object, ...]:
    return tuple(gnp(n, "StagedGlobalNetworkPolicy" if "staged" in n else "GlobalNetworkPolicy") for n in names)


PASS_TCP = Rule("next-tier", protocol="tcp")
CHAINS = {
    "no tiers, no profiles": (chained(), "deny EndOfProfiles"),
    "profile allows": (chained(profiles=("open",)), "allow Profile open"),
    "first profile first": (chained(profiles=("closed", "open")), "deny Profile closed"),
    "log in a profile goes on": (chained(profiles=("log", "open")), "allow Profile open log"),
    "pass in a profile leaves it": (chained(profiles=("pass", "open")), "allow Profile open pass"),
    "pass in the last profile": (chained(profiles=("pass",)), "deny EndOfProfiles pass"),
    "end of tier denies": (chained(tier("t", ids("a")), a=(Rule(protocol="udp"),), profiles=("open",)), "deny EndOfTier"),
    "end of tier passes": (chained(tier("t", ids("a"), action="Pass"), a=(), profiles=("open",)), "allow Profile open"),
    "no default action denies": (chained(tier("t", ids("a"), action=""), a=(), profiles=("open",)), "deny EndOfTier"),
    "order of policies": (chained(tier("t", ids("a", "b")), a=(DENY,), b=(ALLOW,)), "deny GlobalNetworkPolicy a"),
    "pass skips the tier": (chained(tier("t", ids("a", "b")), a=(PASS_TCP,), b=(DENY,), profiles=("open",)), "allow Profile open pass"),
    "pass is next-tier": (chained(tier("t", ids("a")), tier("u", ids("b")), a=(Rule("pass"), DENY), b=(ALLOW,)),
                          "allow GlobalNetworkPolicy b pass"),
    "log goes on": (chained(tier("t", ids("a")), a=(Rule("log"), Rule("log", protocol="udp"), DENY)), "deny GlobalNetworkPolicy a log"),
    "staged is skipped": (chained(tier("t", ids("staged", "a")), staged=(DENY,), a=(ALLOW,)), "allow GlobalNetworkPolicy a"),
    "only staged passes": (chained(tier("t", ids("staged")), staged=(DENY,), profiles=("open",)), "allow Profile open"),
    "no policy this way": (chained(TierInfo("t", (), ids("a"), "Deny"), a=(DENY,), profiles=("open",)), "allow Profile open"),
    "actions in capitals": (chained(tier("t", ids("a")), a=(Rule("Allow"),)), "allow GlobalNetworkPolicy a"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_chain(name: str) -> None:
    state, expected = CHAINS[name]
    answer = judge(state, tcp(), "uplink")
    hit, passed = answer.policy[0].decision
    assert answer.verdict == hit.action
    assert " ".join(filter(None, (hit.action, hit.kind, hit.name, *(p.action for p in passed)))) == expected


def test_indices_count_live_policies_and_the_trigger_is_the_first() -> None:
    state = chained(tier("t", ids("staged", "a", "b")), staged=(), a=(), b=(Rule(protocol="udp"), Rule("deny", protocol="tcp")))
    hit = judge(state, tcp(), "uplink").policy[0].decision.hit
    assert (hit.policy_index, hit.rule_index, hit.tier) == (1, 1, "t")
    end = judge(state, NO_PORTS, "uplink").policy[0].decision.hit
    assert (end.policy_index, end.rule_index, end.name, end.trigger) == (None, None, None, gnp("a"))


def missing(kind: str) -> World:
    tiers = (tier("t", (gnp("gone"),)),) if kind == "policy" else ()
    return world(endpoint(B, tiers=tiers, profile_ids=("gone",) if kind == "profile" else ()))


@pytest.mark.parametrize("kind", ["policy", "profile"])
def test_what_is_missing_closes(kind: str) -> None:
    assert judge(missing(kind), tcp(), "uplink").reason == "degraded"


def test_missing_staged_policy_closes_nothing() -> None:
    state = chained(tier("t", ids("staged", "a")), a=(ALLOW,))
    assert not any(policy_id.name == "staged" for policy_id in state.policies)
    assert judge(state, tcp(), "uplink").verdict == "allow"


OPEN = profile("open", (ALLOW,), (ALLOW,))
PAIR = (OPEN, endpoint(A, profile_ids=("open",)), endpoint(B, profile_ids=("open",)))
A_TO_B = make(4, TCP, "10.0.0.1", "10.0.0.2")
TO_NODE = make(4, TCP, "10.0.0.1", "192.0.2.11")
ACCEPT = CONFIG._replace(config=(*CONFIG.config, ("DefaultEndpointToHostAction", "Accept")))
ENCAPSULATION = CONFIG._replace(
    config=(*CONFIG.config, ("AllowVXLANPacketsFromWorkloads", "true"), ("AllowIPIPPacketsFromWorkloads", "true"))
)
SPOOFER = endpoint(A, profile_ids=("open",), allow_spoofed_source_prefixes=("203.0.113.0/24",))
PATHS = {
    "workload to workload": ((), A_TO_B, "calia", "allow policy"),
    "workload to itself": ((), make(4, TCP, "10.0.0.1", "10.0.0.1"), "calia", "allow policy"),
    "from beyond": ((), make(4, TCP, "198.51.100.1", "10.0.0.2"), "uplink", "allow policy"),
    "to beyond": ((), make(4, TCP, "10.0.0.1", "198.51.100.1"), "calia", "allow policy"),
    "beyond to node": ((), make(4, TCP, "198.51.100.1", "192.0.2.11"), "uplink", "allow no_policy"),
    "beyond to beyond": ((), make(4, TCP, "198.51.100.1", "198.51.100.2"), "uplink", "allow no_policy"),
    "host to workload": ((endpoint(B),), make(4, TCP, "192.0.2.11", "10.0.0.2"), "host", "allow host_to_workload"),
    "host to workload that is down": ((endpoint(B, state="x"),), make(4, TCP, "192.0.2.11", "10.0.0.2"), "host", "deny endpoint_down"),
    "workload to node": ((), TO_NODE, "calia", "deny endpoint_action"),
    "workload to node, accepted": ((ACCEPT,), TO_NODE, "calia", "allow endpoint_action"),
    "workload to node, denied by policy": ((ACCEPT, endpoint(A)), TO_NODE, "calia", "deny default_deny"),
    "neighbours to node": ((endpoint(A),), make(6, ICMPV6, "fd00::1", "2001:db8:1::11", icmp=(135, 0)), "calia", "allow no_policy"),
    "no neighbours to others": ((endpoint(A),), make(6, ICMPV6, "fd00::1", "fd00::2", icmp=(135, 0)), "calia", "deny default_deny"),
    "spoofed": ((), make(4, TCP, "10.0.0.2", "10.0.0.1"), "calia", "deny spoofed"),
    "spoofed, allowed": ((SPOOFER,), make(4, TCP, "203.0.113.7", "10.0.0.2"), "calia", "allow policy"),
    "link-local ICMPv6": ((), make(6, ICMPV6, "fe80::5", "fd00::2"), "calia", "allow policy"),
    "link-local TCP": ((), make(6, TCP, "fe80::5", "fd00::2"), "calia", "deny spoofed"),
    "unknown interface": ((), A_TO_B, "calic", "deny unknown_port"),
    "sender down": ((endpoint(A, state="x", profile_ids=("open",)),), A_TO_B, "calia", "deny endpoint_down"),
    "receiver down": ((endpoint(B, state="", profile_ids=("open",)),), A_TO_B, "calia", "deny endpoint_down"),
    "VXLAN": ((), make(4, UDP, "10.0.0.1", "10.0.0.2", dport=4789), "calia", "deny encapsulated"),
    "VXLAN from beyond": ((), make(4, UDP, "10.9.0.1", "10.0.0.2", dport=4789), "uplink", "allow policy"),
    "IPIP": ((), make(4, 4, "10.0.0.1", "10.0.0.2"), "calia", "deny encapsulated"),
    "IPIP, allowed": ((ENCAPSULATION,), make(4, 4, "10.0.0.1", "10.0.0.2"), "calia", "allow policy"),
    "VXLAN, allowed": ((ENCAPSULATION,), make(4, UDP, "10.0.0.1", "10.0.0.2", dport=4789), "calia", "allow policy"),
    "hop limit": ((), make(4, TCP, "10.0.0.1", "10.0.0.2", ttl=1), "calia", "deny ttl"),
    "hop limit from host": ((), make(4, TCP, "192.0.2.11", "10.0.0.2", ttl=1), "host", "allow host_to_workload"),
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_path(name: str) -> None:
    more, packet, ingress, expected = PATHS[name]
    answer = judge(world(*PAIR, *more), packet, ingress)
    assert f"{answer.verdict} {answer.reason}" == expected


def test_both_ends_are_asked_in_order() -> None:
    stages = judge(world(*PAIR), A_TO_B, "calia").policy
    assert [(stage.stage, stage.decision.hit.name) for stage in stages] == [("egress", "open"), ("ingress", "open")]
    denied = judge(world(*PAIR, endpoint(A)), A_TO_B, "calia").policy
    assert [(stage.stage, stage.decision.hit.kind) for stage in denied] == [("egress", "EndOfProfiles")]


def test_shared_address_and_interface_go_to_the_lowest_id() -> None:
    twin = endpoint(B, ipv4_nets=("10.0.0.1/32",), profile_ids=())
    state = world(OPEN, endpoint(A, profile_ids=("open",)), twin)
    to_shared = make(4, TCP, "198.51.100.1", "10.0.0.1")
    assert judge(state, to_shared, "uplink").out == A
    own = judge(state, make(4, TCP, "10.0.0.1", "198.51.100.1"), "calib")
    assert (own.verdict, own.reason) == ("deny", "default_deny"), "each endpoint's own traffic is governed by its own policy"
    same = world(OPEN, endpoint(A, profile_ids=("open",)), endpoint(B, name="calia", profile_ids=("open",)))
    assert judge(same, make(4, TCP, "10.9.9.9", "10.0.0.2"), "uplink").reason == "degraded"
    assert judge(same, make(4, TCP, "10.0.0.1", "198.51.100.1"), "calia").verdict == "allow"


def test_closed_direction_lets_nothing_pass() -> None:
    closed = (endpoint(A, profile_ids=("gone",)), endpoint(B, profile_ids=("gone",)))
    from_host = make(4, TCP, "192.0.2.11", "10.0.0.2")
    assert judge(world(*closed), from_host, "host").reason == "degraded"
    neighbour = make(6, ICMPV6, "fd00::1", "2001:db8:1::11", icmp=(135, 0))
    assert judge(world(*closed), neighbour, "calia").reason == "degraded"


FRAGMENT = tcp(fragment=True)
TCP_80, DENY_80 = Rule("allow", protocol="tcp", dst_ports=EIGHTY), Rule("deny", protocol="tcp", dst_ports=EIGHTY)
ALL_PORTS = Rule("allow", protocol="tcp", dst_ports=(PortRange(0, 65535),))
PASS_80 = Rule("pass", protocol="tcp", dst_ports=EIGHTY)
HALVES = (Rule("allow", protocol="tcp", dst_ports=EIGHTY), Rule("allow", protocol="tcp", not_dst_ports=EIGHTY))
FRAGMENTS = {
    "an allow with ports does not hold": ((TCP_80,), "deny fragment"),
    "a deny with ports holds": ((DENY_80, ALLOW), "deny fragment"),
    "a deny with ports of another protocol does not": ((Rule("deny", protocol="udp", dst_ports=EIGHTY), ALLOW), "allow policy"),
    "whatever the ports, allowed": ((TCP_80, ALLOW), "allow policy"),
    "both halves together": (HALVES, "either policy"),
    "a deny with ports after an allow with the same": ((TCP_80, DENY_80, ALLOW), "either policy"),
    
    "every port": ((ALL_PORTS,), "either policy"),
    "pass with ports to a profile that allows": ((Rule("pass", protocol="tcp", dst_ports=EIGHTY), ALLOW), "allow policy"),
    "pass with ports before a deny": ((Rule("pass", protocol="tcp", dst_ports=EIGHTY), DENY), "deny fragment"),
    "ICMP types do not concern TCP": ((Rule("deny", icmp=(8, None)), ALLOW), "allow policy"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAGMENTS)
def test_fragment(name: str) -> None:
    rules, expected = FRAGMENTS[name]
    answer = judge(chained(tier("t", ids("a")), a=rules, profiles=("open",)), FRAGMENT, "uplink")
    assert f"{answer.verdict} {answer.reason}" == expected


def test_fragment_may_leave_the_tier() -> None:
    state = chained(tier("t", ids("a")), a=(TCP_80, PASS_80, ALLOW), profiles=("closed",))
    assert judge(state, FRAGMENT, "uplink").verdict == "either", "no port gets past the first rule and into the pass"


def test_fragment_and_named_ports() -> None:
    deny = (Rule("deny", dst_named_port_ip_set_ids=("n",)), ALLOW)
    messages = sets({"n": ("10.0.0.2,tcp:80", "10.0.0.3,udp:80")})
    state = world(*messages, policy(gnp("a"), deny), endpoint(B, tiers=(tier("t", ids("a")),)))
    assert [judge(state, p4(proto, fragment=True), "uplink").verdict for proto in (TCP, UDP)] == ["deny", "allow"]


def test_fragment_of_icmp_has_a_type_nobody_sees() -> None:
    state = chained(tier("t", ids("a")), a=(Rule("deny", icmp=(8, None)), ALLOW))
    assert judge(state, p4(ICMP, fragment=True), "uplink").verdict == "deny"
    assert judge(state, p4(253, fragment=True), "uplink").verdict == "allow"


def test_sets_are_replaced_and_changed_by_deltas() -> None:
    state = one_rule(Rule("allow", src_ip_set_ids=("s",)), {"s": ("10.9.9.9/32",)})
    assert judge(state, tcp(), "uplink").verdict == "allow"
    state.apply_all(sets({"s": ("10.9.9.8/32",)}))
    assert judge(state, tcp(), "uplink").verdict == "deny"
    state.apply(IPSetDeltaUpdate("s", ("10.9.9.9/32",), ("10.9.9.8/32",)))
    assert judge(state, tcp(), "uplink").verdict == "allow"
    assert state.ip_sets["s"].members == {"10.9.9.9/32"}


def test_staged_by_name_up_to_3_31() -> None:
    names = [PolicyID("", "", name, "t") for name in ("staged:t.a", "shop/staged:knp.default.b", "t.staged")]
    state = world(*(policy(name, (DENY if "staged:" in name.name else ALLOW,)) for name in names), endpoint(B, tiers=(tier("t", names),)))
    answer = judge(state, tcp(), "uplink")
    assert (answer.verdict, answer.policy[0].decision.hit[1:6]) == ("allow", (None, None, "t.staged", "t", 0))
