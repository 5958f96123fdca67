"""The match structures against a list searched by hand."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_p4.target.match import Exact, Lpm, Match, Ternary

WIDTH = 8
Rows = dict[Any, tuple[Any, ...]]
small = st.integers(0, 7)


def entry(number: int, priority: int = 0) -> tuple[Any, ...]:
    return (None, (), number, priority, None, None)


def apply(match: Match, changes: list[tuple[bool, Any]], priority_of: Callable[[Any], int] = lambda _: 0) -> Rows:
    """Puts and removes; returns what must be there."""
    rows: Rows = {}
    for number, (put, identity) in enumerate(changes):
        if put:
            rows[identity] = entry(number, priority_of(identity))
            match.put(identity, rows[identity])
        elif identity in rows:
            del rows[identity]
            match.remove(identity)
        assert len(match) == len(rows)
    assert dict(match.items()) == rows
    assert all(match.get(identity) == row for identity, row in rows.items())
    return rows


@given(st.lists(st.tuples(st.booleans(), small)), small)
def test_exact(changes: list[tuple[bool, int]], key: int) -> None:
    match = Exact()
    assert apply(match, changes).get(key) == match.lookup(key)


@st.composite
def prefixes(draw: st.DrawFn) -> tuple[int, int]:
    """(length, key shifted), with two exact bits before the prefix."""
    length = draw(st.integers(0, WIDTH))
    return length, draw(st.integers(0, 3)) << length | draw(st.integers(0, (1 << length) - 1))


@given(st.lists(st.tuples(st.booleans(), prefixes()), max_size=40), st.integers(0, 1023))
def test_the_longest_prefix_wins_among_those_of_the_same_exact_fields(changes: list[tuple[bool, Any]], key: int) -> None:
    match = Lpm(WIDTH)
    rows = apply(match, changes)
    covering = [(length, row) for (length, shifted), row in rows.items() if key >> (WIDTH - length) == shifted]
    best = max(covering, key=lambda pair: pair[0])[1] if covering else None
    assert match.lookup(key) == best


@st.composite
def masked(draw: st.DrawFn) -> tuple[int, int, int]:
    """(value, mask, priority) over two fields of four bits; the first often fully masked."""
    mask = draw(st.sampled_from([0xF0, 0xF0, 0xFF, 0xF3, 0x00, 0x3F, 0x0C]))
    return draw(st.integers(0, 255)) & mask, mask, draw(st.integers(1, 1000))


@given(st.lists(st.tuples(st.booleans(), masked()), max_size=150), st.lists(st.integers(0, 255), min_size=1, max_size=5))
def test_the_largest_priority_wins_however_the_rows_came(changes: list[tuple[bool, Any]], keys: list[int]) -> None:
    match = Ternary(4, 0xF)
    rows = apply(match, changes, lambda identity: int(identity[2]))
    for key in keys:
        hits = [row for (value, mask, _), row in rows.items() if key & mask == value]
        found = match.lookup(key)
        assert (found[3] if found else 0) == max((row[3] for row in hits), default=0)
        assert found is None or found in hits


def test_many_rows_of_one_first_field_are_found_by_mask() -> None:
    """Above a bound one dict per mask takes over; the answers stay the same."""
    random_source = random.Random(1)
    match = Ternary(16, 0xFF)
    rows: Rows = {}
    for priority in range(1, 400):
        mask = 0xFF0000 | random_source.choice([0xFFFF, 0xFFF0, 0xFF00, 0x00FF, 0])
        rows[(0x110000 | random_source.randrange(1 << 16)) & mask, mask, priority] = entry(priority, priority)
    for identity, row in rows.items():
        match.put(identity, row)
    for _ in range(2000):
        key = 0x110000 | random_source.randrange(1 << 16)
        best = max((row for (value, mask, _), row in rows.items() if key & mask == value), key=lambda row: row[3])
        assert match.lookup(key) == best
    assert match.lookup(0x120000) is None


def test_equal_priorities_do_not_depend_on_the_order_of_arrival() -> None:
    rows = [((0x00, 0xF0, 5), entry(1, 5)), ((0x01, 0x0F, 5), entry(2, 5)), ((0x00, 0x0E, 5), entry(3, 5))]
    answers = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        match = Ternary(4, 0xF)
        for at in order:
            match.put(*rows[at])
        answers.add(match.lookup(0x01))
    assert len(answers) == 1


@pytest.mark.parametrize("match", [Exact(), Lpm(8), Ternary(4, 0xF)])
def test_clear(match: Match) -> None:
    identity: Any = {Exact: 1, Lpm: (8, 1), Ternary: (1, 0xFF, 1)}[type(match)]
    match.put(identity, entry(1, 1))
    assert match.lookup(1)
    match.clear()
    assert match.lookup(1) is None and len(match) == 0 and list(match.items()) == []
