"""Order and push, with a target that is a dictionary and refuses what it is told to."""

from collections.abc import Callable, Sequence
from itertools import cycle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_p4.order import ORDER, level
from calico_p4.p4runtime.errors import RequestRefused, TargetLost
from calico_p4.push import WHOLE_REFUSALS, Meanwhile, Pusher
from datastore.tracker import Op, Tracker

RULES, PEER, SELF, BINDING = "egress.rules", "egress.peer_class", "egress.self_class", "egress.binding"
HOST = "dst_identity_host_v4"


class Switch:
    """Rows by (table, key), the Writes in order, and a rule for what to refuse."""

    def __init__(self, refuse: Callable[[Op], bool] = lambda op: False) -> None:
        self.rows: dict = {}
        self.writes: list[list[Op]] = []
        self.refuse = refuse
        self._moment = cycle(("before", "after", "never"))

    def __call__(self, ops: Sequence[Op], encoded: Sequence[Op], meanwhile: Meanwhile | None) -> list[str | None]:
        """Carry a Write out, before or after what is to be done meanwhile."""
        assert ops and ops == encoded
        moment = next(self._moment) if meanwhile else "never"
        if moment == "before":
            meanwhile()
        results = self.carry_out(ops)
        if moment == "after":
            meanwhile()
        return results

    def carry_out(self, ops: Sequence[Op]) -> list[str | None]:
        self.writes.append(list(ops))
        return [self._one(op) for op in ops]

    def _one(self, op: Op) -> str | None:
        if self.refuse(op):
            return "RESOURCE_EXHAUSTED: full"
        assert (op.kind == "insert") == ((op.table, op.key) not in self.rows)
        if op.value is None:
            del self.rows[op.table, op.key]
        else:
            self.rows[op.table, op.key] = op.value
        return None

    @property
    def bound(self) -> set[int]:
        return {key[0] for table, key in self.rows if table == BINDING}


def make(refuse: Callable[[Op], bool] = lambda op: False, batch: int = 1000) -> tuple[Tracker, Switch, Pusher]:
    tracker, switch = Tracker(), Switch(refuse)
    return tracker, switch, Pusher(tracker, switch, batch=batch)


def rule(number: int, priority: int = 1) -> tuple:
    """The key of a rule row: ternary list, the rest shortened, priority."""
    return ((number, 0xFFFFFFFF), priority)


def endpoint(number: int, rules: int) -> list:
    """An endpoint with a chain, variant and list of its own, and one exception for identity 7."""
    return [
        (BINDING, (number,), ("bind", number, number, rules)),
        (PEER, (number, 7), ("set_list", rules + 1)),
        (RULES, rule(rules), ("allow", 1)),
        (RULES, rule(rules + 1), ("deny", 2)),
    ]


def test_what_is_referred_to_goes_first_and_deletes_go_the_other_way():
    tracker, switch, pusher = make()
    rows = [*endpoint(1, 10), ("port", (3,), ("workload", 1, 0)), ("local_v4", (9,), ("to_workload", 1, 1)), ("next_hop", (1,), ("send",))]
    pusher.push(tracker.desired.apply(rows))
    assert [sorted({op.table for op in ops}) for ops in switch.writes] == [[RULES], [PEER], [BINDING], ["next_hop"], ["local_v4"], ["port"]]
    switch.writes.clear()
    pusher.push(tracker.desired.apply([(table, key, None) for table, key, _ in rows]))
    assert [sorted({op.table for op in ops}) for ops in switch.writes] == [["port"], ["local_v4"], ["next_hop"], [BINDING], [PEER], [RULES]]
    assert not switch.rows


def test_deletes_come_after_all_inserts_and_modifies():
    worst_write = max(level(table, kind) for line in ORDER for table in line.tables for kind in ("insert", "modify"))
    assert worst_write < min(level(table, "delete") for line in ORDER for table in line.tables)


def test_every_line_has_a_reason_and_no_table_two_lines():
    tables = [table for line in ORDER for table in line.tables]
    assert len(tables) == len(set(tables)) and all(len(line.reason) > 20 for line in ORDER)
    with pytest.raises(KeyError):
        level("no_such_table", "insert")


def test_batches_and_counts():
    tracker, switch, pusher = make(batch=10)
    pusher.push(tracker.desired.apply((RULES, rule(1, n), ("allow", n)) for n in range(25)))
    assert [len(ops) for ops in switch.writes] == [10, 10, 5]
    pusher.push(tracker.desired.apply([(RULES, rule(1, 0), ("deny", 1)), (RULES, rule(1, 1), None), (RULES, rule(1, 2), ("allow", 2))]))
    assert pusher.writes.as_dict() == {"requests": 5, "inserted": 25, "modified": 1, "deleted": 1}


def test_a_key_touched_twice_is_written_once():
    tracker, switch, pusher = make()
    pusher.push(tracker.desired.apply([(RULES, rule(1, 0), ("allow", 1)), (RULES, rule(1, 0), ("deny", 1))]))
    assert switch.writes == [[Op("insert", RULES, rule(1, 0), ("deny", 1))]]


def test_a_refused_rule_closes_the_endpoints_of_its_list_and_no_other():
    tracker, switch, pusher = make(lambda op: op.table == RULES and op.key[0][0] == 11)
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *endpoint(2, 20)]))
    assert switch.bound == {2}
    assert pusher.closed == {(BINDING, (1,))}
    assert list(tracker.errors().values()) == ["RESOURCE_EXHAUSTED: full"]


def test_an_endpoint_that_was_open_is_closed_when_its_edit_is_refused_and_opens_when_the_edit_gets_through():
    tracker, switch, pusher = make()
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    switch.refuse = lambda op: op.table == RULES and op.key[0][0] == 30
    pusher.push(tracker.desired.apply([(RULES, rule(30), ("deny", 9)), (BINDING, (1,), ("bind", 1, 1, 30))]))
    assert switch.bound == set()
    switch.refuse = lambda op: False
    pusher.push_all()
    assert switch.rows[BINDING, (1,)] == ("bind", 1, 1, 30) and not pusher.closed and not tracker.errors()
    assert tracker.pending_count() == 0


def test_an_endpoint_that_comes_later_and_needs_a_refused_list_stays_closed():
    tracker, switch, pusher = make(lambda op: op.table == RULES and op.key[0][0] == 10)
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    pusher.push(tracker.desired.apply([(BINDING, (2,), ("bind", 1, 1, 10))]))
    assert switch.bound == set()


def test_an_intent_that_no_longer_needs_the_refused_row_opens_the_endpoint():
    tracker, switch, pusher = make(lambda op: op.table == RULES and op.key[0][0] == 11)
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    assert switch.bound == set()
    pusher.push(tracker.desired.apply([(PEER, (1, 7), None), (RULES, rule(11), None)]))
    pusher.reconsider()
    assert switch.bound == {1} and not pusher.closed


def test_a_number_that_was_refused_once_is_good_again_under_another_meaning():
    tracker, switch, pusher = make(lambda op: op.table == RULES and op.key[0][0] == 11)
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    pusher.push(tracker.desired.apply([(PEER, (1, 7), None), (RULES, rule(11), None)]))
    pusher.reconsider()
    switch.refuse = lambda op: False
    pusher.push(tracker.desired.apply([(RULES, rule(11, 5), ("allow", 4)), (BINDING, (2,), ("bind", 2, 2, 11))]))
    assert switch.bound == {1, 2}


def test_closing_everything_takes_the_bindings_of_both_stages_away():
    tracker, switch, pusher = make()
    pusher.push(tracker.desired.apply([*endpoint(1, 10), ("ingress.binding", (1,), ("bind", 1, 1, 10))]))
    pusher.close_all()
    assert not [table for table, _ in switch.rows if table.endswith("binding")] and len(switch.rows) == 3
    pusher.push_all()
    assert switch.bound == {1} and ("ingress.binding", (1,)) in switch.rows


def test_a_refused_identity_of_the_own_side_closes_the_chain_that_asks_for_it():
    tracker, switch, pusher = make(lambda op: op.table == "src_identity_host_v4")
    rows = [(SELF, (1, 3), ("set_variant", 5, 12)), (RULES, rule(12), ("allow", 1)), ("src_identity_host_v4", (99,), ("set_identity", 3))]
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *endpoint(2, 20), *rows]))
    assert switch.bound == {2}


def test_a_chain_is_closed_through_its_self_class():
    tracker, switch, pusher = make(lambda op: op.table == RULES and op.key[0][0] == 50)
    rows = [(SELF, (1, 3), ("set_variant", 5, 51)), (PEER, (5, 7), ("set_list", 50)), (RULES, rule(50), ("deny", 1))]
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *endpoint(2, 20), *rows]))
    assert switch.bound == {2}


@pytest.mark.parametrize("kind", ["insert", "modify", "delete"])
def test_a_refused_identity_closes_the_endpoints_that_ask_for_it(kind: str):
    tracker, switch, pusher = make()
    pusher.push(tracker.desired.apply([*endpoint(1, 10), (PEER, (2, 8), ("set_list", 20)), (BINDING, (2,), ("bind", 2, 2, 20))]))
    if kind != "insert":
        pusher.push(tracker.desired.apply([(HOST, (99,), ("set_identity", 7 if kind == "delete" else 3))]))
    switch.refuse = lambda op: op.table == HOST
    pusher.push(tracker.desired.apply([(HOST, (99,), None if kind == "delete" else ("set_identity", 7))]))
    assert switch.bound == {2}


def test_a_refused_host_identity_closes_those_who_ask_for_the_prefix_that_covers_it():
    tracker, switch, pusher = make(lambda op: op.table == HOST)
    address = 10 << 24 | 5
    rows = [("dst_identity_net_v4", ((10 << 24, 8),), ("set_identity", 7)), (HOST, (address,), ("set_identity", 9))]
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *rows]))
    assert switch.bound == set()


def test_a_refused_source_identity_closes_the_other_stage():
    tracker, switch, pusher = make(lambda op: op.table == "src_identity_host_v4")
    rows = [("ingress.binding", (1,), ("bind", 1, 1, 10)), ("ingress.peer_class", (1, 7), ("set_list", 11))]
    identity = ("src_identity_host_v4", (99,), ("set_identity", 7))
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *rows, identity]))
    assert switch.bound == {1} and ("ingress.binding", (1,)) not in switch.rows


def test_a_refused_binding_is_taken_away():
    tracker, switch, pusher = make()
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    switch.refuse = lambda op: op.table == BINDING and op.kind == "modify"
    pusher.push(tracker.desired.apply([(BINDING, (1,), ("bind", 1, 1, 11))]))
    assert switch.bound == set()


class Sound(Switch):
    """A switch that says ALREADY_EXISTS and NOT_FOUND as P4Runtime asks, can be read back, and refuses requests with a poisoned row as a whole."""

    poison: frozenset = frozenset()
    partly = False

    def carry_out(self, ops: Sequence[Op]) -> list[str | None]:
        if any((op.table, op.key) in self.poison for op in ops):
            if self.partly:
                super().carry_out([op for op in ops[: len(ops) // 2] if (op.table, op.key) not in self.poison])
            raise RequestRefused("Write: UNKNOWN")
        return super().carry_out(ops)

    def _one(self, op: Op) -> str | None:
        there = (op.table, op.key) in self.rows
        if there == (op.kind == "insert"):
            return "ALREADY_EXISTS: there" if there else "NOT_FOUND: not there"
        return super()._one(op)

    def read(self, table: str) -> dict:
        return {key: value for (name, key), value in self.rows.items() if name == table}


def sound(batch: int = 1000) -> tuple[Tracker, Sound, Pusher]:
    tracker, switch = Tracker(), Sound()
    return tracker, switch, Pusher(tracker, switch, read=switch.read, batch=batch)


def test_what_is_there_against_belief_is_looked_up_and_put_right():
    tracker, switch, pusher = sound()
    switch.rows = {(RULES, rule(10)): ("deny", 9), (PEER, (1, 7)): ("set_list", 11)}
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    assert switch.rows == {(table, key): value for table, key, value in endpoint(1, 10)}
    assert tracker.pending_count() == 0 and not tracker.errors() and pusher.closed == frozenset()


def test_what_is_gone_against_belief_is_looked_up_and_put_right():
    tracker, switch, pusher = sound()
    pusher.push(tracker.desired.apply(endpoint(1, 10)))
    del switch.rows[RULES, rule(10)], switch.rows[PEER, (1, 7)]
    pusher.push(tracker.desired.apply([(RULES, rule(10), ("deny", 1)), (PEER, (1, 7), None)]))
    assert switch.rows[RULES, rule(10)] == ("deny", 1) and tracker.pending_count() == 0 and switch.bound == {1}


@pytest.mark.parametrize("partly", [False, True])
def test_one_row_that_spoils_every_request_is_found_and_only_who_needs_it_is_closed(partly: bool):
    tracker, switch, pusher = sound()
    switch.poison, switch.partly = frozenset([(RULES, rule(30))]), partly
    pusher.push(tracker.desired.apply([row for number in range(1, 8) for row in endpoint(number, number * 10)]))
    assert list(tracker.errors()) == [(RULES, rule(30))] and switch.bound == {1, 2, 4, 5, 6, 7}
    switch.poison = frozenset()
    pusher.converge()
    assert switch.bound == set(range(1, 8)) and tracker.pending_count() == 0


def test_everything_at_once_goes_level_by_level():
    tracker, switch, pusher = sound()
    tracker.desired.apply([*endpoint(1, 10), *endpoint(2, 20)])
    pusher.push_all()
    levels = [level(op.table, op.kind) for batch in switch.writes for op in batch]
    assert levels == sorted(levels) and len(set(levels)) > 2


def test_a_target_that_refuses_every_request_is_given_up():
    tracker, switch, pusher = sound()
    rows = [(RULES, rule(number), ("allow", 1)) for number in range(200)]
    switch.poison = frozenset((table, key) for table, key, _ in rows)
    with pytest.raises(RequestRefused):
        pusher.push(tracker.desired.apply(rows))
    assert pusher.writes.requests <= WHOLE_REFUSALS + 1


def test_after_a_read_back_what_differs_is_closed_before_it_is_changed_and_opened_last():
    tracker, switch, pusher = sound()
    pusher.push(tracker.desired.apply([*endpoint(1, 10), *endpoint(2, 20)]))
    tracker.desired.apply([(RULES, rule(10), ("deny", 1))])
    switch.writes.clear()
    pusher.converge()
    kinds = [[(op.kind, op.table, op.key) for op in batch] for batch in switch.writes]
    assert kinds == [[("delete", BINDING, (1,))], [("modify", RULES, rule(10))], [("insert", BINDING, (1,))]]


@given(st.sets(st.integers(0, 30)), st.randoms())
def test_whatever_is_refused_no_bound_endpoint_lacks_a_row_it_needs(refused: set[int], random):
    rows = [row for number in range(1, 6) for row in endpoint(number, number * 10)]
    random.shuffle(rows)
    chosen = {(rows[n][0], rows[n][1]) for n in refused if n < len(rows)}
    tracker, switch, pusher = make(lambda op: (op.table, op.key) in chosen and op.kind != "delete", batch=3)
    pusher.push(tracker.desired.apply(rows))
    for number in range(1, 6):
        needed = {(table, key) for table, key, _ in endpoint(number, number * 10)}
        assert (number in switch.bound) == (not needed & chosen)
    switch.refuse = lambda op: False
    pusher.push_all()
    assert switch.bound == {1, 2, 3, 4, 5} and tracker.pending_count() == 0


def rules(count: int) -> list:
    return [(RULES, rule(1, n), ("allow", n)) for n in range(1, count + 1)]


class Slow(Switch):
    """A switch that notes what happens while it works; ``lost`` is the Write with which it goes away."""

    def __init__(self, lost: int = 0) -> None:
        super().__init__()
        self.events: list[tuple[str, int]] = []
        self.tracker, self._lost = Tracker(), lost

    def encode(self, ops: Sequence[Op]) -> Sequence[Op]:
        self.events.append(("made", len(ops)))
        return ops

    def __call__(self, ops: Sequence[Op], encoded: Sequence[Op], meanwhile: Meanwhile | None) -> list[str | None]:
        self.events.append(("sent", self.tracker.pending_count()))
        if meanwhile is not None:
            meanwhile()
        self.events.append(("answered", self.tracker.pending_count()))
        if len(self.writes) + 1 == self._lost:
            raise TargetLost("gone")
        return self.carry_out(ops)


def test_while_the_target_works_the_last_write_is_confirmed_and_the_next_one_made():
    switch = Slow()
    pusher = Pusher(switch.tracker, switch, batch=3, encode=switch.encode)
    pusher.push(switch.tracker.desired.apply([*rules(8), (PEER, (1, 1), ("set_list", 1))]))
    rule_writes = [("made", 3), ("sent", 9), ("made", 3), ("answered", 9), ("sent", 9), ("made", 2), ("answered", 6), ("sent", 6), ("answered", 3)]
    assert switch.events == [*rule_writes, ("made", 1), ("sent", 1), ("answered", 1)], "no level is begun before the last one is confirmed"
    assert switch.tracker.pending_count() == 0


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_was_carried_out_before_the_target_was_lost_is_known(lost: int):
    switch = Slow(lost)
    pusher = Pusher(switch.tracker, switch, batch=3, encode=switch.encode)
    with pytest.raises(TargetLost):
        pusher.push(switch.tracker.desired.apply(rules(9)))
    assert {(op.table, op.key) for op in switch.tracker.pending()} == {(table, key) for table, key, _ in rules(9)} - switch.rows.keys()
    assert pusher.writes.as_dict() == {"requests": lost, "inserted": len(switch.rows), "modified": 0, "deleted": 0}


def test_what_was_made_ahead_is_made_anew_when_the_target_holds_something_else():
    """Of three batches two are there already, by which the first Write is refused; and a row of the third is another one."""
    tracker, switch, pusher = sound(batch=3)
    switch.rows = {(table, key): value for table, key, value in rules(6)} | {(RULES, rule(1, 8)): ("deny", 1)}
    tracker.desired.apply(rules(9))
    pusher.push_all()
    assert [[op.kind for op in ops] for ops in switch.writes] == [["insert"] * 3, ["insert", "modify", "insert"]]
    assert switch.rows == {(table, key): value for table, key, value in rules(9)} and tracker.pending_count() == 0


def test_a_read_back_is_younger_than_what_was_carried_out_before():
    """A row of the first Write is gone when the second one is refused as a whole."""
    tracker, switch, pusher = sound(batch=2)
    switch.poison = frozenset([(RULES, rule(1, 3))])
    read = switch.read
    pusher._read = lambda table: (switch.rows.pop((RULES, rule(1, 1)), None), read(table))[1]
    pusher.push(tracker.desired.apply(rules(4)))
    assert {op.key for op in tracker.pending()} == {rule(1, 1), rule(1, 3)}


def test_closing_everything_deletes_what_is_wanted_though_a_write_is_refused():
    tracker, switch, pusher = sound(batch=2)
    bindings = [(BINDING, (n,), ("bind", 1, 1, 1)) for n in range(9)]
    pusher.push(tracker.desired.apply(bindings))
    del switch.rows[BINDING, (1,)], switch.rows[BINDING, (2,)]
    pusher.close_all()
    assert not switch.rows and tracker.pending_count() == 9


@given(st.integers(0, 1 << 32))
def test_whatever_goes_wrong_in_small_batches_the_target_ends_as_wanted(seed: int):
    """Rows that nobody knows of, requests refused as a whole, updates refused, the target lost: at last all goes well."""
    rng = Random(seed)
    rows = [row for number in range(1, 6) for row in endpoint(number, number * 10)] + rules(rng.randrange(12))
    tracker, switch, pusher = sound(batch=rng.randrange(1, 5))
    strange: set[tuple] = set()
    for _ in range(4):
        wanted = rng.sample(rows, rng.randrange(len(rows)))
        changes = [(table, key, None) for table, key in [(t, k) for t in tracker.desired.tables() for k in tracker.desired.rows(t)] if rng.random() < 0.3]
        for table, key, value in rng.sample(rows, rng.randrange(5)):
            strange.add((table, key))
            switch.rows.pop((table, key), None) if rng.random() < 0.5 else switch.rows.update({(table, key): (*value[:-1], 99)})
        switch.poison = frozenset((table, key) for table, key, _ in rng.sample(rows, rng.randrange(3)))
        switch.partly = rng.random() < 0.5
        refused = rng.sample(rows, rng.randrange(3))
        switch.refuse = lambda op, refused=refused: op.kind != "delete" and (op.table, op.key) in [row[:2] for row in refused]
        pusher.push(tracker.desired.apply([*changes, *wanted]))
        assert all(tracker.actual.get(*row[:2]) == switch.rows.get(row[:2]) for row in rows if row[:2] not in strange)
    switch.poison, switch.refuse = frozenset(), lambda op: False
    for table in {table for table, _ in switch.rows} | set(tracker.desired.tables()):
        tracker.actual.replace(table, switch.read(table))
    pusher.converge()
    wanted = {(table, key): value for table in tracker.desired.tables() for key, value in tracker.desired.rows(table).items()}
    assert switch.rows == wanted and not tracker.pending_count() and not pusher.closed
