"""The desired rows as sorted text, every allocated number replaced by a name of what it stands for (replay contract, --dump)."""

from pathlib import Path
from typing import Any

from calico_p4.driver import Driver


def dump_lines(driver: Driver) -> list[str]:
    """Return each row once, one line each, sorted: two states with the same meaning give the same lines."""
    desired: Any = driver.tracker.desired
    rows = ((table, key, value) for table in desired.tables() for key, value in desired.rows(table).items())
    return sorted(set(driver.translator.canonical_lines(rows)))


def write_dump(path: str, driver: Driver) -> None:
    """Write the lines to a file. Raises OSError."""
    Path(path).write_text("".join(f"{line}\n" for line in dump_lines(driver)))
