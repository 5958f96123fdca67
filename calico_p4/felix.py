"""``calico-p4-driver``: the dataplane driver as Felix starts it.

Felix gives no arguments; frames come on file descriptor 3 and go out on 4 (contract.md 1.2). Settings are environment variables, which
Felix passes on:

    CALICO_P4_TARGET      unix:PATH or HOST:PORT of the P4Runtime server, or embedded; default unix:/run/calico-p4/target.sock
    CALICO_P4_STATE       folder of the allocator's file; default /var/lib/calico-p4
    CALICO_P4_PORTS       a ports file, as for replay --ports
    CALICO_P4_ADMIN       unix:PATH where questions are answered; default unix:/run/calico-p4/admin.sock; none: nowhere
    CALICO_P4_KUBERNETES  where services come from: in-cluster, the URL of an API server, or a kubeconfig; default none: not configured
    CALICO_P4_FIB         mirror the kernel's routes of these protocols ("bird", "12,186"): for clusters whose Felix sends none; default none
    CALICO_P4_LOG_LEVEL   debug, info (default), warning or error

The driver ends when Felix closes fd 3, and within moments of SIGTERM; it never clears the switch, for the next one takes over what is there.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calico_p4 import log
from calico_p4.admin.server import AdminServer
from calico_p4.files import BadFile
from calico_p4.live import Live
from calico_p4.ports import load_ports
from calico_p4.replay import open_allocator
from datastore.allocator import AllocatorError

READ_FD, WRITE_FD = 3, 4
NOWHERE = "none"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    target: str = "unix:/run/calico-p4/target.sock"
    state: str = "/var/lib/calico-p4"
    ports: str | None = None
    admin: str = "unix:/run/calico-p4/admin.sock"
    kubernetes: str = NOWHERE
    fib: str = NOWHERE
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read CALICO_P4_TARGET and the others; what is not set or empty has its default."""
        given = {name: value for name in cls.__slots__ if (value := environment.get(f"CALICO_P4_{name.upper()}"))}
        return cls(**given)


def main() -> None:
    """Run until Felix goes, or sends SIGTERM."""
    signal.signal(signal.SIGTERM, _leave)
    settings = Settings.from_environment(os.environ)
    status = 1
    try:
        log.configure(settings.log_level)
        status = run(settings)
    except (BadFile, AllocatorError, OSError, ValueError) as error:
        print(f"calico-p4-driver: {error}", file=sys.stderr)
    _end(status)


def run(settings: Settings, read_fd: int = READ_FD, write_fd: int = WRITE_FD) -> int:
    """Drive the target from the frames on ``read_fd``; returns the exit status."""
    ports = load_ports(settings.ports) if settings.ports else []
    with os.fdopen(read_fd, "rb", buffering=0) as frames, os.fdopen(write_fd, "wb", buffering=0) as status:
        kubernetes, fib = (None if value == NOWHERE else value for value in (settings.kubernetes, settings.fib))
        live = Live(settings.target, open_allocator(settings.state), ports, status.write, kubernetes=kubernetes, fib=fib)
        admin = _answer_questions(settings.admin, live)
        try:
            return live.run(frames)
        finally:
            if admin is not None:
                admin.stop()


def _answer_questions(address: str, live: Live) -> AdminServer | None:
    """Open the admin socket; a driver that can't be asked still drives."""
    if address == NOWHERE:
        return None
    try:
        return AdminServer(address, live.ask)
    except (OSError, ValueError) as error:
        log.get_logger().error("questions can't be asked", admin=address, error=str(error))
        return None


def _leave(_number: int, _frame: Any) -> None:
    """SIGTERM: Felix waits 2 s. What is on the switch stays; numbers that rows use were written before the rows."""
    _end(0)


def _end(status: int) -> None:
    sys.stderr.flush()
    os._exit(status)  # threads of the transport would hold up an orderly end
