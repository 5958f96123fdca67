"""Messages as trees of their fields, in the order of the wire and with nothing lost: what the text form, redaction and shrinking work on.

Protobuf's own classes forget the order of fields, defaults that were sent all the same, and numbers that were spelled longer than need
be. Here every field keeps its place; what cannot be spelled canonically is kept as the bytes it is.
Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from felix_proto import felixbackend_pb2

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VERBATIM = -1
"""Not a wire type: ``value`` is a whole field, or several, as bytes, tag included."""

Value: TypeAlias = int | bytes | tuple["Field", ...]
TO_DATAPLANE = cast(Descriptor, felixbackend_pb2.ToDataplane.DESCRIPTOR)
FROM_DATAPLANE = cast(Descriptor, felixbackend_pb2.FromDataplane.DESCRIPTOR)
_FIXED = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT = 10
_POLICY_LISTS = ("ingress_policies", "egress_policies")


class Field(NamedTuple):
    """One field as it occurred: its number, wire type (or VERBATIM), and value.

    ``value``: an int for VARINT (0 to 2**64-1) and the fixed ones, bytes, or a tuple of fields where the schema has a message there.
    ``descriptor``: the schema's field, None if it has none with that number and a fitting wire type.
    """

    number: int
    wire_type: int
    value: Any
    descriptor: FieldDescriptor | None = None

    @property
    def name(self) -> str:
        """The field's name; its number where the schema has none."""
        return self.descriptor.name if self.descriptor is not None else str(self.number)


class WireError(ValueError):
    """The bytes are no protobuf message."""


def parse(data: bytes, message: Descriptor = TO_DATAPLANE) -> tuple[Field, ...]:
    """Return the fields of a message. ``encode`` gives the very same bytes back.

    Bytes that are no message at all come as one VERBATIM field.
    """
    try:
        return tuple(_fields(data, message))
    except WireError:
        return (Field(0, VERBATIM, data),)


def _fields(data: bytes, message: Descriptor) -> Iterator[Field]:
    position, end = 0, len(data)
    known = message.fields_by_number
    while position < end:
        start = position
        tag, position, minimal = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        descriptor = known.get(number)
        if wire_type == BYTES:
            length, position, short = _varint(data, position)
            stop = position + length
            if stop > end:
                raise WireError(f"{length} bytes announced, {end - position} left")
            value: Any = _content(data[position:stop], descriptor)
            position, minimal = stop, minimal and short
        elif wire_type == VARINT:
            value, position, short = _varint(data, position)
            minimal = minimal and short and _in_range(value, descriptor)
        elif wire_type in _FIXED:
            stop = position + _FIXED[wire_type]
            if stop > end:
                raise WireError("cut short inside a number")
            value, position = int.from_bytes(data[position:stop], "little"), stop
        else:
            raise WireError(f"wire type {wire_type}")  # groups too: nobody has sent one to Felix's readers
        if number == 0:
            raise WireError("field number 0")
        if not minimal:
            yield Field(number, VERBATIM, data[start:position])
        else:
            yield Field(number, wire_type, value, descriptor if _fits(descriptor, wire_type) else None)


def _varint(data: bytes, position: int) -> tuple[int, int, bool]:
    """Return the number at a position, the position after it, and whether it is spelled as short as can be."""
    try:
        byte = data[position]
        if byte < 0x80:
            return byte, position + 1, True
        value = byte & 0x7F
        for length in range(1, _MAX_VARINT):
            byte = data[position + length]
            value |= (byte & 0x7F) << 7 * length
            if byte < 0x80:
                return value, position + length + 1, byte != 0 and value < 1 << 64
    except IndexError:
        raise WireError("cut short inside a number") from None
    raise WireError("a number of more than 10 bytes")


def _content(content: bytes, descriptor: FieldDescriptor | None) -> Any:
    """Return the fields of an inner message, or the bytes of anything else."""
    if descriptor is None or descriptor.message_type is None:
        return content
    # Up to 3.31 these are names: text, which no PolicyID can look like.
    if descriptor.name in _POLICY_LISTS and content.decode(errors="replace").isprintable() and content:
        return content
    try:
        return tuple(_fields(content, descriptor.message_type))
    except WireError:
        return content


_SIGNED_32 = frozenset((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_ENUM))


def _in_range(value: int, descriptor: FieldDescriptor | None) -> bool:
    """Tell whether a varint has a value that its field can have: 32-bit ones are sign-extended to 64 bits."""
    if descriptor is not None and descriptor.type in _SIGNED_32:
        return value < 1 << 31 or value >= (1 << 64) - (1 << 31)
    return True


_VARINT_TYPES = frozenset(
    (
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
    )
)


def _fits(descriptor: FieldDescriptor | None, wire_type: int) -> bool:
    """Tell whether the schema's field is sent with this wire type."""
    if descriptor is None:
        return False
    if descriptor.type in _VARINT_TYPES:
        return wire_type == VARINT
    return wire_type == (FIXED64 if descriptor.type == FieldDescriptor.TYPE_DOUBLE else BYTES)


def encode(fields: Iterable[Field]) -> bytes:
    """Return the bytes of a message."""
    out = bytearray()
    _encode(fields, out)
    return bytes(out)


def _encode(fields: Iterable[Field], out: bytearray) -> None:
    for number, wire_type, value, _ in fields:
        if wire_type == VERBATIM:
            out += value
            continue
        out += varint(number << 3 | wire_type)
        if wire_type == VARINT:
            out += varint(value)
        elif wire_type == BYTES:
            content = value if isinstance(value, bytes) else encode(value)
            out += varint(len(content))
            out += content
        else:
            out += value.to_bytes(_FIXED[wire_type], "little")


def inner(field: FieldDescriptor) -> Descriptor:
    """Return the message that a field of the schema holds; it must hold one."""
    assert field.message_type is not None, field.full_name
    return field.message_type


def varint(value: int) -> bytes:
    """Return the shortest spelling of a number from 0 to 2**64-1."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
