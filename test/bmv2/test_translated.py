"""Generated clusters with services, floating addresses and masquerade, and packets that belong to flows, through BMv2; skipped without a switch.

The environment chooses: CALICO_P4_SEED, by default 1, and CALICO_P4_BMV2_CLUSTERS=N, by default 2, of 200 packets each.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from test.support import bmv2
from test.support.translated_trial import FLUSHES, PACKETS, Trial

SEED = int(os.environ.get("CALICO_P4_SEED") or 1)
CLUSTERS = int(os.environ.get("CALICO_P4_BMV2_CLUSTERS") or 2)
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


def test_generated_translations() -> None:
    outcomes: Counter[str] = Counter()
    with bmv2.running():
        for number in range(CLUSTERS):
            outcomes += Trial(SEED + number).run()
    print(f"CALICO_P4_SEED={SEED}: {CLUSTERS} clusters, {outcomes.total()} packets: {dict(outcomes.most_common())}")
    assert outcomes.total() == CLUSTERS * FLUSHES * PACKETS
    assert outcomes["established"]
