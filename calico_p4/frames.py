"""Reading a frame: the fields that a person asks about. Written out by hand: scapy takes longer to start than a replay to run."""

from ipaddress import IPv4Address, IPv6Address
from struct import unpack_from
from typing import NamedTuple

TCP, UDP, SCTP, UDPLITE, ICMP, ICMPV6 = 6, 17, 132, 136, 1, 58
WITH_PORTS = frozenset((TCP, UDP, SCTP, UDPLITE))
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))  # RFC 8200, 6275, 7401, 5533: next header, length in units of 8 bytes
_FRAGMENT, _AUTHENTICATION = 44, 51


class Fields(NamedTuple):
    """An IP packet: ports and ICMP are None where it has none (or only a later fragment is there); ``ttl`` is also the hop limit."""

    proto: int
    src: str
    dst: str
    sport: int | None
    dport: int | None
    icmp_type: int | None
    icmp_code: int | None
    ttl: int
    dscp: int


class Tunnel(NamedTuple):
    """What is around a packet: ``type`` vxlan or ipip, ``peer`` the outer destination, ``vni`` None for IP in IP."""

    type: str
    peer: str
    vni: int | None


_IPIP, _VXLAN_PORT = 4, 4789


def unwrap(frame: bytes) -> tuple[Tunnel, bytes] | None:
    """Return the tunnel of a frame that one has made, and the frame inside; None if it is of neither kind.

    That of IP in IP gets the Ethernet addresses of the one around it.
    """
    outer = parse(frame)
    if outer is None:
        return None
    upper = 54 if ":" in outer.src else 14 + (frame[14] & 15) * 4
    if outer.proto == _IPIP:
        return Tunnel("ipip", outer.dst, None), frame[:14] + frame[upper:]
    if outer.proto == UDP and outer.dport == _VXLAN_PORT and len(frame) >= upper + 16:
        return Tunnel("vxlan", outer.dst, int.from_bytes(frame[upper + 12 : upper + 15])), frame[upper + 16 :]
    return None


def parse(frame: bytes) -> Fields | None:
    """Return the fields of an Ethernet frame, None if no complete IPv4 or IPv6 header is in it."""
    if len(frame) < 14:
        return None
    ether_type = int.from_bytes(frame[12:14])
    if ether_type == 0x0800 and len(frame) >= 34:
        return _ipv4(frame[14:])
    return _ipv6(frame[14:]) if ether_type == 0x86DD and len(frame) >= 54 else None


def _ipv4(packet: bytes) -> Fields:
    later = int.from_bytes(packet[6:8]) & 0x1FFF
    upper = b"" if later else packet[(packet[0] & 15) * 4 :]
    src, dst = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    return _fields(packet[9], str(src), str(dst), upper, packet[8], packet[1] >> 2)


def _ipv6(packet: bytes) -> Fields:
    proto, offset = packet[6], 40
    src, dst = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    later = False
    while (proto in _EXTENSIONS or proto in (_FRAGMENT, _AUTHENTICATION)) and not later and len(packet) >= offset + 8:
        later = proto == _FRAGMENT and int.from_bytes(packet[offset + 2 : offset + 4]) >> 3 > 0
        length = 8 if proto == _FRAGMENT else (packet[offset + 1] + 2) * 4 if proto == _AUTHENTICATION else (packet[offset + 1] + 1) * 8
        proto, offset = packet[offset], offset + length
    dscp = int.from_bytes(packet[0:2]) >> 6 & 63
    return _fields(proto, str(src), str(dst), b"" if later else packet[offset:], packet[7], dscp)


def _fields(proto: int, src: str, dst: str, upper: bytes, ttl: int, dscp: int) -> Fields:
    sport = dport = icmp_type = icmp_code = None
    if proto in WITH_PORTS and len(upper) >= 4:
        sport, dport = unpack_from("!HH", upper)
    elif proto == (ICMPV6 if ":" in src else ICMP) and len(upper) >= 2:
        icmp_type, icmp_code = upper[0], upper[1]
    return Fields(proto, src, dst, sport, dport, icmp_type, icmp_code, ttl, dscp)
