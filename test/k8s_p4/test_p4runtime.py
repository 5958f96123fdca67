"""The embedded target as a P4Runtime server: what it takes, what it gives back, and what it refuses with which code.

Section numbers are those of the P4Runtime specification 1.4.
"""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from k8s_p4.p4rt import p4r
from k8s_p4.target import InProcessTarget, Options
from test.support import mini
from test.support.mini import FULL, open_all, probe
from test.support.p4target import DELETE, INSERT, MODIFY, Session, rows, update_codes

OK, INVALID, RANGE = code_pb2.OK, code_pb2.INVALID_ARGUMENT, code_pb2.OUT_OF_RANGE


@pytest.fixture
def session() -> Iterator[Session]:
    with mini.running() as made:
        yield made


def acl(made: Session, src: Any = None, dst: Any = None, proto: Any = None, priority: int = 1, value: Any = ("permit", 1)) -> Any:
    return made.entry("acl", (src, dst, proto, priority), value)


def edited(entry: Any, edit: Callable[[Any], Any]) -> Any:
    edit(entry)
    return entry


# --- entries: there and back


ROWS: list[tuple[str, Any, Any]] = [
    ("ports", (7,), ("enter", 63)),
    ("ports", (FULL,), ("enter", 0)),
    ("acl", ((0x0A000000, 0xFF000000), None, 6, 10), ("permit", 5)),
    ("acl", (None, (1, 1), None, 11), ("deny", 0)),
    ("acl", (None, None, None, 1), ("deny", 5)),
    ("zoned", (3, (0x0A000000, 8)), ("set_class", 0xFFFF)),
    ("zoned", (3, None), ("set_class", 1)),
    ("zoned", (4, (0x0A000000, 8)), ("set_class", 2)),
    ("routes", ((0x0A000001, 32),), ("fwd", 1, 0xFFFFFFFFFFFF)),
    ("routes", (None,), ("to_controller",)),
    ("counted", (0,), ("count",)),
]


def test_what_is_written_is_read_back_the_same(session: Session) -> None:
    written = [session.entry(*row) for row in ROWS]
    session.write(*((INSERT, entry) for entry in written))
    assert rows(e for e in session.entries() if not e.is_const) == rows(written)
    for name in ("ports", "acl", "zoned", "routes"):
        own = [session.entry(*row) for row in ROWS if row[0] == name]
        assert rows(session.entries(name)) == rows(own)
    for row in ROWS:
        if any(item is not None for item in row[1][:2]):
            query = session.entry(row[0], row[1])
            assert rows(e.table_entry for e in session.read(query)) == rows([session.entry(*row)]), row


def test_metadata_of_the_controller_comes_back(session: Session) -> None:
    entry = edited(session.entry("ports", (1,), ("enter", 1)), lambda e: setattr(e, "metadata", b"note"))
    entry.controller_metadata = 1 << 63
    session.write((INSERT, entry))
    assert session.entries("ports") == [entry]
    assert session.entries("ports", metadata=b"note") == [entry] and session.entries("ports", metadata=b"other") == []
    assert session.entries("ports", controller_metadata=5) == []


def test_values_may_be_padded_and_answers_are_canonical(session: Session) -> None:
    entry = session.entry("ports", (7,), ("enter", 9))
    entry.match[0].exact.value = b"\0\0\0\0\0\0\7"
    entry.action.action.params[0].value = b"\0\0\x09"
    session.write((INSERT, entry))
    assert session.entries("ports") == [session.entry("ports", (7,), ("enter", 9))]


def test_fields_may_stand_in_any_order(session: Session) -> None:
    for table, key, value in (ROWS[2], ROWS[5]):
        entry = session.entry(table, key, value)
        turned = p4r.TableEntry()
        turned.CopyFrom(entry)
        del turned.match[:]
        turned.match.extend(reversed(entry.match))
        session.write((INSERT, turned))
        assert session.entries(table) == [entry]
    fwd = session.entry("routes", (None,), ("fwd", 1, 2))
    params = list(fwd.action.action.params)[::-1]
    turned = session.entry("routes", (None,), None)
    turned.action.action.action_id = fwd.action.action.action_id
    turned.action.action.params.extend(params)
    session.write((INSERT, turned))
    assert session.entries("routes") == [fwd]


def test_modify_replaces_the_action_and_nothing_without_one(session: Session) -> None:
    session.insert("ports", (1,), ("enter", 1))
    session.write((MODIFY, session.entry("ports", (1,), ("enter", 2))))
    assert session.entries("ports") == [session.entry("ports", (1,), ("enter", 2))]
    session.write((MODIFY, session.entry("ports", (1,))))
    assert session.entries("ports") == [session.entry("ports", (1,), ("enter", 2))]


def test_delete_looks_at_the_key_alone(session: Session) -> None:
    session.insert("ports", (1,), ("enter", 1))
    entry = session.entry("ports", (1,))
    entry.action.action.action_id = 12345
    session.write((DELETE, entry))
    assert session.entries("ports") == []


def test_priority_is_part_of_an_entry_s_identity(session: Session) -> None:
    session.write((INSERT, acl(session, priority=1)), (INSERT, acl(session, priority=2, value=("deny", 2))))
    assert len(session.entries("acl")) == 2
    assert session.entries("acl", priority=2) == [acl(session, priority=2, value=("deny", 2))]
    session.write((DELETE, acl(session, priority=1)))
    assert [e.priority for e in session.entries("acl")] == [2]


def test_a_query_can_ask_for_one_action(session: Session) -> None:
    session.write(*((INSERT, session.entry(*row)) for row in ROWS))
    query = p4r.TableEntry(table_id=session.table_id("acl"))
    query.action.action.action_id = session.find("actions", "permit").preamble.id
    assert [e.table_entry.priority for e in session.read(query)] == [10]


def test_default_entries(session: Session) -> None:
    (entry,) = session.entries("routes", is_default_action=True)
    assert entry.is_default_action and entry.action.action.action_id == session.find("actions", "no_route").preamble.id
    changed = edited(session.entry("routes", (), ("fwd", 2, 3)), lambda e: setattr(e, "is_default_action", True))
    session.write((MODIFY, changed))
    assert session.entries("routes", is_default_action=True) == [changed]
    assert session.entries("routes") == [], "the default entry is no entry among others"
    reset = edited(session.entry("routes", ()), lambda e: setattr(e, "is_default_action", True))
    session.write((MODIFY, reset))
    assert session.entries("routes", is_default_action=True) == [entry]
    (const,) = session.entries("ports", is_default_action=True)
    assert const.is_const


def test_const_entries_are_there_and_marked(session: Session) -> None:
    (entry,) = session.entries("protocols")
    assert entry.is_const and entry.match[0].exact.value == b"\x63"


def test_many_entries_come_in_several_messages(session: Session) -> None:
    for start in range(0, 256, 64):
        session.write(*((INSERT, acl(session, src=(n, FULL))) for n in range(start, start + 64)))
    session.write(*((INSERT, session.entry("zoned", (z, (n << 24, 8)), ("set_class", n))) for z in range(4) for n in range(64)))
    assert len(session.entries()) == 256 + 256 + 1


# --- teeth


def default(made: Session, table: str, value: Any = None, **fields: Any) -> Any:
    entry = made.entry(table, (), value, is_default_action=True)
    for name, item in fields.items():
        setattr(entry, name, item)
    return entry


def rigged(table: str, key: Any, value: Any, edit: Callable[[Any], Any]) -> Callable[[Session], Any]:
    return lambda made: edited(made.entry(table, key, value), edit)


REFUSED: list[tuple[str, int, Callable[[Session], Any], int, str]] = [
    ("unknown table", INSERT, lambda s: p4r.TableEntry(table_id=99), INVALID, "no table 99"),
    ("table 0", INSERT, lambda s: p4r.TableEntry(), INVALID, "no table 0"),
    (
        "unknown action",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: setattr(e.action.action, "action_id", 99)),
        INVALID,
        "action 99",
    ),
    (
        "another table's action",
        INSERT,
        rigged("ports", (1,), None, lambda e: setattr(e.action.action, "action_id", 0x01000006)),
        INVALID,
        "16777222 is not one",
    ),
    (
        "default-only action",
        INSERT,
        rigged("ports", (1,), None, lambda e: setattr(e.action.action, "action_id", 0x01000003)),
        code_pb2.PERMISSION_DENIED,
        "Main.reject is not allowed",
    ),
    ("no action", INSERT, lambda s: s.entry("ports", (1,)), INVALID, "no action"),
    (
        "member id",
        INSERT,
        rigged("ports", (1,), None, lambda e: setattr(e.action, "action_profile_member_id", 1)),
        INVALID,
        "action_profile_member_id",
    ),
    ("parameter too wide", INSERT, lambda s: s.entry("ports", (1,), ("enter", 64)), RANGE, "parameter zone: 0x40 does not fit 6 bits"),
    (
        "parameter empty",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: setattr(e.action.action.params[0], "value", b"")),
        RANGE,
        "empty byte string",
    ),
    (
        "parameter missing",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: e.action.action.ClearField("params")),
        INVALID,
        "zone is missing",
    ),
    (
        "parameter unknown",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: setattr(e.action.action.params[0], "param_id", 2)),
        INVALID,
        "parameter 2",
    ),
    (
        "parameter twice",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: e.action.action.params.add(param_id=1, value=b"\1")),
        INVALID,
        "given twice",
    ),
    (
        "value too wide",
        INSERT,
        lambda s: s.entry("ports", (1 << 32,), ("enter", 1)),
        RANGE,
        "field input_port: 0x0100000000 does not fit 32 bits",
    ),
    (
        "value empty",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: setattr(e.match[0].exact, "value", b"")),
        RANGE,
        "empty byte string",
    ),
    ("exact field missing", INSERT, lambda s: s.entry("ports", (None,), ("enter", 1)), INVALID, "can't be left out"),
    ("exact field missing beside lpm", INSERT, lambda s: s.entry("zoned", (None, (1, 32)), ("set_class", 1)), INVALID, "can't be left out"),
    (
        "unknown field",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: setattr(e.match[0], "field_id", 2)),
        INVALID,
        "no match field 2",
    ),
    (
        "field twice",
        INSERT,
        rigged("acl", ((1, 1), None, None, 1), ("permit", 1), lambda e: e.match.add().CopyFrom(e.match[0])),
        INVALID,
        "given twice",
    ),
    (
        "exact as ternary",
        INSERT,
        rigged("ports", (None,), ("enter", 1), lambda e: e.match.add(field_id=1).ternary.MergeFromString(b"\x0a\x01\x01\x12\x01\x01")),
        INVALID,
        "matched as ternary",
    ),
    (
        "ternary as exact",
        INSERT,
        rigged("acl", (None, None, None, 1), ("permit", 1), lambda e: e.match.add(field_id=1).exact.MergeFromString(b"\x0a\x01\x01")),
        INVALID,
        "matched as exact",
    ),
    ("no kind of match", INSERT, rigged("ports", (None,), ("enter", 1), lambda e: e.match.add(field_id=1)), INVALID, "matched as nothing"),
    ("bits outside the mask", INSERT, lambda s: acl(s, src=(3, 1)), INVALID, "bits outside its mask"),
    ("mask zero", INSERT, lambda s: acl(s, src=(0, 0)), INVALID, "mask 0"),
    ("mask too wide", INSERT, lambda s: acl(s, src=(0, 1 << 32)), RANGE, "does not fit 32 bits"),
    (
        "mask empty",
        INSERT,
        rigged("acl", ((0, 1), None, None, 1), ("permit", 1), lambda e: setattr(e.match[0].ternary, "mask", b"")),
        RANGE,
        "empty byte string",
    ),
    ("optional too wide", INSERT, lambda s: acl(s, proto=256), RANGE, "does not fit 8 bits"),
    (
        "bits beyond the prefix",
        INSERT,
        lambda s: s.entry("routes", ((0x0A000001, 24),), ("fwd", 1, 1)),
        INVALID,
        "beyond the prefix length 24",
    ),
    (
        "bits beyond the prefix, two fields",
        INSERT,
        lambda s: s.entry("zoned", (1, (1, 31)), ("set_class", 1)),
        INVALID,
        "beyond the prefix",
    ),
    ("prefix length 0", INSERT, lambda s: s.entry("routes", ((0, 0),), ("fwd", 1, 1)), INVALID, "prefix length 0"),
    ("prefix length 33", INSERT, lambda s: s.entry("routes", ((0, 33),), ("fwd", 1, 1)), INVALID, "prefix length 33"),
    ("prefix length negative", INSERT, lambda s: s.entry("routes", ((0, -1),), ("fwd", 1, 1)), INVALID, "prefix length -1"),
    ("priority missing", INSERT, lambda s: acl(s, priority=0), INVALID, "need one above 0"),
    ("priority negative", INSERT, lambda s: acl(s, priority=-1), INVALID, "need one above 0"),
    ("priority superfluous, exact", INSERT, lambda s: s.entry("ports", (1, 5), ("enter", 1)), INVALID, "no ternary or optional field"),
    ("priority superfluous, lpm", INSERT, lambda s: s.entry("routes", (None, 5), ("fwd", 1, 1)), INVALID, "no ternary or optional field"),
    ("modify what is not there", MODIFY, lambda s: s.entry("ports", (1,), ("enter", 1)), code_pb2.NOT_FOUND, "no such entry"),
    ("delete what is not there", DELETE, lambda s: s.entry("ports", (1,)), code_pb2.NOT_FOUND, "no such entry"),
    ("delete malformed", DELETE, lambda s: s.entry("routes", ((1, 8),)), INVALID, "beyond the prefix"),
    ("const entries insert", INSERT, lambda s: s.entry("protocols", (1,), ("reject",)), code_pb2.PERMISSION_DENIED, "const entries"),
    ("const entries modify", MODIFY, lambda s: s.entry("protocols", (0x63,), ("NoAction",)), code_pb2.PERMISSION_DENIED, "const entries"),
    ("const entries delete", DELETE, lambda s: s.entry("protocols", (0x63,)), code_pb2.PERMISSION_DENIED, "const entries"),
    ("keyless insert", INSERT, lambda s: s.entry("init", (), ("clear",)), INVALID, "no key"),
    ("keyless delete", DELETE, lambda s: s.entry("init", ()), INVALID, "no key"),
    (
        "learner insert",
        INSERT,
        lambda s: s.entry("flow", (1, 2), ("flow_hit", 1, 2)),
        code_pb2.PERMISSION_DENIED,
        "learned by the data plane",
    ),
    (
        "learner modify",
        MODIFY,
        lambda s: s.entry("flow", (1, 2), ("flow_hit", 1, 2)),
        code_pb2.PERMISSION_DENIED,
        "learned by the data plane",
    ),
    ("learner delete", DELETE, lambda s: s.entry("flow", (1, 2)), code_pb2.PERMISSION_DENIED, "learned by the data plane"),
    ("default insert", INSERT, lambda s: default(s, "routes", ("no_route",)), INVALID, "only be modified"),
    ("default delete", DELETE, lambda s: default(s, "routes"), INVALID, "can't be deleted"),
    ("default const", MODIFY, lambda s: default(s, "ports", ("reject",)), code_pb2.PERMISSION_DENIED, "const default action"),
    ("default with priority", MODIFY, lambda s: default(s, "routes", ("fwd", 1, 1), priority=1), INVALID, "no match and no priority"),
    (
        "default, table-only action",
        MODIFY,
        lambda s: default(s, "routes", ("no_route",)),
        code_pb2.PERMISSION_DENIED,
        "no_route is not allowed",
    ),
    ("is_const", INSERT, rigged("ports", (1,), ("enter", 1), lambda e: setattr(e, "is_const", True)), INVALID, "is_const"),
    ("idle timeout", INSERT, rigged("ports", (1,), ("enter", 1), lambda e: setattr(e, "idle_timeout_ns", 1)), INVALID, "no idle timeouts"),
    (
        "time since last hit",
        INSERT,
        rigged("ports", (1,), ("enter", 1), lambda e: e.time_since_last_hit.SetInParent()),
        INVALID,
        "no idle timeouts",
    ),
    ("meter config", INSERT, rigged("ports", (1,), ("enter", 1), lambda e: e.meter_config.SetInParent()), INVALID, "no direct meter"),
    ("counter data", INSERT, rigged("ports", (1,), ("enter", 1), lambda e: e.counter_data.SetInParent()), INVALID, "no direct counter"),
    ("no entity", INSERT, lambda s: p4r.Entity(), INVALID, "without an entity"),
    ("unspecified type", 0, lambda s: s.entry("ports", (1,), ("enter", 1)), INVALID, "update type 0"),
    ("unknown type", 9, lambda s: s.entry("ports", (1,), ("enter", 1)), INVALID, "update type 9"),
    ("action profile", INSERT, lambda s: p4r.Entity(action_profile_member=p4r.ActionProfileMember()), INVALID, "only MODIFY"),
    ("register", MODIFY, lambda s: p4r.Entity(register_entry=p4r.RegisterEntry()), code_pb2.UNIMPLEMENTED, "register_entry"),
]


@pytest.mark.parametrize(("kind", "make", "code", "message"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_teeth(session: Session, kind: int, make: Callable[[Session], Any], code: int, message: str) -> None:
    before = rows(session.entries()), rows(session.entries("routes", is_default_action=True))
    ((found, text),) = session.refusals((kind, make(session)))
    assert code_pb2.Code.Name(found) == code_pb2.Code.Name(code), text
    assert message in text
    assert (rows(session.entries()), rows(session.entries("routes", is_default_action=True))) == before, "nothing may have changed"


def test_a_duplicate_is_refused_and_leaves_the_old_one(session: Session) -> None:
    session.insert("ports", (1,), ("enter", 1))
    assert session.refusals((INSERT, session.entry("ports", (1,), ("enter", 2))))[0][0] == code_pb2.ALREADY_EXISTS
    assert session.entries("ports") == [session.entry("ports", (1,), ("enter", 1))]


@pytest.mark.parametrize(("table", "size"), [("ports", 4), ("acl", 256), ("zoned", 256)])
def test_a_full_table(session: Session, table: str, size: int) -> None:
    def row(n: int) -> Any:
        key, value = {
            "ports": ((n,), ("enter", 1)),
            "acl": ((None, None, None, n + 1), ("permit", 1)),
            "zoned": ((n % 200, (n << 23, 9)), ("set_class", 1)),
        }[table]
        return session.entry(table, key, value)

    session.write(*((INSERT, row(n)) for n in range(size)))
    assert session.refusals((INSERT, row(size)))[0][0] == code_pb2.RESOURCE_EXHAUSTED
    session.write((DELETE, row(0)))
    session.write((INSERT, row(size)))


def test_errors_stand_beside_their_updates_and_the_others_are_done(session: Session) -> None:
    good, bad = session.entry("ports", (1,), ("enter", 1)), p4r.TableEntry(table_id=99)
    request = session.write_request()
    for entry in (bad, good, bad):
        request.updates.add(type=INSERT).entity.table_entry.CopyFrom(entry)
    with pytest.raises(grpc.RpcError) as caught:
        session.stub.Write(request)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert [code for code, _ in update_codes(caught.value)] == [INVALID, OK, INVALID]
    assert session.entries("ports") == [good]


def test_the_updates_of_one_write_may_be_done_in_any_order() -> None:
    """With a seed they are shuffled: insert and delete of one key in one Write then sometimes fail, as they may."""
    outcomes = set()
    for seed in range(20):
        with mini.running(Options(shuffle_seed=seed)) as made:
            updates = [(INSERT, made.entry("ports", (1,), ("enter", 1))), (DELETE, made.entry("ports", (1,)))]
            try:
                made.write(*updates)
                outcomes.add("in order")
            except grpc.RpcError as error:
                assert [code for code, _ in update_codes(error)] == [OK, code_pb2.NOT_FOUND], "answers stay in the order of the request"
                outcomes.add("out of order")
    assert outcomes == {"in order", "out of order"}
    with mini.running() as made:
        made.write((INSERT, made.entry("ports", (1,), ("enter", 1))), (DELETE, made.entry("ports", (1,))))


# --- who may write, and when


def fails(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        result = call()
        if not hasattr(result, "DESCRIPTOR"):
            list(result)
    return str(caught.value.code().name)


def test_requests_before_a_pipeline_and_for_other_devices() -> None:
    target = InProcessTarget()
    made = Session(target.channel)
    read, get = p4r.ReadRequest(device_id=1), p4r.GetForwardingPipelineConfigRequest(device_id=1)
    assert fails(lambda: made.stub.Read(read)) == "FAILED_PRECONDITION"
    assert fails(lambda: made.stub.GetForwardingPipelineConfig(get)) == "FAILED_PRECONDITION"
    assert fails(lambda: made.stub.Write(made.write_request())) == "PERMISSION_DENIED", "nobody is primary"
    assert fails(lambda: made.bench.inject(made.bench.ensure_port("a"), b"")) == "FAILED_PRECONDITION"
    made.arbitrate()
    assert fails(lambda: made.stub.Write(made.write_request())) == "FAILED_PRECONDITION"
    for request, method in ((p4r.ReadRequest(device_id=2), "Read"), (p4r.WriteRequest(device_id=2), "Write"),
                            (p4r.GetForwardingPipelineConfigRequest(device_id=2), "GetForwardingPipelineConfig"),
                            (p4r.CapabilitiesRequest(device_id=2), "Capabilities")):  # fmt: skip
        assert fails(lambda m=method, r=request: getattr(made.stub, m)(r)) == "NOT_FOUND", method
    assert made.stub.Capabilities(p4r.CapabilitiesRequest()).p4runtime_api_version.startswith("1.")
    target.stop()


def test_only_the_primary_writes_and_only_the_default_role_exists(session: Session) -> None:
    request = session.write_request()
    request.election_id.low = 99
    assert fails(lambda: session.stub.Write(request)) == "PERMISSION_DENIED"
    request = session.write_request()
    request.role = "other"
    assert fails(lambda: session.stub.Write(request)) == "NOT_FOUND"
    request = session.write_request()
    request.atomicity = p4r.WriteRequest.ROLLBACK_ON_ERROR
    assert fails(lambda: session.stub.Write(request)) == "UNIMPLEMENTED"


# --- queries


def query_codes(made: Session, *queries: Any) -> list[int]:
    with pytest.raises(grpc.RpcError) as caught:
        made.read(*queries)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    return [code for code, _ in update_codes(caught.value)]


def test_invalid_queries_are_told_by_place_after_the_answers(session: Session) -> None:
    good = p4r.TableEntry(table_id=session.table_id("protocols"))
    assert query_codes(session, good, p4r.TableEntry(table_id=99), good) == [OK, INVALID, OK]
    assert query_codes(session, p4r.Entity()) == [INVALID]
    assert query_codes(session, p4r.Entity(digest_entry=p4r.DigestEntry())) == [code_pb2.UNIMPLEMENTED]
    assert query_codes(session, session.entry("routes", ((1, 8),))) == [INVALID]
    assert query_codes(session, session.entry("acl", ((1, 1), None, None))) == [INVALID], "a key without its priority"
    assert query_codes(session, p4r.TableEntry(priority=3)) == [INVALID], "over all tables there is no other filter"


def test_what_is_not_there_is_an_empty_answer(session: Session) -> None:
    assert session.read(session.entry("ports", (9,))) == []


# --- counters and meters


def counter(made: Session, name: str, index: int | None = None) -> Any:
    entity = p4r.Entity()
    entity.counter_entry.counter_id = made.find("counters", name).preamble.id if name else 0
    if index is not None:
        entity.counter_entry.index.index = index
    return entity


def counts(entities: list[Any]) -> dict[tuple[int, int], tuple[int, int]]:
    return {
        (e.counter_entry.counter_id, e.counter_entry.index.index): (e.counter_entry.data.packet_count, e.counter_entry.data.byte_count)
        for e in entities
    }


def test_indexed_counters(session: Session) -> None:
    one, _ = open_all(session)
    for _ in range(2):
        session.bench.inject(one, probe(length=100))
    slots, octets = (session.find("counters", name).preamble.id for name in ("slots", "octets"))
    assert counts(session.read(counter(session, "slots", 3))) == {(slots, 3): (2, 0)}
    assert counts(session.read(counter(session, "octets", 3))) == {(octets, 3): (2, 200)}
    whole = counts(session.read(counter(session, "slots")))
    assert len(whole) == 20 and sum(packets for packets, _ in whole.values()) == 2, "as many as P4Info says"
    assert len(session.read(counter(session, ""))) == 28
    change = counter(session, "octets", 3)
    change.counter_entry.data.packet_count = 7
    session.write((MODIFY, change))
    assert counts(session.read(counter(session, "octets", 3))) == {(octets, 3): (7, 0)}
    session.write((MODIFY, counter(session, "octets", 3)))
    assert counts(session.read(counter(session, "octets", 3))) == {(octets, 3): (7, 0)}, "no data, no change"
    everything = counter(session, "octets")
    everything.counter_entry.data.SetInParent()
    session.write((MODIFY, everything))
    assert set(counts(session.read(counter(session, "octets"))).values()) == {(0, 0)}


@pytest.mark.parametrize(
    ("kind", "index", "code"), [(MODIFY, 20, RANGE), (MODIFY, -1, INVALID), (INSERT, 1, INVALID), (DELETE, 1, INVALID)]
)
def test_counter_writes_that_are_refused(session: Session, kind: int, index: int, code: int) -> None:
    change = counter(session, "slots", index)
    change.counter_entry.data.packet_count = 1
    assert session.refusals((kind, change))[0][0] == code


def test_counter_queries_that_are_refused(session: Session) -> None:
    assert query_codes(session, counter(session, "slots", 20)) == [RANGE]
    unknown = p4r.Entity()
    unknown.counter_entry.counter_id = 5
    assert query_codes(session, unknown) == [INVALID]


def test_direct_counters(session: Session) -> None:
    one, _ = open_all(session)
    entry = session.entry("counted", (0x0A000001,), ("count",))
    session.write((INSERT, entry))
    session.bench.inject(one, probe(length=40))
    session.bench.inject(one, probe(src=5, length=60))
    query = p4r.TableEntry(table_id=session.table_id("counted"))
    assert not session.read(query)[0].table_entry.HasField("counter_data"), "not asked for"
    query.counter_data.SetInParent()
    (found,) = session.read(query)
    assert (found.table_entry.counter_data.packet_count, found.table_entry.counter_data.byte_count) == (1, 40)
    direct = p4r.Entity()
    direct.direct_counter_entry.table_entry.CopyFrom(session.entry("counted", (0x0A000001,)))
    (found,) = session.read(direct)
    assert found.direct_counter_entry.data.byte_count == 40 and not found.direct_counter_entry.table_entry.HasField("action")
    missed = p4r.Entity()
    missed.direct_counter_entry.table_entry.CopyFrom(p4r.TableEntry(table_id=session.table_id("counted"), is_default_action=True))
    assert session.read(missed)[0].direct_counter_entry.data.byte_count == 60, "the default entry counts misses"
    direct.direct_counter_entry.data.byte_count = 5
    session.write((MODIFY, direct))
    assert session.read(query)[0].table_entry.counter_data.byte_count == 5
    everything = p4r.Entity()
    everything.direct_counter_entry.SetInParent()
    assert len(session.read(everything)) == 1
    absent = p4r.Entity()
    absent.direct_counter_entry.table_entry.CopyFrom(session.entry("counted", (77,)))
    assert query_codes(session, absent) == [code_pb2.NOT_FOUND]
    none = p4r.Entity()
    none.direct_counter_entry.table_entry.table_id = session.table_id("ports")
    assert query_codes(session, none) == [INVALID]


def test_a_new_entry_s_counter_starts_at_zero_or_where_it_was_told(session: Session) -> None:
    one, _ = open_all(session)
    entry = session.entry("counted", (0x0A000001,), ("count",))
    session.write((INSERT, entry))
    session.bench.inject(one, probe())
    session.write((DELETE, entry))
    session.write((INSERT, entry))
    query = p4r.TableEntry(table_id=session.table_id("counted"))
    query.counter_data.SetInParent()
    assert session.read(query)[0].table_entry.counter_data.packet_count == 0
    session.write((DELETE, entry))
    entry.counter_data.packet_count = 9
    session.write((INSERT, entry))
    assert session.read(query)[0].table_entry.counter_data.packet_count == 9


def test_entries_that_come_and_go_do_not_use_up_the_counters(session: Session) -> None:
    """Entry numbers are used again: the counters' array has room for one table's worth."""
    for source in range(100):
        entry = session.entry("counted", (source,), ("count",))
        session.write((INSERT, entry))
        session.write((DELETE, entry))
    test_direct_counters(session)
    for port in range(100):
        session.write((INSERT, session.entry("ports", (100 + port,), ("enter", 1))))
        session.write((DELETE, session.entry("ports", (100 + port,))))


def meter(made: Session, index: int | None, **config: int) -> Any:
    entity = p4r.Entity()
    entity.meter_entry.meter_id = made.find("meters", "policer").preamble.id
    if index is not None:
        entity.meter_entry.index.index = index
    if config:
        entity.meter_entry.config.CopyFrom(p4r.MeterConfig(**config))
    return entity


def test_meters(session: Session) -> None:
    one, _ = open_all(session)
    assert not session.read(meter(session, 3))[0].meter_entry.HasField("config"), "green, by default"
    session.write((MODIFY, meter(session, 3, cir=100, cburst=100, pir=200, pburst=200)))
    assert session.read(meter(session, 3))[0].meter_entry.config == p4r.MeterConfig(cir=100, cburst=100, pir=200, pburst=200)
    colours = [session.bench.inject(one, probe(length=100), at_seconds=at).metadata["colour"] for at in (0, 0, 0, 1)]
    assert colours == [0, 1, 2, 0]
    assert len(session.read(meter(session, None))) == 4
    session.write((MODIFY, meter(session, 3)))
    assert session.bench.inject(one, probe(length=10000)).metadata["colour"] == 0, "reset"


@pytest.mark.parametrize(
    ("kind", "index", "config", "code"),
    [
        (MODIFY, 4, {"cir": 1, "pir": 1}, RANGE),
        (INSERT, 1, {"cir": 1, "pir": 1}, INVALID),
        (MODIFY, 1, {"cir": 2, "pir": 1}, INVALID),
        (MODIFY, 1, {"cir": -2, "pir": 1}, INVALID),
        (MODIFY, 1, {"eburst": 1}, INVALID),
    ],
)
def test_meter_writes_that_are_refused(session: Session, kind: int, index: int, config: dict[str, int], code: int) -> None:
    assert session.refusals((kind, meter(session, index, **config)))[0][0] == code
