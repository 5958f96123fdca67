"""Fixtures of packet tests: the pipeline on a switch of the test's own, and conversations through it in both families."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from test.support.pipeline import Bench
from test.support.talk import Talk


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture(params=[4, 6], ids=["v4", "v6"])
def talk(bench: Bench, request: pytest.FixtureRequest) -> Talk:
    return Talk(bench, request.param)
