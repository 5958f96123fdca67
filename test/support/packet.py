"""The packet as policy sees it: addresses, protocol and what of the fourth layer is visible."""

from dataclasses import dataclass

ICMP, TCP, UDP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 58, 132, 136
IPV4_IN_IP = 4
PORT_PROTOCOLS = frozenset((TCP, UDP, SCTP, UDPLITE))
ICMP_OF = {4: ICMP, 6: ICMPV6}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of IP version 4 or 6. What its header does not show is None.

    ``sport`` and ``dport`` are set for TCP, UDP, SCTP and UDP-Lite, ``icmp_type`` and ``icmp_code`` for ICMP in IPv4 and ICMPv6
    in IPv6. ``fragment`` marks a fragment after the first: none of the four is visible then. ``options`` asks for IPv4 options
    or, in IPv6, a hop-by-hop header, neither of which may change a verdict. ``flags`` are TCP's, ``identifier`` is that of an echo.
    """

    version: int
    proto: int
    src: str
    dst: str
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    fragment: bool = False
    options: bool = False
    ttl: int = 64
    flags: int = 2
    identifier: int = 1


def has_ports(packet: Packet) -> bool:
    """Tell whether the protocol has ports, visible or (in a later fragment) not."""
    return packet.proto in PORT_PROTOCOLS


def is_icmp(packet: Packet) -> bool:
    """Tell whether the packet is ICMP in IPv4 or ICMPv6 in IPv6; the other two combinations have neither type nor code."""
    return packet.proto == ICMP_OF[packet.version]


def make(version: int, proto: int, src: str, dst: str, *, sport: int = 40000, dport: int = 80,
         icmp: tuple[int, int] | None = None, fragment: bool = False, options: bool = False, ttl: int = 64) -> Packet:  # fmt: skip
    """Build a packet of which exactly those fields are set that its protocol has."""
    fields: dict[str, int] = {}
    if not fragment and proto in PORT_PROTOCOLS:
        fields = {"sport": sport, "dport": dport}
    elif not fragment and proto == ICMP_OF[version]:
        kind, code = icmp if icmp is not None else (8 if version == 4 else 128, 0)
        fields = {"icmp_type": kind, "icmp_code": code}
    return Packet(version, proto, src, dst, fragment=fragment, options=options, ttl=ttl, **fields)
