"""The engine's functions (engine.c) for Python."""

from __future__ import annotations

import ctypes
import functools

from k8s_p4.target.dpdk.build import DpdkMissing, engine

# Ordinary memory, taken as it is used. The program as it is needs some two and a half gigabytes, and as much again while another takes its place.
_MEGABYTES = 6144
SENT, DROPPED, SHORT_FRAME = 1, 2, 3


class Result(ctypes.Structure):
    """What became of a frame (`struct result`); `frame` and `metadata` hold until the next one."""

    _fields_ = (
        ("outcome", ctypes.c_uint32), ("length", ctypes.c_uint32), ("passes", ctypes.c_uint32),
        ("frame", ctypes.c_void_p), ("metadata", ctypes.c_void_p),
    )  # fmt: skip


class Actions(ctypes.Structure):
    """A table's actions (`struct actions`)."""

    _fields_ = (
        ("n", ctypes.c_uint32), ("names", ctypes.c_void_p), ("in_entries", ctypes.c_void_p), ("as_default", ctypes.c_void_p),
        ("fallback", ctypes.c_char_p), ("arguments", ctypes.c_char_p), ("fixed", ctypes.c_int),
    )  # fmt: skip


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    text, number, handle, data = ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_char_p
    wide, status, integer = ctypes.c_uint64, ctypes.c_int, ctypes.c_int
    texts, numbers, actions = ctypes.POINTER(text), ctypes.POINTER(number), ctypes.POINTER(Actions)
    for name, result, arguments in (
        ("engine_init", status, (text,)),
        ("engine_new", handle, (text, text, integer, integer)),
        ("engine_struct", status, (handle, text, number, texts, numbers, integer)),
        ("engine_header", status, (handle, text, text)),
        ("engine_metadata", status, (handle, text)),
        ("engine_routine", status, (handle, text, text, number, texts)),
        ("engine_apply", status, (handle, number, texts)),
        ("engine_table", status, (handle, text, number, texts, texts, actions, number)),
        ("engine_learner", status, (handle, text, number, texts, actions, number, number, numbers)),
        ("engine_registers", status, (handle, text, number, wide)),
        ("engine_meters", status, (handle, text, number)),
        ("engine_build", status, (handle,)),
        ("engine_close", None, (handle,)),
        ("engine_forget", None, (handle,)),
        ("engine_learner_check", status, (handle, number, number)),
        ("engine_learned", ctypes.c_int64, (handle, number, ctypes.c_int64, wide, data, ctypes.POINTER(wide), data, ctypes.POINTER(wide))),
        ("engine_unlearn", None, (handle, number, ctypes.c_int64)),
        ("engine_shrink", status, (handle, number, number)),
        ("engine_learn", status, (handle, number, wide, data, wide, data, wide)),
        ("engine_meter", status, (handle, text, number, wide, wide, wide, wide, wide)),
        ("engine_metered", status, (handle, text, number, ctypes.POINTER(wide))),
        ("engine_action", ctypes.c_int64, (handle, text)),
        ("engine_argument", status, (handle, number, number)),
        ("engine_add", status, (handle, text, data, data, number, wide, data)),
        ("engine_delete", status, (handle, text, data, data, number)),
        ("engine_default", status, (handle, text, wide, data)),
        ("engine_commit", status, (handle,)),
        ("engine_read", status, (handle, text, number, ctypes.POINTER(wide))),
        ("engine_write", status, (handle, text, number, wide)),
        ("engine_run", ctypes.POINTER(Result), (handle, number, data, number, wide)),
        ("engine_try", ctypes.POINTER(Result), (handle, number, data, number, wide)),
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
    # By this name first: the engine's rate of the clock stands before DPDK's own (engine.c).
    library = _typed(ctypes.CDLL(str(engine()), mode=ctypes.RTLD_GLOBAL))
    status = library.engine_init(str(_MEGABYTES).encode())
    if status:
        raise DpdkMissing(f"no libdpdk: it does not start (error {status})")
    return library
