"""Finds the place in a message that can't be decoded, for the error text; protobuf itself only says that there is one.

Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
_MAX_VARINT = 10
_WIRE_TYPE = {
    FieldDescriptor.TYPE_STRING: BYTES,
    FieldDescriptor.TYPE_MESSAGE: BYTES,
    FieldDescriptor.TYPE_BYTES: BYTES,
}


class Fault(NamedTuple):
    """What is wrong, in which field ("ToDataplane.ipset_update.id"), and the byte of the message at which."""

    offset: int
    field: str
    reason: str


class _FaultError(Exception):
    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


def locate(data: bytes, descriptor: Descriptor) -> Fault | None:
    """Return the first fault in a serialized message, None if there is none to be seen."""
    return _message(data, 0, len(data), descriptor, descriptor.name)


def _message(data: bytes, position: int, end: int, descriptor: Descriptor, path: str) -> Fault | None:
    while position < end:
        field_path, start = path, position
        try:
            tag, position = _varint(data, position, end)
            field = descriptor.fields_by_number.get(tag >> 3)
            field_path = f"{path}.{field.name if field else tag >> 3}"
            if not tag >> 3:
                raise _FaultError(start, "field number 0")
            value, position = _skip(data, position, end, tag)
        except _FaultError as error:
            return Fault(error.offset, field_path, error.reason)
        if field is not None and tag & 7 == BYTES and (fault := _inside(data, value, position, field, field_path)):
            return fault
    return None


def _inside(data: bytes, start: int, end: int, field: FieldDescriptor, path: str) -> Fault | None:
    """Look into a field with a length: at ``start`` to ``end`` of the data."""
    if field.message_type is not None:
        return _message(data, start, end, field.message_type, path)
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            data[start:end].decode()
        except UnicodeDecodeError as error:
            return Fault(start + error.start, path, "not UTF-8")
    return None


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    value = 0
    for length in range(_MAX_VARINT):
        if position + length >= end:
            raise _FaultError(position, "cut short inside a number")
        byte = data[position + length]
        value |= (byte & 0x7F) << 7 * length
        if byte < 0x80:
            return value, position + length + 1
    raise _FaultError(position, f"a number of more than {_MAX_VARINT} bytes")


def _skip(data: bytes, position: int, end: int, tag: int) -> tuple[int, int]:
    """Return where the content of a field begins, and where it ends."""
    match tag & 7:
        case 0:
            return position, _varint(data, position, end)[1]
        case 1 | 5:
            length = 8 if tag & 7 == FIXED64 else 4
        case 2:
            length, position = _varint(data, position, end)
        case 3:
            return position, _skip_group(data, position, end, tag >> 3)
        case other:
            raise _FaultError(position, f"wire type {other}")
    if position + length > end:
        raise _FaultError(position, f"{length} bytes announced, {end - position} left")
    return position, position + length


def _skip_group(data: bytes, position: int, end: int, number: int) -> int:
    """Return where the group with this field number ends that begins at a position."""
    open_groups = [number]
    while open_groups:
        tag, position = _varint(data, position, end)
        if tag & 7 == START_GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 == END_GROUP and open_groups.pop() != tag >> 3:
            raise _FaultError(position, "a group ends that did not begin")
        elif tag & 7 != END_GROUP:
            position = _skip(data, position, end, tag)[1]
    return position
