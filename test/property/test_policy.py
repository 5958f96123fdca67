"""Generated clusters, message sequences and packets: verdict, reason, place and deciding rule against the reference evaluator, and after
every flush the dump against a translation from scratch.

Each run draws a fresh seed and prints it. What a failure needs is minimised, told, and saved as a recording with its packet, for
``calico-p4 replay``. The environment chooses otherwise:

    CALICO_P4_SEED=N       that seed; cluster K of a run has the seed N + K
    CALICO_P4_CLUSTERS=N   so many clusters, however long they take

The long run, 210,000 packets over 700 clusters through the embedded target (and as many through the model of a switch):

    CALICO_P4_CLUSTERS=700 python -m pytest test/property/test_policy.py -s -k generated
"""

import json
import os
import time
from pathlib import Path
from random import Random, SystemRandom

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.mutants import MUTANTS
from test.support.product import on_embedded, on_model
from test.support.stream import save
from test.support.trial import TALKING, WORKLOADS, Failure, Make, Shape, Tally, minimised, trial

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
CLUSTERS = int(os.environ.get("CALICO_P4_CLUSTERS") or 0)
BUDGET_SECONDS = 20.0


@pytest.mark.parametrize("make", [on_embedded, on_model], ids=lambda make: make.__name__)
def test_generated_clusters(make: Make, tmp_path: Path, told: list[str]) -> None:
    told.append(f"{make.__name__}: CALICO_P4_SEED={SEED}")
    tally = run(make, tmp_path)
    told[-1] += f": {tally.clusters} clusters, {tally.flushes} flushes, {tally.packets} packets, 0 differences"
    assert tally.packets >= (CLUSTERS or 10) * 6 * 50


def run(make: Make, tmp_path: Path) -> Tally:
    """Run trials until the time, or the number asked for, is up. Fails with a minimised example."""
    tally, start = Tally(), time.monotonic()
    play = TALKING if make is on_embedded else WORKLOADS
    while tally.clusters < CLUSTERS if CLUSTERS else tally.clusters < 10 or time.monotonic() - start < BUDGET_SECONDS:
        try:
            trial(SEED + tally.clusters, make, Shape(play=play), tally)
        except Failure as failure:
            small = minimised(failure, make, play=play)
            report(small, tmp_path)
            pytest.fail(f"{text_of(small)}\nfirst seen: {failure}", pytrace=False)
    return tally


def text_of(failure: Failure) -> str:
    """Return a failure with its messages, one a line."""
    messages = (str(message) for flush in failure.flushes for message in flush)
    return "\n".join((str(failure), *messages)) if len(failure.flushes) < 100 else str(failure)


def report(failure: Failure, folder: Path) -> None:
    """Save a failure for ``calico-p4 replay``."""
    save(folder / "failure.felixstream", [message for flush in failure.flushes for message in flush])
    (folder / "packets.json").write_text(json.dumps([entering(failure.sent)] if failure.sent else []))
    print(f"saved in {folder}")


def entering(sent: Sent) -> dict[str, object]:
    """Return a packet in the form of the replay contract, as raw bytes: fragments and options have no fields there."""
    where = sent.ingress if sent.ingress in ("host", "uplink") else f"interface:{sent.ingress}"
    return {"raw": frame(sent.packet).hex(), "from": where}


@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_drawn_clusters(rng: Random) -> None:
    """The same, driven by hypothesis: it tries other corners than a plain generator, and remembers what failed.

    It does not shrink: a cluster is thousands of choices, and our own minimiser, which knows messages and rules, needs seconds.
    """
    try:
        trial(0, on_model, Shape(flushes=3, packets=15, changes=2), Tally(), rng=rng)
    except Failure as failure:
        pytest.fail(text_of(minimised(failure, on_model)), pytrace=False)


def test_failure_is_minimised_and_can_be_replayed(tmp_path: Path) -> None:
    """The harness against a wrong translator: its mistake is found, made small, and saved."""
    make = MUTANTS["ports are ignored"].make
    failure = next(f for seed in range(50) if (f := _first_failure(seed, make)) is not None)
    small = minimised(failure, make, make)
    assert len(small.flushes) < 12 < len([m for flush in failure.flushes for m in flush])
    report(small, tmp_path)
    assert (tmp_path / "failure.felixstream").stat().st_size
    assert json.loads((tmp_path / "packets.json").read_text())


def _first_failure(seed: int, make: Make) -> Failure | None:
    try:
        trial(seed, make, Shape(), Tally(), scratch=make)
    except Failure as failure:
        return failure
    return None
