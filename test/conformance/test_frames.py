"""Hand-made frames against scapy's reading of them."""

import pytest

from test.support.frames import checksum, frame, parse
from test.support.packet import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, Packet, make

layers = pytest.importorskip("scapy.layers.all", reason="scapy is not installed")
PAIRS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
PROTOCOLS = (TCP, UDP, SCTP, UDPLITE, ICMP, ICMPV6, 253)
CASES = [
    make(version, proto, *PAIRS[version], sport=0, dport=65535, icmp=(3, 1), fragment=fragment, options=options, ttl=3)
    for version in (4, 6) for proto in PROTOCOLS for fragment in (False, True) for options in (False, True)
]  # fmt: skip


def name(packet: Packet) -> str:
    return f"v{packet.version}-{packet.proto}{'-fragment' * packet.fragment}{'-options' * packet.options}"


@pytest.mark.parametrize("packet", CASES, ids=name)
def test_scapy_reads_what_was_meant(packet: Packet) -> None:
    seen = layers.Ether(frame(packet))
    outer = seen[layers.IP if packet.version == 4 else layers.IPv6]
    assert (outer.src, outer.dst, outer.ttl if packet.version == 4 else outer.hlim) == (packet.src, packet.dst, packet.ttl)
    assert _last_protocol(seen, packet) == packet.proto
    assert _fragment_offset(seen, packet) == (185 if packet.fragment else 0)
    ports = next(((seen[layer].sport, seen[layer].dport) for layer in (layers.TCP, layers.UDP, layers.SCTP) if layer in seen), None)
    if packet.proto != UDPLITE and not packet.fragment:  # scapy reads SCTP into later fragments too
        assert ports == ((packet.sport, packet.dport) if packet.sport is not None else None)
    assert "Padding" not in seen


def _last_protocol(seen: object, packet: Packet) -> int:
    if packet.version == 4:
        return int(seen[layers.IP].proto)  # type: ignore[index]
    kinds = (layers.IPv6ExtHdrFragment, layers.IPv6ExtHdrHopByHop, layers.IPv6)
    return int(next(seen[kind].nh for kind in kinds if kind in seen))  # type: ignore[index,operator]


def _fragment_offset(seen: object, packet: Packet) -> int:
    if packet.version == 4:
        return int(seen[layers.IP].frag)  # type: ignore[index]
    return int(seen[layers.IPv6ExtHdrFragment].offset) if layers.IPv6ExtHdrFragment in seen else 0  # type: ignore[index,operator]


@pytest.mark.parametrize("packet", [p for p in CASES if not p.fragment and p.proto in (TCP, UDP, ICMP, ICMPV6)], ids=name)
def test_checksums_are_those_scapy_would_write(packet: Packet) -> None:
    seen = layers.Ether(frame(packet))
    again = seen.copy()
    for layer in (layers.IP, layers.TCP, layers.UDP, layers.ICMP):
        if layer in again:
            del again[layer].chksum
    assert bytes(again) == bytes(seen)


def test_checksum_of_odd_length() -> None:
    assert checksum(b"\x00\x01\xf2") == 0x0DFE


def test_icmp_type_and_code() -> None:
    seen = layers.Ether(frame(make(4, ICMP, *PAIRS[4], icmp=(3, 13))))
    assert (seen[layers.ICMP].type, seen[layers.ICMP].code) == (3, 13)


@pytest.mark.parametrize("packet", CASES, ids=name)
def test_parse_is_the_inverse(packet: Packet) -> None:
    assert parse(frame(packet)) == packet
