"""The embedded target behind a unix socket or a TCP port."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from k8s_p4.target.bench_servicer import BenchServicer
from k8s_p4.target.device import Device
from k8s_p4.target.inprocess import all_handlers
from k8s_p4.target.interfaces import Interfaces
from k8s_p4.target.options import Options

# One per open stream channel and a few for calls that come in meanwhile.
_THREADS = 32
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))
_UMASK = threading.Lock()


class AddressError(OSError):
    """The address can't be served: malformed, in use, or not ours to bind."""


if TYPE_CHECKING:
    _GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:
    _GenericHandler = grpc.GenericRpcHandler


class _Handlers(_GenericHandler):
    def __init__(self, methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method)


class Server:
    """A running target. `address`: where it listens, with the port number that was chosen if 0 was asked for."""

    def __init__(self, address: str, options: Options) -> None:
        self.device = Device(options)
        self._interfaces = Interfaces(self.device)
        bench = BenchServicer(self.device, self._interfaces if options.real_time else None)
        self._grpc = grpc.server(ThreadPoolExecutor(_THREADS), [_Handlers(all_handlers(self.device, bench))], options=_OPTIONS)
        self.address = _bind(self._grpc, address)
        self._grpc.start()

    def stop(self) -> None:
        """End all calls and close the address; what is on the switch is gone."""
        self._grpc.stop(grace=None).wait()
        self._interfaces.close()
        self.device.clear()
        if self.address.startswith("unix:"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address.removeprefix("unix:"))

    def wait(self, timeout_s: float | None = None) -> None:
        """Block until the server is stopped."""
        self._grpc.wait_for_termination(timeout_s)


def serve(address: str, options: Options | None = None) -> Server:
    """Start a fresh switch on `unix:PATH` (mode 0600) or `HOST:PORT` (port 0: any free one).

    Raises:
        AddressError: the address is malformed, in use or refused by the system.
    """
    return Server(address, options or Options())


def _bind(server: grpc.Server, address: str) -> str:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        _check_free(path)
        with _private_files():
            _add_port(server, address)
        return address
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 0xFFFF:
        raise AddressError(f"{address!r} is neither unix:PATH nor HOST:PORT")
    return f"{host}:{_add_port(server, address)}"


def _add_port(server: grpc.Server, address: str) -> int:
    try:
        number: int = server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressError(f"{address}: {error}") from None
    if number == 0:
        raise AddressError(f"{address}: can't be bound")
    return number


def _check_free(path: str) -> None:
    """gRPC takes over a socket file whoever listens there; a dead one it may have."""
    probe = socket.socket(socket.AF_UNIX)
    with contextlib.closing(probe), contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        try:
            probe.connect(path)
        except (NotADirectoryError, PermissionError) as error:
            raise AddressError(f"unix:{path}: {error.strerror}") from None
        except OSError as error:
            if "too long" in str(error):
                raise AddressError(f"unix:{path}: {error}") from None
            raise
        raise AddressError(f"unix:{path}: somebody is listening there")


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """The socket is made with mode 0600: the umask is the process's, so one server at a time."""
    with _UMASK:
        old = os.umask(0o177)
        try:
            yield
        finally:
            os.umask(old)
