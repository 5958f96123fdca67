"""Random packets biased to where verdicts change: at the borders of the very rules that will judge them."""

from collections.abc import Sequence
from ipaddress import ip_network
from random import Random
from typing import Any, NamedTuple

from felix_proto.types import Rule, WorkloadEndpoint
from test.support import flaws
from test.support import gen_values as values
from test.support.chain import chain_flaws, chain_of
from test.support.evaluator import HOST, UPLINK
from test.support.packet import ICMP_OF, PORT_PROTOCOLS, SCTP, TCP, UDP, Packet
from test.support.world import World

PROTOCOLS = (TCP, TCP, TCP, UDP, UDP, SCTP, 1, 1, 58, 58, 136, 253, 4, 2, 255)


class Sent(NamedTuple):
    """A packet and where it enters the node: "host", "uplink" or an interface's name."""

    packet: Packet
    ingress: str


def packet(rng: Random, world: World) -> Sent:
    """Draw a packet for a state."""
    endpoints = list(world.endpoints.values())
    family = values.version(rng)
    if not endpoints or rng.random() < 0.05:
        return built(rng, family, values.address(rng, family), values.address(rng, family), rng.choice((HOST, UPLINK, "cali-none")), {})
    owner, direction = rng.choice(endpoints), rng.choice(("ingress", "egress"))
    families = [f for f, nets in ((4, owner.ipv4_nets), (6, owner.ipv6_nets)) if nets]
    family = rng.choice(families) if families and rng.random() < 0.98 else family
    return _aimed(rng, world, owner, direction, family)


def _aimed(rng: Random, world: World, owner: WorkloadEndpoint, direction: str, family: int) -> Sent:
    """A packet from or to an endpoint, with fields taken from one of its rules."""
    rule = _some_rule(rng, world, owner, direction)
    own = _own(rng, owner, family)
    hints = _hints(rng, world, rule, family, own)
    if direction == "egress":
        src = own if rng.random() < 0.92 else rng.choice((values.address(rng, family), "fe80::5" if family == 6 else "169.254.0.9"))
        return built(rng, family, src, _other(rng, world, hints["dst"], family), owner.name, hints)
    src = _other(rng, world, hints["src"], family)
    senders = [e.name for e in world.endpoints.values() if any(n.partition("/")[0] == src for n in e.ipv4_nets + e.ipv6_nets)]
    ingress = rng.choice(senders) if senders and rng.random() < 0.9 else rng.choice((UPLINK,) * 9 + (HOST,))
    return built(rng, family, src, own, ingress, hints)


def _own(rng: Random, owner: WorkloadEndpoint, family: int) -> str:
    nets = owner.ipv4_nets if family == 4 else owner.ipv6_nets
    return rng.choice(nets).partition("/")[0] if nets else values.address(rng, family)


def _other(rng: Random, world: World, hint: str | None, family: int) -> str:
    """The other side: as the rule asks, a local endpoint's, the node's, or anything."""
    drawn = rng.random()
    if hint is not None and drawn < 0.7:
        return hint
    if drawn < 0.85:
        locals_ = [n.partition("/")[0] for e in world.endpoints.values() for n in (e.ipv4_nets if family == 4 else e.ipv6_nets)]
        return rng.choice(locals_ or [values.NODE[family]])
    return values.NODE[family] if drawn < 0.88 else values.address(rng, family)


def _some_rule(rng: Random, world: World, owner: WorkloadEndpoint, direction: str) -> Rule:
    if next(chain_flaws(world, owner, direction), None) is not None:
        return Rule()
    rules = [r for section in chain_of(world, owner, direction) for o in section.owners for r in o.rules]
    return rng.choice(rules) if rules else Rule()


def _hints(rng: Random, world: World, rule: Rule, family: int, own: str) -> dict[str, Any]:
    """Fields of a packet that this rule, or its negation, is about."""
    hints: dict[str, Any] = {"src": None, "dst": None, "protocol": None, "sport": None, "dport": None, "icmp": rule.icmp or rule.not_icmp}
    named = [protocol for protocol in (rule.protocol, rule.not_protocol) if protocol is not None]
    if named:
        hints["protocol"] = flaws.protocol_number(rng.choice(named))
    for side in ("src", "dst"):
        nets = [*getattr(rule, f"{side}_net"), *getattr(rule, f"not_{side}_net"), *_members(world, rule, side, "ip_set_ids")]
        hints[side] = _edge_address(rng, nets, family)
        ranges = (*getattr(rule, f"{side}_ports"), *getattr(rule, f"not_{side}_ports"))
        hints[f"{side[0]}port"] = rng.choice([edge for r in ranges for edge in (r.first, r.last)]) if ranges else None
    _port_member_hints(rng, world, rule, own, hints)
    return hints


def _members(world: World, rule: Rule, side: str, kind: str) -> list[str]:
    ids = (*getattr(rule, f"{side}_{kind}"), *getattr(rule, f"not_{side}_{kind}"))
    return [m for set_id in ids for m in sorted(world.ip_sets[set_id].members)]


def _edge_address(rng: Random, nets: Sequence[str], family: int) -> str | None:
    """An end of one of the prefixes, or the address beside it."""
    parsed = [net for net in map(flaws.network, nets) if net is not None and net.version == family]
    if not parsed:
        return None
    net = ip_network(rng.choice(parsed))
    edge = str(rng.choice((net.network_address, net.network_address, net.broadcast_address)))
    return values.near(edge, rng.choice((-1, 1))) if rng.random() < 0.25 else edge


def _port_member_hints(rng: Random, world: World, rule: Rule, own: str, hints: dict[str, Any]) -> None:
    """Address, protocol and port of a member of a named-port or service set, of the endpoint's own address if there is one."""
    for side in ("src", "dst"):
        members = _members(world, rule, side, "named_port_ip_set_ids")
        if side == "dst":
            members += [m for set_id in rule.dst_ip_port_set_ids for m in sorted(world.ip_sets[set_id].members)]
        parsed = [m for m in map(flaws.port_member, members) if m is not None and (m[0].version == 6) == (":" in own)]
        if parsed and rng.random() < 0.8:
            mine = [m for m in parsed if str(m[0]) == own]
            address, hints["protocol"], hints[f"{side[0]}port"] = rng.choice(mine or parsed)
            hints[side] = str(address)


def _port(rng: Random, hint: int | None) -> int:
    if hint is None or rng.random() < 0.1:
        return rng.choice(values.PORTS)
    return min(65535, max(0, hint + rng.choice((0, 0, 0, -1, 1))))


def hinted(rng: Random, world: World, rule: Rule, family: int) -> dict[str, Any]:
    """Fields of a packet that a rule, or its negation, is about."""
    return _hints(rng, world, rule, family, "::" if family == 6 else "")


def built(rng: Random, family: int, src: str, dst: str, ingress: str, hints: dict[str, Any]) -> Sent:
    """Return a packet between two addresses, its other fields taken from hints or drawn."""
    hinted = hints.get("protocol")
    proto = hinted if hinted is not None and rng.random() < 0.85 else _protocol(rng, hints, family)
    fields: dict[str, Any] = {"fragment": rng.random() < 0.06, "options": rng.random() < 0.06}
    if not fields["fragment"] and proto in PORT_PROTOCOLS:
        fields |= {"sport": _port(rng, hints.get("sport")), "dport": 4789 if rng.random() < 0.01 else _port(rng, hints.get("dport"))}
    elif not fields["fragment"] and proto == ICMP_OF[family]:
        fields |= dict(zip(("icmp_type", "icmp_code"), _icmp(rng, hints.get("icmp")), strict=True))
    # A solicitation with hop limit 255 is the neighbour stage's business (RFC 4861, 7.1.1), whose tests are not about policy.
    ttl = rng.choice((64,) * 60 + ((1, 2) if fields.get("icmp_type") == 135 else (1, 2, 255)))
    return Sent(Packet(family, proto, src, dst, ttl=ttl, **fields), ingress)


def _protocol(rng: Random, hints: dict[str, Any], family: int) -> int:
    if hints.get("icmp") and rng.random() < 0.8:
        return ICMP_OF[family]
    ported = hints.get("sport") is not None or hints.get("dport") is not None
    return rng.choice((TCP, UDP, SCTP, 136)) if ported and rng.random() < 0.8 else rng.choice(PROTOCOLS)


def _icmp(rng: Random, hint: tuple[int, int | None] | None) -> tuple[int, int]:
    if hint is None or rng.random() < 0.2:
        return rng.choice(values.ICMP_PARTS), rng.choice(values.ICMP_PARTS[:4])
    code = hint[1] if hint[1] is not None else rng.choice(values.ICMP_PARTS[:4])
    return max(0, min(255, hint[0] + rng.choice((0, 0, 0, -1, 1)))), max(0, min(255, code + rng.choice((0, 0, 0, 1))))
