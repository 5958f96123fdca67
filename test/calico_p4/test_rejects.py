"""Rejects through driver and switch: across nodes, as the replay answers, and in the words of the CLI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from calico_p4.bench import Bench
from calico_p4.cli.trace import lines
from calico_p4.inspect.capabilities import capabilities
from calico_p4.inspect.listing import rejected
from calico_p4.inspect.questions import answer
from calico_p4.inspect.scene import Replayed, replayed
from calico_p4.packets import Packet
from felix_proto.types import ConfigUpdate, GlobalBGPConfigUpdate, PortRange, Rule, WorkloadEndpointUpdate
from k8s_p4.reasons import Reason
from k8s_p4.rejects import Rejected
from test.support.cluster import OUTSIDE, OUTSIDE_V6, SWITCH_MAC, Arrival, Cluster, Member, Pod
from test.support.nat import wrong_checksums
from test.support.shared import needs_shared, recording_path
from test.support.tunnels import ip

A, B = Member("node-a", 1), Member("node-b", 2)
# The client takes nothing that it did not ask for; the server takes TCP to port 80.
POLICIES = {"client": ([Rule("deny")], [Rule("allow")]), "server": ([Rule("allow", protocol="tcp", dst_ports=(PortRange(80, 80),))], [Rule("allow")])}
CLIENT, NEAR, FAR = Pod("client", A, 5, policies=("client",)), Pod("near", A, 6, policies=("server",)), Pod("far", B, 7, policies=("server",))
REJECT = {"IptablesFilterDenyAction": "Reject"}
LOOPS = {"ServiceLoopPrevention": "Reject"}
RANGES = GlobalBGPConfigUpdate(("10.96.0.0/16", "fd00:96::/112"), (), ())
MODES = [(mode, v) for mode in ("vxlan", "ipip", "plain") for v in (0, 1) if (mode, v) != ("ipip", 1)]


@pytest.fixture
def cluster_of() -> Iterator[Callable[..., Cluster]]:
    there: list[Cluster] = []

    def make(mode: str = "plain", config: dict[str, str] = REJECT, **more: Any) -> Cluster:
        there.append(Cluster(mode, [A, B], [CLIENT, NEAR, FAR], POLICIES, config=config, **more))
        return there[-1]

    yield make
    for cluster in there:
        cluster.close()


def unreachable(sent: Any, less: int, ttl: int) -> bytes:
    """What the sender gets, its packet quoted with so much TTL less."""
    quoted = sent.copy()
    if quoted.version == 6:
        quoted.hlim -= less
        return bytes(IPv6(src=sent.dst, dst=sent.src, hlim=ttl) / ICMPv6DestUnreach(code=4) / Raw(bytes(quoted)))
    quoted.ttl -= less
    return bytes(IP(src=sent.dst, dst=sent.src, id=0, flags="DF", tos=0xC0, ttl=ttl) / ICMP(type=3, code=3) / Raw(bytes(quoted)))


def fate(cluster: Cluster, node: str) -> tuple[Reason, Rejected]:
    last = cluster.nodes[node].last
    assert last is not None
    return Reason(last.metadata["reason"]), Rejected(last.metadata["reject"])


def told(cluster: Cluster, packet: Any, less: int = 0, ttl: int = 64) -> None:
    """The client's packet comes back to it as unreachable."""
    wanted = Ether(src=SWITCH_MAC, dst=CLIENT.mac) / Raw(unreachable(packet, less, ttl))
    wanted.type = 0x86DD if packet.version == 6 else 0x0800
    assert cluster.from_pod("client", packet) == [Arrival("client", bytes(wanted))]
    assert not wrong_checksums(bytes(wanted))


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_on_one_node(cluster_of: Callable[..., Cluster], v: int) -> None:
    cluster = cluster_of()
    told(cluster, ip(CLIENT.address(v), NEAR.address(v)) / UDP(sport=1, dport=2) / b"ask")
    assert fate(cluster, "node-a") == (Reason.POLICY, Rejected.SENT)
    assert cluster.from_pod("near", ip(NEAR.address(v), CLIENT.address(v)) / TCP(sport=1, dport=80, flags="S"))[0].place == "near"


@pytest.mark.parametrize(("mode", "v"), MODES)
def test_from_another_node(cluster_of: Callable[..., Cluster], mode: str, v: int) -> None:
    """By the tunnel that the packet came by; at home the answer belongs to the client's flow, though its policy takes nothing."""
    cluster = cluster_of(mode)
    told(cluster, ip(CLIENT.address(v), FAR.address(v)) / TCP(sport=40000, dport=81, flags="S"), less=1, ttl=63)
    assert fate(cluster, "node-a") == (Reason.RELATED, Rejected.NONE)
    assert [each.sender for each in cluster.crossings] == ["node-a", "node-b"]
    assert not any(wrong_checksums(each.frame) for each in cluster.crossings if mode == "plain")
    assert cluster.nodes["node-b"].switch.bench is not None
    assert not cluster.nodes["node-b"].switch.bench.learned(), "of a packet that was denied, nothing"


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_from_the_outside(cluster_of: Callable[..., Cluster], v: int) -> None:
    cluster = cluster_of()
    cluster.announced[NEAR.address(v)] = A
    packet = ip((OUTSIDE, OUTSIDE_V6)[v], NEAR.address(v)) / UDP(sport=1, dport=2)
    (arrival,) = cluster.from_outside(packet)
    assert (arrival.place, arrival.frame[14:]) == ("outside", unreachable(packet, 1, 64))


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_dropped_unless_asked_for(cluster_of: Callable[..., Cluster], v: int) -> None:
    for config in ({}, {"IptablesFilterDenyAction": "Drop"}, LOOPS):
        cluster = cluster_of(config=config)
        assert cluster.from_pod("client", ip(CLIENT.address(v), NEAR.address(v)) / UDP(sport=1, dport=2)) == []
        assert fate(cluster, "node-a") == (Reason.POLICY, Rejected.NONE)


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
def test_service_loops(cluster_of: Callable[..., Cluster], v: int) -> None:
    packet = ip(CLIENT.address(v), ("10.96.0.10", "fd00:96::10")[v]) / TCP(sport=1, dport=2, flags="S")
    cluster = cluster_of(config=LOOPS, more=[RANGES])
    told(cluster, packet)
    assert fate(cluster, "node-a") == (Reason.SERVICE_LOOP, Rejected.SENT)
    assert cluster_of(config=REJECT, more=[RANGES]).from_pod("client", packet) == []


def test_the_setting_changes(cluster_of: Callable[..., Cluster]) -> None:
    """And nothing of it is Degraded; every driver of the same intent wants the same rows."""
    cluster = cluster_of(config={})
    node = cluster.nodes["node-a"]
    config = dict(node.driver.store.config)
    packet = ip(CLIENT.address(0), NEAR.address(0)) / UDP(sport=1, dport=2)
    for more, arrivals in ((REJECT, 1), ({}, 0), (REJECT, 1)):
        node.apply([ConfigUpdate(tuple(sorted((config | more).items())))])
        assert len(cluster.from_pod("client", packet)) == arrivals
        assert node.driver.degraded() == []


# --- as the replay answers


@pytest.fixture
def limited() -> Iterator[tuple[Replayed, Bench]]:
    """floating-qos, whose pod qos-full accepts and begins four connections at a time."""
    scene = replayed(str(recording_path("floating-qos.felixstream")))
    assert scene.switch is not None and scene.switch.bench is not None
    ((key, endpoint),) = [(key, each) for key, each in scene.driver.store.endpoints.items() if key.workload_id == "shop/qos-full"]
    assert endpoint.qos_controls is not None and endpoint.qos_controls.IngressMaxConnections
    controls = endpoint.qos_controls._replace(IngressMaxConnections=4, EgressMaxConnections=4)
    scene.driver.apply(WorkloadEndpointUpdate(key, endpoint._replace(qos_controls=controls)))
    scene.driver.rest()
    yield scene, Bench(scene.driver, scene.switch.bench)
    scene.close()


@needs_shared
@pytest.mark.parametrize("ends", [("10.244.10.11", "10.244.10.43"), ("10.244.10.43", "8.8.8.8")], ids=["accepted", "begun"])
def test_a_connection_limit_over_virtual_time(limited: tuple[Replayed, Bench], ends: tuple[str, str]) -> None:
    """Who comes then is reset, until a connection has ended, or was silent for as long as one that nobody answers lasts."""
    scene, bench = limited
    src, dst = ends
    assert not [each for each in scene.driver.degraded() if "qos" in each.object]

    def send(sport: int, at: float, flags: str = "S", proto: str = "tcp") -> dict[str, Any]:
        fields = {"proto": proto, "src": src, "dst": dst, "dport": 8080, "sport": sport, "tcp_flags": flags, "flow": "keep"}
        return bench.send(Packet(0, 0, None, at, fields))

    for number in range(4):
        assert send(40000 + number, number / 10)["verdict"] == "allow"
    over = send(50000, 20)
    assert set(over) == {"id", "verdict", "out", "tunnel", "reason", "policy", "packet", "raw", "answer"}, "the contract's fields"
    assert (over["verdict"], over["reason"], over["out"], over["raw"]) == ("deny", "connection_limit", None, None)
    sender = scene.driver.ports.get(next(each for each in scene.driver.store.endpoints.values() if f"{src}/32" in each.ipv4_nets).name)
    assert sender is not None
    expected = IP(src=dst, dst=src, id=0, flags="DF") / TCP(sport=8080, dport=50000, flags="RA", seq=0, ack=1, window=0)
    assert over["answer"] == bytes(Ether(src=SWITCH_MAC, dst=sender.mac.to_bytes(6).hex(":")) / expected).hex()
    udp = send(50000, 20, proto="udp")
    assert (udp["reason"], "answer" in udp) == ("connection_limit", False)
    assert send(40000, 21, "R")["verdict"] == "allow"
    assert "answer" in send(50000, 22), "ten seconds after RST its place is still taken"
    assert send(50000, 40)["verdict"] == "allow"
    assert send(50001, 41)["reason"] == "connection_limit"
    assert send(50001, 200)["verdict"] == "allow"


# --- in words


@pytest.fixture(scope="module")
def scene() -> Iterator[Replayed]:
    """The quickstart's node, which rejects."""
    scene = replayed(str(recording_path("quickstart.felixstream")))
    scene.driver.apply(ConfigUpdate(tuple(sorted({**scene.driver.store.config, **REJECT}.items()))))
    scene.driver.rest()
    yield scene
    scene.close()


def test_the_trace_says_so(scene: Replayed) -> None:
    found = answer(scene, "trace", {"source": "shop/frontend-1", "to": "payments/api-1", "dport": 9999})
    assert (found["verdict"], found["rejected"]["fate"]) == ("deny", "sent")
    sent = found["sent"]
    assert found["rejected"]["text"] == f"ICMP port unreachable, {sent['dst']} -> {sent['src']}"
    assert f"rejected   ICMP port unreachable, {sent['dst']}" in "\n".join(" ".join(line.split(None, 1)).replace(" ", "   ", 1) for line in lines(found))
    (step,) = [step for step in found["steps"] if step["table"] == "reject"]
    assert (step["result"], step["objects"], step["origin"]) == ("hit", ["Config IptablesFilterDenyAction=Reject"], "Config IptablesFilterDenyAction=Reject")
    assert found["policy"], "who denied is told as ever"


def test_the_trace_says_why_not(scene: Replayed) -> None:
    found = answer(scene, "trace", {"source": "shop/frontend-1", "to": "payments/api-1", "proto": "sctp", "dport": 9999})
    assert (found["verdict"], found["rejected"]["fate"]) == ("deny", "protocol")
    assert Rejected.PROTOCOL.text in "\n".join(lines(found))
    allowed = answer(scene, "trace", {"source": "shop/frontend-1", "to": "shop/backend-1", "dport": 9090})
    assert (allowed["verdict"], allowed["rejected"]) == ("allow", None)


def test_what_became_of_them_is_counted(scene: Replayed) -> None:
    assert scene.switch is not None and scene.switch.bench is not None
    before = {each["fate"]: each["packets"] for each in rejected(scene)}
    port = scene.driver.ports.get(next(iter(scene.driver.store.endpoints.values())).name)
    assert port is not None
    key, endpoint = next((key, each) for key, each in scene.driver.store.endpoints.items() if key.workload_id == "payments/api-1")
    source = scene.driver.ports.get(endpoint.name)
    assert source is not None and key
    for l4 in (UDP(sport=1, dport=9), UDP(sport=1, dport=9, chksum=0)):
        packet = Ether(src="02:00:00:00:00:01", dst=SWITCH_MAC) / ip(endpoint.ipv4_nets[0].partition("/")[0], "203.0.113.5") / l4
        injected = scene.switch.bench.inject(source.number, bytes(packet))
        assert injected.metadata["reason"] == Reason.POLICY
    after = {each["fate"]: each["packets"] for each in rejected(scene)}
    assert after.get("sent", 0) == before.get("sent", 0) + 1
    assert after.get("checksum", 0) == before.get("checksum", 0) + 1


def test_capabilities_name_their_bounds() -> None:
    (item,) = [each for each in capabilities("embedded") if each["capability"] == "rejects"]
    assert "1280" in item["value"] and "SCTP" in item["value"]
