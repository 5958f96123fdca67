"""The assembly, compiled once to Python functions.

The apply block becomes basic blocks: a function each where several jumps meet, nested `if`s where only one leads. A block function
takes the packet's state and returns the next block, or None at the end of the packet; an action's function returns True if it ended the
packet (`drop` is immediate, nothing after it runs). State: `t` (see `runtime.Packet`), `m`, `h`, `v` and `p` (see `operands`).

Not copied from DPDK: headers are copies, not pointers into the frame, so writing to a header that was looked ahead does not show in one
extracted from the same bytes later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

from k8s_p4.target.instructions import JUMPS, Emitter
from k8s_p4.target.operands import Scope
from k8s_p4.target.spec import Action, Instruction, Spec, fail

_INDENT_BOUND = 12
ENDS = ("jmp", "return", "tx", "drop")


class _Routine:
    """One list of instructions (apply, or an action) cut into blocks."""

    def __init__(self, name: str, body: tuple[Instruction, ...], call: str) -> None:
        """`call`: how a block goes on to another, with {} for the block's name."""
        self.name = name
        self.call = call
        self.blocks: list[list[Instruction]] = []
        self.labels: dict[str, int] = {}
        self._cut(body)
        self.refs = [0] * (len(self.blocks) + 1)
        self._count()

    def _cut(self, body: tuple[Instruction, ...]) -> None:
        fresh = True
        for instruction in body:
            if fresh or instruction.labels:
                self.blocks.append([])
            for label in instruction.labels:
                if label in self.labels:
                    raise fail(instruction.line, f"label {label!r} is set twice")
                self.labels[label] = len(self.blocks) - 1
            self.blocks[-1].append(instruction)
            fresh = instruction.op in JUMPS or instruction.op in ENDS
        if not self.blocks:
            self.blocks.append([])

    def _count(self) -> None:
        self.refs[0] += 2  # entered from outside
        for at, block in enumerate(self.blocks):
            for instruction in block:
                if instruction.op in JUMPS or instruction.op == "jmp":
                    self.refs[self.target(instruction)] += 1
            if not block or block[-1].op not in ENDS:
                self.refs[at + 1] += 1

    def target(self, instruction: Instruction) -> int:
        """The block a jump leads to."""
        label = instruction.args[0] if instruction.args else ""
        if label not in self.labels:
            raise fail(instruction.line, f"no label {label!r}")
        return self.labels[label]

    def block_name(self, at: int) -> str:
        return f"{self.name}_{at}"


class _Writer:
    """Writes the functions of one routine."""

    def __init__(self, routine: _Routine, emitter: Emitter, params: str, is_action: bool) -> None:
        self.routine = routine
        self.emitter = emitter
        self.params = params
        self.is_action = is_action
        self.lines: list[str] = []
        self._late: list[int] = []

    def write(self) -> list[str]:
        """The source lines of all block functions."""
        for at in range(len(self.routine.blocks)):
            # Blocks that nothing leads to are written as well, so that what they hold is checked.
            if self.routine.refs[at] != 1:
                self.lines.append(f"def {self.routine.block_name(at)}({self.params}):")
                self._block(at, 1)
        # Blocks that were nested too deep are written as functions of their own.
        while self._late:
            at = self._late.pop()
            self.lines.append(f"def {self.routine.block_name(at)}({self.params}):")
            self._block(at, 1)
        return self.lines

    def _put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def _block(self, at: int, depth: int) -> None:
        """The block and, nested, those that only it leads to; every path ends in a return."""
        block = self.routine.blocks[at] if at < len(self.routine.blocks) else []
        for instruction in block:
            if instruction.op in JUMPS:
                self._put(depth, f"if {self.emitter.condition(instruction)}:")
                self._go(instruction.line, at, self.routine.target(instruction), depth + 1)
            elif instruction.op == "jmp":
                self._go(instruction.line, at, self.routine.target(instruction), depth)
            else:
                for line in self.emitter.statement(instruction, self.is_action):
                    self._put(depth, line)
        if at >= len(self.routine.blocks):
            self._put(depth, "return None")
        elif not block or block[-1].op not in ENDS:
            self._go(0, at, at + 1, depth)

    def _go(self, line: int, origin: int, to: int, depth: int) -> None:
        if self.is_action and to <= origin:
            raise fail(line, "a jump backwards inside an action is not supported")
        if to >= len(self.routine.blocks):
            self._put(depth, "return None")
        elif self.routine.refs[to] == 1 and depth < _INDENT_BOUND:
            self._block(to, depth)
        else:
            if self.routine.refs[to] == 1:
                self._late.append(to)
            self._put(depth, "return " + self.routine.call.format(self.routine.block_name(to)))


def _write(routine: _Routine, emitter: Emitter, params: str, is_action: bool) -> list[str]:
    return _Writer(routine, emitter, params, is_action).write()


def _action_lines(spec: Spec, action: Action, emitter_for: Callable[[Scope], Emitter]) -> list[str]:
    name = f"A_{action.name}"
    routine = _Routine(name, action.body, "{}(t, m, h, v, p)")
    lines = _write(routine, emitter_for(Scope(spec, action.args)), "t, m, h, v, p", True)
    return [*lines, f"{name} = {name}_0"]


def generate(spec: Spec, ending_actions: frozenset[str]) -> str:
    """The program's Python source. `ending_actions`: names of actions that may end the packet."""
    lines: list[str] = []
    for action in spec.actions.values():
        lines += _action_lines(spec, action, lambda scope: Emitter(spec, scope, ending_actions))
    routine = _Routine("B", spec.apply, "{}")
    lines += _write(routine, Emitter(spec, Scope(spec), ending_actions), "t, m, h, v", False)
    return "\n".join(lines) + "\n"


def compile_spec(spec: Spec, namespace: dict[str, Any]) -> Callable[..., Any]:
    """Compile into `namespace`, which must hold what the code refers to (`runtime.bind`); returns the first block."""
    exec(_code(spec), namespace)  # noqa: S102  (our own code, every name in it checked)
    first: Callable[..., Any] = namespace["B_0"]
    return first


@lru_cache(maxsize=4)
def _code(spec: Spec) -> CodeType:
    """The program's code; kept, for who replays a hundred streams makes a hundred switches of one program."""
    ending = frozenset(name for name, action in spec.actions.items() if any(i.op == "drop" for i in action.body))
    return compile(generate(spec, ending), "<pipeline.spec>", "exec")
