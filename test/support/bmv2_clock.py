"""The time of day that simple_switch_grpc goes by, set by a test: entries age by it (`bmv2_clock.c`). Needs gcc."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
SECOND = 10**9


def missing() -> str:
    """What is not there to set the time by, "" if all is."""
    return "" if shutil.which("gcc") else "no gcc"


class Clock:
    """Time that stands still but for ``set``: nanoseconds since 1970, from now on."""

    def __init__(self, folder: Path) -> None:
        """Build what is preloaded in a folder of the test's own."""
        self._library, self._path = folder / "clock.so", folder / "clock"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", self._library, SOURCE, "-ldl"], check=True, capture_output=True)
        self._path.write_bytes(bytes(16))
        with self._path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)
        self.set(time.time_ns())

    def environment(self) -> list[str]:
        """What a process that is to go by it needs."""
        return [f"LD_PRELOAD={self._library}", f"BMV2_CLOCK={self._path}"]

    @property
    def now(self) -> int:
        """The time it is."""
        return self._read()[0]

    def _read(self) -> tuple[int, int]:
        now, until = struct.unpack("qq", self._shared)
        return now, until

    def set(self, now: int) -> None:
        """Make it that time; never earlier than it is."""
        assert now >= self.now
        self._shared[:8] = struct.pack("q", now)

    def settled(self) -> bool:
        """Whether what ages entries has done so and waits. It must not run while packets hit them: it holds that an entry was hit before it looks
        at the time, and ends the process if not (`sweep_entries` in src/bm_sim/match_units.cpp)."""
        now, until = self._read()
        return until > now
