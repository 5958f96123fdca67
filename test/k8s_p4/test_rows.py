"""Rows and P4Runtime entries: both directions, every table, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_p4.p4runtime.client import encode_update
from k8s_p4 import artefacts, row_types
from k8s_p4.fields import Field
from k8s_p4.p4rt import p4i, p4r
from k8s_p4.rows import BY_ID, OWNERS, TABLES, RowError, Table, decode_entry
from k8s_p4.typed import Prefix, Ternary


def _numbers(bits: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from([0, 1, 255, 256, (1 << bits) - 1]), st.integers(0, (1 << bits) - 1)).map(lambda n: n & (1 << bits) - 1)


def _prefixes(bits: int) -> st.SearchStrategy[tuple[int, int]]:
    def cut(number: int, length: int) -> tuple[int, int]:
        return number >> bits - length << bits - length if length else 0, length

    return st.builds(cut, _numbers(bits), st.one_of(st.sampled_from([0, 1, bits]), st.integers(0, bits)))


def _part(field: Field) -> st.SearchStrategy[Any]:
    if field.kind == "ternary":
        return st.builds(lambda value, mask: (value & mask, mask), _numbers(field.bits), _numbers(field.bits))
    return _prefixes(field.bits) if field.kind == "lpm" else _numbers(field.bits)


def _rows(table: Table) -> st.SearchStrategy[tuple[Any, Any]]:
    priority = [st.integers(1, 2**31 - 1)] if table.ternary else []
    key = st.tuples(*map(_part, table.fields), *priority)
    actions = [st.tuples(st.just(a.name), *(_numbers(p.bits) for p in a.params)) for a in table.actions.values()]
    return st.tuples(key, st.one_of(actions))


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_decode_of_encode_is_the_row(name: str, data: st.DataObject) -> None:
    table = TABLES[name]
    key, value = data.draw(_rows(table))
    entry = table.encode(key, value)
    assert table.decode(entry) == (key, value)
    assert decode_entry(entry) == (name, key, value)
    typed = row_types.ROWS[name].from_entry(entry)
    assert typed.to_row() == (key, value)
    assert typed.to_entry() == entry
    assert entry.SerializeToString(deterministic=True) == table.wire(key, value)


def test_entry_is_what_attributes_would_make() -> None:
    """The wire form is written by hand: here is the same entry made the ordinary way."""
    entry = p4r.TableEntry(table_id=TABLES["source_net_v4"].id)
    entry.match.add(field_id=1).exact.value = b"\x07"
    lpm = entry.match.add(field_id=2).lpm
    lpm.value, lpm.prefix_len = bytes([10, 0, 0, 0]), 8
    entry.action.action.action_id = TABLES["source_net_v4"].actions["source_ok"].id
    assert TABLES["source_net_v4"].encode((7, (0x0A000000, 8)), ("source_ok",)) == entry

    rule = p4r.TableEntry(table_id=TABLES["egress.rules"].id, priority=1000)
    for field_id, value, mask in ((1, b"\x01\x00", b"\xff\xff\xff\xff"), (5, b"\x00", b"\x80\x00")):
        ternary = rule.match.add(field_id=field_id).ternary
        ternary.value, ternary.mask = value, mask
    action = rule.action.action
    action.action_id = TABLES["egress.rules"].actions["allow"].id
    action.params.add(param_id=1, value=b"\x12\x34\x56")
    free = (0, 0)
    key = ((256, 0xFFFFFFFF), free, free, free, (0, 0x8000), free, free, free, 1000)
    assert TABLES["egress.rules"].encode(key, ("allow", 0x123456)) == rule

    send = p4r.TableEntry(table_id=TABLES["next_hop"].id)
    send.match.add(field_id=1).exact.value = b"\x00"
    action = send.action.action
    action.action_id = TABLES["next_hop"].actions["send"].id
    for number, value in ((1, b"\x03"), (2, b"\xee" * 6), (3, b"\x00"), (4, b"\x00")):
        action.params.add(param_id=number, value=value)
    assert TABLES["next_hop"].encode((0,), ("send", 3, 0xEEEEEEEEEEEE, 0, 0)) == send


def test_request_of_updates_in_wire_form() -> None:
    table = TABLES["route_v6"]
    rows = [("insert", ((0x20010DB8 << 96, 32),), ("blackhole",)), ("modify", ((0, 0),), ("to_uplink", 300))]
    wire = p4r.WriteRequest(device_id=3).SerializeToString() + b"".join(encode_update(kind, table.wire(*row)) for kind, *row in rows)
    wire += encode_update("delete", table.wire_key(rows[0][1]))
    request = p4r.WriteRequest.FromString(wire)
    assert request.device_id == 3
    assert [u.type for u in request.updates] == [p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE]
    assert [table.decode(u.entity.table_entry) for u in request.updates[:2]] == [(key, value) for _kind, key, value in rows]
    assert not request.updates[2].entity.table_entry.HasField("action")
    assert request.updates[2].entity.table_entry.match == request.updates[0].entity.table_entry.match


FREE = (0, 0)
BAD = [
    ("port", (1 << 32,), ("host",), "port: ingress_port: 4294967296 is no exact value of 32 bits"),
    ("port", (-1,), ("host",), "port: ingress_port: -1 is no exact value of 32 bits"),
    ("port", ("cali1",), ("host",), "port: ingress_port: 'cali1' is no exact value of 32 bits"),
    ("port", (1, 2), ("host",), "port: a key of 2 items, not 1: (1, 2)"),
    ("port", (1,), ("allow", 1), "port: no action 'allow'; there are workload, workload_closed, host, uplink"),
    ("port", (1,), ("workload", 1, 256, 0, 0), "port: workload: flags: 256 is no value of 8 bits"),
    ("port", (1,), ("workload", 1, 0), "port: workload: 2 parameters, not 4"),
    ("port", (1,), ("workload", 1, 2, 3, 4, 5), "port: workload: 5 parameters, not 4"),
    ("port", (1,), ("host", 1), "port: host: 1 parameters, not 0"),
    ("answer_port", (1,), ("send_back", 1 << 32), "answer_port: send_back: port: 4294967296 is no value of 32 bits"),
    ("route_v4", ((0x0A000001, 24),), ("blackhole",), "route_v4: prefix: (167772161, 24) is no lpm value of 32 bits"),
    ("route_v4", ((0, 33),), ("blackhole",), "route_v4: prefix: (0, 33) is no lpm value of 32 bits"),
    ("route_v4", (5,), ("blackhole",), "route_v4: prefix: 5 is no lpm value of 32 bits"),
    ("egress.rules", (*[FREE] * 8, 0), ("allow", 1), "egress.rules: priority: 0 is not between 1 and 2147483647"),
    ("egress.rules", (*[FREE] * 7, (3, 1), 1), ("allow", 1), "egress.rules: icmp_code: (3, 1) is no ternary value of 8 bits"),
    ("egress.rules", (*[FREE] * 7, (0, 256), 1), ("allow", 1), "egress.rules: icmp_code: (0, 256) is no ternary value of 8 bits"),
    ("egress.rules", tuple([FREE] * 8), ("allow", 1), "egress.rules: a key of 8 items, not 9"),
]


@pytest.mark.parametrize(("name", "key", "value", "text"), BAD)
def test_bad_row_is_named(name: str, key: Any, value: Any, text: str) -> None:
    with pytest.raises(RowError) as caught:
        TABLES[name].encode(key, value)
    assert str(caught.value).startswith(text)


def _entry(name: str = "port", **changes: Any) -> Any:
    entry = TABLES[name].encode((1,), ("workload", 2, 3, 0, 0))
    for field, value in changes.items():
        setattr(entry, field, value)
    return entry


def test_strange_entries_are_named() -> None:
    port = TABLES["port"]
    with pytest.raises(RowError, match="no table has id 0x00000001"):
        decode_entry(_entry(table_id=1))
    with pytest.raises(RowError, match="port: an entry of table 0x02040001, not 0x02010001"):
        port.decode(_entry(table_id=TABLES["local_v4"].id))
    unknown = _entry()
    unknown.action.action.action_id = 9
    with pytest.raises(RowError, match="port: unknown action 0x00000009"):
        port.decode(unknown)
    short = _entry()
    del short.action.action.params[1]
    with pytest.raises(RowError, match="port: workload has no parameter 2"):
        port.decode(short)
    keyless = _entry()
    del keyless.match[0]
    with pytest.raises(RowError, match="an exact match field is missing"):
        port.decode(keyless)
    for name, key, change, text in (
        ("port", (1,), lambda e: setattr(e.match[0].exact, "value", b"\1" * 5), "port: ingress_port: 4311810305 is no value of 32 bits"),
        ("port", (1,), lambda e: setattr(e.match[0].lpm, "value", b"\1"), "port: ingress_port: an exact match field is missing"),
        ("port", (1,), lambda e: setattr(e.action.action.params[1], "value", b"\1\0"), "port: flags: 256 is no value of 8 bits"),
        ("port", (1,), lambda e: e.action.action.params.add(param_id=9), "port: workload: unknown parameter 9"),
        ("route_v4", ((0x0A000000, 8),), lambda e: setattr(e.match[0].lpm, "prefix_len", 3), "route_v4: prefix: 167772160/3 is no lpm value of 32 bits"),
        ("route_v4", ((0x0A000000, 8),), lambda e: setattr(e.match[0].lpm, "prefix_len", 33), "route_v4: prefix: 167772160/33 is no lpm value of 32 bits"),
        ("egress.rules", (*[FREE] * 7, (1, 1), 1), lambda e: setattr(e, "priority", 0), "egress.rules: priority: 0 is not between 1 and 2147483647"),
        ("egress.rules", (*[FREE] * 7, (1, 1), 1), lambda e: setattr(e.match[0].ternary, "value", b"\3"), "egress.rules: icmp_code: 3 with mask 1 is no ternary"),
        ("egress.rules", (*[FREE] * 7, (1, 1), 1), lambda e: setattr(e.match[0].ternary, "mask", b"\1\1"), "egress.rules: icmp_code: 257 is no value of 8 bits"),
    ):  # fmt: skip
        entry = TABLES[name].encode(key, {"port": ("workload", 2, 3, 0, 0), "route_v4": ("blackhole",), "egress.rules": ("allow", 1)}[name])
        change(entry)
        with pytest.raises(RowError) as caught:
            TABLES[name].decode(entry)
        assert str(caught.value).startswith(text)
    stranger = _entry()
    stranger.match.add(field_id=7).exact.value = b"\x01"
    with pytest.raises(RowError, match="port: unknown match field 7"):
        port.decode(stranger)


def test_padded_values_are_read() -> None:
    """A server may not pad what it answers, but one that does is understood."""
    padded = _entry()
    padded.match[0].exact.value = b"\x00\x00\x00\x01"
    assert TABLES["port"].decode(padded) == ((1,), ("workload", 2, 3, 0, 0))


def test_typed_row() -> None:
    row = row_types.EgressRules(Ternary(4, 15), *[Ternary(0, 0)] * 7, priority=9, action=row_types.Deny(5))
    assert row.to_row() == (((4, 15), *[FREE] * 7, 9), ("deny", 5))
    assert row_types.EgressRules.from_row(*row.to_row()) == row
    assert row_types.RouteV4(Prefix(0, 0), row_types.Blackhole()).to_row() == (((0, 0),), ("blackhole",))
    assert len({row, row_types.EgressRules.from_row(*row.to_row())}) == 1
    with pytest.raises(RowError, match="port: not a row of this table"):
        row_types.Port.from_row((1,), ("blackhole",))


def test_every_table_has_one_owner_and_every_owner_a_table() -> None:
    p4info = artefacts.p4info()
    with_key = {table.preamble.alias: table for table in p4info.tables if table.match_fields and "@learns" not in table.preamble.annotations}
    assert set(OWNERS) == set(with_key) == set(TABLES) == set(row_types.ROWS)
    assert {table.preamble.alias for table in p4info.tables} - set(with_key) == {"init", "flow_v4", "flow_v6", "closing_v4", "closing_v6", "judged_v4", "judged_v6", "affinity_v4", "affinity_v6", "connection_slot"}
    assert {name: table.preamble.id for name, table in with_key.items()} == {name: t.id for name, t in TABLES.items()}
    assert len(BY_ID) == len(TABLES)


def test_names_and_widths_are_those_of_the_p4info() -> None:
    p4info = artefacts.p4info()
    kinds = {"exact": p4i.MatchField.EXACT, "lpm": p4i.MatchField.LPM, "ternary": p4i.MatchField.TERNARY}
    actions = {action.preamble.id: action for action in p4info.actions}
    for table in (t for t in p4info.tables if t.match_fields and "@learns" not in t.preamble.annotations):
        ours = TABLES[table.preamble.alias]
        assert [(f.name, f.id, f.bitwidth, f.match_type) for f in table.match_fields] == [
            (f.name, f.id, f.bits, kinds[f.kind]) for f in ours.fields
        ]
        assert table.size == ours.size
        refs = {ref.id for ref in table.action_refs if ref.scope != p4i.ActionRef.DEFAULT_ONLY}
        assert refs == {action.id for action in ours.actions.values()}
        for action in ours.actions.values():
            assert actions[action.id].preamble.name.endswith(f".{action.name}")
            assert [(p.name, p.id, p.bitwidth) for p in actions[action.id].params] == [(p.name, p.id, p.bits) for p in action.params]
