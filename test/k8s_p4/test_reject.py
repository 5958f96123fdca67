"""Denied packets that are answered: byte for byte what scapy makes of the same fields, back where the packet came from."""

from __future__ import annotations

import re
import struct
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw
from scapy.utils import checksum

from k8s_p4 import compile, schema
from k8s_p4.reasons import Reason
from k8s_p4.rejects import Rejected
from test.support.nat import service, wrong_checksums
from test.support.pipeline import HOOKS, MAC, MACS, Bench, Outcome, mac, number, prefix, rule
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, deny
from test.support.tunnels import datagram_sum, header_sum

UNREACHABLE, RESET = ("port_unreachable",), ("tcp_reset",)
VIP = Party("eth0", "10.96.0.10", "fd00:96::a")
DATA = [b"", b"x", b"odd", bytes(range(64)), b"\xff" * 500]
ORDINARY = [TCP(sport=40000, dport=80, flags="S", seq=7), TCP(sport=1, dport=65535, flags="PA", seq=1, ack=2, options=[("MSS", 1460), ("NOP", None)]),
            UDP(sport=40000, dport=53), UDP(sport=53, dport=53)]  # fmt: skip


def reject(bench: Bench, reason: Reason, how: tuple[str] = UNREACHABLE) -> None:
    """From now on packets denied for this reason are answered so."""
    bench.row("reject", (reason,), how)


def hooked(bench: Bench) -> None:
    """A host endpoint at eth0 that lets everything pass on."""
    bench.row("port", (bench.ports["eth0"],), ("uplink", 5))
    bench.row("next_hop", (20,), ("send", bench.ports["eth0"], mac(MAC), mac(MACS["eth0"]), 5))
    for stage in HOOKS:
        bench.row(f"{stage}.binding", (5,), ("bind", 5, 5, 7))
        bench.row(f"{stage}.rules", rule(7), ("pass_on", 3))


def fate(outcome: Outcome) -> Rejected:
    """What became of the answer."""
    return Rejected(outcome.injected.metadata["reject"])


def unreachable(talk: Talk, src: Party, dst: Party, sent: Any) -> bytes:
    """The answer as scapy makes it, in the frame that its receiver gets."""
    quoted = Raw(bytes(sent.payload))
    ends = {"src": dst.address(talk.version), "dst": src.address(talk.version)}
    if talk.version == 4:
        answer = IP(**ends, id=0, flags="DF", tos=0xC0, ttl=64) / ICMP(type=3, code=3) / quoted
    else:
        answer = IPv6(**ends, hlim=64) / ICMPv6DestUnreach(code=4) / quoted
    return bytes(Ether(src=MAC, dst=MACS[src.port]) / answer)


def assert_unreachable(talk: Talk, src: Party, dst: Party, l4: Any, **ip: Any) -> Outcome:
    sent = Ether(bytes(talk.packet(src, dst, l4, **ip)))
    outcome = talk.raw(src, sent)
    assert (fate(outcome), outcome.out) == (Rejected.SENT, src.port)
    assert outcome.frame == unreachable(talk, src, dst, sent)
    assert not wrong_checksums(outcome.frame)
    return outcome


def assert_silent(talk: Talk, src: Party, dst: Party, l4: Any, why: Rejected, **ip: Any) -> None:
    before = talk.bench.counter("rejects", why)
    outcome = talk.send(src, dst, l4, **ip)
    assert (fate(outcome), outcome.out) == (why, "")
    assert talk.bench.counter("rejects", why) == before + (why != Rejected.NONE)


@pytest.fixture
def denying(talk: Talk, bench: Bench) -> Talk:
    """ONE may send nothing, and is told so."""
    deny(bench, ONE, "egress")
    reject(bench, Reason.POLICY)
    return talk


@pytest.mark.parametrize("l4", ORDINARY, ids=["SYN", "options", "UDP", "DNS"])
def test_what_policy_denies_comes_back(denying: Talk, l4: Any) -> None:
    for data in DATA:
        for dst in (TWO, REMOTE, HOST):
            outcome = assert_unreachable(denying, ONE, dst, l4 / Raw(data))
            assert outcome.reason == Reason.POLICY
    assert denying.learned() == {}
    assert denying.bench.counter("rejects", Rejected.SENT) == denying.bench.counter("drops", Reason.POLICY) == 3 * len(DATA)


def test_an_echo_request_comes_back(denying: Talk) -> None:
    assert_unreachable(denying, ONE, TWO, denying.echo_layer(7))
    assert_unreachable(denying, ONE, TWO, denying.echo_layer(7, reply=True))


def test_without_a_row_nothing_comes_back(denying: Talk, bench: Bench) -> None:
    bench.delete("reject", Reason.POLICY)
    assert_silent(denying, ONE, TWO, UDP(sport=1, dport=2), Rejected.NONE)
    assert bench.counter("rejects", Rejected.SENT) == 0
    assert bench.counter("drops", Reason.POLICY) == 1


def test_to_the_network_and_to_the_node(talk: Talk, bench: Bench) -> None:
    """Denied by the receiver's policy: the answer goes by the route of the sender."""
    deny(bench, TWO, "ingress")
    reject(bench, Reason.POLICY)
    for src in (REMOTE, ONE):
        assert_unreachable(talk, src, TWO, UDP(sport=9, dport=9) / Raw(b"ask"))
    hooked(bench)
    bench.row("egress.binding", (5,), ("bind", 5, 5, 99))
    assert_unreachable(talk, HOST, REMOTE, TCP(sport=9, dport=9, flags="S"))


def test_untracked_and_pre_dnat_policy_reject_nothing(talk: Talk, bench: Bench) -> None:
    """Linux takes rejects in the filter table only."""
    reject(bench, Reason.POLICY)
    hooked(bench)
    for stage in ("untracked_ingress", "pre_dnat", "forward_ingress"):
        for found in (("deny", 3), None):  # by a rule, and by none
            bench.row(f"{stage}.binding", (5,), ("bind", 5, 5, 8 if found else 99))
            bench.row(f"{stage}.rules", rule(8), ("deny", 3))
            outcome = talk.send(REMOTE, TWO, UDP(sport=9, dport=9))
            assert (outcome.reason, fate(outcome)) == (Reason.POLICY, Rejected.SENT if stage == "forward_ingress" else Rejected.NONE)
        bench.row(f"{stage}.binding", (5,), ("bind", 5, 5, 7))


def test_the_packet_comes_back_as_it_came(talk: Talk, bench: Bench) -> None:
    """Denied behind a service: quoted with the service's address, which also sends the answer."""
    service(bench, VIP.address(talk.version), 80, [(TWO.address(talk.version), 8080)])
    deny(bench, TWO, "ingress")
    reject(bench, Reason.POLICY)
    for src in (ONE, REMOTE):
        assert_unreachable(talk, src, VIP, TCP(sport=40000, dport=80, flags="S") / Raw(b"early"))


def test_a_service_without_endpoints(talk: Talk, bench: Bench) -> None:
    service(bench, VIP.address(talk.version), 80, [])
    service(bench, VIP.address(talk.version), 81, [], flags=32)
    reject(bench, Reason.NO_BACKEND)
    for src in (ONE, REMOTE):
        assert assert_unreachable(talk, src, VIP, TCP(sport=40000, dport=80, flags="S")).reason == Reason.NO_BACKEND
        assert_silent(talk, src, VIP, TCP(sport=40000, dport=81, flags="S"), Rejected.NONE)


def test_encapsulated(talk: Talk, bench: Bench) -> None:
    """A workload's VXLAN is Felix's to reject; what comes to a tunnel's end from a stranger is not."""
    reject(bench, Reason.ENCAPSULATED)
    assert assert_unreachable(talk, ONE, TWO, UDP(sport=9, dport=4789) / Raw(b"0" * 40)).reason == Reason.ENCAPSULATED
    bench.row(f"tunnel_local_v{talk.version}", (1, number(HOST.address(talk.version))), ("terminate", bench.ports["eth0"], 4096))
    outcome = talk.send(REMOTE, HOST, UDP(sport=9, dport=4789) / Raw(b"0" * 40))
    assert (outcome.reason, fate(outcome)) == (Reason.ENCAPSULATED, Rejected.NONE)


# --- what is never answered


def test_fragments(denying: Talk) -> None:
    whole = UDP(sport=1, dport=2) / Raw(bytes(64))
    if denying.version == 4:
        assert_silent(denying, ONE, TWO, whole, Rejected.FRAGMENT, flags="MF")
        assert_silent(denying, ONE, TWO, Raw(bytes(64)), Rejected.FRAGMENT, frag=8, proto=17)
    else:
        assert_silent(denying, ONE, TWO, IPv6ExtHdrFragment(m=1, id=1) / whole, Rejected.FRAGMENT)
        assert_silent(denying, ONE, TWO, IPv6ExtHdrFragment(offset=8, id=1, nh=17) / Raw(bytes(64)), Rejected.FRAGMENT)


def test_what_the_switch_cannot_sum(denying: Talk) -> None:
    assert_silent(denying, ONE, TWO, SCTP(sport=1, dport=2) / Raw(bytes(8)), Rejected.PROTOCOL)
    protocol = {"proto": 253} if denying.version == 4 else {"nh": 253}
    assert_silent(denying, ONE, TWO, Raw(bytes(8)), Rejected.PROTOCOL, **protocol)
    assert_silent(denying, ONE, TWO, UDP(sport=1, dport=2, chksum=0), Rejected.CHECKSUM)
    assert_silent(denying, ONE, TWO, UDP(sport=1, dport=2, len=12) / Raw(bytes(16)), Rejected.CHECKSUM)
    if denying.version == 6:
        assert_silent(denying, ONE, TWO, IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2), Rejected.PROTOCOL)


def udplite(talk: Talk, coverage: int, data: bytes) -> Any:
    """UDPLite from ONE to TWO whose checksum covers so much (RFC 3828): its pseudo header has the whole length."""
    head = struct.pack("!HHHH", 7, 8, coverage, 0)
    ends = b"".join(ip_address(party.address(talk.version)).packed for party in (ONE, TWO))
    total = checksum(ends + struct.pack("!II", len(head + data), 136) + (head + data)[:coverage]) or 0xFFFF
    return Raw(head[:6] + total.to_bytes(2, "big") + data)


def test_udplite(denying: Talk) -> None:
    """Answered if all of it is covered."""
    protocol = {"proto": 136} if denying.version == 4 else {"nh": 136}
    assert_unreachable(denying, ONE, TWO, udplite(denying, 28, b"z" * 20), **protocol)
    assert_silent(denying, ONE, TWO, udplite(denying, 8, b"z" * 20), Rejected.CHECKSUM, **protocol)
    assert_silent(denying, ONE, TWO, udplite(denying, 27, b"z" * 20), Rejected.CHECKSUM, **protocol)


def test_ipv4_options_are_quoted(denying: Talk) -> None:
    if denying.version == 4:
        assert_unreachable(denying, ONE, TWO, UDP(sport=1, dport=2), options=[IPOption_Router_Alert()])


def test_no_longer_than_any_link_carries(denying: Talk) -> None:
    most = 1280 - (28 + 20 if denying.version == 4 else 48 + 40) - 8
    assert len(assert_unreachable(denying, ONE, TWO, UDP(sport=1, dport=2) / Raw(bytes(most))).frame) == 1280 + 14
    assert_silent(denying, ONE, TWO, UDP(sport=1, dport=2) / Raw(bytes(most + 1)), Rejected.LENGTH)


def test_errors(denying: Talk) -> None:
    quoted = Raw(bytes(denying.packet(TWO, ONE, UDP(sport=1, dport=2)).payload))
    if denying.version == 4:
        for kind in (3, 4, 5, 11, 12, 19, 40, 255):
            assert_silent(denying, ONE, TWO, ICMP(type=kind) / quoted, Rejected.ERROR)
        for kind in (13, 17, 18):
            assert_unreachable(denying, ONE, TWO, ICMP(type=kind) / Raw(bytes(12)))
    else:
        for kind in (1, 2, 3, 4, 100, 127):
            body = Raw(bytes([kind, 0, 0, 0]) + bytes(4) + bytes(quoted))
            assert_silent(denying, ONE, TWO, body, Rejected.ERROR, nh=58)


@pytest.mark.parametrize("v4", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "240.0.0.1", "255.255.255.255"])
def test_senders_that_are_not_one_host(talk: Talk, bench: Bench, v4: str) -> None:
    deny(bench, TWO, "ingress")
    reject(bench, Reason.POLICY)
    v6 = {"0.0.0.0": "::", "127.0.0.1": "::1", "224.0.0.5": "ff02::5"}.get(v4, "ff0e::1")
    assert_silent(talk, Party("eth0", v4, v6), TWO, UDP(sport=1, dport=2), Rejected.ADDRESS)


@pytest.mark.parametrize("v4", ["224.0.0.251", "239.1.1.1", "255.255.255.255"])
def test_multicast_and_broadcast(denying: Talk, v4: str) -> None:
    assert_silent(denying, ONE, Party("eth0", v4, "ff02::fb"), UDP(sport=1, dport=2), Rejected.ADDRESS)


def test_a_frame_to_several_stations(denying: Talk) -> None:
    frame = denying.packet(ONE, TWO, UDP(sport=1, dport=2))
    frame.dst = "ff:ff:ff:ff:ff:ff"
    assert fate(denying.raw(ONE, frame)) == Rejected.ADDRESS


def test_no_way_back(talk: Talk, bench: Bench) -> None:
    """It is told, and the packet's own reason stays."""
    deny(bench, TWO, "ingress")
    reject(bench, Reason.POLICY)
    bench.delete(f"route_v{talk.version}", (0, 0))
    outcome = talk.send(REMOTE, TWO, UDP(sport=1, dport=2))
    assert (outcome.reason, fate(outcome), outcome.out) == (Reason.POLICY, Rejected.NO_WAY, "")
    assert (bench.counter("rejects", Rejected.NO_WAY), bench.counter("drops", Reason.POLICY), bench.counter("drops", Reason.NO_ROUTE)) == (1, 1, 0)


def test_a_damaged_packet_gets_a_damaged_answer(denying: Talk) -> None:
    """Nobody could verify its checksum, so its sender must not take the answer for one."""
    frame = bytearray(bytes(denying.packet(ONE, TWO, UDP(sport=1, dport=2) / Raw(b"ask"))))
    frame[-1] ^= 1
    outcome = denying.bench.send(ONE.port, bytes(frame))
    assert "l4" in wrong_checksums(outcome.frame)


def test_no_more_than_so_many(denying: Talk, bench: Bench) -> None:
    """A meter by the sender: what is over it is dropped as ever."""
    bench.switch.client.write_meters([(schema.METERS["reject_rate"][0], 1, (10, 5, 10, 5))])

    def told(src: Party) -> int:
        fates = [fate(denying.send(src, REMOTE if src == ONE else ONE, UDP(sport=1, dport=2))) for _ in range(12)]
        assert set(fates) <= {Rejected.SENT, Rejected.RATE}
        return fates.count(Rejected.SENT)

    deny(bench, TWO, "egress")
    assert (told(ONE), told(ONE), told(TWO)) == (5, 0, 12)
    denying.wait(0.3)
    assert told(ONE) == 3
    assert bench.counter("rejects", Rejected.RATE) == 7 + 12 + 9


# --- resets


def reset(talk: Talk, src: Party, dst: Party, flags: str, seq: int, ack: int, sport: int, dport: int) -> bytes:
    """The answer as scapy makes it."""
    ends = {"src": dst.address(talk.version), "dst": src.address(talk.version)}
    network = IP(**ends, id=0, flags="DF", ttl=64) if talk.version == 4 else IPv6(**ends, hlim=64)
    return bytes(Ether(src=MAC, dst=MACS[src.port]) / network / TCP(sport=dport, dport=sport, flags=flags, seq=seq, ack=ack, window=0))


@pytest.fixture
def limited(talk: Talk, bench: Bench) -> Talk:
    """ONE may begin no flow but one, which it has begun; what is over is told."""
    reject(bench, Reason.CONNECTION_LIMIT, RESET)
    bench.row("connection_limit", (1 << 1,), ("at_most", 1, 0))
    talk.handshake(ONE, TWO, sport=39999)
    return talk


@pytest.mark.parametrize("data", DATA, ids=[str(len(data)) for data in DATA])
@pytest.mark.parametrize("options", [[], [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]], ids=["plain", "options"])
def test_a_segment_over_the_limit(limited: Talk, options: list[Any], data: bytes) -> None:
    """RFC 9293 3.10.7.1; numbers wrap. What was in the frame besides lies behind the end that IP tells."""
    for src, dst in ((ONE, TWO), (ONE, REMOTE)):
        for flags, seq in (("S", 0xFFFFFFFF), ("SF", 5), ("", 9), ("F", 9), ("PU", 0)):
            segment = TCP(sport=40001, dport=81, flags=flags, seq=seq, options=options, urgptr=3) / Raw(data)
            outcome = limited.send(src, dst, segment)
            ack = (seq + len(data) + ("S" in flags) + ("F" in flags)) & 0xFFFFFFFF
            expected = reset(limited, src, dst, "RA", 0, ack, 40001, 81)
            assert (outcome.reason, fate(outcome), outcome.out) == (Reason.CONNECTION_LIMIT, Rejected.SENT, ONE.port)
            assert outcome.frame[: len(expected)] == expected
            assert not wrong_checksums(outcome.frame)
        outcome = limited.send(src, dst, TCP(sport=40001, dport=81, flags="A", seq=5, ack=0xFFFF0000, options=options) / Raw(data))
        expected = reset(limited, src, dst, "R", 0xFFFF0000, 0, 40001, 81)
        assert outcome.frame[: len(expected)] == expected
    assert limited.learned() == {f"flow_v{limited.version}": 2, "connection_slot": 1}


def test_only_segments_are_reset(limited: Talk) -> None:
    assert_silent(limited, ONE, TWO, UDP(sport=1, dport=2), Rejected.PROTOCOL)
    assert_silent(limited, ONE, TWO, limited.echo_layer(7), Rejected.PROTOCOL)


def test_a_reset_has_no_headers_of_the_segments(limited: Talk) -> None:
    segment = TCP(sport=40001, dport=81, flags="S", seq=1)
    expected = reset(limited, ONE, TWO, "RA", 0, 2, 40001, 81)
    if limited.version == 4:
        outcome = limited.send(ONE, TWO, segment, options=[IPOption_Router_Alert()] * 3, tos=3, id=77)
    else:
        outcome = limited.send(ONE, TWO, IPv6ExtHdrDestOpt() / segment, tc=3, fl=99)
    assert outcome.frame == expected


def test_a_reset_of_what_a_service_translated(limited: Talk, bench: Bench) -> None:
    service(bench, VIP.address(limited.version), 80, [(TWO.address(limited.version), 8080)])
    outcome = limited.send(ONE, VIP, TCP(sport=40001, dport=80, flags="S", seq=1))
    assert outcome.frame == reset(limited, ONE, VIP, "RA", 0, 2, 40001, 80)


def test_a_reset_is_denied_like_any_packet_and_never_reset(talk: Talk, bench: Bench) -> None:
    reject(bench, Reason.POLICY, RESET)
    deny(bench, ONE, "egress")
    assert_silent(talk, ONE, TWO, TCP(sport=1, dport=2, flags="R"), Rejected.ERROR)


# --- by tunnels


def test_by_a_tunnel(talk: Talk, bench: Bench) -> None:
    """The sender is behind another node: its answer goes there in VXLAN."""
    v = f"v{talk.version}"
    near, far = (HOST.address(talk.version), REMOTE.address(talk.version))
    pod = Party("eth0", "10.9.0.1", "fd09::1")
    deny(bench, TWO, "ingress")
    reject(bench, Reason.POLICY)
    bench.row(f"route_{v}", (prefix("10.9.0.0/16" if v == "v4" else "fd09::/64"),), ("to_tunnel", 7))
    total = header_sum(17, near, far) if v == "v4" else datagram_sum(4096, near, far, mac(MAC), mac(MAC))
    bench.row("tunnel", (7,), (f"vxlan_{v}", 20, 0, number(near), number(far), total, 4096, mac(MAC), mac(MAC)))
    sent = Ether(bytes(talk.packet(pod, TWO, UDP(sport=1, dport=2) / Raw(b"ask"))))
    outcome = talk.raw(pod, sent)
    assert (fate(outcome), outcome.out) == (Rejected.SENT, "eth0")
    inside = outcome.frame[14 + (20 if v == "v4" else 40) + 16 :]
    assert inside[14:] == unreachable(talk, pod, TWO, sent)[14:]
    assert not wrong_checksums(outcome.frame)


# --- names and draws


def test_the_numbers_are_those_of_the_program() -> None:
    text = compile.sources()["core/rejects.p4"].decode()
    constants = {name: int(value) for name, value in re.findall(r"const bit<8> REJECT_(\w+) = (\d+);", text)}
    assert constants == {each.name: each.value for each in Rejected}
    assert schema.COUNTERS["rejects"][1] > max(constants.values())
    assert all(each.text for each in Rejected)


@pytest.mark.parametrize("seed", range(3))
def test_drawn_packets(denying: Talk, bench: Bench, seed: int) -> None:
    """Sums of every kind: what ONE sends, and what comes by eth0, whose host endpoint lets nothing through."""
    random = Random(seed)
    hooked(bench)
    bench.row("forward_ingress.binding", (5,), ("bind", 5, 5, 99))
    for _ in range(60):
        far = random.sample(range(1, 255), 2)
        words = [":".join(f"{random.randrange(1, 1 << 16):x}" for _ in range(7)) for _ in far]
        src, dst = (Party("eth0", f"198.{random.randrange(256)}.{host}.{random.randrange(256)}", f"2{host:03x}:{rest}") for host, rest in zip(far, words, strict=True))
        if random.random() < 0.3:
            src = ONE
        data = Raw(random.randbytes(random.choice((0, 1, 2, 17, 400))))
        ports = {"sport": random.randrange(65536), "dport": random.randrange(65536)}
        number_ = random.randrange(1 << 32)
        l4 = random.choice((TCP(**ports, flags=random.randrange(64) & ~4, seq=number_, ack=number_), UDP(**ports), denying.echo_layer(number_ & 0xFFFF)))
        ip = {"tos": random.randrange(256), "id": random.randrange(65536)} if denying.version == 4 else {"tc": random.randrange(256), "fl": random.randrange(1 << 20)}
        assert_unreachable(denying, src, dst, l4 / data if not l4.payload else l4, **ip)
