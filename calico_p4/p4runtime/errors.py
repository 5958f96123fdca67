"""What can go wrong between us and a P4Runtime server, with the words of the specification."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.rpc import code_pb2, status_pb2

from k8s_p4.p4rt import p4r

_DETAILS = "grpc-status-details-bin"
_REFUSED = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
)
"""Codes of a whole Write that may lie in what was sent: its size, or one update among many."""
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class TargetError(Exception):
    """The target refused a request as a whole, or answered something that makes no sense."""


class TargetLost(TargetError):
    """The target is not there, or not any more: worth another try later."""


class RequestRefused(TargetError):
    """A Write failed as a whole though the connection is sound; what of it was carried out is not known."""


class NotPrimary(TargetError):
    """Another client is primary for the device; nothing may be written."""


def raise_target_error(error: grpc.RpcError, doing: str) -> TargetError:
    """Return the exception for a failed call: lost, not primary, or refused, with the server's own text."""
    code, text = error.code(), error.details() or ""
    message = f"{doing}: {code.name}{': ' if text else ''}{text}"
    if code in _GONE:
        return TargetLost(message)
    return NotPrimary(message) if code is grpc.StatusCode.PERMISSION_DENIED else TargetError(message)


def update_errors(error: grpc.RpcError, count: int) -> list[str | None]:
    """Return, for each of the ``count`` updates of a failed Write, None if it was carried out, else code and text.

    The details of the status hold one p4.v1.Error for each update (specification, section "Error Reporting Messages"). An error
    without them says nothing about any update, so none may be taken for carried out.

    Raises:
        RequestRefused: the request was refused as a whole, or without details that fit.
        TargetError: (or another subclass) the connection is lost, we are not primary, or the target is in no state to be written.
    """
    if error.code() is not grpc.StatusCode.UNKNOWN:
        failure = raise_target_error(error, "Write")
        raise (RequestRefused(str(failure)) if error.code() in _REFUSED else failure) from error
    details = _details(error)
    if len(details) != count:
        raise RequestRefused(f"Write: {count} updates, details for {len(details)}: {error.details()}") from error
    return [_text(detail) for detail in details]


def misjudged(error: str) -> bool:
    """Whether an update's error says that the target holds something else under its key than we believed."""
    return error.startswith(("ALREADY_EXISTS", "NOT_FOUND"))


def _details(error: grpc.RpcError) -> Sequence[Any]:
    metadata: Any = error.trailing_metadata() or ()
    for name, value in metadata:
        if name == _DETAILS:
            return [_unpack(detail) for detail in status_pb2.Status.FromString(value).details]
    return []


def _unpack(detail: Any) -> Any:
    unpacked = p4r.Error()
    if not detail.Unpack(unpacked):
        raise RequestRefused(f"Write: a detail is no p4.v1.Error but {detail}")
    return unpacked


def _text(error: Any) -> str | None:
    if error.canonical_code == code_pb2.OK:
        return None
    known = error.canonical_code in code_pb2.Code.values()
    name = code_pb2.Code.Name(error.canonical_code) if known else f"code {error.canonical_code}"
    return f"{name}: {error.message}" if error.message else name
