"""Buckets counted: how even the shares are, how much a change of one backend moves, and that nothing else matters."""

import random
from collections import Counter
from fractions import Fraction
from itertools import chain
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_p4.rows import TABLES
from translator.buckets import BOUND, _cells, buckets, size
from translator.service_choice import Backend

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
    assert len(assigned) == size(number) <= BOUND and len(assigned) & (len(assigned) - 1) == 0
    assert set(assigned) == set(drawn(number))
    a_bucket = Fraction(number, len(assigned))
    assert uneven(assigned) <= (Fraction(7, 100) if number <= 64 else Fraction(7, 100) + Fraction(number - 64, 200) + a_bucket)


def times_its_share(number: int, tried: int = 2, seed: int = 0) -> list[float]:
    """How many times its share is moved when one of so many backends goes, or comes; for some of them."""
    backends = drawn(number, seed)
    whole = buckets(backends)
    return [float(moved(buckets([each for each in backends if each != one]), whole) * number) for one in backends[:tried]]


@pytest.mark.parametrize("numbers", [range(2, 17), range(17, 33), range(33, 65), range(65, 201, 15)])
def test_a_change_of_one_moves_about_twice_its_share_whether_the_table_grows_or_not(numbers: range):
    found = {number: times_its_share(number) for number in numbers}
    assert fmean(chain.from_iterable(found.values())) <= 2.1, found
    assert max(map(fmean, found.values())) <= 2.8 and max(chain.from_iterable(found.values())) <= 3.3, found


@pytest.mark.parametrize("number", [number for number in range(3, 201) if size(number) != size(number - 1)])
def test_growing_moves_no_more(number: int):
    assert fmean(chain.from_iterable(times_its_share(number, 2, seed) for seed in range(4))) <= 2.5


def test_a_table_that_grew_has_the_old_cells_but_for_some():
    for number in range(3, 90):
        before, after = ({bucket: cell for cell, members in _cells(each).items() for bucket in members} for each in (number - 1, number))
        changed = sum(before[bucket % len(before)] != cell for bucket, cell in after.items())
        assert number == 3 or changed <= len(after) / 5


@given(st.lists(BACKENDS, max_size=40, unique=True), st.randoms(use_true_random=False))
def test_only_the_set_of_backends_matters(backends: list[Backend], rng: random.Random):
    other = [*backends, *backends[:3]]
    rng.shuffle(other)
    assert buckets(other) == buckets(backends) and set(buckets(backends)) == set(backends)


@pytest.mark.parametrize(("most", "groups"), [(5, 16384), (10, 4096), (42, 1024), (85, 512), (200, 256)])
def test_so_many_groups_find_room(most: int, groups: int):
    assert {TABLES[f"backend_{family}"].size // size(most) for family in ("v4", "v6")} == {groups}


def test_more_backends_than_the_bound():
    assigned = buckets(drawn(5000))
    assert len(assigned) == 8192 and set(Counter(assigned).values()) <= {1, 2, 3} and len(set(assigned)) == 5000
