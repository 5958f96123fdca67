"""Established flows where a change of policy counts for them too: judged again when whoever began them speaks next."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from test.support.nat import TO_UPLINK, masquerade_as, pool, service
from test.support.pipeline import MACS, Bench, Outcome
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, allow, deny
from test.support.target import ON_BMV2

ALLOW, DENY, ESTABLISHED, RELATED = Reason.POLICY_ALLOW, Reason.POLICY, Reason.ESTABLISHED, Reason.RELATED
VIP = Party("nowhere", "10.96.0.10", "fd00:96::a")
REFUSED, JUDGED_AGAIN = 2, 3


def policy_is(bench: Bench, epoch: int) -> None:
    """Policy has changed, and is called so from now on."""
    for version in (4, 6):
        bench.row("epoch", (version,), ("policy_is", epoch))


@pytest.fixture
def again(talk: Talk) -> Talk:
    policy_is(talk.bench, 1)
    return talk


def test_accepted_again_by_the_first_packet_of_who_began(again: Talk) -> None:
    again.handshake(ONE, TWO)
    policy_is(again.bench, 2)
    assert again.tcp(ONE, TWO, "PA") == ALLOW
    assert again.tcp(TWO, ONE, "A", 80, 40000) == again.tcp(ONE, TWO, "PA") == ESTABLISHED
    assert again.bench.counter("flows", JUDGED_AGAIN) == 1 and again.bench.counter("flows", REFUSED) == 0


def test_a_deny_stops_it_and_its_answers(again: Talk) -> None:
    again.handshake(ONE, TWO)
    deny(again.bench, TWO, "ingress", "egress")
    assert again.tcp(ONE, TWO, "PA") == ESTABLISHED, "until the policy has another name"
    policy_is(again.bench, 2)
    assert again.tcp(TWO, ONE, "PA", 80, 40000) == DENY, "an answer that comes first is judged as new"
    assert again.tcp(ONE, TWO, "PA") == DENY
    assert again.tcp(TWO, ONE, "A", 80, 40000) == DENY
    allow(again.bench, TWO, "ingress")
    policy_is(again.bench, 3)
    assert again.tcp(TWO, ONE, "A", 80, 40000) == DENY
    assert again.tcp(ONE, TWO, "PA") == ALLOW
    assert again.tcp(TWO, ONE, "A", 80, 40000) == ESTABLISHED


def test_an_answer_that_policy_accepts_does_not_speak_for_who_began(again: Talk) -> None:
    again.handshake(ONE, TWO)
    deny(again.bench, TWO, "ingress")
    policy_is(again.bench, 2)
    assert again.tcp(TWO, ONE, "A", 80, 40000) == again.tcp(TWO, ONE, "A", 80, 40000) == ALLOW
    assert again.tcp(ONE, TWO, "PA") == DENY


def test_what_is_denied_prolongs_nothing(again: Talk) -> None:
    assert again.udp(ONE, REMOTE) == ALLOW
    deny(again.bench, ONE, "egress")
    policy_is(again.bench, 2)
    for _ in range(4):
        again.wait(8)
        assert again.udp(ONE, REMOTE) == DENY
    again.wait(31 if ON_BMV2 else 0)  # any look-up prolongs
    assert "flow_v4" not in again.learned() and "flow_v6" not in again.learned()


def test_a_flow_keeps_its_translation(again: Talk) -> None:
    """Whatever would be chosen for a new one."""
    version = again.version
    vip, node = VIP.address(version), HOST.address(version)
    masquerade_as(again.bench, node, TO_UPLINK)
    pool(again.bench, "10.0.0.0/24" if version == 4 else "fd00::/64", 3)
    service(again.bench, vip, 80, [(REMOTE.address(version), 8080)])

    def left(outcome: Outcome) -> Any:
        ip = Ether(outcome.frame)[IP if version == 4 else IPv6]
        return ip.src, ip[TCP].sport, ip.dst, ip[TCP].dport

    first = again.send(ONE, VIP, TCP(sport=40000, dport=80))
    service(again.bench, vip, 80, [(TWO.address(version), 8080)])
    policy_is(again.bench, 2)
    second = again.send(ONE, VIP, TCP(sport=40000, dport=80, flags="A"))
    assert (first.reason, second.reason) == (ALLOW, ALLOW) and left(first) == left(second)
    answer = again.send(REMOTE, HOST, TCP(sport=8080, dport=left(first)[1], flags="A"))
    assert answer.reason == ESTABLISHED and left(answer) == (vip, 80, ONE.address(version), 40000)


def test_errors_about_a_flow_that_was_not_judged_yet_are_judged_themselves(again: Talk) -> None:
    deny(again.bench, ONE, "ingress")
    asked = UDP(sport=40000, dport=53) / Raw(b"ask")
    quote = bytes(again.packet(ONE, REMOTE, asked))[14:]
    network = (IP if again.version == 4 else IPv6)(src=REMOTE.address(again.version), dst=ONE.address(again.version))
    error = Ether(src=MACS["eth0"], dst=MACS["host"]) / network / (ICMP(type=3, code=3) if again.version == 4 else ICMPv6DestUnreach(code=4)) / Raw(quote)
    assert again.send(ONE, REMOTE, asked).reason == ALLOW
    assert again.raw(REMOTE, error).reason == RELATED
    policy_is(again.bench, 2)
    assert again.raw(REMOTE, error).reason == DENY
    assert again.send(ONE, REMOTE, asked).reason == ALLOW
    assert again.raw(REMOTE, error).reason == RELATED


def test_a_full_table_means_judging_packet_by_packet(again: Talk) -> None:
    for family in ("v4", "v6"):
        again.bench.shrink(f"judged_{family}", 1)
    for sport in range(1000, 1004):
        assert again.udp(ONE, REMOTE, sport) == ALLOW
    assert again.bench.counter("flows", REFUSED) == 2, "two keys a flow, and room for four"
    assert again.udp(ONE, REMOTE, 1003) == again.udp(ONE, REMOTE, 1003) == ALLOW
    assert again.udp(ONE, REMOTE, 1000) == ESTABLISHED


def test_flows_that_speak_leave_nothing_of_policies_before(again: Talk) -> None:
    again.handshake(ONE, TWO)
    for epoch in range(2, 30):
        policy_is(again.bench, epoch)
        again.wait(11)
        assert again.tcp(ONE, TWO, "PA") == ALLOW
    again.wait(11)
    assert again.learned() == {f"flow_v{again.version}": 2, f"judged_v{again.version}": 2}


def test_without_a_number_nothing_is_judged_again(talk: Talk) -> None:
    talk.handshake(ONE, TWO)
    deny(talk.bench, TWO, "ingress")
    assert talk.tcp(ONE, TWO, "PA") == ESTABLISHED
    assert talk.learned() == {f"flow_v{talk.version}": 2}
    policy_is(talk.bench, 1)
    assert talk.tcp(ONE, TWO, "PA") == DENY, "what began before is judged as well"
