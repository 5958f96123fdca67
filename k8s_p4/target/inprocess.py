"""The embedded target in the caller's own process: a channel that behaves like gRPC's and ends in the same handlers.

Every message is serialized and parsed again on the way, in both directions, exactly as over a socket.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, NoReturn

import grpc

from k8s_p4 import p4rt
from k8s_p4.target import client, wire
from k8s_p4.target.bench_servicer import BenchServicer
from k8s_p4.target.device import Device
from k8s_p4.target.options import Options
from k8s_p4.target.rpc import handlers
from k8s_p4.target.servicer import P4RuntimeServicer

_END = object()
_AHEAD = 64
"""How many responses of a stream may wait for the client."""


class InProcessError(grpc.RpcError):
    """A call that did not end with OK; has the methods of grpc.Call that clients use."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, bytes], ...]) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details, self._trailing = code, details, trailing

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._code

    def details(self) -> str:
        """The status message."""
        return self._details

    def initial_metadata(self) -> tuple[()]:
        """None is ever sent."""
        return ()

    def trailing_metadata(self) -> Any:
        """With google.rpc.Status under grpc-status-details-bin, if the server sent one."""
        return self._trailing


class _Context:
    """What the servicers use of grpc.ServicerContext."""

    def __init__(self) -> None:
        self._trailing: tuple[tuple[str, bytes], ...] = ()
        self._callbacks: list[Callable[[], None]] = []
        self._ended = False
        self._lock = threading.Lock()

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self._trailing = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise InProcessError(code, details, self._trailing)

    def is_active(self) -> bool:
        return not self._ended

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._lock:
            if not self._ended:
                self._callbacks.append(callback)
            return not self._ended

    def end(self) -> None:
        with self._lock:
            callbacks, self._callbacks, self._ended = self._callbacks, [], True
        for callback in callbacks:
            callback()


class _Call:
    """A running streaming call, iterated by the client; cancel() ends it. The server waits for the client as it does on a socket."""

    def __init__(self, handler: Any, requests: Iterator[Any] | Any, parse: Callable[[bytes], Any]) -> None:
        self._room = threading.Semaphore(_AHEAD)
        self._context = _Context()
        self._responses: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._parse = parse
        self._error: InProcessError | None = None
        threading.Thread(target=self._run, args=(handler, requests), name="in-process-call", daemon=True).start()

    def _run(self, handler: Any, requests: Any) -> None:
        function = handler.stream_stream or handler.unary_stream
        try:
            for response in function(requests, self._context):
                self._room.acquire()
                if not self._context.is_active():
                    break  # cancelled
                self._responses.put(handler.response_serializer(response))
        except InProcessError as error:
            self._responses.put(error)
        except Exception as error:  # noqa: BLE001  (as a gRPC server answers)
            self._responses.put(InProcessError(grpc.StatusCode.UNKNOWN, f"Exception iterating responses: {error}", ()))
        self._responses.put(_END)
        self._context.end()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._error is not None:
            raise self._error
        response = self._responses.get()
        if isinstance(response, InProcessError):
            self._error = response
            raise response
        if response is _END:
            self._responses.put(_END)
            raise StopIteration
        self._room.release()
        return self._parse(response)

    def cancel(self) -> None:
        """End the call; whoever iterates it gets CANCELLED."""
        self._responses.put(InProcessError(grpc.StatusCode.CANCELLED, "Locally cancelled by application!", ()))
        self._context.end()
        self._room.release()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """As grpc.RpcContext: when the call ends."""
        return self._context.add_callback(callback)

    def is_active(self) -> bool:
        """Whether the call is running."""
        return self._context.is_active()

    def code(self) -> grpc.StatusCode:
        """The status, once the call has ended."""
        return grpc.StatusCode.OK if self._error is None else self._error.code()


class UnaryCallable:
    """A method with one request and one response, called as gRPC's are. `future` makes the call before it returns."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, request: Any, timeout: float | None = None, **options: Any) -> Any:
        return self._call(request, timeout, **options)

    def future(self, request: Any, timeout: float | None = None, **options: Any) -> Future[Any]:
        """The response, or the error, to be asked for."""
        answer: Future[Any] = Future()
        try:
            answer.set_result(self._call(request, timeout, **options))
        except grpc.RpcError as error:
            answer.set_exception(error)
        return answer


class InProcessChannel:
    """What stubs use of grpc.Channel. Timeouts are taken and ignored: an answer can't get lost on the way."""

    def __init__(self, methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = methods
        self._calls: list[_Call] = []

    def _handler(self, path: str) -> Any:
        if path not in self._handlers:
            raise InProcessError(grpc.StatusCode.UNIMPLEMENTED, f"Method not found: {path}", ())
        return self._handlers[path]

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> UnaryCallable:
        """A callable (request, timeout=None) -> response."""

        def call(request: Any, timeout: float | None = None, **_: Any) -> Any:
            handler = self._handler(path)
            context = _Context()
            try:
                response = handler.unary_unary(handler.request_deserializer(request_serializer(request)), context)
            finally:
                context.end()
            return response_deserializer(handler.response_serializer(response))

        return UnaryCallable(call)

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Any]:
        """A callable (request, timeout=None) -> iterator of responses."""

        def call(request: Any, timeout: float | None = None, **_: Any) -> Any:
            handler = self._handler(path)
            return self._keep(_Call(handler, handler.request_deserializer(request_serializer(request)), response_deserializer))

        return call

    def stream_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Any]:
        """A callable (iterable of requests, timeout=None) -> iterator of responses."""

        def call(requests: Iterable[Any], timeout: float | None = None, **_: Any) -> Any:
            handler = self._handler(path)
            sent = (handler.request_deserializer(request_serializer(request)) for request in requests)
            return self._keep(_Call(handler, sent, response_deserializer))

        return call

    def _keep(self, call: _Call) -> _Call:
        self._calls = [running for running in self._calls if running.is_active()]
        self._calls.append(call)
        return call

    def close(self) -> None:
        """End all calls."""
        for call in self._calls:
            if call.is_active():
                call.cancel()


class InProcessTarget:
    """A fresh switch without a socket: `channel` serves P4Runtime (k8s_p4.p4rt.P4RuntimeStub) and EmbeddedClient."""

    def __init__(self, options: Options | None = None) -> None:
        self.device = Device(options or Options())
        self.channel = InProcessChannel(all_handlers(self.device))

    def stop(self) -> None:
        """End all calls; what is on the switch is gone."""
        self.channel.close()
        self.device.clear()


def all_handlers(device: Device, bench: BenchServicer | None = None) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """The handlers of both services, by path."""
    own = handlers(bench or BenchServicer(device), client.METHODS)
    methods = p4rt.METHODS | {"Write": p4rt.METHODS["Write"]._replace(request=wire.WriteRequest)}
    return handlers(P4RuntimeServicer(device), methods) | own
