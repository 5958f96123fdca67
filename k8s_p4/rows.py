"""Rows of the pipeline's tables, and P4Runtime entries made of them and read back.

A row is `(table, key, value)`, plain tuples: the key has one item per match field (exact `int`, LPM `(value, prefix_len)`, ternary
`(value, mask)`; a ternary table's key ends with the priority), the value is `(action, *params)`. `TABLES[name]` encodes and decodes;
names, widths and ids are those of the P4Info (`schema.py`, generated). `row_types.py` has a typed class for each table.

Encoding writes the wire form of the TableEntry itself: a field's bytes are a prefix that depends on nothing but the length of the
value, and the value. That is twice as fast as setting attributes, and what goes over the channel is the wire form anyway: `wire` and
the client's `encode_update` make a whole request without a message object. Byte strings are canonical, the shortest that hold the value; don't-care
fields are left out (P4Runtime specification, sections "Bytestrings" and "Match format").
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from k8s_p4.fields import Action, Field, TableSchema
from k8s_p4.p4rt import p4r
from k8s_p4.schema import TABLES as _SCHEMA

Key: TypeAlias = tuple[Any, ...]
Value: TypeAlias = tuple[Any, ...]
_Encoder: TypeAlias = Callable[[Any], bytes]

# Tags of the wire form: field number and type, one byte each (p4.v1, p4runtime.proto).
_ENTRY_TABLE_ID, _ENTRY_MATCH, _ENTRY_ACTION, _ENTRY_PRIORITY = b"\x08", b"\x12", b"\x1a", b"\x20"
_MATCH_FIELD_ID: Final = b"\x08"
_MATCH_KIND: Final = {"exact": b"\x12", "ternary": b"\x1a", "lpm": b"\x22"}
_KIND_VALUE, _KIND_MASK, _LPM_LENGTH = b"\x0a", b"\x12", b"\x10"
_TABLE_ACTION_ACTION: Final = b"\x0a"
_ACTION_ID, _ACTION_PARAM = b"\x08", b"\x22"
_PARAM_ID, _PARAM_VALUE = b"\x10", b"\x1a"


class RowError(ValueError):
    """A row that is none: the text names table and field."""


OWNERS: Final[dict[str, str]] = {
    "port": "translator.ports",
    "arp_answer": "translator.neighbour",
    "nd_answer": "translator.neighbour",
    "answer_port": "translator.neighbour",
    **{f"source_{kind}_{family}": "translator.source_guard" for kind in ("host", "net") for family in ("v4", "v6")},
    **{f"{kind}_{family}": "translator.routing" for kind in ("local", "route") for family in ("v4", "v6")},
    "next_hop": "translator.routing",
    **{f"host_rule_{family}": "translator.host_rules" for family in ("v4", "v6")},
    "tunnel": "translator.tunnels",
    **{f"tunnel_{kind}_{family}": "translator.tunnels" for kind in ("local", "peer", "source") for family in ("v4", "v6")},
    **{f"{table}_{family}": "translator.services"
       for table in ("service", "service_source", "backend", "affinity_backend") for family in ("v4", "v6")},
    "dscp": "translator.dscp",
    **{f"cluster_{family}": "translator.dscp" for family in ("v4", "v6")},
    **{f"service_loop_{family}": "translator.service_loop" for family in ("v4", "v6")},
    **{f"floating_{family}": "translator.floating" for family in ("v4", "v6")},
    **{f"masquerade_{family}": "translator.masquerade" for family in ("v4", "v6")},
    **{f"masquerade_address_{family}": "translator.nat" for family in ("v4", "v6")},
    "connection_limit": "translator.qos",
    "epoch": "translator.epoch",
    "reject": "translator.rejects",
    **{f"{side}_identity_{kind}_{family}": "translator.identity"
       for side in ("src", "dst", "pre_dst") for kind in ("host", "net") for family in ("v4", "v6")},
    **{f"{stage}.{table}": "translator.policy"
       for stage in ("untracked_ingress", "untracked_egress", "pre_dnat", "forward_ingress", "egress", "ingress", "forward_egress")
       for table in ("binding", "self_class", "peer_class", "rules")},
}  # fmt: skip
"""Table to the one module that makes its rows."""


class Table:
    """One table: `encode` and `decode` between rows and entries.

    Attributes: `name` (the alias in P4Info), `id`, `size`, `fields`, `actions` by short name, `ternary` (keys end with a priority), `owner`.
    """

    __slots__ = ("_action_encoders", "_action_names", "_field_encoders", "_match", "actions", "fields", "id", "name", "owner", "size", "ternary")

    def __init__(self, name: str, schema: TableSchema) -> None:
        self.name, self.id, self.size, self.fields = name, schema.id, schema.size, schema.fields
        self.actions = {action.name: action for action in schema.actions}
        self.ternary = any(field.kind == "ternary" for field in schema.fields)
        self.owner = OWNERS[name]
        self._field_encoders = tuple(_MAKERS[field.kind](field) for field in schema.fields)
        self._match = self._key_encoder(_ENTRY_TABLE_ID + _varint(schema.id))
        self._action_encoders = {action.name: _action_encoder(action) for action in schema.actions}
        self._action_names = {action.id: action.name for action in schema.actions}

    def _key_encoder(self, head: bytes) -> _Encoder:
        if len(self.fields) == 1 and self.fields[0].kind == "exact":
            return _lone_encoder(head, self.fields[0])
        return (_ternary_key if self.ternary else _joined)(head, self._field_encoders)

    def wire(self, key: Key, value: Value) -> bytes:
        """The wire form of the entry. Raises RowError: unknown action, wrong number of items, a value that does not fit."""
        try:
            entry = self._match(key) + self._action_encoders[value[0]](value)
            return entry + _priority(key[-1]) if self.ternary else entry
        except (KeyError, IndexError, OverflowError, TypeError, ValueError, AttributeError) as error:
            raise self._explain(key, value, error) from None

    def encode(self, key: Key, value: Value) -> Any:
        """The p4.v1.TableEntry of a row. Raises as `wire` does."""
        return p4r.TableEntry.FromString(self.wire(key, value))

    def wire_key(self, key: Key) -> bytes:
        """The wire form of an entry with a key and no action: what a delete needs. Raises as `wire` does."""
        try:
            return self._match(key) + _priority(key[-1]) if self.ternary else self._match(key)
        except (IndexError, OverflowError, TypeError, ValueError, AttributeError) as error:
            raise self._explain(key, (), error) from None

    def decode(self, entry: Any) -> tuple[Key, Value]:
        """The row of a p4.v1.TableEntry, one that `wire` takes again.

        Raises RowError: another table's, an unknown field or action, a parameter missing, a value that does not fit.
        """
        if entry.table_id != self.id:
            raise RowError(f"{self.name}: an entry of table 0x{entry.table_id:08X}, not 0x{self.id:08X}")
        match = {each.field_id: each for each in entry.match}
        key = tuple([_DECODERS[field.kind](match.pop(field.id, None), field, self.name) for field in self.fields])
        if match:
            raise RowError(f"{self.name}: unknown match field {min(match)}")
        if not self.ternary:
            return key, self._decode_action(entry.action.action)
        if not entry.priority > 0:
            raise RowError(f"{self.name}: priority: {entry.priority} is not between 1 and 2147483647")
        return (*key, entry.priority), self._decode_action(entry.action.action)

    def _decode_action(self, action: Any) -> Value:
        name = self._action_names.get(action.action_id)
        if name is None:
            raise RowError(f"{self.name}: unknown action 0x{action.action_id:08X}")
        values = {param.param_id: int.from_bytes(param.value, "big") for param in action.params}
        try:
            value = [_fitting(values.pop(param.id), param, self.name) for param in self.actions[name].params]
        except KeyError as missing:
            raise RowError(f"{self.name}: {name} has no parameter {missing}") from None
        if values:
            raise RowError(f"{self.name}: {name}: unknown parameter {min(values)}")
        return (name, *value)

    def _explain(self, key: Key, value: Value, error: Exception) -> RowError:
        """Find what is wrong with a row that could not be encoded."""
        if len(key) != len(self.fields) + self.ternary:
            return RowError(f"{self.name}: a key of {len(key)} items, not {len(self.fields) + self.ternary}: {key}")
        for field, encode, part in zip(self.fields, self._field_encoders, key, strict=False):
            if _refuses(encode, part):
                return RowError(f"{self.name}: {field.name}: {part!r} is no {field.kind} value of {field.bits} bits")
        if self.ternary and not (isinstance(key[-1], int) and 0 < key[-1] < 1 << 31):
            return RowError(f"{self.name}: priority: {key[-1]!r} is not between 1 and 2147483647")
        if not value or value[0] not in self.actions:
            return RowError(f"{self.name}: no action {value[0] if value else None!r}; there are {', '.join(self.actions)}")
        params = self.actions[value[0]].params
        for param, given in zip(params, value[1:], strict=False):
            if not (isinstance(given, int) and 0 <= given < 1 << param.bits):
                return RowError(f"{self.name}: {value[0]}: {param.name}: {given!r} is no value of {param.bits} bits")
        return RowError(f"{self.name}: {value[0]}: {len(value) - 1} parameters, not {len(params)}: {value} ({error})")


def _ternary_key(head: bytes, encoders: tuple[_Encoder, ...]) -> _Encoder:
    """Encoder of a key with a priority, but for that. Raises as `_joined` does."""
    first, rest = encoders[0], functools.lru_cache(4096)(_joined(b"", encoders[1:]))  # what follows a rule's list is mostly what follows another's
    return lambda key: head + first(key[0]) + rest(key[1:-1])


def _joined(head: bytes, encoders: tuple[_Encoder, ...]) -> _Encoder:
    """Encoder of a key behind `head`. Raises ValueError for another number of items, and what the encoders raise."""
    return lambda key: head + b"".join([encode(part) for encode, part in zip(encoders, key, strict=True)])


def _refuses(encode: _Encoder, part: Any) -> bool:
    try:
        encode(part)
    except (IndexError, OverflowError, TypeError, ValueError, AttributeError):
        return True
    return False


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _framed(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _prefixes(width: int, wrap: Callable[[bytes], bytes]) -> list[bytes]:
    """For each length of a value, 0 to `width` bytes, what `wrap` puts before it. `wrap` must append nothing."""
    prefixes = [b""]  # no value has length 0
    for length in range(1, width + 1):
        filler = bytes(length)
        prefixes.append(wrap(filler)[: -length])
    return prefixes


def _exact_prefixes(field: Field) -> list[bytes]:
    head = _MATCH_FIELD_ID + _varint(field.id)
    return _prefixes(field.bits // 8, lambda v: _framed(_ENTRY_MATCH, head + _framed(_MATCH_KIND["exact"], _framed(_KIND_VALUE, v))))


def _lone_encoder(head: bytes, field: Field) -> _Encoder:
    """Encoder of a key of one exact field, behind `head`."""
    prefixes = [head + prefix for prefix in _exact_prefixes(field)]

    def encode(key: Key) -> bytes:
        (value,) = key
        length = (value.bit_length() + 7) >> 3 or 1
        return prefixes[length] + value.to_bytes(length, "big")  # type: ignore[no-any-return]

    return encode


def _exact_encoder(field: Field) -> _Encoder:
    prefixes = _exact_prefixes(field)

    def encode(value: int) -> bytes:
        length = (value.bit_length() + 7) >> 3 or 1
        return prefixes[length] + value.to_bytes(length, "big")

    return encode


def _lpm_encoder(field: Field) -> _Encoder:
    bits = field.bits
    head = _MATCH_FIELD_ID + _varint(field.id)

    def encode(prefix: tuple[int, int]) -> bytes:
        value, length = prefix
        if not 0 <= length <= bits or value >> bits or value & ((1 << bits - length) - 1):
            raise ValueError
        if length == 0:
            return b""
        content = _framed(_KIND_VALUE, _canonical(value)) + _LPM_LENGTH + _varint(length)
        return _framed(_ENTRY_MATCH, head + _framed(_MATCH_KIND["lpm"], content))

    return encode


class _Ternaries(dict[tuple[int, int], bytes]):
    """A field's matches that were made: the same few values come again and again. Bounded, for a field of ports has many."""

    def __init__(self, field: Field) -> None:
        super().__init__({(0, 0): b""})
        self._bits = field.bits
        self._head = _MATCH_FIELD_ID + _varint(field.id)

    def __missing__(self, ternary: tuple[int, int]) -> bytes:
        value, mask = ternary
        if value & ~mask or mask >> self._bits or value < 0:
            raise ValueError
        content = _framed(_KIND_VALUE, _canonical(value)) + _framed(_KIND_MASK, _canonical(mask))
        if len(self) > 65536:
            self.clear()
            self[0, 0] = b""
        encoded = self[ternary] = _framed(_ENTRY_MATCH, self._head + _framed(_MATCH_KIND["ternary"], content))
        return encoded


def _ternary_encoder(field: Field) -> _Encoder:
    return _Ternaries(field).__getitem__


def _action_encoder(action: Action) -> _Encoder:
    """Encoder of `(action, *params)`."""
    head = _ACTION_ID + _varint(action.id)
    if len(action.params) == 1:
        return _one_param_encoder(head, action.params[0])
    ids = [_PARAM_ID + _varint(param.id) for param in action.params]
    widths = [param.bits // 8 for param in action.params]

    def encode(value: Value) -> bytes:
        content = head
        for known, width, given in zip(ids, widths, value[1:], strict=True):
            if given >> 8 * width:
                raise OverflowError
            content += _framed(_ACTION_PARAM, known + _framed(_PARAM_VALUE, _canonical(given)))
        return _framed(_ENTRY_ACTION, _framed(_TABLE_ACTION_ACTION, content))

    if action.params:
        return encode
    whole = _framed(_ENTRY_ACTION, _framed(_TABLE_ACTION_ACTION, head))
    return lambda value: whole if len(value) == 1 else encode(value)


def _one_param_encoder(head: bytes, param: Field) -> _Encoder:
    known = _PARAM_ID + _varint(param.id)

    def wrap(value: bytes) -> bytes:
        content = head + _framed(_ACTION_PARAM, known + _framed(_PARAM_VALUE, value))
        return _framed(_ENTRY_ACTION, _framed(_TABLE_ACTION_ACTION, content))

    prefixes = _prefixes(param.bits // 8, wrap)

    def encode(value: Value) -> bytes:
        _name, given = value
        length = (given.bit_length() + 7) >> 3 or 1
        return prefixes[length] + given.to_bytes(length, "big")  # type: ignore[no-any-return]

    return encode


@functools.lru_cache(65536)
def _priority(priority: int) -> bytes:
    if not 0 < priority < 1 << 31:
        raise ValueError
    return _ENTRY_PRIORITY + _varint(priority)


def _canonical(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) >> 3 or 1, "big")


def _fitting(value: int, field: Field, table: str) -> int:
    if value >> field.bits:
        raise RowError(f"{table}: {field.name}: {value} is no value of {field.bits} bits")
    return value


def _decode_exact(match: Any, field: Field, table: str) -> int:
    if match is None or not match.HasField("exact"):
        raise RowError(f"{table}: {field.name}: an exact match field is missing")
    return _fitting(int.from_bytes(match.exact.value, "big"), field, table)


def _decode_lpm(match: Any, field: Field, table: str) -> tuple[int, int]:
    if match is None:
        return 0, 0
    value, length = _fitting(int.from_bytes(match.lpm.value, "big"), field, table), match.lpm.prefix_len
    if not 0 < length <= field.bits or value & ((1 << field.bits - length) - 1):
        raise RowError(f"{table}: {field.name}: {value}/{length} is no lpm value of {field.bits} bits")
    return value, length


def _decode_ternary(match: Any, field: Field, table: str) -> tuple[int, int]:
    if match is None:
        return 0, 0
    value, mask = int.from_bytes(match.ternary.value, "big"), _fitting(int.from_bytes(match.ternary.mask, "big"), field, table)
    if value & ~mask or not mask:
        raise RowError(f"{table}: {field.name}: {value} with mask {mask} is no ternary value of {field.bits} bits")
    return value, mask


_MAKERS: Final[dict[str, Callable[[Field], _Encoder]]] = {"exact": _exact_encoder, "lpm": _lpm_encoder, "ternary": _ternary_encoder}
_DECODERS: Final[dict[str, Callable[[Any, Field, str], Any]]] = {"exact": _decode_exact, "lpm": _decode_lpm, "ternary": _decode_ternary}

TABLES: Final[dict[str, Table]] = {name: Table(name, schema) for name, schema in _SCHEMA.items()}
"""Every table that takes entries, by name."""
BY_ID: Final[dict[int, Table]] = {table.id: table for table in TABLES.values()}
"""The same by P4Info id."""


def decode_entry(entry: Any) -> tuple[str, Key, Value]:
    """The row of any p4.v1.TableEntry of the pipeline. Raises RowError: unknown table, and as `Table.decode` does."""
    table = BY_ID.get(entry.table_id)
    if table is None:
        raise RowError(f"no table has id 0x{entry.table_id:08X}")
    return table.name, *table.decode(entry)
