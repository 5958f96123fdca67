"""``record``: a driver between pipes of our own, and copies of all that passes.

Felix waits for the driver, so it is started before anything is imported that it does not take: what writes the recording (`recorder`)
is imported in the thread that does. Copies are taken without waiting; what comes before that thread is ready waits in memory.
"""

from __future__ import annotations

import os
import time
from _queue import SimpleQueue
from _thread import allocate_lock, start_new_thread

from calico_p4.tools.tee import NOT_STARTED, Driver, Tee, missing_descriptors, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BACKLOG = 1 << 28
"""Bytes that may wait for the disk; what comes when that is full is not recorded."""
QUIET_S, LONGEST_S = 0.1, 2.0
"""Copies are written when nothing has come for so long, or the first one has waited so long: while Felix computes, it has the processors."""
START_QUIET_S, START_LONGEST_S = 1.0, 10.0
"""The same for the first ones: Felix is silent while it reads its datastore, and no less busy."""
Copy = tuple[str, int, bytes]
"""frame, answer or k8s; nanoseconds since the start; what came then."""


class Copies:
    """Copies of what has passed, taken in any thread, written in another. Never waits, never raises."""

    def __init__(self) -> None:
        self.name = "recording"
        self.failed = ""
        """Why nothing more is recorded."""
        self.status: int | None = None
        """The driver's exit status, when all has passed."""
        self._queue: SimpleQueue[Copy | None] = SimpleQueue()
        self._waiting = 0
        self._last_s = time.monotonic()
        self._lock, self._passing = allocate_lock(), allocate_lock()
        self._passing.acquire()  # until all has passed

    def frames(self, ns: int, data: bytes) -> None:
        """Keep what Felix wrote."""
        self._put("frame", ns, data)

    def answers(self, ns: int, data: bytes) -> None:
        """Keep what the driver wrote."""
        self._put("answer", ns, data)

    def object(self, ns: int, line: bytes) -> None:
        """Keep an event of Kubernetes, a line of JSON with ``type`` and ``object``."""
        self._put("k8s", ns, line)

    def _put(self, kind: str, ns: int, data: bytes) -> None:
        with self._lock:
            if self.failed:
                return
            if self._waiting + len(data) > BACKLOG:
                self.fail(f"the disk does not keep up: {self._waiting} bytes wait for it")
                return
            self._waiting += len(data)
        self._last_s = time.monotonic()
        self._queue.put((kind, ns, data))

    def fail(self, reason: str) -> None:
        """Record nothing more from now on, and say so."""
        self.refuse(reason, f"{self.name}: {reason}; nothing more is recorded")

    def refuse(self, reason: str, text: str = "") -> None:
        """Record nothing more; ``text``, or the reason itself, is told."""
        self.failed = reason
        say(text or reason)

    def wait_for_quiet(self, quiet_s: float = QUIET_S, longest_s: float = LONGEST_S) -> None:
        """Wait until nothing has come for a while, or that takes too long, or all has passed."""
        until_s = time.monotonic() + longest_s
        while (left_s := min(self._last_s + quiet_s, until_s) - time.monotonic()) > 0 and not self._passed(left_s):
            pass

    def _passed(self, within_s: float) -> bool:
        """Whether all has passed, or does in so many seconds."""
        passed = self._passing.acquire(timeout=within_s)
        if passed:
            self._passing.release()
        return passed

    def take(self) -> Copy | None:
        """Wait for the next copy, and for quiet if it is the first after some; None is the end."""
        if self._queue.empty():
            copy = self._queue.get()
            self.wait_for_quiet()
            return copy
        return self._queue.get()

    def done(self, copy: Copy) -> None:
        """A copy has been written, or given up."""
        with self._lock:
            self._waiting -= len(copy[2])

    def end(self, status: int) -> None:
        """All has passed; the driver has ended with ``status``."""
        self.status = status
        self._passing.release()
        self._queue.put(None)


def record(command: Sequence[str], directory: str | None = None, k8s: str | None = None, exit_with_driver: bool = False) -> int:
    """Run a driver and record what passes between it and Felix; returns the driver's exit status.

    ``k8s``: a file or named pipe with an event of Kubernetes on each line, as ``kubectl get --watch --output-watch-events -o json`` would
    give them with every event on a line of its own.
    """
    if missing := missing_descriptors():
        say(f"file descriptor {missing[0]} is not open: this is to be started by Felix, which opens 3 and 4")
        return 2
    try:
        driver = Driver(command)
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        return NOT_STARTED
    copies = Copies()
    tee = Tee(driver, copies.frames, copies.answers, exit_with_driver)
    writing = allocate_lock()
    writing.acquire()
    start_new_thread(_write, (copies, command, directory, writing.release))
    if k8s is not None:
        start_new_thread(_read_objects, (k8s, copies))
    status = tee.run()
    copies.end(status)
    writing.acquire(timeout=10)  # Felix waits for our end
    return status


def _write(copies: Copies, command: Sequence[str], directory: str | None, done: Callable[[], None]) -> None:
    started_s = time.time()
    try:
        copies.wait_for_quiet(START_QUIET_S, START_LONGEST_S)
        from calico_p4.tools.recorder import write

        write(copies, command, directory, started_s)
    finally:
        done()


def _read_objects(path: str, copies: Copies) -> None:
    start_ns = time.monotonic_ns()
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.strip():
                    copies.object(time.monotonic_ns() - start_ns, line)
    except OSError as error:
        say(f"{path}: {error.strerror}; no objects of Kubernetes are recorded")


_USAGE = "usage: calico-p4-record [--dir DIR] [--k8s-events FILE] [--exit-with-driver] [--] DRIVER [ARGUMENT ...]"


def main(arguments: Sequence[str] | None = None) -> None:
    """``calico-p4-record``: the same as ``calico-p4 record``, started in a third of the time."""
    import sys

    waiting = list(sys.argv[1:] if arguments is None else arguments)
    given: dict[str, str | bool | None] = {"--dir": None, "--k8s-events": None, "--exit-with-driver": False}
    while waiting and waiting[0].startswith("--"):
        name, _, value = waiting.pop(0).partition("=")
        if name == "--":
            break
        if name not in given or (given[name] is None and not value and not waiting):
            say(f"{name}?\n{_USAGE}")
            os._exit(2)
        given[name] = True if given[name] is not None else value or waiting.pop(0)
    if not waiting:
        say(f"which driver?\n{_USAGE}")
        os._exit(2)
    status = record(waiting, given["--dir"], given["--k8s-events"], bool(given["--exit-with-driver"]))  # type: ignore[arg-type]
    os._exit(status)  # threads that wait for somebody who is gone shall not hold up the end


if __name__ == "__main__":
    main()
