"""Rule lists: chains that differ only in what every packet passes first share their rows, and nothing of the paths is lost."""

from __future__ import annotations

from typing import Any

from datastore.allocator import Allocator
from felix_proto.types import PortRange, Rule, TierInfo
from test.support.policy_state import State, endpoint, net_set, policy, policy_id, profile
from translator import rule_lists
from translator.composition import Row
from translator.l4 import EVERYTHING
from translator.rule_lists import RuleLists, passed_by_all
from translator.rules import Ref
from translator.slots import FIRST_OF_STAGE, OWN, OWN_BITS


def ref(name: str, action: Any = "allow") -> Ref:
    return Ref("policy", "ingress", action, policy_id(name), "default", 0)


FIRST, SECOND, ALLOWS, DENIES = ref("first", "pass"), ref("second", "log"), ref("allows"), ref("denies", "deny")


def rows(*paths: tuple[Ref, ...]) -> tuple[Row, ...]:
    return tuple(Row(EVERYTHING, path[-1].action == "allow", path) for path in paths)


def lists() -> RuleLists:
    return RuleLists("ingress", Allocator(None))


def test_what_all_rows_passed() -> None:
    assert passed_by_all(rows((ALLOWS,), (DENIES,))) == ()
    assert passed_by_all(rows((FIRST, ALLOWS), (FIRST, SECOND, DENIES))) == (FIRST,)
    assert passed_by_all(rows((FIRST, SECOND, ALLOWS), (FIRST, SECOND, DENIES))) == (FIRST, SECOND)
    assert passed_by_all(rows((FIRST, ALLOWS), (DENIES,))) == ()
    assert passed_by_all(rows((FIRST, SECOND, ALLOWS), (SECOND, FIRST, DENIES))) == ()
    assert passed_by_all(rows((FIRST, SECOND))) == (FIRST,), "what decides was not passed"


def test_lists_that_differ_in_what_was_passed_share_their_rows() -> None:
    made, changes = lists(), []
    plain = made.get(rows((ALLOWS,), (DENIES,)), changes)
    written = len(changes)
    after = made.get(rows((FIRST, ALLOWS), (FIRST, DENIES)), changes)
    later = made.get(rows((FIRST, SECOND, ALLOWS), (FIRST, SECOND, DENIES)), changes)
    assert len(changes) == written
    assert len({plain.id, after.id, later.id}) == 3 == len({plain.meaning, after.meaning, later.meaning})
    assert {each.id & OWN for each in (plain, after, later)} == {plain.id}
    assert {key[0] for _, key, _ in changes} == {(plain.id, OWN)}


def test_a_slot_tells_what_was_passed_and_what_decided() -> None:
    made, changes = lists(), []
    found = made.get(rows((FIRST, ALLOWS), (FIRST, SECOND, DENIES)), changes)
    for (_, _, (_, slot)), path in zip(changes, ((FIRST, ALLOWS), (FIRST, SECOND, DENIES)), strict=True):
        assert slot >= FIRST_OF_STAGE
        assert made.path(found.id & ~OWN | slot) == path
        assert made.path(slot) == path[1:] and made.path(found.id & ~OWN) == (FIRST,)
    assert made.path(7 << OWN_BITS) is None
    assert dict(made.all_slots())[found.id & ~OWN] == (FIRST,)


def test_rows_stay_while_any_list_has_them() -> None:
    made, changes = lists(), []
    plain = made.get(rows((ALLOWS,)), changes)
    after = made.get(rows((FIRST, ALLOWS)), changes)
    made.use(after)
    gone: list[Any] = []
    made.rest(gone)
    assert not gone and made.meaning(plain.id) == plain.meaning, "of the one nobody uses nothing is left but the rows"
    assert list(made.retired(forget=True)) == []
    made.drop(after)
    made.rest(gone)
    assert [(table, key) for table, key, _ in changes] == [(table, key) for table, key, _ in gone]
    assert sorted(path for _, path in made.retired(forget=True)) == sorted([(ALLOWS,), (FIRST,)])
    assert made.get(rows((ALLOWS,)), []).meaning == plain.meaning


def test_more_ways_than_there_are_numbers_for_have_rows_of_their_own(monkeypatch: Any) -> None:
    monkeypatch.setattr(rule_lists, "LAST_PASSED", 1)
    made, changes = lists(), []
    first = made.get(rows((FIRST, ALLOWS)), changes)
    second = made.get(rows((SECOND, ALLOWS)), changes)
    assert first.id >> OWN_BITS == 1 and second.id >> OWN_BITS == 0 and len(changes) == 2
    assert made.path(changes[1][2][1]) == (SECOND, ALLOWS)


def test_a_tier_that_only_passes_costs_no_rows() -> None:
    """Two endpoints of which one has a tier more, in front, that logs, passes all and denies some addresses: the rest is one list."""
    rules = [Rule("allow", protocol="tcp", dst_ports=(PortRange(port, port),)) for port in range(1, 9)]
    front = policy("front", [Rule("deny", src_ip_set_ids=("s:bad",)), Rule("log"), Rule("pass")], tier="front")
    state = State([net_set("s:bad", ["192.0.2.7/32"]), profile(), policy("common", rules), front, endpoint(1, ["common"])])
    before = state.count("ingress.rules")
    update = endpoint(2, ["common"])
    tiers = (TierInfo("front", (policy_id("front"),), (), "Deny"), *update.endpoint.tiers)
    state.change(update._replace(endpoint=update.endpoint._replace(tiers=tiers)))
    assert state.count("ingress.rules") == before + 1, "the deny of the addresses in front"
