"""A running embedded target behind a socket, for tests, what is tested in place of one in this process, and ports of this machine that
nobody uses.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from calico_p4.switch import Switch, connect, embedded
from k8s_p4.target import serve

PATIENCE_S = 60.0
MAKES: list[Callable[[], Switch]] = [embedded]
"""What makes a switch; the last one counts."""


def new_switch() -> Switch:
    """A switch that is not yet prepared: by default an embedded one, else of the target that CALICO_P4_TEST_TARGET names."""
    return MAKES[-1]()


@contextmanager
def running_target(folder: Path) -> Iterator[str]:
    """Serve a fresh switch on a unix socket in ``folder``; yields its address."""
    server = serve(f"unix:{folder}/target.sock")
    try:
        yield server.address
    finally:
        server.stop()


def connected(address: str) -> Switch:
    """Connect to a target that is there, however long the machine takes."""
    return connect(address, PATIENCE_S)


def unused_port() -> int:
    """Return a TCP port of loopback that is free, and from where the system takes none for connections of others."""
    for port in SystemRandom().sample(range(12000, 32000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("a hundred ports in use")
