"""P4Runtime's messages and methods, as modules one can use with today's protobuf.

The `p4runtime` package on PyPI carries stubs of an old protoc that the C implementations of protobuf from 4 on refuse to
import ("Descriptors cannot be created directly"). The serialized descriptors inside them are sound: they are read from the
source text, put into the default descriptor pool, and the message classes come from the library's own factory, so they are
as fast as any. `upstream_imports()` tells when this module has become unnecessary.

Names as in finsy and the specification's examples: `p4r` is p4.v1 (p4runtime.proto), `p4d` is p4.v1 (p4data.proto), `p4i` is
p4.config.v1 (p4info.proto), `p4t` is p4.config.v1 (p4types.proto). They are typed `Any`: the classes exist only at run time,
so this is the one boundary at which mypy sees nothing.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import google.protobuf.any_pb2
import google.rpc.status_pb2  # noqa: F401  (both are imported so that the pool holds what the files below depend on)
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

SERVICE: Final = "p4.v1.P4Runtime"
DEPENDENCY_ORDER: Final = ("p4.config.v1.p4types", "p4.config.v1.p4info", "p4.v1.p4data", "p4.v1.p4runtime")
_SERIALIZED = re.compile(
    r"^\s*(?:serialized_pb=|DESCRIPTOR = \w+\.Default\(\)\.AddSerializedFile\()(b(['\"]).*?(?<!\\)(?:\\\\)*\2)", re.MULTILINE
)


class P4RuntimePackageError(ImportError):
    """The installed p4runtime package is absent or not laid out as expected."""


def _stub_path(proto: str) -> Path:
    """Path of the stub of `proto` ("p4.v1.p4runtime"), found without importing the stub."""
    package, name = proto.rsplit(".", 1)
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / f"{name}_pb2.py"
        if path.is_file():
            return path
    raise P4RuntimePackageError(f"{proto}: no stub found; is the package 'p4runtime' installed?")


def _serialized_file(proto: str) -> bytes:
    """The serialized FileDescriptorProto that the stub of `proto` contains."""
    path = _stub_path(proto)
    match = _SERIALIZED.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise P4RuntimePackageError(f"{path}: holds no serialized descriptor")
    serialized: bytes = ast.literal_eval(match.group(1))
    return serialized


def _namespace(file: Any) -> Any:
    """What a generated module would hold: message classes, enum wrappers and the enums' values."""
    names: dict[str, Any] = {"DESCRIPTOR": file}
    for name, message in file.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    return SimpleNamespace(**names)


def load_file(serialized: bytes) -> Any:
    """Put a serialized FileDescriptorProto into the default pool; return what a generated module would hold."""
    pool: Any = descriptor_pool.Default()
    return _namespace(pool.AddSerializedFile(serialized))


p4t, p4i, p4d, p4r = (load_file(_serialized_file(proto)) for proto in DEPENDENCY_ORDER)


class Method(NamedTuple):
    """One method of the service: its path on the wire, message classes, and which sides stream."""

    path: str
    request: Any
    response: Any
    client_streaming: bool
    server_streaming: bool


def methods_of(service: Any) -> dict[str, Method]:
    """The methods of a service descriptor by name."""
    of = message_factory.GetMessageClass
    return {
        m.name: Method(f"/{service.full_name}/{m.name}", of(m.input_type), of(m.output_type), m.client_streaming, m.server_streaming)
        for m in service.methods
    }


METHODS: Final[dict[str, Method]] = methods_of(p4r.DESCRIPTOR.services_by_name["P4Runtime"])


class P4RuntimeStub:
    """The client's side of the service over any `grpc.Channel` (or one that behaves so).

    One callable per method, as in generated stubs: Write, Read, SetForwardingPipelineConfig,
    GetForwardingPipelineConfig, StreamChannel, Capabilities.
    """

    Write: Any
    Read: Any
    SetForwardingPipelineConfig: Any
    GetForwardingPipelineConfig: Any
    StreamChannel: Any
    Capabilities: Any

    def __init__(self, channel: Any) -> None:
        for name, method in METHODS.items():
            setattr(self, name, stub_callable(channel, method))


def stub_callable(channel: Any, method: Method) -> Any:
    """The multi-callable of `channel` for `method`."""
    kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    return getattr(channel, kind)(
        method.path, request_serializer=method.request.SerializeToString, response_deserializer=method.response.FromString
    )


def upstream_imports() -> bool:
    """Whether the installed package's own stubs import with the installed protobuf: then this module can go.

    Asked in a process of its own, because an import that works here would collide with the descriptors loaded above.
    """
    command = [sys.executable, "-c", "import p4.v1.p4runtime_pb2"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
