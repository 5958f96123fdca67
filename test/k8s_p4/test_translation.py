"""Translated conversations through the pipeline: services, floating addresses, masquerade; what is rewritten, and what is dropped rather than mixed up."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from test.support.nat import (
    AFFINITY,
    CHECK_SOURCE,
    FIRST_PORT,
    FROM_HOST,
    FROM_OUTSIDE,
    FROM_WORKLOAD,
    PORT_MASK,
    TO_HOST,
    TO_WORKLOAD,
    address_params,
    backend_row,
    floating,
    masquerade_as,
    pool,
    service,
    wrong_checksums,
)
from test.support.pipeline import Bench, Outcome, number, prefix, rule
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, allow, deny
from test.support.target import ON_BMV2

ALLOW, DENY, ESTABLISHED, RELATED = Reason.POLICY_ALLOW, Reason.POLICY, Reason.ESTABLISHED, Reason.RELATED
VIPS = Party("nowhere", "10.96.0.10", "fd00:96::a")
FLOATING = Party("eth0", "192.0.2.200", "2001:db8::200")
ROUTER = Party("eth0", "198.51.100.1", "2001:db8:9::1")
OTHER = Party("eth0", "198.51.100.77", "2001:db8:9::77")


class Seen(NamedTuple):
    """A frame that left: by which port, and its tuple; ports of an echo are its identifier and 0."""

    out: str
    src: str
    sport: int
    dst: str
    dport: int


def seen(outcome: Outcome) -> Seen:
    """What left, its checksums looked at."""
    assert outcome.out, outcome.reason
    assert not wrong_checksums(outcome.frame)
    frame = Ether(outcome.frame)
    ip = frame[IP] if IP in frame else frame[IPv6]
    for layer in (TCP, UDP, SCTP):
        if layer in ip:
            return Seen(outcome.out, ip.src, ip[layer].sport, ip.dst, ip[layer].dport)
    echo = next(ip[layer] for layer in (ICMP, ICMPv6EchoRequest, ICMPv6EchoReply) if layer in ip)
    return Seen(outcome.out, ip.src, echo.id, ip.dst, 0)


def a(talk: Talk, party: Party) -> str:
    return party.address(talk.version)


def service_to(talk: Talk, backend: Party, port: int = 8080, flags: int = 0, **more: Any) -> None:
    service(talk.bench, a(talk, VIPS), 80, [(a(talk, backend), port)], flags=flags, **more)


def outside_pools(talk: Talk) -> None:
    """Workloads are masqueraded when they leave the cluster's pool."""
    pool(talk.bench, "10.0.0.0/8" if talk.version == 4 else "fd00::/16", 3)
    masquerade_as(talk.bench, a(talk, HOST))


def data(talk: Talk, src: Party, dst: Party, sport: int, dport: int, flags: str = "PA") -> Outcome:
    return talk.send(src, dst, TCP(sport=sport, dport=dport, flags=flags) / Raw(b"odd"))


# --- services


def test_a_connection_through_a_service(talk: Talk) -> None:
    service_to(talk, TWO)
    deny(talk.bench, ONE, "ingress")
    deny(talk.bench, TWO, "egress")
    syn = data(talk, ONE, VIPS, 40000, 80, "S")
    assert syn.reason == ALLOW
    assert seen(syn) == Seen("cali2", a(talk, ONE), 40000, a(talk, TWO), 8080)
    answer = data(talk, TWO, ONE, 8080, 40000, "SA")
    assert answer.reason == ESTABLISHED
    assert seen(answer) == Seen("cali1", a(talk, VIPS), 80, a(talk, ONE), 40000)
    for _ in range(3):
        talk.wait(10000)
        assert seen(data(talk, ONE, VIPS, 40000, 80)) == seen(syn)
        assert seen(data(talk, TWO, ONE, 8080, 40000)) == seen(answer)
    assert data(talk, ONE, VIPS, 40000, 80, "FA").reason == ESTABLISHED
    assert data(talk, TWO, ONE, 8080, 40000, "FA").reason == ESTABLISHED
    talk.wait(121)
    assert talk.learned() == {}
    assert data(talk, TWO, ONE, 8080, 40000).reason == DENY


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_every_protocol_and_where_the_backend_is(talk: Talk, protocol: str) -> None:
    layer: Any = {"tcp": TCP, "udp": UDP, "sctp": SCTP}[protocol]
    for group, backend in enumerate((TWO, REMOTE), 1):
        service(talk.bench, a(talk, VIPS), 80, [(a(talk, backend), 80)], group=group, protocol=protocol)
        talk.fresh()
        assert seen(talk.send(ONE, VIPS, layer(sport=4000, dport=80))) == Seen(backend.port, a(talk, ONE), 4000, a(talk, backend), 80)
        assert seen(talk.send(backend, ONE, layer(sport=80, dport=4000))) == Seen("cali1", a(talk, VIPS), 80, a(talk, ONE), 4000)
    other: Any = UDP if protocol == "tcp" else TCP
    assert talk.send(ONE, VIPS, other(sport=4000, dport=80)).out == "eth0", "another protocol is another service"


def test_policy_sees_the_backend_and_the_port_behind(talk: Talk) -> None:
    service_to(talk, TWO)
    deny(talk.bench, TWO, "ingress")
    assert data(talk, ONE, VIPS, 40000, 80, "S").reason == DENY
    talk.bench.row("ingress.rules", rule(99, dst_port=8080), ("allow", 7))
    outcome = data(talk, ONE, VIPS, 40000, 80, "S")
    assert (outcome.reason, outcome.slots) == (ALLOW, (1, 7))
    talk.bench.delete("ingress.rules", *rule(99, dst_port=8080))
    assert data(talk, ONE, VIPS, 40001, 80, "S").reason == DENY


def test_backends_are_chosen_by_the_flow_and_kept(talk: Talk) -> None:
    backends = [(a(talk, REMOTE), 1000 + n) for n in range(8)]
    service(talk.bench, a(talk, VIPS), 80, backends)
    chosen = {}
    for sport in range(40000, 40200):
        chosen[sport] = seen(data(talk, ONE, VIPS, sport, 80, "S")).dport
    counts = [list(chosen.values()).count(port) for _, port in backends]
    assert min(counts) >= 8, counts
    for row in range(2):
        backend_row(talk.bench, f"v{talk.version}", 1, row, [(a(talk, OTHER), 9)] * 4)
    assert {sport: seen(data(talk, ONE, VIPS, sport, 80)).dport for sport in chosen} == chosen, "a flow stays with its backend"


def test_a_table_that_grew_keeps_each_bucket_where_it_was(talk: Talk) -> None:
    """The four of a row are told apart by the lowest bits of the hash, rows by those above: that new buckets are the old ones, only finer, rests on it."""
    many = [(a(talk, REMOTE), 1000 + bucket) for bucket in range(16)]
    chosen = {}
    for backends in (many[:4], many[:8], many):
        service(talk.bench, a(talk, VIPS), 80, backends)
        chosen[len(backends)] = [seen(data(talk, ONE, VIPS, sport, 80, "S")).dport - 1000 for sport in range(40000, 40100)]
        talk.bench.client.clear_learned()
    assert [bucket % 4 for bucket in chosen[8]] == chosen[4] and [bucket % 8 for bucket in chosen[16]] == chosen[8]
    assert set(chosen[16]) == set(range(16))


def test_inside_and_outside_may_have_backends_of_their_own(talk: Talk) -> None:
    service_to(talk, TWO, outside=2)
    backend_row(talk.bench, f"v{talk.version}", 2, 0, [(a(talk, ONE), 8081)] * 4)
    assert seen(data(talk, REMOTE, VIPS, 1000, 80, "S")) == Seen("cali1", a(talk, REMOTE), 1000, a(talk, ONE), 8081)
    assert seen(data(talk, HOST, VIPS, 1000, 80, "S")) == Seen("cali2", a(talk, HOST), 1000, a(talk, TWO), 8080)
    assert seen(data(talk, TWO, HOST, 8080, 1000, "SA")) == Seen("host", a(talk, VIPS), 80, a(talk, HOST), 1000)


def test_what_the_host_sends_is_routed_where_it_goes(talk: Talk) -> None:
    """First towards the service's address, by the uplink; then to the backend, next door or by another next hop."""
    service_to(talk, REMOTE)
    assert seen(data(talk, HOST, VIPS, 1000, 80, "S")) == Seen("eth0", a(talk, HOST), 1000, a(talk, REMOTE), 8080)
    net = "198.51.100.0/24" if talk.version == 4 else "2001:db8:9::/48"
    talk.bench.row(f"route_v{talk.version}", (prefix(net),), ("blackhole",))
    assert data(talk, HOST, VIPS, 1000, 80).reason == Reason.BLACKHOLE
    talk.bench.row(f"route_v{talk.version}", (prefix(net),), ("to_tunnel", 5))
    assert data(talk, HOST, VIPS, 1000, 80).reason == Reason.BLACKHOLE, "a tunnel that can't be made yet"
    talk.bench.row(f"route_v{talk.version}", ((number(a(talk, VIPS)), 32 if talk.version == 4 else 128),), ("to_tunnel", 5))
    talk.bench.row(f"route_v{talk.version}", (prefix(net),), ("to_uplink", 20))
    assert data(talk, HOST, VIPS, 1000, 80).reason == Reason.BLACKHOLE


def test_no_backend(talk: Talk) -> None:
    service(talk.bench, a(talk, VIPS), 80, [])
    assert data(talk, ONE, VIPS, 1000, 80, "S").reason == Reason.NO_BACKEND
    service(talk.bench, a(talk, VIPS), 81, [(a(talk, TWO), 80)], group=7)
    talk.bench.delete(f"backend_v{talk.version}", 7, 0)
    assert data(talk, ONE, VIPS, 1000, 81, "S").reason == Reason.NO_BACKEND
    assert talk.learned() == {}


def test_source_ranges(talk: Talk) -> None:
    service_to(talk, TWO, flags=CHECK_SOURCE)
    assert data(talk, REMOTE, VIPS, 1000, 80, "S").reason == Reason.SOURCE_RANGE
    net = "198.51.100.0/29" if talk.version == 4 else "2001:db8:9::/125"
    for group, reason in ((2, Reason.SOURCE_RANGE), (1, DENY)):
        talk.bench.row(f"service_source_v{talk.version}", (group, prefix(net)), ("source_in_range",))
        assert data(talk, ROUTER, VIPS, 1000, 80, "S").reason == (ALLOW if reason == DENY else reason)
    assert data(talk, OTHER, VIPS, 1000, 80, "S").reason == Reason.SOURCE_RANGE
    assert data(talk, ONE, VIPS, 1000, 80, "S").reason == Reason.SOURCE_RANGE, "whoever asks"


def test_the_same_client_port_directly_and_through_the_service(talk: Talk) -> None:
    """What answers could not be told apart: the second flow is dropped, and says why."""
    service_to(talk, TWO)
    assert data(talk, ONE, VIPS, 40000, 80, "S").reason == ALLOW
    clashes = talk.bench.counter("flows", 1)
    assert data(talk, ONE, TWO, 40000, 8080, "S").reason == Reason.FLOW_CLASH
    assert talk.bench.counter("flows", 1) == clashes + 1
    assert data(talk, ONE, TWO, 40001, 8080, "S").reason == ALLOW
    assert data(talk, ONE, VIPS, 40001, 80, "S").reason == Reason.FLOW_CLASH
    assert seen(data(talk, TWO, ONE, 8080, 40000, "SA")).src == a(talk, VIPS)
    assert seen(data(talk, TWO, ONE, 8080, 40001, "SA")).src == a(talk, TWO)


@pytest.mark.parametrize("half", ["low", "high"])
def test_a_clash_of_addresses_alike(talk: Talk, half: str) -> None:
    """The service's address differs from the backend's in one half of its bits only, the port not at all."""
    vip = Party("nowhere", "10.0.0.99" if half == "low" else "10.96.0.2", "fd00::99" if half == "low" else "fd00:96::2")
    service(talk.bench, a(talk, vip), 80, [(a(talk, TWO), 80)])
    assert data(talk, ONE, vip, 40000, 80, "S").reason == ALLOW
    assert data(talk, ONE, TWO, 40000, 80, "S").reason == Reason.FLOW_CLASH
    assert seen(data(talk, TWO, ONE, 80, 40000, "SA")).src == a(talk, vip)
    assert data(talk, ONE, TWO, 40001, 80, "S").reason == ALLOW
    assert data(talk, ONE, vip, 40001, 80, "S").reason == Reason.FLOW_CLASH


def test_a_full_table_translates_packet_by_packet(talk: Talk) -> None:
    """What could not be learned is judged again with each packet, and translated alike; nothing is dropped that passed before."""
    v = f"flow_v{talk.version}"
    outside_pools(talk)
    service_to(talk, TWO)
    talk.bench.shrink(v, 8)
    towards = {sport: VIPS if sport % 2 else REMOTE for sport in range(1000, 1100)}
    first = {sport: seen(data(talk, ONE, to, sport, 80, "S")) for sport, to in towards.items()}
    for _ in range(2):
        again = {sport: data(talk, ONE, to, sport, 80) for sport, to in towards.items()}
        assert {outcome.reason for outcome in again.values()} == {ALLOW, ESTABLISHED}
        assert {sport: seen(outcome) for sport, outcome in again.items()} == first
    assert talk.learned()[v] <= 32
    assert talk.bench.counter("flows", 2) > 60


def test_affinity(talk: Talk) -> None:
    v, profile = f"v{talk.version}", 1  # 60 s
    backends = [(a(talk, REMOTE), 1000 + n) for n in range(8)]
    service(talk.bench, a(talk, VIPS), 80, backends, flags=AFFINITY | profile << 8)
    for address, port in backends:
        talk.bench.row(f"affinity_backend_{v}", (1, number(address), port), ("still_there",))

    def backend(sport: int, who: Party = ONE) -> int:
        return seen(data(talk, who, VIPS, sport, 80, "S")).dport

    first = backend(40000)
    assert {backend(40000 + n) for n in range(20)} == {first}
    turned = backends[1:] + backends[:1]
    service(talk.bench, a(talk, VIPS), 80, turned, flags=AFFINITY | profile << 8)
    for step in range(3):
        talk.wait(50)
        assert backend(41000 + step) == first, "remembered, and the time starts anew with each connection"
    talk.wait(61)
    second = backend(42000)
    assert second != first, "forgotten, the bucket decides"
    talk.bench.delete(f"affinity_backend_{v}", 1, number(a(talk, REMOTE)), second)
    service(talk.bench, a(talk, VIPS), 80, backends, flags=AFFINITY | profile << 8)
    assert {backend(43000 + n) for n in range(20)} == {first}, "a backend that is gone is not gone back to"
    assert talk.learned()[f"affinity_{v}"] == 1


# --- masquerade


def test_masquerade(talk: Talk) -> None:
    outside_pools(talk)
    deny(talk.bench, ONE, "ingress")
    syn = data(talk, ONE, REMOTE, 40000, 443, "S")
    assert syn.reason == ALLOW
    left = seen(syn)
    assert left == Seen("eth0", a(talk, HOST), left.sport, a(talk, REMOTE), 443)
    assert FIRST_PORT <= left.sport <= FIRST_PORT + PORT_MASK
    answer = data(talk, REMOTE, HOST, 443, left.sport, "SA")
    assert (answer.reason, seen(answer)) == (ESTABLISHED, Seen("cali1", a(talk, REMOTE), 443, a(talk, ONE), 40000))
    assert seen(data(talk, ONE, REMOTE, 40000, 443)) == left
    assert data(talk, REMOTE, HOST, 443, left.sport + 1, "SA").out == "host", "nobody's: the node's"
    assert data(talk, OTHER, HOST, 443, left.sport, "SA").out == "host"


@pytest.mark.parametrize("what", ["udp", "echo"])
def test_masqueraded_without_a_connection(talk: Talk, what: str) -> None:
    outside_pools(talk)
    if what == "udp":
        left = seen(talk.send(ONE, REMOTE, UDP(sport=4000, dport=53) / b"ask"))
        back = seen(talk.send(REMOTE, HOST, UDP(sport=53, dport=left.sport) / b"tell"))
        assert back == Seen("cali1", a(talk, REMOTE), 53, a(talk, ONE), 4000)
    else:
        left = seen(talk.send(ONE, REMOTE, talk.echo_layer(77)))
        back = seen(talk.send(REMOTE, HOST, talk.echo_layer(left.sport, reply=True)))
        assert back == Seen("cali1", a(talk, REMOTE), 77, a(talk, ONE), 0)
        assert left.sport != 77
    assert (left.src, left.out) == (a(talk, HOST), "eth0")


def test_who_is_masqueraded(talk: Talk) -> None:
    outside_pools(talk)
    assert seen(data(talk, ONE, TWO, 1000, 80, "S")).src == a(talk, ONE), "inside"
    assert seen(data(talk, ONE, HOST, 1000, 80, "S")).src == a(talk, ONE), "to the node"
    assert seen(data(talk, HOST, REMOTE, 1000, 80, "S")) == Seen("eth0", a(talk, HOST), 1000, a(talk, REMOTE), 80), "not of a pool"
    assert seen(data(talk, REMOTE, ONE, 1000, 80, "S")).src == a(talk, REMOTE)
    pool(talk.bench, "198.51.100.0/24" if talk.version == 4 else "2001:db8:9::/48", 2)
    assert seen(data(talk, ONE, REMOTE, 1001, 80, "S")).src == a(talk, ONE), "another pool"
    pool(talk.bench, "10.0.0.0/8" if talk.version == 4 else "fd00::/16", 2)
    assert seen(data(talk, ONE, REMOTE, 1002, 80, "S")).src == a(talk, ONE), "a pool that does not"


def test_two_pods_one_port(talk: Talk) -> None:
    """With a single port to choose from: the second flow finds none, and then another server is another matter."""
    outside_pools(talk)
    masquerade_as(talk.bench, a(talk, HOST), mask=0)
    assert seen(data(talk, ONE, REMOTE, 40000, 443, "S")).sport == FIRST_PORT
    assert data(talk, TWO, REMOTE, 40000, 443, "S").reason == Reason.NO_PORT
    assert seen(data(talk, TWO, OTHER, 40000, 443, "S")).sport == FIRST_PORT
    assert seen(data(talk, REMOTE, HOST, 443, FIRST_PORT, "SA")).dst == a(talk, ONE)
    assert seen(data(talk, OTHER, HOST, 443, FIRST_PORT, "SA")).dst == a(talk, TWO)
    second = Party("eth0", "192.0.2.12", "2001:db8::12")
    candidate = (f"masquerade_as_v{talk.version}", *address_params(a(talk, second)), FIRST_PORT, 0)
    talk.bench.row(f"masquerade_address_v{talk.version}", (3, 1), candidate)
    assert seen(data(talk, TWO, REMOTE, 40000, 443, "S"))[1:3] == (a(talk, second), FIRST_PORT), "another address is another candidate"


def test_every_candidate_is_tried(talk: Talk) -> None:
    outside_pools(talk)
    masquerade_as(talk.bench, a(talk, HOST), first=30000, mask=7)
    taken = set()
    for sport in range(8):
        taken.add(seen(data(talk, ONE, REMOTE, 1000 + sport, 443, "S")).sport)
    assert taken == set(range(30000, 30008))
    assert data(talk, ONE, REMOTE, 1008, 443, "S").reason == Reason.NO_PORT


def test_the_hosts_own_ports_are_not_taken(talk: Talk) -> None:
    outside_pools(talk)
    masquerade_as(talk.bench, a(talk, HOST), mask=0)
    assert data(talk, HOST, REMOTE, FIRST_PORT, 443, "S").out == "eth0"
    assert data(talk, ONE, REMOTE, 40000, 443, "S").reason == Reason.NO_PORT
    assert seen(data(talk, REMOTE, HOST, 443, FIRST_PORT, "SA")).out == "host"
    assert seen(data(talk, ONE, OTHER, 40000, 443, "S")).sport == FIRST_PORT
    assert data(talk, HOST, OTHER, FIRST_PORT, 443, "S").reason == Reason.FLOW_CLASH


def test_no_address_to_masquerade_as(talk: Talk) -> None:
    pool(talk.bench, "10.0.0.0/8" if talk.version == 4 else "fd00::/16", 3)
    assert data(talk, ONE, REMOTE, 1000, 80, "S").reason == Reason.NO_PORT
    assert talk.learned() == {}


def test_what_has_no_flow_is_not_masqueraded_but_dropped(talk: Talk) -> None:
    outside_pools(talk)
    assert data(talk, ONE, REMOTE, 1000, 80, "R").reason == Reason.NO_PORT
    assert talk.send(ONE, REMOTE, talk.echo_layer(7, reply=True)).reason == Reason.NO_PORT
    assert talk.send(ONE, REMOTE, Raw(b"data"), **({"proto": 253} if talk.version == 4 else {"nh": 253})).reason == Reason.NO_PORT
    if talk.version == 4:
        assert talk.send(ONE, REMOTE, Raw(b"datagram"), frag=1, proto=17).reason == Reason.FRAGMENT
    else:
        assert talk.send(ONE, REMOTE, IPv6ExtHdrFragment(offset=1, nh=17) / Raw(b"datagram")).reason == Reason.FRAGMENT


def test_sctp_keeps_its_ports(talk: Talk) -> None:
    """Its checksum covers them."""
    outside_pools(talk)
    left = seen(talk.send(ONE, REMOTE, SCTP(sport=4000, dport=5060)))
    assert left == Seen("eth0", a(talk, HOST), 4000, a(talk, REMOTE), 5060)
    assert talk.send(TWO, REMOTE, SCTP(sport=4000, dport=5060)).reason == Reason.NO_PORT
    assert seen(talk.send(REMOTE, HOST, SCTP(sport=5060, dport=4000))).dst == a(talk, ONE)
    service_to(talk, TWO, port=81, protocol="sctp")
    assert talk.send(ONE, VIPS, SCTP(sport=1, dport=80)).reason == Reason.NO_PORT


# --- services and masquerade


@pytest.mark.parametrize("who, flag", [(ONE, FROM_WORKLOAD), (HOST, FROM_HOST), (REMOTE, FROM_OUTSIDE)], ids=["workload", "host", "outside"])
def test_services_that_masquerade(talk: Talk, who: Party, flag: int) -> None:
    masquerade_as(talk.bench, a(talk, FLOATING), TO_WORKLOAD)
    service_to(talk, TWO, flags=7 - flag)
    assert seen(data(talk, who, VIPS, 1000, 80, "S"))[1:3] == (a(talk, who), 1000)
    service_to(talk, TWO, flags=flag)
    left = seen(data(talk, who, VIPS, 1001, 80, "S"))
    assert (left.src, left.dst, left.dport) == (a(talk, FLOATING), a(talk, TWO), 8080)
    assert left.sport != 1001
    back = seen(data(talk, TWO, FLOATING, 8080, left.sport, "SA"))
    assert back == Seen(who.port, a(talk, VIPS), 80, a(talk, who), 1001)


def test_a_pod_through_a_service_to_itself(talk: Talk) -> None:
    masquerade_as(talk.bench, a(talk, HOST), TO_WORKLOAD)
    service_to(talk, ONE)
    left = seen(data(talk, ONE, VIPS, 40000, 80, "S"))
    assert left == Seen("cali1", a(talk, HOST), left.sport, a(talk, ONE), 8080)
    back = data(talk, ONE, HOST, 8080, left.sport, "SA")
    assert (back.reason, seen(back)) == (ESTABLISHED, Seen("cali1", a(talk, VIPS), 80, a(talk, ONE), 40000))


def test_a_node_port(talk: Talk) -> None:
    """An address that is the node's own: the flow goes on to the backend, what is no service stays with the node."""
    service(talk.bench, a(talk, HOST), 30080, [(a(talk, TWO), 8080)])
    left = seen(data(talk, REMOTE, HOST, 1000, 30080, "S"))
    assert left == Seen("cali2", a(talk, REMOTE), 1000, a(talk, TWO), 8080)
    assert seen(data(talk, TWO, REMOTE, 8080, 1000, "SA")) == Seen("eth0", a(talk, HOST), 30080, a(talk, REMOTE), 1000)
    assert data(talk, REMOTE, HOST, 1000, 30081, "S").out == "host"


def test_the_node_as_backend_is_never_masqueraded_by_a_pool(talk: Talk) -> None:
    outside_pools(talk)
    masquerade_as(talk.bench, a(talk, HOST), TO_HOST)
    service_to(talk, HOST, port=6443)
    assert seen(data(talk, ONE, VIPS, 1000, 80, "S")) == Seen("host", a(talk, ONE), 1000, a(talk, HOST), 6443)


# --- floating addresses


def test_a_floating_address(talk: Talk) -> None:
    floating(talk.bench, a(talk, FLOATING), a(talk, ONE))
    deny(talk.bench, ONE, "egress")
    left = data(talk, REMOTE, FLOATING, 1000, 80, "S")
    assert (left.reason, seen(left)) == (ALLOW, Seen("cali1", a(talk, REMOTE), 1000, a(talk, ONE), 80))
    assert seen(data(talk, ONE, REMOTE, 80, 1000, "SA")) == Seen("eth0", a(talk, FLOATING), 80, a(talk, REMOTE), 1000)
    assert seen(talk.send(REMOTE, FLOATING, talk.echo_layer(9))).dst == a(talk, ONE)
    assert seen(talk.send(ONE, REMOTE, talk.echo_layer(9, reply=True))).src == a(talk, FLOATING)
    assert data(talk, HOST, FLOATING, 1001, 80, "S").out == "cali1"
    assert seen(data(talk, TWO, FLOATING, 1001, 80, "S")) == Seen("cali1", a(talk, TWO), 1001, a(talk, ONE), 80)
    assert seen(data(talk, ONE, TWO, 80, 1001, "SA")) == Seen("cali2", a(talk, FLOATING), 80, a(talk, TWO), 1001)


def test_a_floating_address_back_to_its_owner(talk: Talk) -> None:
    floating(talk.bench, a(talk, FLOATING), a(talk, ONE))
    assert seen(data(talk, ONE, FLOATING, 1000, 80, "S")) == Seen("cali1", a(talk, FLOATING), 1000, a(talk, ONE), 80)
    assert seen(data(talk, ONE, FLOATING, 80, 1000, "SA")) == Seen("cali1", a(talk, FLOATING), 80, a(talk, ONE), 1000)


def test_what_has_no_flow_does_not_reach_a_floating_address(talk: Talk) -> None:
    floating(talk.bench, a(talk, FLOATING), a(talk, ONE))
    assert data(talk, REMOTE, FLOATING, 1000, 80, "R").reason == Reason.NO_PORT
    if talk.version == 4:
        assert talk.send(REMOTE, FLOATING, Raw(b"datagram"), frag=1, proto=17).reason == Reason.FRAGMENT


def test_pre_dnat_policy_sees_the_address_before(talk: Talk, bench: Bench) -> None:
    """And its port; every later stage the one behind."""
    service(bench, a(talk, VIPS), 80, [(a(talk, TWO), 8080)])
    bench.row("port", (bench.ports["eth0"],), ("uplink", 9))
    bench.row(f"pre_dst_identity_host_v{talk.version}", (number(a(talk, VIPS)),), ("set_identity", 5))
    for stage in ("untracked_ingress", "pre_dnat", "forward_ingress"):
        bench.row(f"{stage}.binding", (9,), ("bind", 9, 9, 50))
        bench.row(f"{stage}.rules", rule(50), ("pass_on", 3))
    bench.row("pre_dnat.self_class", (9, 5), ("set_variant", 9, 51))
    bench.row("pre_dnat.rules", rule(51, dst_port=80), ("deny", 4))
    assert data(talk, REMOTE, VIPS, 1000, 80, "S").reason == DENY
    bench.row("pre_dnat.rules", rule(51, dst_port=80), ("pass_on", 4))
    bench.row("forward_ingress.rules", rule(50, 2, dst_port=8080), ("deny", 6))
    outcome = data(talk, REMOTE, VIPS, 1000, 80, "S")
    assert (outcome.reason, outcome.injected.metadata["forward_ingress_slot"]) == (DENY, 6)
    bench.row("forward_ingress.rules", rule(50, 2, dst_port=8080), ("allow", 6))
    assert seen(data(talk, REMOTE, VIPS, 1000, 80, "S")).dst == a(talk, TWO)


def test_untracked_is_not_translated(talk: Talk, bench: Bench) -> None:
    service(bench, a(talk, VIPS), 80, [(a(talk, TWO), 8080)])
    bench.row("port", (bench.ports["eth0"],), ("uplink", 9))
    bench.row("untracked_ingress.binding", (9,), ("bind", 9, 9, 50))
    bench.row("untracked_ingress.rules", rule(50), ("allow", 3))
    outcome = data(talk, REMOTE, VIPS, 1000, 80, "S")
    assert (outcome.out, Ether(outcome.frame)[2].dport) == ("eth0", 80)
    assert talk.learned() == {}


# --- the same five-tuple, new owners


def test_opened_anew_with_its_translation(talk: Talk) -> None:
    outside_pools(talk)
    left = seen(data(talk, ONE, REMOTE, 40000, 443, "S"))
    data(talk, REMOTE, HOST, 443, left.sport, "SA")
    assert data(talk, ONE, REMOTE, 40000, 443, "R").reason == ESTABLISHED
    deny(talk.bench, ONE, "egress")
    assert data(talk, ONE, REMOTE, 40000, 443, "S").reason == DENY
    allow(talk.bench, ONE, "egress")
    again = data(talk, ONE, REMOTE, 40000, 443, "S")
    assert (again.reason, seen(again)) == (ALLOW, left)
    assert seen(data(talk, REMOTE, HOST, 443, left.sport, "SA")).dst == a(talk, ONE)


def reborn(talk: Talk, party: Party, incarnation: int) -> None:
    bench = talk.bench
    bench.row("port", (bench.ports[party.port],), ("workload", party.endpoint, 0, 0, incarnation))
    row = ("to_workload", party.endpoint, party.endpoint, incarnation)
    bench.row(f"local_v{talk.version}", (number(a(talk, party)),), row)


def test_a_backend_that_is_another_one_now(talk: Talk) -> None:
    """The key of the client's entry does not tell: what is behind the service is compared. The flow is judged anew."""
    service_to(talk, TWO)
    data(talk, ONE, VIPS, 40000, 80, "S")
    data(talk, TWO, ONE, 8080, 40000, "SA")
    reborn(talk, TWO, 555)
    deny(talk.bench, TWO, "ingress")
    assert data(talk, ONE, VIPS, 40000, 80).reason == DENY
    assert data(talk, TWO, ONE, 8080, 40000).reason == ALLOW, "no part of that flow"
    allow(talk.bench, TWO, "ingress")
    service_to(talk, REMOTE)
    judged = data(talk, ONE, VIPS, 40000, 80)
    assert (judged.reason, seen(judged).out) == (ALLOW, "eth0"), "another backend is chosen"
    assert seen(data(talk, REMOTE, ONE, 8080, 40000)).src == a(talk, VIPS)
    talk.wait(11)
    assert data(talk, ONE, VIPS, 40000, 80).reason == (ESTABLISHED if ON_BMV2 else ALLOW), "the driver replaces what leads nowhere at once"
    assert data(talk, ONE, VIPS, 40000, 80).reason == ESTABLISHED, "what led nowhere is gone"


def test_a_masqueraded_pod_that_is_another_one_now(talk: Talk) -> None:
    outside_pools(talk)
    left = seen(data(talk, ONE, REMOTE, 40000, 443, "S"))
    reborn(talk, ONE, 555)
    answer = data(talk, REMOTE, HOST, 443, left.sport, "SA")
    assert answer.out == "host", "nobody's: the node's"
    again = seen(data(talk, ONE, REMOTE, 40000, 443, "S"))
    assert again.sport != left.sport, "the old one's port is not free yet"
    assert seen(data(talk, REMOTE, HOST, 443, again.sport, "SA")).dst == a(talk, ONE)


# --- errors about translated flows


def error(talk: Talk, sender: Party, to: Party, quote: bytes, kind: str = "unreachable") -> Outcome:
    v6 = talk.version == 6
    layer = {"unreachable": ICMPv6DestUnreach(code=4) if v6 else ICMP(type=3, code=3),
             "too big": ICMPv6PacketTooBig(mtu=1280) if v6 else ICMP(type=3, code=4, nexthopmtu=1280),
             "time exceeded": ICMPv6TimeExceeded() if v6 else ICMP(type=11)}[kind]  # fmt: skip
    return talk.send(sender, to, layer / Raw(quote))


def quoted(frame: bytes, size: int | None = None) -> bytes:
    return frame[14:][:size]


def inner(outcome: Outcome, talk: Talk) -> tuple[str, str, int, int]:
    """Source, destination and first two numbers above IP of what an error quotes; the quote's checksums looked at if it is whole."""
    assert outcome.out, outcome.reason
    assert not wrong_checksums(outcome.frame)
    head = 14 + (20 if talk.version == 4 else 40) + 8
    ip = (IP if talk.version == 4 else IPv6)(outcome.frame[head:])
    ports = outcome.frame[head + (20 if talk.version == 4 else 40) :][:8]
    at = 4 if (ip.proto if talk.version == 4 else ip.nh) in (1, 58) else 0
    return ip.src, ip.dst, int.from_bytes(ports[at : at + 2], "big"), int.from_bytes(ports[at + 2 : at + 4], "big")


@pytest.mark.parametrize("kind", ["unreachable", "too big", "time exceeded"])
@pytest.mark.parametrize("protocol", ["udp", "tcp", "echo"])
def test_errors_about_masqueraded_flows(talk: Talk, kind: str, protocol: str) -> None:
    outside_pools(talk)
    deny(talk.bench, ONE, "ingress")
    layer = {"udp": UDP(sport=4000, dport=53) / b"query", "tcp": TCP(sport=4000, dport=53), "echo": talk.echo_layer(4000)}[protocol]
    out = talk.send(ONE, REMOTE, layer)
    # A whole TCP header would need its checksum put right too, which an error's quote is not long enough for.
    quote = quoted(out.frame, (28 if talk.version == 4 else 48) if protocol == "tcp" else None)
    came = error(talk, ROUTER, HOST, quote, kind)
    assert (came.reason, came.out) == (RELATED, "cali1")
    frame = Ether(came.frame)
    assert (frame[1].src, frame[1].dst) == (a(talk, ROUTER), a(talk, ONE)), "from the router, still"
    ports = (4000, 1) if protocol == "echo" else (4000, 53)
    assert inner(came, talk) == (a(talk, ONE), a(talk, REMOTE), *ports)
    assert error(talk, ROUTER, HOST, quote[:-8] if protocol == "tcp" else quote[: 20 if talk.version == 4 else 40]).out != "cali1"


def test_errors_of_a_backend_come_from_its_service(talk: Talk) -> None:
    service(talk.bench, a(talk, VIPS), 53, [(a(talk, TWO), 5353)], protocol="udp")
    deny(talk.bench, ONE, "ingress")
    out = talk.send(ONE, VIPS, UDP(sport=4000, dport=53) / b"query")
    came = error(talk, TWO, ONE, quoted(out.frame))
    assert came.reason == RELATED
    frame = Ether(came.frame)
    assert (frame[1].src, frame[1].dst) == (a(talk, VIPS), a(talk, ONE))
    assert inner(came, talk) == (a(talk, ONE), a(talk, VIPS), 4000, 53)
    by_router = Ether(error(talk, ROUTER, ONE, quoted(out.frame)).frame)
    assert by_router[1].src == a(talk, ROUTER)


def test_errors_about_answers_of_a_service(talk: Talk) -> None:
    """The client finds fault with what the service said: the backend hears of it as if it had said so itself."""
    service(talk.bench, a(talk, VIPS), 53, [(a(talk, TWO), 5353)], protocol="udp")
    deny(talk.bench, TWO, "ingress")
    allow(talk.bench, TWO, "ingress")
    talk.send(ONE, VIPS, UDP(sport=4000, dport=53) / b"query")
    out = talk.send(TWO, ONE, UDP(sport=5353, dport=4000) / b"reply")
    deny(talk.bench, TWO, "ingress")
    came = error(talk, ONE, VIPS, quoted(out.frame))
    assert (came.reason, came.out) == (RELATED, "cali2")
    assert inner(came, talk) == (a(talk, TWO), a(talk, ONE), 5353, 4000)


def test_an_error_to_a_floating_address(talk: Talk) -> None:
    floating(talk.bench, a(talk, FLOATING), a(talk, ONE))
    data(talk, REMOTE, FLOATING, 1000, 80, "S")
    out = talk.send(ONE, REMOTE, UDP(sport=80, dport=1000) / b"x")
    reply = data(talk, ONE, REMOTE, 80, 1000, "SA")
    came = error(talk, ROUTER, FLOATING, quoted(reply.frame, 28 if talk.version == 4 else 48))
    assert (came.reason, came.out, Ether(came.frame)[1].dst) == (RELATED, "cali1", a(talk, ONE))
    assert out.reason == ALLOW


# --- checksums


def test_udp_without_a_checksum_stays_without(bench: Bench) -> None:
    talk = Talk(bench, 4)
    outside_pools(talk)
    frame = talk.packet(ONE, REMOTE, UDP(sport=4000, dport=53, chksum=0) / b"ask")
    assert Ether(talk.raw(ONE, frame).frame)[UDP].chksum == 0


def test_no_udp_checksum_becomes_zero(talk: Talk) -> None:
    """Over all values of a payload word: the translated checksum is right, and is written as 0xffff where it adds up to 0."""
    outside_pools(talk)
    masquerade_as(talk.bench, a(talk, HOST), mask=0)
    for word in range(0, 0x10000, 1999):
        outcome = talk.send(ONE, REMOTE, UDP(sport=4000, dport=53) / word.to_bytes(2, "big"))
        assert not wrong_checksums(outcome.frame), word
    exact = (Ether(outcome.frame)[UDP].chksum + word) % 0xFFFF
    outcome = talk.send(ONE, REMOTE, UDP(sport=4000, dport=53) / exact.to_bytes(2, "big"))
    assert Ether(outcome.frame)[UDP].chksum == 0xFFFF
    assert not wrong_checksums(outcome.frame)


def test_damage_is_not_mended(talk: Talk) -> None:
    service_to(talk, TWO)
    frame = bytearray(bytes(talk.packet(ONE, VIPS, TCP(sport=4000, dport=80) / Raw(b"data"))))
    frame[-1] ^= 1
    assert wrong_checksums(talk.raw(ONE, bytes(frame)).frame) == ["l4"]
