"""Serving a service by its descriptor, and ending a call with a status and its details.

Handlers are gRPC's own (serialized bytes in and out), so that the socket server and the in-process channel go through the same code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import status_pb2

from k8s_p4.p4rt import Method
from k8s_p4.target.errors import Refused

_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def abort(context: Any, code: int, message: str, details: list[Any] | None = None) -> NoReturn:
    """End the call with a canonical code; `details` are packed into a google.rpc.Status beside it."""
    if details:
        status = status_pb2.Status(code=code, message=message)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
    context.abort(_CODES[code], message)
    raise AssertionError("abort returned")


def _refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with what it refuses turned into the call's status."""

    @functools.wraps(function)
    def call(request: Any, context: Any) -> Any:
        try:
            return function(request, context)
        except Refused as refused:
            abort(context, refused.code, refused.message)

    return call


def _refusing_stream(function: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(function)
    def call(request: Any, context: Any) -> Iterator[Any]:
        try:
            yield from function(request, context)
        except Refused as refused:
            abort(context, refused.code, refused.message)

    return call


def handlers(servicer: Any, methods: dict[str, Method]) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """gRPC handlers by path; the servicer has a function (request, context) of each method's name."""
    return {method.path: _handler(getattr(servicer, name), method) for name, method in methods.items()}


def _handler(function: Callable[..., Any], method: Method) -> grpc.RpcMethodHandler[Any, Any]:
    codec = {"request_deserializer": method.request.FromString, "response_serializer": method.response.SerializeToString}
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(_refusing_stream(function), **codec)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_refusing_stream(function), **codec)
    return grpc.unary_unary_rpc_method_handler(_refusing(function), **codec)
