"""The short way into a table agrees with the long one, or says nothing: on legal entries, unusual ones and damaged ones."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r
from k8s_p4.target import Options, wire
from k8s_p4.target.entries import explain, explain_action
from k8s_p4.target.errors import Refused
from k8s_p4.target.schema import TableSchema, build_pipeline
from test.support import mini
from test.support.p4target import INSERT, Session

PIPELINE = build_pipeline(mini.text("spec"), mini.text("context.json"), mini.p4info(), Options())
TABLES = {schema.name.removeprefix("Main."): schema for schema in PIPELINE.tables.values()}
SESSION = Session.__new__(Session)
SESSION.p4info = mini.p4info()

_ours = build_pipeline(artefacts.read(artefacts.SPEC).decode(), artefacts.read(artefacts.CONTEXT).decode(), artefacts.p4info(), Options())
TABLES["egress.rules"] = next(s for s in _ours.tables.values() if s.name.endswith(".egress.rules"))
OURS = Session.__new__(Session)
OURS.p4info = artefacts.p4info()
RULE: tuple[str, Any, Any] = (
    "egress.rules",
    ((5, 0xFFFFFFFF), (4, 0xFF), (6, 0xFF), None, None, (0x1F90, 0xFFF0), None, None, 77),
    ("allow", 300),
)

ROWS: list[tuple[str, Any, Any]] = [
    ("ports", (7,), ("enter", 63)),
    ("zoned", (3, (0x0A000000, 8)), ("set_class", 0xFFFF)),
    ("zoned", (3, (0x0A000001, 32)), ("set_class", 1)),
    ("routes", ((0x80000000, 1),), ("fwd", 1, 0xFFFFFFFFFFFF)),
    ("routes", (None,), ("to_controller",)),
    ("acl", ((0x0A000000, 0xFF000000), (1, 1), None, 10), ("permit", 5)),
]


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns; None if it refuses."""
    try:
        return function(*arguments)
    except Refused:
        return None


def loose(entry: Any) -> Any:
    """The entry as the loose schema has it."""
    request = p4r.WriteRequest()
    request.updates.add(type=INSERT).entity.table_entry.CopyFrom(entry)
    return wire.WriteRequest.FromString(request.SerializeToString()).updates[0].entity.table_entry


def check(schema: TableSchema, entry: Any) -> tuple[bool, bool]:
    """Both ways; whether the short one took the key and the action."""
    short = loose(entry)
    identity = wire.key_reader(schema)(short)
    assert identity is None or identity == outcome(explain, schema, entry)
    action = wire.action_reader(schema)(short.action)
    assert action is None or action == outcome(explain_action, schema, entry.action, schema.entry_actions)
    return identity is not None, action is not None


@pytest.mark.parametrize("row", ROWS[:4], ids=str)
def test_plain_entries_go_the_short_way(row: tuple[str, Any, Any]) -> None:
    assert check(TABLES[row[0]], SESSION.entry(*row)) == (True, True)


def test_ternary_entries_go_the_short_way() -> None:
    assert check(TABLES["egress.rules"], OURS.entry(*RULE)) == (True, True)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A legal entry's bytes with a few bytes changed, taken out or put in."""
    table, key, value = draw(st.sampled_from([*ROWS, RULE, RULE]))
    data = bytearray((OURS if table == RULE[0] else SESSION).entry(table, key, value).SerializeToString())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["change", "drop", "add"]))
        if kind == "change":
            data[at] = draw(st.integers(0, 255))
        elif kind == "drop" and len(data) > 1:
            del data[at]
        else:
            data.insert(at, draw(st.integers(0, 255)))
    return table, bytes(data)


@given(damaged())
def test_damaged_entries(case: tuple[str, bytes]) -> None:
    table, data = case
    try:
        entry = p4r.TableEntry.FromString(data)
    except DecodeError:
        return
    check(TABLES[table], entry)


@given(st.sampled_from(["ports", "routes", "zoned", "acl", "egress.rules"]), st.data())
def test_entries_with_padding_wrong_widths_and_any_order(table: str, data: st.DataObject) -> None:
    schema = TABLES[table]
    entry = p4r.TableEntry(table_id=schema.id, priority=data.draw(st.sampled_from([0, 1, -5])))
    values = st.binary(min_size=0, max_size=8)
    for number in data.draw(st.lists(st.integers(0, 4), max_size=4)):
        match = entry.match.add(field_id=number)
        kind = data.draw(st.sampled_from(["exact", "lpm", "ternary", "optional"]))
        getattr(match, kind).value = data.draw(values)
        if kind == "lpm":
            match.lpm.prefix_len = data.draw(st.sampled_from([0, 1, 8, 31, 32, 33, 127, 128, 200, -1]))
        if kind == "ternary":
            match.ternary.mask = data.draw(values)
    entry.action.action.action_id = data.draw(st.sampled_from([*schema.actions, 0, 1]))
    for number in data.draw(st.lists(st.integers(0, 3), max_size=3)):
        entry.action.action.params.add(param_id=number, value=data.draw(st.binary(max_size=140)))
    check(schema, entry)


@given(st.binary(max_size=160), st.sampled_from(list(TABLES)))
@example(b"\x0a\x80\x01" + bytes(128), "ports")
def test_any_bytes_as_an_action(data: bytes, table: str) -> None:
    try:
        action = p4r.TableAction.FromString(data)
    except DecodeError:
        action = None
    found = wire.action_reader(TABLES[table])(data)
    assert found is None or (action is not None and found == explain_action(TABLES[table], action, TABLES[table].entry_actions))


def test_the_full_update_loses_nothing() -> None:
    update = p4r.Update(type=2)
    update.entity.table_entry.CopyFrom(SESSION.entry(*ROWS[3]))
    update.entity.table_entry.counter_data.packet_count = 3
    update.entity.table_entry.metadata = b"note"
    other = p4r.Update(type=1, entity=p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=5)))
    request = p4r.WriteRequest(device_id=1, updates=[update, other], election_id=p4r.Uint128(high=1, low=2))
    read = wire.WriteRequest.FromString(request.SerializeToString())
    assert [wire.full_update(u) for u in read.updates] == [update, other]
    assert (read.device_id, read.election_id.high, read.election_id.low) == (1, 1, 2)


@pytest.mark.parametrize(
    ("value", "mask", "twice"),
    [
        (b"\x03", b"\x01", False),
        (b"\x01", b"\x00", False),
        (b"\x01", b"\x01\x00\x00", False),
        (b"\x01", b"\x01", True),
        (b"", b"\x01", False),
    ],
)
def test_ternary_matches_that_are_wrong_do_not_pass_the_short_way(value: bytes, mask: bytes, twice: bool) -> None:
    entry = p4r.TableEntry(priority=1)
    for _ in range(1 + twice):
        entry.match.add(field_id=5).ternary.MergeFrom(p4r.FieldMatch.Ternary(value=value, mask=mask))
    assert wire.key_reader(TABLES["egress.rules"])(loose(entry)) is None
