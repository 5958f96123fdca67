"""What a program costs, in a way that does not depend on what else the machine does."""

import resource
import subprocess
import sys

from test.support.shared import ROOT


def cpu_seconds(*command: str, tries: int = 5) -> float:
    """Return the least CPU time that the interpreter took with these arguments."""
    return min(_once(command) for _ in range(tries))


def _once(command: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
