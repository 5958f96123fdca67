"""VXLAN and IP in IP, packet by packet with rows written by hand: out to a peer, in from one, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from k8s_p4.rows import TABLES
from test.support.pipeline import (
    FAR,
    HOOKS,
    MAC,
    MACS,
    NODE,
    NODE_V6,
    POD1,
    POD1_V6,
    POD2,
    POD2_V6,
    Bench,
    Outcome,
    family,
    mac,
    number,
    prefix,
    rule,
)
from test.support.tunnels import IPIP_NUMBER, UDP_NUMBER, VNI, VXLAN_PORT, checksums_hold, datagram_sum, header_sum, in_ipip, in_vxlan, ip

VXLAN_KIND, IPIP_KIND = 1, 2
PEER_NODE, OTHER_NODE = 7, 8
PEER, PEER_V6, OTHER = "192.0.2.12", "2001:db8::12", "192.0.2.13"
REMOTE, REMOTE_V6, OTHERS = "10.0.1.1", "fd00:0:0:1::1", "10.0.2.1"
VTEP, PEER_VTEP = "66:00:00:00:00:11", "66:00:00:00:00:12"
DEVICE, IPIP_DEVICE = "vxlan.calico", "tunl0"
OUT_V4, OUT_V6, OUT_IPIP = 1, 2, 3
NETS = {REMOTE: "10.0.1.0/24", REMOTE_V6: "fd00:0:0:1::/64"}
WAYS = pytest.mark.parametrize(
    ("number_of_tunnel", "remote", "outer"), [(OUT_V4, REMOTE, 4), (OUT_V4, REMOTE_V6, 4), (OUT_V6, REMOTE, 6), (OUT_V6, REMOTE_V6, 6), (OUT_IPIP, REMOTE, 0)],
    ids=["v4-in-v4", "v6-in-v4", "v4-in-v6", "v6-in-v6", "ipip"])  # fmt: skip


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with_tunnels(bench)
    yield bench
    bench.close()


def with_tunnels(bench: Bench) -> None:
    for name in (DEVICE, IPIP_DEVICE):
        bench.ports[name] = bench.client.ensure_port(name)
        bench.row("port", (bench.ports[name],), ("tunnel_device", 0))
    for node, peer in ((NODE, PEER), (NODE_V6, PEER_V6)):
        v = family(node)
        bench.row(f"tunnel_local_{v}", (VXLAN_KIND, number(node)), ("terminate", bench.ports[DEVICE], VNI))
        bench.row(f"tunnel_peer_{v}", (VXLAN_KIND, number(peer)), ("from_peer", PEER_NODE))
    bench.row("tunnel_local_v4", (IPIP_KIND, number(NODE)), ("terminate", bench.ports[IPIP_DEVICE], 0))
    bench.row("tunnel_peer_v4", (IPIP_KIND, number(PEER)), ("from_peer", PEER_NODE))
    bench.row("tunnel_peer_v4", (VXLAN_KIND, number(OTHER)), ("from_peer", OTHER_NODE))
    for address, net in NETS.items():
        bench.row(f"tunnel_source_{family(address)}", (prefix(net),), ("behind", PEER_NODE))
    bench.row("tunnel_source_v4", (prefix("10.0.2.0/24"),), ("behind", OTHER_NODE))
    macs = (mac(VTEP), mac(PEER_VTEP))
    bench.row("tunnel", (OUT_V4,), ("vxlan_v4", 20, 0, number(NODE), number(PEER), header_sum(UDP_NUMBER, NODE, PEER), VNI, *macs))
    bench.row("tunnel", (OUT_V6,), ("vxlan_v6", 20, 0, number(NODE_V6), number(PEER_V6), datagram_sum(VNI, NODE_V6, PEER_V6, *macs), VNI, *macs))
    bench.row("tunnel", (OUT_IPIP,), ("ipip", 20, 0, number(NODE), number(PEER), header_sum(IPIP_NUMBER, NODE, PEER)))


def route(bench: Bench, address: str, tunnel: int) -> None:
    bench.row(f"route_{family(address)}", (prefix(NETS[address]),), ("to_tunnel", tunnel))


def pod(address: str) -> str:
    """The local workload's address of the same family."""
    return POD1_V6 if ":" in address else POD1


def sent(src: str, dst: str, l4: Any, **fields: Any) -> bytes:
    return bytes(Ether(src=MACS["cali1"], dst=MAC) / ip(src, dst, **fields) / l4)


def arrived(inner: Any, outer: int = 4, peer: str = PEER, **fields: Any) -> bytes:
    """A frame on the uplink with an inner packet, as the peer sends it; `outer` 0: IP in IP."""
    if outer == 0:
        return bytes(in_ipip(inner, peer, NODE, **fields))
    src, dst = (PEER_V6, NODE_V6) if outer == 6 else (peer, NODE)
    return bytes(in_vxlan(Ether(src=PEER_VTEP, dst=VTEP) / inner, src, dst, **fields))


def inner_of(frame: bytes) -> Any:
    """The inner packet of a frame that left."""
    packet = Ether(frame)
    if VXLAN in packet:
        return packet[VXLAN].payload.payload
    return packet[IP].payload if IP in packet and packet[IP].proto == IPIP_NUMBER else packet.payload


def verdict(outcome: Outcome) -> tuple[Reason, str]:
    return outcome.reason, outcome.out


# --- out -------------------------------------------------------------------------------------------------------------------------


@WAYS
def test_out_field_by_field(bench: Bench, number_of_tunnel: int, remote: str, outer: int) -> None:
    route(bench, remote, number_of_tunnel)
    for ecn in range(4):
        frame = sent(pod(remote), remote, UDP(sport=40000, dport=53) / Raw(b"question"), ecn=ecn | 0x20, ttl=9)
        outcome = bench.send("cali1", frame)
        assert verdict(outcome) == (Reason.POLICY_ALLOW, "eth0")
        assert (outcome.injected.metadata["tunnel"], outcome.injected.metadata["peer"]) == (number_of_tunnel, 0)
        packet = Ether(outcome.frame)
        assert (packet.src, packet.dst) == (MAC, MACS["eth0"])
        outer_header_is(packet, outer, ecn, len(frame) - 14 + (30 if outer else 0))
        if outer:
            vxlan_is(packet, remote, len(frame) - 14 + 30)
            assert bool(packet[UDP].chksum) == (outer == 6 and ":" in remote)
        assert checksums_hold(outcome.frame)
        wanted = Ether(sent(pod(remote), remote, UDP(sport=40000, dport=53) / Raw(b"question"), ecn=ecn | 0x20, ttl=8)).payload
        assert bytes(inner_of(outcome.frame)) == bytes(wanted)


def outer_header_is(packet: Any, outer: int, ecn: int, length: int) -> None:
    if outer == 6:
        head = packet[IPv6]
        assert (head.version, head.tc, head.fl, head.plen, head.nh, head.hlim) == (6, ecn, 0, length, UDP_NUMBER, 64)
        assert (head.src, head.dst) == (NODE_V6, PEER_V6)
    else:
        head = packet[IP]
        assert (head.version, head.ihl, head.tos, head.len, head.id, head.flags, head.frag, head.ttl, head.proto) == (
            4, 5, ecn, length + 20, 0, "DF", 0, 64, UDP_NUMBER if outer else IPIP_NUMBER)  # fmt: skip
        assert (head.src, head.dst) == (NODE, PEER)


def vxlan_is(packet: Any, remote: str, length: int) -> None:
    udp, ether = packet[UDP], packet[VXLAN].payload
    assert (udp.sport >= 0xC000, udp.dport, udp.len) == (True, VXLAN_PORT, length)
    assert bytes(packet[VXLAN])[:8] == bytes((8, 0, 0, 0)) + (VNI << 8).to_bytes(4, "big")
    assert (ether.src, ether.dst, ether.type) == (VTEP, PEER_VTEP, 0x86DD if ":" in remote else 0x0800)


def test_the_source_port_tells_flows_apart_and_keeps_one_together(bench: Bench) -> None:
    route(bench, REMOTE, OUT_V4)
    ports = [Ether(bench.send("cali1", sent(POD1, REMOTE, UDP(sport=40000 + at % 50, dport=53))).frame)[UDP].sport for at in range(100)]
    assert ports[:50] == ports[50:]
    assert len(set(ports)) > 40


@pytest.mark.parametrize("payload", [b"", b"x", b"xy" * 700], ids=["none", "odd", "long"])
@pytest.mark.parametrize("l4", [TCP(dport=80), UDP(dport=53), ICMPv6EchoRequest()], ids=["tcp", "udp", "icmpv6"])
def test_the_checksum_over_ipv6_is_made_of_the_inner_one(bench: Bench, l4: Any, payload: bytes) -> None:
    route(bench, REMOTE_V6, OUT_V6)
    for label in (0, 0xFFFFF):
        outcome = bench.send("cali1", sent(POD1_V6, REMOTE_V6, l4 / Raw(payload), fl=label, ecn=0xFE))
        assert Ether(outcome.frame)[UDP].chksum != 0
        assert checksums_hold(outcome.frame)


@pytest.mark.parametrize("l4", [
    UDP(dport=53, chksum=0) / Raw(b"none"), UDP(dport=53, len=10) / Raw(b"behind it"), IPv6ExtHdrDestOpt() / UDP(dport=53),
    IPv6ExtHdrFragment(m=1) / UDP(dport=53) / Raw(bytes(8)), Raw(bytes(20))], ids=["udp-0", "udp-short", "extension", "fragment", "other"])  # fmt: skip
def test_there_is_no_checksum_over_ipv6_where_no_inner_one_covers_all(bench: Bench, l4: Any) -> None:
    route(bench, REMOTE_V6, OUT_V6)
    fields = {"nh": 253} if isinstance(l4, Raw) else {}
    outcome = bench.send("cali1", sent(POD1_V6, REMOTE_V6, l4, **fields))
    assert verdict(outcome) == (Reason.POLICY_ALLOW, "eth0")
    assert Ether(outcome.frame)[UDP].chksum == 0


def test_a_tunnel_without_a_row_leads_nowhere_and_one_without_a_neighbour_neither(bench: Bench) -> None:
    route(bench, REMOTE, 99)
    assert verdict(bench.send("cali1", sent(POD1, REMOTE, UDP()))) == (Reason.BLACKHOLE, "")
    route(bench, REMOTE, OUT_V4)
    bench.row("tunnel", (OUT_V4,), ("vxlan_v4", 98, 0, *bench.rows["tunnel", (OUT_V4,)][3:]))
    assert verdict(bench.send("cali1", sent(POD1, REMOTE, UDP()))) == (Reason.NEIGHBOUR_UNKNOWN, "")


def test_what_the_node_sends_goes_by_the_tunnel_with_its_ttl(bench: Bench) -> None:
    route(bench, REMOTE, OUT_V4)
    outcome = bench.send("host", sent("10.0.0.77", REMOTE, TCP(dport=80), ttl=64))
    assert outcome.out == "eth0"
    assert inner_of(outcome.frame).ttl == 64


def test_what_the_node_sends_in_a_tunnel_of_its_own_is_a_packet_like_any_other(bench: Bench) -> None:
    frame = bytes(in_vxlan(Ether(src=VTEP, dst=PEER_VTEP) / ip(POD1, REMOTE) / UDP(), NODE, PEER))
    outcome = bench.send("host", frame)
    assert outcome.out == "eth0"
    assert outcome.frame[14:] == frame[14:]


# --- in --------------------------------------------------------------------------------------------------------------------------


@WAYS
def test_in(bench: Bench, number_of_tunnel: int, remote: str, outer: int) -> None:
    del number_of_tunnel
    inner = ip(remote, pod(remote), ttl=9) / UDP(sport=53, dport=40000) / Raw(b"answer")
    outcome = bench.send("eth0", arrived(inner, outer))
    assert verdict(outcome) == (Reason.POLICY_ALLOW, "cali1")
    assert (outcome.injected.metadata["tunnel"], outcome.injected.metadata["peer"]) == (0, PEER_NODE)
    wanted = Ether(src=MAC, dst=MACS["cali1"]) / ip(remote, pod(remote), ttl=8) / UDP(sport=53, dport=40000) / Raw(b"answer")
    assert outcome.frame == bytes(wanted)


def test_both_directions_are_one_flow(bench: Bench) -> None:
    """The answer comes out of the tunnel, established; to another pod the same packet is nobody's answer."""
    route(bench, REMOTE, OUT_V4)
    bench.row("ingress.rules", rule(1), ("deny", 9))
    bench.send("cali1", sent(POD1, REMOTE, TCP(sport=40000, dport=80)))
    answer = ip(REMOTE, POD1) / TCP(sport=80, dport=40000, flags="SA")
    assert verdict(bench.send("eth0", arrived(answer), keep=True)) == (Reason.ESTABLISHED, "cali1")
    other = ip(REMOTE, POD2) / TCP(sport=80, dport=40000, flags="SA")
    assert verdict(bench.send("eth0", arrived(other), keep=True)) == (Reason.POLICY, "")


def test_what_comes_from_a_tunnel_for_another_tunnel_goes_on(bench: Bench) -> None:
    """As on Linux: forwarded, TTL lowered; it does not keep the outer header it came with."""
    bench.row("route_v4", (prefix("10.0.3.0/24"),), ("to_tunnel", OUT_IPIP))
    outcome = bench.send("eth0", arrived(ip(REMOTE, "10.0.3.1", ttl=9) / UDP()))
    assert outcome.out == "eth0"
    assert checksums_hold(outcome.frame)
    assert (Ether(outcome.frame)[IP].proto, inner_of(outcome.frame).ttl) == (IPIP_NUMBER, 8)


def test_to_the_node_it_comes_as_it_was_inside(bench: Bench) -> None:
    outcome = bench.send("eth0", arrived(ip(REMOTE, NODE, ttl=64) / TCP(dport=22)))
    assert verdict(outcome) == (Reason.NO_POLICY, "host")
    assert Ether(outcome.frame)[IP].ttl == 64


def _congestion(outer: int, inner: int) -> int | None:
    """RFC 6040, figure 4: the ECN field of what goes on, or None for a drop. 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE."""
    if outer == 3:
        return 3 if inner else None
    return 1 if (outer, inner) == (1, 2) else inner


@WAYS
def test_congestion_marks(bench: Bench, number_of_tunnel: int, remote: str, outer: int) -> None:
    del number_of_tunnel
    for outer_ecn, inner_ecn in product(range(4), repeat=2):
        frame = arrived(ip(remote, pod(remote), ecn=inner_ecn | 0xB8) / UDP(), outer, ecn=outer_ecn)
        outcome, wanted = bench.send("eth0", frame), _congestion(outer_ecn, inner_ecn)
        if wanted is None:
            assert verdict(outcome) == (Reason.ENCAPSULATED, "")
            continue
        assert checksums_hold(outcome.frame)
        packet = Ether(outcome.frame)
        assert (packet[IPv6].tc if IPv6 in packet else packet[IP].tos) == wanted | 0xB8


def test_congestion_marks_keep_every_checksum(bench: Bench) -> None:
    """Inner headers with the checksums at which adding and taking away go round."""
    for checksum in (0, 1, 2, 3, 0xFEFE, 0xFEFF, 0xFFFC, 0xFFFD, 0xFFFE):
        for outer_ecn, inner_ecn in ((3, 1), (3, 2), (1, 2)):
            inner = ip(REMOTE, POD1, ecn=inner_ecn) / UDP()
            inner.id = 0
            found = IP(bytes(inner)).chksum
            inner.id = (found - checksum) % 0xFFFF
            assert IP(bytes(inner)).chksum in (checksum, checksum or 0xFFFF)
            outcome = bench.send("eth0", arrived(inner, ecn=outer_ecn))
            assert outcome.out == "cali1", hex(checksum)
            assert checksums_hold(outcome.frame), hex(checksum)


SPOOFED, REFUSED = (Reason.SPOOFED, ""), (Reason.ENCAPSULATED, "")
INNER = ip(REMOTE, POD1) / UDP(sport=53, dport=53)
ETHER = Ether(src=PEER_VTEP, dst=VTEP) / INNER


CUT = bytes(in_vxlan(ETHER, PEER, NODE))[:80]
DAMAGED = (Reason.PARSE, "")
REFUSALS = {
    "a stranger": (arrived(INNER, peer="192.0.2.99"), REFUSED),
    "a peer for VXLAN only": (arrived(INNER, 0, peer=OTHER), REFUSED),
    "of another peer's": (arrived(INNER, peer=OTHER), SPOOFED),
    "behind another peer": (arrived(ip(OTHERS, POD1) / UDP()), SPOOFED),
    "a local pod's": (arrived(ip(POD2, POD1) / UDP()), SPOOFED),
    "nobody's": (arrived(ip(FAR, POD1) / UDP(), 0), SPOOFED),
    "a local pod's, v6": (arrived(ip(POD2_V6, POD1_V6) / UDP(), 6), SPOOFED),
    "another VNI": (arrived(INNER, vni=VNI + 1), REFUSED),
    "another VNI over v6": (arrived(INNER, 6, vni=VNI << 1), REFUSED),
    "no VNI": (arrived(INNER, flags=0), REFUSED),
    "options": (arrived(INNER, options=b"\x01" * 4), REFUSED),
    "a last fragment": (arrived(INNER, 0, frag=3), REFUSED),
    "a first fragment": (arrived(INNER, 0, flags="MF"), REFUSED),
    "an extension header": (
        bytes(Ether(src=MAC, dst=MAC) / ip(PEER_V6, NODE_V6) / IPv6ExtHdrDestOpt() / UDP(dport=VXLAN_PORT) / VXLAN(vni=VNI) / ETHER), REFUSED),
    "ARP": (bytes(in_vxlan(Ether(src=PEER_VTEP, dst=VTEP) / ARP(psrc=REMOTE, pdst=POD1), PEER, NODE)), (Reason.NEIGHBOUR, "")),
    "no room for Ethernet": (bytes(in_vxlan(Raw(bytes(5)), PEER, NODE)), REFUSED),
    "no IP inside": (bytes(in_vxlan(Raw(bytes(60)), PEER, NODE)), DAMAGED),
    "no IP in IP": (arrived(Raw(bytes(60)), 0), DAMAGED),
    "an inner checksum": (arrived(ip(REMOTE, POD1, chksum=1) / UDP()), DAMAGED),
    "an outer checksum": (arrived(INNER, chksum=1), DAMAGED),
    "cut off": (CUT, DAMAGED),
    "inner TTL": (arrived(ip(REMOTE, POD1, ttl=1) / UDP()), (Reason.TTL, "")),
    "inner hop limit": (arrived(ip(REMOTE_V6, POD1_V6, ttl=1) / UDP(), 6), (Reason.TTL, "")),
}  # fmt: skip


def test_refused(bench: Bench) -> None:
    for name, (frame, wanted) in REFUSALS.items():
        counted = bench.counter("drops", wanted[0])
        outcome = bench.send("eth0", frame)
        assert verdict(outcome) == wanted, name
        by_the_program = outcome.injected.outcome != "SHORT_FRAME"
        assert bench.counter("drops", wanted[0]) == counted + by_the_program, name


def test_a_later_fragment_of_the_outer_packet_is_not_taken_for_a_tunnel(bench: Bench) -> None:
    """It has no UDP header: the host, whose address it goes to, can do with it what it likes."""
    frame = bytes(in_vxlan(ETHER, PEER, NODE))
    fragment = Ether(frame[:14]) / IP(src=PEER, dst=NODE, proto=UDP_NUMBER, frag=3) / Raw(frame[34:])
    assert verdict(bench.send("eth0", bytes(fragment))) == (Reason.NO_POLICY, "host")


@pytest.mark.parametrize("frame", [
    bytes(in_vxlan(ETHER, PEER, NODE, dport=4790)), bytes(in_vxlan(ETHER, PEER_V6, NODE_V6, dport=8472)),
    bytes(in_vxlan(ETHER, PEER, NODE, sport=VXLAN_PORT, dport=50000)),
    bytes(Ether(src=MAC, dst=MAC) / ip(PEER, NODE) / TCP(dport=VXLAN_PORT))], ids=["4790", "8472", "source", "tcp"])  # fmt: skip
def test_what_looks_like_a_tunnel_and_is_none_stays_whole(bench: Bench, frame: bytes) -> None:
    outcome = bench.send("eth0", frame)
    assert outcome.out == "host"
    assert outcome.frame[14:] == frame[14:]


def test_where_no_tunnel_ends_nothing_is_taken_out(bench: Bench) -> None:
    bench.delete("tunnel_local_v4", VXLAN_KIND, number(NODE))
    frame = arrived(INNER)
    outcome = bench.send("eth0", frame)
    assert outcome.out == "host"
    assert outcome.frame[14:] == frame[14:]


def test_only_what_came_out_of_a_tunnel_comes_in_by_its_device(bench: Bench) -> None:
    assert verdict(bench.send(DEVICE, bytes(ETHER))) == (Reason.UNKNOWN_PORT, "")


@pytest.mark.parametrize(("src", "dst"), [(POD1, POD2), (POD1, REMOTE), (POD1, NODE), (POD1_V6, POD2_V6), (POD1_V6, NODE_V6)])
def test_a_pods_own_packets_to_the_port_are_never_read_as_a_tunnel(bench: Bench, src: str, dst: str) -> None:
    """Refused unless allowed, and then forwarded whole, what would be an inner packet and all."""
    route(bench, REMOTE, OUT_V4)
    frame = sent(src, dst, UDP(sport=50000, dport=VXLAN_PORT) / VXLAN(vni=VNI) / ETHER)
    assert verdict(bench.send("cali1", frame)) == (Reason.ENCAPSULATED, "")
    bench.row("port", (bench.ports["cali1"],), ("workload", 1, 1, 0, 101))
    outcome = bench.send("cali1", frame)
    assert outcome.out == {POD2: "cali2", POD2_V6: "cali2", REMOTE: "eth0"}.get(dst, "host")
    assert outcome.injected.metadata["peer"] == 0
    packet = inner_of(outcome.frame) if dst == REMOTE else Ether(outcome.frame).payload
    assert bytes(packet.payload) == bytes(Ether(frame).payload.payload)


def test_a_pods_packets_to_the_port_come_out_of_a_tunnel_as_they_went_in(bench: Bench) -> None:
    """One layer is taken off, once: what looks like a further tunnel is the pod's."""
    inner = ip(REMOTE, POD1) / UDP(sport=50000, dport=VXLAN_PORT) / VXLAN(vni=VNI) / ETHER
    outcome = bench.send("eth0", arrived(inner))
    assert verdict(outcome) == (Reason.POLICY_ALLOW, "cali1")
    assert bytes(Ether(outcome.frame)[UDP]) == bytes(inner[UDP])
    to_node = ip(REMOTE, NODE) / UDP(sport=50000, dport=VXLAN_PORT) / VXLAN(vni=VNI) / ETHER
    assert bench.send("eth0", arrived(to_node)).out == "host"


# --- the pipeline as a whole -----------------------------------------------------------------------------------------------------


def every_kind(bench: Bench) -> list[tuple[str, bytes]]:
    for remote, tunnel in ((REMOTE, OUT_V4), (REMOTE_V6, OUT_V6)):
        route(bench, remote, tunnel)
    bench.row("route_v4", (prefix("10.0.3.0/24"),), ("to_tunnel", OUT_IPIP))
    out = [("cali1", sent(pod(dst), dst, l4)) for dst in (REMOTE, REMOTE_V6) for l4 in (UDP(dport=53), TCP(dport=443))]
    out += [("cali1", sent(POD1, "10.0.3.9", ICMP())), ("cali1", sent(POD1, POD2, UDP(dport=53))), ("host", sent(NODE, FAR, TCP()))]
    inner = [(REMOTE, 0), (REMOTE, 4), (REMOTE_V6, 4), (REMOTE_V6, 6), (OTHERS, 4)]
    return out + [("eth0", arrived(ip(src, pod(src)) / UDP(), outer, ecn=ecn)) for src, outer in inner for ecn in (0, 3)]


def test_no_trace_of_the_packet_before(bench: Bench) -> None:
    """Rounds and headers of a tunnel leave nothing behind: each packet fares as it does alone."""
    stale = Bench(poison=False)
    with_tunnels(stale)
    frames = every_kind(bench)
    every_kind(stale)
    for at, frame in enumerate(frames):
        alone = bench.send(*frame)
        for before in frames[at:] + frames[:at]:
            stale.send(*before)
            outcome = stale.send(*frame)
            assert (verdict(outcome), outcome.frame) == (verdict(alone), alone.frame)
    stale.close()


def test_every_table_of_tunnels_is_used(bench: Bench) -> None:
    used = {entry.table.rpartition(".")[2] for port, frame in every_kind(bench) for entry in bench.client.inject(bench.ports[port], frame, trace=True).trace}
    assert used >= {name for name in TABLES if name.startswith("tunnel")}


def test_the_devices_host_endpoint_meets_the_inner_packet_and_the_uplinks_the_outer(bench: Bench) -> None:
    """eth0 has host endpoint 101, the device 102: pre-DNAT policy of either can refuse, and forward policy is the device's."""
    eth0, device = 101, 102
    bench.row("port", (bench.ports["eth0"],), ("uplink", eth0))
    bench.row("port", (bench.ports[DEVICE],), ("tunnel_device", device))
    bench.row("next_hop", (20,), (*bench.rows["next_hop", (20,)][:-1], eth0))
    bench.row("tunnel", (OUT_V4,), ("vxlan_v4", 20, device, *bench.rows["tunnel", (OUT_V4,)][3:]))
    route(bench, REMOTE, OUT_V4)
    for stage in HOOKS:
        for endpoint in (eth0, device):
            bench.row(f"{stage}.binding", (endpoint,), ("bind", endpoint, endpoint, endpoint))
            bench.row(f"{stage}.rules", rule(endpoint), ("pass_on", endpoint))
    into, out = ("eth0", arrived(INNER)), ("cali1", sent(POD1, REMOTE, UDP()))
    came, left = bench.send(*into), bench.send(*out)
    assert (came.out, came.injected.metadata["forward_ingress_slot"]) == ("cali1", device)
    assert (left.out, left.injected.metadata["forward_egress_slot"]) == ("eth0", device)
    for stage, endpoint, frame in (("pre_dnat", eth0, into), ("pre_dnat", device, into), ("forward_ingress", device, into), ("forward_egress", device, out)):
        bench.row(f"{stage}.rules", rule(endpoint), ("deny", endpoint))
        assert verdict(bench.send(*frame)) == (Reason.POLICY, ""), (stage, endpoint)
        bench.row(f"{stage}.rules", rule(endpoint), ("pass_on", endpoint))
    for stage, frame in (("forward_ingress", into), ("forward_egress", out)):
        bench.row(f"{stage}.rules", rule(eth0), ("deny", eth0))
        assert bench.send(*frame).out
