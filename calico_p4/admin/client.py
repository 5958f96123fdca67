"""The asker's side of the admin API."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from calico_p4.admin import admin_pb2
from calico_p4.files import BadFile
from calico_p4.inspect.matching import Disagreement
from calico_p4.inspect.suggest import Unknown
from calico_p4.p4runtime.client import open_channel
from calico_p4.p4runtime.errors import TargetError, TargetLost
from k8s_p4.p4rt import methods_of, stub_callable

pb: Any = admin_pb2
ANSWER_TIMEOUT_S = 120.0
CONNECT_TIMEOUT_S = 2.0
_ERRORS: Mapping[grpc.StatusCode, type[Exception]] = {
    grpc.StatusCode.NOT_FOUND: Unknown,
    grpc.StatusCode.INVALID_ARGUMENT: BadFile,
    grpc.StatusCode.FAILED_PRECONDITION: Disagreement,
}


class AdminClient:
    """Asks the driver behind a socket."""

    def __init__(self, address: str) -> None:
        """Connect to ``unix:PATH``. Raises TargetLost where no driver answers."""
        try:
            self._channel = open_channel(address, CONNECT_TIMEOUT_S)
        except TargetLost as error:
            raise TargetLost(f"{address}: no driver answers there") from error
        methods = methods_of(pb.DESCRIPTOR.services_by_name["Admin"])
        self._call, self._watch = (stub_callable(self._channel, methods[name]) for name in ("Ask", "Watch"))

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer, as data. Raises what the driver met: Unknown, BadFile, Disagreement or TargetError, with its text."""
        try:
            answer = self._call(pb.Question(name=question, arguments=json.dumps(arguments)), timeout=ANSWER_TIMEOUT_S)
        except grpc.RpcError as error:
            raise _error(error) from error
        return json.loads(answer.json)

    def watch(self, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Yield None once the switch is watched, then a line for each packet (`monitor.Describer.line`), without end.

        Raises as `ask`; closing the iterator, or the client, ends it.
        """
        call = self._watch(pb.Question(name="monitor", arguments=json.dumps(arguments)))
        try:
            for answer in call:
                yield json.loads(answer.json) if answer.json else None
        except grpc.RpcError as error:
            raise _error(error) from error
        finally:
            call.cancel()

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()


def _error(error: grpc.RpcError) -> Exception:
    return _ERRORS.get(error.code(), TargetError)(error.details())
