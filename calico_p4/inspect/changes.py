"""Single changes to the world that might let a packet through: as data that anybody can carry out, and as the messages that do.

    {"kind": "packet", "field": "dport", "value": 8080, "packet": {...}}                        another packet (all fields: ``packet``)
    {"kind": "member", "set": ID, "action": "add" | "remove", "member": TEXT}                   an address joins or leaves an IP set
    {"kind": "rule", "policy": {...}, "direction": ..., "rule_index": N, "field": ..., "value": ...}    a rule is edited (wire names)
    {"kind": "tier", "endpoint": NAME, "tier": NAME, "default_action": "Pass"}                  the end of a tier passes
    {"kind": "policy", "endpoint": NAME, "policy": {...}, "direction": ...}                     a policy no longer selects the endpoint
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from calico_p4.inspect.craft import Flow
from datastore.intent import IntentStore
from felix_proto import types as felix


class Change(NamedTuple):
    """One change: ``data`` as above, ``text`` for people ("the source 10.0.0.1 were in IP set s:x"), and the messages or packet."""

    data: Mapping[str, Any]
    text: str
    flow: Flow | None = None
    do: Sequence[felix.Payload] = ()
    undo: Sequence[felix.Payload] = ()


def packet(flow: Any, field: str, value: int, text: str) -> Change:
    """Another packet."""
    changed: Flow = flow._replace(**{field: value})
    return Change({"kind": "packet", "field": field, "value": value, "packet": changed._asdict()}, text, flow=changed)


def member(set_id: str, text: str, add: str = "", remove: str = "") -> Change:
    """An address joins or leaves a set."""
    added, removed = ((add,), ()) if add else ((), (remove,))
    data = {"kind": "member", "set": set_id, "action": "add" if add else "remove", "member": add or remove}
    return Change(data, text, do=[felix.IPSetDeltaUpdate(set_id, added, removed)], undo=[felix.IPSetDeltaUpdate(set_id, removed, added)])


class RuleAt(NamedTuple):
    """A rule where it stands; ``owner`` is the policy's id or the profile's name."""

    owner: felix.PolicyID | str
    tier: str
    direction: str
    place: int
    rule: felix.Rule


def rule(store: IntentStore, at: RuleAt, field: str, value: Any, text: str) -> Change:
    """A rule is edited."""
    rules = "inbound_rules" if at.direction == "ingress" else "outbound_rules"
    found: Any = store.profiles[at.owner] if isinstance(at.owner, str) else store.policies[at.owner]
    edited = list(getattr(found, rules))
    edited[at.place] = at.rule._replace(**{field: value})
    data = {"kind": "rule", **owner_fields(at.owner), "direction": at.direction, "rule_index": at.place, "field": field, "value": value}
    return Change(data, text, do=[_update(at.owner, found._replace(**{rules: tuple(edited)}))], undo=[_update(at.owner, found)])


def owner_fields(owner: felix.PolicyID | str) -> dict[str, Any]:
    """Return who a rule belongs to, by name."""
    return {"profile": owner} if isinstance(owner, str) else {"policy": owner._asdict()}


def _update(owner: felix.PolicyID | str, value: Any) -> felix.Payload:
    return felix.ActiveProfileUpdate(owner, value) if isinstance(owner, str) else felix.ActivePolicyUpdate(owner, value)


def passing_tier(endpoint: felix.WorkloadEndpoint, tier: str) -> Change:
    """The end of a tier passes."""
    tiers = tuple(each._replace(default_action="Pass") if each.name == tier else each for each in endpoint.tiers)
    data = {"kind": "tier", "endpoint": "/".join(endpoint.id), "tier": tier, "default_action": "Pass"}
    return _endpoint(endpoint, tiers, data, f"the default action of tier {tier} were Pass")


def without_policy(endpoint: felix.WorkloadEndpoint, policy: felix.PolicyID, direction: str, name: str) -> Change:
    """A policy no longer selects an endpoint for one direction."""
    field = f"{direction}_policies"
    tiers: Any = tuple(_without(each, field, policy) for each in endpoint.tiers)
    data = {"kind": "policy", "endpoint": "/".join(endpoint.id), "policy": policy._asdict(), "direction": direction}
    return _endpoint(endpoint, tiers, data, f"{name} did not select {endpoint.id.workload_id} for {direction}")


def _without(tier: Any, field: str, policy: felix.PolicyID) -> Any:
    return tier._replace(**{field: tuple(key for key in getattr(tier, field) if key != policy)})


def _endpoint(endpoint: felix.WorkloadEndpoint, tiers: tuple[felix.TierInfo, ...], data: Mapping[str, Any], text: str) -> Change:
    changed = felix.WorkloadEndpointUpdate(endpoint.id, endpoint._replace(tiers=tiers))
    return Change(data, text, do=[changed], undo=[felix.WorkloadEndpointUpdate(endpoint.id, endpoint)])
