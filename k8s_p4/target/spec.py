"""The `.spec` assembly of DPDK's SWX pipeline, parsed into declarations and instruction lists.

Only the shape is checked here (blocks, counts of tokens, numbers); names are resolved where the code is made (`codegen`).
Every error names the line. Grammar: DPDK lib/pipeline/rte_swx_pipeline_spec.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from k8s_p4.target.errors import LoadError

OLD_NAME = ";oldname:"


class Field(NamedTuple):
    """A field of a struct; `var`: its length in the packet is given at extraction, `bits` at most."""

    name: str
    bits: int
    var: bool


class Instruction(NamedTuple):
    """One instruction: line, mnemonic, operands as written, labels that stand before it."""

    line: int
    op: str
    args: tuple[str, ...]
    labels: tuple[str, ...]


class Struct(NamedTuple):
    """Consecutive fields."""

    line: int
    name: str
    fields: tuple[Field, ...]


class Action(NamedTuple):
    """An action; `args` names the struct of its arguments."""

    line: int
    name: str
    args: str | None
    body: tuple[Instruction, ...]


class ActionRef(NamedTuple):
    """A table's use of an action, and whether entries or the default may use it."""

    name: str
    in_entries: bool
    as_default: bool


@dataclass(slots=True)
class Table:
    """A table or a learner (`timeouts`, in seconds, not empty); keys are (field, "exact" | "lpm" | "wildcard")."""

    line: int
    name: str
    learner: bool
    keys: list[tuple[str, str]] = field(default_factory=list)
    actions: list[ActionRef] = field(default_factory=list)
    default_action: str = ""
    default_args: tuple[tuple[str, int], ...] = ()
    default_const: bool = False
    size: int = 0
    timeouts: list[int] = field(default_factory=list)


class Array(NamedTuple):
    """A register array (64-bit elements) or a meter array."""

    line: int
    name: str
    size: int
    initial: int


@dataclass(slots=True, eq=False)
class Spec:
    """A whole program; not changed once it is parsed. `old_names`: names p4c shortened to fit SWX's bound, long form to short."""

    structs: dict[str, Struct] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    metadata: str = ""
    actions: dict[str, Action] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    regarrays: dict[str, Array] = field(default_factory=dict)
    metarrays: dict[str, Array] = field(default_factory=dict)
    apply: tuple[Instruction, ...] = ()
    old_names: dict[str, str] = field(default_factory=dict)


class _Line(NamedTuple):
    number: int
    tokens: list[str]


def fail(line: int, message: str) -> LoadError:
    """An error at a line of the assembly."""
    return LoadError(f"pipeline.spec line {line}: {message}")


def number(line: int, text: str) -> int:
    """An unsigned literal, as C's strtoull reads it with base 0."""
    try:
        value = int(text, 16 if text[:2] in ("0x", "0X") else 10)
    except ValueError:
        raise fail(line, f"{text!r} is not a number") from None
    if not 0 <= value < 1 << 64:
        raise fail(line, f"{text} does not fit 64 bits")
    return value


def parse(text: str) -> Spec:
    """Parse a `.spec`.

    Raises:
        LoadError: names the line; also for blocks we do not have (selector, extobj, rss, ...).
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.spec = Spec()
        self.lines = self._tokenize(text)
        self.last = 0
        self.pending_old = ""

    def _tokenize(self, text: str) -> Iterator[_Line]:
        for at, line in enumerate(text.splitlines(), 1):
            self.last = at
            if line.strip().startswith(OLD_NAME):
                self.pending_old = line.strip().removeprefix(OLD_NAME)
                continue
            tokens: list[str] = []
            for token in line.split():
                if token[0] in "#;" or token.startswith("//"):
                    break
                tokens.append(token)
            if tokens:
                yield _Line(at, tokens)

    def parse(self) -> Spec:
        blocks: dict[str, Callable[[_Line], None]] = {
            "struct": self._struct, "header": self._header, "metadata": self._metadata, "action": self._action,
            "table": self._table, "learner": self._table, "regarray": self._regarray, "metarray": self._metarray,
            "apply": self._apply,
        }  # fmt: skip
        for line in self.lines:
            block = blocks.get(line.tokens[0])
            if block is None:
                raise fail(line.number, f"{line.tokens[0]!r} is not supported here (have: {', '.join(sorted(blocks))})")
            block(line)
        if not self.spec.apply or not self.spec.metadata:
            raise fail(self.last, "the program has no apply block or no metadata")
        return self.spec

    def _expect(self, line: _Line, *pattern: str | None) -> list[str]:
        """The tokens where `pattern` has None; the others must be as in `pattern`."""
        if len(line.tokens) != len(pattern) or any(p is not None and p != t for p, t in zip(pattern, line.tokens, strict=True)):
            wanted = " ".join(p or "..." for p in pattern)
            raise fail(line.number, f"expected {wanted!r}, found {' '.join(line.tokens)!r}")
        return [t for p, t in zip(pattern, line.tokens, strict=True) if p is None]

    def _body(self, opening: _Line) -> Iterator[_Line]:
        for line in self.lines:
            if line.tokens == ["}"]:
                return
            yield line
        raise fail(opening.number, f"block {' '.join(opening.tokens)!r} is not closed")

    def _rename(self, name: str) -> str:
        if self.pending_old:
            self.spec.old_names[self.pending_old] = name
            self.pending_old = ""
        return name

    def _new(self, line: _Line, name: str, where: dict[str, object]) -> str:
        # Names become parts of Python names: nothing but identifiers may pass.
        if not name.isascii() or not name.isidentifier():
            raise fail(line.number, f"{name!r} is not a name")
        if name in where:
            raise fail(line.number, f"{name!r} is declared twice")
        return self._rename(name)

    def _struct(self, line: _Line) -> None:
        (name,) = self._expect(line, "struct", None, "{")
        self._new(line, name, dict(self.spec.structs))
        fields = tuple(self._field(inner) for inner in self._body(line))
        if any(f.var for f in fields[:-1]):
            raise fail(line.number, "only the last field may be a varbit")
        self.spec.structs[name] = Struct(line.number, name, fields)

    def _field(self, line: _Line) -> Field:
        kind, name = self._expect(line, None, None)
        var = kind.startswith("varbit<")
        text = kind.removeprefix("var").removeprefix("bit<")
        if not kind.endswith(">") or len(text) == len(kind):
            raise fail(line.number, f"{kind!r} is not bit<N> or varbit<N>")
        bits = number(line.number, text[:-1])
        if bits == 0 or bits % 8:
            raise fail(line.number, f"a width of {bits} bits is not a multiple of 8")
        return Field(self._rename(name), bits, var)

    def _header(self, line: _Line) -> None:
        name, struct = self._expect(line, "header", None, "instanceof", None)
        self._new(line, name, dict(self.spec.headers))
        self._known_struct(line, struct)
        self.spec.headers[name] = struct

    def _metadata(self, line: _Line) -> None:
        (struct,) = self._expect(line, "metadata", "instanceof", None)
        self._known_struct(line, struct)
        self.spec.metadata = struct

    def _known_struct(self, line: _Line, name: str) -> None:
        if name not in self.spec.structs:
            raise fail(line.number, f"no struct {name!r}")

    def _action(self, line: _Line) -> None:
        if line.tokens[3:4] == ["none"]:
            (name,), args = self._expect(line, "action", None, "args", "none", "{"), None
        else:
            name, args = self._expect(line, "action", None, "args", "instanceof", None, "{")
            self._known_struct(line, args)
        self._new(line, name, dict(self.spec.actions))
        self.spec.actions[name] = Action(line.number, name, args, tuple(self._instructions(line)))

    def _apply(self, line: _Line) -> None:
        self._expect(line, "apply", "{")
        self.spec.apply = tuple(self._instructions(line))

    def _instructions(self, opening: _Line) -> Iterator[Instruction]:
        """`LABEL : op args`; a label may also stand alone before the next instruction."""
        labels: list[str] = []
        for line in self._body(opening):
            tokens = line.tokens
            while len(tokens) >= 2 and tokens[1] == ":":
                labels.append(tokens[0])
                tokens = tokens[2:]
            if tokens:
                yield Instruction(line.number, tokens[0], tuple(tokens[1:]), tuple(labels))
                labels = []
        if labels:
            yield Instruction(self.last, "return", (), tuple(labels))

    def _array(self, line: _Line, name: str, size: str, initial: int) -> Array:
        declared: dict[str, object] = {**self.spec.regarrays, **self.spec.metarrays}
        self._new(line, name, declared)
        elements = number(line.number, size)
        if elements == 0:
            raise fail(line.number, f"{name!r} has no elements")
        return Array(line.number, name, elements, initial)

    def _regarray(self, line: _Line) -> None:
        name, size, initial = self._expect(line, "regarray", None, "size", None, "initval", None)
        self.spec.regarrays[name] = self._array(line, name, size, number(line.number, initial))

    def _metarray(self, line: _Line) -> None:
        name, size = self._expect(line, "metarray", None, "size", None)
        self.spec.metarrays[name] = self._array(line, name, size, 0)

    def _table(self, line: _Line) -> None:
        kind, name = line.tokens[0], self._expect(line, None, None, "{")[1]
        self._new(line, name, dict(self.spec.tables))
        table = Table(line.number, name, kind == "learner")
        for inner in self._body(line):
            self._table_statement(table, inner)
        if not table.default_action:
            raise fail(line.number, f"{kind} {name} has no default action")
        if table.learner and (not table.timeouts or not table.keys):
            raise fail(line.number, f"learner {name} has no timeouts or no key")
        self.spec.tables[name] = table

    def _table_statement(self, table: Table, line: _Line) -> None:
        word = line.tokens[0]
        if line.tokens[1:] == ["{"] and word in ("key", "actions", "timeout"):
            for inner in self._body(line):
                self._table_item(table, word, inner)
        elif word == "default_action":
            self._default_action(table, line)
        elif word == "size":
            table.size = number(line.number, self._expect(line, "size", None)[0])
        else:
            raise fail(line.number, f"{' '.join(line.tokens)!r} is not supported in a table")

    def _table_item(self, table: Table, block: str, line: _Line) -> None:
        if block == "timeout":
            table.timeouts.append(number(line.number, self._expect(line, None)[0]))
        elif block == "actions":
            flags = set(line.tokens[1:])
            if flags - {"@tableonly", "@defaultonly"}:
                raise fail(line.number, f"unknown annotation in {' '.join(line.tokens)!r}")
            table.actions.append(ActionRef(line.tokens[0], "@defaultonly" not in flags, "@tableonly" not in flags))
        elif table.learner:
            table.keys.append((self._expect(line, None)[0], "exact"))
        else:
            name, match = self._expect(line, None, None)
            if match not in ("exact", "lpm", "wildcard"):
                raise fail(line.number, f"unknown match type {match!r}")
            table.keys.append((name, match))

    def _default_action(self, table: Table, line: _Line) -> None:
        tokens = line.tokens[1:]
        table.default_const = tokens[-1] == "const"
        tokens = tokens[: len(tokens) - table.default_const]
        if len(tokens) < 3 or tokens[1] != "args" or (tokens[2:] != ["none"] and len(tokens) % 2):
            raise fail(line.number, f"malformed {' '.join(line.tokens)!r}")
        table.default_action = tokens[0]
        if tokens[2:] != ["none"]:
            table.default_args = tuple((tokens[i], number(line.number, tokens[i + 1])) for i in range(2, len(tokens), 2))
