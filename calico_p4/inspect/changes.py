"""Single changes to the world that might let a packet through: as data that anybody can carry out, and as the messages that do.

    {"kind": "packet", "field": "dport", "value": 8080, "packet": {...}}                        another packet (all fields: ``packet``)
    {"kind": "member", "set": ID, "action": "add" | "remove", "member": TEXT}                   an address joins or leaves an IP set
    {"kind": "rule", "policy": {...}, "direction": ..., "rule_index": N, "field": ..., "value": ...}    a rule is edited (wire names)
    {"kind": "tier", "endpoint": NAME, "tier": NAME, "default_action": "Pass"}                  the end of a tier passes
    {"kind": "policy", "endpoint": NAME, "policy": {...}, "direction": ...}                     a policy no longer selects the endpoint

An endpoint's name is ORCHESTRATOR/WORKLOAD/ENDPOINT or "HostEndpoint ID"; the latter with ``section`` where it is not about its normal tiers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from calico_p4.inspect.craft import Flow
from calico_p4.inspect.seats import Seat
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


def passing_tier(seat: Seat, tier: str) -> Change:
    """The end of a tier passes."""
    tiers = tuple(each._replace(default_action="Pass") if each.name == tier else each for each in seat.tiers)
    data = {"kind": "tier", "endpoint": seat.name, "tier": tier, "default_action": "Pass"}
    return _endpoint(seat, tiers, data, f"the default action of tier {tier} were Pass")


def without_policy(seat: Seat, policy: felix.PolicyID, name: str) -> Change:
    """A policy no longer selects an endpoint for one direction."""
    field = f"{seat.direction}_policies"
    tiers: Any = tuple(_without(each, field, policy) for each in seat.tiers)
    data = {"kind": "policy", "endpoint": seat.name, "policy": policy._asdict(), "direction": seat.direction}
    called = seat.endpoint.id.workload_id if isinstance(seat.endpoint, felix.WorkloadEndpoint) else seat.name
    return _endpoint(seat, tiers, data, f"{name} did not select {called} for {seat.direction}")


def _without(tier: Any, field: str, policy: felix.PolicyID) -> Any:
    return tier._replace(**{field: tuple(key for key in getattr(tier, field) if key != policy)})


def _endpoint(seat: Seat, tiers: tuple[felix.TierInfo, ...], data: Mapping[str, Any], text: str) -> Change:
    told = dict(data) if seat.section == "tiers" else {**data, "section": seat.section}
    return Change(told, text, do=[seat.update(tiers)], undo=[seat.update(seat.tiers)])
