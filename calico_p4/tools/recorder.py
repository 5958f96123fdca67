"""Recordings made between Felix and a driver.

Four files with one name: ``.felixstream``, the frames as Felix wrote them; ``.answers``, the driver's frames; ``.index.jsonl``, when
what arrived; ``.k8s.jsonl``, objects of Kubernetes if a source was given. Whole frames only, so that what is there can always be read.

The disk may be slow, full or gone: then the recording ends there, says so, and nothing else.
"""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from calico_p4.tools.record import Copies
from calico_p4.tools.tee import say
from felix_proto.framing import FrameError, FrameParser, encode_frame

VERSION = 1
DIRECTORY = "CALICO_P4_RECORD_DIR"
_RELEVANT = re.compile(r"(?:FELIX|CALICO|DATASTORE|IP_AUTODETECTION|NODENAME|CLUSTER_TYPE|KUBERNETES_SERVICE|P4)")
_SECRET = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CERT|CREDENTIAL", re.IGNORECASE)
_NO_FILE_LIMIT = sys.maxsize
_TOGETHER = 16
"""Frames written at once: if that fails, so many at most are lost with the one that did not fit."""


class _File:
    """Frames that go into one file, and where each begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parser = FrameParser(_NO_FILE_LIMIT)
        self._file: BinaryIO = open(path, "xb", buffering=0)  # noqa: SIM115  # closed in `close`
        self.frames = self.bytes = 0

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Write the frames that some bytes complete; return offset and length of each. Raises OSError and FrameError."""
        frames = list(self._parser.feed(data))
        kept = 0
        try:
            for start in range(0, len(frames), _TOGETHER):
                some = frames[start : start + _TOGETHER]
                self._write(b"".join([encode_frame(frame.payload) for frame in some]))
                kept += len(some)
        finally:
            self.frames += kept
        return [(frame.offset, len(frame.payload)) for frame in frames]

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
    """Writes what a `Copies` holds, until its end."""

    def __init__(self, stem: Path, head: dict[str, Any], copies: Copies) -> None:
        """Open the files. Raises OSError."""
        self._stream, self._answers = _File(Path(f"{stem}.felixstream")), _File(Path(f"{stem}.answers"))
        self._index = open(f"{stem}.index.jsonl", "x", encoding="utf-8")  # noqa: SIM115  # closed in `_finish`
        self._objects_path = Path(f"{stem}.k8s.jsonl")
        self._objects: BinaryIO | None = None
        self._copies = copies
        copies.name = str(self._stream.path)
        self._line({"version": VERSION, "recording": self._stream.path.name, **head})

    def run(self) -> None:
        """Write what comes; the first failure ends the recording, and nothing else."""
        while (item := self._copies.take()) is not None:
            if not self._copies.failed:
                try:
                    self._write(*item)
                except (OSError, ValueError) as error:
                    self._copies.fail(getattr(error, "strerror", None) or str(error))
            self._copies.done(item)
        self._finish()

    def _write(self, kind: str, ns: int, data: bytes) -> None:
        if kind == "k8s":
            self._write_object(ns, data)
            return
        file = self._stream if kind == "frame" else self._answers
        first = file.frames
        lines = [{kind: number, "offset": offset, "length": length, "ns": ns} for number, (offset, length) in enumerate(file.feed(data), first)]
        self._line(*lines)

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

    def _line(self, *contents: dict[str, Any]) -> None:
        self._index.write("".join(json.dumps(content) + "\n" for content in contents))
        self._index.flush()

    def _finish(self) -> None:
        rests = [rest for file in (self._stream, self._answers) if (rest := file.rest())]
        end = {
            "frames": self._stream.frames,
            "bytes": self._stream.bytes,
            "answers": self._answers.frames,
            "driver_status": self._copies.status,
            "complete": not self._copies.failed and not rests,
            "reason": "; ".join(filter(None, (self._copies.failed, *rests))),
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


def _head(command: Sequence[str], started_s: float) -> dict[str, Any]:
    system = os.uname()
    return {
        "started": datetime.fromtimestamp(started_s, UTC).isoformat(),
        "command": list(command),
        "environment": _environment(),
        "system": {"node": system.nodename, "kernel": system.release, "machine": system.machine},
    }


def write(copies: Copies, command: Sequence[str], directory: str | None, started_s: float) -> None:
    """Record what passes between Felix and the driver that ``command`` started; without a place to write to, that is said.

    ``started_s``: when it was, in seconds since 1970.
    """
    folder = Path(directory or os.environ.get(DIRECTORY) or ".")
    stem = folder / f"felix-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(started_s))}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        recorder = Recorder(stem, _head(command, started_s), copies)
    except OSError as error:
        copies.refuse(f"{error.filename or stem}: {error.strerror}; the driver runs, and nothing is recorded")
        return
    recorder.run()
