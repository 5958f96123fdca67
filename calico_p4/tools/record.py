"""Recordings made between Felix and a driver.

Four files with one name: ``.felixstream``, the frames as Felix wrote them; ``.answers``, the driver's frames; ``.index.jsonl``, when
what arrived; ``.k8s.jsonl``, objects of Kubernetes if a source was given. Whole frames only, so that what is there can always be read.

The disk is written by a thread of its own. It may be slow, full or gone: then the recording ends there, says so, and nothing else.
"""

import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from calico_p4.tools.tee import NOT_STARTED, Driver, Keep, Tee, missing_descriptors, say
from felix_proto.framing import FrameError, FrameParser, encode_frame

VERSION = 1
BACKLOG = 1 << 28
"""Bytes that may wait for the disk; what comes when that is full is not recorded."""
DIRECTORY = "CALICO_P4_RECORD_DIR"
_RELEVANT = re.compile(r"(?:FELIX|CALICO|DATASTORE|IP_AUTODETECTION|NODENAME|CLUSTER_TYPE|KUBERNETES_SERVICE|P4)")
_SECRET = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CERT|CREDENTIAL", re.IGNORECASE)
_NO_FILE_LIMIT = sys.maxsize


class _File:
    """Frames that go into one file, and where each begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parser = FrameParser(_NO_FILE_LIMIT)
        self._file: BinaryIO = open(path, "xb", buffering=0)  # noqa: SIM115  # closed in `close`
        self.frames = self.bytes = 0

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Write the frames that some bytes complete; return offset and length of each. Raises OSError and FrameError."""
        written = []
        for frame in self._parser.feed(data):
            self._write(encode_frame(frame.payload))
            written.append((frame.offset, len(frame.payload)))
            self.frames += 1
        return written

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self.bytes)  # no part of a frame stays
            raise
        self.bytes += len(data)

    def rest(self) -> str:
        """Return what came after the last whole frame, in words; empty if nothing did."""
        try:
            self._parser.close()
        except FrameError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """No more comes."""
        self._file.close()


class Recorder:
    """Takes copies of what passes, from any thread, and writes them in one of its own. Never waits, never raises."""

    def __init__(self, stem: Path, head: dict[str, Any]) -> None:
        """Open the files. Raises OSError."""
        self._stream, self._answers = _File(Path(f"{stem}.felixstream")), _File(Path(f"{stem}.answers"))
        self._index = open(f"{stem}.index.jsonl", "x", encoding="utf-8")  # noqa: SIM115  # closed in `_finish`
        self._objects_path = Path(f"{stem}.k8s.jsonl")
        self._objects: BinaryIO | None = None
        self._queue: queue.SimpleQueue[tuple[str, int, bytes] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._failed = ""
        self._status: int | None = None
        self._line({"version": VERSION, "recording": self._stream.path.name, **head})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

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
            if self._failed:
                return
            if self._waiting + len(data) > BACKLOG:
                self._fail(f"the disk does not keep up: {self._waiting} bytes wait for it")
                return
            self._waiting += len(data)
        self._queue.put((kind, ns, data))

    def _fail(self, reason: str) -> None:
        self._failed = reason
        say(f"{self._stream.path}: {reason}; nothing more is recorded")

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            kind, ns, data = item
            if not self._failed:
                try:
                    self._write(kind, ns, data)
                except (OSError, ValueError) as error:
                    self._fail(getattr(error, "strerror", None) or str(error))
            with self._lock:
                self._waiting -= len(data)
        self._finish()

    def _write(self, kind: str, ns: int, data: bytes) -> None:
        if kind == "k8s":
            self._write_object(ns, data)
            return
        file = self._stream if kind == "frame" else self._answers
        first = file.frames
        for number, (offset, length) in enumerate(file.feed(data), first):
            self._line({kind: number, "offset": offset, "length": length, "ns": ns})

    def _write_object(self, ns: int, line: bytes) -> None:
        try:
            event = json.loads(line)
            event = {"after": self._stream.frames, "type": event["type"], "object": event["object"]}
        except (ValueError, KeyError, TypeError) as error:
            say(f"not an event of Kubernetes: {error}: {line[:80]!r}")
            return
        if self._objects is None:
            self._objects = open(self._objects_path, "xb", buffering=0)  # noqa: SIM115  # closed in `_finish`
        self._objects.write(json.dumps(event).encode() + b"\n")
        self._line({"k8s": event["type"], "after": event["after"], "ns": ns})

    def _line(self, content: dict[str, Any]) -> None:
        self._index.write(json.dumps(content) + "\n")
        self._index.flush()

    def close(self, status: int) -> None:
        """All has passed: write what waits, and the last line. Gives up after 10 s, for Felix waits."""
        self._status = status
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _finish(self) -> None:
        rests = [rest for file in (self._stream, self._answers) if (rest := file.rest())]
        end = {
            "frames": self._stream.frames,
            "bytes": self._stream.bytes,
            "answers": self._answers.frames,
            "driver_status": self._status,
            "complete": not self._failed and not rests,
            "reason": "; ".join(filter(None, (self._failed, *rests))),
        }
        try:
            self._line({"end": end})
            for file in (self._stream, self._answers, self._index, self._objects):
                if file is not None:
                    file.close()
        except OSError as error:
            say(f"{self._index.name}: {error.strerror}")


def _environment() -> dict[str, str]:
    """Return the variables that Felix and its driver look at; what is secret is only said to be set."""
    relevant = sorted((name, value) for name, value in os.environ.items() if _RELEVANT.match(name))
    return {name: "(set)" if _SECRET.search(name) else value for name, value in relevant}


def _head(command: Sequence[str]) -> dict[str, Any]:
    system = os.uname()
    return {
        "started": datetime.now(UTC).isoformat(),
        "command": list(command),
        "environment": _environment(),
        "system": {"node": system.nodename, "kernel": system.release, "machine": system.machine},
    }


def _open(directory: str | None, command: Sequence[str]) -> Recorder | None:
    folder = Path(directory or os.environ.get(DIRECTORY) or ".")
    stem = folder / f"felix-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Recorder(stem, _head(command))
    except OSError as error:
        say(f"{error.filename or stem}: {error.strerror}; the driver runs, and nothing is recorded")
        return None


def _nothing(_ns: int, _data: bytes) -> None:
    """Keep nothing."""


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
    recorder = _open(directory, command)
    frames: Keep = recorder.frames if recorder is not None else _nothing
    tee = Tee(driver, frames, recorder.answers if recorder is not None else _nothing, exit_with_driver)
    if k8s is not None and recorder is not None:
        threading.Thread(target=_read_objects, args=(k8s, recorder), daemon=True).start()
    status = tee.run()
    if recorder is not None:
        recorder.close(status)
    return status


def _read_objects(path: str, recorder: Recorder) -> None:
    start_ns = time.monotonic_ns()
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.strip():
                    recorder.object(time.monotonic_ns() - start_ns, line)
    except OSError as error:
        say(f"{path}: {error.strerror}; no objects of Kubernetes are recorded")
