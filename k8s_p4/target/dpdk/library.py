"""The engine's functions (engine.c) for Python."""

from __future__ import annotations

import ctypes
import functools
import gc
import tempfile
from pathlib import Path

from k8s_p4.target.dpdk.build import DpdkMissing, engine, program

# Ordinary memory, taken as it is used. The program as it is needs some two gigabytes, and as much again while another takes its place.
_MEGABYTES = 6144
_PORTS = "port in 0 fd 0 mtu 1500 mempool frames bsz 1\nport out 0 fd 1 bsz 1\n"
SENT, DROPPED, SHORT_FRAME = 1, 2, 3


class Result(ctypes.Structure):
    """What became of a frame (`struct result`); `frame` and `metadata` hold until the next one."""

    _fields_ = (
        ("outcome", ctypes.c_uint32), ("port", ctypes.c_uint32), ("length", ctypes.c_uint32), ("passes", ctypes.c_uint32),
        ("frame", ctypes.c_void_p), ("metadata", ctypes.c_void_p),
    )  # fmt: skip


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    text, number, handle, data = ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_char_p
    wide, status = ctypes.c_uint64, ctypes.POINTER(ctypes.c_int)
    for name, result, arguments in (
        ("engine_init", ctypes.c_int, (text,)),
        ("engine_codegen", ctypes.c_int, (text, text, ctypes.POINTER(number), ctypes.POINTER(text))),
        ("engine_open", handle, (text, text, text, ctypes.c_int, status)),
        ("engine_close", None, (handle,)),
        ("engine_forget", None, (handle,)),
        ("engine_learned", ctypes.c_int64, (handle, number, ctypes.c_int64, wide, data, ctypes.POINTER(wide), data, ctypes.POINTER(wide))),
        ("engine_unlearn", None, (handle, number, ctypes.c_int64)),
        ("engine_learn", ctypes.c_int, (handle, number, wide, data, wide, data, wide)),
        ("engine_meter", ctypes.c_int, (handle, text, number, wide, wide, wide, wide, wide)),
        ("engine_metered", ctypes.c_int, (handle, text, number, ctypes.POINTER(wide))),
        ("engine_action", ctypes.c_int64, (handle, text)),
        ("engine_argument", ctypes.c_int, (handle, number, number)),
        ("engine_add", ctypes.c_int, (handle, text, data, data, number, wide, data)),
        ("engine_delete", ctypes.c_int, (handle, text, data, data, number)),
        ("engine_default", ctypes.c_int, (handle, text, wide, data)),
        ("engine_commit", ctypes.c_int, (handle,)),
        ("engine_read", ctypes.c_int, (handle, text, number, ctypes.POINTER(wide))),
        ("engine_write", ctypes.c_int, (handle, text, number, wide)),
        ("engine_run", ctypes.POINTER(Result), (handle, number, data, number, wide)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@functools.cache
def start() -> ctypes.CDLL:
    """DPDK, started once in this process.

    Raises:
        DpdkMissing: it is not there or does not start.
    """
    # Lazily and by this name first: the engine's clock stands before DPDK's own (engine.c).
    library = _typed(ctypes.CDLL(str(engine()), mode=ctypes.RTLD_GLOBAL))
    status = library.engine_init(str(_MEGABYTES).encode())
    if status:
        raise DpdkMissing(f"no libdpdk: it does not start (error {status})")
    return library


def open_pipeline(name: str, spec: str, library: ctypes.CDLL, poison: bool) -> int:
    """A pipeline of that assembly; the handle for the other functions. Raises ValueError: DPDK refuses it."""
    compiled = program(spec, library)
    handle, status = _open(name, compiled, library, poison)
    if not handle:
        gc.collect()  # pipelines nobody has any more may still hold the memory
        handle, status = _open(name, compiled, library, poison)
    if not handle:
        raise ValueError(f"pipeline.spec: DPDK refuses to build the pipeline (error {status})")
    return handle


def _open(name: str, compiled: Path, library: ctypes.CDLL, poison: bool) -> tuple[int, int]:
    status = ctypes.c_int()
    with tempfile.NamedTemporaryFile("w", suffix=".io") as ports:
        ports.write(_PORTS)
        ports.flush()
        handle = library.engine_open(name.encode(), bytes(compiled), bytes(Path(ports.name)), poison, ctypes.byref(status))
    return handle or 0, status.value
