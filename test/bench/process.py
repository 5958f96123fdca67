"""What only a process of its own shows: memory of the driver, and how long the command line takes to start."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_MEMORY = """
import sys
from pathlib import Path
from calico_p4.log import configure
from test.bench.null_switch import NullSwitch
from test.bench.stream import load
configure("error")
def resident():
    import gc
    gc.collect()
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))
switch = NullSwitch()
empty = resident()
driver, _ = load(Path(sys.argv[1]), switch)
driver.sync()
driver.rest()
members = sum(len(each.members) for each in driver.store.ip_sets.values())
print(resident() - empty, members)
switch.close()
"""


def memory(recording: Path) -> dict[str, Any]:
    """Resident bytes that the driver has more after a snapshot than before, in all and per IP set member."""
    answer = subprocess.run([sys.executable, "-c", _MEMORY, str(recording)], capture_output=True, text=True, check=True)
    used, members = map(int, answer.stdout.split())
    return {"memory_mib": round(used / 2**20, 1), "bytes_per_member": round(used / members) if members else None}


def start() -> dict[str, float]:
    """First output of the command line against a Python that does nothing; the fastest of some."""
    nothing = min(_run(["-c", "pass"]) for _ in range(7))
    shown = min(_run(["-c", "from calico_p4.cli import main; main()", "--help"]) for _ in range(7))
    return {"python_pass_ms": round(nothing * 1000, 1), "help_ms": round(shown * 1000, 1), "start_ratio": round(shown / nothing, 2)}


def _run(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - begin
