"""Smaller examples: delta debugging of a message sequence, then of what is inside its messages.

A smaller sequence need not be legal: what it leaves out is missing, which both the product and the evaluator must stand.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from felix_proto import types as felix
from felix_proto.types import Rule

T = TypeVar("T")
Fails = Callable[[list[felix.Payload]], bool]


def minimise(payloads: Sequence[felix.Payload], fails: Fails, tries: int = 4000) -> list[felix.Payload]:
    """Return a sequence that still ``fails`` and of which no single message, rule, criterion or list item can be left out.

    ``tries`` bounds the number of calls of ``fails``.
    """
    budget = iter(range(tries))
    smaller = subset(payloads, lambda some: next(budget, None) is not None and fails(some))
    changed = True
    while changed:
        changed = False
        for place, payload in enumerate(smaller):
            for simpler in _simpler(payload):
                if next(budget, None) is None:
                    return smaller
                attempt = [*smaller[:place], simpler, *smaller[place + 1 :]]
                if fails(attempt):
                    smaller, changed = attempt, True
                    break
    return smaller


def subset(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Return a smaller list of ``items``, in order, that still fails: halves first, then ever smaller pieces."""
    kept, size = list(items), max(1, len(items) // 2)
    while True:
        start, dropped = 0, False
        while start < len(kept):
            attempt = kept[:start] + kept[start + size :]
            if fails(attempt):
                kept, dropped = attempt, True
            else:
                start += size
        if size == 1 and not dropped:
            return kept
        size = max(1, size // 2)


def _simpler(payload: felix.Payload) -> Iterator[felix.Payload]:
    """Yield variants of a message with one thing less."""
    match payload:
        case felix.ActivePolicyUpdate():
            yield from (payload._replace(policy=owner) for owner in _simpler_owner(payload.policy))
        case felix.ActiveProfileUpdate():
            yield from (payload._replace(profile=owner) for owner in _simpler_owner(payload.profile))
        case felix.IPSetUpdate():
            yield from (payload._replace(members=less) for less in _less(payload.members))
        case felix.IPSetDeltaUpdate():
            yield from (payload._replace(added_members=less) for less in _less(payload.added_members))
            yield from (payload._replace(removed_members=less) for less in _less(payload.removed_members))
        case felix.WorkloadEndpointUpdate():
            yield from (payload._replace(endpoint=simpler) for simpler in _simpler_endpoint(payload.endpoint))


def _less(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    yield from (items[:place] + items[place + 1 :] for place in range(len(items)))


def _simpler_owner(owner: Any) -> Iterator[Any]:
    for side in ("inbound_rules", "outbound_rules"):
        rules = getattr(owner, side)
        yield from (owner._replace(**{side: less}) for less in _less(rules))
        for place, rule in enumerate(rules):
            for simpler in _simpler_rule(rule):
                yield owner._replace(**{side: (*rules[:place], simpler, *rules[place + 1 :])})


def _simpler_rule(rule: Rule) -> Iterator[Rule]:
    for name, default in Rule._field_defaults.items():
        value = getattr(rule, name)
        if value == default or name in ("action", "rule_id"):
            continue
        yield rule._replace(**{name: default})
        if isinstance(value, tuple) and not name.endswith("icmp"):
            yield from (rule._replace(**{name: less}) for less in _less(value))


def _simpler_endpoint(endpoint: felix.WorkloadEndpoint) -> Iterator[felix.WorkloadEndpoint]:
    for name in ("profile_ids", "ipv4_nets", "ipv6_nets", "tiers", "allow_spoofed_source_prefixes"):
        yield from (endpoint._replace(**{name: less}) for less in _less(getattr(endpoint, name)))
    for place, tier in enumerate(endpoint.tiers):
        for side in ("ingress_policies", "egress_policies"):
            for less in _less(getattr(tier, side)):
                yield endpoint._replace(tiers=(*endpoint.tiers[:place], tier._replace(**{side: less}), *endpoint.tiers[place + 1 :]))
