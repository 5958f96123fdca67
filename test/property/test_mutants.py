"""Deliberately wrong translators: a suite that lets one pass is no judge."""

import pytest

from test.support.mutants import MUTANTS, caught
from test.support.product import on_model
from test.support.trial import Shape, Tally, trial


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str) -> None:
    failure, tally = caught(MUTANTS[name])
    assert failure is not None, f"{tally.packets} packets over {tally.clusters} clusters, and nothing was noticed"
    assert not failure.found[0].startswith(("KeyError", "TypeError", "AttributeError")), f"the mutant does not even run: {failure}"


def test_the_right_translator_is_not() -> None:
    for seed in range(5):
        trial(seed, on_model, Shape(), Tally())


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
