"""The ``policy`` list of an answer: what decided on a packet, in the contract's form, from the slot the switch reports."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from felix_proto.types import PolicyID, TierInfo


class Governed(Protocol):
    """An endpoint as one stage sees it: the tiers that stage asks, and the profiles."""

    @property
    def tiers(self) -> tuple[TierInfo, ...]: ...
    @property
    def profile_ids(self) -> tuple[str, ...]: ...


END_OF_TIER, END_OF_PROFILES = "EndOfTier", "EndOfProfiles"
_NOTHING: Mapping[str, Any] = {
    "kind": None, "namespace": None, "name": None, "tier": None, "policy_index": None, "rule_index": None, "rule_id": None,
}  # fmt: skip


def decision(stage: str, path: Sequence[Any], endpoint: Governed | None) -> dict[str, Any]:
    """Return one element of ``policy``.

    ``path`` is a slot's origin: the rules passed and logged on the way, and last what decided. ``endpoint`` is the one that the
    stage stands for; the place of a policy is counted in its tiers.
    """
    *passed, decided = path
    return {**_rule(stage, decided, endpoint), "passed": [_rule(stage, ref, endpoint) for ref in passed]}


def decides(path: Sequence[Any]) -> bool:
    """Tell whether a policy or profile decided: not a failsafe port, nor the end of a chain that gives no verdict."""
    return path[-1].kind in ("policy", "profile", "tier_end", "profiles_end")


def is_default(path: Sequence[Any]) -> bool:
    """Tell whether no rule decided but the end of a tier or of the profiles."""
    return path[-1].kind in ("tier_end", "profiles_end")


def _rule(stage: str, ref: Any, endpoint: Governed | None) -> dict[str, Any]:
    rule = {"stage": stage, "action": ref.action, **_NOTHING}
    if ref.kind == "policy":
        place = _policy_index(ref, endpoint)
        return rule | _policy_name(ref) | {"policy_index": place, "rule_index": ref.rule_index, "rule_id": ref.rule_id}
    if ref.kind == "profile":
        places = endpoint.profile_ids if endpoint else ()
        place = places.index(ref.owner) if ref.owner in places else None
        return rule | {"kind": "Profile", "name": ref.owner, "policy_index": place, "rule_index": ref.rule_index, "rule_id": ref.rule_id}
    if ref.kind == "tier_end":
        return rule | {"kind": END_OF_TIER, "tier": ref.tier, "trigger": _policy_name(ref)}
    return rule | {"kind": END_OF_PROFILES}


def _policy_name(ref: Any) -> dict[str, str | None]:
    """Return a policy's name as on the wire; up to 3.31 there is neither kind nor namespace."""
    policy: PolicyID = ref.owner
    return {"kind": policy.kind or None, "namespace": policy.namespace if policy.kind else None, "name": policy.name, "tier": ref.tier}


def _policy_index(ref: Any, endpoint: Governed | None) -> int | None:
    """Return the place of a policy among the live ones of its tier, in the direction concerned."""
    for tier in endpoint.tiers if endpoint else ():
        live = list(_live(tier, ref.direction))
        if tier.name == ref.tier and ref.owner in live:
            return live.index(ref.owner)
    return None


def _live(tier: TierInfo, direction: str) -> Iterator[PolicyID]:
    policies = tier.ingress_policies if direction == "ingress" else tier.egress_policies
    return (policy for policy in policies if not policy.staged)
