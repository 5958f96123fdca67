"""Python made from the P4Info: the tables as plain data (`schema.py`), and a class for each (`row_types.py`).

Parsing a P4Info takes longer than everything else at start, and a class made at run time has no types a checker could see.
"""

from __future__ import annotations

from typing import Any, Final

_HEADER: Final = '"""{}\n\nGenerated from the P4Info by `python -m k8s_p4.compile`; do not edit.\n"""\n\nfrom __future__ import annotations\n'
_KINDS: Final = {2: "exact", 3: "lpm", 4: "ternary"}
_TYPES: Final = {"exact": "int", "lpm": "Prefix", "ternary": "Ternary"}
_DEFAULT_ONLY: Final = 2
_LEARNS: Final = "@learns"


def schema(p4info: Any) -> str:
    """Text of `schema.py`: TABLES by alias, with ids, fields and the actions an entry may have; COUNTERS."""
    actions = {action.preamble.id: action for action in p4info.actions}
    lines = [_HEADER.format("Tables and counters of the pipeline as plain data."), "from k8s_p4.fields import Action, Field, TableSchema", "",
             "TABLES: dict[str, TableSchema] = {"]  # fmt: skip
    for table in _written_tables(p4info):
        lines += _table_lines(table, actions)
    lines += ["}", "", "COUNTERS: dict[str, tuple[int, int]] = {"]
    lines += [f"    {_text(c.preamble.alias)}: (0x{c.preamble.id:08X}, {c.size})," for c in p4info.counters]
    lines += ["}", '"""Alias to (id, size)."""', "", "METERS: dict[str, tuple[int, int]] = {"]
    lines += [f"    {_text(m.preamble.alias)}: (0x{m.preamble.id:08X}, {m.size})," for m in p4info.meters]
    lines += ["}", '"""Alias to (id, size)."""']
    return "\n".join(lines) + "\n"


def _written_tables(p4info: Any) -> list[Any]:
    """The tables that take entries: a table without key is a constant of the program, one that learns is the data plane's."""
    return [table for table in p4info.tables if table.match_fields and _LEARNS not in table.preamble.annotations]


def _entry_actions(table: Any, actions: dict[int, Any]) -> list[Any]:
    return [actions[ref.id] for ref in table.action_refs if ref.scope != _DEFAULT_ONLY]


def _table_lines(table: Any, actions: dict[int, Any]) -> list[str]:
    lines = [f"    {_text(table.preamble.alias)}: TableSchema(", f"        0x{table.preamble.id:08X},", f"        {table.size},", "        ("]
    lines += [f"            Field({_text(f.name)}, {f.id}, {f.bitwidth}, {_text(_KINDS[f.match_type])})," for f in table.match_fields]
    lines += ["        ),", "        ("]
    for action in _entry_actions(table, actions):
        params = "".join(f"Field({_text(p.name)}, {p.id}, {p.bitwidth}, \"param\"), " for p in action.params).rstrip(" ")
        if len(action.params) > 1:
            params = params.rstrip(",")
        lines.append(f"            Action({_text(_short(action))}, 0x{action.preamble.id:08X}, ({params})),")
    return [*lines, "        ),", "    ),"]


def row_types(p4info: Any) -> str:
    """Text of `row_types.py`: a frozen class for each action and for each table."""
    actions = {action.preamble.id: action for action in p4info.actions}
    tables = _written_tables(p4info)
    lines = [_HEADER.format("Rows as typed, frozen values: a class for each table, with both directions, and one for each action."),
             "from dataclasses import dataclass", "from typing import ClassVar", "",
             "from k8s_p4.typed import ActionValue, Prefix, TableRow, Ternary", ""]  # fmt: skip
    used = {_short(action): action for table in tables for action in _entry_actions(table, actions)}
    for name, action in used.items():
        lines += _action_class(name, action)
    for table in tables:
        lines += _row_class(table, actions)
    lines += ["", "ROWS: dict[str, type[TableRow]] = {", *(f"    {_text(t.preamble.alias)}: {_camel(t.preamble.alias)}," for t in tables), "}"]
    return "\n".join(lines) + "\n"


def _action_class(name: str, action: Any) -> list[str]:
    params = [f"    {p.name}: int" for p in action.params]
    widths = ", ".join(f"{p.name}/{p.bitwidth}" for p in action.params)
    return ["", "@dataclass(frozen=True, slots=True)", f"class {_camel(name)}(ActionValue):", f'    """Action `{name}({widths})`."""', "",
            f"    NAME: ClassVar[str] = {_text(name)}", *params, ""]  # fmt: skip


def _row_class(table: Any, actions: dict[int, Any]) -> list[str]:
    names = [_short(action) for action in _entry_actions(table, actions)]
    kinds = [(f.name, f.bitwidth, _KINDS[f.match_type]) for f in table.match_fields]
    key = ", ".join(f"{name}/{bits} {kind}" for name, bits, kind in kinds)
    fields = [f"    {name}: {_TYPES[kind]}" for name, _bits, kind in kinds]
    if any(kind == "ternary" for _name, _bits, kind in kinds):
        fields.append("    priority: int")
    classes = ", ".join(_camel(name) for name in names)
    return ["", "@dataclass(frozen=True, slots=True)", f"class {_camel(table.preamble.alias)}(TableRow):",
            f'    """Row of `{table.preamble.alias}`: {key}."""', "", f"    TABLE: ClassVar[str] = {_text(table.preamble.alias)}",
            f"    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = ({classes}{',' if len(names) == 1 else ''})", *fields,
            f"    action: {' | '.join(_camel(name) for name in names)}", ""]  # fmt: skip


def _short(action: Any) -> str:
    name: str = action.preamble.name
    return name.rpartition(".")[2]



def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace(".", "_").split("_"))


def _text(name: str) -> str:
    return f'"{name}"'
