"""Tells, at the end of a run, how many packets of the conformance collection were sent and which ones no node can meet."""

from typing import Any

import pytest

from test.support.census import CENSUS


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the census holds."""
    for line in CENSUS.lines():
        terminalreporter.write_line(line)
