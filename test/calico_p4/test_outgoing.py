"""Packets to the world and back: masquerade, floating addresses, service loops, marks. Frames are compared with what scapy makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

from calico_p4.replay import Options, replay
from felix_proto.types import GlobalBGPConfigUpdate, IPAMPool, IPAMPoolUpdate, PortRange, QoSPolicy, Rule, WorkloadEndpointUpdate
from k8s_p4.reasons import Reason
from test.support.cluster import OUTSIDE, OUTSIDE_V6, ROUTER_MAC, SWITCH_MAC, Arrival, Cluster, Member, Pod
from test.support.shared import needs_shared, recording_path

A, B = Member("node-a", 1), Member("node-b", 2)
WEB, DB, FAR = Pod("web", A, 5, policies=("web",)), Pod("db", A, 6), Pod("far", B, 7)
POLICIES = {"web": ([Rule("deny", protocol="sctp")], [
    Rule("allow", protocol="tcp", dst_ports=(PortRange(80, 80),)), Rule("allow", protocol="icmp"), Rule("allow", protocol="icmpv6")])}  # fmt: skip
"""web takes nothing in: what answers passes because of the flow."""
THERE = (OUTSIDE, OUTSIDE_V6)
MODES = [("vxlan", 0), ("vxlan", 1), ("ipip", 0), ("plain", 0), ("plain", 1)]
EACH = pytest.mark.parametrize(("mode", "v"), MODES, ids=[f"{mode}-{('v4', 'v6')[v]}" for mode, v in MODES])


def pools(masquerade: bool = True) -> list[IPAMPoolUpdate]:
    return [IPAMPoolUpdate(name, IPAMPool(name, cidr, masquerade, allowed_uses=("Workload",)))
            for name, cidr in (("v4", "10.244.0.0/16"), ("v6", "fd00:10:244::/48"))]  # fmt: skip


@pytest.fixture
def cluster_of() -> Iterator[Callable[..., Cluster]]:
    there: list[Cluster] = []

    def make(mode: str = "plain", pods: list[Pod] | None = None, **more: Any) -> Cluster:
        more.setdefault("more", pools())
        there.append(Cluster(mode, [A, B], pods or [WEB, DB, FAR], POLICIES, **more))
        return there[-1]

    yield make
    for cluster in there:
        cluster.close()


def ip(src: str, dst: str, ttl: int = 64, **fields: Any) -> Any:
    return IPv6(src=src, dst=dst, hlim=ttl, **fields) if ":" in src else IP(src=src, dst=dst, ttl=ttl, **fields)


def changed(packet: Any, less: int = 0, **fields: Any) -> Any:
    """The packet as scapy makes it anew, with other fields (src, dst, sport, dport) and a lower TTL: every checksum is calculated."""
    again = packet.copy()
    setattr(again, "hlim" if again.version == 6 else "ttl", (again.hlim if again.version == 6 else again.ttl) - less)
    for name, value in fields.items():
        setattr(again if name in ("src", "dst") else again.payload, name, value)
    for layer in (again, again.payload):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                delattr(layer, name)
    return type(again)(bytes(again))


def out(cluster: Cluster, sender: Pod, packet: Any) -> Any:
    """A pod sends a packet that leaves by the router; the packet as the outside host has it, its frame checked whole."""
    (arrived,) = cluster.from_pod(sender.name, packet)
    assert arrived.place == "outside"
    frame = Ether(arrived.frame)
    sport = {} if not hasattr(frame.payload.payload, "sport") else {"sport": frame.payload.payload.sport}
    wanted = changed(packet, 1, src=frame.payload.src, **sport)
    assert bytes(frame) == bytes(Ether(src=sender.node.mac, dst=ROUTER_MAC) / wanted)
    return frame.payload


def back(cluster: Cluster, receiver: Pod, answer: Any, dport: int | None = None, less: int = 2, **fields: Any) -> None:
    """The outside host sends a packet; it arrives at a pod with the router's and the node's TTL less, and its own address and port."""
    ports = {} if dport is None else {"dport": dport}
    wanted = changed(answer, less, dst=receiver.address(answer.version == 6), **ports, **fields)
    assert cluster.from_outside(answer) == [Arrival(receiver.name, bytes(Ether(src=SWITCH_MAC, dst=receiver.mac) / wanted))]


def reason(cluster: Cluster, node: str = "node-a") -> Reason:
    last = cluster.nodes[node].last
    assert last is not None
    return Reason(last.metadata["reason"])


# --- masquerade ------------------------------------------------------------------------------------------------------------------------


@EACH
def test_a_conversation_with_the_outside(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    cluster = cluster_of(mode)
    there = ip(WEB.address(v), THERE[v])
    sports = set()
    for flags, answer in (("S", "SA"), ("A", "PA"), ("PA", "A"), ("FA", "FA")):
        left = out(cluster, WEB, there / TCP(sport=40000, dport=80, flags=flags) / b"payload")
        assert left.src == A.address(v)
        assert 1024 <= left.sport < 30000
        sports.add(left.sport)
        back(cluster, WEB, ip(THERE[v], left.src) / TCP(sport=80, dport=left.sport, flags=answer) / b"answer", 40000)
    assert len(sports) == 1
    # Nobody asked for this one: it goes to the node, whose address it is.
    assert [each.place for each in cluster.from_outside(ip(THERE[v], A.address(v)) / TCP(sport=81, dport=left.sport, flags="SA"))] == ["host:node-a"]


@EACH
def test_three_nodes_and_the_outside(mode: str, v: int) -> None:
    """From a node of another subnet, while pods of the three talk by tunnel: each node under its own address."""
    far = Member("node-c", 3, subnet=1)
    pods = [DB, FAR, Pod("third", far, 8)]
    cluster = Cluster(mode, [A, B, far], pods, POLICIES, cross_subnet=mode != "plain", more=pools())
    try:
        for pod in pods:
            left = out(cluster, pod, ip(pod.address(v), THERE[v]) / TCP(sport=40000, dport=80))
            assert left.src == pod.node.address(v)
            back(cluster, pod, ip(THERE[v], left.src) / TCP(sport=80, dport=left.sport, flags="SA"), 40000)
        if mode != "plain":
            for sender, receiver in ((pods[0], pods[2]), (pods[2], pods[1])):
                packet = ip(sender.address(v), receiver.address(v)) / TCP(sport=40000, dport=80)
                (arrived,) = cluster.from_pod(sender.name, packet)
                assert (arrived.place, bytes(Ether(arrived.frame).payload)) == (receiver.name, bytes(changed(packet, 2)))
    finally:
        cluster.close()


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_echo_and_two_pods_of_one_port(cluster_of: Callable[..., Cluster], v: int) -> None:
    cluster = cluster_of()
    request, reply = (ICMPv6EchoRequest, ICMPv6EchoReply) if v else (lambda **f: ICMP(type=8, **f), lambda **f: ICMP(type=0, **f))
    (arrived,) = cluster.from_pod("web", ip(WEB.address(v), THERE[v]) / request(id=7, seq=1) / b"ping")
    left = Ether(arrived.frame).payload
    assert left.src == A.address(v)
    answer = ip(THERE[v], left.src) / reply(id=left.payload.id, seq=1) / b"ping"
    (there,) = cluster.from_outside(answer)
    assert there.place == "web"
    assert bytes(Ether(there.frame).payload) == bytes(changed(answer, 2, dst=WEB.address(v), id=7))
    taken = {}
    for pod in (WEB, DB):
        left = out(cluster, pod, ip(pod.address(v), THERE[v]) / TCP(sport=40000, dport=80))
        taken[pod] = left.sport
    assert len(set(taken.values())) == 2
    for pod, port in taken.items():
        back(cluster, pod, ip(THERE[v], A.address(v)) / TCP(sport=80, dport=port, flags="SA"), 40000)


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_port_range_and_address_of_the_configuration(cluster_of: Callable[..., Cluster], v: int) -> None:
    own = ("192.0.2.200", "2001:db8:10::200")[v]
    cluster = cluster_of(config={"NATPortRange": "20000:20007", "NATOutgoingAddress": own})
    cluster.announced[own] = A
    for number in range(4):
        left = out(cluster, DB, ip(DB.address(v), THERE[v]) / UDP(sport=5000 + number, dport=53))
        assert (left.src, 20000 <= left.sport <= 20007) == (own, True)
        back(cluster, DB, ip(THERE[v], own) / UDP(sport=53, dport=left.sport), 5000 + number)


def test_a_range_that_is_used_up(cluster_of: Callable[..., Cluster]) -> None:
    cluster = cluster_of(config={"NATPortRange": "20000:20001"})
    found = [cluster.from_pod("db", ip(DB.address(0), OUTSIDE) / UDP(sport=5000 + number, dport=53)) for number in range(3)]
    assert [len(each) for each in found] == [1, 1, 0]
    assert reason(cluster) == Reason.NO_PORT


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
@pytest.mark.parametrize("excluded", ["IPPoolsOnly", "IPPoolsAndHostIPs"])
def test_exclusions(cluster_of: Callable[..., Cluster], excluded: str, v: int) -> None:
    """To another node's address: masqueraded, unless hosts are excluded; then the node answers the pod itself."""
    cluster = cluster_of(config={"NATOutgoingExclusions": excluded})
    (arrived,) = cluster.from_pod("db", ip(DB.address(v), B.address(v)) / TCP(sport=40000, dport=22))
    assert arrived.place == "host:node-b"
    left = Ether(arrived.frame).payload
    assert left.src == (A.address(v) if excluded == "IPPoolsOnly" else DB.address(v))
    (answered,) = cluster.from_host("node-b", ip(B.address(v), left.src) / TCP(sport=22, dport=left.sport, flags="SA"))
    assert answered.place == "db"
    assert (Ether(answered.frame).payload.dst, Ether(answered.frame)[TCP].dport) == (DB.address(v), 40000)


@EACH
def test_between_pools_nothing_is_masqueraded(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    cluster = cluster_of(mode)
    packet = ip(DB.address(v), FAR.address(v)) / TCP(sport=40000, dport=80)
    (arrived,) = cluster.from_pod("db", packet)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)) == ("far", bytes(changed(packet, 2)))


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_a_pool_that_stops_masquerading(cluster_of: Callable[..., Cluster], v: int) -> None:
    """New flows leave as they are; the one that is there goes on under its address."""
    cluster = cluster_of()
    first = ip(DB.address(v), THERE[v]) / TCP(sport=40000, dport=80)
    before = out(cluster, DB, first)
    cluster.nodes["node-a"].apply(pools(False))
    again = out(cluster, DB, changed(first, flags="A"))
    assert (again.src, again.sport) == (before.src, before.sport) == (A.address(v), before.sport)
    back(cluster, DB, ip(THERE[v], A.address(v)) / TCP(sport=80, dport=before.sport, flags="SA"), 40000)
    after = out(cluster, DB, changed(first, sport=40001))
    assert (after.src, after.sport) == (DB.address(v), 40001)
    cluster.announced[DB.address(v)] = A
    back(cluster, DB, ip(THERE[v], DB.address(v)) / TCP(sport=80, dport=40001, flags="SA"), 40001)


# --- floating addresses ------------------------------------------------------------------------------------------------------------------

SHARED, LOWEST = ("198.51.100.42", "2001:db8:f::42"), ("198.51.100.41", "2001:db8:f::41")
BOTH = [Pod("one", A, 5, floating=(*SHARED, *LOWEST)), Pod("two", A, 6, floating=SHARED), FAR]
FLOATING = {"FloatingIPs": "Enabled"}


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_a_floating_address_claimed_by_two(cluster_of: Callable[..., Cluster], v: int) -> None:
    """It is the lowest one's. What comes back has the floating address; what that pod begins itself does not."""
    cluster = cluster_of(pods=BOTH, config=FLOATING)
    one = BOTH[0]
    cluster.announced.update(dict.fromkeys((*SHARED, *LOWEST), A))
    for port, outside in ((50000, SHARED[v]), (50001, LOWEST[v])):
        request = ip(THERE[v], outside) / TCP(sport=port, dport=80)
        back(cluster, one, request)
        (answer,) = cluster.from_pod("one", ip(one.address(v), THERE[v]) / TCP(sport=80, dport=port, flags="SA"))
        wanted = ip(outside, THERE[v], 63) / TCP(sport=80, dport=port, flags="SA")
        assert (answer.place, bytes(Ether(answer.frame).payload)) == ("outside", bytes(wanted))
    left = out(cluster, one, ip(one.address(v), THERE[v]) / TCP(sport=40000, dport=80))
    assert left.src == A.address(v), "as any other pod's"
    (near,) = cluster.from_pod("two", ip(BOTH[1].address(v), SHARED[v]) / TCP(sport=40000, dport=80))
    assert (near.place, Ether(near.frame).payload.dst, Ether(near.frame).payload.src) == ("one", one.address(v), BOTH[1].address(v))


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_a_pod_to_its_own_floating_address(cluster_of: Callable[..., Cluster], v: int) -> None:
    """It comes from the lowest of its floating addresses, and what answers that comes from the one that was asked."""
    cluster = cluster_of(pods=BOTH, config=FLOATING)
    one = BOTH[0]
    request = ip(one.address(v), SHARED[v]) / TCP(sport=40000, dport=80)
    (arrived,) = cluster.from_pod("one", request)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)) == ("one", bytes(changed(request, 1, src=LOWEST[v], dst=one.address(v))))
    answer = ip(one.address(v), LOWEST[v]) / TCP(sport=80, dport=40000, flags="SA")
    (arrived,) = cluster.from_pod("one", answer)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)) == ("one", bytes(changed(answer, 1, src=SHARED[v], dst=one.address(v))))


def test_floating_addresses_are_nobodys_unless_enabled(cluster_of: Callable[..., Cluster]) -> None:
    cluster = cluster_of(pods=BOTH)
    cluster.announced[SHARED[0]] = A
    assert cluster.from_outside(ip(OUTSIDE, SHARED[0]) / TCP(dport=80)) == []


# --- service loops -----------------------------------------------------------------------------------------------------------------------

RANGES = GlobalBGPConfigUpdate(("10.96.0.0/16", "fd00:96::/112"), ("198.51.100.0/24",), ())


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_service_loops(cluster_of: Callable[..., Cluster], v: int) -> None:
    """What nobody translates is not forwarded, wherever it comes from; the node's own goes on, and so does all with Disabled."""
    service = ("10.96.0.10", "fd00:96::10")[v]
    cluster = cluster_of(more=[*pools(), RANGES])
    cluster.announced[service] = A
    assert cluster.from_pod("db", ip(DB.address(v), service) / TCP(dport=80)) == []
    assert (reason(cluster), cluster.crossings) == (Reason.SERVICE_LOOP, [])
    assert cluster.from_outside(ip(THERE[v], service) / TCP(dport=80)) == []
    assert (reason(cluster), [each.sender for each in cluster.crossings]) == (Reason.SERVICE_LOOP, ["router"])
    del cluster.announced[service]
    cluster.from_host("node-a", ip(A.address(v), service) / TCP(dport=80))
    assert [each.sender for each in cluster.crossings] == ["router", "node-a"]
    free = cluster_of(more=[*pools(), RANGES], config={"ServiceLoopPrevention": "Disabled"})
    free.from_pod("db", ip(DB.address(v), service) / TCP(dport=80))
    assert [each.sender for each in free.crossings] == ["node-a"]


# --- marks ---------------------------------------------------------------------------------------------------------------------------------

MARKED = [Pod("web", A, 5, dscp=46), DB, FAR]


@EACH
def test_marks_on_what_leaves_the_cluster(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """Every packet that leaves it, ECN kept; none to a pod or a node's own address, and none of another pod."""
    cluster = cluster_of(mode, pods=MARKED)
    tos = "tc" if v else "tos"

    def seen(sender: Pod, dst: str, flags: str, given: int) -> int:
        (arrived,) = cluster.from_pod(sender.name, ip(sender.address(v), dst, **{tos: given}) / TCP(sport=40000, dport=80, flags=flags))
        packet = Ether(arrived.frame).payload
        assert bytes(packet) == bytes(changed(packet)), "its checksums hold"
        return int(getattr(packet, tos))

    for flags, ecn in (("S", 0), ("A", 1), ("A", 2), ("A", 3)):
        assert seen(MARKED[0], THERE[v], flags, 10 << 2 | ecn) == 46 << 2 | ecn
        assert seen(MARKED[0], FAR.address(v), flags, 10 << 2 | ecn) == 10 << 2 | ecn
        assert seen(MARKED[0], DB.address(v), flags, 10 << 2 | ecn) == 10 << 2 | ecn
        assert seen(DB, THERE[v], flags, 10 << 2 | ecn) == 10 << 2 | ecn


def test_marks_follow_the_configuration_of_the_endpoint(cluster_of: Callable[..., Cluster]) -> None:
    """From 0 to 63, over every value that was there."""
    cluster = cluster_of(pods=MARKED)
    node = cluster.nodes["node-a"]
    endpoint = next(each for each in node.driver.store.endpoints.values() if each.name == MARKED[0].interface)
    for dscp in (0, 1, 46, 63):
        node.apply([WorkloadEndpointUpdate(endpoint.id, endpoint._replace(qos_policies=(QoSPolicy("", dscp),)))])
        for given in range(0, 256, 7):
            (arrived,) = cluster.from_pod("web", ip(MARKED[0].address(0), OUTSIDE, tos=given) / UDP(sport=given + 1, dport=53))
            packet = Ether(arrived.frame).payload
            assert packet.tos == dscp << 2 | given & 3
            assert bytes(packet) == bytes(changed(packet))


# --- as the replay answers ---------------------------------------------------------------------------------------------------------------------


@needs_shared
def test_answers_name_the_tunnel_and_who_is_behind_a_floating_address(tmp_path: Path) -> None:
    """floating-qos: a remote pod by VXLAN and its answer, a floating address claimed by two, the world and back."""
    wanted = [
        {"id": "there", "proto": "tcp", "src": "10.244.10.11", "dst": "10.244.30.7"},
        {"id": "back", "reply_to": "there", "flow": "keep", "tcp_flags": "SA"},
        {"id": "near", "proto": "tcp", "src": "10.244.10.11", "dst": "10.244.20.7"},
        {"id": "float", "proto": "tcp", "src": "203.0.113.99", "dst": "203.0.113.42", "dport": 80},
        {"id": "out", "proto": "tcp", "src": "10.244.10.43", "dst": "8.8.8.8"},
        {"id": "in", "reply_to": "out", "flow": "keep", "tcp_flags": "SA"},
    ]
    packets = tmp_path / "packets.json"
    packets.write_text(json.dumps(wanted))
    outcome = replay(Options(str(recording_path("floating-qos.felixstream")), packets=str(packets)))
    assert outcome.answer is not None
    found = {answer["id"]: answer for answer in outcome.answer["packets"]}
    assert found["there"]["tunnel"] == {"type": "vxlan", "peer": "198.51.100.13", "vni": 4096}
    assert (found["there"]["out"], found["there"]["packet"]["dst"], found["there"]["packet"]["ttl"]) == ("uplink", "10.244.30.7", 63)
    assert (found["back"]["out"], found["back"]["reason"], found["back"]["tunnel"]) == ("workload:shop/frontend-1", "established", None)
    assert (found["near"]["out"], found["near"]["tunnel"]) == ("uplink", None)
    assert (found["float"]["out"], found["float"]["packet"]["dst"]) == ("workload:shop/fip-1", "10.244.10.41")
    (decided,) = found["float"]["policy"]
    assert (decided["name"], decided["policy_index"]) == ("default.fip", 0)
    assert (found["out"]["packet"]["src"], found["out"]["packet"]["dscp"]) == ("192.0.2.11", 46)
    assert (found["in"]["out"], found["in"]["packet"]["dst"]) == ("workload:shop/qos-full", "10.244.10.43")


@needs_shared
@pytest.mark.parametrize(("recording", "packet", "tunnel"), [
    ("ipip", {"src": "10.244.10.11", "dst": "10.244.30.7"}, {"type": "ipip", "peer": "198.51.100.13", "vni": None}),
    ("vxlan-always", {"src": "fd00:10:244:a::b", "dst": "fd00:10:244:c::7"}, {"type": "vxlan", "peer": "2001:db8:b::13", "vni": 4096}),
    ("encap-none-routes", {"src": "10.244.10.11", "dst": "10.244.30.7"}, None)])  # fmt: skip
def test_the_tunnel_of_each_mode(recording: str, packet: dict[str, str], tunnel: dict[str, Any] | None, tmp_path: Path) -> None:
    packets = tmp_path / "packets.json"
    packets.write_text(json.dumps([{"proto": "tcp", **packet}]))
    outcome = replay(Options(str(recording_path(f"{recording}.felixstream")), packets=str(packets)))
    assert outcome.answer is not None
    (answer,) = outcome.answer["packets"]
    assert (answer["verdict"], answer["out"], answer["tunnel"], answer["packet"]["dst"]) == ("allow", "uplink", tunnel, packet["dst"])


@needs_shared
def test_wireguard_sends_nothing_in_the_clear(tmp_path: Path) -> None:
    packets = tmp_path / "packets.json"
    places = [("10.244.10.11", "10.244.20.7"), ("10.244.10.11", "10.244.20.41"), ("fd00:10:244:a::b", "fd00:10:244:c::7"), ("10.244.10.11", "198.51.100.13")]
    packets.write_text(json.dumps([{"proto": "tcp", "src": src, "dst": dst} for src, dst in places]))
    outcome = replay(Options(str(recording_path("wireguard.felixstream")), packets=str(packets)))
    assert outcome.answer is not None
    assert {(answer["verdict"], answer["reason"]) for answer in outcome.answer["packets"]} == {("deny", "blackhole")}
