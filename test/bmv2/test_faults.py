"""The fault schedule of test/calico_p4/test_faults.py on a real switch: what dies really dies, and what comes back is another process.

Two faults are drawn, each with a point of the recording, or all of them with CALICO_P4_FAULT_POINTS=N at N points each; CALICO_P4_SEED repeats a run.
"""

from __future__ import annotations

import os
from functools import cache
from random import Random, SystemRandom

import pytest

from test.support import bmv2
from test.support.bmv2_faulty import Bmv2FaultyTarget
from test.support.fault_run import Run, stream
from test.support.faults import FAULTS, Fault, Full
from test.support.lives import NAME, numbered_ports

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
POINTS = int(os.environ.get("CALICO_P4_FAULT_POINTS") or 0)
DRAWN = 2
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


def played(seed: int, fault: Fault | None, point: int) -> Run:
    """A run whose switch is no more."""
    run = Run(seed, Bmv2FaultyTarget, numbered_ports())
    try:
        run.feed(NAME, point, fault)
        run.calm()
        if run.settled:
            assert run.on_target() == run.wanted()
    finally:
        run.target.close()  # type: ignore[attr-defined]
    return run


@cache
def undisturbed() -> Run:
    run = played(1, None, -1000)
    assert run.settled
    return run


def drawn(number: int) -> tuple[str, int, float]:
    """The fault, its step and how far into the recording it comes, of one of the cases that are drawn; what cases are called may not depend on what is drawn."""
    rng = Random(SEED)
    return rng.sample(list(FAULTS), DRAWN)[number], 0, rng.random()


ALL = [(name, step, (2 * step + 1) / (2 * POINTS)) for name in FAULTS for step in range(POINTS)]


@pytest.mark.parametrize("number", range(len(ALL) or DRAWN), ids=[f"{name}, {step}" for name, step, _ in ALL] or None)
def test_each_fault_ends_converged_or_told(number: int) -> None:
    name, step, where = ALL[number] if ALL else drawn(number)
    told = f"{name} at {where:.3f}, CALICO_P4_SEED={SEED}"
    fault = FAULTS[name](Random(SEED + step))
    run = played(SEED + step, fault, round(where * len(stream(NAME))))
    if run.settled:
        assert (run.dump(), run.driver.degraded()) == (undisturbed().dump(), undisturbed().driver.degraded()), told
    else:
        assert isinstance(fault, Full) and name.endswith("for good"), f"{told}: not converged: {run.driver.degraded()[:3]}"
        refused = run.driver.tracker.errors()
        assert refused and {table for table, _ in refused} == {fault.table}, told
        assert {entry.effect for entry in run.driver.degraded()} >= {"closed"}, told
    assert run.guard.looked > 0, "nothing was probed"
    print(f"{told}: {run.guard.looked} packets that must not pass")
