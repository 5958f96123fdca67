"""Felix messages made from the schema alone: one with every field filled in, random ones, and frames of any of them."""

import itertools
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from felix_proto import felixbackend_pb2 as pb
from felix_proto.descriptors import is_repeated
from felix_proto.framing import Frame

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_ENUM: (0, 1 << 10),
}
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co", "Cf")), min_size=1, max_size=8)


def frame(envelope: Message, index: int = 0, offset: int = 0) -> Frame:
    """Return the frame that carries an envelope."""
    return Frame(index, offset, envelope.SerializeToString())


def envelope(payload: Message, schema: Any = pb, sequence_number: int = 0) -> Any:
    """Return a ToDataplane with a payload, whose kind follows from its type."""
    for field in schema.ToDataplane.DESCRIPTOR.oneofs_by_name["payload"].fields:
        if field.message_type is payload.DESCRIPTOR:
            return schema.ToDataplane(sequence_number=sequence_number, **{field.name: payload})
    raise ValueError(f"{payload.DESCRIPTOR.full_name} is no payload")


def payload_kinds(schema: Any = pb) -> list[str]:
    """Return the names of the envelope's payload fields."""
    return [field.name for field in schema.ToDataplane.DESCRIPTOR.oneofs_by_name["payload"].fields]


def fill(message: Any, numbers: Iterator[int] | None = None) -> Any:
    """Give every field of a message a value that occurs once (booleans: true); of a oneof the last member stays."""
    numbers = numbers or itertools.count(1000)
    for field in message.DESCRIPTOR.fields:
        _fill_field(message, field, numbers)
    return message


def _fill_field(message: Any, field: FieldDescriptor, numbers: Iterator[int]) -> None:
    target = getattr(message, field.name)
    if field.message_type is None:
        if is_repeated(field):
            target.extend([_scalar(field, numbers), _scalar(field, numbers)])
        else:
            setattr(message, field.name, _scalar(field, numbers))
    elif field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        key = _scalar(field.message_type.fields_by_name["key"], numbers)
        if value.message_type is None:
            target[key] = _scalar(value, numbers)
        else:
            fill(target[key], numbers)
    else:
        for inner in (target.add(), target.add()) if is_repeated(field) else (target,):
            inner.SetInParent()
            fill(inner, numbers)


def _scalar(field: FieldDescriptor, numbers: Iterator[int]) -> Any:
    number = next(numbers)
    if field.type == FieldDescriptor.TYPE_STRING:
        return f"t{number}"
    return True if field.type == FieldDescriptor.TYPE_BOOL else number


def random_messages(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for keyword arguments of a message, with any subset of its fields."""
    return st.fixed_dictionaries({}, optional={field.name: _random_field(field) for field in descriptor.fields})


def _random_field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(_random_value(entry["key"]), _random_value(entry["value"]), max_size=2)
    value = _random_value(field)
    return st.lists(value, max_size=2) if is_repeated(field) else value


def _random_value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return st.deferred(lambda: random_messages(field.message_type))
    if field.type == FieldDescriptor.TYPE_STRING:
        return _TEXT
    return st.booleans() if field.type == FieldDescriptor.TYPE_BOOL else st.integers(*_INTEGERS[field.type])
