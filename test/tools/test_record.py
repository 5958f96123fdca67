"""The recorder between a Felix and a driver, both played here: nothing is lost, and nobody notices."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calico_p4.tools.recorder import _environment
from calico_p4.tools.tee import _GATHER_S
from felix_proto.framing import FrameParser, encode_frame
from felix_proto.recordings import read_recording
from test.support.shared import ROOT, recording_path

QUICKSTART = recording_path("quickstart.felixstream")
WAIT_S = 60.0
ANSWER = encode_frame(b"\x1a\x02\x0a\x00")
ECHO = f"""
import os, sys
with open(sys.argv[1], "wb") as out:
    os.write(4, {ANSWER!r})
    while data := os.read(3, 1 << 16):
        out.write(data)
sys.exit(7)
"""
"""A driver that keeps what it gets and says something."""


class Felix:
    """Starts a program as Felix starts its driver."""

    def __init__(self, *command: str, env: dict[str, str] | None = None, limit: int | None = None) -> None:
        reads, self.writes = os.pipe()
        self.reads, writes = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _STARTER, str(reads), str(writes), str(limit or 0), *command],
            pass_fds=(reads, writes), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {}), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        os.close(reads)
        os.close(writes)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.writes, view) :]

    def end(self) -> tuple[int, bytes, str]:
        """Close the stream; return exit status, what the driver said, and the log."""
        os.close(self.writes)
        said = b""
        while data := os.read(self.reads, 1 << 16):
            said += data
        os.close(self.reads)
        _, log = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, said, log.decode()


_STARTER = """
import os, resource, sys
reads, writes, limit = map(int, sys.argv[1:4])
a, b = os.dup(reads), os.dup(writes)
os.dup2(a, 3); os.dup2(b, 4)
for fd in {reads, writes, a, b} - {3, 4}: os.close(fd)
for fd in 3, 4: os.set_inheritable(fd, True)
if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
os.execv(sys.argv[4], sys.argv[4:])
"""


def recorded(folder: Path, *driver: str, options: tuple[str, ...] = (), **settings) -> Felix:
    return Felix(sys.executable, "-m", "calico_p4", "record", "--dir", str(folder / "rec"), *options, "--", *driver, **settings)


def echo(folder: Path) -> tuple[str, ...]:
    return sys.executable, "-c", ECHO, str(folder / "got")


def files(folder: Path) -> tuple[Path, Path, list[dict]]:
    stream, answers, index = (next((folder / "rec").glob(f"felix-*.{kind}")) for kind in ("felixstream", "answers", "index.jsonl"))
    return stream, answers, [json.loads(line) for line in index.read_text().splitlines()]


def lines_of(folder: Path, pattern: str) -> list[str]:
    return [line for path in (folder / "rec").glob(pattern) for line in path.read_text().splitlines()]


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_everything_passes_and_is_recorded(tmp_path: Path):
    data = QUICKSTART.read_bytes()
    felix = recorded(tmp_path, *echo(tmp_path), env={"FELIX_LOGSEVERITYSCREEN": "info", "FELIX_ETCDKEYFILE": "/secret"})
    felix.send(data)
    status, said, log = felix.end()
    assert (status, said, log) == (7, ANSWER, "")
    assert (tmp_path / "got").read_bytes() == data
    stream, answers, index = files(tmp_path)
    assert stream.read_bytes() == data and answers.read_bytes() == ANSWER
    head, *lines, end = index
    assert head["command"] == list(echo(tmp_path)) and head["version"] == 1
    assert head["environment"]["FELIX_LOGSEVERITYSCREEN"] == "info" and head["environment"]["FELIX_ETCDKEYFILE"] == "(set)"
    frames = [line for line in lines if "frame" in line]
    assert [(line["frame"], line["offset"], line["length"]) for line in frames] == [
        (frame.index, frame.offset, len(frame.payload)) for frame in read_recording(QUICKSTART)
    ]
    assert [line["ns"] for line in frames] == sorted(line["ns"] for line in frames)
    assert next(line for line in lines if "answer" in line)["length"] == 4
    assert end["end"] | {"reason": ""} == {"frames": 146, "bytes": len(data), "answers": 1, "driver_status": 7, "complete": True, "reason": ""}


def test_a_drivers_death_does_not_disturb_felix_nor_the_recording(tmp_path: Path):
    data = QUICKSTART.read_bytes()
    felix = recorded(tmp_path, sys.executable, "-c", "import os; os.read(3, 100); os.kill(os.getpid(), 9)")
    felix.send(data[:5000])
    time.sleep(1)
    assert felix.process.poll() is None
    for _ in range(20):
        felix.send(data[5000:] if _ == 0 else b"")
    status, said, log = felix.end()
    assert (status, said) == (137, b"") and "ended with status 137" in log
    stream, _, index = files(tmp_path)
    assert stream.read_bytes() == data and index[-1]["end"]["complete"]


def test_it_can_end_with_the_driver(tmp_path: Path):
    felix = recorded(tmp_path, sys.executable, "-c", "import os; os.read(3, 100); os._exit(5)", options=("--exit-with-driver",))
    felix.send(QUICKSTART.read_bytes()[:5000])
    assert felix.process.wait(timeout=WAIT_S) == 5
    stream, _, index = files(tmp_path)
    whole = list(FrameParser().feed(QUICKSTART.read_bytes()[:5000]))
    assert [frame.payload for frame in read_recording(stream)] == [frame.payload for frame in whole]
    assert not index[-1]["end"]["complete"] and "of this frame" in index[-1]["end"]["reason"]
    felix.process.stderr.close()


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path):
    data = QUICKSTART.read_bytes() * 4
    felix = recorded(tmp_path, *echo(tmp_path), limit=40000)
    # The driver writes a file, too, and is not the one that is to fail.
    (tmp_path / "got").symlink_to("/dev/null")
    felix.send(data)
    status, said, log = felix.end()
    assert (status, said) == (7, ANSWER) and "File too large; nothing more is recorded" in log
    stream, _, index = files(tmp_path)
    kept = list(read_recording(stream))  # whole frames
    assert 0 < stream.stat().st_size <= 40000 and data.startswith(stream.read_bytes())
    assert index[-1]["end"]["frames"] == len(kept) and not index[-1]["end"]["complete"]


def test_no_place_for_the_recording_is_no_reason_not_to_run(tmp_path: Path):
    (tmp_path / "rec").write_text("in the way")
    felix = recorded(tmp_path, *echo(tmp_path))
    felix.send(QUICKSTART.read_bytes())
    status, said, log = felix.end()
    assert (status, said) == (7, ANSWER) and "nothing is recorded" in log
    assert (tmp_path / "got").read_bytes() == QUICKSTART.read_bytes()


def test_signals_reach_the_driver(tmp_path: Path):
    driver = "import os, signal, sys, time; signal.signal(15, lambda *_: sys.exit(9)); os.write(4, b'ready'); time.sleep(600)"
    felix = recorded(tmp_path, sys.executable, "-c", driver)
    assert os.read(felix.reads, 5) == b"ready"
    felix.send(QUICKSTART.read_bytes()[:2000])
    os.kill(felix.process.pid, signal.SIGTERM)
    assert felix.process.wait(timeout=WAIT_S) == 9  # though Felix has not closed its end
    felix.process.stderr.close()


def test_a_driver_that_does_not_read_holds_up_felix(tmp_path: Path):
    felix = recorded(tmp_path, sys.executable, "-c", "import os, time; os.write(4, b'ready'); time.sleep(60)")
    os.read(felix.reads, 5)
    os.set_blocking(felix.writes, False)
    sent, deadline = 0, time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            sent += os.write(felix.writes, encode_frame(b"x" * 4088))
        except BlockingIOError:
            time.sleep(0.05)
    felix.process.kill()
    felix.process.wait()
    felix.process.stderr.close()
    assert sent < 1 << 20  # what pipes hold, and one piece: Felix goes on coalescing


def test_events_of_kubernetes_are_recorded_with_their_place(tmp_path: Path):
    events = tmp_path / "events"
    os.mkfifo(events)
    felix = recorded(tmp_path, *echo(tmp_path), options=("--k8s-events", str(events)))
    frames = [encode_frame(frame.payload) for frame in read_recording(QUICKSTART)]
    felix.send(b"".join(frames[:10]))
    event = {"type": "ADDED", "object": {"kind": "Service", "metadata": {"name": "a"}}}
    with open(events, "w") as file:
        until(lambda: sum('"frame"' in line for line in lines_of(tmp_path, "*.index.jsonl")) == 10)
        file.write(json.dumps(event) + "\nno event\n")
        file.flush()
        until(lambda: lines_of(tmp_path, "*.k8s.jsonl"))
    felix.send(b"".join(frames[10:]))
    status, _, log = felix.end()
    assert status == 7 and "not an event of Kubernetes" in log
    assert [json.loads(line) for line in lines_of(tmp_path, "*.k8s.jsonl")] == [{"after": 10, **event}]


def test_a_driver_that_cannot_be_started(tmp_path: Path):
    felix = recorded(tmp_path, "/none/such")
    status, _, log = felix.end()
    assert (status, log) == (127, "calico-p4 record: /none/such: No such file or directory\n")


def test_without_felix_it_says_so(tmp_path: Path):
    command = [sys.executable, "-m", "calico_p4", "record", "--", "true"]
    result = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "file descriptor 3 is not open" in result.stderr


def test_only_what_matters_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FELIX_X", "1")
    monkeypatch.setenv("CALICO_TOKEN", "1")
    monkeypatch.setenv("HOME_OF", "1")
    assert {"FELIX_X": "1", "CALICO_TOKEN": "(set)"}.items() <= _environment().items() and "HOME_OF" not in _environment()


def test_the_quick_start_does_the_same(tmp_path: Path):
    data = QUICKSTART.read_bytes()
    felix = Felix(sys.executable, "-m", "calico_p4.tools.record", f"--dir={tmp_path / 'rec'}", "--exit-with-driver", "--", *echo(tmp_path))
    felix.send(data)
    assert felix.end() == (7, ANSWER, "")
    stream, _, index = files(tmp_path)
    assert stream.read_bytes() == data and index[-1]["end"]["complete"]


@pytest.mark.parametrize("arguments", [(), ("--dir",), ("--nothing", "x", "true")])
def test_the_quick_start_says_how_it_is_used(arguments: tuple[str, ...], tmp_path: Path):
    command = [sys.executable, "-m", "calico_p4.tools.record", *arguments]
    result = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "usage: calico-p4-record" in result.stderr


def test_the_driver_is_started_before_anything_that_takes_time():
    """Felix needs the processors: what an interpreter has read anyway, and what is built into it, must do."""
    allowed = {"__future__", "_queue", "_thread", "_signal", "fcntl", "select", "time", "calico_p4", "calico_p4.tools", "calico_p4.tools.record", "calico_p4.tools.tee"}
    script = "import sys; before = set(sys.modules); import calico_p4.tools.record; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    assert set(result.stdout.split()) <= allowed


def test_after_a_message_the_next_ones_are_waited_for(tmp_path: Path):
    """Felix writes message by message: what comes within five milliseconds wakes the driver once."""
    felix = recorded(tmp_path, sys.executable, "-c", "import os\nwhile os.read(3, 1 << 18): os.write(4, b'.')")
    message = encode_frame(b"x" * 24)
    felix.send(message)
    os.read(felix.reads, 1)
    start_s = time.monotonic()
    for _ in range(40):
        felix.send(message)
        assert os.read(felix.reads, 1) == b"."
    assert time.monotonic() - start_s >= 39 * _GATHER_S  # between any two of the forty
    felix.end()
    stream, _, _ = files(tmp_path)
    assert stream.read_bytes() == message * 41
