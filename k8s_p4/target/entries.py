"""Table entries between P4Runtime messages and a table's own form (section 9.1 of the P4Runtime specification).

Each table gets decoders made for it once. They take the common, well-formed message quickly and leave everything else to `explain`, which
goes through the rules one by one and either names what is wrong or, for an unusual but legal order of fields, gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8s_p4.p4rt import p4r
from k8s_p4.target.errors import denied, invalid, out_of_range
from k8s_p4.target.match import Entry, Identity
from k8s_p4.target.runtime import ActionObject
from k8s_p4.target.schema import EXACT, LPM, OPTIONAL, TERNARY, MatchField, TableSchema

from_bytes = int.from_bytes


def canonical(value: int) -> bytes:
    """The shortest byte string for a value; one zero byte for 0 (section 8.3)."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def read_value(data: bytes, bits: int, where: str) -> int:
    """A byte string's value.

    Raises:
        Refused: OUT_OF_RANGE if it is empty or does not fit that many bits.
    """
    if not data:
        raise out_of_range(f"{where}: empty byte string")
    value = from_bytes(data, "big")
    if value >> bits:
        raise out_of_range(f"{where}: 0x{data.hex()} does not fit {bits} bits")
    return value


def key_decoder(schema: TableSchema) -> Callable[[Any], Identity]:
    """A function from a TableEntry to its identity (see `match.Identity`); raises Refused."""
    if schema.kind == EXACT:
        return _exact_decoder(schema)
    return _lpm_decoder(schema) if schema.kind == LPM else _ternary_decoder(schema)


def _exact_decoder(schema: TableSchema) -> Callable[[Any], Identity]:
    plan = tuple((f.id, f.mask, f.shift) for f in schema.fields)
    count = len(plan)

    def decode(entry: Any) -> Identity:
        match = entry.match
        if len(match) != count or entry.priority:
            return explain(schema, entry)
        key = 0
        for field_match, (number, limit, shift) in zip(match, plan, strict=True):
            data = field_match.exact.value
            if field_match.field_id != number or not data:
                return explain(schema, entry)
            value = from_bytes(data, "big")
            if value > limit:
                return explain(schema, entry)
            key |= value << shift
        return key

    return decode


def _lpm_decoder(schema: TableSchema) -> Callable[[Any], Identity]:
    plan = tuple((f.id, f.mask, f.shift) for f in schema.fields if f.kind != LPM)
    lpm = next(f for f in schema.fields if f.kind == LPM)
    count, last, width, limit = len(schema.fields), lpm.id, lpm.bits, lpm.mask
    in_order = schema.fields[-1] is lpm

    def decode(entry: Any) -> Identity:
        match = entry.match
        if len(match) != count or entry.priority or not in_order:
            return explain(schema, entry)
        key = 0
        for field_match, (number, most, shift) in zip(match, plan, strict=False):
            data = field_match.exact.value
            value = from_bytes(data, "big")
            if field_match.field_id != number or not data or value > most:
                return explain(schema, entry)
            key |= value << shift
        prefix = match[count - 1].lpm
        data, length = prefix.value, prefix.prefix_len
        value = from_bytes(data, "big")
        if match[count - 1].field_id != last or not data or value > limit or not 0 < length <= width:
            return explain(schema, entry)
        if value & ((1 << (width - length)) - 1):
            return explain(schema, entry)
        return length, (key | value) >> (width - length)

    return decode


def _ternary_decoder(schema: TableSchema) -> Callable[[Any], Identity]:
    plan = {f.id: (f.mask, f.shift) for f in schema.fields}
    if any(f.kind != TERNARY for f in schema.fields):
        return lambda entry: explain(schema, entry)

    def decode(entry: Any) -> Identity:
        packed_value = packed_mask = seen = 0
        for field_match in entry.match:
            number = field_match.field_id
            ternary = field_match.ternary
            data, mask_data = ternary.value, ternary.mask
            if number not in plan or not data or not mask_data:
                return explain(schema, entry)
            limit, shift = plan[number]
            value, mask = from_bytes(data, "big"), from_bytes(mask_data, "big")
            if not 0 < mask <= limit or value & ~mask or seen >> number & 1:
                return explain(schema, entry)
            seen |= 1 << number
            packed_value |= value << shift
            packed_mask |= mask << shift
        if entry.priority <= 0:
            return explain(schema, entry)
        return packed_value, packed_mask, entry.priority

    return decode


def explain(schema: TableSchema, entry: Any) -> Identity:
    """The identity of a TableEntry, rule by rule.

    Raises:
        Refused: INVALID_ARGUMENT, or OUT_OF_RANGE for a byte string; names table and field.
    """
    by_id = {f.id: f for f in schema.fields}
    values: dict[int, tuple[int, int]] = {}
    for match in entry.match:
        field = by_id.get(match.field_id)
        if field is None:
            raise invalid(f"table {schema.name}: no match field {match.field_id}")
        where = f"table {schema.name} field {field.name}"
        if match.field_id in values:
            raise invalid(f"{where}: given twice")
        values[match.field_id] = _field_value(field, match, where)
    for field in schema.fields:
        if field.kind == EXACT and field.id not in values:
            raise invalid(f"table {schema.name} field {field.name}: an exact field can't be left out")
    _check_priority(schema, entry.priority)
    return _identity(schema, values, entry.priority)


def _check_priority(schema: TableSchema, priority: int) -> None:
    if schema.prioritized and priority <= 0:
        raise invalid(f"table {schema.name}: priority {priority}, but ternary and optional matches need one above 0")
    if not schema.prioritized and priority:
        raise invalid(f"table {schema.name}: priority {priority}, but the key has no ternary or optional field")


def _field_value(field: MatchField, match: Any, where: str) -> tuple[int, int]:
    """(value, mask), for LPM (value, prefix length)."""
    kind = match.WhichOneof("field_match_type")
    if kind != field.kind:
        raise invalid(f"{where}: a {field.kind} field matched as {kind or 'nothing'}")
    part = getattr(match, kind)
    value = read_value(part.value, field.bits, where)
    if kind == LPM:
        return value, _prefix_length(field, part, value, where)
    if kind == TERNARY:
        return value, _mask(field, part, value, where)
    return value, field.mask


def _prefix_length(field: MatchField, part: Any, value: int, where: str) -> int:
    length: int = part.prefix_len
    if not 0 < length <= field.bits:
        raise invalid(f"{where}: prefix length {length} is not within 1..{field.bits} (leave a don't-care match out)")
    if value & ((1 << (field.bits - length)) - 1):
        raise invalid(f"{where}: 0x{value:x} has bits beyond the prefix length {length}")
    return length


def _mask(field: MatchField, part: Any, value: int, where: str) -> int:
    mask = read_value(part.mask, field.bits, where + " mask")
    if mask == 0:
        raise invalid(f"{where}: mask 0 (leave a don't-care match out)")
    if value & ~mask:
        raise invalid(f"{where}: 0x{value:x} has bits outside its mask 0x{mask:x}")
    return mask


def _identity(schema: TableSchema, values: dict[int, tuple[int, int]], priority: int) -> Identity:
    value = sum(values[f.id][0] << f.shift for f in schema.fields if f.id in values)
    if schema.kind == EXACT:
        return value
    if schema.kind == TERNARY:
        return value, sum(values[f.id][1] << f.shift for f in schema.fields if f.id in values), priority
    lpm = next(f for f in schema.fields if f.kind == LPM)
    length = values[lpm.id][1] if lpm.id in values else 0
    return length, value >> (lpm.bits - length)


def action_decoder(schema: TableSchema) -> Callable[[Any], tuple[ActionObject, tuple[int, ...]]]:
    """A function from an entry's TableAction to (action, parameters); raises Refused."""
    plans = {
        number: (action, tuple(zip(action.param_ids, action.param_widths, strict=True)), len(action.param_ids))
        for number, action in schema.entry_actions.items()
    }

    def decode(table_action: Any) -> tuple[ActionObject, tuple[int, ...]]:
        action_message = table_action.action
        plan = plans.get(action_message.action_id)
        params = action_message.params
        if plan is None or len(params) != plan[2]:
            return explain_action(schema, table_action, schema.entry_actions)
        values = []
        for param, (number, bits) in zip(params, plan[1], strict=True):
            data = param.value
            value = from_bytes(data, "big")
            if param.param_id != number or not data or value >> bits:
                return explain_action(schema, table_action, schema.entry_actions)
            values.append(value)
        return plan[0], tuple(values)

    return decode


def explain_action(schema: TableSchema, table_action: Any, allowed: dict[int, ActionObject]) -> tuple[ActionObject, tuple[int, ...]]:
    """(action, parameters), rule by rule (section 9.1.2).

    Raises:
        Refused: INVALID_ARGUMENT; PERMISSION_DENIED for an action outside its scope; OUT_OF_RANGE for a byte string.
    """
    kind = table_action.WhichOneof("type")
    if kind != "action":
        raise invalid(f"table {schema.name}: {'no action' if kind is None else kind + ' for a direct table'}")
    number = table_action.action.action_id
    action = schema.actions.get(number)
    if action is None:
        raise invalid(f"table {schema.name}: action {number} is not one of the table's")
    if number not in allowed:
        raise denied(f"table {schema.name}: action {action.p4_name} is not allowed there (its scope)")
    return action, _params(action, table_action.action.params)


def _params(action: ActionObject, params: Any) -> tuple[int, ...]:
    given: dict[int, bytes] = {}
    for param in params:
        if param.param_id not in action.param_ids or param.param_id in given:
            raise invalid(f"action {action.p4_name}: parameter {param.param_id} is unknown or given twice")
        given[param.param_id] = param.value
    values = []
    for number, name, bits in zip(action.param_ids, action.param_names, action.param_widths, strict=True):
        if number not in given:
            raise invalid(f"action {action.p4_name}: parameter {name} is missing")
        values.append(read_value(given[number], bits, f"action {action.p4_name} parameter {name}"))
    return tuple(values)


def fill_action(message: Any, entry: Entry) -> None:
    """Write an entry's action into a p4.v1.Action."""
    action: ActionObject = entry[4]
    message.action_id = action.p4_id
    for number, value in zip(action.param_ids, entry[1], strict=True):
        message.params.add(param_id=number, value=canonical(value))


def encode(schema: TableSchema, identity: Identity, entry: Entry) -> Any:
    """The TableEntry message of an entry, values canonical, don't-care fields left out."""
    message = p4r.TableEntry(table_id=schema.id, priority=entry[3], is_const=schema.const_entries)
    if schema.kind == LPM:
        _fill_lpm(schema, identity, message)
    else:
        value, mask = identity[:2] if schema.kind == TERNARY else (identity, -1)
        _fill_masked(schema, value, mask, message)
    fill_action(message.action.action, entry)
    if entry[5]:
        message.controller_metadata, message.metadata = entry[5]
    return message


def _fill_masked(schema: TableSchema, packed_value: int, packed_mask: int, message: Any) -> None:
    for field in schema.fields:
        mask = packed_mask >> field.shift & field.mask
        if not mask:
            continue
        value = canonical(packed_value >> field.shift & field.mask)
        match = message.match.add(field_id=field.id)
        if field.kind == EXACT:
            match.exact.value = value
        elif field.kind == OPTIONAL:
            match.optional.value = value
        else:
            match.ternary.value, match.ternary.mask = value, canonical(mask)


def _fill_lpm(schema: TableSchema, identity: tuple[int, int], message: Any) -> None:
    lpm = next(f for f in schema.fields if f.kind == LPM)
    length, key = identity
    key <<= lpm.bits - length
    for field in schema.fields:
        value = canonical(key >> field.shift & field.mask)
        if field is not lpm:
            message.match.add(field_id=field.id).exact.value = value
        elif length:
            match = message.match.add(field_id=field.id)
            match.lpm.value, match.lpm.prefix_len = value, length
