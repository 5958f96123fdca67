"""P4Info tied to the loaded program: which P4 table, action and array is which of the assembly's.

The names come from p4c's context JSON: `name` is P4Info's, `target_name` the assembly's (an action's after the control's name).
"""

from __future__ import annotations

import json
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from k8s_p4.p4rt import p4i
from k8s_p4.target.engines import ENGINES
from k8s_p4.target.errors import LoadError
from k8s_p4.target.externs import MeterArray
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import ActionObject, Machine, TableState
from k8s_p4.target.spec import Spec, parse

EXACT, LPM, TERNARY, OPTIONAL = "exact", "lpm", "ternary", "optional"
_KINDS = {p4i.MatchField.EXACT: EXACT, p4i.MatchField.LPM: LPM, p4i.MatchField.TERNARY: TERNARY, p4i.MatchField.OPTIONAL: OPTIONAL}
_SPEC_KIND = {EXACT: ("exact", "wildcard"), LPM: ("lpm",), TERNARY: ("wildcard",), OPTIONAL: ("wildcard",)}


@dataclass(frozen=True, slots=True)
class MatchField:
    """A match field: P4Info's id, name, width in bits and kind; `shift`: bits below it in the packed key."""

    id: int
    name: str
    bits: int
    kind: str
    shift: int

    @property
    def mask(self) -> int:
        """All ones, as wide as the field."""
        return (1 << self.bits) - 1


@dataclass(slots=True)
class TableSchema:
    """A P4 table. `fields` in P4Info's order; `actions` by P4Info id, `entry_actions` those entries may use."""

    id: int
    name: str
    state: TableState
    fields: tuple[MatchField, ...]
    actions: dict[int, ActionObject]
    entry_actions: dict[int, ActionObject]
    default_actions: dict[int, ActionObject]
    prioritized: bool
    const_entries: bool
    const_default: bool
    size: int
    direct_counter: CounterSchema | None = None

    @property
    def learns(self) -> bool:
        """Whether the data plane writes this table; then nobody else may."""
        return self.state.learner is not None

    @property
    def kind(self) -> str:
        """How the table matches as a whole: "exact", "lpm" or "ternary"."""
        kinds = {match for _, match in self.state.spec.keys}
        return LPM if "lpm" in kinds else TERNARY if "wildcard" in kinds else EXACT


@dataclass(frozen=True, slots=True)
class CounterSchema:
    """A counter: its register lists (None where it does not count that), and how many elements P4Info promises."""

    id: int
    name: str
    size: int
    packets: MutableSequence[int] | None
    octets: MutableSequence[int] | None


@dataclass(frozen=True, slots=True)
class MeterSchema:
    """An indexed meter."""

    id: int
    name: str
    size: int
    meters: MeterArray


@dataclass(slots=True)
class Pipeline:
    """A program with its P4Info. All maps by P4Info id, but `by_state` by the assembly's table name."""

    machine: Machine
    p4info: Any
    tables: dict[int, TableSchema] = field(default_factory=dict)
    counters: dict[int, CounterSchema] = field(default_factory=dict)
    meters: dict[int, MeterSchema] = field(default_factory=dict)
    by_state: dict[str, TableSchema] = field(default_factory=dict)


class _Context:
    """The context JSON as maps from P4Info's names to the assembly's."""

    def __init__(self, text: str, spec: Spec) -> None:
        try:
            document = json.loads(text)
            self._tables = {t["name"]: t for t in document.get("tables", ())}
            self._externs = {e["name"]: e["target_name"] for e in document.get("externs", ())}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoadError(f"context.json: not p4c's context: {error!r}") from None
        self._short = spec.old_names

    def _assembly(self, name: str) -> str:
        return self._short.get(name, name)

    def table(self, name: str) -> str:
        """The assembly's name of a table."""
        if name not in self._tables:
            raise LoadError(f"context.json: no table {name!r}, which P4Info has")
        return self._assembly(self._tables[name]["target_name"])

    def actions(self, table: str) -> dict[str, str]:
        """P4Info's action names to the assembly's, for one table."""
        actions = self._tables[table].get("actions", ())
        return {a["name"]: self._assembly(a["target_name"].rpartition(".")[2]) for a in actions}

    def extern(self, name: str) -> str:
        """The assembly's name of a counter or meter."""
        if name not in self._externs:
            raise LoadError(f"context.json: no extern {name!r}, which P4Info has")
        return self._assembly(self._externs[name])


_parsed = lru_cache(maxsize=4)(parse)


def build_pipeline(spec_text: str, context_text: str, p4info: Any, options: Options) -> Pipeline:
    """Load the program and tie it to P4Info.

    Raises:
        LoadError: one of the three is wrong or they do not belong together; names the file and the object.
    """
    spec = _parsed(spec_text)
    context = _Context(context_text, spec)
    widths = {context.table(t.preamble.name): f.bitwidth for t in p4info.tables for f in t.match_fields if _KINDS.get(f.match_type) == LPM}
    machine = ENGINES[options.engine](spec_text, spec, options, widths)
    pipeline = Pipeline(machine, p4info)
    _refuse_others(p4info)
    actions = {a.preamble.id: a for a in p4info.actions}
    for table in p4info.tables:
        schema = _table(pipeline, context, table, actions)
        pipeline.tables[schema.id] = pipeline.by_state[schema.state.spec.name] = schema
    _externs(pipeline, context)
    return pipeline


def _refuse_others(p4info: Any) -> None:
    for kind in ("action_profiles", "value_sets", "digests", "direct_meters", "externs"):
        if len(getattr(p4info, kind)):
            raise LoadError(f"P4Info: {kind} are not supported ({getattr(p4info, kind)[0]!s})".replace("\n", " "))


def _table(pipeline: Pipeline, context: _Context, table: Any, actions: dict[int, Any]) -> TableSchema:
    name = table.preamble.name
    assembly = context.table(name)
    state = pipeline.machine.tables.get(assembly)
    if state is None:
        raise LoadError(f"P4Info table {name}: the assembly has no table {assembly!r}")
    of_table = _actions(pipeline, context, table, actions)
    refs = {ref.id: ref.scope for ref in table.action_refs}
    default = p4i.ActionRef.DEFAULT_ONLY
    only = p4i.ActionRef.TABLE_ONLY
    return TableSchema(
        id=table.preamble.id, name=name, state=state, fields=_fields(table, state), actions=of_table,
        entry_actions={number: a for number, a in of_table.items() if refs[number] != default},
        default_actions={number: a for number, a in of_table.items() if refs[number] != only},
        prioritized=any(_KINDS.get(f.match_type) in (TERNARY, OPTIONAL) for f in table.match_fields),
        const_entries=table.is_const_table, const_default=bool(table.const_default_action_id) or state.spec.default_const,
        size=state.spec.size or table.size,
    )  # fmt: skip


def _fields(table: Any, state: TableState) -> tuple[MatchField, ...]:
    name, spec = table.preamble.name, state.spec
    if len(table.match_fields) != len(spec.keys):
        raise LoadError(f"P4Info table {name}: {len(table.match_fields)} match fields, {len(spec.keys)} in the assembly")
    shifts = {}
    below = 0
    for position in reversed(range(len(spec.keys))):
        shifts[state.order[position]] = below
        below += state.widths[position]
    fields = []
    for at, info in enumerate(table.match_fields):
        kind = _KINDS.get(info.match_type)
        if kind is None or spec.keys[at][1] not in _SPEC_KIND[kind]:
            raise LoadError(f"P4Info table {name} field {info.name}: match type {info.match_type} for {spec.keys[at][1]} in the assembly")
        if info.bitwidth == 0 or info.bitwidth > state.widths[state.order.index(at)]:
            raise LoadError(f"P4Info table {name} field {info.name}: {info.bitwidth} bits do not fit the assembly's key")
        fields.append(MatchField(info.id, info.name, info.bitwidth, kind, shifts[at]))
    return tuple(fields)


def _actions(pipeline: Pipeline, context: _Context, table: Any, actions: dict[int, Any]) -> dict[int, ActionObject]:
    """The table's actions by P4Info id, their objects filled in with P4Info's names."""
    names = context.actions(table.preamble.name)
    found = {}
    for ref in table.action_refs:
        info = actions[ref.id]
        assembly = names.get(info.preamble.name, info.preamble.name)
        action = pipeline.machine.actions.get(assembly)
        if action is None:
            raise LoadError(f"P4Info table {table.preamble.name}: the assembly has no action {assembly!r} ({info.preamble.name})")
        _name_action(action, info)
        found[ref.id] = action
    return found


def _name_action(action: ActionObject, info: Any) -> None:
    if len(info.params) != len(action.widths) or any(p.bitwidth > w for p, w in zip(info.params, action.widths, strict=True)):
        raise LoadError(f"P4Info action {info.preamble.name}: its parameters do not fit those of {action.name!r} in the assembly")
    action.p4_name, action.p4_id = info.preamble.name, info.preamble.id
    action.param_ids = tuple(p.id for p in info.params)
    action.param_names = tuple(p.name for p in info.params)
    action.param_widths = tuple(p.bitwidth for p in info.params)


def _externs(pipeline: Pipeline, context: _Context) -> None:
    for info in pipeline.p4info.counters:
        counter = _counter(pipeline, context, info, info.size)
        pipeline.counters[counter.id] = counter
    for info in pipeline.p4info.direct_counters:
        table = pipeline.tables[info.direct_table_id]
        table.direct_counter = _counter(pipeline, context, info, 0)
    for info in pipeline.p4info.meters:
        name = context.extern(info.preamble.name)
        if name not in pipeline.machine.meters:
            raise LoadError(f"P4Info meter {info.preamble.name}: the assembly has no meter array {name!r}")
        pipeline.meters[info.preamble.id] = MeterSchema(info.preamble.id, info.preamble.name, info.size, pipeline.machine.meters[name])


def _counter(pipeline: Pipeline, context: _Context, info: Any, size: int) -> CounterSchema:
    name = context.extern(info.preamble.name)
    registers = pipeline.machine.registers
    both = info.spec.unit == p4i.CounterSpec.BOTH
    packets = registers.get(f"{name}_packets" if both else name) if info.spec.unit != p4i.CounterSpec.BYTES else None
    octets = registers.get(f"{name}_bytes" if both else name) if info.spec.unit != p4i.CounterSpec.PACKETS else None
    if packets is None and octets is None:
        raise LoadError(f"P4Info counter {info.preamble.name}: the assembly has no register array {name!r}")
    return CounterSchema(info.preamble.id, info.preamble.name, size, packets, octets)
