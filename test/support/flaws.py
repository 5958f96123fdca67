"""What in a policy cannot be translated: the reasons for which the reference evaluator closes a direction.

Sources: replay contract, "Decided" ("an unknown action, or anything else in a policy that can't be translated"); felix contract,
3.5 (what the fields may hold) and 2.4 (text of set members).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from felix_proto import types as felix
from test.support.world import SetContent

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address
Sets: TypeAlias = Mapping[str, SetContent]

ACTIONS = {"": "allow", "allow": "allow", "deny": "deny", "log": "log", "pass": "pass", "next-tier": "pass"}
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132, "udplite": 136}
MEMBER_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_CIDR = re.compile(r"[0-9a-fA-F:.]+(/[0-9]{1,3})?")
_MEMBER = re.compile(r"([0-9a-fA-F:.]+),([a-z]+):([0-9]{1,5})")
NET_LISTS = ("src_net", "not_src_net", "dst_net", "not_dst_net")
PORT_LISTS = ("src_ports", "not_src_ports", "dst_ports", "not_dst_ports")
NET_SETS = ("src_ip_set_ids", "not_src_ip_set_ids", "dst_ip_set_ids", "not_dst_ip_set_ids")
PORT_SETS = (
    "src_named_port_ip_set_ids", "not_src_named_port_ip_set_ids", "dst_named_port_ip_set_ids", "not_dst_named_port_ip_set_ids",
    "dst_ip_port_set_ids",
)  # fmt: skip


@lru_cache(maxsize=1 << 16)
def network(text: str) -> Network | None:
    """Parse a CIDR or a bare address, host bits masked; None if it is neither."""
    if not _CIDR.fullmatch(text):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1 << 16)
def port_member(text: str) -> tuple[Address, int, int] | None:
    """Parse a member like ``10.0.0.1,tcp:80`` into (address, protocol, port); None if it is malformed."""
    found = _MEMBER.fullmatch(text)
    if not found or found[2] not in MEMBER_PROTOCOLS or int(found[3]) > 65535:
        return None
    try:
        return ip_address(found[1]), MEMBER_PROTOCOLS[found[2]], int(found[3])
    except ValueError:
        return None


def protocol_number(protocol: int | str) -> int | None:
    """Return the number of a protocol given by number or name, None if there is no such protocol."""
    if isinstance(protocol, int):
        return protocol if 1 <= protocol <= 255 else None
    return PROTOCOLS.get(protocol.lower())


def rule_flaws(rule: felix.Rule, sets: Sets) -> Iterator[str]:
    """Yield, field by field, what in one rule cannot be translated."""
    if rule.action.lower() not in ACTIONS:
        yield f"action {rule.action!r}"
    if rule.ip_version not in (0, 4, 6):
        yield f"ip_version {rule.ip_version}"
    yield from _protocol_flaws(rule)
    yield from (f"{name} {text!r}" for name in NET_LISTS for text in getattr(rule, name) if network(text) is None)
    yield from (f"{name} {r}" for name in PORT_LISTS for r in getattr(rule, name) if not 0 <= r.first <= r.last <= 65535)
    yield from (f"{name} {set_id!r}" for name in NET_SETS for set_id in getattr(rule, name) if not _net_set(set_id, sets))
    yield from (f"{name} {set_id!r}" for name in PORT_SETS for set_id in getattr(rule, name) if not _port_set(set_id, sets))


def rules_flaws(rules: Iterable[felix.Rule], sets: Sets) -> Iterator[str]:
    """Yield what in a list of rules cannot be translated."""
    for rule in rules:
        yield from rule_flaws(rule, sets)


def _protocol_flaws(rule: felix.Rule) -> Iterator[str]:
    for name, protocol in (("protocol", rule.protocol), ("not_protocol", rule.not_protocol)):
        if protocol is not None and protocol_number(protocol) is None:
            yield f"{name} {protocol!r}"
    for name, icmp in (("icmp", rule.icmp), ("not_icmp", rule.not_icmp)):
        if icmp is not None and not all(0 <= part <= 255 for part in icmp if part is not None):
            yield f"{name} {icmp}"


@lru_cache(maxsize=4096)
def _good_nets(content: SetContent) -> bool:
    return content.type in (felix.IPSetType.IP, felix.IPSetType.NET) and all(network(m) is not None for m in content.members)


@lru_cache(maxsize=4096)
def _good_port_members(content: SetContent) -> bool:
    return content.type == felix.IPSetType.IP_AND_PORT and all(port_member(m) is not None for m in content.members)


def _net_set(set_id: str, sets: Sets) -> bool:
    return set_id in sets and _good_nets(sets[set_id])


def _port_set(set_id: str, sets: Sets) -> bool:
    return set_id in sets and _good_port_members(sets[set_id])
