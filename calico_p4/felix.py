"""``calico-p4-driver``: the dataplane driver as Felix starts it.

Felix gives no arguments; frames come on file descriptor 3 and go out on 4 (contract.md 1.2). Settings (`settings.py`) come from a file, the
environment, and Felix itself, whose first message is therefore read before anything else is done.

The driver ends when Felix closes fd 3, and within moments of SIGTERM; it never clears the switch, for the next one takes over what is there.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any

from calico_p4 import log
from calico_p4.admin.server import AdminServer
from calico_p4.files import BadFile
from calico_p4.first import FirstFrame
from calico_p4.http import Http
from calico_p4.live import Live
from calico_p4.metrics import CONTENT_TYPE, Metrics
from calico_p4.p4runtime.tls import Tls
from calico_p4.ports import load_ports
from calico_p4.replay import open_allocator
from calico_p4.settings import NONE, BadSettings, Settings, gathered, handed_on, settled
from calico_p4.switch import open_switch
from datastore.allocator import AllocatorError
from felix_proto.framing import ByteStream

READ_FD, WRITE_FD = 3, 4


def main() -> None:
    """Run until Felix goes, or sends SIGTERM."""
    _leave_at(signal.SIGTERM)
    status = 1
    try:
        status = run(os.environ)
    except (BadFile, BadSettings, AllocatorError, OSError, ValueError) as error:
        print(f"calico-p4-driver: {error}", file=sys.stderr)
    _end(status)


def run(environment: Mapping[str, str], read_fd: int = READ_FD, write_fd: int = WRITE_FD) -> int:
    """Drive the target from the frames on ``read_fd``; returns the exit status. Raises BadSettings, BadFile, AllocatorError, OSError."""
    early = settled(gathered(environment))
    log.configure(early.log_level, early.log_format)
    ports = load_ports(early.ports) if early.ports else []
    with os.fdopen(read_fd, "rb", buffering=0) as frames, os.fdopen(write_fd, "wb", buffering=0) as status:
        first = FirstFrame(frames)
        settings = settled(gathered(environment, first.config()))
        if settings != early:
            log.configure(settings.log_level, settings.log_format)
            ports = load_ports(settings.ports) if settings.ports else []
        return drive(settings, ports, first, status.write)


def drive(settings: Settings, ports: Sequence[Mapping[str, Any]], frames: ByteStream, send: Callable[[bytes], Any]) -> int:
    """Run with these settings; returns the exit status."""
    metrics = Metrics()
    tls = Tls(settings.tls_ca, settings.tls_cert, settings.tls_key, settings.tls_name) if settings.tls_ca else None
    live = Live(
        settings.target, open_allocator(settings.state), ports, send, kubernetes=_unless_none(settings.kubernetes), fib=_unless_none(settings.fib),
        interfaces=_unless_none(settings.interfaces),
        opener=lambda target: open_switch(target, tls, settings.architecture), metrics=metrics, replace_pipeline=settings.foreign_pipeline == "replace",
        rule_hits=settings.rule_hits == "true", config=handed_on(settings),
    )  # fmt: skip
    live.driver.delete_foreign = settings.foreign_entries == "delete"
    servers = [_answer_questions(settings.admin, live), _serve(settings.metrics, live, metrics)]
    try:
        return live.run(frames)
    finally:
        for server in servers:
            if server is not None:
                server.stop()


def _unless_none(value: str) -> str | None:
    return None if value == NONE else value


def _answer_questions(address: str, live: Live) -> AdminServer | None:
    """Open the admin socket; a driver that can't be asked still drives."""
    if address == NONE:
        return None
    try:
        return AdminServer(address, live.ask, live.watch)
    except (OSError, ValueError) as error:
        log.get_logger().error("questions can't be asked", admin=address, error=str(error))
        return None


def _serve(address: str, live: Live, metrics: Metrics) -> Http | None:
    """Serve metrics and probes; a driver that can't be watched still drives."""
    if address == NONE:
        return None
    pages = {
        "/metrics": lambda: (200, CONTENT_TYPE, metrics.text()),
        "/livez": lambda: _probe(live.alive(), "the loop stands still"),
        "/readyz": lambda: _probe(metrics.ready, "the snapshot is not confirmed by the target"),
    }
    try:
        return Http(address, pages)
    except (OSError, ValueError) as error:
        log.get_logger().error("metrics are not served", metrics=address, error=str(error))
        return None


def _probe(well: bool, otherwise: str) -> tuple[int, str, bytes]:
    return (200, "text/plain", b"ok\n") if well else (503, "text/plain", f"{otherwise}\n".encode())


def _leave_at(number: signal.Signals) -> None:
    """End with status 0 when the signal comes: Felix waits 2 s. What is on the switch stays; numbers that rows use were written before the rows.

    A thread waits for it, and every other thread, the transport's too, blocks it: a handler runs in the main thread only, and one that waits
    for the target does not wake up when the signal was given to another thread.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})

    def wait() -> None:
        signal.sigwait({number})
        os._exit(0)  # without a last flush: whoever holds the log may be stuck

    Thread(target=wait, name="signals", daemon=True).start()


def _end(status: int) -> None:
    sys.stderr.flush()
    os._exit(status)  # threads of the transport would hold up an orderly end
