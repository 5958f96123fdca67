"""A parsed assembly told to DPDK by its public interface, declaration by declaration."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable

from k8s_p4.target.dpdk.legal import SCRATCH
from k8s_p4.target.dpdk.library import Actions
from k8s_p4.target.options import Options
from k8s_p4.target.spec import Instruction, Spec, Table

_TOO_MUCH = (-12, -19)
"""ENOMEM, and ENODEV, which is what becomes of a table that finds no memory (`table_state_build` in lib/pipeline/rte_swx_pipeline.c)."""


class _Refused(ValueError):
    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"pipeline.spec: DPDK refuses {what} (error {status}{', for lack of memory' if status in _TOO_MUCH else ''})")
        self.status = status


def open_pipeline(name: str, spec: Spec, library: ctypes.CDLL, options: Options) -> int:
    """A pipeline of that assembly; the handle for the engine's other functions.

    Raises:
        ValueError: DPDK refuses it; names the declaration.
    """
    try:
        return _opened(name, spec, library, options)
    except _Refused as error:
        if error.status not in _TOO_MUCH:
            raise
    gc.collect()  # pipelines nobody has any more may still hold the memory
    return _opened(name, spec, library, options)


def _opened(name: str, spec: Spec, library: ctypes.CDLL, options: Options) -> int:
    handle = library.engine_new(name.encode(), SCRATCH.encode(), options.poison, options.real_time)
    if not handle:
        raise _Refused("to begin a pipeline", _TOO_MUCH[0])
    try:
        _Teller(library, handle).tell(spec)
    except _Refused:
        library.engine_close(handle)
        raise
    return int(handle)


class _Teller:
    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library, self._handle = library, handle

    def tell(self, spec: Spec) -> None:
        for struct in spec.structs.values():
            names, bits = _texts(f.name for f in struct.fields), _numbers(f.bits for f in struct.fields)
            varies = any(f.var for f in struct.fields)
            self._do(f"struct {struct.name}", "engine_struct", struct.name.encode(), len(bits), names, bits, varies)
        for name, of in spec.headers.items():
            self._do(f"header {name}", "engine_header", name.encode(), of.encode())
        self._do("the metadata", "engine_metadata", spec.metadata.encode())
        for array in spec.regarrays.values():
            self._do(f"regarray {array.name}", "engine_registers", array.name.encode(), array.size, array.initial)
        for array in spec.metarrays.values():
            self._do(f"metarray {array.name}", "engine_meters", array.name.encode(), array.size)
        for action in spec.actions.values():
            lines, of_args = _texts(map(_line, action.body)), action.args.encode() if action.args else None
            self._do(f"action {action.name}", "engine_routine", action.name.encode(), of_args, len(lines), lines)
        for table in spec.tables.values():
            self._tell_table(table)
        lines = _texts(map(_line, spec.apply))
        self._do("the apply block", "engine_apply", len(lines), lines)
        self._do("to build the pipeline", "engine_build")

    def _tell_table(self, table: Table) -> None:
        keys, name = _texts(key for key, _ in table.keys), table.name.encode()
        names = _texts(ref.name for ref in table.actions)
        entries, defaults = _numbers(ref.in_entries for ref in table.actions), _numbers(ref.as_default for ref in table.actions)
        arguments = " ".join(f"{field} {value}" for field, value in table.default_args)
        actions = Actions(
            len(names), ctypes.addressof(names), ctypes.addressof(entries), ctypes.addressof(defaults),
            table.default_action.encode(), arguments.encode() or None, table.default_const,
        )  # fmt: skip
        if table.learner:
            timeouts = _numbers(table.timeouts)
            self._do(f"learner {table.name}", "engine_learner", name, len(keys), keys, ctypes.byref(actions), table.size, len(timeouts), timeouts)
        else:
            matches = _texts(match for _, match in table.keys)
            self._do(f"table {table.name}", "engine_table", name, len(keys), keys, matches, ctypes.byref(actions), table.size)

    def _do(self, what: str, function: str, *arguments: object) -> None:
        if status := getattr(self._library, function)(self._handle, *arguments):
            raise _Refused(what, status)


def _line(instruction: Instruction) -> str:
    label = f"{instruction.labels[0]} : " if instruction.labels else ""
    return label + " ".join((instruction.op, *instruction.args))


def _texts(values: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    found = [value.encode() for value in values]
    return (ctypes.c_char_p * len(found))(*found)


def _numbers(values: Iterable[int]) -> ctypes.Array[ctypes.c_uint32]:
    found = list(map(int, values))
    return (ctypes.c_uint32 * len(found))(*found)
