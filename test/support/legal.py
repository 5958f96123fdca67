"""The protocol's promises as a checker: feeds on a message sequence and raises at the first that breaks one (felix contract 2.2)."""

from collections.abc import Iterable

from felix_proto import types as felix
from test.support.gen_stream import sets_of
from test.support.world import World


class IllegalError(AssertionError):
    """A message that no Felix would send."""


def check(state: World, messages: Iterable[felix.Payload], ghosts: frozenset[str] = frozenset(("ghost",))) -> None:
    """Apply messages to a state, checking each first. ``ghosts`` are set ids that may be named without being known."""
    for message in messages:
        problem = _problem(state, message, ghosts)
        if problem:
            raise IllegalError(f"{problem}: {message}")
        state.apply(message)


def _problem(state: World, message: felix.Payload, ghosts: frozenset[str]) -> str | None:
    match message:
        case felix.IPSetDeltaUpdate():
            return _delta_problem(state, message)
        case felix.ActivePolicyUpdate(policy=owner) | felix.ActiveProfileUpdate(profile=owner):
            named = sets_of((*owner.inbound_rules, *owner.outbound_rules))
            return "names an unknown set" if named - set(state.ip_sets) - ghosts else None
        case felix.WorkloadEndpointUpdate():
            known = _policies(message.endpoint) <= set(state.policies) and set(message.endpoint.profile_ids) <= set(state.profiles)
            return None if known else "names an unknown policy or profile"
        case felix.IPSetRemove() | felix.ActivePolicyRemove() | felix.ActiveProfileRemove() | felix.WorkloadEndpointRemove():
            return _remove_problem(state, message)
    return None


def _delta_problem(state: World, message: felix.IPSetDeltaUpdate) -> str | None:
    if message.id not in state.ip_sets:
        return "delta to an unknown set"
    members = state.ip_sets[message.id].members
    clean = not members & set(message.added_members) and set(message.removed_members) <= members
    return None if clean else "adds what is there or removes what is not"


def _policies(endpoint: felix.WorkloadEndpoint) -> set[felix.PolicyID]:
    return {policy for tier in endpoint.tiers for policy in (*tier.ingress_policies, *tier.egress_policies)}


def _remove_problem(state: World, message: felix.Payload) -> str | None:
    owners = (*state.policies.values(), *state.profiles.values())
    match message:
        case felix.IPSetRemove(id=name):
            used = any(name in sets_of((*owner.inbound_rules, *owner.outbound_rules)) for owner in owners)
            return _why(name in state.ip_sets, used)
        case felix.ActivePolicyRemove(id=name):
            return _why(name in state.policies, any(name in _policies(e) for e in state.endpoints.values()))
        case felix.ActiveProfileRemove(id=name):
            return _why(name in state.profiles, any(name in e.profile_ids for e in state.endpoints.values()))
        case felix.WorkloadEndpointRemove(id=name):
            return _why(name in state.endpoints, False)
    return None


def _why(known: bool, used: bool) -> str | None:
    return "removes what is still referred to" if used else None if known else "removes what is not there"
