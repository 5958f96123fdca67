"""Frames made from a few fields, so that a packet can be traced without any tool but this one.

Layouts: IPv4 RFC 791, IPv6 RFC 8200, TCP RFC 9293, UDP RFC 768, UDP-Lite RFC 3828, SCTP RFC 9260, ICMP RFC 792, ICMPv6 RFC 4443.
"""

from ipaddress import IPv6Address, ip_address
from struct import pack
from typing import NamedTuple

from calico_p4.frames import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6, "sctp": SCTP, "udplite": UDPLITE}
NAMES = {number: name for name, number in PROTOCOLS.items()}
SWITCH_MAC = bytes.fromhex("ee" * 6)
_SYN, _WINDOW = 0x5002, 0xFFFF
_PAYLOAD = bytes(8)


class Flow(NamedTuple):
    """The first packet of a conversation; ports and ICMP count only where the protocol has them."""

    proto: int
    src: str
    dst: str
    sport: int = 40000
    dport: int = 80
    icmp_type: int = 8
    icmp_code: int = 0
    ttl: int = 64


def frame(flow: Flow, src_mac: int) -> bytes:
    """Return the Ethernet frame, checksums and all, addressed to the switch. Raises ValueError: two families, or no address."""
    src, dst = ip_address(flow.src), ip_address(flow.dst)
    if src.version != dst.version:
        raise ValueError(f"{flow.src} and {flow.dst} are of two families")
    upper = _upper(flow, src.packed, dst.packed)
    ethernet = SWITCH_MAC + src_mac.to_bytes(6)
    if isinstance(src, IPv6Address):
        return ethernet + b"\x86\xdd" + pack(">IHBB", 6 << 28, len(upper), flow.proto, flow.ttl) + src.packed + dst.packed + upper
    head = pack(">BBHHHBB", 0x45, 0, 20 + len(upper), 0, 0x4000, flow.ttl, flow.proto)
    addresses = src.packed + dst.packed
    return ethernet + b"\x08\x00" + head + pack(">H", _checksum(head + b"\0\0" + addresses)) + addresses + upper


def _upper(flow: Flow, src: bytes, dst: bytes) -> bytes:
    ports = pack(">HH", flow.sport, flow.dport)
    if flow.proto == TCP:
        return _summed(flow.proto, src, dst, ports + pack(">IIHH", 1, 0, _SYN, _WINDOW), pack(">H", 0) + _PAYLOAD)
    if flow.proto in (UDP, UDPLITE):
        return _summed(flow.proto, src, dst, ports + pack(">H", 8 + len(_PAYLOAD)), _PAYLOAD)
    if flow.proto == SCTP:
        return ports + bytes(8) + _PAYLOAD
    if flow.proto == (ICMPV6 if len(src) == 16 else ICMP):
        head = pack(">BB", flow.icmp_type, flow.icmp_code)
        if flow.proto == ICMPV6:
            return _summed(flow.proto, src, dst, head, _PAYLOAD)
        return head + pack(">H", _checksum(head + b"\0\0" + _PAYLOAD)) + _PAYLOAD
    return _PAYLOAD


def _summed(proto: int, src: bytes, dst: bytes, before: bytes, after: bytes) -> bytes:
    """Put the checksum, pseudo-header included, between two parts of a segment."""
    length = len(before) + 2 + len(after)
    total = _checksum(src + dst + pack(">II", length, proto) + before + b"\0\0" + after)
    return before + pack(">H", total or 0xFFFF) + after


def _checksum(data: bytes) -> int:
    """Return the Internet checksum of some bytes (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2]) for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
