"""The driver as Felix starts it: a process of its own, frames on fd 3, status on fd 4."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import FrameParser, encode_frame
from felix_proto.recordings import read_recording
from k8s_p4.rows import TABLES
from test.support.shared import ROOT, recording_path
from test.support.target import architecture, connected

WAIT_S = 60.0
"""For what must happen: a machine that runs tests may stand still for seconds."""


class Felix:
    """Our end of the driver's two pipes."""

    def __init__(self, process: subprocess.Popen, to_driver: int, from_driver: int, log: Path) -> None:
        self.process, self._to, self._from, self._log = process, to_driver, from_driver, log
        self._parser = FrameParser()
        self.heard: list = []
        os.set_blocking(from_driver, False)

    def send(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._to, data) :]
        except BrokenPipeError:
            self.process.wait(WAIT_S)
            raise AssertionError(f"the driver ended: {self.process.returncode}, {self.log()}") from None

    def close(self) -> None:
        if self._to >= 0:
            os.close(self._to)
        self._to = -1

    def listen(self) -> list:
        """Return all messages heard so far."""
        try:
            while data := os.read(self._from, 1 << 16):
                self.heard += [pb.FromDataplane.FromString(frame.payload) for frame in self._parser.feed(data)]
        except BlockingIOError:
            pass
        return self.heard

    def statuses(self) -> dict[str, str]:
        """Return the last status of each workload endpoint, by workload id."""
        found = {}
        for message in self.listen():
            kind = message.WhichOneof("payload")
            if kind == "workload_endpoint_status_update":
                update = message.workload_endpoint_status_update
                found[update.id.workload_id] = update.status.status
            elif kind == "workload_endpoint_status_remove":
                del found[message.workload_endpoint_status_remove.id.workload_id]
        return found

    def host_statuses(self) -> dict[str, str]:
        """Return the last status of each host endpoint, by id."""
        updates = [message.host_endpoint_status_update for message in self.listen() if message.HasField("host_endpoint_status_update")]
        return {update.id.endpoint_id: update.status.status for update in updates}

    def log(self) -> str:
        return self._log.read_text()

    def until(self, condition) -> None:
        """Wait for a condition, or fail with what the driver logged."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, self.log()
            time.sleep(0.02)


@contextmanager
def driver(folder: Path, target: str, inside: tuple[str, ...] = (), **environment: str) -> Iterator[Felix]:
    """Start the driver with its pipes on fds 3 and 4; ``inside`` is what a command begins with that starts it elsewhere."""
    read, to_driver = os.pipe()
    from_driver, write = os.pipe()
    start = f"import os; os.dup2({read}, 3); os.dup2({write}, 4); from calico_p4.felix import main; main()"
    settings = {"CALICO_P4_TARGET": target, "CALICO_P4_STATE": str(folder / "state"), "CALICO_P4_ADMIN": f"unix:{folder / 'admin.sock'}",
                "CALICO_P4_METRICS": "none", "CALICO_P4_LOG_FORMAT": "text", "CALICO_P4_ARCHITECTURE": architecture(), **environment}  # fmt: skip
    others = {name: value for name, value in os.environ.items() if not name.startswith("CALICO_P4_")}  # those are the tests' own
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*inside, sys.executable, "-c", start], pass_fds=(read, write), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=others | settings
        )
    os.close(read)
    os.close(write)
    felix = Felix(process, to_driver, from_driver, folder / "log")
    try:
        yield felix
    finally:
        process.kill()
        process.wait()
        felix.close()
        os.close(from_driver)


def frames(name: str) -> list[bytes]:
    return [encode_frame(frame.payload) for frame in read_recording(recording_path(f"{name}.felixstream"))]


def entries(address: str) -> dict[str, int]:
    """Return what is on the switch, as another reader sees it; nothing where there is no pipeline yet."""
    switch = connected(address)
    try:
        if switch.client.pipeline_cookie() is None:
            return {}
        return {table: number for table in TABLES if (number := len(switch.read(table)))}
    finally:
        switch.close()
