"""Why a rule did not match a packet: its criteria that fail, each with changes that might mend it.

This proposes and decides nothing. Whatever is proposed is tried out in a `Lab` before anybody is told; a proposal missed here is a
proposal missed, never a wrong answer.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from calico_p4.frames import ICMP, ICMPV6, SCTP, TCP, UDP, WITH_PORTS
from calico_p4.inspect import changes
from calico_p4.inspect.changes import Change, RuleAt
from calico_p4.inspect.craft import NAMES, Flow
from datastore.intent import IntentStore
from felix_proto.types import Rule
from translator.errors import Untranslatable
from translator.protocols import protocol_number

SIDES = {"src": ("source", "sport"), "dst": ("destination", "dport")}


_IN_PORT_SETS = frozenset((TCP, UDP, SCTP))
"""Protocols whose ports Calico puts into sets of addresses with ports."""


class Case(NamedTuple):
    """A rule, the packet it did not match, and the sets it may name."""

    at: RuleAt
    flow: Flow
    store: IntentStore

    @property
    def rule(self) -> Rule:
        """The rule itself."""
        return self.at.rule

    def address(self, side: str) -> IPv4Address | IPv6Address:
        """The packet's address on a side."""
        return ip_address(self.flow.src if side == "src" else self.flow.dst)

    def port(self, side: str) -> int:
        """The packet's port on a side."""
        return self.flow.sport if side == "src" else self.flow.dport

    def edit(self, field: str, value: Any, text: str) -> Change:
        """A change to the rule."""
        return changes.rule(self.store, self.at, field, value, text)


Failure = list[Change]
"""A criterion that does not hold: the changes that might mend it."""


def failures(case: Case) -> list[Failure]:
    """Return the criteria of a rule that fail, in no particular order; none if it seems to match."""
    try:
        return [failure for criterion in _CRITERIA for failure in criterion(case)]
    except (Untranslatable, ValueError):
        return [[], []]  # a rule that can't be read can't be mended by one change


def _version(case: Case) -> Iterator[Failure]:
    version = case.address("src").version
    if case.rule.ip_version not in (0, version):
        yield [case.edit("ip_version", 0, f"the rule were not for IPv{case.rule.ip_version} only")]


def _protocol(case: Case) -> Iterator[Failure]:
    rule, flow = case.rule, case.flow
    if rule.protocol is not None and (wanted := protocol_number(rule.protocol, "protocol")) != flow.proto:
        yield [changes.packet(flow, "proto", wanted, f"the protocol were {_name(wanted)}")]
    if rule.not_protocol is not None and protocol_number(rule.not_protocol, "not_protocol") == flow.proto:
        others = [proto for proto in (TCP, UDP) if proto != flow.proto]
        yield [changes.packet(flow, "proto", others[0], f"the protocol were any but {_name(flow.proto)}")]


def _name(protocol: int) -> str:
    return NAMES.get(protocol, str(protocol))


def _nets(case: Case) -> Iterator[Failure]:
    for side, (word, _) in SIDES.items():
        address = case.address(side)
        listed, excluded = getattr(case.rule, f"{side}_net"), getattr(case.rule, f"not_{side}_net")
        if listed and not _inside(address, listed):
            wider = (*listed, f"{address}/{address.max_prefixlen}")
            yield [case.edit(f"{side}_net", wider, f"the {word} {address} were in {', '.join(listed)}")]
        if excluded and (_inside(address, excluded) or not _of_family(address.version, excluded)):
            left = tuple(cidr for cidr in excluded if not _inside(address, (cidr,)))
            left = left if _of_family(address.version, left) else ()
            yield [case.edit(f"not_{side}_net", left, f"the {word} {address} were not excluded by {', '.join(excluded)}")]


def _inside(address: Any, cidrs: tuple[str, ...]) -> bool:
    return any(address in ip_network(cidr, strict=False) for cidr in cidrs)


def _of_family(version: int, cidrs: tuple[str, ...]) -> list[str]:
    return [cidr for cidr in cidrs if ip_network(cidr, strict=False).version == version]


def _sets(case: Case) -> Iterator[Failure]:
    for side in SIDES:
        for set_id in getattr(case.rule, f"{side}_ip_set_ids"):
            if not _members_with(case, side, set_id):
                yield [_joins(case, side, set_id)]
        for set_id in getattr(case.rule, f"not_{side}_ip_set_ids"):
            if found := _members_with(case, side, set_id):
                yield [_leaves(case, side, set_id, found[0])] if len(found) == 1 else []


def _members_with(case: Case, side: str, set_id: str) -> list[str]:
    """The members of a set of addresses that hold the packet's address."""
    address, known = case.address(side), case.store.ip_sets.get(set_id)
    whole = {str(address), f"{address}/{address.max_prefixlen}"}
    members = known.members if known is not None else set()
    return [text for text in members if text in whole or ("/" in text and address in ip_network(text, strict=False))]


def _joins(case: Case, side: str, set_id: str) -> Change:
    return changes.member(set_id, f"the {_at(case, side)} were in {set_words(case, side, set_id)}", add=str(case.address(side)))


def _leaves(case: Case, side: str, set_id: str, text: str) -> Change:
    return changes.member(set_id, f"the {_at(case, side)} were not in {set_words(case, side, set_id, 'not_')}", remove=text)


def _at(case: Case, side: str) -> str:
    return f"{SIDES[side][0]} {case.address(side)}"


def set_words(case: Case, side: str, set_id: str, negated: str = "") -> str:
    """Return a set's id with the selector that a rule gives for it, as far as the stream tells, and its size."""
    known = case.store.ip_sets.get(set_id)
    selectors = [getattr(case.rule, f"original_{negated}{side}_selector", "")]
    if not negated:
        selectors.insert(0, getattr(case.rule, f"original_{side}_namespace_selector"))
    selector = "; ".join(filter(None, selectors))
    size = f"{len(known.members)} members" if known is not None else "never sent"
    return f"IP set {set_id} ({f'{selector}; ' if selector else ''}{size})"


def _ports(case: Case) -> Iterator[Failure]:
    for side in SIDES:
        ranges, named = _asked(case.rule, side, "")
        if (ranges or named) and not _port_hit(case, side, ranges, named):
            yield list(_other_ports(case, side, ranges, named))
        ranges, named = _asked(case.rule, side, "not_")
        if (ranges or named) and _port_hit(case, side, ranges, named):
            yield _free_port(case, side, ranges, named)


def _asked(rule: Rule, side: str, negated: str) -> tuple[Any, tuple[str, ...]]:
    return getattr(rule, f"{negated}{side}_ports"), getattr(rule, f"{negated}{side}_named_port_ip_set_ids")


def _port_hit(case: Case, side: str, ranges: Any, named: tuple[str, ...]) -> bool:
    numeric = case.rule.protocol is not None or case.flow.proto in (TCP, UDP, SCTP)
    if case.flow.proto not in WITH_PORTS:
        return False
    port = case.port(side)
    return (numeric and any(first <= port <= last for first, last in ranges)) or any(port in _own_ports(case, side, each) for each in named)


def _own_ports(case: Case, side: str, set_id: str) -> set[int]:
    """The ports that a set of addresses with ports gives to the packet's address and protocol."""
    known, address = case.store.ip_sets.get(set_id), case.address(side)
    found = set()
    for text in known.members if known is not None else ():
        where, _, rest = text.partition(",")
        protocol, _, port = rest.partition(":")
        if port.isdigit() and protocol_number(protocol, "member") == case.flow.proto and ip_address(where) == address:
            found.add(int(port))
    return found


def _other_ports(case: Case, side: str, ranges: Any, named: tuple[str, ...]) -> Iterator[Change]:
    word, field = SIDES[side]
    if case.flow.proto not in WITH_PORTS:
        yield changes.packet(case.flow, "proto", TCP, "the packet were TCP")
        return
    ports = [first for first, _ in ranges] + [port for set_id in named for port in sorted(_own_ports(case, side, set_id))]
    for port in ports:
        yield changes.packet(case.flow, field, port, f"the {word} port were {port}")
    for set_id in named if case.flow.proto in _IN_PORT_SETS else ():
        text = f"the {_at(case, side)}, port {case.port(side)}, were in {set_words(case, side, set_id)}"
        yield changes.member(set_id, text, add=_port_member(case, side))


def _port_member(case: Case, side: str) -> str:
    return f"{case.address(side)},{_name(case.flow.proto)}:{case.port(side)}"


def _free_port(case: Case, side: str, ranges: Any, named: tuple[str, ...]) -> Failure:
    word, field = SIDES[side]
    taken = {port for set_id in named for port in _own_ports(case, side, set_id)}
    edges = [65535, *(edge for first, last in ranges for edge in (first - 1, last + 1)), *(port + 1 for port in taken)]
    free = (port for port in edges if 0 <= port <= 65535 and port not in taken and not any(first <= port <= last for first, last in ranges))
    return [changes.packet(case.flow, field, port, f"the {word} port were not {case.port(side)} but, for example, {port}") for port in free][:1]


def _services(case: Case) -> Iterator[Failure]:
    for set_id in case.rule.dst_ip_port_set_ids:
        ports = _own_ports(case, "dst", set_id)
        if case.flow.proto in WITH_PORTS and case.flow.dport not in ports:
            found = [changes.packet(case.flow, "dport", port, f"the destination port were {port}") for port in sorted(ports)]
            text = f"the destination {case.flow.dst}, port {case.flow.dport}, were in {set_words(case, 'dst', set_id)}"
            joins = [changes.member(set_id, text, add=_port_member(case, "dst"))] if case.flow.proto in _IN_PORT_SETS else []
            yield [*found, *joins]
        elif case.flow.proto not in WITH_PORTS:
            yield []


def _icmp(case: Case) -> Iterator[Failure]:
    flow, rule = case.flow, case.rule
    is_icmp = flow.proto == (ICMPV6 if ":" in flow.src else ICMP)
    if rule.icmp is not None and not is_icmp:
        yield []
    elif rule.icmp is not None and flow.icmp_type != rule.icmp[0]:
        yield [changes.packet(flow, "icmp_type", rule.icmp[0], f"the ICMP type were {rule.icmp[0]}")]
    if rule.icmp is not None and is_icmp and rule.icmp[1] not in (None, flow.icmp_code):
        yield [changes.packet(flow, "icmp_code", rule.icmp[1], f"the ICMP code were {rule.icmp[1]}")]
    if rule.not_icmp is not None and is_icmp and rule.not_icmp[0] == flow.icmp_type and rule.not_icmp[1] in (None, flow.icmp_code):
        other = flow.icmp_type ^ 1
        yield [changes.packet(flow, "icmp_type", other, f"the ICMP type were not {flow.icmp_type} but, for example, {other}")]


_CRITERIA: tuple[Callable[[Case], Iterator[Failure]], ...] = (_version, _protocol, _nets, _sets, _ports, _services, _icmp)
