"""A long life: memory is flat, and nothing is left of what is gone.

``CALICO_P4_SOAK_FRAMES`` (default 12,000; the long run: 1,000,000) says how many messages.
"""

import gc
import os

import pytest

from test.support.memory import resident_mib
from test.support.soak import Soak
from translator import identity

FRAMES = int(os.environ.get("CALICO_P4_SOAK_FRAMES") or 12_000)
FLAT = 1.02 if FRAMES >= 1_000_000 else 1.06
"""Memory at the end against the most of what it was in the first tenth. A short run has not yet had its fill of the bounded lists."""
SEED = 1


def test_memory_is_flat_while_objects_come_and_go() -> None:
    soak, baseline, seen = Soak(SEED), 0.0, 0.0
    while soak.frames < FRAMES:
        soak.loop()
        gc.collect()
        seen = resident_mib()
        if soak.frames <= FRAMES / 10 or not baseline:
            baseline, rows = max(baseline, seen), soak.rows()
    print(f"{soak.frames} messages, {soak.loops} lives of a cluster: {baseline:.1f} MiB after a tenth, {seen:.1f} MiB at the end")
    assert soak.loops > 5 and soak.switch.written > 1_000_000
    assert soak.rows() == rows, "rows of what is gone"
    assert seen < FLAT * baseline


def test_masks_that_came_and_went_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_MASKS", 20)
    soak, most = Soak(SEED), []
    for _ in range(4):
        soak.loop()
        most.append(len(soak.live.driver.translator.policy.sides["src"]._masks))
    assert max(most) < 60, most


def test_the_same_objects_under_other_names_are_other_objects() -> None:
    soak = Soak(SEED)
    soak.loop()
    first = {name for name, _ in soak.live.history.items()}
    soak.loop()
    assert len({name for name, _ in soak.live.history.items()} - first) > 50
