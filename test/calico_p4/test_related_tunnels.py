"""ICMP errors about flows whose packets travel in tunnels: they come by tunnel themselves, or from routers that see the outer packets only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from datastore.kubernetes_objects import read_object
from felix_proto.types import Rule
from k8s_p4.reasons import Reason
from test.support.cluster import ROUTER_MAC, Arrival, Cluster, Member, Pod
from test.support.nat import wrong_checksums
from test.support.tunnels import ip

A, B = Member("node-a", 1), Member("node-b", 2)
WEB, FAR = Pod("web", A, 5, policies=("shut",)), Pod("far", B, 7, policies=("asked",))
POLICIES = {"shut": ([Rule("deny")], [Rule("allow", protocol="udp"), Rule("allow", protocol="tcp")]),
            "asked": ([Rule("allow", protocol="udp"), Rule("allow", protocol="tcp")], [Rule("deny", protocol="icmp"), Rule("deny", protocol="icmpv6")])}  # fmt: skip
"""web takes nothing in, and far sends no ICMP: what passes belongs to a flow."""
ERRORS = {"unreachable": (lambda: ICMP(type=3, code=3), lambda: ICMPv6DestUnreach(code=4)),
          "too big": (lambda: ICMP(type=3, code=4, nexthopmtu=1400), lambda: ICMPv6PacketTooBig(mtu=1400)),
          "time exceeded": (lambda: ICMP(type=11), lambda: ICMPv6TimeExceeded())}  # fmt: skip


VIPS = ["10.96.0.10", "fd96::a"]
SERVICE = {"kind": "Service", "metadata": {"namespace": "default", "name": "far"}, "spec": {
    "clusterIP": VIPS[0], "clusterIPs": VIPS, "ipFamilies": ["IPv4", "IPv6"], "ports": [{"port": 53, "protocol": "UDP", "targetPort": 5353}]}}  # fmt: skip
SLICES = [{"kind": "EndpointSlice", "metadata": {"namespace": "default", "name": f"far-{v}", "labels": {"kubernetes.io/service-name": "far"}},
           "addressType": ("IPv4", "IPv6")[v], "ports": [{"port": 5353, "protocol": "UDP"}],
           "endpoints": [{"addresses": [FAR.address(v)], "conditions": {"ready": True}}]} for v in (0, 1)]  # fmt: skip
Made = tuple[Cluster, int]


@pytest.fixture(scope="module", params=[("vxlan", 0), ("vxlan", 1), ("ipip", 0)], ids=["vxlan-v4", "vxlan-v6", "ipip-v4"])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    mode, v = request.param
    cluster = Cluster(mode, [A, B], [WEB, FAR], POLICIES)
    store = cluster.nodes["node-a"].driver.store.kubernetes
    store.configured = store.in_sync = True
    for item in (SERVICE, *SLICES):
        value = read_object(item)
        assert value is not None
        store.put(value)
    cluster.nodes["node-a"].apply([])
    yield cluster, v
    cluster.close()


@pytest.fixture(autouse=True)
def nothing_learned(made: Made) -> None:
    made[0].forget()


def error(v: int, src: str, dst: str, quoted: Any, kind: str = "unreachable") -> Any:
    """An error about a packet; routers quote a header and what is behind it."""
    return ip(src, dst) / ERRORS[kind][v]() / Raw(bytes(quoted))


def lowered(packet: Any, by: int) -> bytes:
    """The packet with less TTL; all checksums are calculated anew."""
    again = packet.copy()
    if again.version == 6:
        again.hlim -= by
    else:
        again.ttl -= by
        again.chksum = None
    return bytes(again)


def reason(cluster: Cluster, node: Member) -> Reason:
    last = cluster.nodes[node.name].last
    assert last is not None
    return Reason(last.metadata["reason"])


def asked(cluster: Cluster, v: int, l4: Any) -> Any:
    """web sends the first packet of a flow to far; as it arrives there."""
    (arrived,) = cluster.from_pod("web", ip(WEB.address(v), FAR.address(v)) / l4)
    assert arrived.place == "far"
    return Ether(arrived.frame).payload


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_of_the_other_end_comes_back_through_the_tunnel(made: Made, kind: str) -> None:
    """It passes out of far, which may send none, and into web, which takes nothing in: each node knows the flow."""
    cluster, v = made
    seen = asked(cluster, v, UDP(sport=40000, dport=53) / b"query")
    about = error(v, FAR.address(v), WEB.address(v), seen, kind)
    (arrived,) = cluster.from_pod("far", about)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)) == ("web", lowered(about, 2))
    assert reason(cluster, A) == reason(cluster, B) == Reason.RELATED
    assert cluster.crossings[-1].sender == "node-b" and len(cluster.crossings[-1].frame) > len(arrived.frame), "in the tunnel"


def test_without_the_flow_it_is_judged(made: Made) -> None:
    cluster, v = made
    never_sent = ip(WEB.address(v), FAR.address(v)) / UDP(sport=40000, dport=53) / b"query"
    about = error(v, FAR.address(v), WEB.address(v), never_sent)
    assert cluster.from_pod("far", about) == [] and reason(cluster, B) == Reason.POLICY
    assert cluster.from_host("node-b", error(v, B.pod(v, 0), WEB.address(v), never_sent)) == [] and reason(cluster, A) == Reason.POLICY


def test_an_error_of_the_other_node_comes_by_its_tunnel(made: Made) -> None:
    """Under the address of its tunnel's device: what it forwarded had no TTL left, or was too big behind it."""
    cluster, v = made
    seen = asked(cluster, v, TCP(sport=40000, dport=80))
    about = error(v, B.pod(v, 0), WEB.address(v), seen, "too big")
    (arrived,) = cluster.from_host("node-b", about)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)[-8:]) == ("web", bytes(about)[-8:])
    assert reason(cluster, A) == Reason.RELATED


def test_an_answer_may_be_what_finds_no_way(made: Made) -> None:
    """An error of web's node about an answer goes to far, by the tunnel the other way."""
    cluster, v = made
    asked(cluster, v, UDP(sport=40000, dport=53) / b"query")
    (arrived,) = cluster.from_pod("far", ip(FAR.address(v), WEB.address(v)) / UDP(sport=53, dport=40000) / b"answer")
    about = error(v, WEB.address(v), FAR.address(v), Ether(arrived.frame).payload)
    (arrived,) = cluster.from_pod("web", about)
    assert (arrived.place, bytes(Ether(arrived.frame).payload)) == ("far", lowered(about, 2))
    assert reason(cluster, A) == reason(cluster, B) == Reason.RELATED


def test_an_error_about_the_tunnel_itself_is_the_nodes(made: Made) -> None:
    """A router between the nodes sees their packets, not the pods': its error is for the node, whose kernel keeps the path's MTU."""
    cluster, v = made
    asked(cluster, v, UDP(sport=40000, dport=53) / b"query")
    outer = Ether(cluster.crossings[-1].frame).payload
    router = "2001:db8:9::9" if outer.version == 6 else "203.0.113.9"
    quoted = Raw(bytes(outer)[: 48 if outer.version == 6 else 28])
    ((place, _),) = from_the_network(cluster, error(outer.version == 6, router, outer.src, quoted, "too big"))
    assert place == "host:node-a"
    assert from_the_network(cluster, error(outer.version == 6, router, WEB.address(outer.version == 6), quoted)) == [], "and to nobody else"
    assert reason(cluster, A) == Reason.POLICY


def from_the_network(cluster: Cluster, packet: Any) -> list[Arrival]:
    return cluster._enter("node-a", "eth0", bytes(Ether(src=ROUTER_MAC, dst=A.mac) / packet))


def test_an_error_about_a_service_names_the_service(made: Made) -> None:
    """The backend is behind the tunnel, and quotes what it got; web asked somebody else."""
    cluster, v = made
    (arrived,) = cluster.from_pod("web", ip(WEB.address(v), VIPS[v]) / UDP(sport=40000, dport=53) / b"query")
    seen = Ether(arrived.frame).payload
    assert (arrived.place, seen.dst, seen.dport) == ("far", FAR.address(v), 5353)
    (arrived,) = cluster.from_pod("far", error(v, FAR.address(v), WEB.address(v), seen))
    told = Ether(arrived.frame).payload
    quoted = (IPv6 if v else IP)(bytes(told)[48 if v else 28 :])
    assert (arrived.place, told.src, quoted.src, quoted.dst, quoted[UDP].dport) == ("web", VIPS[v], WEB.address(v), VIPS[v], 53)
    assert not wrong_checksums(arrived.frame)
