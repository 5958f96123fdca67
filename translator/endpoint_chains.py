"""Which chain an endpoint asks for in a stage, and which addresses its own side of it can have."""

from __future__ import annotations

from collections.abc import Iterable

from felix_proto.types import HostEndpoint, TierInfo, WorkloadEndpoint

from .addresses import parse_cidr
from .chains import ChainKey, TierKey
from .errors import Untranslatable
from .names import ALL_INTERFACES
from .stages import Direction, StageSpec

LINK_LOCAL = parse_cidr("fe80::/10")
DIRECTIONS: tuple[Direction, Direction] = ("egress", "ingress")

def chain_key(endpoint: WorkloadEndpoint, direction: Direction) -> ChainKey:
    """The chain of an endpoint: staged policies skipped, tiers without live ones left out (contract 3.2, 3.3)."""
    return ChainKey(live_tiers(endpoint.tiers, direction), endpoint.profile_ids)


def host_chain_key(endpoint: HostEndpoint, spec: StageSpec) -> ChainKey:
    """The chain of a host endpoint in a stage (contract 3.8): normal policy ends in a deny, all other without a verdict; host
    rules come before all but forward policy. Untracked policy of all interfaces ("*") is ignored."""
    direction = spec.direction
    if spec.name in DIRECTIONS:
        return ChainKey(live_tiers(endpoint.tiers, direction), endpoint.profile_ids, behind_host_rules=True)
    if spec.name.startswith("forward"):
        return ChainKey(live_tiers(endpoint.forward_tiers, direction), (), verdictless=True)
    if spec.name == "pre_dnat":
        tiers = live_tiers(endpoint.pre_dnat_tiers, direction)
    else:
        tiers = () if endpoint.name == ALL_INTERFACES else live_tiers(endpoint.untracked_tiers, direction)
    return ChainKey(tiers, (), behind_host_rules=bool(tiers), verdictless=True)


def live_tiers(tiers: Iterable[TierInfo], direction: Direction) -> tuple[TierKey, ...]:
    """The tiers that have live policies in this direction."""
    keys = (_tier_key(tier, direction) for tier in tiers)
    return tuple(tier for tier in keys if tier.policies)


def _tier_key(tier: TierInfo, direction: Direction) -> TierKey:
    policies = tier.ingress_policies if direction == "ingress" else tier.egress_policies
    return TierKey(tier.name, tuple(p for p in policies if not p.staged), tier.default_action == "Pass")


def own_places(endpoint: WorkloadEndpoint, direction: Direction) -> tuple[int, ...]:
    """The addresses (`addresses`) that the endpoint's own side can have; what does not parse is nobody's address."""
    cidrs = [*endpoint.ipv4_nets, *endpoint.ipv6_nets]
    if direction == "egress":
        cidrs += endpoint.allow_spoofed_source_prefixes
    places = [place for cidr in cidrs if (place := _try_parse(cidr)) is not None]
    return (*places, LINK_LOCAL) if direction == "egress" else tuple(places)


def _try_parse(cidr: str) -> int | None:
    try:
        return parse_cidr(cidr)
    except Untranslatable:
        return None
