"""Tells, at the end of a run, what was generated, with the seeds that repeat it; also where tests ran on several processes."""

from typing import Any

import pytest

_LINES: list[str] = []


@pytest.fixture
def told(request: pytest.FixtureRequest) -> list[str]:
    """Lines that a test wants to have printed at the end of the run, whether or not it fails."""
    lines: list[str] = []
    request.node.user_properties.append(("told", lines))
    return lines


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather what a finished test tells."""
    for name, value in report.user_properties if report.when == "teardown" else ():
        if name == "told":
            _LINES.extend(value)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print it."""
    for line in _LINES:
        terminalreporter.write_line(line)
