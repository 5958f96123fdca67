"""Generated host endpoints, edits of them, and packets from and to everywhere, against the reference in ``test/support/host_judge.py``.

After every flush the dump is compared with a translation from scratch. The environment variables are those of test_policy.py. The long
run, 51,000 packets through the embedded target (and as many through the model of a switch):

    CALICO_P4_CLUSTERS=170 python -m pytest test/property/test_host_endpoints.py -s -k generated
"""

import time
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from test.property.test_policy import CLUSTERS, SEED, report, text_of
from test.support import mutants
from test.support.gen_hosts import HOSTS
from test.support.host_judge import PORTS
from test.support.host_mutants import MUTANTS, right
from test.support.product import Product, on_embedded
from test.support.trial import Failure, Make, Shape, Tally, minimised, trial

BUDGET_SECONDS = 3.0
MAKES = {"on_embedded": partial(on_embedded, PORTS), "on_model": right}


class Counted:
    """Makes products and counts the rows that they hold in the end, by policy stage."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self.rows: Counter[str] = Counter()

    def __call__(self) -> Product:
        product = self._make()
        close = product.close

        def closing() -> None:
            desired = product.driver.tracker.desired
            for table in desired.tables():
                self.rows[table.partition(".")[0] if "." in table else "other tables"] += len(desired.rows(table))
            close()

        product.close = closing  # type: ignore[method-assign]
        return product


@pytest.mark.parametrize("name", MAKES)
def test_generated_host_endpoints(name: str, tmp_path: Path, told: list[str]) -> None:
    told.append(f"host endpoints {name}: CALICO_P4_SEED={SEED}")
    make = Counted(MAKES[name])
    tally, start = Tally(), time.monotonic()
    while tally.clusters < CLUSTERS if CLUSTERS else tally.clusters < 2 or time.monotonic() - start < BUDGET_SECONDS:
        try:
            trial(SEED + tally.clusters, make, Shape(play=HOSTS), tally, scratch=right)
        except Failure as failure:
            small = minimised(failure, MAKES[name], right, HOSTS)
            report(small, tmp_path)
            pytest.fail(f"{text_of(small)}\nfirst seen: {failure}", pytrace=False)
    told[-1] += f": {tally.clusters} clusters, {tally.flushes} flushes, {tally.packets} packets, 0 differences; rows {dict(make.rows)}"
    assert tally.packets >= (CLUSTERS or 2) * 6 * 50


@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate), suppress_health_check=[HealthCheck.large_base_example])
def test_drawn_host_endpoints(rng: Random) -> None:
    """The same, driven by hypothesis. Even the smallest example is a whole cluster."""
    try:
        trial(0, right, Shape(flushes=3, packets=20, changes=2, play=HOSTS), Tally(), scratch=right, rng=rng)
    except Failure as failure:
        pytest.fail(text_of(minimised(failure, right, right, HOSTS)), pytrace=False)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str) -> None:
    failure, tally = mutants.caught(MUTANTS[name], play=HOSTS)
    assert failure is not None, f"{tally.packets} packets over {tally.clusters} clusters, and nothing was noticed"
    assert not failure.found[0].startswith(("KeyError", "TypeError", "AttributeError")), f"the mutant does not even run: {failure}"
