"""A conversation between two pods as text, hop by hop: what docs/conversation.md shows. ``python -m test.support.conversation FILE`` writes it anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from felix_proto.types import PortRange, Rule
from k8s_p4.reasons import Reason
from test.support.cluster import Cluster, Member, Pod

_BLOCK = re.compile(r"^```text\n.*?^```$", re.MULTILINE | re.DOTALL)
_A, _B = Member("node-a", 1), Member("node-b", 2)
_CLIENT, _SERVER = Pod("client", _A, 5, policies=("client",)), Pod("server", _B, 6, policies=("server",))
_HTTP = (PortRange(80, 80),)
_POLICIES = {
    "client": ([Rule("deny", protocol="sctp")], [Rule("allow", protocol="tcp", dst_ports=_HTTP)]),
    "server": ([Rule("allow", protocol="tcp", src_net=("10.244.1.0/26",), dst_ports=_HTTP)], [Rule("deny", protocol="sctp")]),
}
_STEPS = (("client", "S"), ("server", "SA"), ("client", "A"), ("server", "F"))


def lines() -> Iterator[str]:
    """The conversation: VXLAN, IPv4, TCP; then a segment that nobody asked for."""
    cluster = Cluster("vxlan", [_A, _B], [_CLIENT, _SERVER], _POLICIES)
    try:
        for sender, flags in _STEPS:
            yield from _sent(cluster, sender, flags, 40000)
        yield from _sent(cluster, "server", "SA", 40001)
    finally:
        cluster.close()


def _sent(cluster: Cluster, sender: str, flags: str, port: int) -> Iterator[str]:
    pod, forth = cluster.pod(sender), sender == "client"
    ends = (_CLIENT, _SERVER) if forth else (_SERVER, _CLIENT)
    segment = TCP(sport=port if forth else 80, dport=80 if forth else port, flags=flags)
    packet = IP(src=ends[0].address(0), dst=ends[1].address(0)) / segment
    before = len(cluster.crossings)
    yield f"{sender} sends       {_packet(packet)}"
    arrived = cluster.from_pod(sender, packet)
    yield f"  {pod.node.name} decides    {_reason(cluster, pod.node.name)}"
    for each in cluster.crossings[before:]:
        yield f"  {each.sender} -> {each.receiver}   {_frame(Ether(each.frame))}"
        yield f"  {each.receiver} decides    {_reason(cluster, each.receiver)}"
    yield from (f"{arrival.place} receives    {_packet(Ether(arrival.frame).payload)}" for arrival in arrived)
    yield ""


def _reason(cluster: Cluster, node: str) -> str:
    last = cluster.nodes[node].last
    assert last is not None
    return f"{'allow' if last.outputs else 'deny'}, {Reason(last.metadata['reason']).contract_name}"


def _frame(frame: Any) -> str:
    parts = [f"{frame.src} > {frame.dst}", _packet(frame.payload)]
    if VXLAN in frame:
        inner = frame[VXLAN].payload
        parts += [f"VXLAN {frame[VXLAN].vni}", f"{inner.src} > {inner.dst}", _packet(inner.payload)]
    return "\n    ".join(parts)


def _packet(packet: Any) -> str:
    ttl = packet.hlim if packet.name == IPv6.__name__ else packet.ttl
    above = packet[TCP] if packet.haslayer(TCP) and not packet.haslayer(UDP) else packet[UDP]
    what = f"TCP {above.flags}" if above.name == "TCP" else "UDP"
    return f"{packet.src}:{above.sport} > {packet.dst}:{above.dport} {what} ttl {ttl}"


def rewritten(text: str) -> str:
    """A document with its text block made anew."""
    return _BLOCK.sub("```text\n" + "\n".join(lines()).rstrip() + "\n```", text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(rewritten(Path(name).read_text()))
