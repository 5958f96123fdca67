"""Generated clusters, and conversations with translation, through BMv2 against the reference models, flows learned by the driver; skipped without
a switch.

The environment chooses: CALICO_P4_SEED as in test/property/test_policy.py, and CALICO_P4_BMV2_CLUSTERS=N, by default 2: of so many clusters 150 first packets
each with what follows them, and so many conversations of 100 packets.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import SystemRandom

import pytest

from test.property import test_flows
from test.support import bmv2
from test.support.flow_model import Nat
from test.support.product import on_embedded
from test.support.trial import TALKING, Shape, Tally, trial

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
STEPS = 100
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
        trial(SEED + number, on_embedded, Shape(packets=25, play=TALKING), tally)
    print(f"CALICO_P4_SEED={SEED}: {tally.clusters} clusters, {tally.packets} packets, {tally.outcomes}")
    assert tally.packets > CLUSTERS * 150 and tally.outcomes["its answer", "established"]


LEAPS = (*[0] * 6, 0.1, 50000)
"""Time that passes between two packets: hardly any, or so much that nothing is left; in between an entry may live longer than the model has it,
for any look-up prolongs it."""


def test_generated_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_flows, "PASSES", LEAPS)
    told = Counter[str]()
    for number in range(CLUSTERS):
        monkeypatch.setattr(test_flows, "SEED", SEED + number)
        nat, again = ((Nat(), False), (test_flows.NAT, False), (test_flows.NAT, True))[number % 3]
        told += test_flows.converse(4 if number // 3 % 2 else 6, nat, STEPS, again)
    print(f"CALICO_P4_SEED={SEED}: {CLUSTERS} conversations, {told}")
    assert told.total() == CLUSTERS * STEPS and told["established"]
