"""Ethernet frames made by hand from ``Packet``: fast, and independent of what the product sends with.

Layouts: IPv4 RFC 791, IPv6 RFC 8200, TCP RFC 9293, UDP RFC 768, UDP-Lite RFC 3828, SCTP RFC 9260, ICMP RFC 792, ICMPv6 RFC 4443.
Checksums are right everywhere but in SCTP, whose CRC32c is left 0.
"""

import socket
import struct
from functools import lru_cache

from test.support.packet import ICMP, ICMP_OF, ICMPV6, PORT_PROTOCOLS, SCTP, TCP, UDP, UDPLITE, Packet, is_icmp

SOURCE_MAC, TARGET_MAC = bytes.fromhex("02000000aa01"), bytes.fromhex("02000000bb02")
PAYLOAD = bytes(range(16))
_RECORD_ROUTE = bytes((7, 7, 4, 0, 0, 0, 0, 0))
_HOP_BY_HOP, _FRAGMENT_HEADER, _NO_NEXT_HEADER, _DESTINATION_OPTIONS = 0, 44, 59, 60
_PAD_OPTION = bytes((1, 4, 0, 0, 0, 0))


def frame(packet: Packet, src_mac: bytes = SOURCE_MAC, dst_mac: bytes = TARGET_MAC) -> bytes:
    """Return the Ethernet frame of a packet."""
    body = _ipv4(packet) if packet.version == 4 else _ipv6(packet)
    return dst_mac + src_mac + (b"\x08\x00" if packet.version == 4 else b"\x86\xdd") + body


@lru_cache(maxsize=1 << 14)
def _bytes(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def checksum(data: bytes) -> int:
    """Return the Internet checksum of some bytes (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _ipv4(packet: Packet) -> bytes:
    options = _RECORD_ROUTE if packet.options else b""
    payload = _upper(packet)
    length = 20 + len(options) + len(payload)
    offset = 185 if packet.fragment else 0
    start = struct.pack(">BBHHHBB", 0x45 + len(options) // 4, 0, length, 0x1234, offset, packet.ttl, packet.proto)
    rest = _bytes(packet.src) + _bytes(packet.dst) + options
    return start + struct.pack(">H", checksum(start + b"\0\0" + rest)) + rest + payload


def _ipv6(packet: Packet) -> bytes:
    proto, payload = packet.proto, _upper(packet)
    if packet.fragment:
        payload, proto = struct.pack(">BBHI", proto, 0, 185 << 3, 0x12345678) + payload, _FRAGMENT_HEADER
    if packet.options:
        payload, proto = bytes((proto, 0)) + _PAD_OPTION + payload, _HOP_BY_HOP
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, packet.ttl) + _bytes(packet.src) + _bytes(packet.dst) + payload


def _upper(packet: Packet) -> bytes:
    """The fourth layer; a later fragment and a protocol without a layout here carry bytes that look like port numbers."""
    if not packet.fragment and packet.proto in _LAYOUTS and (packet.sport is not None or is_icmp(packet)):
        return _LAYOUTS[packet.proto](packet)
    if packet.version == 6 and packet.proto == _DESTINATION_OPTIONS:  # no protocol but a header before one: here before nothing
        return bytes((_NO_NEXT_HEADER, 0)) + _PAD_OPTION
    return struct.pack(">HH", 80, 80) + PAYLOAD


def _pseudo(packet: Packet, length: int) -> bytes:
    return _bytes(packet.src) + _bytes(packet.dst) + struct.pack(">II", length, packet.proto)


def _tcp(packet: Packet) -> bytes:
    start = struct.pack(">HHIIBBH", packet.sport, packet.dport, 1, 0, 5 << 4, packet.flags, 65535)
    return start + struct.pack(">HH", checksum(_pseudo(packet, 36) + start + b"\0\0\0\0" + PAYLOAD), 0) + PAYLOAD


def _udp(packet: Packet) -> bytes:
    """UDP, and UDP-Lite with a coverage of the whole datagram, which has the same bytes."""
    start = struct.pack(">HHH", packet.sport, packet.dport, 24)
    return start + struct.pack(">H", checksum(_pseudo(packet, 24) + start + b"\0\0" + PAYLOAD) or 0xFFFF) + PAYLOAD


def _sctp(packet: Packet) -> bytes:
    return struct.pack(">HHII", packet.sport, packet.dport, 0, 0) + PAYLOAD


def _icmp(packet: Packet) -> bytes:
    start, rest = struct.pack(">BB", packet.icmp_type, packet.icmp_code), struct.pack(">HH", packet.identifier, 1) + PAYLOAD
    covered = _pseudo(packet, 4 + len(rest)) if packet.version == 6 else b""
    return start + struct.pack(">H", checksum(covered + start + b"\0\0" + rest)) + rest


_LAYOUTS = {TCP: _tcp, UDP: _udp, UDPLITE: _udp, SCTP: _sctp, ICMP: _icmp, ICMPV6: _icmp}


def parse(data: bytes) -> Packet:
    """Return the packet of a frame that ``frame`` made; its inverse, and no reader of foreign frames."""
    version = data[14] >> 4
    return _parse_v4(data[14:]) if version == 4 else _parse_v6(data[14:])


def _parse_v4(ip: bytes) -> Packet:
    header = (ip[0] & 15) * 4
    src, dst = (socket.inet_ntop(socket.AF_INET, ip[n : n + 4]) for n in (12, 16))
    fragment = int.from_bytes(ip[6:8]) & 0x1FFF != 0
    return _parsed(4, ip[9], src, dst, ip[header:], fragment, header > 20, ip[8])


def _parse_v6(ip: bytes) -> Packet:
    src, dst = (socket.inet_ntop(socket.AF_INET6, ip[n : n + 16]) for n in (8, 24))
    proto, rest, options, fragment = ip[6], ip[40:], False, False
    if proto == _HOP_BY_HOP:
        proto, rest, options = rest[0], rest[8:], True
    if proto == _FRAGMENT_HEADER:
        proto, rest, fragment = rest[0], rest[8:], True
    return _parsed(6, proto, src, dst, rest, fragment, options, ip[7])


def _parsed(version: int, proto: int, src: str, dst: str, upper: bytes, fragment: bool, options: bool, ttl: int) -> Packet:
    fields: dict[str, int] = {}
    if not fragment and proto in PORT_PROTOCOLS:
        fields = dict(zip(("sport", "dport"), struct.unpack_from(">HH", upper), strict=True))
        fields |= {"flags": upper[13]} if proto == TCP else {}
    elif not fragment and proto == ICMP_OF[version]:
        fields = {"icmp_type": upper[0], "icmp_code": upper[1], "identifier": int.from_bytes(upper[4:6])}
    return Packet(version, proto, src, dst, fragment=fragment, options=options, ttl=ttl, **fields)
