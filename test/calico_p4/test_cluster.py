"""Pods on different nodes talk: drivers and switches joined by links, every frame on them compared with what scapy makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from calico_p4.switch import embedded
from felix_proto.types import PortRange, Rule
from k8s_p4.reasons import Reason
from test.support.cluster import ROUTER_MAC, SWITCH_MAC, VNI, Arrival, Cluster, Member, Pod
from test.support.conversation import rewritten
from test.support.shared import ROOT
from test.support.target import MAKES
from test.support.tunnels import ip

A, B, C = Member("node-a", 1), Member("node-b", 2), Member("node-c", 3, subnet=1)
CLIENT, SERVER = Pod("client", A, 5, policies=("client",)), Pod("server", B, 6, policies=("server",))
FAR, BORROWER, STRANGER = Pod("far", C, 7, policies=("server",)), Pod("borrower", C, 9, block=B), Pod("stranger", B, 8)
EVERYBODY = [CLIENT, SERVER, FAR, BORROWER, STRANGER]
OUTER_PORT = re.compile(r":\d+(?= > [\d.]+:4789 UDP)")
HTTP, DNS = (PortRange(80, 80),), (PortRange(53, 53),)
POLICIES = {
    "client": ([Rule("deny", protocol="sctp")], [
        Rule("allow", protocol="tcp", dst_ip_set_ids=("servers",), dst_ports=HTTP), Rule("allow", protocol="udp", dst_ports=DNS),
        Rule("allow", protocol="icmp"), Rule("allow", protocol="icmpv6")]),
    "server": ([
        Rule("allow", protocol="tcp", src_ip_set_ids=("clients",), dst_ports=(*HTTP, PortRange(8080, 8080))),
        Rule("allow", protocol="icmp", src_ip_set_ids=("clients",)), Rule("allow", protocol="icmpv6", src_ip_set_ids=("clients",))],
        [Rule("deny", protocol="sctp")]),
}  # fmt: skip
"""The client takes nothing in, the server lets nothing out: whatever answers passes because of the flow."""


def addresses(pods: list[Pod]) -> list[str]:
    return [f"{pod.address(v)}/{(32, 128)[v]}" for pod in pods for v in (0, 1)]


SETS = {"servers": addresses([SERVER, FAR]), "clients": addresses([CLIENT])}


def made(mode: str, members: list[Member], **more: Any) -> Cluster:
    return Cluster(mode, members, [pod for pod in EVERYBODY if pod.node in members], POLICIES, ip_sets=SETS, **more)


@pytest.fixture
def cluster_of() -> Iterator[Callable[..., Cluster]]:
    there: list[Cluster] = []

    def make(*args: Any, **more: Any) -> Cluster:
        there.append(made(*args, **more))
        return there[-1]

    yield make
    for cluster in there:
        cluster.close()


def lowered(packet: Any, by: int = 1) -> Any:
    """The packet as scapy makes it with a lower TTL or hop limit."""
    again = packet.copy()
    if IPv6 in again and again.name == "IPv6":
        again.hlim -= by
    else:
        again.ttl -= by
        del again.chksum
    return again


def on_the_link(mode: str, sender: Member, receiver: Member, inner: Any, frame: bytes, v: int, routed: bool = False) -> bytes:
    """The frame that a node sends for a packet; of what it is free to choose, the UDP source port, that of `frame` is taken."""
    ether = Ether(src=sender.mac, dst=ROUTER_MAC if routed else receiver.mac)
    if mode == "plain":
        return bytes(ether / inner)
    if mode == "ipip":
        return bytes(ether / IP(src=sender.address(0), dst=receiver.address(0), ttl=64, id=0, flags="DF") / inner)
    source = Ether(frame)[UDP].sport
    assert 0xC000 <= source <= 0xFFFF
    inside = VXLAN(flags=0x08, vni=VNI) / Ether(src=sender.vtep_mac(v), dst=receiver.vtep_mac(v)) / inner
    if v == 0:
        outer = IP(src=sender.address(0), dst=receiver.address(0), ttl=64, id=0, flags="DF") / UDP(sport=source, dport=4789, chksum=0)
    else:
        outer = IPv6(src=sender.address(1), dst=receiver.address(1), hlim=64) / UDP(sport=source, dport=4789)
    return bytes(ether / outer / inside)


MODES = [("vxlan", 0), ("vxlan", 1), ("ipip", 0), ("plain", 0), ("plain", 1)]
EACH = pytest.mark.parametrize(("mode", "v"), MODES, ids=[f"{mode}-{('v4', 'v6')[v]}" for mode, v in MODES])


def talk(cluster: Cluster, sender: Pod, receiver: Pod, packet: Any, v: int, mode: str = "", routed: bool = False) -> None:
    """A pod sends a packet: it crosses one link as it should (`routed`: two, by the router), and arrives with the TTL of two nodes less."""
    before = len(cluster.crossings)
    arrived = cluster.from_pod(sender.name, packet)
    crossed = cluster.crossings[before:]
    assert [(each.sender, each.receiver) for each in crossed] == (
        [(sender.node.name, "router"), ("router", receiver.node.name)] if routed else [(sender.node.name, receiver.node.name)])  # fmt: skip
    wanted = on_the_link(mode or cluster.mode, sender.node, receiver.node, lowered(packet), crossed[0].frame, v, routed)
    assert crossed[0].frame == wanted, f"{Ether(crossed[0].frame).show(dump=True)}\nwanted\n{Ether(wanted).show(dump=True)}"
    assert arrived == [Arrival(receiver.name, bytes(Ether(src=SWITCH_MAC, dst=receiver.mac) / lowered(packet, 2)))]


def lost(cluster: Cluster, sender: Pod, packet: Any, at: str, crossings: int) -> Reason:
    """A pod sends a packet that does not arrive; the reason that the node `at` gives."""
    before = len(cluster.crossings)
    assert cluster.from_pod(sender.name, packet) == []
    assert len(cluster.crossings) == before + crossings
    last = cluster.nodes[at].last
    assert last is not None
    return Reason(last.metadata["reason"])


def tcp_talk(cluster: Cluster, client: Pod, server: Pod, v: int, **more: Any) -> None:
    """A connection from the first segment to the last."""
    there, back = ip(client.address(v), server.address(v)), ip(server.address(v), client.address(v))
    steps = [(client, "S", b""), (server, "SA", b""), (client, "A", b""), (client, "PA", b"GET / HTTP/1.0\r\n\r\n"), (server, "A", b""),
             (server, "PA", b"HTTP/1.0 200 OK\r\n\r\n" + bytes(900)), (client, "A", b""), (server, "FA", b""), (client, "FA", b""), (server, "A", b"")]  # fmt: skip
    for number, (sender, flags, payload) in enumerate(steps):
        forth = sender == client
        segment = TCP(sport=40000 if forth else 80, dport=80 if forth else 40000, flags=flags, seq=number, ack=number) / Raw(payload)
        talk(cluster, sender, server if forth else client, (there if forth else back) / segment, v, **more)


def echo_talk(cluster: Cluster, client: Pod, server: Pod, v: int, **more: Any) -> None:
    request, reply = (ICMPv6EchoRequest(id=7), ICMPv6EchoReply(id=7)) if v else (ICMP(type=8, id=7), ICMP(type=0, id=7))
    talk(cluster, client, server, ip(client.address(v), server.address(v)) / request / b"ping", v, **more)
    talk(cluster, server, client, ip(server.address(v), client.address(v)) / reply / b"ping", v, **more)


@EACH
def test_two_nodes(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    cluster = cluster_of(mode, [A, B])
    for node in cluster.nodes.values():
        assert node.driver.degraded() == []
    tcp_talk(cluster, CLIENT, SERVER, v)
    echo_talk(cluster, CLIENT, SERVER, v)


@EACH
def test_policy_on_both_sides(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """What the sender's egress denies crosses no link; what the receiver's ingress denies crosses one."""
    cluster = cluster_of(mode, [A, B])
    to_server, to_client = ip(CLIENT.address(v), SERVER.address(v)), ip(SERVER.address(v), CLIENT.address(v))
    assert lost(cluster, CLIENT, to_server / TCP(dport=8080), "node-a", 0) == Reason.POLICY
    assert lost(cluster, CLIENT, to_server / UDP(dport=53), "node-b", 1) == Reason.POLICY
    assert lost(cluster, SERVER, to_client / TCP(sport=80, dport=40000, flags="SA"), "node-b", 0) == Reason.POLICY
    stranger = ip(STRANGER.address(v), CLIENT.address(v)) / TCP(sport=80, dport=40000, flags="SA")
    assert lost(cluster, STRANGER, stranger, "node-a", 1) == Reason.POLICY
    spoofed = ip(STRANGER.address(v), SERVER.address(v)) / TCP(dport=80)
    assert lost(cluster, CLIENT, spoofed, "node-a", 0) == Reason.SPOOFED


@pytest.mark.parametrize(("mode", "v"), MODES[:3], ids=["vxlan-v4", "vxlan-v6", "ipip-v4"])
def test_three_nodes_across_subnets(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """CrossSubnet: in the clear to the neighbour, by tunnel to the other subnet, through a router that knows no pod."""
    cluster = cluster_of(mode, [A, B, C], cross_subnet=True)
    tcp_talk(cluster, CLIENT, SERVER, v, mode="plain")
    tcp_talk(cluster, CLIENT, FAR, v, routed=True)
    echo_talk(cluster, CLIENT, FAR, v, routed=True)
    # An address of node-b's block that node-c has borrowed: each node sends it there, node-b too.
    echo_talk(cluster, CLIENT, BORROWER, v, routed=True)
    echo_talk(cluster, STRANGER, BORROWER, v, routed=True)


def test_three_nodes_in_the_clear(cluster_of: Callable[..., Cluster]) -> None:
    """Without tunnels a router that knows no pod loses what is for another subnet, and only that."""
    cluster = cluster_of("plain", [A, B, C])
    echo_talk(cluster, CLIENT, SERVER, 0)
    packet = ip(CLIENT.address(0), FAR.address(0)) / ICMP(type=8, id=7)
    assert cluster.from_pod("client", packet) == []
    assert (cluster.crossings[-1].receiver, Ether(cluster.crossings[-1].frame)[IP].dst) == ("router", FAR.address(0))


@EACH
def test_a_node_itself_and_a_remote_pod(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """The node speaks with the address of its tunnel's device, where there is one; the answer comes back to it."""
    cluster = cluster_of(mode, [A, B])
    own = A.address(v) if mode == "plain" else A.pod(v, 0)
    packet = ip(own, STRANGER.address(v)) / TCP(sport=40000, dport=80)
    arrived = cluster.from_host("node-a", packet)
    assert cluster.crossings[0].frame == on_the_link(mode, A, B, packet, cluster.crossings[0].frame, v)
    assert arrived == [Arrival("stranger", bytes(Ether(src=SWITCH_MAC, dst=STRANGER.mac) / lowered(packet)))]
    answer = ip(STRANGER.address(v), own) / TCP(sport=80, dport=40000, flags="SA")
    (back,) = cluster.from_pod("stranger", answer)
    assert (back.place, bytes(Ether(back.frame).payload)) == ("host:node-a", bytes(lowered(answer)))


@pytest.mark.parametrize(("mode", "v"), MODES[:3], ids=["vxlan-v4", "vxlan-v6", "ipip-v4"])
def test_a_node_can_send_for_its_own_pods_only(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """A frame of node-b with a source of node-c inside, replayed from a real one, and one from a node that is no peer."""
    cluster = cluster_of(mode, [A, B, C])
    inner = ip(FAR.address(v), CLIENT.address(v)) / TCP(sport=80, dport=40000, flags="SA")
    cluster.from_pod("stranger", ip(STRANGER.address(v), CLIENT.address(v)) / TCP(sport=80, dport=40000, flags="SA"))
    genuine = cluster.crossings[-1].frame
    forged = on_the_link(mode, B, A, inner, genuine, v)
    assert cluster.nodes["node-a"].send("eth0", forged) is None
    assert Reason(cluster.nodes["node-a"].last.metadata["reason"]) == Reason.SPOOFED  # type: ignore[union-attr]
    nobody = on_the_link(mode, Member("node-x", 9), A, inner, genuine, v)
    assert cluster.nodes["node-a"].send("eth0", nobody) is None
    assert Reason(cluster.nodes["node-a"].last.metadata["reason"]) == Reason.ENCAPSULATED  # type: ignore[union-attr]


def test_the_conversation_in_the_documents_is_what_happens() -> None:
    text = (ROOT / "docs" / "conversation.md").read_text()
    assert "VXLAN 4096" in text
    played = rewritten(text)
    assert OUTER_PORT.sub("", played) == OUTER_PORT.sub("", text)
    assert played == text or MAKES[-1] is not embedded, "elsewhere another hash gives the outer port"
