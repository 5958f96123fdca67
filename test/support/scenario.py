"""A conformance case wrapped into a cluster of one endpoint: the messages a Felix would send for it."""

from typing import NamedTuple

from felix_proto import types as felix
from test.support import cases
from test.support.cases import Case
from test.support.flaws import NET_SETS, PORT_SETS

ENDPOINT = felix.WorkloadEndpointID("k8s", "case/owner", "eth0")
INTERFACE = "cali0001"
NODE = "node-a"
NODE_ADDRESSES = ("192.0.2.11/24", "2001:db8:1::11/64")
CONFIG = felix.ConfigUpdate(config=(("FelixHostname", NODE),))
HOST = felix.HostMetadataUpdate(NODE, *NODE_ADDRESSES)


class Direction(NamedTuple):
    """Which side of the packet the endpoint under test owns, and where the packet enters."""

    name: str
    own: str
    ingress: str


INGRESS = Direction("ingress", "dst", "uplink")
EGRESS = Direction("egress", "src", INTERFACE)


def directions(case: Case) -> tuple[Direction, ...]:
    """Return the directions to run a case in: both if it does not say."""
    return {"ingress": (INGRESS,), "egress": (EGRESS,)}.get(case.get("direction", "any"), (INGRESS, EGRESS))


def _sides(data: Case, direction: Direction) -> dict[str, tuple[felix.Rule, ...]]:
    """Rules of a policy or profile; those without a direction are put on the side under test, the other side is left empty."""
    if "rules" in data:
        side = "inbound_rules" if direction is INGRESS else "outbound_rules"
        return {side: tuple(cases.rule(r) for r in data["rules"])}
    return {side: tuple(cases.rule(r) for r in data[side]) for side in ("inbound_rules", "outbound_rules")}


def _tier(data: Case, direction: Direction) -> felix.TierInfo:
    lists = {side: tuple(cases.policy_id(p["id"]) for p in data.get(side, ())) for side in ("ingress_policies", "egress_policies")}
    if "policies" in data:
        lists[f"{direction.name}_policies"] = tuple(cases.policy_id(p["id"]) for p in data["policies"])
    return felix.TierInfo(data["name"], default_action=data["default_action"], **lists)


_ALLOW = (felix.Rule("allow"),)
BACK = felix.PolicyID("GlobalNetworkPolicy", "", "back.allow")


def _back(case: Case, direction: Direction) -> felix.TierInfo:
    """A tier that allows everything the other way: some packets of the collection have one address as source and destination."""
    other = "egress_policies" if direction is INGRESS else "ingress_policies"
    return felix.TierInfo("back", default_action="Deny", **{other: (BACK,)} if "direction" not in case or case["direction"] == "any" else {})


def own_addresses(case: Case, direction: Direction) -> tuple[str, ...]:
    """Return every address that a packet of the case has on the side under test."""
    return tuple(dict.fromkeys(packet[direction.own] for packet in case["packets"]))


def messages(case: Case, direction: Direction) -> list[felix.Payload]:
    """Return the stream, InSync included, of a case; its one endpoint owns the addresses on the side under test."""
    keys = ("policies", "ingress_policies", "egress_policies")
    policies = [(tier["name"], p) for tier in case["tiers"] for key in keys for p in tier.get(key, ())]
    tiers = (_back(case, direction), *(_tier(t, direction) for t in case["tiers"]))
    tiers = tuple(tier for tier in tiers if tier.ingress_policies or tier.egress_policies)
    profiles = tuple(p["name"] for p in case["profiles"])
    own = own_addresses(case, direction)
    v4, v6 = tuple(f"{a}/32" for a in own if ":" not in a), tuple(f"{a}/128" for a in own if ":" in a)
    endpoint = felix.WorkloadEndpoint(ENDPOINT, "active", INTERFACE, profile_ids=profiles, tiers=tiers, ipv4_nets=v4, ipv6_nets=v6)
    return [
        CONFIG,
        *(cases.ip_set(set_id, data) for set_id, data in case["ip_sets"].items()),
        *(_policy(tier, p, direction) for tier, p in policies),
        felix.ActivePolicyUpdate(BACK, felix.Policy(BACK, tier="back", inbound_rules=_ALLOW, outbound_rules=_ALLOW)),
        *(felix.ActiveProfileUpdate(p["name"], felix.Profile(p["name"], **_sides(p, direction))) for p in case["profiles"]),
        felix.WorkloadEndpointUpdate(ENDPOINT, endpoint),
        HOST,
        felix.InSync(),
    ]


def _policy(tier: str, data: Case, direction: Direction) -> felix.ActivePolicyUpdate:
    policy_id = cases.policy_id(data["id"])
    return felix.ActivePolicyUpdate(policy_id, felix.Policy(policy_id, tier=tier, **_sides(data, direction)))


def corpus_case(entry: Case, action: str) -> Case:
    """Wrap a rule of rule_corpus.json, with an action where it has none, and sets of some content."""
    rule = {"action": action, "rule_id": "corpus"} | entry["rule"]
    policy = {"id": {"kind": "GlobalNetworkPolicy", "namespace": "", "name": "default.corpus"}, "rules": [rule]}
    nets, ports = ({i for key in keys for i in rule.get(key, ())} for keys in (NET_SETS, PORT_SETS))
    v4 = entry["ip_version"] == 4
    packet = {"src": "10.9.0.1", "dst": "10.9.0.2"} if v4 else {"src": "fd00:9::1", "dst": "fd00:9::2"}
    sets = {i: {"type": "NET", "members": [packet["src"] + ("/32" if v4 else "/128")]} for i in nets}
    sets |= {i: {"type": "IP_AND_PORT", "members": [packet["dst"] + ",tcp:80"]} for i in ports}
    tier = {"name": "default", "default_action": "Deny", "policies": [policy]}
    return {"name": entry["name"], "tiers": [tier], "profiles": [], "ip_sets": sets, "packets": [packet]}


def row_case(row: Case) -> Case:
    """Wrap a row of match_rows.json: its rule allows, and nothing else does, so a match is an allow."""
    rule = row["rule"] | {"action": "allow", "rule_id": "row"}
    policy = {"id": {"kind": "GlobalNetworkPolicy", "namespace": "", "name": "default.row"}, "rules": [rule]}
    packet = row["packet"] | {"expect": "allow" if row["expect"] else "deny"}
    tier = {"name": "default", "default_action": "Deny", "policies": [policy]}
    return {"name": row["name"], "tiers": [tier], "profiles": [], "ip_sets": row.get("ip_sets", {}), "packets": [packet]}
