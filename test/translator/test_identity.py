"""Identities against a brute-force model: addresses of equal groups look alike, others do not, and work is in proportion."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.allocator import Allocator
from translator.addresses import is_v6, length_of, parse_cidr, parse_members, text, value_of
from translator.errors import Untranslatable
from translator.identity import Side

CIDRS = [
    "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "10.0.0.2/32", "10.0.1.0/24", "10.0.1.7/32", "0.0.0.0/0", "192.0.2.1/32",
    "2001:db8::/32", "2001:db8::1/128", "2001:db8:1::/48", "2001:db8:1::2/128", "::/0",
]  # fmt: skip
PLACES = [parse_cidr(c) for c in CIDRS]
PROBES = [parse_cidr(c) for c in [*CIDRS, "10.0.0.9/32", "10.9.9.9/32", "172.16.0.1/32", "2001:db8::9/128", "fe80::1/128"] if c.endswith(("/32", "/128"))]


def contains(net: int, address: int) -> bool:
    if is_v6(net) != is_v6(address) or length_of(net) > length_of(address):
        return False
    shift = (128 if is_v6(net) else 32) - length_of(net)
    return value_of(net) >> shift == value_of(address) >> shift


class Tables:
    """What the switch would hold: identity rows, looked up by longest prefix."""

    def __init__(self):
        self.rows, self.content, self.written = {}, {}, 0

    def apply(self, commit):
        for where, number in commit.rows:
            self.written += 1
            if number:
                self.rows[where] = number
            else:
                del self.rows[where]
        for change in commit.classes:
            assert self.content.get(change.id, 0) == change.before
            self.content[change.id] = change.after

    def identity(self, address):
        covering = [where for where in self.rows if contains(where, address)]
        return self.rows[max(covering, key=length_of)] if covering else 0


def groups_of(model, address):
    return {bit for bit, members in model.items() if any(contains(net, address) for net in members)}


def check(side, tables, model):
    for probe in PROBES:
        number = tables.identity(probe)
        content = tables.content.get(number, 0)
        assert {bit for bit in model if content >> bit & 1} == groups_of(model, probe), text(probe)
        assert side.identity(probe) == number
        assert content == side.content(number)
    for mask in (1, 2, 5):
        assert side.identities_in(mask & sum(1 << b for b in model)) == {
            n for n in set(tables.rows.values()) if tables.content[n] & mask & sum(1 << b for b in model)
        }


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_history_gives_every_address_exactly_its_groups(data):
    side, tables, model = Side("src", Allocator()), Tables(), {}
    for step in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["add", "change", "drop", "rest", "commit"]))
        chosen = set(data.draw(st.lists(st.sampled_from(PLACES), max_size=6)))
        if what == "add" or not model:
            bit = side.add_group(f"g{step}", chosen)
            assert bit not in model
            model[bit] = chosen
        elif what == "change":
            bit = data.draw(st.sampled_from(sorted(model)))
            side.change_group(bit, chosen - model[bit], model[bit] - chosen)
            model[bit] = chosen
        elif what == "drop":
            bit = data.draw(st.sampled_from(sorted(model)))
            side.drop_group(bit)
            del model[bit]
        for phase in side.rest() if what in ("rest", "drop") else side.commit():
            tables.apply(phase)
        check(side, tables, model)
    for phase in side.rest():
        tables.apply(phase)
    check(side, tables, model)
    contents = [tables.content[number] for number in set(tables.rows.values())]
    assert len(contents) == len(set(contents)), "at rest no two identities mean the same"


def loaded(members):
    side = Side("src", Allocator())
    places = [parse_cidr(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32") for i in range(members)]
    first = side.add_group("all", places)
    side.add_group("half", places[: members // 2])
    side.commit()
    return side, first, places


def test_a_member_with_a_known_combination_is_one_row():
    side, first, _ = loaded(5000)
    side.change_group(first, [parse_cidr("10.200.0.1/32")], [])
    moved, renamed, retired = side.commit()
    assert len(moved.rows) == 1
    assert moved.classes == renamed.classes == retired.classes == retired.rows == []


def test_a_group_over_whole_classes_changes_no_host_row():
    side, _, _ = loaded(5000)
    side.add_group("cidr", [parse_cidr("10.0.0.0/8")])
    moved, renamed, retired = side.commit()
    assert [length_of(where) for where, _ in moved.rows] == [8]
    assert (len(moved.classes), len(renamed.classes), retired) == (1, 2, ([], []))


def test_only_the_smaller_part_of_a_split_class_is_relabelled():
    side, _, places = loaded(1000)
    side.add_group("most", places[:490])
    assert len(side.commit()[0].rows) == 10
    side.add_group("few", places[500:503])
    assert len(side.commit()[0].rows) == 3


def test_names_do_not_depend_on_the_order_of_arrival():
    names, seen = Allocator(), []
    for seed in (1, 2):
        side, groups = Side("src", names), [(f"g{i}", PLACES[i : i + 4]) for i in range(8)]
        random.Random(seed).shuffle(groups)
        for name, places in groups:
            side.add_group(name, places)
        seen.append(dict(side.commit()[0].rows))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("cidr", CIDRS)
def test_places_round_trip(cidr):
    assert text(parse_cidr(cidr)) == cidr


@pytest.mark.parametrize("text", ["", "/32", "10.0.0.1/", "10.0.0/8", "10.0.0.1/33", "::1/129", "\x00", "10.0.0.1/\x00", "\ud800", "1.2.3.4/ 8", "1.2.3.4/٣"])
def test_what_is_no_address_is_named(text):
    with pytest.raises(Untranslatable, match=r"not a"):
        parse_cidr(text)
    with pytest.raises(Untranslatable, match=r"not a"):
        parse_members([text])
