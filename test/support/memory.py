"""How much memory this process has."""

import resource
from pathlib import Path


def resident_mib() -> float:
    """Return what is in RAM now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
