"""Services whose backend is behind a tunnel: who comes from outside or is the node itself goes there under the address of the tunnel's device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from datastore.kubernetes_objects import read_object
from felix_proto.types import Rule
from k8s_p4.reasons import Reason
from test.support.cluster import OUTSIDE, OUTSIDE_V6, Cluster, Member, Pod
from test.support.nat import wrong_checksums
from test.support.tunnels import IPIP_NUMBER, VXLAN_PORT

A, B = Member("node-a", 1), Member("node-b", 2)
NEAR, FAR = Pod("near", A, 5), Pod("far", B, 7, policies=("tunnels",))
SENDERS = tuple(tuple(f"{address}/{(32, 128)[v]}" for address in (A.pod(v, 0), NEAR.address(v))) for v in (0, 1))
POLICIES = {"tunnels": ([Rule("allow", src_net=senders) for senders in SENDERS], [])}
"""far takes what comes from near, and from node-a's tunnel device; nothing else."""
VIPS, NODE_PORT, PORT = ("10.96.0.10", "fd96::a"), 30080, 8080
CLIENT = (OUTSIDE, OUTSIDE_V6)
L4 = {"TCP": TCP, "UDP": UDP}
Made = tuple[Cluster, int]


def service(protocol: str, **spec: Any) -> list[dict[str, Any]]:
    """A service of two families whose only backend is far."""
    ports = [{"port": 80, "protocol": protocol, "targetPort": PORT, "nodePort": NODE_PORT}]
    ips = {"clusterIP": VIPS[0], "clusterIPs": list(VIPS), "ipFamilies": ["IPv4", "IPv6"]}
    return [{"kind": "Service", "metadata": {"namespace": "default", "name": "web"}, "spec": {"type": "NodePort", **ips, "ports": ports, **spec}}, *(
        {"kind": "EndpointSlice", "metadata": {"namespace": "default", "name": f"web-{v}", "labels": {"kubernetes.io/service-name": "web"}},
         "addressType": ("IPv4", "IPv6")[v], "ports": [{"port": PORT, "protocol": protocol}],
         "endpoints": [{"addresses": [FAR.address(v)], "nodeName": "node-b", "conditions": {"ready": True}}]} for v in (0, 1))]  # fmt: skip


def tell(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """Both nodes learn of the objects."""
    for node in cluster.nodes.values():
        store = node.driver.store.kubernetes
        store.configured = store.in_sync = True
        for item in objects:
            value = read_object(item)
            assert value is not None
            store.put(value)
        node.apply([])
        assert node.driver.converged


@pytest.fixture(scope="module", params=[("vxlan", 0), ("vxlan", 1), ("ipip", 0)], ids=["vxlan-v4", "vxlan-v6", "ipip-v4"])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    mode, v = request.param
    cluster = Cluster(mode, [A, B], [NEAR, FAR], POLICIES)
    yield cluster, v
    cluster.close()


@pytest.fixture(autouse=True)
def nothing_learned(made: Made) -> None:
    made[0].forget()


def packet(src: str, dst: str, l4: Any) -> Any:
    return (IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)) / l4


def arrival(arrivals: list[Any]) -> tuple[str, Any]:
    """Where a packet ended, and the packet; its checksums hold."""
    ((place, frame),) = arrivals
    assert wrong_checksums(frame) == []
    return place, Ether(frame).payload


def ends(seen: Any) -> tuple[str, int, str, int]:
    return seen.src, seen.payload.sport, seen.dst, seen.payload.dport


def enter(cluster: Cluster, where: str, sent: Any) -> list[Any]:
    return {"outside": lambda: cluster.from_outside(sent), "host:node-a": lambda: cluster.from_host("node-a", sent)}.get(where, lambda: cluster.from_pod(where, sent))()


def in_tunnel(cluster: Cluster, seen: Any) -> bool:
    """Whether what crossed the link last went from node to node in a tunnel's packet, with the datagram or segment seen at the end inside."""
    frame = cluster.crossings[-1].frame
    outer = Ether(frame).payload
    v = outer.version == 6
    tunnelled = outer.payload.dport == VXLAN_PORT if isinstance(outer.payload, UDP) else outer.proto == IPIP_NUMBER
    return (outer.src, outer.dst) == (A.address(v), B.address(v)) and tunnelled and frame.endswith(bytes(seen.payload))


@pytest.mark.parametrize("protocol", L4)
@pytest.mark.parametrize(("where", "place"), [("outside", "node"), ("host:node-a", "cluster"), ("host:node-a", "node"), ("near", "cluster"), ("near", "node")])
def test_there_and_back(made: Made, where: str, place: str, protocol: str) -> None:
    """Who is no pod goes masqueraded, pods through a node port too; far's policy sees that address, and the client only what it asked."""
    cluster, v = made
    tell(cluster, service(protocol))
    source = {"outside": CLIENT[v], "host:node-a": A.address(v), "near": NEAR.address(v)}[where]
    asked, port = (VIPS[v], 80) if place == "cluster" else (A.address(v), NODE_PORT)
    used = set()
    for sport in (40000, 40001):
        for _ in range(2):  # the first of a flow, and one more
            there, seen = arrival(enter(cluster, where, packet(source, asked, L4[protocol](sport=sport, dport=port))))
            assert there == "far" and in_tunnel(cluster, seen)
            src, masqueraded, *to = ends(seen)
            assert to == [FAR.address(v), PORT]
            assert (src, masqueraded) == (source, sport) if (where, place) == ("near", "cluster") else src == A.pod(v, 0)
            used.add(masqueraded)
            flags = {"flags": "SA"} if protocol == "TCP" else {}
            back, answer = arrival(cluster.from_pod("far", packet(FAR.address(v), src, L4[protocol](sport=PORT, dport=masqueraded, **flags))))
            assert (back, ends(answer)) == (where, (asked, port, source, sport))
    assert len(used) == 2, "each flow has a port of its own and keeps it"


def test_with_policy_local_nobody_is_led_through_a_tunnel_but_from_the_node(made: Made) -> None:
    cluster, v = made
    tell(cluster, service("TCP", externalTrafficPolicy="Local"))
    assert cluster.from_outside(packet(CLIENT[v], A.address(v), TCP(sport=40000, dport=NODE_PORT))) == []
    last = cluster.nodes["node-a"].last
    assert last is not None and last.metadata["reason"] == Reason.NO_BACKEND
    there, seen = arrival(cluster.from_host("node-a", packet(A.address(v), A.address(v), TCP(sport=40000, dport=NODE_PORT))))
    assert (there, seen.src) == ("far", A.pod(v, 0))
