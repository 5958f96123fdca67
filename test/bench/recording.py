"""What it costs to record in front of a driver, under a real Felix: time from Felix's start to InSync at the driver, with and without.

    CALICO_P4_FELIX=/path/of/calico-felix FELIX_DATASTORETYPE=... KUBECONFIG=... python -m test.bench.recording [PAIRS]

Felix's datastore is the environment's affair (`FELIX_...` is handed on), and decides how much there is to say. Runs go A B B A, so that
what drifts hits both. The driver only reads. Printed are medians and minima of the time, of what all runs with a recorder had more, and
the processor time that the recorder had used by InSync. ``CALICO_P4_RECORDER`` is another command to record with.
"""

from __future__ import annotations

import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120.0
READER = """
import os, struct, time
buffer, told, frames = b"", False, 0
while data := os.read(3, 1 << 18):
    buffer += data
    while not told and len(buffer) >= 8:
        end = 8 + struct.unpack_from("<Q", buffer)[0]
        if len(buffer) < end:
            break
        message, buffer, frames = buffer[8:end], buffer[end:], frames + 1
        if len(message) < 12 and (message[:2] == b"\\n\\0" or message[-2:] == b"\\n\\0"):  # InSync is field 1, and empty
            now = time.monotonic()
            tasks = f"/proc/{os.getppid()}/task"
            used = [int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks)]
            with open(os.environ["TOLD"] + ".part", "w") as file:
                file.write(f"{now} {frames} {sum(used)}")
            os.rename(os.environ["TOLD"] + ".part", os.environ["TOLD"])
            told = True
"""


class Run(NamedTuple):
    """Seconds to InSync, frames until then, and the seconds of processor time of whoever started the driver."""

    seconds: float
    frames: int
    parent_s: float


def main(pairs: int) -> int:
    """Measure and print; returns the exit status: 1 if recording costs 5 % or more in the median."""
    with tempfile.TemporaryDirectory() as name:
        plain, recorded = _scripts(Path(name))
        _run(Path(name), recorded)
        found: dict[Path, list[Run]] = {plain: [], recorded: []}
        for pair in range(pairs):
            for script in (plain, recorded) if pair % 2 == 0 else (recorded, plain):
                found[script].append(_run(Path(name), script))
        return _print(found[plain], found[recorded])


def _scripts(folder: Path) -> tuple[Path, Path]:
    """The two drivers: one that reads, and the same behind a recorder."""
    (folder / "reader.py").write_text(READER)
    reader = f"{shlex.quote(sys.executable)} -IS {shlex.quote(str(folder / 'reader.py'))}"
    recorder = os.environ.get("CALICO_P4_RECORDER") or f"{shlex.quote(sys.executable)} -m calico_p4.tools.record"
    scripts = folder / "plain", folder / "recorded"
    for script, command in zip(scripts, (reader, f"{recorder} --dir {shlex.quote(str(folder / 'rec'))} -- {reader}"), strict=True):
        # What is installed has its bytecode: so has this after the first run, which does not count.
        script.write_text(f"#!/bin/sh\nunset PYTHONDONTWRITEBYTECODE\nexport PYTHONPATH={shlex.quote(str(ROOT))}\nexec {command}\n")
        script.chmod(0o755)
    return scripts


def _run(folder: Path, script: Path) -> Run:
    told = folder / "told"
    told.unlink(missing_ok=True)
    environment = {
        "FELIX_FELIXHOSTNAME": "node-a", "FELIX_LOGFILEPATH": "none", "FELIX_LOGSEVERITYSYS": "none", "FELIX_LOGSEVERITYSCREEN": "error",
        "FELIX_USAGEREPORTINGENABLED": "false", "FELIX_HEALTHENABLED": "false", **os.environ, "TOLD": str(told),
        "FELIX_USEINTERNALDATAPLANEDRIVER": "false", "FELIX_DATAPLANEDRIVER": str(script),
    }  # fmt: skip
    with (folder / "felix.log").open("wb") as log:
        start_s = time.monotonic()
        felix = subprocess.Popen([os.environ["CALICO_P4_FELIX"]], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        while not told.exists():
            if felix.poll() is not None or time.monotonic() - start_s > WAIT_S:
                sys.exit(f"Felix did not come to InSync:\n{(folder / 'felix.log').read_text()[-2000:]}")
            time.sleep(0.02)
    finally:
        felix.send_signal(signal.SIGTERM)
        felix.wait(30)
    now, frames, used_ns = told.read_text().split()
    return Run(float(now) - start_s, int(frames), int(used_ns) / 1e9)


def _print(plain: list[Run], recorded: list[Run]) -> int:
    times = [[run.seconds for run in runs] for runs in (plain, recorded)]
    median, least = ([pick(each) for each in times] for pick in (statistics.median, min))
    more = statistics.median(after.seconds - before.seconds for before, after in zip(plain, recorded, strict=True))
    print(f"pairs {len(plain)}, frames {min(run.frames for run in plain)} to {max(run.frames for run in recorded)}, load {os.getloadavg()[0]:.1f}")
    for name, (without, with_) in (("median", median), ("least", least)):
        print(f"{name:7} {without * 1e3:.0f} ms, recorded {with_ * 1e3:.0f} ms: {with_ / without - 1:+.1%}")
    print(f"median of the differences within pairs {more * 1e3:+.0f} ms: {more / median[0]:+.1%}")
    print(f"processor time of the recorder by InSync: median {statistics.median(run.parent_s for run in recorded) * 1e3:.0f} ms")
    return int(median[1] / median[0] >= 1.05)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
