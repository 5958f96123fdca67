"""One direction of one endpoint: the tiers, policies and profiles that decide, walked in order (felix contract 3.3 and 3.4).

``decide`` gives the deciding rule. For a fragment after the first it also works out how far "passes only if it would with every
port" leaves room: see ``Bound``.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, TypeAlias

from felix_proto import types as felix
from test.support.flaws import ACTIONS, Sets, port_member, rules_flaws
from test.support.packet import Packet, has_ports, is_icmp
from test.support.rulematch import Match, match
from test.support.world import World

DIRECTIONS = ("ingress", "egress")
STAGED = ("StagedNetworkPolicy", "StagedGlobalNetworkPolicy", "StagedKubernetesNetworkPolicy")


class Hit(NamedTuple):
    """A rule, or an end, that a packet met: the replay contract's form. ``trigger`` is set at the end of a tier alone."""

    action: str
    kind: str | None
    namespace: str | None = None
    name: str | None = None
    tier: str | None = None
    policy_index: int | None = None
    rule_index: int | None = None
    rule_id: str | None = None
    trigger: felix.PolicyID | None = None


class Decision(NamedTuple):
    """What decided, and the pass and log rules met before."""

    hit: Hit
    passed: tuple[Hit, ...] = ()


class Owner(NamedTuple):
    """A policy or profile in its place: what a hit on one of its rules is named by, and its rules of this direction."""

    kind: str | None
    namespace: str | None
    name: str
    index: int
    rules: tuple[felix.Rule, ...]


class Section(NamedTuple):
    """A tier with its live policies, or one profile: where ``pass`` goes on to the next. ``end`` is what its end decides, if anything."""

    tier: str | None
    owners: tuple[Owner, ...]
    end: Hit | None


Chain: TypeAlias = tuple[Section, ...]
END_OF_PROFILES = Hit("deny", "EndOfProfiles")


def staged(policy_id: felix.PolicyID) -> bool:
    """Tell whether a policy is one of the staged kinds; up to 3.31 the name says so ("shop/staged:default.x")."""
    return policy_id.kind in STAGED or (not policy_id.kind and policy_id.name.split("/")[-1].startswith("staged:"))


def live_policies(tier: felix.TierInfo, direction: str) -> tuple[felix.PolicyID, ...]:
    """Return the policies of a tier that count in a direction, in order."""
    return tuple(p for p in getattr(tier, f"{direction}_policies") if not staged(p))


def chain_of(world: World, endpoint: felix.WorkloadEndpoint, direction: str) -> Chain:
    """Return what decides for one direction of an endpoint, all of whose policies and profiles must be there."""
    side = "inbound_rules" if direction == "ingress" else "outbound_rules"
    tiers = (_tier(world, tier, live_policies(tier, direction), side) for tier in endpoint.tiers)
    owners = (Owner("Profile", None, p, n, getattr(world.profiles[p], side)) for n, p in enumerate(endpoint.profile_ids))
    return (*tiers, *(Section(None, (owner,), None) for owner in owners))


def _tier(world: World, tier: felix.TierInfo, live: tuple[felix.PolicyID, ...], side: str) -> Section:
    owners = (Owner(p.kind or None, p.namespace if p.kind else None, p.name, n, getattr(world.policies[p], side)) for n, p in enumerate(live))
    passes = tier.default_action == "Pass" or not live
    return Section(tier.name, tuple(owners), None if passes else Hit("deny", "EndOfTier", tier=tier.name, trigger=live[0]))


def chain_flaws(world: World, endpoint: felix.WorkloadEndpoint, direction: str) -> Iterator[str]:
    """Yield what keeps a direction of an endpoint from being translated, and so closes it."""
    live = [policy for tier in endpoint.tiers for policy in live_policies(tier, direction)]
    yield from (f"policy {policy} is missing" for policy in live if policy not in world.policies)
    yield from (f"profile {name} is missing" for name in endpoint.profile_ids if name not in world.profiles)
    side = "inbound_rules" if direction == "ingress" else "outbound_rules"
    found = [world.policies[p] for p in live if p in world.policies]
    found_profiles = [world.profiles[p] for p in endpoint.profile_ids if p in world.profiles]
    for owner in (*found, *found_profiles):
        yield from rules_flaws(getattr(owner, side), world.ip_sets)


class Step(NamedTuple):
    """A rule in its place in a chain."""

    section: int
    owner: Owner
    index: int
    rule: felix.Rule


def _steps(chain: Chain) -> list[list[Step]]:
    return [
        [Step(n, owner, index, rule) for owner in section.owners for index, rule in enumerate(owner.rules)]
        for n, section in enumerate(chain)
    ]


def _hit(chain: Chain, step: Step) -> Hit:
    owner, tier = step.owner, chain[step.section].tier
    action = ACTIONS[step.rule.action.lower()]
    return Hit(action, owner.kind, owner.namespace, owner.name, tier, owner.index, step.index, step.rule.rule_id)


def decide(chain: Chain, packet: Packet, sets: Sets) -> tuple[Decision, bool]:
    """Walk a chain. Returns the decision, and whether a rule that might have matched, had its ports been seen, was passed by."""
    passed: list[Hit] = []
    unsure = False
    for section, steps in zip(chain, _steps(chain), strict=True):
        for step in steps:
            matched = match(step.rule, packet, sets)
            unsure |= matched is Match.MAYBE
            if matched is not Match.YES:
                continue
            hit = _hit(chain, step)
            if hit.action in ("allow", "deny"):
                return Decision(hit, tuple(passed)), unsure
            passed.append(hit)
            if hit.action == "pass":
                break
        else:
            if section.end:
                return Decision(section.end, tuple(passed)), unsure
    return Decision(END_OF_PROFILES, tuple(passed)), unsure


class Bound(NamedTuple):
    """What a fragment after the first may get: ``least``, judged rule by rule, and ``most``, judged port by port.

    ``least``: whichever way every rule that asks for ports turned out, it is allowed. ``most``: it is allowed with every single
    combination of ports (or ICMP type and code). Least implies most; where they differ both verdicts are right.
    """

    least: bool
    most: bool


def bound(chain: Chain, packet: Packet, sets: Sets) -> Bound:
    """Return the bounds on the verdict of a fragment after the first."""
    return Bound(_always_allowed(chain, packet, sets), _allowed_with_every_port(chain, packet, sets))


def _always_allowed(chain: Chain, packet: Packet, sets: Sets) -> bool:
    """Follow both branches at every MAYBE; all must end in allow. ``reached`` marks the sections that some branch enters."""
    steps = _steps(chain)
    reached = [True] + [False] * len(chain)
    for n, section in enumerate(chain):
        falls_out = reached[n]
        for step in steps[n] if reached[n] else ():
            matched, action = match(step.rule, packet, sets), ACTIONS[step.rule.action.lower()]
            if matched is Match.NO or action == "log":
                continue
            if action == "deny":
                return False
            reached[n + 1] |= action == "pass"
            if matched is Match.YES:
                falls_out = False
                break
        if falls_out and section.end:
            return False
        reached[n + 1] |= falls_out
    return not reached[-1]


def _allowed_with_every_port(chain: Chain, packet: Packet, sets: Sets) -> bool:
    return all(decide(chain, whole, sets)[0].hit.action == "allow" for whole in _wholes(chain, packet, sets))


def _wholes(chain: Chain, packet: Packet, sets: Sets) -> Iterator[Packet]:
    """Yield whole packets that the fragment may be part of: one of each class that the chain's rules can tell apart."""
    fields = (packet.version, packet.proto, packet.src, packet.dst)
    rules = [rule for section in chain for owner in section.owners for rule in owner.rules]
    if has_ports(packet):
        for sport, dport in product(_edges(rules, "src", sets), _edges(rules, "dst", sets)):
            yield Packet(*fields, sport=sport, dport=dport)
    elif is_icmp(packet):
        types = _around({c[0] for rule in rules for c in (rule.icmp, rule.not_icmp) if c}, 255)
        codes = _around({c[1] for rule in rules for c in (rule.icmp, rule.not_icmp) if c and c[1] is not None}, 255)
        for icmp_type, icmp_code in product(types, codes):
            yield Packet(*fields, icmp_type=icmp_type, icmp_code=icmp_code)
    else:
        yield Packet(*fields)


def _around(values: set[int], most: int) -> list[int]:
    near = {value + step for value in values for step in (-1, 0, 1)} | {0, most}
    return sorted(value for value in near if 0 <= value <= most)


def _edges(rules: list[felix.Rule], side: str, sets: Sets) -> list[int]:
    """Return every port at which some criterion on one side changes its answer."""
    ranges = (r for rule in rules for name in (f"{side}_ports", f"not_{side}_ports") for r in getattr(rule, name))
    edges = {edge for r in ranges for edge in r}
    names = [f"{side}_named_port_ip_set_ids", f"not_{side}_named_port_ip_set_ids"]
    names += ["dst_ip_port_set_ids"] if side == "dst" else []
    members = (port_member(m) for rule in rules for n in names for i in getattr(rule, n) for m in sets[i].members)
    return _around(edges | {member[2] for member in members if member is not None}, 65535)
