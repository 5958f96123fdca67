"""Between Felix and its driver: passes on what either says, unchanged and in order, and hands a copy to whoever keeps it.

Felix's end is file descriptors 3 and 4; the driver gets pipes on the same numbers (contract 1.2). Felix waits for the driver, and until it is
in sync it has a use for every processor, so only what an interpreter has built in is used: `threading`, `signal` and `collections.abc` bring
others along, which take half as long to read as the interpreter to start.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps
import os
import select
import sys
import time
from _thread import start_new_thread
from fcntl import F_SETPIPE_SZ, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Keep = Callable[[int, bytes], None]
    """Called with nanoseconds since the start and the bytes that arrived then; must neither wait nor raise."""

FROM_FELIX, TO_FELIX = 3, 4
NOT_STARTED = 127
"""Exit status for a driver that can't be started, as shells have it."""
_CHUNK = 1 << 18
"""Bytes of a pipe's room, and of one reading: what comes within `_GATHER_S`, and no more, for Felix shall notice a driver that is slow."""
_GATHER_S = 0.005
"""After something was passed on, how long the next waits for more to join it: Felix writes message by message, and each waking of two
processes would cost it processor time that it needs."""
_LAST_ANSWERS_S = 5.0
"""How long to wait for what the driver said last."""
_PASSED_ON = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGUSR1, _signal.SIGUSR2)


class Driver:
    """The process behind us: its pipes, and its end."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it. Raises OSError."""
        reads, self.to_driver = os.pipe()
        self.from_driver, writes = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, reads, FROM_FELIX), (os.POSIX_SPAWN_DUP2, writes, TO_FELIX)]
        # Python ignores SIGPIPE, and what is ignored stays so in a new program.
        ignored = [_signal.SIGPIPE, _signal.SIGXFSZ]
        self.pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions, setsigdef=ignored)
        os.close(reads)
        os.close(writes)
        for pipe in (FROM_FELIX, self.to_driver):
            _widen(pipe)
        self.status: int | None = None
        self.ended_fd, self._tell_fd = os.pipe()
        start_new_thread(self._wait, ())

    def _wait(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self.status = code if code >= 0 else 128 - code
        os.close(self._tell_fd)

    def wait(self) -> int:
        """Return the exit status when it has ended; 128 and the signal's number if one ended it."""
        select.select([self.ended_fd], [], [])
        assert self.status is not None
        return self.status

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        if self.status is None:
            os.kill(self.pid, number)


class Tee:
    """Passes bytes on in both directions until Felix is done."""

    def __init__(self, driver: Driver, frames: Keep, answers: Keep, exit_with_driver: bool) -> None:
        self._driver, self._frames, self._answers = driver, frames, answers
        self._leave = exit_with_driver
        self._start_ns = time.monotonic_ns()
        self._forwarding = True
        self._answered_fd, self._tell_fd = os.pipe()

    def run(self) -> int:
        """Return the driver's exit status when Felix has closed its end and the driver has gone.

        If the driver goes first, Felix is read on, and kept, so that it never writes into a pipe without a reader; unless it asked
        the driver to go, or ``exit_with_driver`` was set: then what it has written is taken in, and that is the end.
        """
        for number in _PASSED_ON:
            _signal.signal(number, self._pass_on)
        start_new_thread(self._backward, ())
        self._forward()
        self._stop_forwarding()
        status = self._driver.wait()
        select.select([self._answered_fd], [], [], _LAST_ANSWERS_S)
        return status

    def _pass_on(self, number: int, _frame: object) -> None:
        self._leave = True
        self._driver.signal(number)

    def _now(self) -> int:
        return time.monotonic_ns() - self._start_ns

    def _forward(self) -> None:
        ended = self._driver.ended_fd
        watched = [FROM_FELIX, ended]
        while True:
            # A signal may come between two looks: so look again after a while, and wait for nothing when all is over.
            gone = self._driver.status is not None
            ready, _, _ = select.select(watched, [], [], 0 if gone and self._leave else 0.5 if gone else None)
            if FROM_FELIX in ready:
                data = os.read(FROM_FELIX, _CHUNK)
                if not data:
                    return
                self._frames(self._now(), data)
                self._send(data)
                time.sleep(_GATHER_S)
            elif gone and self._leave:
                return
            if ended in ready:
                watched = [FROM_FELIX]
                self._report_end()

    def _report_end(self) -> None:
        if not self._leave:
            say(f"the driver has ended with status {self._driver.wait()}; Felix is not told, and recorded on")

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and self._forwarding:
                view = view[os.write(self._driver.to_driver, view) :]
        except BrokenPipeError:
            self._stop_forwarding()

    def _stop_forwarding(self) -> None:
        if self._forwarding:
            self._forwarding = False
            os.close(self._driver.to_driver)

    def _backward(self) -> None:
        """Pass on what the driver tells Felix; fd 4 stays open when the driver closes its own, for Felix would take that for the end."""
        try:
            self._pass_back()
        finally:
            os.close(self._tell_fd)

    def _pass_back(self) -> None:
        while data := os.read(self._driver.from_driver, _CHUNK):
            self._answers(self._now(), data)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(TO_FELIX, view) :]
            except OSError:  # Felix does not listen any more: the driver shall notice as it would without us
                os.close(self._driver.from_driver)
                return


def _widen(pipe: int) -> None:
    """Let a pipe hold more, so that whoever writes need not wait; where that is not allowed, or it is no pipe, it stays as it is."""
    try:
        fcntl(pipe, F_SETPIPE_SZ, _CHUNK)
    except OSError:
        return


def say(text: str) -> None:
    """Tell whoever reads the log; Felix takes the driver's standard error into its own."""
    print(f"calico-p4 record: {text}", file=sys.stderr, flush=True)


def missing_descriptors() -> list[int]:
    """Return which of Felix's two file descriptors are not open."""
    missing = []
    for number in (FROM_FELIX, TO_FELIX):
        try:
            os.fstat(number)
        except OSError:
            missing.append(number)
    return missing
