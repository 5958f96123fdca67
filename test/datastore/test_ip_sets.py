"""IP sets: content and net change, checked against a plain model over random sequences of operations."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.dirty import MemberDelta
from datastore.ip_sets import IPSet, IPSets

IDS = st.sampled_from(["s:a", "s:b"])
MEMBERS = st.lists(st.sampled_from([f"10.0.0.{i}/32" for i in range(6)]), unique=True, max_size=6)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), IDS, st.sampled_from([1, 2]), MEMBERS),
        st.tuples(st.just("add"), IDS, MEMBERS),
        st.tuples(st.just("discard"), IDS, MEMBERS),
        st.tuples(st.just("remove"), IDS),
        st.tuples(st.just("take")),
    ),
    max_size=30,
)


def apply(sets: IPSets, model: dict[str, tuple[int, set[str]]], operation: tuple[Any, ...]) -> None:
    """Do one operation to the sets and to the model, and compare what the operation says of itself."""
    match operation:
        case "replace", id, type, members:
            sets.replace(id, type, members)
            model[id] = (type, set(members))
        case "add", id, members if id in model:
            assert sets.add_members(id, members) == len(set(members) - model[id][1])
            model[id][1].update(members)
        case "discard", id, members if id in model:
            assert sets.remove_members(id, members) == len(set(members) & model[id][1])
            model[id][1].difference_update(members)
        case "remove", id:
            assert sets.remove(id) == (model.pop(id, None) is not None)


@given(OPERATIONS)
def test_changes_taken_rebuild_the_sets_and_are_net(operations: list[tuple[Any, ...]]) -> None:
    sets, model, mirror = IPSets(), dict[str, tuple[int, set[str]]](), dict[str, tuple[int, set[str]]]()
    for operation in [*operations, ("take",)]:
        if operation == ("take",):
            check_taken(sets, mirror)
            assert mirror == model
        apply(sets, model, operation)
        assert {id: (each.type, each.members) for id, each in sets.items()} == model


def check_taken(sets: IPSets, mirror: dict[str, tuple[int, set[str]]]) -> None:
    """Apply the dirty sets to the mirror; each must really differ, and each delta must hold nothing but differences."""
    for id, delta in sets.take_dirty().items():
        old_type, old = mirror.pop(id, (None, set()))
        now = sets.get(id)
        assert now is not None or old_type is not None
        assert (now and now.type, now and now.members) != (old_type, old)
        assert delta.removed <= old
        if now is None:
            assert delta == MemberDelta(set(), old)
            continue
        if now.type == old_type or old_type is None:
            assert not delta.added & old
            assert not delta.added & delta.removed
        mirror[id] = (now.type, (old - delta.removed) | delta.added)
    assert sets.take_dirty() == {}


def started(*members: str) -> IPSets:
    """Return sets with one, s:a, that was taken note of."""
    sets = IPSets()
    sets.replace("s:a", 2, members)
    sets.take_dirty()
    return sets


def test_a_set_removed_and_added_again_gives_the_net_change() -> None:
    sets = started("a", "b", "c")
    sets.remove("s:a")
    sets.replace("s:a", 2, ["b", "c", "d"])
    assert sets.take_dirty() == {"s:a": MemberDelta({"d"}, {"a"})}


@pytest.mark.parametrize("between", [lambda sets: None, lambda sets: sets.remove("s:a"), lambda sets: sets.replace("s:a", 2, [])])
def test_there_and_back_again_is_no_change(between: Any) -> None:
    sets = started("a", "b")
    between(sets)
    sets.replace("s:a", 2, ["b", "a"])
    assert sets.take_dirty() == {}


def test_a_set_that_came_and_went_is_no_change() -> None:
    sets = IPSets()
    sets.replace("s:a", 2, ["a"])
    sets.remove("s:a")
    assert sets.take_dirty() == {}


def test_new_and_gone_empty_sets_are_changes() -> None:
    sets = started()
    sets.replace("s:b", 2, [])
    sets.remove("s:a")
    assert sets.take_dirty() == {"s:a": MemberDelta(set(), set()), "s:b": MemberDelta(set(), set())}


def test_a_change_of_type_changes_every_member() -> None:
    sets = started("a", "b")
    sets.replace("s:a", 1, ["b", "c"])
    assert sets.take_dirty() == {"s:a": MemberDelta({"b", "c"}, {"a", "b"})}


def test_what_was_taken_is_the_callers() -> None:
    sets = IPSets()
    sets.replace("s:a", 2, ["a"])
    taken = sets.take_dirty()
    sets.add_members("s:a", ["b"])
    assert taken == {"s:a": MemberDelta({"a"}, set())}


def test_memory_of_a_member_while_a_snapshot_arrives() -> None:
    """A set of CIDRs as text, change tracking included, takes at most 150 bytes a member."""
    sets, number = IPSets(), 50_000
    sets.replace("s:a", 2, [])
    sets.add_members("s:a", tuple(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32" for i in range(number)))
    assert not sets._changes
    size = sys.getsizeof(sets["s:a"].members) + sum(map(sys.getsizeof, sets["s:a"].members))
    assert size / number < 150


def test_sets_compare_by_content() -> None:
    assert IPSet(2, ["a", "b"]) == IPSet(2, ["b", "a"]) != IPSet(1, ["a", "b"])
    with pytest.raises(TypeError):
        hash(IPSet(2, []))
