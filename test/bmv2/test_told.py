"""The program that tells (`test/support/bmv2_told.py`) does to packets what the program as it is does: the same frames through both."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from datastore.tracker import Op
from k8s_p4.reasons import Reason
from test.support import bmv2
from test.support.pipeline import GATEWAY_V4, MAC, MACS, POD1, POD1_V6, Bench
from test.support.talk import HOST, ONE, REMOTE, TWO, Talk, deny

_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")
WAIT_S = 60.0
MARK = bytes(Ether(src=MACS["cali1"], dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=MACS["cali1"], psrc=POD1, pdst=GATEWAY_V4))
"""Is answered, by the port it came by."""


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    with bmv2.running():
        bench = Bench()
        yield bench
        bench.close()


class Plain:
    """A switch with the program as it is, and the rows of a bench."""

    def __init__(self, made: bmv2.Bmv2, bench: Bench) -> None:
        self._sockets = made.namespace.sockets
        self.switch = bmv2.Bmv2Switch(made, plain=True)
        self.switch.prepare()
        assert self.switch.bench is None
        assert not any(self.switch.write([Op("insert", table, key, value) for (table, key), value in bench.rows.items()]))

    def sent(self, port: int, frame: bytes, leaves: bool) -> tuple[int, bytes]:
        """What comes out first: the frame itself, or else what is sent behind it."""
        self._sockets[port - 1].send(frame)
        if not leaves:
            self._sockets[0].send(MARK)
        ready, _, _ = select.select(self._sockets, [], [], WAIT_S)
        for each in ready:
            while True:
                found, (interface, _protocol, kind, *_) = each.recvfrom(65536)
                if kind != socket.PACKET_OUTGOING:
                    return int(interface[1:]), found
        raise AssertionError("nothing came out")


def frames(talk: Talk) -> Iterator[tuple[str, bytes]]:
    """Ports by name, and frames: neighbours, both directions of flows, denied with an answer, no route, damaged."""
    yield "cali1", MARK
    yield "cali1", bytes(talk.packet(ONE, TWO, TCP(sport=40000, dport=80, flags="S")))
    yield "cali2", bytes(talk.packet(TWO, ONE, TCP(sport=80, dport=40000, flags="SA")))
    yield "cali1", bytes(talk.packet(ONE, TWO, TCP(sport=40000, dport=80, flags="F")))
    yield "eth0", bytes(talk.packet(REMOTE, ONE, UDP(sport=53, dport=53)))
    yield "cali2", bytes(talk.packet(TWO, REMOTE, TCP(sport=1, dport=2, flags="S")))
    yield "host", bytes(talk.packet(HOST, TWO, UDP(sport=1, dport=2)))
    yield "cali1", bytes(talk.packet(ONE, TWO, UDP(sport=1, dport=2)))[:-3]
    yield "cali1", bytes(Ether(src=MACS["cali1"], dst=MAC) / IPv6(src="fd00::99", dst=POD1_V6) / UDP(sport=1, dport=2))


@pytest.mark.parametrize("version", [4, 6])
def test_it_does_the_same(version: int, bench: Bench) -> None:
    deny(bench, TWO, "egress")
    bench.row("reject", (Reason.POLICY,), ("tcp_reset",))
    made = bmv2.Bmv2()
    try:
        plain = Plain(made, bench)
        gone = []
        for port, frame in frames(Talk(bench, version)):
            injected = bench.client.inject(bench.ports[port], frame)
            got = plain.sent(bench.ports[port], frame, bool(injected.outputs))
            if injected.outputs:
                assert got == injected.outputs[0], injected.metadata
            else:
                assert got[0] == bench.ports["cali1"] and got[1][12:14] == b"\x08\x06", f"it was to be dropped: {injected.metadata}"
                gone.append(injected.metadata["reason"])
        assert gone == [Reason.PARSE, Reason.SPOOFED]
        plain.switch.close()
    finally:
        made.close()
