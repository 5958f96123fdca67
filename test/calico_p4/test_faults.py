"""The fault schedule: each way a target goes wrong, at points of the ``churn`` recording.

In the end the target holds what a run without faults leaves there, or what could not be written is Degraded and closed; and after no
Write does a packet pass that neither the old nor the new intent allows. By default some faults are drawn, each with a point
(``CALICO_P4_SEED``); ``CALICO_P4_FAULT_POINTS=20`` tries each fault at twenty points.
"""

import os
from functools import cache
from random import Random, SystemRandom
from typing import Any

import pytest

from test.support import gen_packets
from test.support.fault_run import Run, impatient, stream
from test.support.faults import FAULTS, Full
from test.support.frames import frame
from test.support.shared import recording_path

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
POINTS = int(os.environ.get("CALICO_P4_FAULT_POINTS") or 0)
DRAWN = 4
NAME = "churn"
NOT_OURS = "partial"


def drawn(number: int) -> tuple[str, int]:
    """The fault and the point, of twenty, of one of the cases that are drawn."""
    rng = Random(SEED)
    return rng.sample(list(FAULTS), DRAWN)[number], rng.randrange(20)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    recording_path(f"{NAME}.felixstream")
    impatient(monkeypatch)


@cache
def undisturbed() -> Run:
    """A run without any fault."""
    run = Run(1)
    run.feed(NAME, -1000, None)
    run.calm()
    assert run.settled and run.on_target() == run.wanted()
    return run


@pytest.mark.parametrize("case", [f"{name}, {step}" for name in FAULTS for step in range(POINTS)] or range(DRAWN))
def test_each_fault_ends_converged_or_closed(case: str | int) -> None:
    name, step = drawn(case) if isinstance(case, int) else case.split(", ")
    count = POINTS or 20
    try_fault(name, (2 * int(step) + 1) / (2 * count), SEED + int(step))


def try_fault(name: str, where: float, seed: int) -> None:
    """Let a fault begin when this much of the recording is through."""
    fault = FAULTS[name](Random(seed))
    run = Run(seed)
    run.feed(NAME, round(where * len(stream(NAME))), fault)
    run.calm()
    told = f"{name} at {where:.3f}, CALICO_P4_SEED={seed}"
    if run.settled:
        assert run.dump() == undisturbed().dump(), told
        assert run.on_target() == run.wanted(), told
        assert run.driver.degraded() == undisturbed().driver.degraded(), told
    else:
        assert isinstance(fault, Full) and name.endswith("for good"), f"{told}: not converged: {run.driver.degraded()}"
        assert_closed(run, fault, told)
    assert run.guard.looked > 0, "nothing was probed"


def assert_closed(run: Run, fault: Full, told: str) -> None:
    """What was refused is named, and every packet that does not pass though it should is one of a closed or pending endpoint's."""
    refused = run.driver.tracker.errors()
    assert refused and {table for table, _ in refused} == {fault.table}, told
    bad = {entry.object for entry in run.driver.degraded() if entry.effect != NOT_OURS}
    good = undisturbed()
    rng = Random(7)
    for _ in range(300):
        one = gen_packets.packet(rng, run.world)
        here, there = passes(run, one), passes(good, one)
        assert here <= there, f"{told}: passes only when something is missing: {one}"
        if here < there:
            ends = [f"WorkloadEndpoint {'/'.join(e.id)}" for e in run.world.endpoints.values() if _has(e, one)]
            assert bad & {*ends, *_named(run, one)}, f"{told}: denied, and nobody says why: {one}, {sorted(bad)}"


def _has(endpoint: Any, one: Any) -> bool:
    nets = {net.partition("/")[0] for net in endpoint.ipv4_nets + endpoint.ipv6_nets}
    return endpoint.name == one.ingress or bool(nets & {one.packet.src, one.packet.dst})


def _named(run: Run, one: Any) -> set[str]:
    """Objects without an endpoint that a packet's way leads through: the routes and ports of the node."""
    return {entry.object for entry in run.driver.degraded() if not entry.object.startswith("WorkloadEndpoint ")}


def passes(run: Run, one: Any) -> bool:
    port = run.target.device.ports.get({"uplink": "eth0"}.get(one.ingress, one.ingress))
    if port is None:
        return False
    run.target.bench.clear_learned()
    return bool(run.target.bench.inject(port, frame(one.packet)).outputs)
