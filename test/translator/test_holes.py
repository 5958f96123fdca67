"""Rules that are mostly complement, carried out as hole and hull: the same decision for every packet, in fewer rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.translator.test_l4 import hit, in_region, inside, intervals, packets
from translator import l4
from translator.composition import LOOK_AHEAD, Node, RuleSet
from translator.holes import split
from translator.l4 import BOTH, EVERYTHING, FRAGMENT, PORTS, V4, Box
from translator.rules import CompiledRule, Need, Ref

BYTES = st.sampled_from([1 << 6, 1 << 17, l4.ALL_BYTES & ~(1 << 6), l4.ALL_BYTES & ~(1 << 6 | 1 << 17), l4.ALL_BYTES])
ACTIONS = st.sampled_from(["allow", "deny"])


@st.composite
def regions(draw):
    ports = {protocol: draw(intervals()) for protocol in draw(st.sets(st.sampled_from([6, 17, 132, 136]), min_size=1, max_size=2))}
    named = draw(st.sampled_from([l4.ports_region, l4.not_ports_region]))(ports, draw(st.sampled_from(["src", "dst"])))
    other = draw(st.sampled_from([(EVERYTHING,), (Box(families=V4),), l4.not_icmp_region(8, draw(st.sampled_from([None, 0])))]))
    return l4.intersect(l4.intersect(named, other), (Box(protocols=draw(BYTES)),))


def compiled(index: int, action: str, region) -> CompiledRule:
    none = (Need(), Need())
    return CompiledRule(action, Ref("policy", "ingress", action, "p", "t", index), region, (none, none), (), ())


def rows_of(*rules: CompiledRule):
    return Node([RuleSet(rules)], Ref("tier_end", "ingress", "deny"), None).rows(0, 0)


def first(rows, packet):
    return next((row.allow, row.path) for row in rows if inside(row.box, packet))


@settings(max_examples=300)
@given(st.lists(st.tuples(ACTIONS, regions()), min_size=1, max_size=4), st.lists(packets(), min_size=5, max_size=20))
def test_every_packet_meets_the_first_rule_that_holds_for_it(drawn, sent):
    rules = [compiled(index, action, region) for index, (action, region) in enumerate(drawn)]
    end = Ref("tier_end", "ingress", "deny")
    rows = rows_of(*rules)
    for packet in sent:
        expected = next((rule for rule in rules if decides(rule, packet)), None)
        assert first(rows, packet) == ((expected.action == "allow", (expected.ref,)) if expected else (False, (end,)))
        key = next(row for row in rows if hit(l4.expand(row.box), packet))
        assert (key.allow, key.path) == first(rows, packet)


def decides(rule: CompiledRule, packet) -> bool:
    if not rule.base:
        return False
    boxes = rule.base if rule.action == "allow" else (*rule.base, *l4.possible_fragments(rule.base))
    return in_region(boxes, packet)


@given(regions())
def test_a_hull_is_the_box_and_its_hole(region):
    parts = split(region)
    assert sorted([*parts.first, *parts.last, *(h.box for h in parts.holed)]) == sorted(region)
    for holed in parts.holed:
        assert l4.intersect_boxes(holed.box, holed.hole) is None
        assert l4.covers(holed.hull, holed.box) and l4.covers(holed.hull, holed.hole)
        assert l4.size(holed.box) > l4.size(holed.hull) + l4.size(holed.hole)


@given(regions())
def test_size_is_the_number_of_keys(region):
    assert [l4.size(box) for box in region] == [len(l4.expand(box)) for box in region]


def test_a_complement_takes_the_rows_of_what_it_leaves_out():
    """deny tcp, not port 80: port 80 as the end of the tier says, then one row for tcp with its fragments, then the end."""
    rule = compiled(0, "deny", l4.intersect(l4.not_ports_region({6: ((80, 80),)}, "dst"), (Box(protocols=1 << 6),)))
    rows = rows_of(rule)
    assert [row.box for row in rows] == [Box(BOTH, 1 << 6, PORTS, dst_ports=((80, 80),)), Box(BOTH, 1 << 6, PORTS | FRAGMENT), EVERYTHING]
    assert sum(l4.size(row.box) for row in rows) == 3


def test_a_protocol_left_out_is_one_row():
    rule = compiled(0, "deny", (Box(protocols=l4.ALL_BYTES & ~(1 << 6)),))
    assert sum(l4.size(row.box) for row in rows_of(rule)) == 2


@pytest.mark.parametrize(("protocol", "rules"), [(6, 40), (17, LOOK_AHEAD)])
def test_a_hole_that_would_take_more_rows_or_a_longer_look_stays_closed(protocol, rules):
    """What follows has more rows inside the hole than the complement has prefixes; or so many that it is not looked at."""
    ports = [((port, port),) for port in range(1024, 1024 + 2 * rules, 2)]
    after = [compiled(n, "allow", (Box(BOTH, 1 << protocol, PORTS, dst_ports=each),)) for n, each in enumerate(ports, 1)]
    rule = compiled(0, "deny", (Box(BOTH, 1 << 6, PORTS, dst_ports=l4.complement(((1024, 1103),))),))
    assert split(rule.base).holed
    assert rows_of(rule, *after)[0].box == rule.base[0]
    assert rows_of(rule, *after[:1])[0].box != rule.base[0]
