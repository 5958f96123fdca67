"""``calico-p4 describe``."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from calico_p4.cli.recording import read
from calico_p4.offline import DIRECTIONS, Offline, live
from felix_proto.types import PolicyID, Rule, TierInfo, WorkloadEndpoint, WorkloadEndpointID
from translator.names import endpoint_name


@click.command(name="describe")
@click.argument("what", type=click.Choice(["endpoint"]))
@click.argument("name")
@click.argument("recording")
@click.option("--until", type=click.IntRange(min=0), metavar="N", help="Stop before frame N.")
def command(what: str, name: str, recording: str, until: int | None) -> None:
    """Describe a workload endpoint of a recording: NAMESPACE/POD or ORCHESTRATOR/WORKLOAD/ENDPOINT."""
    state = read(recording, until)
    key = state.places.endpoint(name)
    if key is None:
        known = ", ".join(sorted(state.places.name(key) for key in state.store.endpoints)) or "none"
        click.echo(f"calico-p4: no endpoint {name!r}; there are: {known}", err=True)
        sys.exit(1)
    for line in describe(state, key):
        click.echo(line)


def describe(state: Offline, key: WorkloadEndpointID) -> Iterator[str]:
    """Yield the lines: the endpoint itself, then for each direction what decides, in order, then its rows."""
    endpoint = state.store.endpoints[key]
    yield from _head(state, key, endpoint)
    for direction in DIRECTIONS:
        yield f"{direction.capitalize()}:"
        for tier in endpoint.tiers:
            yield from _tier(state, tier, direction)
        for profile in endpoint.profile_ids:
            yield f"  Profile {profile}"
            known = state.store.profiles.get(profile)
            yield from _rules(getattr(known, _rules_of(direction), None))
        yield "  End of profiles: deny"
    yield "Entries:"
    owner = endpoint_name(key)
    yield from (f"  {entry['table']} {entry['key']} -> {entry['action']}" for entry in state.entries() if entry["owner"] == owner)


def _head(state: Offline, key: WorkloadEndpointID, endpoint: WorkloadEndpoint) -> Iterator[str]:
    port = state.ports.get(endpoint.name)
    yield f"Name:       {state.places.name(key)}"
    yield f"Id:         {'/'.join(key)}"
    yield f"State:      {endpoint.state}"
    yield f"Interface:  {endpoint.name} (MAC {port.mac.to_bytes(6).hex(':') if port else 'unknown'})"
    yield f"Addresses:  {', '.join((*endpoint.ipv4_nets, *endpoint.ipv6_nets)) or 'none'}"
    for entry in state.degraded:
        if entry.object == endpoint_name(key):
            yield f"Degraded:   {entry.direction}: {entry.effect}: {entry.reason}"


def _rules_of(direction: str) -> str:
    return "inbound_rules" if direction == "ingress" else "outbound_rules"


def _tier(state: Offline, tier: TierInfo, direction: str) -> Iterator[str]:
    policies = list(live(tier, direction))
    if not policies:
        return
    yield f"  Tier {tier.name} (at its end: {tier.default_action or 'Deny'})"
    for policy in policies:
        yield f"    {_policy(policy)}"
        known = state.store.policies.get(policy)
        yield from (f"  {line}" for line in _rules(getattr(known, _rules_of(direction), None)))


def _policy(policy: PolicyID) -> str:
    return f"{policy.kind or 'Policy'} {'/'.join(filter(None, (policy.namespace, policy.name)))}"


def _rules(rules: tuple[Rule, ...] | None) -> Iterator[str]:
    if rules is None:
        yield "    was never sent: closed"
        return
    for index, rule in enumerate(rules):
        yield f"    {index} {rule.action or 'allow'}{_criteria(rule)}"


_NOT_MATCHED = ("action", "rule_id", "metadata", "http_match", "src_service_account_match", "dst_service_account_match")


def _criteria(rule: Rule) -> str:
    """The criteria of a rule by their names on the wire, those that say nothing left out."""
    shown = [name for name in rule._fields if name not in _NOT_MATCHED and not name.startswith("original_")]
    given = [(name, getattr(rule, name)) for name in shown]
    return "".join(f" {name}={_value(name, value)}" for name, value in given if value not in ((), None, 0, ""))


def _value(name: str, value: Any) -> str:
    if name in ("icmp", "not_icmp"):
        return "/".join(str(part) for part in value if part is not None)
    if name.endswith("_ports"):
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in value)
    return ",".join(value) if isinstance(value, tuple) else str(value)
