"""Conversations through the pipeline: the first packet is judged, what belongs to it passes, and when it is over it is over.

The answering side's policy denies everything the other way, so that an answer passes only as part of its flow.
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Ether

from k8s_p4.reasons import Reason
from test.support.pipeline import Bench, number, prefix
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, allow, deny
from test.support.target import ON_BMV2

ALLOW, DENY, ESTABLISHED = Reason.POLICY_ALLOW, Reason.POLICY, Reason.ESTABLISHED
PAIRS = [(ONE, TWO), (ONE, REMOTE), (REMOTE, ONE)]


def one_way(bench: Bench, client: Party, server: Party) -> None:
    """Let policy allow what the client begins, and nothing the other way."""
    if client.endpoint:
        deny(bench, client, "ingress")
    if server.endpoint:
        deny(bench, server, "egress")


@pytest.fixture(params=PAIRS, ids=["pod to pod", "pod to far", "far to pod"])
def pair(bench: Bench, request: pytest.FixtureRequest) -> tuple[Party, Party]:
    one_way(bench, *request.param)
    return request.param


# --- TCP


def test_tcp_from_handshake_to_close(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.tcp(server, client, "SA", 80, 40000) == DENY
    talk.handshake(client, server)
    assert talk.learned() == {f"flow_v{talk.version}": 2}
    for _ in range(3):
        talk.wait(3600)
        assert talk.tcp(client, server, "PA", data=b"request") == ESTABLISHED
        talk.wait(3600)
        assert talk.tcp(server, client, "PA", 80, 40000, b"answer") == ESTABLISHED
    assert talk.tcp(client, server, "FA") == ESTABLISHED
    assert talk.tcp(server, client, "FA", 80, 40000) == ESTABLISHED
    assert talk.tcp(client, server, "A") == ESTABLISHED
    assert talk.learned() == {f"flow_v{talk.version}": 2, f"closing_v{talk.version}": 2}
    talk.wait(121)
    assert talk.learned() == {}
    assert talk.tcp(server, client, "A", 80, 40000) == DENY, "a late ACK of a flow that is over"
    assert talk.tcp(client, server, "A").allows, "in mid-stream without a flow: judged as new"


def test_established_packets_meet_no_policy(talk: Talk, bench: Bench) -> None:
    talk.handshake(ONE, TWO)
    deny(bench, ONE, "ingress", "egress")
    deny(bench, TWO, "ingress", "egress")
    outcome = talk.send(ONE, TWO, TCP(sport=40000, dport=80, flags="A"))
    assert (outcome.reason, outcome.out, outcome.slots) == (ESTABLISHED, "cali2", (0, 0))
    assert talk.tcp(ONE, TWO, "S", 40001) == DENY
    assert talk.tcp(ONE, TWO, "S", 40000, 81) == DENY


def test_a_connection_that_nobody_accepts_is_forgotten(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.tcp(client, server, "S") == ALLOW
    talk.wait(119)
    assert talk.tcp(client, server, "S") == ESTABLISHED
    talk.wait(121)
    assert talk.tcp(server, client, "SA", 80, 40000) == DENY


def test_an_idle_connection_times_out(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    talk.handshake(client, server)
    talk.wait(43199)
    assert talk.tcp(server, client, "A", 80, 40000) == ESTABLISHED
    talk.wait(43201)
    assert talk.tcp(server, client, "A", 80, 40000) == DENY


def test_one_side_that_talks_keeps_the_other(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    talk.handshake(client, server)
    for _ in range(4):
        talk.wait(30000)
        assert talk.tcp(server, client, "PA", 80, 40000, b"stream") == ESTABLISHED
    assert talk.tcp(client, server, "A") == ESTABLISHED


@pytest.mark.parametrize("flags", ["R", "RA", "FA"])
def test_closing_is_short(talk: Talk, pair: tuple[Party, Party], flags: str) -> None:
    client, server = pair
    talk.handshake(client, server)
    assert talk.tcp(server, client, flags, 80, 40000) == ESTABLISHED
    talk.wait(50)
    assert talk.tcp(client, server, "A") == ESTABLISHED, "a late ACK"
    talk.wait(121 if ON_BMV2 else 71)
    assert talk.learned() == {}, "which prolongs nothing, unless any look-up does"


def test_a_forged_reset_does_not_end_a_connection(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    talk.handshake(client, server)
    assert talk.tcp(server, client, "R", 80, 40000) == ESTABLISHED
    for _ in range(3):
        talk.wait(45)
        assert talk.tcp(client, server, "PA", data=b"on and on") == ESTABLISHED
    talk.wait(61 if ON_BMV2 else 0)  # any look-up prolongs what makes it closing
    assert talk.tcp(client, server, "PA") == ESTABLISHED
    talk.wait(40000)
    assert talk.tcp(server, client, "A", 80, 40000) == ESTABLISHED


def test_half_closed_goes_on(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    talk.handshake(client, server)
    assert talk.tcp(client, server, "FA") == ESTABLISHED
    for _ in range(20):
        talk.wait(30)
        assert talk.tcp(server, client, "PA", 80, 40000, b"the rest") == ESTABLISHED
        assert talk.tcp(client, server, "A") == ESTABLISHED


def test_the_five_tuple_again_is_judged_as_new(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "FA") == ESTABLISHED
    assert talk.tcp(TWO, ONE, "FA", 80, 40000) == ESTABLISHED
    talk.wait(5)
    deny(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "S") == DENY
    assert talk.tcp(TWO, ONE, "S", 80, 40000) == DENY, "the other side may not open it anew either"
    allow(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "S") == ALLOW
    assert talk.tcp(TWO, ONE, "SA", 80, 40000) == ESTABLISHED
    assert talk.tcp(ONE, TWO, "A") == ESTABLISHED
    talk.wait(40000)
    assert talk.tcp(TWO, ONE, "A", 80, 40000) == ESTABLISHED, "and it is a connection like any other"
    assert talk.learned() == {f"flow_v{talk.version}": 2}


def test_opened_anew_and_closed_again(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "R") == ESTABLISHED
    talk.wait(1)
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "R") == ESTABLISHED
    talk.wait(30)
    deny(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "S") == DENY, "still remembered as closing"


def test_opened_anew_it_is_soon_no_longer_closing(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "R") == ESTABLISHED
    talk.handshake(ONE, TWO)
    deny(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "S") == DENY
    talk.wait(11)
    assert talk.tcp(ONE, TWO, "S") == ESTABLISHED


def test_a_connection_opened_anew_and_idle_at_once_lives(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    talk.handshake(ONE, TWO)
    assert talk.tcp(ONE, TWO, "R") == ESTABLISHED
    talk.handshake(ONE, TWO)
    talk.wait(1000)
    assert talk.tcp(TWO, ONE, "A", 80, 40000) == ESTABLISHED


def test_simultaneous_open(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    assert talk.tcp(ONE, TWO, "S") == ALLOW
    assert talk.tcp(TWO, ONE, "S", 80, 40000) == ESTABLISHED
    assert talk.tcp(ONE, TWO, "SA") == ESTABLISHED
    assert talk.tcp(TWO, ONE, "SA", 80, 40000) == ESTABLISHED


def test_mid_stream_is_judged_and_learned(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    assert talk.tcp(ONE, TWO, "PA", data=b"middle") == ALLOW
    assert talk.tcp(TWO, ONE, "A", 80, 40000) == ESTABLISHED
    talk.wait(10000)
    assert talk.tcp(ONE, TWO, "A") == ESTABLISHED


@pytest.mark.parametrize("flags", ["R", "RA"])
def test_a_reset_out_of_the_blue_is_judged_and_opens_nothing(talk: Talk, bench: Bench, flags: str) -> None:
    one_way(bench, ONE, TWO)
    assert talk.tcp(ONE, TWO, flags) == ALLOW
    assert talk.learned() == {}
    assert talk.tcp(TWO, ONE, "A", 80, 40000) == DENY


# --- UDP, SCTP


def test_udp_request_and_reply(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.udp(server, client, 53, 40000) == DENY
    assert talk.udp(client, server) == ALLOW
    assert talk.udp(server, client, 53, 40000) == ESTABLISHED
    assert talk.udp(server, client, 54, 40000) == DENY, "another source port"
    assert talk.udp(server, client, 53, 40001) == DENY, "another destination port"
    assert talk.tcp(server, client, "S", 53, 40000) == DENY, "another protocol"


def test_udp_reply_after_expiry(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.udp(client, server) == ALLOW
    talk.wait(29)
    assert talk.udp(client, server) == ESTABLISHED
    talk.wait(31)
    assert talk.udp(server, client, 53, 40000) == DENY
    assert talk.udp(client, server) == ALLOW


def test_udp_one_way_stream_keeps_the_way_back(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.udp(client, server) == ALLOW
    for _ in range(20):
        talk.wait(20)
        assert talk.udp(client, server) == ESTABLISHED
    assert talk.udp(server, client, 53, 40000) == ESTABLISHED


@pytest.mark.parametrize("protocol, seconds", [("udp", 120), ("sctp", 300)])
def test_answered_lives_longer(talk: Talk, pair: tuple[Party, Party], protocol: str, seconds: int) -> None:
    client, server = pair
    say = getattr(talk, protocol)
    assert say(client, server, 40000, 53) == ALLOW
    assert say(server, client, 53, 40000) == ESTABLISHED
    for party, other, sport, dport in ((client, server, 40000, 53), (server, client, 53, 40000), (server, client, 53, 40000)):
        talk.wait(seconds - 1)
        assert say(party, other, sport, dport) == ESTABLISHED
    talk.wait(seconds + 1)
    assert talk.learned() == {}
    assert say(server, client, 53, 40000) == DENY


# --- echo


def test_echo(talk: Talk, pair: tuple[Party, Party]) -> None:
    client, server = pair
    assert talk.echo(server, client, reply=True) == DENY
    assert talk.echo(client, server) == ALLOW
    assert talk.echo(server, client, reply=True) == ESTABLISHED
    assert talk.echo(server, client, 8, reply=True) == DENY, "another identifier"
    assert talk.echo(server, client) == DENY, "a request of the other side is no answer"
    assert talk.echo(client, server) == ESTABLISHED
    talk.wait(31)
    assert talk.echo(server, client, reply=True) == DENY


@pytest.mark.parametrize("identifier", [0, 8, 128, 0x0800, 0x8000, 0xFFFF])
def test_no_identifier_makes_a_request_an_answer(talk: Talk, bench: Bench, identifier: int) -> None:
    one_way(bench, ONE, TWO)
    assert talk.echo(ONE, TWO, identifier) == ALLOW
    assert talk.echo(TWO, ONE, identifier) == DENY
    assert talk.echo(TWO, ONE, identifier, reply=True) == ESTABLISHED


def test_an_echo_reply_out_of_the_blue_opens_nothing(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    assert talk.echo(ONE, TWO, reply=True) == ALLOW
    assert talk.learned() == {}
    assert talk.echo(TWO, ONE) == DENY


# --- who else talks


def test_host_and_workload(talk: Talk, bench: Bench) -> None:
    deny(bench, ONE, "ingress", "egress")
    assert talk.tcp(HOST, ONE, "S") == Reason.HOST_TO_WORKLOAD
    assert talk.tcp(ONE, HOST, "SA", 80, 40000) == ESTABLISHED, "passes over DefaultEndpointToHostAction and policy"
    assert talk.tcp(ONE, HOST, "S", 40000, 22) == DENY


def test_a_pod_talks_to_itself(talk: Talk, bench: Bench) -> None:
    assert talk.tcp(ONE, ONE, "S") == ALLOW
    deny(bench, ONE, "ingress", "egress")
    assert talk.tcp(ONE, ONE, "SA", 80, 40000) == ESTABLISHED


def test_both_policies_must_allow(talk: Talk, bench: Bench) -> None:
    deny(bench, TWO, "ingress")
    assert talk.tcp(ONE, TWO, "S") == DENY
    allow(bench, TWO, "ingress")
    deny(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "S") == DENY
    assert talk.learned() == {}, "what was denied is not learned"


# --- the two kinds of deny


def test_denies_that_hold_for_established_flows(talk: Talk, bench: Bench) -> None:
    """Left column of the table of the design: what was accepted once is dropped nevertheless."""
    v = f"v{talk.version}"
    numbers = {party: number(party.address(talk.version)) for party in (ONE, TWO, REMOTE)}
    talk.handshake(ONE, TWO)
    talk.handshake(ONE, REMOTE)

    def data(to: Party = TWO) -> Reason:
        return talk.tcp(ONE, to, "A")

    cases = [
        ("port", (bench.ports["cali1"],), None, TWO, Reason.UNKNOWN_PORT),
        ("port", (bench.ports["cali1"],), ("workload_closed", 1, 4), TWO, Reason.ENDPOINT_DOWN),
        ("port", (bench.ports["cali1"],), ("workload_closed", 1, 5), TWO, Reason.DEGRADED),
        (f"source_host_{v}", (1, numbers[ONE]), None, TWO, Reason.SPOOFED),
        (f"local_{v}", (numbers[TWO],), ("to_workload_closed", 2, 4, 102), TWO, Reason.ENDPOINT_DOWN),
        (f"local_{v}", (numbers[TWO],), ("to_workload_closed", 2, 5, 102), TWO, Reason.DEGRADED),
        (f"route_{v}", (prefix("::/0" if talk.version == 6 else "0.0.0.0/0"),), None, REMOTE, Reason.NO_ROUTE),
        (f"route_{v}", (prefix("::/0" if talk.version == 6 else "0.0.0.0/0"),), ("blackhole",), REMOTE, Reason.BLACKHOLE),
        ("next_hop", (20,), None, REMOTE, Reason.NEIGHBOUR_UNKNOWN),
    ]
    for table, key, value, to, reason in cases:
        before = bench.rows[table, key]
        if value is None:
            bench.delete(table, *key)
        else:
            bench.row(table, key, value)
        assert data(to) == reason, (table, value)
        bench.row(table, key, before)
        assert data(to) == ESTABLISHED, (table, value)


def test_time_to_live_and_damage_hold_too(talk: Talk) -> None:
    talk.handshake(ONE, TWO)
    hops = {"ttl": 1} if talk.version == 4 else {"hlim": 1}
    assert talk.send(ONE, TWO, TCP(sport=40000, dport=80, flags="A"), **hops).reason == Reason.TTL
    cut = bytes(talk.packet(ONE, TWO, TCP(sport=40000, dport=80, flags="A")))[:-2]
    assert talk.raw(ONE, cut).reason == Reason.PARSE


def test_what_is_dropped_late_is_not_learned(talk: Talk, bench: Bench) -> None:
    hops = {"ttl": 1} if talk.version == 4 else {"hlim": 1}
    assert talk.send(ONE, TWO, UDP(sport=40000, dport=53), **hops).reason == Reason.TTL
    bench.delete("next_hop", 2)
    assert talk.udp(ONE, TWO) == Reason.NEIGHBOUR_UNKNOWN
    assert talk.learned() == {}


# --- the table


def test_families_and_ports_are_apart(bench: Bench) -> None:
    """One flow opens the way for its own answer and nothing else, whatever field one changes."""
    for version in (4, 6):
        talk = Talk(bench, version)
        talk.fresh()
        one_way(bench, ONE, TWO)
        assert talk.udp(ONE, TWO) == ALLOW
        other = Talk(bench, 10 - version)
        assert other.udp(TWO, ONE, 53, 40000) == DENY
        assert talk.udp(REMOTE, ONE, 53, 40000) == DENY
        frame = Ether(bytes(talk.packet(TWO, ONE, UDP(sport=53, dport=40000))))
        assert talk.raw(TWO, frame).reason == ESTABLISHED
        allow(bench, ONE, "ingress")
        allow(bench, TWO, "egress")


def test_learned_flows_are_counted(talk: Talk, bench: Bench) -> None:
    for port in range(40000, 40010):
        assert talk.udp(ONE, TWO, port) == ALLOW
        assert talk.udp(TWO, ONE, 53, port) == ESTABLISHED
    assert bench.counter("flows", 0) == 10


def test_a_full_table_judges_packet_by_packet(talk: Talk, bench: Bench) -> None:
    """Buckets fill unevenly: what finds no place passes all the same, its answers do not, and it is counted."""
    bench.shrink(f"flow_v{talk.version}", 64)
    one_way(bench, ONE, TWO)
    ports = range(40000, 40200)
    assert all(talk.udp(ONE, TWO, port) == ALLOW for port in ports)
    again = {port: talk.udp(ONE, TWO, port) for port in ports}
    answers = {port: talk.udp(TWO, ONE, 53, port) for port in ports}
    assert set(again.values()) == {ALLOW, ESTABLISHED}
    assert set(answers.values()) == {DENY, ESTABLISHED}
    halves = sum(reason == ESTABLISHED for reason in (*again.values(), *answers.values()))
    assert talk.learned() == {f"flow_v{talk.version}": halves} and halves <= 256
    whole = sum(again[port] == answers[port] == ESTABLISHED for port in ports)
    assert 0 < whole < 200
    assert bench.counter("flows", 0) == whole
    assert bench.counter("flows", 2) == 200 - whole + sum(reason == ALLOW for reason in again.values()), "each time it is judged"


def test_a_missing_half_is_learned_when_there_is_room(talk: Talk, bench: Bench) -> None:
    bench.shrink(f"flow_v{talk.version}", 1)
    one_way(bench, ONE, TWO)
    assert [talk.udp(ONE, TWO, port) for port in (1, 2)] == [ALLOW] * 2
    talk.wait(20)
    assert talk.udp(TWO, ONE, 53, 2) == ESTABLISHED  # from here on it lives for 120 s
    talk.wait(5)
    assert talk.udp(ONE, TWO, 3) == ALLOW
    assert talk.udp(TWO, ONE, 53, 3) == DENY, "four keys are there"
    talk.wait(10)
    assert talk.udp(ONE, TWO, 3) == ALLOW
    assert talk.udp(TWO, ONE, 53, 3) == ESTABLISHED, "those of port 1 have run out"


def test_the_first_half_brings_the_other_back(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    assert talk.udp(ONE, TWO) == ALLOW
    bench.forget_learned(f"flow_v{talk.version}", lambda name: name.startswith("back"))
    assert talk.udp(ONE, TWO) == ESTABLISHED
    assert talk.learned() == {f"flow_v{talk.version}": 2}
    assert talk.udp(TWO, ONE, 53, 40000) == ESTABLISHED


def test_an_answer_does_not_bring_the_first_half_back(talk: Talk, bench: Bench) -> None:
    one_way(bench, ONE, TWO)
    assert talk.udp(ONE, TWO) == ALLOW
    bench.forget_learned(f"flow_v{talk.version}", lambda name: name.startswith("forth"))
    assert talk.udp(TWO, ONE, 53, 40000) == ESTABLISHED
    assert talk.learned() == {f"flow_v{talk.version}": 1}
    assert talk.udp(ONE, TWO) == ALLOW, "judged as new, and learned again"
    assert talk.udp(ONE, TWO) == ESTABLISHED


# --- owners


def reborn(bench: Bench, talk: Talk, party: Party, incarnation: int) -> None:
    """Somebody else stands behind the same port and has the same address."""
    bench.row("port", (bench.ports[party.port],), ("workload", party.endpoint, 0, 0, incarnation))
    bench.row(f"local_v{talk.version}", (number(party.address(talk.version)),), ("to_workload", party.endpoint, party.endpoint, incarnation))


@pytest.mark.parametrize("who", [ONE, TWO], ids=["client", "server"])
def test_a_flow_never_serves_a_new_owner(talk: Talk, bench: Bench, who: Party) -> None:
    one_way(bench, ONE, TWO)
    talk.handshake(ONE, TWO)
    assert talk.udp(ONE, TWO) == ALLOW
    deny(bench, ONE, "egress")
    reborn(bench, talk, who, 555)
    assert talk.tcp(ONE, TWO, "A") == DENY
    assert talk.tcp(TWO, ONE, "A", 80, 40000) == DENY
    assert talk.udp(TWO, ONE, 53, 40000) == DENY
    reborn(bench, talk, who, 100 + who.endpoint)
    assert talk.tcp(ONE, TWO, "A") == ESTABLISHED, "the numbers are what counts"


def test_an_address_that_moved_is_another_peer(talk: Talk, bench: Bench) -> None:
    """The flow is the remote's, until a workload has that address."""
    deny(bench, ONE, "ingress")
    talk.handshake(ONE, REMOTE)
    bench.row(f"local_v{talk.version}", (number(REMOTE.address(talk.version)),), ("to_workload", 2, 2, 102))
    bench.row(f"source_host_v{talk.version}", (2, number(REMOTE.address(talk.version))), ("source_ok",))
    moved = Party("cali2", REMOTE.v4, REMOTE.v6, 2)
    assert talk.tcp(moved, ONE, "A", 80, 40000) == DENY
    deny(bench, TWO, "ingress")
    assert talk.tcp(ONE, moved, "A") == DENY


def test_who_sends_under_an_address_of_another(talk: Talk, bench: Bench) -> None:
    """Allowed to (source guard), it gets no answer: that goes to the owner, and is an answer all the same."""
    bench.row(f"source_host_v{talk.version}", (1, number(TWO.address(talk.version))), ("source_ok",))
    posing = Party("cali1", TWO.v4, TWO.v6, 1)
    deny(bench, TWO, "ingress")
    assert talk.tcp(posing, REMOTE, "S") == ALLOW
    outcome = talk.send(REMOTE, TWO, TCP(sport=80, dport=40000, flags="SA"))
    assert (outcome.reason, outcome.out) == (ESTABLISHED, "cali2")
    assert talk.tcp(TWO, REMOTE, "A") == ALLOW, "the owner's own packets are no part of it"
