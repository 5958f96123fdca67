"""What p4c-dpdk compiles wrongly without a word, and what SWX executes otherwise than one thinks: does a program lean on it?

Each check yields complaints about a text of P4 (comments removed) or about a parsed assembly. `docs/targets.md` has the list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from k8s_p4.target.spec import Instruction, Spec, Table

Complaints = Iterator[str]

_OPERAND = r"[\w.\[\]]+(?:\s*&\s*\w+)?"
_VALID = rf"{_OPERAND}\.isValid\(\)"
_AND = re.compile(rf"{_VALID}|{_OPERAND}\s*(?:==|!=|>=|<=)\s*{_OPERAND}")
_OR = re.compile(rf"{_VALID}|{_OPERAND}\s*(?:==|!=|<|>)\s*{_OPERAND}")
_NUMBER_FIRST = re.compile(r"(?<![\w.])(?:0x)?\d+\s*(?:<|>|<=|>=)\s*[a-z]\w*\.")

WORD = 64
"""Bits of the widest number that SWX calculates with or compares."""
_CALCULATE = ("add", "sub", "and", "or", "xor", "shl", "shr")
_COMPARE = ("jmpeq", "jmpneq", "jmplt", "jmpgt")
_WRITTEN = {"mov": 0, "recircid": 0, "rx": 0, "entryid": 0, "regrd": 0, "hash": 1, "meter": 4, **dict.fromkeys(_CALCULATE, 0)}


def without_comments(text: str) -> str:
    """P4 without comments, continued lines joined."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    return text.replace("\\\n", " ")


def conditions(text: str) -> Complaints:
    """In `&&` a `<` or `>` is lost, in `||` a `>=` or `<=`; both together, a negated isValid() and a number on the left go wrong as well."""
    for condition in _joined(text):
        parts = re.split(r"&&|\|\|", condition)
        allowed = _AND if "&&" in condition else _OR
        if ("&&" in condition and "||" in condition) or not all(allowed.fullmatch(part.strip()) for part in parts):
            yield f"condition ({condition})"
    yield from (f"number on the left: {found[0]}" for found in _NUMBER_FIRST.finditer(text))


def _joined(text: str) -> Iterator[str]:
    """What stands between the parentheses of each `if` whose condition is made of several, or the line of any other use of && and ||."""
    at = 0
    for found in re.finditer(r"&&|\|\|", text):
        if found.start() < at:
            continue
        first = text.rfind("if (", 0, found.start())
        end = _closing(text, first + 3)
        if first < 0 or end < found.end():
            yield text[text.rfind("\n", 0, found.start()) + 1 : text.find("\n", found.end())].strip()
            at = found.end()
        else:
            yield " ".join(text[first + 4 : end].split())
            at = end


def _closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return at
    return -1


def parsers(text: str) -> Complaints:
    """`reject`, or a select that nothing matches, goes on as if accepted."""
    if re.search(r"(transition|:)\s*reject\s*;", text):
        yield "a transition to reject"
    for found in re.finditer(r"\bselect\s*\([^{]*\{", text):
        body = text[found.end() : text.index("}", found.end())]
        if not re.search(r"\bdefault\s*:", body):
            yield f"no default: {' '.join(found[0].split())}"


def words(text: str) -> Complaints:
    """What crashes the compiler, or is compiled wrongly as such: value sets, checksums over octets, actions with the names of outcomes."""
    for found in re.finditer(r"\b(value_set|InternetChecksum|Checksum|Digest|Random)\s*[<(]|\baction\s+(hit|miss)\b", text):
        yield found[0]


def lost_writes(spec: Spec, told: frozenset[str]) -> Complaints:
    """A use of a field that was assigned one constant before becomes that constant, although an action in between assigns another.

    Then nothing reads what the action wrote. `told`: fields that are read after the packet.
    """
    read = {name for body in _bodies(spec).values() for i in body for name in _reads(spec, i)}
    read |= {name for table in spec.tables.values() for name, _ in table.keys}
    for action, body in _bodies(spec).items():
        for i in body if action else ():
            if i.op in _WRITTEN and (to := i.args[_WRITTEN[i.op]]).startswith("m.") and to not in read and to[2:] not in told:
                yield f"line {i.line}: action {action} writes {to}, which nothing reads"


def _bodies(spec: Spec) -> dict[str, tuple[Instruction, ...]]:
    return {"": spec.apply, **{name: action.body for name, action in spec.actions.items()}}


def _reads(spec: Spec, i: Instruction) -> Iterator[str]:
    if i.op == "hash":
        yield from _between(spec, i.args[2], i.args[3])
    elif i.op == "learn":
        yield from (f"m.{name}" for name, _ in _learned(spec, i))
    else:
        yield from (arg for at, arg in enumerate(i.args) if at != _WRITTEN.get(i.op))


def _fields(spec: Spec) -> list[tuple[str, int]]:
    return [(field.name, field.bits) for field in spec.structs[spec.metadata].fields]


def _between(spec: Spec, first: str, last: str) -> list[str]:
    names = [f"m.{name}" for name, _ in _fields(spec)]
    return names[names.index(first) : names.index(last) + 1]


def _learned(spec: Spec, i: Instruction) -> list[tuple[str, int]]:
    """The fields that a `learn` takes the action's arguments from: as many as it has, from the first named."""
    struct = spec.actions[i.args[0]].args
    if struct is None or not i.args[1].startswith("m."):
        return []
    fields = _fields(spec)
    first = [name for name, _ in fields].index(i.args[1][2:])
    return fields[first : first + len(spec.structs[struct].fields)]


def learn_arguments(spec: Spec) -> Complaints:
    """`learn` names the first of its arguments only, the others follow it in metadata; DPDK takes none from a header."""
    for i in (i for body in _bodies(spec).values() for i in body if i.op == "learn"):
        struct = spec.actions[i.args[0]].args
        wanted = [field.bits for field in spec.structs[struct].fields] if struct else []
        if [bits for _, bits in _learned(spec, i)] != wanted:
            yield f"line {i.line}: learn {i.args[0]} from {i.args[1]}"


def widths(spec: Spec) -> Complaints:
    """SWX calculates and compares up to 64 bits, and moves more only between equals."""
    for action, body in _bodies(spec).items():
        for i in body:
            sizes = [_bits(spec, arg, action) for arg in i.args]
            wide = max(sizes, default=0) > WORD
            if wide and (i.op in (*_CALCULATE, *_COMPARE) or (i.op == "mov" and sizes[0] != sizes[1])):
                yield f"line {i.line}: {i.op} {' '.join(i.args)}"


def _bits(spec: Spec, operand: str, action: str = "") -> int:
    """Of a field, or an argument of an action; 0 for what is neither."""
    space, _, name = operand.partition(".")
    if space == "h":
        header, _, name = name.partition(".")
        struct = spec.headers.get(header)
    else:
        struct = {"m": spec.metadata, "t": spec.actions[action].args if action else None}.get(space)
    return next((field.bits for field in spec.structs[struct].fields if field.name == name), 0) if struct else 0


def checksums(spec: Spec) -> Complaints:
    """p4c gives ckadd and cksub octets, each of which counts as a whole word."""
    for body in _bodies(spec).values():
        for i in body:
            if i.op in ("ckadd", "cksub") and 0 < _bits(spec, i.args[-1]) < 16:
                yield f"line {i.line}: {i.op} {' '.join(i.args)}"


def keys(spec: Spec) -> Complaints:
    """Keys come from one struct; an exact table whose keys are not side by side there becomes another kind, a learner is refused."""
    for table in spec.tables.values():
        kinds = [kind for _, kind in table.keys]
        if len({name.rpartition(".")[0] for name, _ in table.keys}) > 1:
            yield f"line {table.line}: keys of {table.name} from several structs"
        elif set(kinds) == {"exact"} and not _side_by_side(spec, table):
            yield f"line {table.line}: keys of {table.name} are apart"
        if kinds.count("lpm") > 1 or {"lpm", "wildcard"} <= set(kinds):
            yield f"line {table.line}: table {table.name} has two keys of prefixes, or one and a mask"


def _side_by_side(spec: Spec, table: Table) -> bool:
    space, _, _ = table.keys[0][0].rpartition(".")
    struct = spec.metadata if space == "m" else spec.headers[space[2:]]
    order = [field.name for field in spec.structs[struct].fields]
    places = sorted(order.index(name.rpartition(".")[2]) for name, _ in table.keys)
    return places == list(range(places[0], places[0] + len(places)))


def array_sizes(spec: Spec) -> Complaints:
    """An index is cut to the next power of two without a word: an array of another size has elements nobody asked for."""
    for array in (*spec.regarrays.values(), *spec.metarrays.values()):
        if array.size & (array.size - 1):
            yield f"line {array.line}: {array.name} has {array.size} elements"


def early_drops(spec: Spec) -> Complaints:
    """`drop` and `tx` end the packet where they stand, in an action as well: what is to be counted after them never is."""
    for action, body in _bodies(spec).items():
        for i in body if action else ():
            if i.op in ("drop", "tx"):
                yield f"line {i.line}: {i.op} in action {action}"


ON_TEXT: tuple[Callable[[str], Complaints], ...] = (conditions, parsers, words)
ON_SPEC: tuple[Callable[[Spec], Complaints], ...] = (learn_arguments, widths, checksums, keys, array_sizes, early_drops)
