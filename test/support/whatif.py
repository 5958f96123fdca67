"""Single changes, as ``calico-p4 trace`` names them, carried out on the plain state that the reference evaluator judges by."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from felix_proto import types as felix
from test.support.gen_packets import Sent
from test.support.packet import make
from test.support.world import SetContent, World


def carried_out(world: World, sent: Sent, change: Mapping[str, Any]) -> tuple[World, Sent]:
    """Return the state and the packet after a change; the ones given stay as they are."""
    if change["kind"] == "packet":
        return world, sent._replace(packet=_packet(sent, change["packet"]))
    changed = copy(world)
    if change["kind"] == "member":
        known = world.ip_sets[change["set"]]
        text = frozenset((change["member"],))
        assert (change["member"] in known.members) == (change["action"] == "remove")
        members = known.members | text if change["action"] == "add" else known.members - text
        changed.ip_sets = {**world.ip_sets, change["set"]: SetContent(known.type, members)}
    elif change["kind"] == "rule":
        _edit_rule(world, changed, change)
    else:
        key = next(key for key in world.endpoints if "/".join(key) == change["endpoint"])
        changed.endpoints = {**world.endpoints, key: _tiers(world.endpoints[key], change)}
    return changed, sent


def _packet(sent: Sent, fields: Mapping[str, Any]) -> Any:
    old = sent.packet
    assert (fields["src"], fields["dst"]) == (old.src, old.dst)
    return make(old.version, fields["proto"], old.src, old.dst, sport=fields["sport"], dport=fields["dport"],
                icmp=(fields["icmp_type"], fields["icmp_code"]), ttl=fields["ttl"])  # fmt: skip


def _edit_rule(world: World, changed: World, change: Mapping[str, Any]) -> None:
    name = "inbound_rules" if change["direction"] == "ingress" else "outbound_rules"
    key = change["profile"] if "profile" in change else felix.PolicyID(**change["policy"])
    kept: dict[Any, Any] = dict(world.profiles if "profile" in change else world.policies)
    rules = list(getattr(kept[key], name))
    rules[change["rule_index"]] = rules[change["rule_index"]]._replace(**{change["field"]: change["value"]})
    kept[key] = kept[key]._replace(**{name: tuple(rules)})
    setattr(changed, "profiles" if "profile" in change else "policies", kept)


def _tiers(endpoint: felix.WorkloadEndpoint, change: Mapping[str, Any]) -> felix.WorkloadEndpoint:
    if change["kind"] == "tier":
        tiers = (each._replace(default_action="Pass") if each.name == change["tier"] else each for each in endpoint.tiers)
    else:
        gone, field = felix.PolicyID(**change["policy"]), f"{change['direction']}_policies"
        tiers = (each._replace(**{field: tuple(p for p in getattr(each, field) if p != gone)}) for each in endpoint.tiers)
    return endpoint._replace(tiers=tuple(tiers))


def with_staged_enforced(world: World) -> World:
    """Return the state in which every staged policy is enforced, in its place: under a name of its own that does not say staged."""
    names = {key: _live(key) for key in world.policies if key.staged}
    changed = copy(world)
    changed.policies = {names.get(key, key): policy for key, policy in world.policies.items()}
    changed.endpoints = {key: endpoint._replace(tiers=tuple(_named(tier, names) for tier in endpoint.tiers)) for key, endpoint in world.endpoints.items()}
    return changed


def _live(key: felix.PolicyID) -> felix.PolicyID:
    """Up to 3.31 the name says that a policy is staged, afterwards the kind."""
    return key._replace(kind=key.kind.removeprefix("Staged"), name=key.name.replace("staged:", "") + "-live")


def _named(tier: felix.TierInfo, names: Mapping[felix.PolicyID, felix.PolicyID]) -> felix.TierInfo:
    both = (tuple(names.get(key, key) for key in keys) for keys in (tier.ingress_policies, tier.egress_policies))
    ingress, egress = both
    return tier._replace(ingress_policies=ingress, egress_policies=egress)
