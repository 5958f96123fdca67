"""Parsing: every header the pipeline knows, judged by what the rule table saw of it and by the frame that left.

A packet's facts are read back from metadata; that they are also the key of the rule table is seen with rules that ask for them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from test.support.pipeline import MAC, MACS, POD1, POD1_V6, POD2, POD2_V6, Bench, Outcome

FACTS = ("ip_version", "protocol", "l4_kind", "src_port", "dst_port", "icmp_type", "icmp_code")
NO_L4, PORTS, ICMP_KIND, FRAGMENT = range(4)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def ether(**fields: Any) -> Any:
    return Ether(src=MACS["cali1"], dst=MAC, **fields)


def v4(**fields: Any) -> Any:
    return ether() / IP(src=POD1, dst=POD2, **fields)


def v6(**fields: Any) -> Any:
    return ether() / IPv6(src=POD1_V6, dst=POD2_V6, **fields)


def facts(outcome: Outcome) -> tuple[int, ...]:
    return tuple(outcome.injected.metadata[name] for name in FACTS)


def must_pass(bench: Bench, packet: Any) -> Outcome:
    """Send a packet that must be forwarded with nothing changed but Ethernet addresses, TTL and checksum."""
    sent = Ether(bytes(packet))
    outcome = bench.send("cali1", bytes(packet))
    assert (outcome.reason, outcome.out) == (Reason.POLICY_ALLOW, "cali2")
    expected = sent.copy()
    expected.src, expected.dst = MAC, MACS["cali2"]
    if IP in expected:
        expected[IP].ttl -= 1
        del expected[IP].chksum
    else:
        expected[IPv6].hlim -= 1
    assert outcome.frame == bytes(expected)
    return outcome


def must_not_parse(bench: Bench, frame: Any) -> None:
    outcome = bench.send("cali1", bytes(frame))
    assert (outcome.reason, outcome.out) == (Reason.PARSE, "")


TCP_80, UDP_53 = TCP(sport=40000, dport=80), UDP(sport=40000, dport=53)
UDPLITE = Raw(bytes.fromhex("9c4000350008ffff"))
L4_CASES = [
    ("tcp", TCP_80, 6, 6, (PORTS, 40000, 80, 0, 0)),
    ("udp", UDP_53, 17, 17, (PORTS, 40000, 53, 0, 0)),
    ("udp port 0", UDP(sport=0, dport=0), 17, 17, (PORTS, 0, 0, 0, 0)),
    ("sctp", SCTP(sport=7, dport=65535), 132, 132, (PORTS, 7, 65535, 0, 0)),
    ("udplite", UDPLITE, 136, 136, (PORTS, 40000, 53, 0, 0)),
    ("253", Raw(bytes.fromhex("9c400035") * 4), 253, 253, (NO_L4, 0, 0, 0, 0)),
    ("253 empty", Raw(b""), 253, 253, (NO_L4, 0, 0, 0, 0)),
]


@pytest.mark.parametrize(("l4", "protocol", "expected"), [case[1:3] + case[4:] for case in L4_CASES], ids=[case[0] for case in L4_CASES])
def test_upper_protocols_v4(bench: Bench, l4: Any, protocol: int, expected: tuple[int, ...]) -> None:
    assert facts(must_pass(bench, v4(proto=protocol) / l4)) == (4, protocol, *expected)


@pytest.mark.parametrize(("l4", "protocol", "expected"), [case[1:2] + case[3:] for case in L4_CASES], ids=[case[0] for case in L4_CASES])
def test_upper_protocols_v6(bench: Bench, l4: Any, protocol: int, expected: tuple[int, ...]) -> None:
    assert facts(must_pass(bench, v6(nh=protocol) / l4)) == (6, protocol, *expected)


def test_icmp_of_each_family(bench: Bench) -> None:
    assert facts(must_pass(bench, v4() / ICMP(type=3, code=4))) == (4, 1, ICMP_KIND, 0, 0, 3, 4)
    assert facts(must_pass(bench, v6() / ICMPv6EchoRequest())) == (6, 58, ICMP_KIND, 0, 0, 128, 0)


def test_icmp_of_the_other_family_has_no_type(bench: Bench) -> None:
    assert facts(must_pass(bench, v4(proto=58) / Raw(b"\x80\x00" + bytes(6)))) == (4, 58, NO_L4, 0, 0, 0, 0)
    assert facts(must_pass(bench, v6(nh=1) / Raw(b"\x08\x00" + bytes(6)))) == (6, 1, NO_L4, 0, 0, 0, 0)


@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_icmp_cut_short_has_no_type(bench: Bench, length: int) -> None:
    body = Raw(b"\x08\x03\xff\xff\x01\x02\x03"[:length])
    assert facts(must_pass(bench, v4(proto=1) / body)) == (4, 1, NO_L4, 0, 0, 0, 0)
    assert facts(must_pass(bench, v6(nh=58) / body)) == (6, 58, NO_L4, 0, 0, 0, 0)
    hop = IPv6ExtHdrHopByHop(nh=58)
    assert facts(must_pass(bench, v6(nh=0) / hop / body)) == (6, 58, NO_L4, 0, 0, 0, 0)


@pytest.mark.parametrize("length", [4, 7])
def test_icmp_cut_short_in_a_padded_frame(bench: Bench, length: int) -> None:
    """What follows the datagram is padding, not a header."""
    frame = bytes(v4(proto=1) / Raw(b"\x08\x03" + bytes(length - 2))) + b"\x08\x03" * 20
    assert facts(bench.send("cali1", frame)) == (4, 1, NO_L4, 0, 0, 0, 0)


@pytest.mark.parametrize("words", range(1, 11))
def test_options_of_every_length_are_not_ports(bench: Bench, words: int) -> None:
    packet = v4(options=[IPOption_NOP()] * 4 * words) / TCP_80
    assert bytes(packet)[14] == 0x45 + words
    assert facts(must_pass(bench, packet)) == (4, 6, PORTS, 40000, 80, 0, 0)


def test_option_bytes_count_in_the_checksum(bench: Bench) -> None:
    raw = bytearray(bytes(v4(options=[IPOption_NOP()] * 8) / TCP_80))
    raw[14 + 20 + 5] ^= 0x10
    must_not_parse(bench, raw)


@pytest.mark.parametrize("byte", [*range(14, 34)])
def test_every_byte_of_the_header_counts_in_the_checksum(bench: Bench, byte: int) -> None:
    raw = bytearray(bytes(v4() / TCP_80))
    raw[byte] ^= 0x04
    must_not_parse(bench, raw)


@given(identification=st.integers(0, 65535), tos=st.integers(0, 255), ttl=st.integers(2, 255), payload=st.binary(max_size=30))
@settings(max_examples=200, deadline=None)
def test_checksums_of_all_kinds_are_right(bench: Bench, identification: int, tos: int, ttl: int, payload: bytes) -> None:
    must_pass(bench, v4(id=identification, tos=tos, ttl=ttl) / UDP_53 / Raw(payload))


def test_the_checksum_that_wraps(bench: Bench) -> None:
    """Lowering TTL adds 0x0100 to the checksum: values on both sides of each carry."""
    base = Ether(bytes(v4(id=0) / UDP_53))[IP].chksum
    for wanted in (0xFEFE, 0xFEFF, 0xFF00, 0xFFFE, 0x0000, 0x0001, 0x00FF):
        identification = (base - wanted) % 0xFFFF
        packet = Ether(bytes(v4(id=identification) / UDP_53))
        assert packet[IP].chksum == wanted
        must_pass(bench, packet)


@pytest.mark.parametrize("length", [0, 19, 20, 27, 39])
def test_total_length_that_cannot_be(bench: Bench, length: int) -> None:
    """Shorter than the header, or than the L4 header: TCP asks for 20 bytes."""
    must_not_parse(bench, Ether(bytes(v4(len=length) / TCP_80)))


@pytest.mark.parametrize(("protocol", "minimum"), [(6, 20), (17, 8), (132, 12), (136, 8)])
def test_least_length_of_l4_headers(bench: Bench, protocol: int, minimum: int) -> None:
    body = Raw(bytes.fromhex("9c400050") + bytes(16))
    assert bench.send("cali1", bytes(v4(proto=protocol, len=20 + minimum) / body)).reason == Reason.POLICY_ALLOW
    must_not_parse(bench, v4(proto=protocol, len=20 + minimum - 1) / body)
    assert bench.send("cali1", bytes(v6(nh=protocol, plen=minimum) / body)).reason == Reason.POLICY_ALLOW
    must_not_parse(bench, v6(nh=protocol, plen=minimum - 1) / body)


@pytest.mark.parametrize("version_ihl", [0x44, 0x40, 0x05, 0x55, 0x65, 0x35])
def test_bad_version_or_header_length_v4(bench: Bench, version_ihl: int) -> None:
    raw = bytearray(bytes(v4() / TCP_80))
    raw[14] = version_ihl
    raw[24:26] = b"\0\0"
    total = sum(int.from_bytes(raw[14 + i : 16 + i], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    raw[24:26] = ((total & 0xFFFF) + (total >> 16) ^ 0xFFFF).to_bytes(2, "big")
    must_not_parse(bench, raw)


@pytest.mark.parametrize("version", [0, 4, 5, 7, 15])
def test_bad_version_v6(bench: Bench, version: int) -> None:
    must_not_parse(bench, v6(version=version) / TCP_80)


def test_traffic_class_and_flow_label_are_left_alone(bench: Bench) -> None:
    must_pass(bench, v6(tc=0xA5, fl=0xBEEF5) / TCP_80)


@pytest.mark.parametrize("ether_type", [0x8100, 0x88CC, 0x8847, 0x0000, 0x05DC, 0xFFFF])
def test_other_ether_types(bench: Bench, ether_type: int) -> None:
    must_not_parse(bench, bytes(ether(type=ether_type)) + bytes(60))


# --- fragments -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["MF", "DF", 0])
def test_first_fragment_has_ports_v4(bench: Bench, flags: Any) -> None:
    assert facts(must_pass(bench, v4(flags=flags) / TCP_80)) == (4, 6, PORTS, 40000, 80, 0, 0)


@pytest.mark.parametrize("offset", [1, 8, 0x1000, 0x1FFF])
@pytest.mark.parametrize("flags", ["MF", 0])
@pytest.mark.parametrize("protocol", [6, 17, 1, 253])
def test_later_fragment_v4(bench: Bench, offset: int, flags: Any, protocol: int) -> None:
    packet = v4(flags=flags, frag=offset, proto=protocol) / Raw(bytes.fromhex("9c400050"))
    assert facts(must_pass(bench, packet)) == (4, protocol, FRAGMENT, 0, 0, 0, 0)


def test_first_and_later_fragments_v6(bench: Bench) -> None:
    first = v6() / IPv6ExtHdrFragment(m=1, id=7) / TCP_80
    assert facts(must_pass(bench, first)) == (6, 6, PORTS, 40000, 80, 0, 0)
    for offset in (1, 0x1000, 0x1FFF):
        for more in (0, 1):
            later = v6(nh=44) / IPv6ExtHdrFragment(nh=17, offset=offset, m=more, id=7) / Raw(bytes.fromhex("9c400050"))
            assert facts(must_pass(bench, later)) == (6, 17, FRAGMENT, 0, 0, 0, 0)


# --- IPv6 extension headers ------------------------------------------------------------------------------------------------------

HBH, ROUTING, DEST, FRAG = "hop-by-hop", "routing", "destination", "fragment"
NUMBERS = {HBH: 0, ROUTING: 43, DEST: 60, FRAG: 44}


def chain(kinds: list[str], units: int = 0, next_header: int = 6) -> bytes:
    """Extension headers in this order; those with a length have `units` more than the least."""
    out = b""
    for place, kind in enumerate(kinds):
        following = NUMBERS[kinds[place + 1]] if place + 1 < len(kinds) else next_header
        if kind == FRAG:
            out += bytes([following, 0, 0, 1, 0, 0, 0, 9])
        elif kind == ROUTING:
            out += bytes([following, units, 4, 0, 0, 0, 0, 0]) + b"\x99" * 8 * units
        else:
            pad = 6 + 8 * units
            out += bytes([following, units, 1, pad - 2]) + bytes(pad - 2) if pad <= 257 else bytes([following, units]) + bytes(pad)
    return out


def with_chain(kinds: list[str], units: int = 0) -> Any:
    body = chain(kinds, units) + bytes(TCP_80)
    return v6(nh=NUMBERS[kinds[0]], plen=len(body)) / Raw(body)


GOOD_CHAINS = [
    [HBH], [ROUTING], [DEST], [FRAG], [HBH, DEST, ROUTING], [HBH, DEST, ROUTING, FRAG, DEST], [FRAG, DEST], [FRAG, ROUTING, DEST],
    [HBH, FRAG], [DEST, DEST, DEST, DEST, DEST], [HBH, ROUTING, DEST, FRAG, DEST, DEST], [DEST, FRAG, DEST],
]  # fmt: skip
BAD_CHAINS = [
    [DEST, HBH], [HBH, HBH], [FRAG, HBH], [FRAG, FRAG], [FRAG, DEST, FRAG], [DEST] * 6, [DEST] * 4 + [FRAG], [FRAG, DEST, DEST, DEST],
    [DEST] * 5 + [FRAG], [FRAG, DEST, DEST, FRAG],
]  # fmt: skip


@pytest.mark.parametrize("units", [0, 1, 5])
@pytest.mark.parametrize("kinds", GOOD_CHAINS, ids=" ".join)
def test_extension_headers_are_parsed_over(bench: Bench, kinds: list[str], units: int) -> None:
    assert facts(must_pass(bench, with_chain(kinds, units))) == (6, 6, PORTS, 40000, 80, 0, 0)


@pytest.mark.parametrize("kinds", BAD_CHAINS, ids=" ".join)
def test_chains_beyond_the_stated_depth(bench: Bench, kinds: list[str]) -> None:
    must_not_parse(bench, with_chain(kinds))


def test_longest_extension_header(bench: Bench) -> None:
    must_pass(bench, with_chain([DEST], 255))


def test_scapys_own_headers(bench: Bench) -> None:
    packet = v6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(addresses=["fd00::7"]) / IPv6ExtHdrDestOpt() / UDP_53
    assert facts(must_pass(bench, Ether(bytes(packet)))) == (6, 17, PORTS, 40000, 53, 0, 0)


def test_payload_length_shorter_than_the_extension_headers(bench: Bench) -> None:
    body = chain([HBH, DEST]) + bytes(TCP_80)
    for claimed in (0, 8, 15, 16, 35):
        must_not_parse(bench, v6(nh=0, plen=claimed) / Raw(body))
    assert bench.send("cali1", bytes(v6(nh=0, plen=36) / Raw(body))).reason == Reason.POLICY_ALLOW


def test_no_next_header(bench: Bench) -> None:
    assert facts(must_pass(bench, v6(nh=59))) == (6, 59, NO_L4, 0, 0, 0, 0)


# --- frames that end too soon, and rubbish ---------------------------------------------------------------------------------------

WHOLE = {
    "v4 tcp": (v4() / TCP_80, 14 + 20 + 4),
    "v4 options": (v4(options=[IPOption_NOP()] * 12) / UDP_53, 14 + 32 + 4),
    "v6 udp": (v6() / UDP_53, 14 + 40 + 4),
    "v6 chain": (with_chain([HBH, FRAG, DEST]), 14 + 40 + 24 + 4),
    "v6 icmp": (v6() / ICMPv6EchoRequest(), 14 + 40 + 4),
}


@pytest.mark.parametrize("name", WHOLE)
def test_frames_that_end_in_their_headers(bench: Bench, name: str) -> None:
    packet, least = WHOLE[name]
    frame = bytes(packet)
    assert bench.send("cali1", frame).reason == Reason.POLICY_ALLOW
    for length in range(least):
        must_not_parse(bench, frame[:length])


def test_rubbish_never_passes_and_never_breaks(bench: Bench) -> None:
    """Random bytes after a known Ethernet type: no address is ours, so nothing may leave."""
    rng = random.Random(5)
    for _ in range(600):
        ether_type = rng.choice([b"\x08\x00", b"\x86\xdd", b"\x08\x06"])
        frame = bytes(rng.randrange(256) for _ in range(12)) + ether_type + rng.choice([b"", b"\x45", b"\x60"]) + rng.randbytes(rng.randrange(120))
        assert bench.send("cali1", frame).out == ""


# --- the facts are the key of the rule table -------------------------------------------------------------------------------------


def test_the_drop_counter_of_parse(bench: Bench) -> None:
    before = bench.counter("drops", Reason.PARSE)
    must_not_parse(bench, v6(version=5) / TCP_80)
    assert bench.counter("drops", Reason.PARSE) == before + 1
