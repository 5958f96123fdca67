"""The stream channel: arbitration (section 5), packet-in and packet-out (section 16); and the pipeline's coming and going (14, 15)."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from k8s_p4.p4rt import p4r
from k8s_p4.target import InProcessTarget, Options, pack_device_config, serve, unpack_device_config
from k8s_p4.target.device import CPU_PORT
from k8s_p4.target.errors import LoadError
from test.support import mini
from test.support.mini import open_all, probe
from test.support.p4target import DELETE, INSERT, Session, rows

CONFIG = p4r.SetForwardingPipelineConfigRequest
BIG = 1 << 100


@pytest.fixture(params=["in-process", "socket"])
def channel(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    """Everything here holds in one process and over a socket."""
    if request.param == "in-process":
        target = InProcessTarget()
        yield target.channel
        target.stop()
        return
    server = serve(f"unix:{tmp_path}/socket")
    with grpc.insecure_channel(server.address) as made:
        yield made
    server.stop()


@pytest.fixture
def sessions(channel: Any) -> Iterator[Callable[[int], Session]]:
    made: list[Session] = []

    def session(election_id: int) -> Session:
        made.append(Session(channel, election_id))
        return made[-1]

    yield session
    for each in made:
        each.close()


def status(response: Any) -> tuple[int, int]:
    """(status code, election id) of an arbitration notification."""
    arbitration = response.arbitration
    return arbitration.status.code, arbitration.election_id.high << 64 | arbitration.election_id.low


def ended(call: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        for _ in call:
            pass
    return str(caught.value.code().name)


def is_primary(session: Session) -> bool:
    request = session.write_request()
    with pytest.raises(grpc.RpcError) as caught:
        session.stub.Write(request)
    return caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # no pipeline: but the primary's


OK, TAKEN, NONE = code_pb2.OK, code_pb2.ALREADY_EXISTS, code_pb2.NOT_FOUND


def test_the_largest_election_id_is_primary(sessions: Any) -> None:
    low, high = sessions(5), sessions(BIG)
    assert status(low.arbitrate()) == (OK, 5)
    assert status(high.arbitrate()) == (OK, BIG)
    assert status(next(low.stream)) == (TAKEN, BIG), "the one that was primary is told"
    assert is_primary(high) and not is_primary(low)


def test_a_backup_is_told_who_is_primary_and_takes_over_when_it_says_more(sessions: Any) -> None:
    first, second = sessions(5), sessions(3)
    first.arbitrate()
    assert status(second.arbitrate()) == (TAKEN, 5)
    first.close()
    assert status(next(second.stream)) == (NONE, 5), "there is no primary now; its id is still the highest ever seen"
    assert not is_primary(second), "smaller than the highest ever"
    second.send_arbitration(6)
    assert status(next(second.stream)) == (OK, 6) and is_primary(second)


def test_a_primary_may_step_down(sessions: Any) -> None:
    first, second = sessions(5), sessions(3)
    first.arbitrate()
    second.arbitrate()
    first.send_arbitration(4)
    assert status(next(first.stream)) == (NONE, 5) and status(next(second.stream)) == (NONE, 5)
    first.send_arbitration(5)
    assert status(next(first.stream)) == (OK, 5) and status(next(second.stream)) == (TAKEN, 5)


def test_without_an_election_id_one_is_a_backup(sessions: Any) -> None:
    backup = sessions(0)
    assert status(backup.arbitrate()) == (NONE, 0) and not is_primary(backup)


def test_arbitration_that_ends_the_stream(sessions: Any, channel: Any) -> None:
    sessions(5).arbitrate()
    twin = sessions(5)
    with pytest.raises(grpc.RpcError) as caught:
        twin.arbitrate()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as caught:
        Session(channel, 9, device_id=2).arbitrate()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    roles = sessions(9)
    update = p4r.MasterArbitrationUpdate(device_id=1, election_id=p4r.Uint128(low=9), role=p4r.Role(name="half"))
    roles.send(p4r.StreamMessageRequest(arbitration=update))
    assert ended(roles.stub.StreamChannel(iter(roles._requests.get, None))) == "INVALID_ARGUMENT"
    moved = sessions(10)
    moved.arbitrate()
    moved.send(p4r.StreamMessageRequest(arbitration=p4r.MasterArbitrationUpdate(device_id=3)))
    assert ended(moved.stream) == "FAILED_PRECONDITION"
    mute = sessions(11)
    mute.send(p4r.StreamMessageRequest(packet=p4r.PacketOut()))
    assert ended(mute.stub.StreamChannel(iter(mute._requests.get, None))) == "FAILED_PRECONDITION"


# --- packets


def packet_out(port: int, payload: bytes) -> Any:
    message = p4r.PacketOut(payload=payload)
    message.metadata.add(metadata_id=1, value=port.to_bytes(4, "big"))
    return p4r.StreamMessageRequest(packet=message)


def test_packet_in_goes_to_the_primary_with_its_metadata(sessions: Any) -> None:
    primary, backup = sessions(5), sessions(3)
    primary.arbitrate()
    backup.arbitrate()
    primary.set_pipeline(mini.p4info(), mini.device_config())
    one, _ = open_all(primary)
    primary.insert("routes", ((0x0B000000, 8),), ("to_controller",))
    sent = primary.bench.inject(one, probe(dst=0x0B000001))
    assert sent.outputs == ((CPU_PORT, one.to_bytes(4, "big") + probe(dst=0x0B000001)),)
    received = next(primary.stream).packet
    assert received.payload == probe(dst=0x0B000001)
    assert [(m.metadata_id, m.value) for m in received.metadata] == [(1, bytes((one,)))], "canonical"
    backup.send_arbitration(3)
    assert next(backup.stream).WhichOneof("update") == "arbitration", "the backup got no packet in between"


def test_packet_out_enters_by_the_cpu_port(sessions: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    session.set_pipeline(mini.p4info(), mini.device_config())
    # The program sends it to the port the metadata names; the CPU port brings it straight back.
    session.send(packet_out(CPU_PORT, b"abcd" + b"payload"))
    received = next(session.stream).packet
    assert received.payload == b"payload" and received.metadata[0].value == b"abcd"


@pytest.mark.parametrize("metadata", [[], [(2, b"\1")], [(1, b"\1"), (1, b"\1")], [(1, b"\1"), (3, b"")]])
def test_packet_out_with_other_metadata_is_refused_on_the_stream(sessions: Any, metadata: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    session.set_pipeline(mini.p4info(), mini.device_config())
    message = p4r.PacketOut(payload=b"x")
    for number, value in metadata:
        message.metadata.add(metadata_id=number, value=value)
    session.send(p4r.StreamMessageRequest(packet=message))
    error = next(session.stream).error
    assert error.canonical_code == code_pb2.INVALID_ARGUMENT and error.packet_out.packet_out == message


def test_other_stream_errors(sessions: Any) -> None:
    session, backup = sessions(5), sessions(3)
    session.arbitrate()
    backup.arbitrate()
    session.send(packet_out(1, b""))
    assert next(session.stream).error.canonical_code == code_pb2.FAILED_PRECONDITION, "no pipeline"
    session.set_pipeline(mini.p4info(), mini.device_config())
    backup.send(packet_out(1, b""))
    assert next(backup.stream).error.canonical_code == code_pb2.PERMISSION_DENIED
    wide = packet_out(1, b"")
    wide.packet.metadata[0].value = bytes((1, 0, 0, 0, 0))
    session.send(wide)
    assert next(session.stream).error.canonical_code == code_pb2.OUT_OF_RANGE
    session.send(p4r.StreamMessageRequest(digest_ack=p4r.DigestListAck(digest_id=4)))
    assert next(session.stream).error.digest_list_ack.digest_list_ack.digest_id == 4
    session.send(p4r.StreamMessageRequest())
    assert next(session.stream).error.canonical_code == code_pb2.INVALID_ARGUMENT


# --- the pipeline


def config_code(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


def test_get_gives_back_what_was_set(sessions: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    info, config = mini.p4info(), mini.device_config()
    session.set_pipeline(info, config, cookie=77)
    kinds = p4r.GetForwardingPipelineConfigRequest

    def get(kind: int) -> Any:
        return session.stub.GetForwardingPipelineConfig(kinds(device_id=1, response_type=kind)).config

    whole = get(kinds.ALL)
    assert whole.p4info == info and whole.p4_device_config == config and whole.cookie.cookie == 77
    assert get(kinds.COOKIE_ONLY) == p4r.ForwardingPipelineConfig(cookie=whole.cookie)
    assert not get(kinds.P4INFO_AND_COOKIE).p4_device_config and get(kinds.P4INFO_AND_COOKIE).p4info == info
    assert not get(kinds.DEVICE_CONFIG_AND_COOKIE).HasField("p4info") and get(kinds.DEVICE_CONFIG_AND_COOKIE).p4_device_config == config


def test_verify_changes_nothing_and_commit_clears(sessions: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    session.set_pipeline(mini.p4info(), mini.device_config())
    session.insert("ports", (1,), ("enter", 1))
    session.set_pipeline(mini.p4info(), mini.device_config(), CONFIG.VERIFY)
    assert len(session.entries("ports")) == 1
    session.set_pipeline(mini.p4info(), mini.device_config(), CONFIG.VERIFY_AND_COMMIT)
    assert session.entries("ports") == [] and len(session.entries("protocols")) == 1


def test_reconcile_keeps_what_is_there_or_refuses(sessions: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    session.set_pipeline(mini.p4info(), mini.device_config())
    one, _ = open_all(session)
    session.bench.inject(one, probe())
    changed = session.entry("routes", (), ("fwd", 2, 3), is_default_action=True)
    session.write((2, changed))
    before = rows(session.entries())
    session.set_pipeline(mini.p4info(), mini.device_config(), CONFIG.RECONCILE_AND_COMMIT, cookie=5)
    assert rows(session.entries()) == before
    assert session.entries("routes", is_default_action=True) == [changed]
    smaller = mini.p4info()
    del smaller.tables[1]  # ports, which has an entry
    code, text = config_code(lambda: session.set_pipeline(smaller, mini.device_config(), CONFIG.RECONCILE_AND_COMMIT))
    assert code == "INVALID_ARGUMENT" and "can't be carried over" in text
    assert rows(session.entries()) == before


def test_configs_that_are_refused(sessions: Any) -> None:
    session = sessions(5)
    session.arbitrate()
    request = CONFIG(device_id=1, election_id=session.election_id, action=CONFIG.VERIFY_AND_COMMIT)
    assert config_code(lambda: session.stub.SetForwardingPipelineConfig(request)) == ("INVALID_ARGUMENT", "no config")
    for action, code in (
        (CONFIG.VERIFY_AND_SAVE, "UNIMPLEMENTED"),
        (CONFIG.COMMIT, "UNIMPLEMENTED"),
        (CONFIG.UNSPECIFIED, "INVALID_ARGUMENT"),
    ):
        assert config_code(lambda a=action: session.set_pipeline(mini.p4info(), mini.device_config(), a))[0] == code
    code, text = config_code(lambda: session.set_pipeline(mini.p4info(), b"junk"))
    assert code == "INVALID_ARGUMENT" and "not a ZIP archive" in text
    other = sessions(3)
    other.arbitrate()
    assert config_code(lambda: other.set_pipeline(mini.p4info(), mini.device_config()))[0] == "PERMISSION_DENIED"


def broken(**replace: tuple[str, str]) -> bytes:
    texts = {"spec": mini.text("spec"), "context": mini.text("context.json"), "entries": mini.text("entries.txtpb")}
    for name, (old, new) in replace.items():
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    return pack_device_config(texts["spec"], texts["context"], texts["entries"])


def without(kind: str, at: int) -> Any:
    info = mini.p4info()
    del getattr(info, kind)[at]
    return info


def with_edit(edit: Callable[[Any], Any]) -> Any:
    info = mini.p4info()
    edit(info)
    return info


@pytest.mark.parametrize(
    ("info", "config", "message"),
    [
        (None, broken(spec=("rx m.pna", "rxx m.pna")), "pipeline.spec line 275: unknown instruction 'rxx'"),
        (None, broken(spec=("table zoned", "table zonal")), "no table 'zoned'"),
        (None, broken(context=('"tables"', '"tubles"')), "context.json: no table 'Main."),
        (None, broken(context=('"Main.deny_0"', '"Main.deny_1"')), "no action 'deny_1'"),
        (None, broken(context=("{", "[")), "context.json: not p4c's context"),
        (None, broken(context=('"name": "Main.policer"', '"name": "Main.police"')), "no extern 'Main.policer'"),
        (None, broken(context=('"target_name": "policer"', '"target_name": "polizei"')), "no meter array"),
        (None, broken(context=('"target_name": "octets"', '"target_name": "oktets"')), "no register array"),
        (None, broken(entries=("0x02000004", "0x02000099")), "entries.txtpb"),
        (None, broken(entries=("field_id: 1", "field_id: 3")), "no match field 3"),
        (with_edit(lambda i: i.tables[1].match_fields[0].__setattr__("bitwidth", 40)), None, "40 bits do not fit"),
        (with_edit(lambda i: i.tables[1].match_fields[0].__setattr__("match_type", 3)), None, "match type 3 for exact"),
        (with_edit(lambda i: i.tables[1].match_fields.add(id=2, name="x")), None, "2 match fields, 1 in the assembly"),
        (with_edit(lambda i: i.actions[1].params.add(id=2, bitwidth=8)), None, "parameters do not fit"),
        (with_edit(lambda i: i.digests.add()), None, "digests are not supported"),
    ],
)
def test_what_does_not_belong_together_is_refused_at_load(sessions: Any, info: Any, config: bytes | None, message: str) -> None:
    session = sessions(5)
    session.arbitrate()
    code, text = config_code(lambda: session.set_pipeline(info or mini.p4info(), config or mini.device_config()))
    assert code == "INVALID_ARGUMENT" and message in text


def test_device_configs() -> None:
    packed = pack_device_config("spec", "{}", "entries")
    assert unpack_device_config(packed) == ("spec", "{}", "entries") and packed == pack_device_config(b"spec", b"{}", b"entries")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}, "no clock in it: a cookie may be made of the bytes"
    assert unpack_device_config(pack_device_config("spec", "{}")).entries == ""
    with pytest.raises(LoadError, match="no member 'context.json'"):
        unpack_device_config(pack_device_config("spec", ""))
    with pytest.raises(LoadError, match="not UTF-8 at byte 1"):
        unpack_device_config(pack_device_config(b"s\xff", "{}"))


def test_entries_of_the_primary_before_stay(sessions: Any) -> None:
    first, second = sessions(5), sessions(6)
    first.arbitrate()
    first.set_pipeline(mini.p4info(), mini.device_config())
    first.insert("ports", (1,), ("enter", 1))
    first.close()
    second.arbitrate()
    second.p4info = mini.p4info()
    assert len(second.entries("ports")) == 1
    second.write((DELETE, second.entry("ports", (1,))), (INSERT, second.entry("ports", (2,), ("enter", 1))))


def test_the_device_id_is_an_option() -> None:
    target = InProcessTarget(Options(device_id=7))
    session = Session(target.channel, device_id=7)
    session.arbitrate()
    session.set_pipeline(mini.p4info(), mini.device_config())
    session.close()
    target.stop()
