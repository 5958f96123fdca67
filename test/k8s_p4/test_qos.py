"""Packet rates and bandwidth by packets over virtual time; the meters as the translator makes them of Felix's controls."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from felix_proto.types import QoSControls
from k8s_p4.reasons import Reason
from k8s_p4.schema import METERS
from test.support.nat import service
from test.support.pipeline import Bench
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk
from test.support.target import architecture
from translator.qos import limits, meters

ALLOW, ESTABLISHED, RATE = Reason.POLICY_ALLOW, Reason.ESTABLISHED, Reason.RATE


def limit(bench: Bench, endpoint: int, controls: QoSControls) -> None:
    """Set the meters of an endpoint."""
    wanted = [(METERS[name][0], endpoint, config) for name, config in meters(controls)]
    assert bench.switch.client.write_meters(wanted) == [None] * len(wanted)


def passed(talk: Talk, src: Party, dst: Party, count: int, flags: str = "A") -> int:
    """How many of so many packets at one moment pass; the others must say why."""
    reasons = [talk.tcp(src, dst, flags) for _ in range(count)]
    assert {reason for reason in reasons if not reason.allows} <= {RATE}
    return sum(reason.allows for reason in reasons)


def test_the_senders_packet_rate(talk: Talk, bench: Bench) -> None:
    limit(bench, 1, QoSControls(EgressPacketRate=10, EgressPacketBurst=5))
    assert passed(talk, ONE, TWO, 20) == 5, "the burst"
    talk.wait(0.3)
    assert passed(talk, ONE, TWO, 20) == 3
    talk.wait(1000)
    assert passed(talk, ONE, TWO, 20) == 5, "never more than the burst"
    assert passed(talk, TWO, ONE, 20) == 20, "the other way"
    assert passed(talk, TWO, REMOTE, 20) == 20, "another's"
    assert bench.counter("drops", RATE) == 15 + 17 + 15


def test_it_stands_before_the_look_up_of_flows(talk: Talk, bench: Bench) -> None:
    """What is over the rate neither begins a flow nor prolongs one."""
    limit(bench, 1, QoSControls(EgressPacketRate=1, EgressPacketBurst=1))
    assert talk.udp(ONE, TWO, 1) == ALLOW
    assert talk.udp(ONE, TWO, 2) == RATE
    assert talk.learned() == {f"flow_v{talk.version}": 2}
    talk.wait(29.5)
    assert talk.udp(ONE, TWO, 3) == ALLOW
    assert talk.udp(ONE, TWO, 1) == RATE
    talk.wait(1)
    assert talk.learned() == {f"flow_v{talk.version}": 2}, "that of port 3"


def test_the_receivers_packet_rate(talk: Talk, bench: Bench) -> None:
    """For established flows too, and behind a service the backend's."""
    talk.handshake(ONE, TWO)
    talk.wait(1)
    limit(bench, 2, QoSControls(IngressPacketRate=10, IngressPacketBurst=4))
    assert passed(talk, ONE, TWO, 20) == 4
    assert passed(talk, TWO, HOST, 20, "S") == 20
    talk.wait(0.2)
    assert passed(talk, REMOTE, TWO, 20, "S") == 2
    vip = Party("eth0", "10.96.0.10", "fd00:96::a")
    service(bench, vip.address(talk.version), 80, [(TWO.address(talk.version), 80)])
    talk.wait(0.3)
    talk.fresh()
    assert passed(talk, REMOTE, vip, 20, "S") == 3


@pytest.mark.parametrize("direction", ["Egress", "Ingress"])
def test_bandwidth(talk: Talk, bench: Bench, direction: str) -> None:
    """8 Mbit/s with a burst of ten frames of a thousand bytes."""
    size = 1000 - 14 - (20 if talk.version == 4 else 40) - 8
    limit(bench, 1, QoSControls(**{f"{direction}Bandwidth": 8_000_000, f"{direction}Burst": 80_000}))
    src, dst = (ONE, TWO) if direction == "Egress" else (TWO, ONE)

    def send(count: int, sender: Party = src, receiver: Party = dst) -> int:
        return sum(talk.send(sender, receiver, UDP(sport=1, dport=2) / Raw(bytes(size))).reason.allows for _ in range(count))

    assert send(50) == 10
    talk.wait(0.005)
    assert send(50) == 5
    assert send(50, dst, src) == 50
    for _ in range(20):
        talk.wait(0.001)
        assert send(3) == 1, "a megabyte a second"


def test_values_beyond_32_bits(talk: Talk, bench: Bench) -> None:
    """400 Gbit/s, the burst that Felix gives unless configured, and a packet rate of 5,000,000,000. PI, in front of BMv2, refuses such bursts."""
    controls = QoSControls(EgressBandwidth=400_000_000_000, EgressBurst=4_294_967_296, EgressPacketRate=5_000_000_000, EgressPacketBurst=6_000_000_000)
    assert dict(meters(controls)) == {"egress_bytes": (50_000_000_000, 536_870_912) * 2, "egress_packets": (5_000_000_000, 6_000_000_000) * 2}
    limit(bench, 1, controls if architecture() == "pna" else controls._replace(EgressPacketBurst=4_000_000_000))
    assert bench.switch.client.read_meters(METERS["egress_bytes"][0]) == {1: (50_000_000_000, 536_870_912) * 2}
    assert passed(talk, ONE, TWO, 50) == 50


def test_a_peak_rate_is_a_second_bucket() -> None:
    controls = QoSControls(IngressBandwidth=8000, IngressBurst=80_000, IngressPeakrate=16_000, IngressMinburst=12_000)
    assert dict(meters(controls)) == {"ingress_bytes": (1000, 10_000, 2000, 1500)}
    assert dict(meters(QoSControls(IngressBandwidth=8000, IngressPeakrate=1))) == {"ingress_bytes": (1000, 65_549, 1000, 65_549)}
    assert dict(meters(QoSControls())) == {}


def test_what_the_peak_rate_holds_back(talk: Talk, bench: Bench) -> None:
    size = 1000 - 14 - (20 if talk.version == 4 else 40) - 20
    limit(bench, 1, QoSControls(EgressBandwidth=8_000_000, EgressBurst=8_000_000, EgressPeakrate=16_000_000, EgressMinburst=16_000))
    sent = [talk.send(ONE, TWO, TCP(sport=1, dport=2, flags="A") / Raw(bytes(size))).reason.allows for _ in range(10)]
    assert sum(sent) == 2, "the burst is a megabyte, but of the second bucket two frames"
    talk.wait(0.001)
    assert talk.send(ONE, TWO, TCP(sport=1, dport=2, flags="A") / Raw(bytes(size))).reason.allows


def test_a_meter_without_a_rate_is_none(talk: Talk, bench: Bench) -> None:
    limit(bench, 1, QoSControls(EgressPacketRate=1, EgressPacketBurst=1))
    assert passed(talk, ONE, TWO, 5) == 1
    assert bench.switch.client.write_meters([(METERS["egress_packets"][0], 1, None)]) == [None]
    assert passed(talk, ONE, TWO, 5) == 5
    (refused,) = bench.switch.client.write_meters([(METERS["egress_packets"][0], 4096, (1, 1, 1, 1))])
    assert refused is not None and ("OUT_OF_RANGE" in refused or architecture() != "pna")


# --- connections


def most(bench: Bench, endpoint: int, controls: QoSControls) -> None:
    """Set the limits of connections of an endpoint."""
    for (table, key), value in limits(endpoint, controls):
        bench.row(table, key, value)


LIMIT = Reason.CONNECTION_LIMIT


@pytest.mark.parametrize("number", [1, 3, 16])
@pytest.mark.parametrize("direction", ["Egress", "Ingress"])
def test_so_many_connections_and_no_more(talk: Talk, bench: Bench, number: int, direction: str) -> None:
    most(bench, 1, QoSControls(**{f"{direction}MaxConnections": number}))
    src, dst = (ONE, REMOTE) if direction == "Egress" else (REMOTE, ONE)
    told = [talk.tcp(src, dst, "S", sport) for sport in range(1000, 1000 + number + 20)]
    assert told.count(ALLOW) == number and told.count(LIMIT) == 20
    assert talk.tcp(dst, src, "S", 5, 6) == ALLOW, "the other way"
    assert talk.tcp(TWO, dst, "S", 7, 8) == (ALLOW if direction == "Egress" else LIMIT)
    opened = [sport for sport, reason in enumerate(told, 1000) if reason == ALLOW]
    for sport in opened:
        assert talk.tcp(dst, src, "SA", 80, sport) == ESTABLISHED
        assert talk.tcp(src, dst, "A", sport) == ESTABLISHED, "what is established is not asked"
    talk.wait(40000)
    assert talk.tcp(src, dst, "A", opened[0]) == ESTABLISHED
    talk.wait(4000)
    assert [talk.tcp(src, dst, "S", sport) for sport in range(2000, 2000 + number)].count(ALLOW) == number - 1, "the others ran out"


def test_what_ends_makes_room(talk: Talk, bench: Bench) -> None:
    most(bench, 1, QoSControls(EgressMaxConnections=1))
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "S", 2) == LIMIT
    assert talk.learned() == {f"flow_v{talk.version}": 2, "connection_slot": 1}
    assert talk.tcp(TWO, ONE, "R", 80, 40000) == ESTABLISHED
    assert talk.tcp(ONE, TWO, "S", 2) == LIMIT
    talk.wait(11)
    assert talk.tcp(ONE, TWO, "S", 2) == ALLOW


def test_who_is_refused_keeps_no_place_taken(talk: Talk, bench: Bench) -> None:
    most(bench, 1, QoSControls(EgressMaxConnections=1))
    assert talk.udp(ONE, REMOTE, 1) == ALLOW
    for _ in range(3):
        talk.wait(8)
        assert talk.udp(ONE, REMOTE, 2) == LIMIT
    talk.wait(7)
    assert talk.udp(ONE, REMOTE, 2) == ALLOW, "the first was silent for 31 s"


def test_an_answer_keeps_the_place_too(talk: Talk, bench: Bench) -> None:
    """Of both ends; and what is denied or masqueraded in vain holds none for long."""
    most(bench, 1, QoSControls(EgressMaxConnections=1))
    most(bench, 2, QoSControls(IngressMaxConnections=1))
    assert talk.udp(ONE, TWO, 1) == ALLOW
    for _ in range(5):
        talk.wait(100 if _ else 20)
        assert talk.udp(TWO, ONE, 53, 1) == ESTABLISHED
        assert talk.udp(ONE, REMOTE, 2) == LIMIT
        assert talk.udp(REMOTE, TWO, 3) == LIMIT
    talk.wait(121)
    assert talk.udp(ONE, REMOTE, 2) == ALLOW
    assert talk.udp(REMOTE, TWO, 3) == ALLOW


def test_of_many_places_nearly_all_are_found(bench: Bench) -> None:
    talk = Talk(bench, 4)
    most(bench, 1, QoSControls(EgressMaxConnections=300))
    told = [talk.udp(ONE, REMOTE, sport) for sport in range(1000, 1400)]
    assert told[:200].count(ALLOW) >= (200 if architecture() == "pna" else 195), "which places are tried is a hash, and that the target's"
    assert 270 <= told.count(ALLOW) <= 300


def test_limits_as_rows() -> None:
    assert dict(limits(5, QoSControls(EgressMaxConnections=1, IngressMaxConnections=5_000_000_000))) == {
        ("connection_limit", (10,)): ("at_most", 1, 0), ("connection_limit", (11,)): ("at_most", 0x7FFFFFFF, 0x7FFFFFFF),
    }  # fmt: skip
    assert dict(limits(5, QoSControls(IngressMaxConnections=17)))["connection_limit", (11,)] == ("at_most", 17, 31)
