"""Generated clusters and packets through BMv2 against the reference evaluator, flows learned by the driver; skipped without a switch.

The environment chooses: CALICO_P4_SEED as in test/property/test_policy.py, and CALICO_P4_BMV2_CLUSTERS=N, by default 2, of 300 packets each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import SystemRandom

import pytest

from test.support import bmv2
from test.support.product import on_embedded
from test.support.trial import Shape, Tally, trial

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
CLUSTERS = int(os.environ.get("CALICO_P4_BMV2_CLUSTERS") or 2)
_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")


@pytest.fixture(autouse=True)
def _running() -> Iterator[None]:
    with bmv2.running():
        yield


def test_generated_clusters() -> None:
    tally = Tally()
    for number in range(CLUSTERS):
        trial(SEED + number, on_embedded, Shape(), tally)
    print(f"CALICO_P4_SEED={SEED}: {tally.clusters} clusters, {tally.packets} packets")
    assert tally.packets == CLUSTERS * 300
