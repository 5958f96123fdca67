"""Memory that Python has freed and the C library keeps."""

import ctypes


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc): after a snapshot that is an eighth of all it holds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
