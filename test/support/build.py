"""Small clusters by hand: endpoints, policies and sets as the messages of a Felix stream."""

from collections.abc import Iterable, Mapping, Sequence

from felix_proto import types as felix
from felix_proto.types import IPSetType, Rule
from test.support.scenario import CONFIG, HOST
from test.support.world import World

ALLOW, DENY = Rule("allow", rule_id="allow"), Rule("deny", rule_id="deny")
A, B = felix.WorkloadEndpointID("k8s", "ns/a", "eth0"), felix.WorkloadEndpointID("k8s", "ns/b", "eth0")
ADDRESSES = {A: ("10.0.0.1", "fd00::1"), B: ("10.0.0.2", "fd00::2")}
INTERFACES = {A: "calia", B: "calib"}


def gnp(name: str, kind: str = "GlobalNetworkPolicy") -> felix.PolicyID:
    """Return the id of a global policy."""
    return felix.PolicyID(kind, "", name)


def policy(policy_id: felix.PolicyID, inbound: Iterable[Rule] = (), outbound: Iterable[Rule] = ()) -> felix.ActivePolicyUpdate:
    """Return the message for a policy."""
    rules = {"inbound_rules": tuple(inbound), "outbound_rules": tuple(outbound)}
    return felix.ActivePolicyUpdate(policy_id, felix.Policy(policy_id, **rules))


def profile(name: str, inbound: Iterable[Rule] = (), outbound: Iterable[Rule] = ()) -> felix.ActiveProfileUpdate:
    """Return the message for a profile."""
    return felix.ActiveProfileUpdate(name, felix.Profile(name, tuple(inbound), tuple(outbound)))


def endpoint(endpoint_id: felix.WorkloadEndpointID = B, **fields: object) -> felix.WorkloadEndpointUpdate:
    """Return the message for an endpoint; unless told otherwise active and with the addresses and interface of A or B."""
    v4, v6 = ADDRESSES.get(endpoint_id, ("10.0.0.9", "fd00::9"))
    usual = {"state": "active", "name": INTERFACES.get(endpoint_id, "calix"), "ipv4_nets": (f"{v4}/32",), "ipv6_nets": (f"{v6}/128",)}
    return felix.WorkloadEndpointUpdate(endpoint_id, felix.WorkloadEndpoint(endpoint_id, **(usual | fields)))  # type: ignore[arg-type]


def tier(name: str, ingress: Iterable[felix.PolicyID] = (), egress: Iterable[felix.PolicyID] = (), action: str = "Deny") -> felix.TierInfo:
    """Return a tier as an endpoint names it."""
    return felix.TierInfo(name, tuple(ingress), tuple(egress), action)


def sets(content: Mapping[str, Sequence[str]]) -> list[felix.IPSetUpdate]:
    """Return the messages for IP sets, of type IP_AND_PORT where the members have a comma."""
    kinds = {i: IPSetType.IP_AND_PORT if any("," in m for m in members) else IPSetType.NET for i, members in content.items()}
    return [felix.IPSetUpdate(i, tuple(members), kinds[i]) for i, members in content.items()]


def world(*payloads: felix.Payload) -> World:
    """Return the state after some messages, in a node of its own addresses."""
    state = World()
    state.apply_all((CONFIG, HOST, *payloads))
    return state


def one_rule(rule: Rule, content: Mapping[str, Sequence[str]] | None = None, direction: str = "ingress") -> World:
    """Return a state in which one rule, before the end of a tier that denies, decides for endpoint B."""
    name = gnp("default.one")
    tiers = (tier("default", **{direction: (name,)}),)
    return world(*sets(content or {}), policy(name, (rule,), (rule,)), endpoint(B, tiers=tiers))
