"""A P4Runtime client for one device: arbitration, pipeline config, batched writes, read-back.

One call after the other; while a Write is under way, its caller may do something. The one thread here reads the stream channel, so that
losing the primary role is noticed at once. Section numbers are those of the P4Runtime specification 1.4.
"""

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.rpc import code_pb2

from calico_p4.p4runtime.errors import NotPrimary, TargetError, TargetLost, raise_target_error, update_errors
from calico_p4.p4runtime.tls import Tls
from k8s_p4.p4rt import METHODS, P4RuntimeStub, p4r

CONNECT_TIMEOUT_S = 4.0
ANSWER_TIMEOUT_S = 10.0
"""For small questions on a connection that stands: a busy machine may pause for seconds, and to connect anew costs a read-back."""
WRITE_TIMEOUT_S = 60.0
_DETAILS = 1 << 24
"""Octets of what may be told of a Write's single updates: it comes as metadata, of which gRPC takes eight kilobytes unasked."""
CHANNEL_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0),
                   ("grpc.max_metadata_size", _DETAILS), ("grpc.absolute_max_metadata_size", _DETAILS))  # fmt: skip


def open_channel(address: str, timeout_s: float = CONNECT_TIMEOUT_S, tls: Tls | None = None) -> grpc.Channel:
    """Connect to ``unix:PATH`` or ``HOST:PORT``, with ``tls`` if given.

    Raises:
        TargetLost: nothing answers there within ``timeout_s`` seconds, or nobody whose certificate holds.
    """
    if tls is None:
        channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    else:
        channel = grpc.secure_channel(address, tls.credentials(), options=(*CHANNEL_OPTIONS, *tls.options()))
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout_s)
    except grpc.FutureTimeoutError:
        channel.close()
        raise TargetLost(f"{address}: no P4Runtime server answers there (waited {timeout_s:g} s)") from None
    return channel


_UPDATE_TYPE = {kind: b"\x08" + bytes([getattr(p4r.Update, kind.upper())]) for kind in ("insert", "modify", "delete")}
_LENGTH = [bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7]) for n in range(1 << 14)]


def encode_update(kind: str, entry: bytes) -> bytes:
    """Return an element of WriteRequest.updates in wire form: insert, modify or delete of a TableEntry in wire form.

    WriteRequest.updates is field 4, Update.type 1 and .entity 2, Entity.table_entry 2; building the messages takes thrice as long.
    Raises IndexError for an entry of 16 KiB or more, which no table has.
    """
    return update_head(kind, len(entry)) + entry


@functools.cache
def update_head(kind: str, length: int) -> bytes:
    """Return what stands before an entry of that many bytes in ``encode_update``; there are not many lengths."""
    entity = b"\x12" + _LENGTH[length]
    update = _UPDATE_TYPE[kind] + b"\x12" + _LENGTH[len(entity) + length] + entity
    return b"\x22" + _LENGTH[len(update) + length] + update


class Client:
    """Primary client of one device over a channel (grpc's own, or the embedded target's in-process one)."""

    def __init__(self, channel: Any, device_id: int) -> None:
        self._stub = P4RuntimeStub(channel)
        self._write = channel.unary_unary(METHODS["Write"].path, request_serializer=bytes, response_deserializer=p4r.WriteResponse.FromString)
        self._device_id = device_id
        self._stand(1)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.packet_in: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """PacketIn and IdleTimeoutNotification messages, in order."""
        self._lost: TargetError | None = None
        self._stream: Any = None
        self._primary = False
        self.writes = 0

    def _stand(self, election_id: int) -> None:
        """Use this election id, 128 bits, from now on."""
        self._election_id = p4r.Uint128(high=election_id >> 64, low=election_id & (1 << 64) - 1)
        self._head = p4r.WriteRequest(device_id=self._device_id, election_id=self._election_id).SerializeToString()

    def arbitrate(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Open the stream channel and become primary (section 5.3).

        A primary that is there is left alone. Where there is none, but there was one with a larger election id than ours, which bars all
        smaller ones for ever, we stand again with the next larger one.

        Raises:
            NotPrimary: another client is primary.
            TargetError: no answer in time, the device is not known, or our election id is in use.
        """
        self.close()
        self._requests, self._answers, self._lost = queue.SimpleQueue(), queue.SimpleQueue(), None
        self._stream = self._stub.StreamChannel(iter(self._requests.get, None))
        threading.Thread(target=self._listen, args=(self._stream, self._answers), name="p4runtime-stream", daemon=True).start()
        answer = self._ask(timeout_s)
        if answer.status.code == code_pb2.NOT_FOUND:
            self._stand((answer.election_id.high << 64 | answer.election_id.low) + 1)
            answer = self._ask(timeout_s)
        if answer.status.code != code_pb2.OK:
            raise self._not_primary(answer)
        self._primary = True

    def _ask(self, timeout_s: float) -> Any:
        """Send our election id; returns the server's MasterArbitrationUpdate."""
        update = p4r.MasterArbitrationUpdate(device_id=self._device_id, election_id=self._election_id)
        self._requests.put(p4r.StreamMessageRequest(arbitration=update))
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise TargetLost(f"arbitration: no answer within {timeout_s:g} s") from None
        if isinstance(answer, TargetError):
            raise answer
        return answer

    def _not_primary(self, answer: Any) -> NotPrimary:
        return NotPrimary(f"device {self._device_id}: another client is primary ({answer.status.message or answer.status.code})")

    def check(self) -> None:
        """Raise what befell the stream channel since: NotPrimary or TargetLost; nothing if all is well."""
        if self._lost is not None:
            raise self._lost

    def pipeline_cookie(self) -> int | None:
        """Return the cookie of the installed pipeline, None where there is no pipeline (section 7.2)."""
        config = self._config(p4r.GetForwardingPipelineConfigRequest.COOKIE_ONLY)
        return int(config.cookie.cookie) if config is not None and config.HasField("cookie") else None

    def p4info(self) -> Any:
        """Return the P4Info of the installed pipeline, None where there is none (section 7.2). Raises TargetError."""
        config = self._config(p4r.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE)
        return config.p4info if config is not None and config.HasField("p4info") else None

    def _config(self, kind: int) -> Any:
        """What is asked of the installed pipeline's configuration, None where there is no pipeline."""
        request = p4r.GetForwardingPipelineConfigRequest(device_id=self._device_id, response_type=kind)
        try:
            return self._stub.GetForwardingPipelineConfig(request, timeout=ANSWER_TIMEOUT_S).config
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                return None
            raise raise_target_error(error, "GetForwardingPipelineConfig") from error

    def takes(self, atomicity: int) -> bool:
        """Whether a Write, here of nothing, may ask for this p4.v1.WriteRequest.Atomicity. Raises TargetError."""
        request = p4r.WriteRequest.FromString(self._head)
        request.atomicity = atomicity
        try:
            self._write(request.SerializeToString(), timeout=WRITE_TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT):
                return False
            raise raise_target_error(error, "Write") from error
        return True

    def set_pipeline(self, p4info: Any, device_config: bytes, cookie: int) -> None:
        """Install a pipeline; every entry on the device is gone afterwards (VERIFY_AND_COMMIT)."""
        config = p4r.ForwardingPipelineConfig(p4info=p4info, p4_device_config=device_config)
        config.cookie.cookie = cookie
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=self._device_id,
            election_id=self._election_id,
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
            config=config,
        )
        try:
            self._stub.SetForwardingPipelineConfig(request, timeout=WRITE_TIMEOUT_S)
        except grpc.RpcError as error:
            raise raise_target_error(error, "SetForwardingPipelineConfig") from error

    def write(self, updates: Sequence[bytes], meanwhile: Callable[[], None] | None = None) -> list[str | None]:
        """Send one Write of updates in wire form (``encode_update``); returns None or the server's code and text for each.

        ``meanwhile`` is called when it is on its way, before the answer is waited for; what it raises is raised when the answer is there.

        Raises:
            TargetError: (or a subclass) if the request failed as a whole; nothing is then known of any update.
        """
        self.writes += 1
        request = self._head + b"".join(updates)
        try:
            if meanwhile is None:
                self._write(request, timeout=WRITE_TIMEOUT_S)
            else:
                self._write_while(request, meanwhile)
        except grpc.RpcError as error:
            return update_errors(error, len(updates))
        return [None] * len(updates)

    def _write_while(self, request: bytes, meanwhile: Callable[[], None]) -> None:
        call = self._write.future(request, timeout=WRITE_TIMEOUT_S)
        try:
            meanwhile()
        finally:
            call.exception()  # waits: no Write is left alone on its way
        call.result()

    def read_tables(self, table_ids: Iterable[int]) -> Iterator[Any]:
        """Yield the TableEntry messages of the given tables, default entries excluded (section 9.1)."""
        return self.read_entries(p4r.TableEntry(table_id=table_id) for table_id in table_ids)

    def read_entries(self, asked: Iterable[Any]) -> Iterator[Any]:
        """Yield the TableEntry messages that match these: of a table, or of one key, with what else is asked for (section 11.1)."""
        request = p4r.ReadRequest(device_id=self._device_id)
        for entry in asked:
            request.entities.add().table_entry.CopyFrom(entry)
        if not request.entities:
            return
        try:
            for response in self._stub.Read(request, timeout=WRITE_TIMEOUT_S):
                for entity in response.entities:
                    yield entity.table_entry
        except grpc.RpcError as error:
            raise raise_target_error(error, "Read") from error

    def read_counters(self, counter_id: int, indices: Iterable[int] | None = None) -> dict[int, int]:
        """Return the packets counted at these indices (None: at all) of an indexed counter (section 9.3). Raises TargetError."""
        request = p4r.ReadRequest(device_id=self._device_id)
        for index in (None,) if indices is None else indices:
            entry = request.entities.add().counter_entry
            entry.counter_id = counter_id
            if index is not None:
                entry.index.index = index
        if not request.entities:
            return {}
        try:
            answers = [entity.counter_entry for response in self._stub.Read(request, timeout=WRITE_TIMEOUT_S) for entity in response.entities]
        except grpc.RpcError as error:
            raise raise_target_error(error, "Read") from error
        return {entry.index.index: entry.data.packet_count for entry in answers}

    def read_meters(self, meter_id: int) -> dict[int, tuple[int, int, int, int]]:
        """Return (cir, cburst, pir, pburst) of those of an indexed meter's elements that are set (section 9.4). Raises TargetError."""
        request = p4r.ReadRequest(device_id=self._device_id)
        request.entities.add().meter_entry.meter_id = meter_id
        try:
            answers = [entity.meter_entry for response in self._stub.Read(request, timeout=WRITE_TIMEOUT_S) for entity in response.entities]
        except grpc.RpcError as error:
            raise raise_target_error(error, "Read") from error
        found = ((entry.index.index, entry.config) for entry in answers if entry.HasField("config"))
        return {index: (config.cir, config.cburst, config.pir, config.pburst) for index, config in found}

    def write_meters(self, wanted: Iterable[tuple[int, int, tuple[int, int, int, int] | None]]) -> list[str | None]:
        """Set elements of meters, (meter id, index, config or None for none); returns and raises as ``write`` does."""
        request = p4r.WriteRequest()
        for meter_id, index, config in wanted:
            entry = request.updates.add(type=p4r.Update.MODIFY).entity.meter_entry
            entry.meter_id, entry.index.index = meter_id, index
            if config is not None:
                entry.config.cir, entry.config.cburst, entry.config.pir, entry.config.pburst = config
        return self._written(request)

    def clear_counters(self, counter_id: int, indices: Iterable[int]) -> list[str | None]:
        """Set the counts at these indices to 0; returns and raises as ``write`` does."""
        request = p4r.WriteRequest()
        for index in indices:
            update = request.updates.add(type=p4r.Update.MODIFY)
            update.entity.counter_entry.counter_id = counter_id
            update.entity.counter_entry.index.index = index
            update.entity.counter_entry.data.SetInParent()
        return self._written(request)

    def write_entities(self, kind: int, entries: Iterable[Any]) -> list[str | None]:
        """Send one Write of updates of this type of TableEntry messages, if there are any; returns and raises as ``write`` does."""
        request = p4r.WriteRequest()
        for entry in entries:
            request.updates.add(type=kind).entity.table_entry.CopyFrom(entry)
        return self._written(request)

    def _written(self, request: p4r.WriteRequest) -> list[str | None]:
        """Send updates, if there are any; what became of each, as ``write`` has it."""
        number = len(request.updates)
        try:
            if number:
                self._write(self._head + request.SerializeToString(), timeout=WRITE_TIMEOUT_S)
        except grpc.RpcError as error:
            return update_errors(error, number)
        return [None] * number

    def packet_out(self, payload: bytes, metadata: Mapping[int, bytes]) -> None:
        """Give the target a packet, with the fields of its packet_out header by their ids (section 16.1). Nothing tells whether it took it."""
        packet = p4r.PacketOut(payload=payload)
        for number, value in metadata.items():
            packet.metadata.add(metadata_id=number, value=value)
        self._requests.put(p4r.StreamMessageRequest(packet=packet))

    def close(self) -> None:
        """End the stream channel; the entries stay on the device."""
        self._requests.put(None)
        if self._stream is not None:
            self._stream.cancel()

    def _listen(self, stream: Any, answers: queue.SimpleQueue[Any]) -> None:
        """Read the stream channel until it ends; runs in a thread of its own."""
        try:
            for response in stream:
                self._hear(response, answers)
            self._lose(TargetLost("stream channel: ended by the server"), answers)
        except grpc.RpcError as error:
            self._lose(raise_target_error(error, "stream channel"), answers)

    def _hear(self, response: Any, answers: queue.SimpleQueue[Any]) -> None:
        kind = response.WhichOneof("update")
        if kind == "packet":
            self.packet_in.put(response.packet)
        elif kind == "idle_timeout_notification":
            self.packet_in.put(response.idle_timeout_notification)
        elif kind == "arbitration" and self._primary and response.arbitration.status.code != code_pb2.OK:
            self._lose(self._not_primary(response.arbitration), answers)
        elif kind == "arbitration":
            answers.put(response.arbitration)

    def _lose(self, error: TargetError, answers: queue.SimpleQueue[Any]) -> None:
        answers.put(error)
        if answers is self._answers:  # not one that was given up
            self._lost = error
