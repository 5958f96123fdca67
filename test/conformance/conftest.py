"""Tells, at the end of a run, how many packets of the conformance collection were sent and which ones no node can meet.

Each test counts for itself; its count travels with its report, so that a run on several processes is told as a whole.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from test.support.census import Census

_TOTAL = Census()


@pytest.fixture
def census(request: pytest.FixtureRequest) -> Iterator[Census]:
    """The packets that a test sends, and those it cannot."""
    counted = Census()
    yield counted
    request.node.user_properties.append(("census", [list(counted.sent.items()), list(counted.unrealisable.items())]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a finished test counted."""
    for name, value in report.user_properties if report.when == "teardown" else ():
        if name == "census":
            sent, unrealisable = value
            _TOTAL.add(Census(Counter({tuple(k): n for k, n in sent}), {tuple(k): why for k, why in unrealisable}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was counted."""
    for line in _TOTAL.lines():
        terminalreporter.write_line(line)
