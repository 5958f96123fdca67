"""A running embedded target behind a socket, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s_p4.target import serve


@contextmanager
def running_target(folder: Path) -> Iterator[str]:
    """Serve a fresh switch on a unix socket in ``folder``; yields its address."""
    server = serve(f"unix:{folder}/target.sock")
    try:
        yield server.address
    finally:
        server.stop()
