"""Many masqueraded flows to one server: every answer reaches its pod, and how many find no port.

``CALICO_P4_MASQUERADE_FLOWS=20000`` measures more of them (printed with ``-s``), and what more tries or addresses would do is worked out beside it,
by a simulation that must agree with what was measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from calico_p4.switch import embedded
from k8s_p4.reasons import Reason
from test.support.nat import TO_UPLINK, address_params, masquerade_as, pool, wrong_checksums
from test.support.pipeline import FAR, NODE, Bench, mac, number
from test.support.target import MAKES
from translator.nat import DEFAULT_PORTS, port_windows

SEED = int(os.environ.get("CALICO_P4_SEED", "0")) or Random().randrange(1 << 32)
FLOWS = int(os.environ.get("CALICO_P4_MASQUERADE_FLOWS", "5000"))
PODS = 100
TRIES = 8
"""As in the pipeline."""
MOST_WITHOUT_PORT = {5000: 5}
"""One in a thousand; more flows are only measured."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    for pod in range(pods()):
        add_pod(bench, pod)
    pool(bench, "10.0.0.0/8", 3)
    for candidate, window in enumerate(port_windows("")):
        bench.row("masquerade_address_v4", (TO_UPLINK, candidate), ("masquerade_as_v4", *address_params(NODE), *window))
    yield bench
    bench.close()


def pods() -> int:
    """Another target may have no ports for more than a few."""
    return PODS if MAKES[-1] is embedded else 30


def address(pod: int) -> int:
    return number("10.0.1.0") + pod


def add_pod(bench: Bench, pod: int) -> None:
    """A workload with a port of its own."""
    endpoint, name = 100 + pod, f"cali-pod{pod}"
    port = bench.client.ensure_port(name)
    bench.ports[name] = port
    bench.row("port", (port,), ("workload", endpoint, 0, 0, 5000 + pod))
    bench.row("next_hop", (endpoint,), ("send", port, mac("ee:ee:ee:ee:ee:ee"), 0x020000000000 + pod, 0))
    bench.row("source_host_v4", (endpoint, address(pod)), ("source_ok",))
    bench.row("local_v4", (address(pod),), ("to_workload", endpoint, endpoint, 5000 + pod))
    bench.row("egress.binding", (endpoint,), ("bind", 1, 1, 1))
    bench.row("ingress.binding", (endpoint,), ("bind", 1, 1, 98))  # answers only


def tcp(src: int, dst: int, sport: int, dport: int, flags: int) -> bytes:
    """A frame with a segment without data; checksums by the book."""
    l4 = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + bytes((0x50, flags, 0x20, 0, 0, 0, 0, 0))
    addresses = src.to_bytes(4, "big") + dst.to_bytes(4, "big")
    check = checksum(addresses + bytes((0, 6, 0, 20)) + l4)
    ip = bytes((0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6))
    return b"\xee" * 6 + b"\x02" * 6 + b"\x08\0" + ip + checksum(ip + b"\0\0" + addresses) + addresses + l4[:16] + check + l4[18:]


def checksum(data: bytes) -> bytes:
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")


def simulated(flows: int, tries: int, addresses: int = 1) -> int:
    """How many flows find none of so many tries free: windows of all addresses by turns, in each a random place and from there on equal steps."""
    rng = Random(SEED)
    places = [(number, *window) for number in range(addresses) for window in port_windows("")]
    taken: set[tuple[int, int]] = set()
    without = 0
    for _ in range(flows):
        spread, step = rng.getrandbits(32), rng.getrandbits(16) | 1
        for attempt in range(tries):
            number, first, mask = places[attempt % len(places)]
            place = number, first + (spread + attempt * step & mask)
            if place not in taken:
                taken.add(place)
                break
        else:
            without += 1
    return without


def test_every_answer_reaches_its_pod(bench: Bench) -> None:
    rng, server, node = Random(SEED), number(FAR), number(NODE)
    wanted: set[tuple[int, int]] = set()
    while len(wanted) < FLOWS:
        wanted.add((rng.randrange(pods()), rng.randrange(1024, 65536)))
    taken: dict[int, tuple[int, int]] = {}
    without = 0
    for pod, sport in sorted(wanted, key=lambda _: rng.random()):
        sent = bench.send(f"cali-pod{pod}", tcp(address(pod), server, sport, 443, 2), keep=True)
        if sent.reason == Reason.NO_PORT:
            without += 1
            continue
        assert (sent.reason, sent.out) == (Reason.POLICY_ALLOW, "eth0")
        assert int.from_bytes(sent.frame[26:30], "big") == node
        port = int.from_bytes(sent.frame[34:36], "big")
        assert port not in taken, f"two flows from port {port}"
        taken[port] = pod, sport
    names = {port: name for name, port in bench.ports.items()}
    for port, (pod, sport) in taken.items():
        answer = bench.client.inject(bench.ports["eth0"], tcp(server, node, 443, port, 0x12))
        ((out, frame),) = answer.outputs
        assert names[out] == f"cali-pod{pod}"
        assert int.from_bytes(frame[30:34], "big") == address(pod)
        assert int.from_bytes(frame[36:38], "big") == sport
        assert not wrong_checksums(frame)
    ports = DEFAULT_PORTS[1] - DEFAULT_PORTS[0] + 1
    print(f"\n{FLOWS} flows of {pods()} pods to one server: {without} without a port (seed {SEED}; {ports} ports, {TRIES} tries)")
    alike = simulated(FLOWS, TRIES)
    more = {f"{tries} tries, {addresses} address{'es' if addresses > 1 else ''}": simulated(FLOWS, tries, addresses)
            for tries, addresses in ((16, 1), (32, 1), (TRIES, 2), (TRIES, 4))}  # fmt: skip
    print(f"simulated: {alike}; with " + ", ".join(f"{what}: {count}" for what, count in more.items()))
    assert abs(without - alike) <= 8 + 6 * alike**0.5, "the hash spreads as chance does"
    assert bench.counter("drops", Reason.NO_PORT) == without
    assert without <= MOST_WITHOUT_PORT.get(FLOWS, FLOWS)
    assert min(taken) >= DEFAULT_PORTS[0] and max(taken) <= DEFAULT_PORTS[1]


def test_more_addresses_are_more_ports(bench: Bench) -> None:
    """What helps where one address is not enough."""
    masquerade_as(bench, NODE, first=40000, mask=0xFF)
    without = {}
    for addresses in (1, 2):
        bench.client.clear_learned()
        if addresses == 2:
            bench.row("masquerade_address_v4", (TO_UPLINK, 1), ("masquerade_as_v4", *address_params("192.0.2.12"), 40000, 0xFF))
        sent = [bench.send("cali-pod1", tcp(address(1), number(FAR), sport, 443, 2), keep=True).reason for sport in range(2000, 2384)]
        without[addresses] = sent.count(Reason.NO_PORT)
    assert without[1] >= 128 and without[2] <= 30, without
