"""Progress of what takes long: a line on standard error that is written over, on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EVERY_S = 0.1
_WIDTH = 100


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Return a function that shows how far things are; nothing is shown, and nothing costs, where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    shown_s = 0.0

    def tell(text: str) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if now_s - shown_s >= _EVERY_S:
            shown_s = now_s
            print(f"\r{text[:_WIDTH].ljust(_WIDTH)}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if shown_s:
            print(f"\r{' ' * _WIDTH}\r", end="", file=sys.stderr, flush=True)
