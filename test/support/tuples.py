"""Who a packet says it is from and for: what flows are told apart by."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple

from test.support.packet import SCTP, TCP, UDP, Packet, is_icmp

FIN, SYN, RST, ACK = 1, 2, 4, 16
NAMES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
ECHOES = {8: "request", 0: "reply", 128: "request", 129: "reply"}
ANSWERS = {"request": "reply", "reply": "request"}


class Tuple(NamedTuple):
    """Who speaks to whom; of an echo the identifier is the port of who asks."""

    what: str
    src: str
    sport: int
    dst: str
    dport: int

    def turned(self) -> Tuple:
        """What answers it."""
        return Tuple(ANSWERS.get(self.what, self.what), self.dst, self.dport, self.src, self.sport)


def tuple_of(packet: Packet) -> Tuple | None:
    """The tuple of a packet that can be of a flow."""
    if packet.fragment:
        return None
    if packet.proto in NAMES:
        assert packet.sport is not None and packet.dport is not None
        return Tuple(NAMES[packet.proto], same(packet.src), packet.sport, same(packet.dst), packet.dport)
    if is_icmp(packet) and packet.icmp_type in ((8, 0) if packet.version == 4 else (128, 129)):
        what = ECHOES[packet.icmp_type]
        ports = (packet.identifier, 0) if what == "request" else (0, packet.identifier)
        return Tuple(what, same(packet.src), ports[0], same(packet.dst), ports[1])
    return None


def moved(packet: Packet, to: Tuple) -> Packet:
    """A packet with another tuple."""
    if to.what in NAMES.values():
        return replace(packet, src=to.src, dst=to.dst, sport=to.sport, dport=to.dport)
    return replace(packet, src=to.src, dst=to.dst, identifier=to.sport or to.dport)


def same(address: str) -> str:
    """An address as it is written shortest."""
    return str(ip_address(address))


def lonely(packet: Packet, own: Tuple | None) -> bool:
    """Whether nothing is to be remembered of a packet that belongs to no flow: nobody should answer it."""
    return own is None or own.what == "reply" or bool(own.what == "tcp" and packet.flags & RST)


def opens(packet: Packet) -> bool:
    """Whether it is a SYN that begins a connection."""
    return packet.proto == TCP and packet.flags & (SYN | ACK | FIN | RST) == SYN
