"""The constant part of what a tunnel puts before a packet, as the pipeline wants it (k8s_p4/p4/core/tunnel.p4).

The pipeline adds what depends on the packet: TOS and total length to the sum of an IPv4 header; to that of a UDP datagram over IPv6
its length, its source port, and what is left of the inner packet.
"""

from __future__ import annotations

from .addresses import value_of

VXLAN_PORT = 4789
"""The UDP port of VXLAN, compiled into the pipeline."""
UDP, IPIP = 17, 4
_VERSION, _DONT_FRAGMENT, _TTL = 0x4500, 0x4000, 64
_VXLAN_FLAGS, _ETHERTYPE_IPV6 = 0x0800, 0x86DD


def _folded(*parts: tuple[int, int]) -> int:
    """Ones' complement sum (RFC 1071) of numbers given with their width in bits, a multiple of 16."""
    total = sum(value >> at & 0xFFFF for value, bits in parts for at in range(0, bits, 16))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ipv4_sum(protocol: int, src: int, dst: int) -> int:
    """Of an IPv4 header between two places without TOS, total length and checksum."""
    return _folded((_VERSION, 16), (_DONT_FRAGMENT, 16), (_TTL << 8 | protocol, 16), (value_of(src), 32), (value_of(dst), 32))


def vxlan_v6_sum(vni: int, src: int, dst: int, src_mac: int, dst_mac: int) -> int:
    """Of what a UDP checksum over IPv6 covers: pseudo header without length, destination port, VXLAN header, Ethernet header."""
    pseudo = (value_of(src), 128), (value_of(dst), 128), (UDP, 16)
    inner = (src_mac, 48), (dst_mac, 48), (_ETHERTYPE_IPV6, 16)
    return _folded(*pseudo, (VXLAN_PORT, 16), (_VXLAN_FLAGS, 16), (vni << 8, 32), *inner)
