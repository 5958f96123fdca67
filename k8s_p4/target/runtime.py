"""A loaded program at work: its tables, arrays and compiled code, and one packet's way through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence
from itertools import repeat
from typing import Any

from k8s_p4.target import externs
from k8s_p4.target.codegen import compile_spec
from k8s_p4.target.externs import MeterArray, round_up
from k8s_p4.target.instructions import key_order, key_refs
from k8s_p4.target.learner import Learner
from k8s_p4.target.match import Entry, Exact, Identity, Lpm, Match, Ternary
from k8s_p4.target.operands import WORD, Scope, metadata_names, told_metadata
from k8s_p4.target.options import Options
from k8s_p4.target.spec import Spec, Table, fail

SENT, DROPPED, SHORT_FRAME, NO_PORT, LOOP = 1, 2, 3, 4, 5  # as in embedded.proto
# Blocks one packet may run through; a program with more than this loops.
_BLOCK_BOUND = 20_000
# Rounds one packet may make through `recirculate`.
_PASS_BOUND = 32
_PATTERN = int.from_bytes(b"\xa5" * 64, "big")


class ActionObject:
    """An action as entries refer to it; `p4_*` are filled in from P4Info (`schema`), ids in the order of the parameters."""

    __slots__ = ("function", "name", "p4_id", "p4_name", "param_ids", "param_names", "param_widths", "widths")

    def __init__(self, name: str, widths: tuple[int, ...], param_names: tuple[str, ...]) -> None:
        self.name = self.p4_name = name
        self.widths = self.param_widths = widths
        self.param_names = param_names
        self.param_ids = tuple(range(1, len(widths) + 1))
        self.p4_id = 0
        self.function: Callable[..., Any] = lambda *_: None


class TableState:
    """A table's entries. An entry is (function, parameters, id from 1 on, priority, action object, extra).

    `default` holds the default entry (id 0, which is how the code knows a miss) in a list that the code refers to.
    """

    __slots__ = ("_free", "_next", "default", "initial_default", "learner", "match", "order", "spec", "widths")

    def __init__(self, spec: Table, widths: list[int], lpm_width: int) -> None:
        self.spec = spec
        self.widths = widths  # bits of the key's fields in packing order
        self.order = key_order(spec)
        self.match: Match = _match_for(spec, widths, lpm_width)
        self.learner: Learner | None = None
        self.default: list[Entry] = []
        self.initial_default: Entry = ()
        self._free: list[int] = []
        self._next = 1

    def take_id(self) -> int:
        """An entry's number, which is its index into direct counters."""
        if self._free:
            return self._free.pop()
        self._next += 1
        return self._next - 1

    def give_id(self, number: int) -> None:
        """Give the number of a deleted entry back."""
        self._free.append(number)

    def unpack(self, key: int) -> list[int]:
        """A packed key's values in the order of declaration."""
        values = [0] * len(self.widths)
        for position in reversed(range(len(self.widths))):
            width = self.widths[position]
            values[self.order[position]] = key & ((1 << width) - 1)
            key >>= width
        return values

    def pack(self, values: list[int]) -> int:
        """What `unpack` undoes. Raises ValueError for a value that is too wide."""
        key = 0
        for place, width in zip(self.order, self.widths, strict=True):
            if values[place] >> width:
                raise ValueError(f"{values[place]:#x} has more than {width} bits")
            key = key << width | values[place]
        return key


def _match_for(spec: Table, widths: list[int], lpm_width: int) -> Match:
    kinds = {match for _, match in spec.keys}
    if "lpm" in kinds:
        return Lpm(lpm_width)
    if "wildcard" in kinds:
        return Ternary(sum(widths[1:]), (1 << widths[0]) - 1)
    return Exact()


class Packet:
    """The state of one packet beside its fields (`operands`); `trace` collects (table index, packed key, entry)."""

    __slots__ = (
        "again",
        "at",
        "entry",
        "frame",
        "learner",
        "metadata",
        "now",
        "out",
        "outcome",
        "passes",
        "port_in",
        "port_out",
        "size",
        "tails",
        "trace",
    )

    def __init__(self, frame: bytes, port_in: int, now: int, trace: bool) -> None:
        self._take(frame)
        self.passes = 0
        self.port_in, self.port_out = port_in, 0
        self.entry: Entry = (None, (), 0, 0, None, None)
        self.learner: Learner | None = None
        self.now = now
        self.trace: list[tuple[int, int, Entry]] | None = [] if trace else None
        self.metadata: list[int] = []

    def _take(self, frame: bytes) -> None:
        self.frame, self.size, self.at = frame, len(frame), 0
        self.out: list[bytes] = []
        self.tails: dict[int, bytes] = {}
        self.outcome = DROPPED
        self.again = False

    def go_round(self) -> None:
        """Start the next pass with what was sent."""
        self._take(self.sent_frame())
        self.passes += 1

    def sent_frame(self) -> bytes:
        """The emitted headers, then what was not parsed."""
        return b"".join((*self.out, self.frame[self.at :]))


class Machine:
    """One program, loaded. Not safe for use by several threads at once."""

    def __init__(self, spec: Spec, options: Options, lpm_widths: dict[str, int] | None = None) -> None:
        """`lpm_widths`: for tables whose LPM field is narrower in P4 than in the assembly, the width in P4 by the assembly's name.

        Raises:
            LoadError: the assembly is wrong or needs what we do not have; names the line.
        """
        self.spec = spec
        self._options = options
        self._scope = Scope(self.spec)
        self.actions = {name: self._action(name) for name in self.spec.actions}
        self.tables = {name: self._table(table, lpm_widths or {}) for name, table in self.spec.tables.items()}
        self.table_list = list(self.tables.values())
        self.registers: dict[str, MutableSequence[int]] = {name: [array.initial] * round_up(array.size) for name, array in self.spec.regarrays.items()}
        self.meters = {name: MeterArray(array.size) for name, array in self.spec.metarrays.items()}
        fields = self._scope.metadata.fields
        self.metadata_fields = metadata_names(fields, self.spec.old_names)
        self.told_metadata = told_metadata(fields, self.spec.old_names)
        self._fresh = [_PATTERN & ((1 << f.bits) - 1) for f in fields]
        self._stale = [_PATTERN & ((1 << header.size * 8) - 1) for header in self._scope.headers.values()]
        self._last = [0] * len(fields)
        self._load()

    def _action(self, name: str) -> ActionObject:
        struct = self.spec.actions[name].args
        fields = self.spec.structs[struct].fields if struct else ()
        return ActionObject(name, tuple(f.bits for f in fields), tuple(f.name for f in fields))

    def _table(self, table: Table, lpm_widths: dict[str, int]) -> TableState:
        refs = key_refs(self._scope, table)
        widths = [ref.bits for ref in refs]
        state = TableState(table, widths, lpm_widths.get(table.name, widths[-1] if widths else 0))
        if table.learner:
            state.learner = Learner(table.size, table.timeouts, self._key_bytes(table), self._options.learner_bucket)
        for ref in table.actions:
            if ref.name not in self.actions:
                raise fail(table.line, f"table {table.name}: no action {ref.name!r}")
        return state

    def _key_bytes(self, table: Table) -> Callable[[int], bytes]:
        """How a learner's packed key lies in DPDK's memory: metadata up to 64 bits little-endian, the rest as on the wire."""
        layout = [(ref.bits, "little" if ref.space == "m" and ref.bits <= WORD else "big") for ref in key_refs(self._scope, table)]

        def key_bytes(key: int) -> bytes:
            parts = []
            for bits, order in reversed(layout):
                parts.append((key & ((1 << bits) - 1)).to_bytes(bits // 8, "little" if order == "little" else "big"))
                key >>= bits
            return b"".join(reversed(parts))

        return key_bytes

    def _load(self) -> None:
        for name, state in self.tables.items():
            state.default.append(self._default_entry(name))
        namespace = self._namespace()
        self._first = compile_spec(self.spec, namespace)
        for name, action in self.actions.items():
            action.function = namespace[f"A_{name}"]
        for state in self.tables.values():
            entry = state.default[0]
            state.default[0] = state.initial_default = (entry[4].function, *entry[1:])

    def _default_entry(self, name: str) -> Entry:
        table = self.spec.tables[name]
        action = self.actions.get(table.default_action)
        if action is None or table.default_action not in {ref.name for ref in table.actions}:
            raise fail(table.line, f"table {name}: no action {table.default_action!r} for the default")
        given = dict(table.default_args)
        if set(given) != set(action.param_names):
            raise fail(table.line, f"table {name}: the default action's arguments are not those of {action.name}")
        return (action.function, tuple(given[p] for p in action.param_names), 0, 0, action, None)

    def _namespace(self) -> dict[str, Any]:
        names: dict[str, Any] = {
            "from_bytes": int.from_bytes, "SENT": SENT, "DROPPED": DROPPED, "SHORT_FRAME": SHORT_FRAME, "STALE": self._stale,
            "checksum_add": externs.checksum_add, "checksum_add_header": externs.checksum_add_header,
            "checksum_subtract": externs.checksum_subtract, **externs.HASHES,
        }  # fmt: skip
        for index, (name, state) in enumerate(self.tables.items()):
            names |= {f"L_{name}": state.match.lookup, f"D_{name}": state.default, f"N_{name}": state.learner, f"I_{name}": index}
        names |= {f"X_{name}": action for name, action in self.actions.items()}
        names |= {f"R_{name}": cells for name, cells in self.registers.items()}
        return names | {f"M_{name}": meters for name, meters in self.meters.items()}

    def run(self, frame: bytes, port: int, now: int, trace: bool = False) -> Packet:
        """Send one frame through the program; `now` in ns of virtual time. The packet's `outcome` says what became of it."""
        packet = Packet(frame, port, now, trace)
        metadata = self._fresh[:] if self._options.poison else self._last[:]
        headers = self._stale[:]
        self._pass(packet, metadata, headers)
        while packet.again and packet.outcome == SENT:
            packet.go_round()
            self._pass(packet, metadata, headers)
            if packet.passes > _PASS_BOUND:
                packet.outcome = LOOP
        packet.metadata = self._last = metadata
        return packet

    def _pass(self, packet: Packet, metadata: list[int], headers: list[int]) -> None:
        valid = [False] * len(headers)
        block = self._first
        for _ in repeat(None, _BLOCK_BOUND):
            block = block(packet, metadata, headers, valid)
            if block is None:
                return
        packet.outcome = LOOP

    def settle(self) -> dict[str, set[Identity]]:
        """Called when a Write is done; returns entries that could not be kept after all, by table, which are gone then. None here."""
        return {}

    def learners(self) -> Iterator[tuple[TableState, Learner]]:
        """The tables that learn."""
        return ((state, state.learner) for state in self.tables.values() if state.learner is not None)
