"""Two parties that talk through the pipeline of ``test.support.pipeline``, told packet by packet.

A party is a port with its addresses of both families. Whoever may not be spoken to has `deny` in a direction: a rule list
without rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from k8s_p4.reasons import Reason
from test.support.pipeline import FAR, FAR_V6, MAC, MACS, NODE, NODE_V6, POD1, POD1_V6, POD2, POD2_V6, Bench, Outcome

EMPTY_LIST = 99


class Party(NamedTuple):
    """Where somebody is, and under which addresses; ``endpoint`` is 0 for no workload."""

    port: str
    v4: str
    v6: str
    endpoint: int = 0

    def address(self, version: int) -> str:
        """The address of a family."""
        return self.v4 if version == 4 else self.v6


ONE, TWO = Party("cali1", POD1, POD1_V6, 1), Party("cali2", POD2, POD2_V6, 2)
HOST, REMOTE = Party("host", NODE, NODE_V6), Party("eth0", FAR, FAR_V6)


def deny(bench: Bench, party: Party, *stages: str) -> None:
    """From now on policy denies everything to (ingress) or from (egress) a workload."""
    for stage in stages:
        bench.row(f"{stage}.binding", (party.endpoint,), ("bind", party.endpoint, party.endpoint, EMPTY_LIST))


def allow(bench: Bench, party: Party, *stages: str) -> None:
    """From now on policy allows everything."""
    for stage in stages:
        bench.row(f"{stage}.binding", (party.endpoint,), ("bind", party.endpoint, party.endpoint, 1))


@dataclass
class Talk:
    """A conversation; ``now`` is virtual time in seconds, which ``wait`` moves on. Nothing is forgotten but with ``fresh``."""

    bench: Bench
    version: int
    now: float = 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def fresh(self) -> None:
        """Forget all flows."""
        self.bench.client.clear_learned()

    def learned(self) -> dict[str, int]:
        """Live entries by table, where there are any."""
        self.bench.client.set_time(self.now)
        counts = self.bench.client.learned_counts()
        return {name.rpartition(".")[2]: number for name, number in counts.items() if number}

    def packet(self, src: Party, dst: Party, l4: Any, **ip: Any) -> Any:
        """A frame from one party to another."""
        layer = IP if self.version == 4 else IPv6
        network = layer(src=src.address(self.version), dst=dst.address(self.version), **ip)
        return Ether(src=MACS[src.port], dst=MAC) / network / l4

    def send(self, src: Party, dst: Party, l4: Any, **ip: Any) -> Outcome:
        """Send it now."""
        return self.raw(src, self.packet(src, dst, l4, **ip))

    def raw(self, src: Party, frame: Any) -> Outcome:
        """Send a frame now, by the port of a party."""
        return self.bench.send(src.port, bytes(frame), keep=True, at=self.now)

    def tcp(self, src: Party, dst: Party, flags: str, sport: int = 40000, dport: int = 80, data: bytes = b"") -> Reason:
        """A segment; returns what became of it."""
        return self.send(src, dst, TCP(sport=sport, dport=dport, flags=flags) / Raw(data)).reason

    def udp(self, src: Party, dst: Party, sport: int = 40000, dport: int = 53) -> Reason:
        """A datagram."""
        return self.send(src, dst, UDP(sport=sport, dport=dport) / Raw(b"ask")).reason

    def sctp(self, src: Party, dst: Party, sport: int = 40000, dport: int = 5060) -> Reason:
        """A chunk."""
        return self.send(src, dst, SCTP(sport=sport, dport=dport) / Raw(b"chunk---")).reason

    def echo(self, src: Party, dst: Party, identifier: int = 7, reply: bool = False) -> Reason:
        """An echo request or reply."""
        return self.send(src, dst, self.echo_layer(identifier, reply)).reason

    def echo_layer(self, identifier: int, reply: bool = False) -> Any:
        """ICMP or ICMPv6 echo."""
        if self.version == 4:
            return ICMP(type=0 if reply else 8, id=identifier, seq=1) / Raw(b"ping")
        return (ICMPv6EchoReply if reply else ICMPv6EchoRequest)(id=identifier, seq=1, data=b"ping")

    def handshake(self, client: Party, server: Party, sport: int = 40000, dport: int = 80) -> None:
        """SYN, SYN and ACK, ACK: the first judged, the others part of it."""
        assert self.tcp(client, server, "S", sport, dport).allows
        assert self.tcp(server, client, "SA", dport, sport) == Reason.ESTABLISHED
        assert self.tcp(client, server, "A", sport, dport) == Reason.ESTABLISHED
