"""Generated clusters with services, floating addresses and pools that masquerade, and packets that belong to flows: what becomes of each, every byte
of what leaves, and which rule decided, against references of their own (`translated_model`, `evaluator`, `service_reference`).

The environment chooses: CALICO_P4_SEED=N, by default 1 (cluster K of a run has the seed N + K), and CALICO_P4_CLUSTERS=N, by default 6, with
CALICO_P4_PACKETS=N, by default 50, after each of four flushes.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from calico_p4 import driver
from test.support.translated_trial import FLUSHES, PACKETS, Difference, Trial
from translator import floating, masquerade, nat, service_entries
from translator.incarnations import Incarnations

SEED = int(os.environ.get("CALICO_P4_SEED", "1"))
CLUSTERS = int(os.environ.get("CALICO_P4_CLUSTERS") or 6)


def test_generated_translations(told: list[str]) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(CLUSTERS):
        outcomes += Trial(SEED + number).run()
    told.append(f"CALICO_P4_SEED={SEED}: {CLUSTERS} clusters, {outcomes.total()} packets: {dict(outcomes.most_common())}")
    assert outcomes.total() == CLUSTERS * FLUSHES * PACKETS
    assert outcomes["established"]


MISTAKES = {
    "who is masqueraded by a service": (service_entries, "MASQUERADE", 0),
    "pools are never left": (masquerade, "MASQUERADED", 4),
    "a floating address leads to another": (
        floating,
        "_parsed",
        lambda info: (floating.parse_address(info.ext_ip), floating.parse_address(info.int_ip) ^ 1),
    ),
    "ports beyond the range": (nat, "_range", lambda text: (20000, 20003)),
    "datagrams go on to what is gone": (driver, "stale", lambda entries, suspects: iter(())),
    "all lives are one": (Incarnations, "get", lambda self, meaning: 1),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness against a translator that is wrong in one place."""
    monkeypatch.setattr(*MISTAKES[mistake])
    with pytest.raises(Difference):
        for seed in range(13, 53):  # 13 is the first that shows the rarest
            Trial(seed).run()
