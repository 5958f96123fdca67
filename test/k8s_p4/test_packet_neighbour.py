"""ARP and neighbour discovery on workload ports: the switch answers for the gateway and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.layers.l2 import ARP, Ether

from k8s_p4.reasons import Reason
from test.support.pipeline import FAR_V6, GATEWAY_V4, GATEWAY_V6, MAC, MACS, NODE_V6, POD1, POD1_V6, Bench, mac, number

LINK_LOCAL = "fe80::1"


def arp(**fields: Any) -> Any:
    known = {"psrc": POD1, "pdst": GATEWAY_V4, "hwsrc": MACS["cali1"], "op": 1}
    return Ether(src=MACS["cali1"], dst="ff:ff:ff:ff:ff:ff") / ARP(**{**known, **fields})


def solicited_node(target: str) -> str:
    low = number(target) & 0xFFFFFF
    return f"ff02::1:ff{low >> 16:02x}:{low & 0xFFFF:04x}"


def solicitation(target: str = GATEWAY_V6, src: str = LINK_LOCAL, dst: str = "", hlim: int = 255, option: Any = "source", **fields: Any) -> Any:
    packet = Ether(src=MACS["cali1"], dst="33:33:ff:00:00:01") / IPv6(src=src, dst=dst or solicited_node(target), hlim=hlim)
    packet = packet / ICMPv6ND_NS(tgt=target, **fields)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=MACS["cali1"]) if option == "source" else packet / option if option else packet


def dropped(bench: Bench, packet: Any, reason: Reason = Reason.NEIGHBOUR, port: str = "cali1") -> None:
    outcome = bench.send(port, bytes(packet))
    assert (outcome.reason, outcome.out) == (reason, "")


# --- ARP -------------------------------------------------------------------------------------------------------------------------


def test_gateway_answers_arp(bench: Bench) -> None:
    outcome = bench.send("cali1", bytes(arp()))
    assert (outcome.reason, outcome.out) == (Reason.NEIGHBOUR, "cali1")
    expected = Ether(src=MAC, dst=MACS["cali1"]) / ARP(op=2, hwsrc=MAC, psrc=GATEWAY_V4, hwdst=MACS["cali1"], pdst=POD1)
    assert outcome.frame == bytes(expected)


def test_padding_of_arp_is_kept(bench: Bench) -> None:
    outcome = bench.send("cali1", bytes(arp()) + b"\x55" * 18)
    assert outcome.frame[42:] == b"\x55" * 18


def test_answers_are_not_counted_as_drops(bench: Bench) -> None:
    bench.send("cali1", bytes(arp()))
    assert bench.counter("drops", Reason.NEIGHBOUR) == 0
    bench.send("cali1", bytes(arp(pdst="10.0.0.9")))
    assert bench.counter("drops", Reason.NEIGHBOUR) == 1


ODD_ARP = {"a reply": (20, "0002"), "another hardware": (14, "0006"), "another protocol": (16, "86dd"), "long hardware addresses": (18, "08"),
           "long protocol addresses": (19, "10"), "another target": (38, "0a000002")}  # fmt: skip


@pytest.mark.parametrize("odd", ODD_ARP)
def test_arp_that_is_not_answered(bench: Bench, odd: str) -> None:
    place, changed = ODD_ARP[odd]
    frame = bytes(arp())
    dropped(bench, frame[:place] + bytes.fromhex(changed) + frame[place + len(changed) // 2 :])


@pytest.mark.parametrize("port", ["host", "eth0"])
def test_arp_on_other_ports_is_dropped(bench: Bench, port: str) -> None:
    dropped(bench, arp(), port=port)


def test_arp_of_a_closed_endpoint(bench: Bench) -> None:
    bench.row("port", (bench.ports["cali1"],), ("workload_closed", 1, Reason.DEGRADED))
    dropped(bench, arp(), Reason.DEGRADED)


def test_no_way_back_no_answer(bench: Bench) -> None:
    bench.delete("answer_port", bench.ports["cali1"])
    dropped(bench, arp())
    dropped(bench, solicitation())


def test_arp_cut_short(bench: Bench) -> None:
    dropped(bench, bytes(arp())[:41], Reason.PARSE)


# --- neighbour solicitations -----------------------------------------------------------------------------------------------------


def check_advertisement(frame: bytes, target: str, asker: str, answer_mac: str = MAC) -> None:
    expected = Ether(src=answer_mac, dst=MACS["cali1"]) / IPv6(src=target, dst=asker, hlim=255)
    expected = expected / ICMPv6ND_NA(R=1, S=1, O=1, tgt=target) / ICMPv6NDOptDstLLAddr(lladdr=answer_mac)
    assert frame == bytes(expected)


@pytest.mark.parametrize("src", [LINK_LOCAL, POD1_V6])
@pytest.mark.parametrize("dst", ["", GATEWAY_V6])
def test_gateway_answers_solicitations(bench: Bench, src: str, dst: str) -> None:
    outcome = bench.send("cali1", bytes(solicitation(src=src, dst=dst)))
    assert (outcome.reason, outcome.out) == (Reason.NEIGHBOUR, "cali1")
    check_advertisement(outcome.frame, GATEWAY_V6, src)


v6_addresses = st.integers(1, (1 << 128) - 1).map(lambda value: str(IPv6Address(value)))


@given(target=v6_addresses, asker=v6_addresses, answer=st.integers(0, (1 << 48) - 1), hardware=st.integers(0, (1 << 48) - 1))
@settings(max_examples=150, deadline=None)
def test_checksum_of_the_advertisement(shared: Bench, target: str, asker: str, answer: int, hardware: int) -> None:
    """For any addresses: the answer's checksum is the one a fresh calculation gives."""
    shared.row("nd_answer", (number(target),), ("nd_reply", answer))
    try:
        text = ":".join(f"{answer:012x}"[i : i + 2] for i in range(0, 12, 2))
        packet = solicitation(target, asker)
        packet[ICMPv6NDOptSrcLLAddr].lladdr = ":".join(f"{hardware:012x}"[i : i + 2] for i in range(0, 12, 2))
        outcome = shared.send("cali1", bytes(packet))
        assert outcome.out == "cali1"
        check_advertisement(outcome.frame, target, asker, text)
    finally:
        if number(target) != number(GATEWAY_V6):
            shared.delete("nd_answer", number(target))


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_wrong_checksum_stays_wrong(bench: Bench) -> None:
    """The checksum is changed by a difference, so a damaged message is not made whole."""
    outcome = bench.send("cali1", bytes(solicitation(cksum=0x1234)))
    right = bench.send("cali1", bytes(solicitation()))
    assert outcome.frame[:56] == right.frame[:56] and outcome.frame[56:58] != right.frame[56:58]


def test_duplicate_detection_is_dropped(bench: Bench) -> None:
    dropped(bench, solicitation(src="::", option=None))
    dropped(bench, solicitation(src="::"))
    dropped(bench, solicitation(target=LINK_LOCAL, src="::", option=None))


@pytest.mark.parametrize("option", [None, ICMPv6NDOptDstLLAddr(lladdr=MACS["cali1"]), ICMPv6NDOptUnknown(type=14, len=1, data=bytes(6)),
                                    ICMPv6NDOptSrcLLAddr(lladdr=MACS["cali1"]) / ICMPv6NDOptUnknown(type=14, len=1, data=bytes(6))])  # fmt: skip
def test_without_exactly_a_source_address_option(bench: Bench, option: Any) -> None:
    dropped(bench, solicitation(option=option))


def test_option_of_another_length(bench: Bench) -> None:
    frame = bytearray(bytes(solicitation()))
    assert frame[-8:-6] == b"\x01\x01"
    frame[-7] = 2
    dropped(bench, bytes(frame))


def test_odd_code(bench: Bench) -> None:
    dropped(bench, solicitation(code=1))


def test_behind_an_extension_header(bench: Bench) -> None:
    packet = solicitation()
    body = packet[ICMPv6ND_NS]
    packet[IPv6].remove_payload()
    dropped(bench, packet / IPv6ExtHdrDestOpt() / body)


def test_unknown_target(bench: Bench) -> None:
    """Multicast can't be forwarded; a unicast solicitation is a packet like any other, and gets in to the node."""
    dropped(bench, solicitation(target="fe80::77"))
    outcome = bench.send("cali1", bytes(solicitation(target=NODE_V6, src=POD1_V6, dst=NODE_V6)))
    assert (outcome.reason, outcome.out) == (Reason.NO_POLICY, "host")


def test_hop_limit_below_255_is_no_solicitation(bench: Bench) -> None:
    outcome = bench.send("cali1", bytes(solicitation(src=POD1_V6, dst=FAR_V6, hlim=254)))
    assert (outcome.reason, outcome.out) == (Reason.POLICY_ALLOW, "eth0")


@pytest.mark.parametrize("port", ["host", "eth0"])
def test_solicitations_on_other_ports_are_not_answered(bench: Bench, port: str) -> None:
    assert bench.send(port, bytes(solicitation(src=FAR_V6, dst=POD1_V6))).out == "cali1"


@pytest.mark.parametrize("message", [ICMPv6ND_RS(), ICMPv6ND_NA(tgt=LINK_LOCAL)])
def test_other_messages_to_the_node(bench: Bench, message: Any) -> None:
    packet = Ether(src=MACS["cali1"], dst=MAC) / IPv6(src=LINK_LOCAL, dst=NODE_V6, hlim=255) / message
    outcome = bench.send("cali1", bytes(packet))
    assert (outcome.reason, outcome.out) == (Reason.NO_POLICY, "host")


def test_every_answer_row_counts(bench: Bench) -> None:
    """The MAC is that of the row, and without the row there is no answer."""
    bench.row("arp_answer", (number("10.0.0.254"),), ("arp_reply", mac("02:aa:bb:cc:dd:ee")))
    outcome = bench.send("cali1", bytes(arp(pdst="10.0.0.254")))
    assert Ether(outcome.frame)[ARP].hwsrc == "02:aa:bb:cc:dd:ee"
    bench.delete("arp_answer", number("10.0.0.254"))
    dropped(bench, arp(pdst="10.0.0.254"))
    bench.delete("nd_answer", number(GATEWAY_V6))
    dropped(bench, solicitation())
