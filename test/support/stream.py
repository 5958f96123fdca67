"""Values back to bytes: a Felix stream (3.34) from messages, so that a generated or minimised sequence can be replayed by anybody.

The inverse of ``felix_proto.convert``, for the kinds that policy for workload endpoints is made of and any other whose fields map by
name.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from felix_proto import felixbackend_pb2 as pb
from felix_proto import types as felix
from felix_proto.recordings import RecordingWriter

_KINDS = {field.message_type.name: field.name for field in pb.ToDataplane.DESCRIPTOR.oneofs_by_name["payload"].fields}
_ONE_STRING = {"ProfileID": "name", "NamespaceID": "name", "HostEndpointID": "endpoint_id", "LocalBGPPeer": "bgp_peer_name"}
_OWN_ID = ("Policy", "Profile", "WorkloadEndpoint", "HostEndpoint", "IPAMPool")


def stream(payloads: Iterable[felix.Payload]) -> bytes:
    """Return the bytes that Felix would write for these messages."""
    file = io.BytesIO()
    writer = RecordingWriter(file)
    for number, payload in enumerate(payloads):
        envelope = pb.ToDataplane(sequence_number=number)
        part = getattr(envelope, _KINDS[type(payload).__name__])
        part.SetInParent()
        _fill(part, payload)
        writer.write(envelope.SerializeToString())
    return file.getvalue()


def save(path: Path, payloads: Iterable[felix.Payload]) -> None:
    """Write a recording of these messages."""
    path.write_bytes(stream(payloads))


def _fill(message: Any, value: Any) -> None:
    """Set the fields of a message from the NamedTuple of the same name."""
    for name, content in zip(value._fields, value, strict=True):
        if name in ("icmp", "not_icmp"):
            _fill_icmp(message, name, content)
        elif not (name == "id" and message.DESCRIPTOR.name in _OWN_ID) and content not in ((), None, "", 0, False):
            _set(message, message.DESCRIPTOR.fields_by_name.get(name), content)


def _fill_icmp(message: Any, name: str, content: felix.Icmp | None) -> None:
    if content is not None and content[1] is None:
        setattr(message, f"{name}_type", content[0])
    elif content is not None:
        part = getattr(message, f"{name}_type_code")
        part.type, part.code = content


def _set(message: Any, field: FieldDescriptor | None, content: Any) -> None:
    if field is None:
        return  # of another release
    target = getattr(message, field.name)
    if field.message_type is None:
        target.extend(content) if field.is_repeated else setattr(message, field.name, content)
    elif field.message_type.GetOptions().map_entry:
        _set_map(target, content)
    elif field.is_repeated:
        for item in content:
            _part(target.add(), item)
    else:
        _part(target, content)


def _set_map(target: Any, content: Any) -> None:
    for key, item in content:
        if isinstance(item, str):
            target[key] = item
        else:
            _fill(target[key], item)


def _part(message: Any, value: Any) -> None:
    name = message.DESCRIPTOR.name
    message.SetInParent()
    if name == "Protocol":
        setattr(message, "name" if isinstance(value, str) else "number", value)
    elif name in _ONE_STRING:
        setattr(message, _ONE_STRING[name], value)
    elif name == "RuleMetadata":
        _set_map(message.annotations, value)
    elif name == "PathMatch":
        setattr(message, value.match, value.path)
    else:
        _fill(message, value)
