"""Write requests read with half the work: the same wire form under a schema that leaves matches and actions as bytes.

Building a Python object for every match field and parameter costs more than everything else an insert does. On the wire, though, a
field's bytes are a prefix that depends only on the field and the lengths, and the value; so a well-formed match or action is recognised by
comparing that prefix. Whatever looks otherwise, be it wrong or only unusual (padded values, fields in another order), is not judged here:
the functions return None, and the caller takes the way through the full messages (`tables`), which knows every rule.

Field numbers: p4.v1 (p4runtime.proto); the schema is derived from its descriptors, so they can't disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from k8s_p4.p4rt import load_file, p4r
from k8s_p4.target.match import Identity
from k8s_p4.target.runtime import ActionObject
from k8s_p4.target.schema import EXACT, LPM, TERNARY, TableSchema

_PACKAGE = "calico_p4.embedded.wire"
_KEPT = ("WriteRequest", "Update", "Entity", "TableEntry", "Uint128")
# One length byte holds below 128; a longer value is wider than any field and goes the long way.
_LONGEST: Final = 60
_CACHED: Final = 1 << 16
from_bytes = int.from_bytes


def _schema() -> Any:
    file = FileDescriptorProto(name="k8s_p4/target/wire.proto", package=_PACKAGE, syntax="proto2")
    for name in _KEPT:
        message = DescriptorProto()
        getattr(p4r, name).DESCRIPTOR.CopyToProto(message)
        del message.nested_type[:], message.enum_type[:], message.reserved_range[:], message.reserved_name[:]
        for field in message.field:
            _loosen(field)
        file.message_type.append(message)
    return load_file(file.SerializeToString())


def _loosen(field: FieldDescriptorProto) -> None:
    """Messages we do not look into become bytes, enums numbers; the rest stays."""
    name = field.type_name.rpartition(".")[2]
    field.ClearField("json_name")
    if field.type == FieldDescriptorProto.TYPE_ENUM:
        field.type = FieldDescriptorProto.TYPE_INT32
    elif field.type == FieldDescriptorProto.TYPE_MESSAGE and name not in _KEPT:
        field.type = FieldDescriptorProto.TYPE_BYTES
    if field.type == FieldDescriptorProto.TYPE_MESSAGE:
        field.type_name = f".{_PACKAGE}.{name}"
    else:
        field.ClearField("type_name")


_MESSAGES = _schema()
WriteRequest: Final[Any] = _MESSAGES.WriteRequest
"""The request of Write; `match` of a TableEntry is a list of bytes, `action` and other messages are bytes."""


def full_update(update: Any) -> Any:
    """The p4.v1.Update that the wire form stands for."""
    return p4r.Update.FromString(update.SerializeToString())


def key_reader(schema: TableSchema) -> Callable[[Any], Identity]:
    """A function from a loose TableEntry to its identity, or None for anything unusual."""
    if any(f.id > 127 for f in schema.fields) or not schema.fields:
        return lambda entry: None
    if schema.kind == EXACT:
        return _exact_reader(schema)
    return _lpm_reader(schema) if schema.kind == LPM else _ternary_reader(schema)


def _heads(number: int, tag: int, after: int) -> dict[int, bytes]:
    """The first six bytes of a FieldMatch by its whole length; `after`: bytes that follow the value."""
    return {n: bytes((0x08, number, tag, n - 4, 0x0A, n - 6 - after)) for n in range(7 + after, _LONGEST)}


def _exact_reader(schema: TableSchema) -> Callable[[Any], Identity]:
    plan = tuple((_heads(f.id, 0x12, 0), f.mask, f.shift) for f in schema.fields)
    count = len(plan)

    def read(entry: Any) -> Identity:
        match = entry.match
        if len(match) != count or entry.priority:
            return None
        key = 0
        for data, (heads, limit, shift) in zip(match, plan, strict=True):
            if heads.get(len(data)) != data[:6]:
                return None
            value = from_bytes(data[6:], "big")
            if value > limit:
                return None
            key |= value << shift
        return key

    return read


def _lpm_reader(schema: TableSchema) -> Callable[[Any], Identity]:
    plan = tuple((_heads(f.id, 0x12, 0), f.mask, f.shift) for f in schema.fields[:-1])
    last = schema.fields[-1]
    if last.kind != LPM:
        return lambda entry: None
    short, long = _heads(last.id, 0x22, 2), _heads(last.id, 0x22, 3)
    count, width, most = len(schema.fields), last.bits, last.mask

    def read(entry: Any) -> Identity:
        match = entry.match
        if len(match) != count or entry.priority:
            return None
        key = 0
        for data, (heads, limit, shift) in zip(match, plan, strict=False):
            if heads.get(len(data)) != data[:6]:
                return None
            value = from_bytes(data[6:], "big")
            if value > limit:
                return None
            key |= value << shift
        data = match[count - 1]
        if short.get(len(data)) == data[:6] and data[-2] == 0x10 and data[-1] < 0x80:
            value, length = from_bytes(data[6:-2], "big"), data[-1]
        elif long.get(len(data)) == data[:6] and data[-3:] == b"\x10\x80\x01":
            value, length = from_bytes(data[6:-3], "big"), 128
        else:
            return None
        if value > most or not 0 < length <= width or value & ((1 << (width - length)) - 1):
            return None
        return length, (key | value) >> (width - length)

    return read


def _ternary_reader(schema: TableSchema) -> Callable[[Any], Identity]:
    if any(f.kind != TERNARY for f in schema.fields):
        return lambda entry: None
    plan = {f.id: (f.mask, f.shift) for f in schema.fields}
    known: dict[bytes, tuple[int, int, int]] = {}

    def learn(data: bytes) -> tuple[int, int, int] | None:
        field_match = p4r.FieldMatch.FromString(data)
        ternary = field_match.ternary
        limit, shift = plan.get(field_match.field_id, (0, 0))
        value, mask = from_bytes(ternary.value, "big"), from_bytes(ternary.mask, "big")
        if not ternary.value or not 0 < mask <= limit or value & ~mask:
            return None
        if len(known) >= _CACHED:
            known.clear()
        known[data] = found = (value << shift, mask << shift, 1 << field_match.field_id)
        return found

    def read(entry: Any) -> Identity:
        value = mask = seen = 0
        for data in entry.match:
            found = known.get(data) or learn(data)
            if found is None or seen & found[2]:
                return None
            value |= found[0]
            mask |= found[1]
            seen |= found[2]
        priority = entry.priority
        return (value, mask, priority) if priority > 0 else None

    return read


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _param_heads(number: int) -> dict[int, bytes]:
    """The first six bytes of an Action's parameter by its length byte."""
    return {size: bytes((0x22, size, 0x10, number, 0x1A, size - 4)) for size in range(5, _LONGEST)}


def action_reader(schema: TableSchema) -> Callable[[bytes], tuple[ActionObject, tuple[int, ...]] | None]:
    """A function from a TableAction's bytes to (action, parameters), or None for anything unusual."""
    plans = {
        b"\x08" + _varint(number): (
            action,
            tuple((_param_heads(p), bits) for p, bits in zip(action.param_ids, action.param_widths, strict=True)),
        )
        for number, action in schema.entry_actions.items()
        if all(p < 128 for p in action.param_ids)
    }
    lengths = {len(head) for head in plans}
    if len(lengths) != 1:
        return lambda data: None
    start = 2 + lengths.pop()

    def read(data: bytes) -> tuple[ActionObject, tuple[int, ...]] | None:
        plan = plans.get(data[2:start])
        size = len(data)
        # A length of 128 or more takes two bytes: such an action goes the long way.
        if plan is None or size > 129 or data[0] != 0x0A or data[1] != size - 2:
            return None
        at = start
        values = []
        for heads, bits in plan[1]:
            if at + 6 >= size or heads.get(data[at + 1]) != data[at : at + 6]:
                return None
            end = at + 2 + data[at + 1]
            value = from_bytes(data[at + 6 : end], "big")
            if value >> bits:
                return None
            values.append(value)
            at = end
        return (plan[0], tuple(values)) if at == size else None

    return read
