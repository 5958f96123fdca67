"""DPDK judges the executor: a sample of everything that goes through the pipeline, every packet through DPDK's SWX library as well.

All tests of packets can be judged so, which takes some twenty minutes: CALICO_P4_TEST_TARGET=judge python -m pytest test/k8s_p4 ...
Large numbers of drawn packets, with the environment of test/property/test_policy.py and test_flows.py:

    CALICO_P4_TEST_TARGET=judge CALICO_P4_CLUSTERS=700 python -m pytest test/property/test_policy.py -k "generated and embedded"
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from calico_p4.replay import Options, replay
from k8s_p4.p4rt import p4r
from k8s_p4.target import InProcessTarget
from test.conformance import test_product_conformance as conformance
from test.property import test_flows as flows
from test.support.census import Census
from test.support.dpdk import need_dpdk
from test.support.judge import Both, Disagreement, JudgedMachine, Tally, everywhere
from test.support.p4target import DELETE, MODIFY, meter, ours, tcp_frame
from test.support.pipeline import FAR, NODE, POD1, POD2, Bench, number
from test.support.product import on_embedded
from test.support.shared import needs_shared, recording_path
from test.support.trial import Shape, trial
from test.support.trial import Tally as Trials

need_dpdk()

SEED = int(os.environ.get("CALICO_P4_SEED", "0")) or Random().randrange(1 << 32)


@pytest.fixture(autouse=True)
def judged() -> Iterator[None]:
    before = Tally.packets
    with everywhere():
        yield
    assert Tally.packets > before, "nothing was judged"


def machine_of(target: InProcessTarget) -> JudgedMachine:
    assert target.device.installed is not None
    machine = target.device.installed.pipeline.machine
    assert isinstance(machine, JudgedMachine)
    return machine


@pytest.fixture
def target() -> Iterator[InProcessTarget]:
    target = InProcessTarget()
    yield target
    target.stop()


def test_differences_are_seen(target: InProcessTarget) -> None:
    """What is wrong in the executor's tables, counters or answers, or in DPDK's, shows."""
    with ours(target.channel) as session:
        frame, port = session.allow_one()
        assert session.bench.inject(port, frame).outputs
    machine = machine_of(target)
    (local,) = (state for name, state in machine.tables.items() if name.endswith("_owner_local_v4"))
    held = local.match._match
    entries = dict(held.items())
    held.clear()
    with pytest.raises(Disagreement, match="dropped, DPDK: sent"):
        machine.run(tcp_frame(0x0A000001, 0x0A000002, 40001), port, 0)
    for identity, entry in entries.items():
        held.put(identity, entry)
    drops = machine.registers["pipeline_drops"]
    assert isinstance(drops, Both)
    drops.ours[5] += 1
    with pytest.raises(Disagreement, match=r"pipeline_drops\[5\]"):
        machine.run(tcp_frame(0x0A000001, 0x0A000002, 40002), port, 0)
    drops.ours[5] -= 1
    (identity, entry), *_ = ((at, entry) for at, entry in entries.items() if at == 0x0A000002)
    held.put(identity, (entry[0], (*entry[1][:2], 999), *entry[2:]))
    with pytest.raises(Disagreement, match="metadata dst_incarnation: 0x3e7, DPDK: 0x66"):
        machine.run(tcp_frame(0x0A000001, 0x0A000002, 40003), port, 0)


def test_what_is_set_is_set_in_both(target: InProcessTarget) -> None:
    """Counters written, meters, what is forgotten and what is learned elsewhere."""
    with ours(target.channel) as session:
        frame, port = session.allow_one()
        bench = session.bench
        bench.inject(port, frame)
        counter = p4r.Entity()
        counter.counter_entry.counter_id = session.find("counters", "egress.hits").preamble.id
        counter.counter_entry.index.index = 30
        counter.counter_entry.data.packet_count = 700
        session.write((MODIFY, counter))
        for rate in (3, 7, 1000, 1 << 30):
            session.write(meter(session, rate, rate))
            for ns in range(30):
                bench.inject(port, frame, at_seconds=bench.time() + ns / 61)
        held = bench.learned()
        bench.forget_learned(held[:1])
        bench.inject(port, frame)
        bench.clear_learned()
        bench.restore_learned(held)
        for _ in range(40):
            bench.inject(port, frame)


def test_rivals_of_one_mask(target: InProcessTarget) -> None:
    """Entries that differ in priority only are one entry for DPDK: the highest is there, and the next once that is gone."""
    with ours(target.channel) as session:
        frame, port = session.allow_one()
        key = ((1, 0xFFFFFFFF), *[None] * 7)
        for priority, value in ((5, ("deny", 31)), (9, ("allow", 32)), (7, ("deny", 33))):
            session.insert("egress.rules", (*key, priority), value)
        slots = []
        for gone in (9, 7, 5, 0):
            session.bench.clear_learned()
            slots.append(session.bench.inject(port, frame).metadata["egress_slot"])
            if gone:
                session.write((DELETE, session.entry("egress.rules", (*key, gone))))
    assert slots == [32, 33, 31, 30]


def test_paths_and_what_is_dropped() -> None:
    bench = Bench()
    for source, destination in ((POD1, POD2), (POD1, FAR), (POD1, NODE), (POD2, POD1), ("10.0.0.9", POD2)):
        for flags in range(64):
            frame = bytearray(tcp_frame(number(source), number(destination), 1000 + flags, 80))
            frame[47] = flags
            bench.send("cali1", bytes(frame), keep=flags % 2 == 0)
    short = tcp_frame(number(POD1), number(POD2))
    for length in range(len(short)):
        bench.send("cali1", short[:length])
        bench.send("eth0", short[:length] + bytes(60))
    bench.close()


@pytest.mark.parametrize("poison", [True, False], ids=["poisoned", "stale"])
def test_bits_turned_over(poison: bool) -> None:
    """Damaged frames, with a pattern and with the last packet's bytes where nothing was written."""
    bench, rng = Bench(poison=poison), Random(SEED)
    frames = [tcp_frame(number(POD1), number(POD2)) + bytes(20), bytes.fromhex(_V6)]
    for _ in range(400):
        frame = bytearray(rng.choice(frames))
        for _ in range(rng.choice((1, 1, 2, 8))):
            frame[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
        bench.send(rng.choice(("cali1", "cali2", "eth0", "host")), bytes(frame), keep=rng.random() < 0.5)
    bench.close()


_V6 = (
    "eeeeeeeeeeee020000000001" + "86dd" + "6000000000180040" + "fd000000000000000000000000000001" + "fd000000000000000000000000000002"
    + "0600010400000000" + "303900350010abcd" + "6162636465666768"
)  # fmt: skip


@pytest.mark.parametrize("again", [False, True], ids=["", "judged_again"])
@pytest.mark.parametrize("version", [4, 6], ids=["v4", "v6"])
def test_conversations(version: int, again: bool) -> None:
    """Flows with translation and time passing, learned and expired alike."""
    flows.converse(version, flows.NAT, 300, again)


def test_drawn_clusters() -> None:
    tally = Trials()
    for seed in (SEED, SEED + 1):
        trial(seed, on_embedded, Shape(flushes=3), tally)
    assert tally.packets == 300


@needs_shared
def test_conformance_cases() -> None:
    for run in conformance.RUNS[:: len(conformance.RUNS) // 8]:
        conformance.check(*run.values, Census())


@needs_shared
def test_a_recording_with_packets() -> None:
    answer = replay(Options(str(recording_path("quickstart.felixstream")), packets=str(recording_path("quickstart.packets.json")))).answer
    assert len(answer["packets"]) == 18
