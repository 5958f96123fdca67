"""Tables applied several times, for a compiler that refuses them.

Our pipeline looks a flow up a dozen times with one table. BMv2 can do that: what follows a table is a pointer to the next node, and
nothing says that a table has one place only. But p4c-bm2-ss writes one successor for each table and refuses the program. So before it compiles,
`unfold` gives every place at which a table or a control is applied again a copy of its own; afterwards `fold` makes one table of the
copies: each place becomes a call (a node that notes the number of the place and goes to the table), and behind the table conditions on that
number lead back. Keys, actions and everything else are the compiler's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_MARK: Final = "__again"
_COPY: Final = re.compile(rf"{_MARK}\d+")
_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_CONTROL: Final = re.compile(r"\bcontrol\s+(\w+)\s*(?:<[^>]*>)?\([^{;]*?\)\s*\{", re.DOTALL)
_INSTANCE: Final = re.compile(r"^\s*(\w+)\(\)\s+(\w+);", re.MULTILINE)
_TABLE: Final = re.compile(r"\btable\s+(\w+)\s*\{")
_SCALARS: Final = "scalars_0"
_PLACE: Final = "called_from"


class FoldError(ValueError):
    """The program uses a table in a way that can't be folded; the text names it."""


def unfold(source: str) -> str:
    """A preprocessed program in which no table and no control is applied twice at one place of the instance tree."""
    source = _COMMENT.sub("", source)
    out, at = [], 0
    for match in _CONTROL.finditer(source):
        end = _closing(source, match.end() - 1)
        out += [source[at : match.end()], _unfold_control(source[match.end() : end])]
        at = end
    return "".join([*out, source[at:]])


def _closing(text: str, at: int) -> int:
    """Index of the brace that closes the one at ``at``."""
    depth = 0
    for place in re.finditer(r"[{}]", text[at:]):
        depth += 1 if place[0] == "{" else -1
        if depth == 0:
            return at + place.start()
    raise FoldError(f"a brace is not closed: {text[at : at + 60]!r}")


def _unfold_control(body: str) -> str:
    for name, declared in list(_declarations(body)):
        count = 0

        def numbered(match: re.Match[str], name: str = name) -> str:
            nonlocal count
            count += 1
            return match[0] if count == 1 else f"{name}{_MARK}{count}.apply("

        body = re.sub(rf"\b{name}\.apply\(", numbered, body)
        copies = [declared.replace(f" {name}", f" {name}{_MARK}{number}", 1) for number in range(2, count + 1)]
        body = body.replace(declared, "\n".join([declared, *copies]), 1)
    return body


def _declarations(body: str) -> Iterator[tuple[str, str]]:
    """Name and text of what a control declares and can apply."""
    for match in _INSTANCE.finditer(body):
        yield match[2], match[0].strip()
    for match in _TABLE.finditer(body):
        yield match[1], body[match.start() : _closing(body, match.end() - 1) + 1]


def fold(text: bytes) -> bytes:
    """What the compiler made of an unfolded program, with one table where there were copies, and without places in the source.

    Raises:
        FoldError: copies differ, or what follows one depends on what it found.
    """
    program = _without_source(json.loads(text))
    program["program"] = ""
    for pipeline in program["pipelines"]:
        _Folded(program, pipeline).fold()
    return (json.dumps(program, separators=(",", ":"), sort_keys=True) + "\n").encode()


def _without_source(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_source(each) for key, each in value.items() if key != "source_info"}
    return [_without_source(each) for each in value] if isinstance(value, list) else value


class _Folded:
    """One pipeline of the program, changed in place."""

    def __init__(self, program: Any, pipeline: Any) -> None:
        self._program, self._pipeline = program, pipeline
        self._places = 0
        self._moved: dict[str, str] = {}

    def fold(self) -> None:
        groups: dict[str, list[Any]] = {}
        for table in self._pipeline["tables"]:
            if table["key"]:
                groups.setdefault(_COPY.sub("", table["name"]), []).append(table)
        copied = [tables for name, tables in groups.items() if len(tables) > 1 or tables[0]["name"] != name]
        if copied:
            self._scalars()["fields"].append([_PLACE, 16, False])
        for tables in copied:
            self._fold_tables(tables)
        self._redirect()

    def _fold_tables(self, tables: list[Any]) -> None:
        tables.sort(key=lambda each: (len(each["name"]), each["name"]))
        table = tables[0]
        if len({_alike(each) for each in tables}) > 1:
            raise FoldError(f"{table['name']}: it is not asked for the same everywhere")
        first = self._places
        after = [_successor(each) for each in tables]
        asked = self._arguments(tables)
        for each in tables:
            given = [(field, part["target"]) for field, part in zip(asked, each["key"], strict=True) if field != part["target"]]
            self._moved[each["name"]] = self._call(_COPY.sub("", table["name"]), given)
        for part, field in zip(table["key"], asked, strict=True):
            part["target"] = field
        dropped = {number for each in tables[1:] for number in each["action_ids"]}
        self._program["actions"] = [each for each in self._program["actions"] if each["id"] not in dropped]
        self._pipeline["tables"] = [each for each in self._pipeline["tables"] if not any(each is copy for copy in tables[1:])]
        self._unmark(table)
        table["base_default_next"] = back = self._way_back(after, first)
        table["next_tables"] = dict.fromkeys(table["actions"], back)

    def _unmark(self, table: Any) -> None:
        """Give the one table that stays its own name and its actions theirs: the copy without a mark may have been dead code."""
        table["name"] = _COPY.sub("", table["name"])
        table["actions"] = [_COPY.sub("", name) for name in table["actions"]]
        for action in self._program["actions"]:
            if action["id"] in table["action_ids"]:
                action["name"] = _COPY.sub("", action["name"])

    def _arguments(self, tables: list[Any]) -> list[list[str]]:
        """The fields that the one table is to ask for: new ones where the compiler looked through an assignment, and copies ask for several."""
        fields: list[list[str]] = []
        for number, parts in enumerate(zip(*(each["key"] for each in tables), strict=True)):
            first: list[str] = parts[0]["target"]
            if any(part["target"] != first for part in parts):
                name = f"{tables[0]['name']}.{number}"
                self._scalars()["fields"].append([name, self._width(first), False])
                first = ["scalars", name]
            fields.append(first)
        return fields

    def _scalars(self) -> Any:
        (scalars,) = (each for each in self._program["header_types"] if each["name"] == _SCALARS)
        return scalars

    def _width(self, field: list[str]) -> int:
        (header,) = (each["header_type"] for each in self._program["headers"] if each["name"] == field[0])
        (kind,) = (each for each in self._program["header_types"] if each["name"] == header)
        width: int = next(bits for name, bits, *_ in kind["fields"] if name == field[1])
        return width

    def _call(self, table: str, given: list[tuple[list[str], list[str]]]) -> str:
        """A node that notes the next place's number and hands over what is asked for; its name."""
        name, number = f"call_{self._places}", 1 + max(each["id"] for each in self._program["actions"])
        done = [_assign(["scalars", _PLACE], {"type": "hexstr", "value": f"{self._places:#06x}"})]
        done += [_assign(to, {"type": "field", "value": field}) for to, field in given]
        self._program["actions"].append({"name": name, "id": number, "runtime_data": [], "primitives": done})
        self._pipeline["tables"].append({
            "name": name, "id": 1 + max(each["id"] for each in self._pipeline["tables"]), "key": [], "match_type": "exact", "type": "simple",
            "max_size": 1, "with_counters": False, "support_timeout": False, "direct_meters": None, "action_ids": [number], "actions": [name],
            "base_default_next": _Direct(table), "next_tables": {name: _Direct(table)},
            "default_entry": {"action_id": number, "action_const": True, "action_data": [], "action_entry_const": True},
        })  # fmt: skip
        self._places += 1
        return name

    def _way_back(self, after: list[str | None], first: int) -> str | None:
        """The node that leads on from place ``first`` to ``after[0]``, from the next one to ``after[1]`` and so on: halves, again and again."""
        if len(set(after)) == 1:
            return after[0]
        half = len(after) // 2
        name = f"back_{self._places}_{first}_{first + len(after)}"
        number: Any = {"type": "hexstr", "value": f"{first + half:#06x}"}
        below = {"op": "<", "left": {"type": "field", "value": ["scalars", _PLACE]}, "right": number}
        node = {"name": name, "id": 1 + max(each["id"] for each in self._pipeline["conditionals"]),
                "expression": {"type": "expression", "value": below}}  # fmt: skip
        self._pipeline["conditionals"].append(node)
        node["true_next"] = self._way_back(after[:half], first)
        node["false_next"] = self._way_back(after[half:], first + half)
        return name

    def _redirect(self) -> None:
        def to(name: str | None) -> str | None:
            return str(name) if isinstance(name, _Direct) else self._moved.get(name, name) if name else None

        self._pipeline["init_table"] = to(self._pipeline["init_table"])
        for table in self._pipeline["tables"]:
            table["base_default_next"] = to(table["base_default_next"])
            table["next_tables"] = {action: to(name) for action, name in table["next_tables"].items()}
        for node in self._pipeline["conditionals"]:
            node["true_next"], node["false_next"] = to(node["true_next"]), to(node["false_next"])


class _Direct(str):
    """A table's own name, not that of a call."""


def _assign(field: list[str], value: Any) -> Any:
    return {"op": "assign", "parameters": [{"type": "field", "value": field}, value]}


def _alike(table: Any) -> str:
    fields = [table[name] for name in ("match_type", "type", "max_size", "support_timeout")]
    key = [(part["name"], part["match_type"]) for part in table["key"]]
    return json.dumps([fields, key, [_COPY.sub("", name) for name in table["actions"]]])


def _successor(table: Any) -> str | None:
    """What follows a table whatever it finds."""
    after = {table["base_default_next"], *table["next_tables"].values()}
    if len(after) != 1:
        raise FoldError(f"{table['name']}: what follows depends on what it finds")
    found: str | None = after.pop()
    return found
