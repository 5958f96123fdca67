"""Tunnels as bytes: what scapy makes of an inner frame, and what it finds in one that left."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

VXLAN_PORT, VNI = 4789, 4096
UDP_NUMBER, IPIP_NUMBER, OUTER_TTL, DONT_FRAGMENT = 17, 4, 64, 0x4000


def constant_sum(words: list[int]) -> int:
    """The ones' complement sum of 16-bit words."""
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _words(value: int, bits: int) -> list[int]:
    return [value >> at & 0xFFFF for at in range(0, bits, 16)]


def header_sum(protocol: int, src: str, dst: str) -> int:
    """What the constant words of a tunnel's IPv4 header add up to: all but TOS, total length and checksum."""
    addresses = _words(int(ip_address(src)), 32) + _words(int(ip_address(dst)), 32)
    return constant_sum([0x4500, DONT_FRAGMENT, OUTER_TTL << 8 | protocol, *addresses])


def datagram_sum(vni: int, src: str, dst: str, src_mac: int, dst_mac: int) -> int:
    """What the constant words under a UDP checksum over IPv6 add up to: pseudo header, destination port, VXLAN, inner Ethernet."""
    addresses = _words(int(ip_address(src)), 128) + _words(int(ip_address(dst)), 128)
    inner = [*_words(src_mac, 48), *_words(dst_mac, 48), 0x86DD]
    return constant_sum([*addresses, UDP_NUMBER, VXLAN_PORT, 0x0800, *_words(vni << 8, 32), *inner])


def ip(src: str, dst: str, **fields: Any) -> Any:
    """An IP header of the family of the addresses; ``ecn`` is part of tos or traffic class, ``ttl`` the hop limit too."""
    ecn, ttl = fields.pop("ecn", 0), fields.pop("ttl", 64)
    if ":" in src:
        return IPv6(src=src, dst=dst, tc=ecn, hlim=ttl, **fields)
    return IP(src=src, dst=dst, tos=ecn, ttl=ttl, **fields)


def _ethernet() -> Any:
    return Ether(src="02:00:00:00:0f:01", dst="02:00:00:00:0f:02")


def in_vxlan(inner: Any, src: str, dst: str, vni: int = VNI, flags: int = 0x08, **fields: Any) -> Any:
    """An outer frame with an inner Ethernet frame."""
    udp = UDP(sport=fields.pop("sport", 50000), dport=fields.pop("dport", VXLAN_PORT), chksum=0)
    return _ethernet() / ip(src, dst, **fields) / udp / VXLAN(flags=flags, vni=vni) / inner


def in_ipip(inner: Any, src: str, dst: str, **fields: Any) -> Any:
    """An outer frame with an inner IPv4 packet."""
    return _ethernet() / ip(src, dst, proto=IPIP_NUMBER, **fields) / inner


def checksums_hold(frame: bytes) -> bool:
    """Whether scapy, made to calculate them anew, finds all IP and UDP checksums of a frame as they are, those of what is inside included.

    A UDP checksum of 0 says that there is none: over IPv6 too, as RFC 6936 allows a tunnel; who asks whether it may be looks himself.
    """
    packet: Any = Ether(frame)
    while packet:
        if isinstance(packet, IP) and not _ipv4_holds(packet):
            return False
        if isinstance(packet, UDP) and not _udp_holds(packet):
            return False
        packet = packet.payload
    return True


def _ipv4_holds(packet: Any) -> bool:
    again = packet.copy()
    del again.chksum
    found: int = IP(bytes(again)).chksum
    return found == packet.chksum


def _udp_holds(packet: Any) -> bool:
    below, data = packet.underlayer, bytes(packet)[: packet.len]
    if packet.chksum == 0:
        return True
    # With the checksum itself under it, a sum that holds is 0.
    check = in4_chksum if isinstance(below, IP) else in6_chksum
    left: int = check(UDP_NUMBER, below, data)
    return left in (0, 0xFFFF)
