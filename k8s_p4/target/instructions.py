"""Each instruction of the assembly as lines of Python. Semantics: DPDK lib/pipeline/rte_swx_pipeline_internal.h.

Names the code refers to: `L_table` look-up, `D_table` the default entry in a list of one, `N_table` a learner, `I_table` its index for
traces, `A_action` function, `X_action` action object, `R_array` register list, `M_array` meters, and the functions of `externs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from k8s_p4.target.externs import HASHES, round_up
from k8s_p4.target.operands import WORD, Ref, Scope, memory_bytes, packed
from k8s_p4.target.spec import Instruction, Spec, Table, fail

_MASK64: Final = hex((1 << WORD) - 1)
_COMPARE: Final = {"jmpeq": "==", "jmpneq": "!=", "jmplt": "<", "jmpgt": ">"}
JUMPS: Final = frozenset({*_COMPARE, "jmpv", "jmpnv", "jmph", "jmpnh", "jmpa", "jmpna"})
# DPDK shifts 64-bit words with the processor's instruction, which looks at six bits of the count only.
_ALU: Final = {"add": "{} + {}", "sub": "{} - {}", "and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}",
               "shl": "{} << ({} & 63)", "shr": "{} >> ({} & 63)"}  # fmt: skip
_NOT_IN_ACTIONS: Final = frozenset({"rx", "tx", "extract", "lookahead", "emit", "table"})
_ONLY_IN_ACTIONS: Final = frozenset({"learn", "rearm", "forget", "return"})
_COUNTS: Final = {
    "rx": (1,), "tx": (1,), "drop": (0,), "extract": (1, 2), "lookahead": (1,), "emit": (1,), "validate": (1,), "invalidate": (1,),
    "mov": (2,), "movh": (2,), "ckadd": (2,), "cksub": (2,), "regrd": (3,), "regwr": (3,), "regadd": (3,), "regprefetch": (2,),
    "metprefetch": (2,), "meter": (5,), "table": (1,), "learn": (2, 3), "rearm": (0, 1), "forget": (0,), "entryid": (1,),
    "hash": (4,), "return": (0,), "recirculate": (0,), "recircid": (1,), **dict.fromkeys(_ALU, (2,)),
}  # fmt: skip
_REFUSED: Final = {
    "mirror": "mirroring is not supported", "rss": "RSS hashes are not supported",
    "extern": "extern objects are not supported",
}  # fmt: skip


class Emitter:
    """Turns the instructions of one routine into Python."""

    def __init__(self, spec: Spec, scope: Scope, ending_actions: frozenset[str]) -> None:
        self.spec = spec
        self.scope = scope
        self.ending_actions = ending_actions

    def statement(self, i: Instruction, in_action: bool) -> list[str]:
        """The lines for an instruction that is no jump.

        Raises:
            LoadError: unknown or unsupported instruction, wrong operands; names the line.
        """
        self._check(i, in_action)
        if i.op in _ALU:
            return [self._alu(i)]
        if i.op == "return":
            return ["return None"]
        if i.op == "drop":
            return ["t.outcome = DROPPED", "return True" if in_action else "return None"]
        method: Callable[[Instruction], list[str]] = getattr(self, f"_{i.op}")
        return method(i)

    def _check(self, i: Instruction, in_action: bool) -> None:
        if i.op in _REFUSED:
            raise fail(i.line, _REFUSED[i.op])
        if i.op not in _COUNTS:
            raise fail(i.line, f"unknown instruction {i.op!r}")
        if len(i.args) not in _COUNTS[i.op]:
            raise fail(i.line, f"{i.op} takes {' or '.join(map(str, _COUNTS[i.op]))} operands, not {len(i.args)}")
        if i.op in _NOT_IN_ACTIONS and in_action:
            raise fail(i.line, f"{i.op} can't stand in an action")
        if i.op in _ONLY_IN_ACTIONS and not in_action:
            raise fail(i.line, f"{i.op} can only stand in an action")

    def condition(self, i: Instruction) -> str:
        """The condition under which a jump is taken."""
        if i.op in _COMPARE:
            return self._comparison(i)
        if len(i.args) != (1 if i.op in ("jmph", "jmpnh") else 2):
            raise fail(i.line, f"wrong number of operands for {i.op}")
        negate = "not " if i.op in ("jmpnv", "jmpnh", "jmpna") else ""
        if i.op in ("jmpv", "jmpnv"):
            return f"{negate}v[{self.scope.header(i.line, i.args[1]).slot}]"
        if i.op in ("jmph", "jmpnh"):
            return f"{negate}t.entry[2]"
        self._action(i, i.args[1])
        return f"{negate}(t.entry[4] is X_{i.args[1]})"

    def _comparison(self, i: Instruction) -> str:
        if len(i.args) != 3:
            raise fail(i.line, f"wrong number of operands for {i.op}")
        left = self.scope.field(i.line, i.args[1], WORD)
        # A literal beside a header field is cut to the field's width in tests for equality only.
        fit = left.bits if left.space == "h" and i.op in ("jmpeq", "jmpneq") else None
        return f"{left.read()} {_COMPARE[i.op]} {self.scope.value(i.line, i.args[2], fit)[0]}"

    def _action(self, i: Instruction, name: str) -> None:
        if name not in self.spec.actions:
            raise fail(i.line, f"no action {name!r}")

    def _store(self, dst: Ref, value: str, bits: int) -> str:
        """A store of a value of that many bits, cut to the destination."""
        return dst.write(value if bits <= dst.bits else f"{value} & {dst.mask:#x}")

    # input, output

    def _rx(self, i: Instruction) -> list[str]:
        # A packet that goes round again is not received again: its metadata stays as it is.
        return ["if t.passes == 0:", "    " + self._store(self.scope.metadata_field(i.line, i.args[0]), "t.port_in", 32)]

    def _tx(self, i: Instruction) -> list[str]:
        port = self.scope.value(i.line, i.args[0])[0]
        return [f"t.port_out = {port}", "t.outcome = SENT", "return None"]

    def _extract(self, i: Instruction) -> list[str]:
        header = self.scope.header(i.line, i.args[0])
        if header.var != (len(i.args) == 2):
            raise fail(i.line, f"{i.args[0]} has {'a' if header.var else 'no'} varbit field")
        fixed = [f"a = t.at + {header.size}"]
        end = "a"
        if header.var:
            fixed.append(f"b = a + {self.scope.metadata_field(i.line, i.args[1]).read()}")
            end = "b"
        lines = [*fixed, *self._too_short(end), self._load(header.slot, header.size, "t.at", "a"), f"v[{header.slot}] = True"]
        if header.var:
            lines.append(f"t.tails[{header.slot}] = t.frame[a:b]")
        return [*lines, f"t.at = {end}"]

    def _too_short(self, end: str) -> list[str]:
        return [f"if {end} > t.size:", "    t.outcome = SHORT_FRAME", "    return None"]

    def _load(self, index: int, size: int, start: str, end: str) -> str:
        return f"h[{index}] = from_bytes(t.frame[{start}:{end}], 'big')" if size else f"h[{index}] = 0"

    def _lookahead(self, i: Instruction) -> list[str]:
        header = self.scope.header(i.line, i.args[0])
        load = self._load(header.slot, header.size, "t.at", "a")
        return [f"a = t.at + {header.size}", *self._too_short("a"), load, f"v[{header.slot}] = True"]

    def _emit(self, i: Instruction) -> list[str]:
        header = self.scope.header(i.line, i.args[0])
        tail = f" + t.tails.get({header.slot}, b'')" if header.var else ""
        return [f"if v[{header.slot}]:", f"    t.out.append(h[{header.slot}].to_bytes({header.size}, 'big'){tail})"]

    def _validate(self, i: Instruction) -> list[str]:
        index = self.scope.header(i.line, i.args[0]).slot
        # A header made valid holds what its own buffer held, which is never cleared; one already valid is left alone.
        return [f"if not v[{index}]:", f"    h[{index}] = STALE[{index}]", f"    v[{index}] = True"]

    def _invalidate(self, i: Instruction) -> list[str]:
        return [f"v[{self.scope.header(i.line, i.args[0]).slot}] = False"]

    def _recircid(self, i: Instruction) -> list[str]:
        return [self._store(self.scope.metadata_field(i.line, i.args[0]), "t.passes", 32)]

    def _recirculate(self, i: Instruction) -> list[str]:
        return ["t.again = True"]

    # moves and arithmetic

    def _mov(self, i: Instruction) -> list[str]:
        dst = self.scope.target(i.line, i.args[0])
        if not self.scope.is_field(i.args[1]):
            if dst.bits > WORD:
                raise fail(i.line, f"a literal can't be moved into {dst.bits} bits")
            return [dst.write(self.scope.value(i.line, i.args[1], dst.bits)[0])]
        src = self.scope.field(i.line, i.args[1])
        for wide, other in ((dst, src), (src, dst)):
            if wide.bits > WORD >= other.bits and other.space != "h":
                raise fail(i.line, f"between {dst.bits} and {src.bits} bits, the narrow field must be a header's")
        return [self._store(dst, src.read(), src.bits)]

    def _movh(self, i: Instruction) -> list[str]:
        dst, src = self.scope.target(i.line, i.args[0]), self.scope.field(i.line, i.args[1])
        if (dst.bits, src.bits) == (64, 128) and dst.space == "h":
            return [dst.write(f"{src.read()} >> 64")]
        if (dst.bits, src.bits) == (128, 64) and src.space == "h":
            return [dst.write(f"{dst.read()} & {_MASK64} | {src.read()} << 64")]
        raise fail(i.line, "movh moves between the upper half of 128 bits and a header field of 64")

    def _alu(self, i: Instruction) -> str:
        dst = self.scope.target(i.line, i.args[0], WORD)
        value, bits = self.scope.value(i.line, i.args[1], dst.bits if i.op in ("and", "or", "xor") else None)
        result = _ALU[i.op].format(dst.read(), value)
        grows = i.op in ("add", "sub", "shl") or (i.op in ("or", "xor") and bits > dst.bits)
        return dst.write(f"({result}) & {dst.mask:#x}" if grows else result)

    def _checksum(self, i: Instruction, function: str) -> list[str]:
        dst = self.scope.target(i.line, i.args[0])
        if dst.space != "h" or dst.bits != 16:
            raise fail(i.line, f"{i.args[0]} is not a header field of 16 bits")
        if i.op == "ckadd" and i.args[1].count(".") == 1:
            header = self.scope.header(i.line, i.args[1])
            tail = f" + t.tails.get({header.slot}, b'')" if header.var else ""
            data = f"h[{header.slot}].to_bytes({header.size}, 'big'){tail}"
            return [dst.write(f"checksum_add_header({dst.read()}, {data})")]
        src = self.scope.field(i.line, i.args[1], WORD)
        if src.space != "h":
            raise fail(i.line, f"{i.args[1]} is not a header field")
        return [dst.write(f"{function}({dst.read()}, {memory_bytes(src)})")]

    def _ckadd(self, i: Instruction) -> list[str]:
        return self._checksum(i, "checksum_add")

    def _cksub(self, i: Instruction) -> list[str]:
        return self._checksum(i, "checksum_subtract")

    def _hash(self, i: Instruction) -> list[str]:
        if i.args[0] not in HASHES:
            raise fail(i.line, f"no hash function {i.args[0]!r}")
        dst = self.scope.metadata_field(i.line, i.args[1])
        data = " + ".join(memory_bytes(ref) for ref in self.scope.run(i.line, i.args[2], i.args[3]))
        return [self._store(dst, f"{i.args[0]}({data})", 32)]

    # arrays

    def _register(self, i: Instruction, name: str, index: str) -> str:
        array = self.spec.regarrays.get(name)
        if array is None:
            raise fail(i.line, f"no register array {name!r}")
        return f"R_{name}[{self.scope.value(i.line, index)[0]} & {round_up(array.size) - 1:#x}]"

    def _regrd(self, i: Instruction) -> list[str]:
        return [self._store(self.scope.target(i.line, i.args[0], WORD), self._register(i, i.args[1], i.args[2]), WORD)]

    def _regwr(self, i: Instruction) -> list[str]:
        return [f"{self._register(i, i.args[0], i.args[1])} = {self.scope.value(i.line, i.args[2])[0]}"]

    def _regadd(self, i: Instruction) -> list[str]:
        cell = self._register(i, i.args[0], i.args[1])
        return [f"{cell} = ({cell} + {self.scope.value(i.line, i.args[2])[0]}) & {_MASK64}"]

    def _regprefetch(self, i: Instruction) -> list[str]:
        self._register(i, i.args[0], i.args[1])
        return []

    def _metprefetch(self, i: Instruction) -> list[str]:
        if i.args[0] not in self.spec.metarrays:
            raise fail(i.line, f"no meter array {i.args[0]!r}")
        return []

    def _meter(self, i: Instruction) -> list[str]:
        self._metprefetch(i)
        index, length, colour = (self.scope.value(i.line, i.args[n])[0] for n in (1, 2, 3))
        return [self._store(self.scope.metadata_field(i.line, i.args[4]), f"M_{i.args[0]}.run({index}, t.now, {length}, {colour})", 2)]

    # tables

    def _table(self, i: Instruction) -> list[str]:
        name = i.args[0]
        table = self.spec.tables.get(name)
        if table is None:
            raise fail(i.line, f"no table {name!r}")
        ends = any(ref.name in self.ending_actions for ref in table.actions)
        run = ["if e[0](t, m, h, v, e[1]):", "    return None"] if ends else ["e[0](t, m, h, v, e[1])"]
        note = ["if t.trace is not None:", f"    t.trace.append((I_{name}, k, e))"]
        return [*self._look_up(i, table), "t.entry = e", *note, *run]

    def _look_up(self, i: Instruction, table: Table) -> list[str]:
        if not table.keys:
            return ["k = 0", f"e = D_{table.name}[0]"]
        key = packed(key_refs(self.scope, table))
        if table.learner:
            return [f"k = {key}", f"t.learner = N_{table.name}", f"e = N_{table.name}.lookup(k, t.now) or D_{table.name}[0]"]
        return [f"k = {key}", f"e = L_{table.name}(k) or D_{table.name}[0]"]

    def _learn(self, i: Instruction) -> list[str]:
        action, timeout = i.args[0], self.scope.metadata_field(i.line, i.args[-1])
        self._action(i, action)
        values = self._learned_values(i, action)
        entry = f"(A_{action}, ({''.join(v + ', ' for v in values)}), 0, 0, X_{action}, None)"
        return [f"t.learner.learn({entry}, {timeout.read()}, t.now)"]

    def _learned_values(self, i: Instruction, action: str) -> list[str]:
        """DPDK copies the memory from the first argument on: the metadata fields there must be those of the action's struct."""
        struct = self.spec.actions[action].args
        fields = self.spec.structs[struct].fields if struct else ()
        if bool(fields) != (len(i.args) == 3):
            raise fail(i.line, f"learn {action}: the action has {len(fields)} arguments")
        if not fields:
            return []
        first = self.scope.metadata_field(i.line, i.args[1]).slot
        found = self.scope.metadata.fields[first : first + len(fields)]
        if [f.bits for f in found] != [f.bits for f in fields]:
            raise fail(i.line, f"learn {action}: the metadata from {i.args[1]} on is not laid out as the action's arguments")
        return [f"m[{first + n}]" for n in range(len(fields))]

    def _rearm(self, i: Instruction) -> list[str]:
        if i.args:
            return [f"t.learner.rearm_new({self.scope.metadata_field(i.line, i.args[0]).read()}, t.now)"]
        return ["t.learner.rearm(t.now)"]

    def _forget(self, i: Instruction) -> list[str]:
        return ["t.learner.forget()"]

    def _entryid(self, i: Instruction) -> list[str]:
        return [self._store(self.scope.metadata_field(i.line, i.args[0]), "t.entry[2]", 32)]


def key_refs(scope: Scope, table: Table) -> list[Ref]:
    """The fields of a table's key in packing order: as declared, but an LPM field last.

    Raises:
        LoadError: fields of different structs, two LPM fields, or LPM with wildcard.
    """
    refs = [scope.field(table.line, name) for name, _ in table.keys]
    if len({(ref.space, ref.slot if ref.space == "h" else 0) for ref in refs}) > 1 or any(ref.space == "t" for ref in refs):
        raise fail(table.line, f"table {table.name}: the key's fields are not all metadata or all of one header")
    kinds = [match for _, match in table.keys]
    if kinds.count("lpm") > 1 or ("lpm" in kinds and "wildcard" in kinds):
        raise fail(table.line, f"table {table.name}: one lpm field with exact ones at most")
    return [refs[n] for n in key_order(table)]


def key_order(table: Table) -> list[int]:
    """Positions of the key's fields in packing order."""
    return sorted(range(len(table.keys)), key=lambda n: table.keys[n][1] == "lpm")
