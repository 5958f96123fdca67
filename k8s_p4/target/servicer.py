"""The P4Runtime service of the embedded target. Section numbers are those of the P4Runtime specification 1.4."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from google.rpc import code_pb2

from k8s_p4.p4rt import p4r
from k8s_p4.target.arbitration import Arbiter, Controller
from k8s_p4.target.device import Device
from k8s_p4.target.errors import Refused, denied, invalid, not_ready, unimplemented
from k8s_p4.target.rpc import abort

API_VERSION = "1.4.1"
# Entities in one ReadResponse: well below gRPC's default bound of 4 MB for one message.
_READ_CHUNK = 1000
_END = object()


class P4RuntimeServicer:
    """One device behind P4Runtime; one function per method, (request, context)."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arbiter = Arbiter(device.options.device_id)
        device.on_packet_in = self._arbiter.send_to_primary

    def Capabilities(self, request: Any, context: Any) -> Any:
        """The version of the API (section 17)."""
        if request.device_id:
            self._arbiter.check_device(request.device_id)
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    def Write(self, request: Any, context: Any) -> Any:
        """The updates of a batch; if any fails, UNKNOWN with one p4.v1.Error for each (section 12)."""
        self._arbiter.check_writer(request)
        self._device.running()
        if request.atomicity != p4r.WriteRequest.CONTINUE_ON_ERROR:
            raise unimplemented("only CONTINUE_ON_ERROR is supported")
        results = self._device.write(request.updates)
        if any(results):
            abort(context, code_pb2.UNKNOWN, "Write failure.", [_error(result) for result in results])
        return p4r.WriteResponse()

    def Read(self, request: Any, context: Any) -> Iterator[Any]:
        """The entities each query selects; what was invalid is told at the end, by place (section 13)."""
        self._arbiter.check_device(request.device_id)
        self._device.running()
        results: list[Refused | None] = []
        response = p4r.ReadResponse()
        for query in request.entities:
            results.append(None)
            try:
                for entity in self._device.read(query):
                    response.entities.append(entity)
                    if len(response.entities) == _READ_CHUNK:
                        yield response
                        response = p4r.ReadResponse()
            except Refused as refused:
                results[-1] = refused
        if len(response.entities):
            yield response
        if any(results):
            abort(context, code_pb2.UNKNOWN, "Read failure.", [_error(result) for result in results])

    def SetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        """VERIFY, VERIFY_AND_COMMIT and RECONCILE_AND_COMMIT (section 14)."""
        self._arbiter.check_writer(request)
        self._device.set_pipeline(request.action, request.config if request.HasField("config") else None)
        return p4r.SetForwardingPipelineConfigResponse()

    def GetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        """The config in use, or the parts of it that are asked for (section 15)."""
        self._arbiter.check_device(request.device_id)
        config = self._device.running().config
        kinds = p4r.GetForwardingPipelineConfigRequest
        response = p4r.GetForwardingPipelineConfigResponse()
        if config.HasField("cookie"):
            response.config.cookie.CopyFrom(config.cookie)
        else:
            response.config.SetInParent()
        if request.response_type in (kinds.ALL, kinds.P4INFO_AND_COOKIE):
            response.config.p4info.CopyFrom(config.p4info)
        if request.response_type in (kinds.ALL, kinds.DEVICE_CONFIG_AND_COOKIE):
            response.config.p4_device_config = config.p4_device_config
        return response

    def StreamChannel(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        """Arbitration, packet-out, packet-in (sections 5 and 16)."""
        outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        controller = Controller(outgoing.put)
        if not context.add_callback(lambda: outgoing.put(_END)):
            return
        threading.Thread(target=self._listen, args=(controller, requests, outgoing), name="p4runtime-stream", daemon=True).start()
        try:
            while (response := outgoing.get()) is not _END:
                if isinstance(response, Refused):
                    raise response
                yield response
        finally:
            self._arbiter.leave(controller)

    def _listen(self, controller: Controller, requests: Iterator[Any], outgoing: queue.SimpleQueue[Any]) -> None:
        try:
            for request in requests:
                self._stream_message(controller, request)
        except Refused as refused:
            outgoing.put(refused)
        except grpc.RpcError:
            return  # the peer is gone
        finally:
            outgoing.put(_END)

    def _stream_message(self, controller: Controller, request: Any) -> None:
        kind = request.WhichOneof("update")
        if kind == "arbitration":
            self._arbiter.update(controller, request.arbitration)
            return
        if not controller.arbitrated:
            raise not_ready("the first message on the stream must be a MasterArbitrationUpdate")
        try:
            self._from_controller(controller, kind, request)
        except Refused as refused:
            controller.send(_stream_error(kind, request, refused))

    def _from_controller(self, controller: Controller, kind: str | None, request: Any) -> None:
        if kind != "packet":
            raise invalid("a message without content") if kind is None else unimplemented(f"{kind} is not supported")
        if not self._arbiter.is_primary(controller):
            raise denied("packet-out from a controller that is not the primary")
        self._device.packet_out(request.packet)


def _error(refused: Refused | None) -> Any:
    if refused is None:
        return p4r.Error(canonical_code=code_pb2.OK)
    return p4r.Error(canonical_code=refused.code, message=refused.message, space="calico-p4-embedded")


def _stream_error(kind: str | None, request: Any, refused: Refused) -> Any:
    """A StreamError that carries back what caused it (section 16.4)."""
    response = p4r.StreamMessageResponse()
    response.error.canonical_code, response.error.message = refused.code, refused.message
    if kind == "packet":
        response.error.packet_out.packet_out.CopyFrom(request.packet)
    elif kind == "digest_ack":
        response.error.digest_list_ack.digest_list_ack.CopyFrom(request.digest_ack)
    elif kind == "other":
        response.error.other.other.CopyFrom(request.other)
    return response
