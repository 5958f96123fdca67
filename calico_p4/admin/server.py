"""The driver's side of the admin API: a gRPC server on a unix socket that only its owner may use."""

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from calico_p4.admin import admin_pb2
from calico_p4.files import BadFile
from calico_p4.inspect.matching import Disagreement
from calico_p4.inspect.suggest import Unknown
from calico_p4.log import get_logger
from calico_p4.p4runtime.errors import TargetError
from k8s_p4.p4rt import methods_of

pb: Any = admin_pb2
METHODS = methods_of(pb.DESCRIPTOR.services_by_name["Admin"])
UNIX = "unix:"
_OWNER_ONLY = 0o600
# Two at a time: the driver answers one after the other, and a slow question must not keep a second asker from being told to wait.
_WORKERS = 2
MOST_WATCHERS = 4
"""At a time; each holds a thread of its own, so that questions are answered beside them."""
_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (Unknown, grpc.StatusCode.NOT_FOUND),
    (BadFile, grpc.StatusCode.INVALID_ARGUMENT),
    (TargetError, grpc.StatusCode.UNAVAILABLE),
    (Disagreement, grpc.StatusCode.FAILED_PRECONDITION),
)

Ask = Callable[[str, Mapping[str, Any]], Any]
Watch = Callable[[Mapping[str, Any]], Any]
"""Returns something to iterate that has `cancel`, as `Live.watch` does."""


class AdminServer:
    """Answers questions until it is stopped."""

    def __init__(self, address: str, ask: Ask, watch: Watch | None = None) -> None:
        """Listen on ``unix:PATH``; ``ask`` answers a question by name, in whatever thread calls it; ``watch`` begins to watch packets.

        Raises:
            OSError: nothing can be bound there, or another process answers there.
            ValueError: no unix socket.
        """
        if not address.startswith(UNIX):
            raise ValueError(f"{address}: the admin API listens on unix:PATH only, where the file's mode says who may ask")
        self._path = Path(address.removeprefix(UNIX))
        self._ask, self._watch = ask, watch
        self._watchers = threading.BoundedSemaphore(MOST_WATCHERS)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._server = grpc.server(ThreadPoolExecutor(_WORKERS + MOST_WATCHERS, "admin"), options=(("grpc.max_send_message_length", -1),))
        handler = grpc.unary_unary_rpc_method_handler(self._answer, pb.Question.FromString, pb.Answer.SerializeToString)
        watching = grpc.unary_stream_rpc_method_handler(self._stream, pb.Question.FromString, pb.Answer.SerializeToString)
        self._server.add_generic_rpc_handlers((_Handlers({METHODS["Ask"].path: handler, METHODS["Watch"].path: watching}),))
        self._bind()
        self._server.start()

    def _bind(self) -> None:
        """Bind under a mask that leaves no moment in which others could connect."""
        if self._path.exists() and not stat.S_ISSOCK(self._path.stat().st_mode):
            raise OSError(f"{self._path}: there is a file that is no socket")
        if _answers(self._path):
            raise OSError(f"{self._path}: another driver answers there")
        before = os.umask(0o177)
        try:
            if not self._server.add_insecure_port(f"{UNIX}{self._path}"):
                raise OSError(f"{self._path}: can't be bound")
        except RuntimeError as error:
            raise OSError(f"{self._path}: {error}") from error
        finally:
            os.umask(before)
        self._path.chmod(_OWNER_ONLY)

    def _answer(self, question: Any, context: Any) -> Any:
        try:
            arguments = json.loads(question.arguments or "{}")
            return pb.Answer(json=json.dumps(self._ask(question.name, arguments)))
        except Exception as error:  # noqa: BLE001 - each becomes a status; what is not expected is logged
            return _refuse(question.name, error, context)

    def _stream(self, question: Any, context: Any) -> Iterator[Any]:
        if self._watch is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "nothing can be watched here")
        if not self._watchers.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_WATCHERS} watch already")
        try:
            yield from self._lines(question, context)
        except Exception as error:  # noqa: BLE001 - as in _answer
            if context.is_active():
                _refuse(question.name, error, context)
        finally:
            self._watchers.release()

    def _lines(self, question: Any, context: Any) -> Iterator[Any]:
        assert self._watch is not None
        watching = self._watch(json.loads(question.arguments or "{}"))
        try:
            if context.add_callback(watching.cancel):
                yield pb.Answer()
                for line in watching:
                    yield pb.Answer(json=json.dumps(line))
        finally:
            watching.cancel()

    def stop(self) -> None:
        """Stop, and take the socket away."""
        self._server.stop(0).wait()
        self._path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket; one left behind by a process that is gone is no obstacle."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Handlers by path."""

    def __init__(self, handlers: Mapping[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, None for a method that there is not."""
        return self._handlers.get(handler_call_details.method)


def _refuse(name: str, error: Exception, context: Any) -> None:
    for kind, code in _CODES:
        if isinstance(error, kind):
            context.abort(code, str(error))
    if isinstance(error, KeyError | TypeError | ValueError):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{name}: {error}")
    get_logger().error("question not answered", question=name, error=f"{type(error).__name__}: {error}")
    context.abort(grpc.StatusCode.INTERNAL, f"{name}: {type(error).__name__}: {error}")
