"""A running embedded target behind a socket, for tests, what is tested in place of one in this process, and ports of this machine that
nobody uses.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import SystemRandom

import pytest

from calico_p4.switch import ARCHITECTURES, Switch, connect, embedded
from k8s_p4.target import serve

PATIENCE_S = 60.0
ON_BMV2 = os.environ.get("CALICO_P4_TEST_TARGET") == "bmv2"
"""Whether BMv2 is tested in place of embedded targets. What it does in its own way is in docs/targets.md; a test that meets with it expects that there."""
MAKES: list[Callable[[], Switch]] = [embedded]
"""What makes a switch; the last one counts."""
SERVES: list[tuple[str, Callable[[Path], AbstractContextManager[str]]]] = []
"""What serves a switch in a folder and yields its address, and whose program that takes; the last one counts."""


def new_switch() -> Switch:
    """A switch that is not yet prepared: by default an embedded one, else of the target that CALICO_P4_TEST_TARGET names."""
    return MAKES[-1]()


@contextmanager
def running_embedded(folder: Path) -> Iterator[str]:
    """Serve a fresh embedded switch on a unix socket in ``folder``; yields its address."""
    server = serve(address_in(folder))
    try:
        yield server.address
    finally:
        server.stop()


def address_in(folder: Path) -> str:
    """Where the target of a folder is served."""
    return f"unix:{folder}/target.sock"


def running_target(folder: Path) -> AbstractContextManager[str]:
    """A fresh switch on a unix socket in ``folder``, by default an embedded one, else of the target that CALICO_P4_TEST_TARGET names."""
    return SERVES[-1][1](folder) if SERVES else running_embedded(folder)


def architecture() -> str:
    """Whose program the targets take that `running_target` serves."""
    return SERVES[-1][0] if SERVES else ARCHITECTURES[0]


def embedded_only(why: str) -> pytest.MarkDecorator:
    """Mark a test that reaches into the embedded target: skipped, and this told, where another is tested in its place."""
    return pytest.mark.skipif(ON_BMV2, reason=f"the embedded target's: {why}")


def connected(address: str) -> Switch:
    """Connect to a target that is there, however long the machine takes."""
    return connect(address, PATIENCE_S, architecture=architecture())


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
