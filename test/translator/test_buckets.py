"""Buckets counted: how even the shares are, how much a change of one backend moves, and that nothing else matters."""

import os
import random
from collections import Counter
from fractions import Fraction
from itertools import chain
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_p4.rows import TABLES
from translator.buckets import BOUND, IN_ROW, _cells, buckets, size
from translator.service_choice import Backend

SEEDS = int(os.environ.get("CALICO_P4_BUCKET_SEEDS", "2"))
"""Sets of backends that are tried of each number."""
BACKENDS = st.builds(Backend, st.integers(0, (1 << 129) - 1), st.integers(1, 65535))


def drawn(number: int, seed: int = 0) -> list[Backend]:
    rng = random.Random(f"{number} {seed}")
    return [Backend(rng.getrandbits(32), 8080) for _ in range(number)]


def uneven(assigned: tuple[Backend, ...]) -> Fraction:
    """The largest deviation of a share from an even one, as a part of that."""
    shares = Counter(assigned)
    return max(abs(Fraction(share * len(shares), len(assigned)) - 1) for share in shares.values())


def moved(one: tuple[Backend, ...], other: tuple[Backend, ...]) -> Fraction:
    """The part of all hashes whose backend differs."""
    whole = max(len(one), len(other))
    return Fraction(sum(one[place % len(one)] != other[place % len(other)] for place in range(whole)), whole)


@pytest.mark.parametrize("number", [*range(1, 65), *range(65, 86, 5), *range(86, 201, 19)])
def test_shares_are_even(number: int):
    assigned = buckets(drawn(number))
    assert IN_ROW <= len(assigned) == size(number) <= BOUND and len(assigned) & (len(assigned) - 1) == 0
    assert set(assigned) == set(drawn(number))
    a_bucket = Fraction(number, len(assigned))
    assert uneven(assigned) <= (Fraction(7, 100) if number <= 64 else Fraction(7, 100) + Fraction(number - 64, 300) + a_bucket)


def times_its_share(number: int, tried: int = 2, seed: int = 0) -> list[float]:
    """How many times its share is moved when one of so many backends goes, or comes; for some of them."""
    backends = drawn(number, seed)
    whole = buckets(backends)
    return [float(moved(buckets([each for each in backends if each != one]), whole) * number) for one in backends[:tried]]


@pytest.mark.parametrize(("numbers", "average"), [(range(2, 11), 1.5), (range(11, 31), 1.9), (range(31, 65), 1.7), (range(65, 201, 9), 1.65)])
def test_a_change_of_one_moves_less_than_twice_its_share_whether_the_table_grows_or_not(numbers: range, average: float):
    found = {number: [*chain.from_iterable(times_its_share(number, 2, seed) for seed in range(SEEDS))] for number in numbers}
    assert fmean(chain.from_iterable(found.values())) <= average, found
    assert max(map(fmean, found.values())) <= 2.05 and max(chain.from_iterable(found.values())) <= 2.35, found


@pytest.mark.parametrize("number", [number for number in range(3, 201) if size(number) != size(number - 1)])
def test_growing_moves_no_more(number: int):
    assert fmean(chain.from_iterable(times_its_share(number, 2, seed) for seed in range(2 * SEEDS))) <= 2.0


def test_a_table_that_grew_has_the_old_cells_but_for_some():
    for number in range(3, 90):
        before, after = ({bucket: cell for cell, members in _cells(each).items() for bucket in members} for each in (number - 1, number))
        changed = sum(before[bucket % len(before)] != cell for bucket, cell in after.items())
        assert number == 3 or changed <= len(after) / 12, number


@given(st.lists(BACKENDS, max_size=40, unique=True), st.randoms(use_true_random=False))
def test_only_the_set_of_backends_matters(backends: list[Backend], rng: random.Random):
    other = [*backends, *backends[:3]]
    rng.shuffle(other)
    assert buckets(other) == buckets(backends) and set(buckets(backends)) == set(backends)


@pytest.mark.parametrize(("most", "groups"), [(2, 1048576), (5, 32768), (10, 4096), (20, 2048), (85, 1024), (200, 512)])
def test_so_many_groups_find_room(most: int, groups: int):
    assert {TABLES[f"backend_{family}"].size // (size(most) // IN_ROW) for family in ("v4", "v6")} == {groups}


def test_more_backends_than_the_bound():
    assigned = buckets(drawn(5000))
    assert len(assigned) == 8192 and set(Counter(assigned).values()) <= {1, 2, 3} and len(set(assigned)) == 5000


def test_more_backends_than_there_can_be_buckets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("translator.buckets.MOST", BOUND)
    assigned = buckets(drawn(BOUND + 500))
    assert len(assigned) == len(set(assigned)) == BOUND
