"""Buckets counted: how even the shares are, how much a change of one backend moves, and that nothing else matters."""

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.buckets import BOUND, buckets, size
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


@pytest.mark.parametrize("number", range(1, 201))
def test_shares_are_even(number: int):
    assigned = buckets(drawn(number))
    assert len(assigned) == size(number) <= BOUND and len(assigned) & (len(assigned) - 1) == 0
    assert set(assigned) == set(drawn(number))
    assert uneven(assigned) <= (Fraction(7, 100) if number <= 64 else Fraction(9, 100))


def times_its_share(number: int, seed: int = 0) -> float:
    """How many times its share is moved when one of so many backends goes, or comes; on the average of all of them."""
    backends = drawn(number, seed)
    whole = buckets(backends)
    without = (moved(buckets([each for each in backends if each != one]), whole) for one in backends[:16])
    return float(sum(without) * number / min(number, 16))


@pytest.mark.parametrize(("numbers", "bound"), [(range(2, 17), 2.5), (range(17, 33), 3.5), (range(33, 65), 7.0)])
def test_a_change_of_one_moves_little_whether_the_table_grows_or_not(numbers: range, bound: float):
    found = {number: times_its_share(number) for number in numbers}
    assert max(found.values()) <= bound, found


@pytest.mark.parametrize("number", [number for number in range(4, 65) if size(number) != size(number - 1)])
def test_growing_is_no_worse_than_a_change_without_it(number: int):
    assert times_its_share(number) <= 1.5 * max(times_its_share(number - 1), times_its_share(number + 1))


@given(st.lists(BACKENDS, max_size=40, unique=True), st.randoms(use_true_random=False))
def test_only_the_set_of_backends_matters(backends: list[Backend], rng: random.Random):
    other = [*backends, *backends[:3]]
    rng.shuffle(other)
    assert buckets(other) == buckets(backends) and set(buckets(backends)) == set(backends)


def test_more_backends_than_the_bound():
    assigned = buckets(drawn(5000))
    assert len(assigned) == 8192 and set(Counter(assigned).values()) <= {1, 2} and len(set(assigned)) == 5000
