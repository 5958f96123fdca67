"""ICMP and ICMPv6 errors: about a tracked flow they pass, whoever sends them; about anything else policy judges."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from test.support.pipeline import Bench, number
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, deny
from test.support.target import ON_BMV2

DENY, ESTABLISHED, RELATED = Reason.POLICY, Reason.ESTABLISHED, Reason.RELATED
# With both addresses given scapy asks nobody for them, and so waits for nobody.
ETHERNET = Ether(src="02:00:00:00:aa:01", dst="02:00:00:00:bb:02")
ROUTER = Party("eth0", "203.0.113.77", "2001:db8:77::77")
ERRORS = {
    "unreachable": (lambda: ICMP(type=3, code=3), lambda: ICMPv6DestUnreach(code=4)),
    "too big": (lambda: ICMP(type=3, code=4, nexthopmtu=1400), lambda: ICMPv6PacketTooBig(mtu=1400)),
    "time exceeded": (lambda: ICMP(type=11, code=0), lambda: ICMPv6TimeExceeded(code=0)),
    "parameter problem": (lambda: ICMP(type=12, code=0), lambda: ICMPv6ParamProblem(code=0)),
}


@pytest.fixture(params=[4, 6], ids=["v4", "v6"])
def talk(bench: Bench, request: pytest.FixtureRequest) -> Talk:
    """Two workloads that may begin nothing towards each other but from the first to the second."""
    deny(bench, ONE, "ingress")
    deny(bench, TWO, "egress")
    return Talk(bench, request.param)


def quoted(talk: Talk, src: Party, dst: Party, l4: Any, **ip: Any) -> bytes:
    """A packet as an error quotes it: from its IP header on."""
    return bytes(talk.packet(src, dst, l4, **ip))[14:]


def error(talk: Talk, router: Party, to: Party, quote: bytes, kind: str = "unreachable", sender: str = "") -> Reason:
    """An error about a packet, sent to somebody by whoever found fault with it."""
    layer = ERRORS[kind][talk.version == 6]()
    network = (IP if talk.version == 4 else IPv6)(src=sender or router.address(talk.version), dst=to.address(talk.version))
    return talk.raw(router, ETHERNET / network / layer / Raw(quote)).reason


def parts(talk: Talk) -> dict[str, tuple[Any, Any]]:
    """A first packet of each protocol, and one that answers it."""
    return {
        "tcp": (TCP(sport=40000, dport=80, flags="S"), TCP(sport=80, dport=40000, flags="SA")),
        "udp": (UDP(sport=40000, dport=53) / b"query", UDP(sport=53, dport=40000) / b"reply"),
        "sctp": (SCTP(sport=40000, dport=5060), SCTP(sport=5060, dport=40000)),
        "echo": (talk.echo_layer(7), talk.echo_layer(7, reply=True)),
    }


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp", "echo"])
def test_errors_about_a_flow_pass(talk: Talk, protocol: str, kind: str) -> None:
    """From the other end, from a router, and the other way about an answer; before the flow they do not."""
    first, answer = parts(talk)[protocol]
    about_first, about_answer = quoted(talk, ONE, TWO, first), quoted(talk, TWO, ONE, answer)
    assert error(talk, TWO, ONE, about_first, kind) == DENY
    assert error(talk, ROUTER, ONE, about_first, kind) == DENY
    assert talk.send(ONE, TWO, first).reason == Reason.POLICY_ALLOW
    assert error(talk, TWO, ONE, about_first, kind) == RELATED
    assert error(talk, ROUTER, ONE, about_first, kind) == RELATED
    assert error(talk, HOST, ONE, about_first, kind) == RELATED
    deny(talk.bench, ONE, "egress")
    assert error(talk, ONE, TWO, about_answer, kind) == RELATED
    assert error(talk, ONE, TWO, about_first, kind) == DENY, "that packet was its own, and an error about it goes the other way"


def test_an_error_is_unchanged_but_for_the_next_hop(talk: Talk) -> None:
    assert talk.udp(ONE, REMOTE) == Reason.POLICY_ALLOW
    quote = quoted(talk, ONE, REMOTE, UDP(sport=40000, dport=53) / b"query and more than is looked at")
    layer = ERRORS["too big"][talk.version == 6]()
    network = (IP if talk.version == 4 else IPv6)(src=ROUTER.address(talk.version), dst=ONE.address(talk.version))
    sent = bytes(ETHERNET / network / layer / Raw(quote))
    outcome = talk.raw(REMOTE, sent)
    assert (outcome.reason, outcome.out) == (RELATED, "cali1")
    head = 14 + (20 if talk.version == 4 else 40)
    assert outcome.frame[head:] == sent[head:]


def test_an_error_prolongs_nothing_and_learns_nothing(talk: Talk) -> None:
    assert talk.udp(ONE, TWO) == Reason.POLICY_ALLOW
    quote = quoted(talk, ONE, TWO, UDP(sport=40000, dport=53))
    talk.wait(20)
    assert error(talk, TWO, ONE, quote) == RELATED
    assert talk.learned() == {f"flow_v{talk.version}": 2}
    talk.wait(11)
    if ON_BMV2:  # any look-up prolongs
        assert error(talk, TWO, ONE, quote) == RELATED
        talk.wait(31)
    assert error(talk, TWO, ONE, quote) == DENY
    assert talk.learned() == {}
    assert error(talk, ONE, TWO, quoted(talk, TWO, ONE, UDP(sport=1, dport=2))) == Reason.POLICY_ALLOW, "about nothing, judged by policy"
    assert talk.learned() == {}


def test_the_tuple_must_be_the_flows(talk: Talk) -> None:
    talk.handshake(ONE, TWO)
    for wrong in (TCP(sport=40001, dport=80), TCP(sport=40000, dport=81), UDP(sport=40000, dport=80), TCP(sport=80, dport=40000)):
        assert error(talk, TWO, ONE, quoted(talk, ONE, TWO, wrong)) == DENY
    assert error(talk, ROUTER, ONE, quoted(talk, ONE, REMOTE, TCP(sport=40000, dport=80))) == DENY


def test_nobody_sends_anywhere_by_quoting_a_flow(talk: Talk, bench: Bench) -> None:
    """An error goes to who sent what it quotes, or policy judges it."""
    talk.handshake(ONE, REMOTE)
    quote = quoted(talk, ONE, REMOTE, TCP(sport=40000, dport=80))
    assert error(talk, TWO, REMOTE, quote) == DENY
    assert error(talk, TWO, HOST, quote) == DENY
    deny(bench, TWO, "ingress")
    assert error(talk, REMOTE, TWO, quote) == DENY


def test_between_strangers_too(talk: Talk, bench: Bench) -> None:
    """Neither end of the quoted flow's first packet nor where the error goes is an endpoint here: the addresses must be the same all the same."""
    talk.handshake(REMOTE, TWO)
    deny(bench, TWO, "egress")
    quote = quoted(talk, REMOTE, TWO, TCP(sport=40000, dport=80))
    assert error(talk, TWO, REMOTE, quote) == RELATED
    assert error(talk, TWO, ROUTER, quote) == DENY


def test_the_source_guard_holds_for_errors(talk: Talk) -> None:
    talk.handshake(ONE, REMOTE)
    quote = quoted(talk, ONE, REMOTE, TCP(sport=40000, dport=80))
    assert error(talk, TWO, ONE, quote, sender=REMOTE.address(talk.version)) == Reason.SPOOFED


def test_owners_of_the_quoted_addresses_count(talk: Talk, bench: Bench) -> None:
    talk.handshake(ONE, TWO)
    quote = quoted(talk, ONE, TWO, TCP(sport=40000, dport=80))
    for party in (ONE, TWO):
        key = (number(party.address(talk.version)),)
        bench.row(f"local_v{talk.version}", key, ("to_workload", party.endpoint, party.endpoint, 900))
        assert error(talk, ROUTER, ONE, quote) == DENY
        bench.row(f"local_v{talk.version}", key, ("to_workload", party.endpoint, party.endpoint, 100 + party.endpoint))
    assert error(talk, ROUTER, ONE, quote) == RELATED


def test_what_quotes_too_little_is_judged_and_never_misread(talk: Talk) -> None:
    """Cut anywhere before eight bytes of the fourth layer are there: unrelated, and not `parse`."""
    talk.handshake(ONE, TWO)
    whole = quoted(talk, ONE, TWO, TCP(sport=40000, dport=80))
    needed = (20 if talk.version == 4 else 40) + 8
    for size in range(needed + 1):
        assert error(talk, TWO, ONE, whole[:size]) == (RELATED if size == needed else DENY), size


def test_options_in_what_is_quoted(bench: Bench) -> None:
    talk = Talk(bench, 4)
    deny(bench, ONE, "ingress")
    assert talk.tcp(ONE, TWO, "S") == Reason.POLICY_ALLOW
    for words in range(1, 11):
        quote = quoted(talk, ONE, TWO, TCP(sport=40000, dport=80), options=[IPOption(b"\x01" * (4 * words))])
        header = 20 + 4 * words
        assert quote[0] == 0x45 + words
        assert error(talk, TWO, ONE, quote[: header + 8]) == RELATED
        assert error(talk, TWO, ONE, quote[: header + 7]) == DENY
        assert error(talk, TWO, ONE, quote[: 28]) == DENY


def test_fragments_in_what_is_quoted(bench: Bench) -> None:
    talk = Talk(bench, 4)
    deny(bench, ONE, "ingress")
    assert talk.tcp(ONE, TWO, "S") == Reason.POLICY_ALLOW
    assert error(talk, TWO, ONE, quoted(talk, ONE, TWO, TCP(sport=40000, dport=80), flags="MF")) == RELATED
    assert error(talk, TWO, ONE, quoted(talk, ONE, TWO, TCP(sport=40000, dport=80), frag=1)) == DENY


@pytest.mark.parametrize("extension", [IPv6ExtHdrHopByHop, IPv6ExtHdrRouting], ids=["hop-by-hop", "routing"])
def test_extension_headers_before_the_error_and_in_what_it_quotes(bench: Bench, extension: Any) -> None:
    talk = Talk(bench, 6)
    deny(bench, ONE, "ingress")
    assert talk.tcp(ONE, TWO, "S") == Reason.POLICY_ALLOW
    quote = quoted(talk, ONE, TWO, TCP(sport=40000, dport=80))
    before = ETHERNET / IPv6(src=TWO.v6, dst=ONE.v6) / extension() / ICMPv6DestUnreach(code=4) / Raw(quote)
    assert talk.raw(TWO, before).reason == RELATED
    inside = bytes(IPv6(src=ONE.v6, dst=TWO.v6) / extension() / TCP(sport=40000, dport=80))
    assert error(talk, TWO, ONE, inside) == DENY, "not read beyond the header"


@pytest.mark.parametrize("kind", [0, 5, 8, 13, 17])
def test_other_messages_quote_nothing(bench: Bench, kind: int) -> None:
    """A redirect or a timestamp with a packet in it is no error about it."""
    talk = Talk(bench, 4)
    deny(bench, ONE, "ingress")
    assert talk.tcp(ONE, TWO, "S") == Reason.POLICY_ALLOW
    quote = quoted(talk, ONE, TWO, TCP(sport=40000, dport=80))
    assert talk.send(ROUTER, ONE, ICMP(type=kind) / Raw(quote)).reason == DENY


def test_an_error_about_an_error_is_unrelated(talk: Talk) -> None:
    talk.handshake(ONE, TWO)
    layer = ERRORS["unreachable"][talk.version == 6]()
    inner = quoted(talk, TWO, ONE, layer / Raw(quoted(talk, ONE, TWO, TCP(sport=40000, dport=80))))
    deny(talk.bench, ONE, "egress")
    assert error(talk, ONE, TWO, inner) == DENY


def test_established_after_the_error(talk: Talk) -> None:
    """An error is advice: the flow goes on."""
    talk.handshake(ONE, TWO)
    assert error(talk, ROUTER, ONE, quoted(talk, ONE, TWO, TCP(sport=40000, dport=80)), "too big") == RELATED
    assert talk.tcp(ONE, TWO, "A") == ESTABLISHED
