"""The tracker, with strings for tables, keys and values."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from datastore.tracker import Op, Tracker


def test_what_is_wanted_is_pending_until_confirmed():
    tracker = Tracker()
    tracker.desired.apply([("t", "k", "v")])
    (op,) = tracker.pending()
    assert op == Op("insert", "t", "k", "v")
    tracker.confirm(op)
    assert (list(tracker.pending()), tracker.actual.get("t", "k"), tracker.actual.count("t")) == ([], "v", 1)


def test_insert_modify_delete_are_told_from_what_is_there():
    tracker = Tracker()
    tracker.actual.replace("t", {"same": "1", "other": "1", "stale": "1"})
    tracker.desired.apply([("t", "same", "1"), ("t", "other", "2"), ("t", "new", "3")])
    assert sorted(tracker.pending()) == [
        Op("delete", "t", "stale", None), Op("insert", "t", "new", "3"), Op("modify", "t", "other", "2"),
    ]  # fmt: skip


def test_a_change_and_its_revert_leave_nothing_to_write():
    tracker = Tracker()
    tracker.desired.apply([("t", "k", "v")])
    tracker.confirm(Op("insert", "t", "k", "v"))
    tracker.desired.apply([("t", "k", None)])
    assert [op.kind for op in tracker.pending()] == ["delete"]
    tracker.desired.apply([("t", "k", "v")])
    assert tracker.pending_count() == 0
    tracker.desired.apply([("t", "new", "v")])
    tracker.desired.apply([("t", "new", None)])
    assert tracker.pending_count() == 0


def test_values_are_compared_by_content():
    tracker = Tracker()
    tracker.actual.replace("t", {(1, 2): ("send", 10**6)})
    tracker.desired.apply([("t", (1, int("2")), ("send", int("1000000")))])
    assert list(tracker.pending()) == []


def test_a_change_while_a_write_is_under_way_stays_pending():
    tracker = Tracker()
    tracker.desired.apply([("t", "k", "old")])
    (op,) = tracker.pending()
    tracker.desired.apply([("t", "k", "new")])
    tracker.confirm(op)
    assert list(tracker.pending()) == [Op("modify", "t", "k", "new")]


def test_a_refused_write_stays_pending_with_its_error():
    tracker = Tracker()
    tracker.desired.apply([("t", "k", "v")])
    (op,) = tracker.pending()
    tracker.fail(op, "table full")
    assert dict(tracker.errors()) == {("t", "k"): "table full"}
    assert list(tracker.pending()) == [op]
    tracker.confirm(op)
    assert not tracker.errors()


def test_an_error_goes_when_the_row_is_no_longer_wanted_or_turns_out_to_be_there():
    tracker = Tracker()
    tracker.desired.apply([("t", "a", "v"), ("t", "b", "v"), ("t", "c", "v")])
    for op in list(tracker.pending()):
        tracker.fail(op, "no")
    tracker.desired.apply([("t", "a", None)])
    tracker.actual.replace("t", {"b": "v"})
    assert dict(tracker.errors()) == {("t", "c"): "no"}


def test_pending_op_of_one_key():
    tracker = Tracker()
    tracker.desired.apply([("t", "k", "v")])
    assert tracker.pending_op("t", "k") == Op("insert", "t", "k", "v")
    assert (tracker.pending_op("t", "x"), tracker.pending_op("u", "k")) == (None, None)


def test_apply_tells_the_keys_it_touched():
    assert Tracker().desired.apply(iter([("t", "k", "v"), ("u", "l", None)])) == [("t", "k"), ("u", "l")]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from([None, "1", "2"])),
        st.tuples(st.just("push"), st.integers(0, 3)),
        st.tuples(st.just("send"), st.integers(0, 3)),
        st.tuples(st.just("read"), st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"))),
    )
)


@given(STEPS)
def test_against_two_plain_dictionaries(steps: list[tuple]):
    tracker, wanted, there = Tracker(), {}, {}
    sent: list[Op] = []  # and not confirmed yet, while other things happen
    for step in steps:
        if step[0] == "want":
            tracker.desired.apply([step[1:]])
            wanted = {**wanted, step[1:3]: step[3]}
        elif step[0] == "push":
            for op in list(tracker.pending())[: step[1]]:
                there[op.table, op.key] = op.value
                tracker.confirm(op)
        elif step[0] == "send":
            there |= {(op.table, op.key): op.value for op in sent}
            tracker.confirm_all(sent)
            sent = list(tracker.pending())[: step[1]]
        else:
            tracker.actual.replace(step[1], step[2])
            there = {of: value for of, value in there.items() if of[0] != step[1]}
            there |= {(step[1], key): value for key, value in step[2].items()}
        wanted = {of: value for of, value in wanted.items() if value is not None}
        there = {of: value for of, value in there.items() if value is not None}
        check(tracker, wanted, there)


def check(tracker: Tracker, wanted: dict, there: dict) -> None:
    expected = {
        Op("delete" if of not in wanted else "modify" if of in there else "insert", *of, wanted.get(of))
        for of in wanted.keys() | there.keys()
        if wanted.get(of) != there.get(of)
    }
    assert set(tracker.pending()) == expected
    assert tracker.pending_count() == len(expected)
    for table in "ab":
        rows = {key: value for (name, key), value in there.items() if name == table}
        assert tracker.actual.rows(table) == rows
        assert tracker.actual.count(table) == len(rows)


def test_a_snapshot_once_confirmed_leaves_no_room_behind():
    tracker = Tracker()
    tracker.desired.apply(("t", n, "v") for n in range(10_000))
    for op in list(tracker.pending()):
        tracker.confirm(op)
    assert sys.getsizeof(tracker._tables["t"].differs) < 1000
