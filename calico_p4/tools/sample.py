"""Packets worth sending, drawn from what a state holds: its addresses and those just outside its CIDRs, its protocols, ports and borders."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from random import Random
from typing import Any

from datastore.intent import IntentStore
from felix_proto.types import Policy, PortRange, Profile, Rule

_PROTOCOLS = ("tcp", "udp", "sctp", "icmp")
_LOCAL = 0.9
"""How often one end at least is an endpoint of this node."""
_MOST = 4096
"""Addresses kept of each family, evenly spread: the big sets hold a hundred thousand."""


class Sampler:
    """Draws packets for one state."""

    def __init__(self, store: IntentStore, seed: int = 0) -> None:
        self._random = Random(seed)
        self._local, self._all = _by_family(_own(store)), _by_family(_addresses(store))
        self._ports = sorted({port for rule in _rules(store) for port in _borders(rule)} | set(_member_ports(store)) | {80, 443})

    def packets(self, count: int) -> list[dict[str, Any]]:
        """Return packets of the replay contract, their place as id; none where the state has no addresses."""
        families = [family for family in (4, 6) if self._all[family]]
        return [{"id": place, **self._packet(self._random.choice(families))} for place in range(count)] if families else []

    def _packet(self, family: int) -> dict[str, Any]:
        ends = [self._random.choice(self._all[family]) for _ in range(2)]
        if self._local[family] and self._random.random() < _LOCAL:
            ends[self._random.randrange(2)] = self._random.choice(self._local[family])
        proto = self._random.choice(_PROTOCOLS)
        packet: dict[str, Any] = {"proto": proto, "src": ends[0], "dst": ends[1]}
        if proto == "icmp":
            return {**packet, "proto": "icmp" if family == 4 else "icmpv6", "icmp_type": self._random.choice((8, 3) if family == 4 else (128, 1))}
        return {**packet, "sport": self._random.choice((40000, *self._ports[:3])), "dport": self._random.choice(self._ports)}


def _own(store: IntentStore) -> Iterator[str]:
    for endpoint in store.endpoints.values():
        yield from (*endpoint.ipv4_nets, *endpoint.ipv6_nets)


def _addresses(store: IntentStore) -> Iterator[str]:
    yield from _own(store)
    for host in store.host_metadata.values():
        yield from filter(None, (host.ipv4_addr.partition("/")[0], host.ipv6_addr.partition("/")[0]))
    yield from store.routes
    for rule in _rules(store):
        yield from (*rule.src_net, *rule.dst_net, *rule.not_src_net, *rule.not_dst_net)
    for ip_set in store.ip_sets.values():
        yield from (member.partition(",")[0] for member in ip_set.members)


def _by_family(texts: Iterable[str]) -> dict[int, Sequence[str]]:
    """Return addresses by family: of each network the first, the last, and those on both sides of it."""
    found: dict[int, set[str]] = {4: set(), 6: set()}
    for text in sorted(set(texts)):
        try:
            net = ip_network(text, strict=False)
        except ValueError:
            continue
        first, last = int(net.network_address), int(net.broadcast_address)
        # What lies around a single address is drawn for networks only: it would be the greater part of everything.
        values = {first} if first == last else {first, last, first + 1, max(first - 1, 0), min(last + 1, (1 << net.max_prefixlen) - 1)}
        found[net.version].update(str(type(net.network_address)(value)) for value in values)
    return {family: _spread(sorted(addresses)) for family, addresses in found.items()}


def _spread(items: Sequence[str]) -> Sequence[str]:
    return items if len(items) <= _MOST else [items[place * len(items) // _MOST] for place in range(_MOST)]


def _rules(store: IntentStore) -> Iterator[Rule]:
    owners: list[Policy | Profile] = [*store.policies.values(), *store.profiles.values()]
    for owner in owners:
        yield from (*owner.inbound_rules, *owner.outbound_rules)


def _borders(rule: Rule) -> Iterator[int]:
    ranges: tuple[PortRange, ...] = (*rule.src_ports, *rule.dst_ports, *rule.not_src_ports, *rule.not_dst_ports)
    for first, last in ranges:
        yield from (port for port in (first - 1, first, last, last + 1) if 0 <= port < 1 << 16)


def _member_ports(store: IntentStore) -> Iterator[int]:
    for ip_set in store.ip_sets.values():
        for member in ip_set.members:
            _, comma, rest = member.partition(",")
            if comma and (port := rest.partition(":")[2]).isdigit():
                yield int(port)
