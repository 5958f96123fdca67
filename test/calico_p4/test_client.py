"""The P4Runtime client: wire form of updates, and what becomes of errors."""

import time
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Timer

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, status_pb2

from calico_p4.order import ORDER
from calico_p4.p4runtime.client import Client, encode_update, open_channel
from calico_p4.p4runtime.errors import NotPrimary, RequestRefused, TargetError, TargetLost, update_errors
from calico_p4.switch import embedded
from datastore.tracker import Op
from k8s_p4.p4rt import p4r
from k8s_p4.rows import TABLES
from test.support.target import PATIENCE_S, connected, running_target

ROWS = {
    "egress.rules": (((7, 0xFFFFFFFF), (4, 255), (6, 255), (1, 255), (0, 0), (80, 0xFFFF), (0, 0), (0, 0), 9), ("allow", 3)),
    "local_v6": ((0xFD << 120 | 5,), ("to_workload", 1, 2, 3)),
    "next_hop": ((300,), ("send", 1, 0xEEEEEEEEEEEE, 2, 0)),
}


@pytest.mark.parametrize("kind", ["insert", "modify", "delete"])
@pytest.mark.parametrize("table", ROWS)
def test_an_update_written_by_hand_is_what_the_library_would_write(kind: str, table: str):
    key, value = ROWS[table]
    entry = TABLES[table].encode(key, value)
    request = p4r.WriteRequest(device_id=1, election_id=p4r.Uint128(low=5))
    update = request.updates.add(type=getattr(p4r.Update, kind.upper()))
    update.entity.table_entry.CopyFrom(entry)
    head = p4r.WriteRequest(device_id=1, election_id=p4r.Uint128(low=5)).SerializeToString()
    assert p4r.WriteRequest.FromString(head + encode_update(kind, TABLES[table].wire(key, value))) == request


def test_every_table_of_the_pipeline_has_its_place_in_the_order():
    assert TABLES.keys() <= {table for line in ORDER for table in line.tables}


class Failure(grpc.RpcError):
    """A failed call, as grpc would raise it."""

    def __init__(self, code: grpc.StatusCode, text: str = "", details: list | None = None) -> None:
        self._code, self._text, self._details = code, text, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> tuple:
        if self._details is None:
            return ()
        status = status_pb2.Status(code=2)
        for detail in self._details:
            status.details.add().Pack(detail)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def test_each_update_has_its_own_error():
    full = p4r.Error(canonical_code=code_pb2.RESOURCE_EXHAUSTED, message="table full")
    failure = Failure(grpc.StatusCode.UNKNOWN, "", [p4r.Error(), full, p4r.Error(canonical_code=77)])
    assert update_errors(failure, 3) == [None, "RESOURCE_EXHAUSTED: table full", "code 77"]


def test_details_that_do_not_fit_excuse_no_update():
    for failure in (Failure(grpc.StatusCode.UNKNOWN, "boom", [p4r.Error()]), Failure(grpc.StatusCode.UNKNOWN, "boom")):
        with pytest.raises(TargetError, match="Write: 2 updates, details for [01]: boom"):
            update_errors(failure, 2)
    with pytest.raises(TargetError, match="no p4.v1.Error"):
        update_errors(Failure(grpc.StatusCode.UNKNOWN, "", [any_pb2.Any(type_url="x/y")]), 1)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, TargetLost),
        (grpc.StatusCode.DEADLINE_EXCEEDED, TargetLost),
        (grpc.StatusCode.PERMISSION_DENIED, NotPrimary),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRefused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, RequestRefused),
        (grpc.StatusCode.FAILED_PRECONDITION, TargetError),
    ],
)
def test_a_request_that_fails_as_a_whole(code: grpc.StatusCode, kind: type):
    with pytest.raises(kind, match=f"Write: {code.name}: why") as caught:
        update_errors(Failure(code, "why"), 1)
    assert type(caught.value) is kind


@pytest.mark.parametrize("where", ["in this process", "behind a socket"])
def test_what_is_done_while_a_write_is_on_its_way(where: str, tmp_path):
    """It is done once, whatever the answer, and may fail."""
    with ExitStack() as stack:
        target = embedded() if where == "in this process" else connected(stack.enter_context(running_target(tmp_path)))
        stack.callback(target.close)
        target.prepare()
        done: list[str] = []
        row = ("port", (7,), ("host",))
        assert target.write([Op("insert", *row)], None, lambda: done.append("insert")) == [None]
        (error,) = target.write([Op("insert", *row)], None, lambda: done.append("again"))
        assert error is not None and error.startswith("ALREADY_EXISTS") and done == ["insert", "again"]
        with pytest.raises(ZeroDivisionError):
            target.write([Op("delete", "port", (7,), None)], None, lambda: 1 // 0)
        assert target.read("port") == {}


class Late:
    """A channel whose Writes are answered a while after they were sent."""

    def __init__(self) -> None:
        self.answer: Future[p4r.WriteResponse] = Future()

    def future(self, request: bytes, timeout: float) -> "Future[p4r.WriteResponse]":
        Timer(0.1, self.answer.set_result, [p4r.WriteResponse()]).start()
        return self.answer

    def unary_unary(self, *_: object, **__: object) -> "Late":
        return self

    unary_stream = stream_stream = unary_unary


def test_no_write_is_left_on_its_way():
    late = Late()
    with pytest.raises(ZeroDivisionError):
        Client(late, 1).write([b""], lambda: 1 // 0)
    assert late.answer.done()


def test_nobody_there_is_told_in_time(tmp_path):
    with pytest.raises(TargetLost, match="no P4Runtime server answers there"):
        open_channel(f"unix:{tmp_path}/nobody.sock", timeout_s=0.3)


class Stream:
    """A channel whose stream gives what it was made with, then stays open until cancelled."""

    def __init__(self, *responses) -> None:
        self.responses = responses

    def stream_stream(self, *args, **kwargs):
        return lambda requests: _Call(self.responses)

    def unary_unary(self, *args, **kwargs):
        return None

    unary_stream = unary_unary


class _Call:
    def __init__(self, responses) -> None:
        self._responses = iter(responses)

    def __iter__(self):
        return self._responses

    def cancel(self) -> None:
        pass


def arbitration(code: int) -> object:
    response = p4r.StreamMessageResponse()
    response.arbitration.status.code = code
    response.arbitration.status.message = "somebody else"
    response.arbitration.election_id.low = 77
    return response


def test_arbitration_won_lost_and_unanswered():
    Client(Stream(arbitration(code_pb2.OK)), 1).arbitrate()
    with pytest.raises(NotPrimary, match="device 1: another client is primary"):
        Client(Stream(arbitration(code_pb2.ALREADY_EXISTS)), 1).arbitrate()
    with pytest.raises(TargetLost, match="ended by the server"):
        Client(Stream(), 1).arbitrate()


def test_an_election_id_left_behind_is_outbid():
    client = Client(Stream(arbitration(code_pb2.NOT_FOUND), arbitration(code_pb2.OK)), 1)
    client.arbitrate()
    assert client._election_id == p4r.Uint128(low=78)


def test_losing_the_primary_role_later_is_noticed(tmp_path):
    with running_target(tmp_path) as address:
        first, second = connected(address), connected(address)
        first.prepare()
        first.client.check()
        with pytest.raises(TargetError):
            second.prepare()
        second.client = Client(open_channel(address), 1)
        second.client._stand(1 << 70)
        second.client.arbitrate()
        with pytest.raises(NotPrimary):
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                first.client.check()
                time.sleep(0.001)
        first.close()
        second.close()
        third = connected(address)
        third.prepare()
        third.close()
