"""Random parts of policies: addresses, CIDRs, ports, set members and rules, from a small world in which everything overlaps.

Every function draws from a ``random.Random``, so that a seed repeats a run and hypothesis can drive the same code (and minimise)
through its own ``randoms``.
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from felix_proto.types import PortRange, Rule

LOCAL = {4: [f"10.65.0.{n}" for n in range(1, 9)], 6: [f"fd00:65::{n:x}" for n in range(1, 9)]}
REMOTE = {
    4: ["10.65.1.7", "10.65.1.8", "10.65.2.255", "10.66.0.0", "172.16.0.1", "198.51.100.1", "198.51.100.129", "203.0.113.9", "9.255.255.255"],
    6: ["fd00:65::1:7", "fd00:65::1:8", "fd00:65:0:1::", "fd00:66::1", "2001:db8::1", "2001:db8:0:ffff::9", "fcff:ffff::1"],
}
NODE = {4: "192.0.2.11", 6: "2001:db8:1::11"}
LENGTHS = {4: (0, 1, 8, 15, 16, 23, 24, 25, 28, 30, 31, 32, 32, 32), 6: (0, 1, 8, 16, 32, 48, 64, 65, 96, 112, 120, 126, 127, 128, 128, 128)}
PORTS = (0, 1, 22, 53, 79, 80, 81, 443, 1023, 1024, 8080, 32767, 32768, 40000, 65534, 65535)
PROTOCOL_NAMES = ("tcp", "udp", "icmp", "icmpv6", "sctp", "udplite")
PROTOCOL_NUMBERS = (6, 17, 1, 58, 132, 136, 253, 2, 255)
ICMP_PARTS = (0, 1, 3, 8, 11, 127, 128, 129, 133, 134, 135, 255)
ACTIONS = ("allow", "allow", "allow", "deny", "deny", "deny", "log", "pass", "next-tier", "")
FLAWS: tuple[dict[str, Any], ...] = (
    {"action": "reject"}, {"protocol": "ospf"}, {"not_protocol": 300}, {"src_net": ("10.0.0.0/40",)}, {"not_dst_net": ("pod",)},
    {"dst_ports": (PortRange(1, 70000),)}, {"not_src_ports": (PortRange(-1, 3),)}, {"src_ip_set_ids": ("ghost",)},
    {"dst_ip_port_set_ids": ("ghost",)}, {"src_ip_set_ids": ("bad-nets",)}, {"dst_named_port_ip_set_ids": ("bad-ports",)},
)  # fmt: skip
BAD_SETS = {"bad-nets": ("10.65.0.0/16", "10.65.0.1/ten"), "bad-ports": ("10.65.0.1,tcp:80", "10.65.0.2,dccp:80")}


def version(rng: Random) -> int:
    """Draw an IP version."""
    return rng.choice((4, 4, 6))


def address(rng: Random, family: int) -> str:
    """Draw an address: of a local endpoint, elsewhere, the node's own, or one beside any of them."""
    plain = rng.choice((*LOCAL[family], *REMOTE[family], NODE[family]))
    return near(plain, rng.choice((-1, 1))) if rng.random() < 0.15 else plain


def near(text: str, step: int) -> str:
    """Return the address some steps away, or the same at the end of the range."""
    start = ip_address(text)
    number = int(start) + step
    return str(type(start)(number)) if 0 <= number < 1 << start.max_prefixlen else text


def cidr(rng: Random, family: int) -> str:
    """Draw a CIDR as rules hold it: masked, with host bits, or a bare address."""
    text = address(rng, family)
    length = rng.choice(LENGTHS[family])
    style = rng.random()
    if style < 0.05:
        return text
    return f"{text}/{length}" if style < 0.2 else str(ip_network(f"{text}/{length}", strict=False))


def cidrs(rng: Random) -> tuple[str, ...]:
    """Draw a CIDR list, mostly of one family, sometimes of both."""
    family = version(rng)
    families = (4, 6) if rng.random() < 0.25 else (family,)
    return tuple(cidr(rng, rng.choice(families)) for _ in range(rng.choice((1, 1, 2, 3))))


def member(rng: Random) -> str:
    """Draw a member of a NET set: masked, always with its length."""
    family = version(rng)
    length = rng.choice((*LENGTHS[family][1:], *LENGTHS[family][-3:] * 4))
    return str(ip_network(f"{address(rng, family)}/{length}", strict=False))


def port_member(rng: Random) -> str:
    """Draw a member of an IP_AND_PORT set."""
    family = version(rng)
    holder = rng.choice(LOCAL[family]) if rng.random() < 0.65 else address(rng, family)
    return f"{holder},{rng.choice(('tcp', 'tcp', 'udp', 'sctp'))}:{rng.choice(PORTS)}"


def port_ranges(rng: Random) -> tuple[PortRange, ...]:
    """Draw a list of port ranges, which may overlap."""
    return tuple(_port_range(rng) for _ in range(rng.choice((1, 1, 2, 3))))


def _port_range(rng: Random) -> PortRange:
    first, last = rng.choice(PORTS), rng.choice(PORTS)
    return PortRange(first, first) if rng.random() < 0.6 else PortRange(min(first, last), max(first, last))


def icmp(rng: Random) -> tuple[int, int | None]:
    """Draw an ICMP type, with or without a code."""
    return rng.choice(ICMP_PARTS), rng.choice((None, *ICMP_PARTS[:4]))


def protocol(rng: Random) -> int | str:
    """Draw a protocol by name or by number."""
    return rng.choice(PROTOCOL_NAMES) if rng.random() < 0.6 else rng.choice(PROTOCOL_NUMBERS)


def ids(rng: Random, known: Sequence[str]) -> tuple[str, ...]:
    """Draw one or two ids of those known."""
    return tuple(rng.sample(list(known), min(len(known), rng.choice((1, 1, 2)))))


def rule(rng: Random, nets: Sequence[str], ports: Sequence[str], rule_id: str) -> Rule:
    """Draw a rule over known sets of addresses (``nets``) and of ports (``ports``)."""
    fields: dict[str, Any] = {}
    for name in rng.sample(_WEIGHTED, rng.choice((0, 1, 1, 2, 2, 3, 4))):
        known = ports if "port" in name else nets
        drawn = ids(rng, known) if name.endswith("set_ids") else _DRAW[name](rng)
        fields |= {name: drawn} if drawn else {}
    if "dst_named_port_ip_set_ids" in fields and rng.random() < 0.3:
        fields["dst_ports"] = port_ranges(rng)
    if any(name.endswith("ports") for name in fields) and rng.random() < 0.7:
        fields.setdefault("protocol", rng.choice(("tcp", "udp", "sctp", 6, 17, "udplite")))
    return Rule(action=rng.choice(ACTIONS), rule_id=rule_id, **fields)


def flawed(rng: Random, base: Rule) -> Rule:
    """Return a rule with one field that cannot be translated."""
    return base._replace(**rng.choice(FLAWS))


def _protocol_kind(rng: Random) -> int:
    return rng.choice((4, 6))


def _no_ids(rng: Random) -> tuple[str, ...]:
    raise AssertionError("ids are drawn from those known")


_SIDES = ("src", "dst")
_DRAW: dict[str, Any] = {
    "ip_version": _protocol_kind, "protocol": protocol, "not_protocol": protocol, "icmp": icmp, "not_icmp": icmp,
    "dst_ip_port_set_ids": _no_ids,
    **{f"{negated}{side}_net": cidrs for negated in ("", "not_") for side in _SIDES},
    **{f"{negated}{side}_ports": port_ranges for negated in ("", "not_") for side in _SIDES},
    **{f"{negated}{side}_ip_set_ids": _no_ids for negated in ("", "not_") for side in _SIDES},
    **{f"{negated}{side}_named_port_ip_set_ids": _no_ids for negated in ("", "not_") for side in _SIDES},
}  # fmt: skip
FIELDS = tuple(sorted(_DRAW))
# What is asked for most in real policies, and what is hardest to satisfy by chance, is drawn more often.
_OFTEN = ("src_ip_set_ids", "dst_ip_set_ids", "dst_named_port_ip_set_ids", "src_named_port_ip_set_ids", "dst_ports", "dst_ip_port_set_ids")
_WEIGHTED = FIELDS + _OFTEN * 2
