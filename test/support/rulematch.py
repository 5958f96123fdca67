"""Whether one rule matches one packet: the criteria of felix contract 3.5, one function each, all of which must hold.

The answer has three values, for a fragment after the first has ports that nobody sees: NO, MAYBE (it depends on them) and YES.
Any other packet gets NO or YES.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address

from felix_proto import types as felix
from test.support.flaws import NET_LISTS, Address, Sets, network, port_member, protocol_number
from test.support.packet import SCTP, TCP, UDP, Packet, has_ports, is_icmp
from test.support.world import SetContent


class Match(IntEnum):
    """Whether a criterion holds; their minimum is their conjunction."""

    NO = 0
    MAYBE = 1
    YES = 2


def match(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    """Tell whether a flawless rule matches a packet."""
    return min(criterion(rule, packet, sets) for criterion in CRITERIA)


def _truth(value: bool) -> Match:
    return Match.YES if value else Match.NO


def _negate(value: Match) -> Match:
    return Match(2 - value)


def _family(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    del sets
    return _truth(rule.ip_version in (0, packet.version) and all(_list_exists(getattr(rule, name), packet) for name in NET_LISTS))


def _list_exists(cidrs: tuple[str, ...], packet: Packet) -> bool:
    """Per-family filtering: a list, negated or not, with nothing of this family takes the whole rule away from it."""
    return not cidrs or any(net.version == packet.version for net in map(network, cidrs) if net is not None)


def _protocol(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    del sets
    wanted = rule.protocol is None or protocol_number(rule.protocol) == packet.proto
    unwanted = rule.not_protocol is not None and protocol_number(rule.not_protocol) == packet.proto
    return _truth(wanted and not unwanted)


@lru_cache(maxsize=1 << 14)
def _address(text: str) -> Address:
    return ip_address(text)


def _within(text: str, cidrs: Iterable[str]) -> bool:
    """Tell whether an address lies in any of some CIDRs; none of the other family holds it."""
    address = _address(text)
    return any(address in net for net in map(network, cidrs) if net is not None and net.version == address.version)


@lru_cache(maxsize=1 << 16)
def _in_set(text: str, content: SetContent) -> bool:
    return _within(text, content.members)


def _nets(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    del sets
    return _truth(
        (not rule.src_net or _within(packet.src, rule.src_net))
        and (not rule.dst_net or _within(packet.dst, rule.dst_net))
        and not _within(packet.src, rule.not_src_net)
        and not _within(packet.dst, rule.not_dst_net)
    )


def _ip_sets(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    return _truth(
        all(_in_set(packet.src, sets[set_id]) for set_id in rule.src_ip_set_ids)
        and all(_in_set(packet.dst, sets[set_id]) for set_id in rule.dst_ip_set_ids)
        and not any(_in_set(packet.src, sets[set_id]) for set_id in rule.not_src_ip_set_ids)
        and not any(_in_set(packet.dst, sets[set_id]) for set_id in rule.not_dst_ip_set_ids)
    )


def _compares_ports(rule: felix.Rule, packet: Packet) -> bool:
    """Numeric ports without a protocol mean TCP, UDP and SCTP; with one, any protocol that has ports."""
    return has_ports(packet) and (rule.protocol is not None or packet.proto in (TCP, UDP, SCTP))


def _in_ranges(rule: felix.Rule, packet: Packet, port: int | None, ranges: Iterable[felix.PortRange]) -> Match:
    ranges = tuple(ranges)
    if not ranges or not _compares_ports(rule, packet):
        return Match.NO
    if port is None:
        return Match.MAYBE
    return _truth(any(r.first <= port <= r.last for r in ranges))


def _in_port_set(packet: Packet, address: str, port: int | None, content: SetContent) -> Match:
    """(address, protocol, port) in the set; without a visible port, MAYBE if address and protocol have any member."""
    parsed = [port_member(member) for member in content.members]
    ports = {m[2] for m in parsed if m is not None and m[:2] == (_address(address), packet.proto)}
    if port is None:
        return Match.MAYBE if ports else Match.NO
    return _truth(port in ports)


def _any_port(rule: felix.Rule, packet: Packet, side: str, negated: str, sets: Sets) -> Match:
    """The best of the numeric and the named ports of one side, positive (negated = "") or negated ("not_")."""
    address, port = (packet.src, packet.sport) if side == "src" else (packet.dst, packet.dport)
    named = [_in_port_set(packet, address, port, sets[i]) for i in getattr(rule, f"{negated}{side}_named_port_ip_set_ids")]
    return max(named + [_in_ranges(rule, packet, port, getattr(rule, f"{negated}{side}_ports"))])


def _asks(rule: felix.Rule, side: str) -> bool:
    return bool(getattr(rule, f"{side}_ports") or getattr(rule, f"{side}_named_port_ip_set_ids"))


def _ports(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    wanted = [_any_port(rule, packet, side, "", sets) for side in ("src", "dst") if _asks(rule, side)]
    unwanted = [_negate(_any_port(rule, packet, side, "not_", sets)) for side in ("src", "dst")]
    return min(wanted + unwanted)


def _services(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    found = (_in_port_set(packet, packet.dst, packet.dport, sets[set_id]) for set_id in rule.dst_ip_port_set_ids)
    return min(found, default=Match.YES)


def _is_icmp(packet: Packet, wanted: felix.Icmp) -> Match:
    if not is_icmp(packet):
        return Match.NO
    if packet.fragment:
        return Match.MAYBE
    return _truth(packet.icmp_type == wanted[0] and wanted[1] in (None, packet.icmp_code))


def _icmp(rule: felix.Rule, packet: Packet, sets: Sets) -> Match:
    del sets
    wanted = Match.YES if rule.icmp is None else _is_icmp(packet, rule.icmp)
    unwanted = Match.NO if rule.not_icmp is None else _is_icmp(packet, rule.not_icmp)
    return min(wanted, _negate(unwanted))


CRITERIA: tuple[Callable[[felix.Rule, Packet, Sets], Match], ...] = (
    _family, _protocol, _nets, _ip_sets, _ports, _services, _icmp,
)  # fmt: skip
