"""Settings common to all tests: hypothesis profiles.

``ci`` (the default) draws fresh examples on every run and prints how to repeat a failure; ``long`` draws many more. Choose one
with the environment variable ``HYPOTHESIS_PROFILE``.
"""

import os
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from k8s_p4.target.dpdk import build
from k8s_p4.target.engines import ENGINES

_COMMON = {"deadline": None, "print_blob": True, "suppress_health_check": (HealthCheck.too_slow,)}
settings.register_profile("ci", max_examples=100, **_COMMON)
settings.register_profile("long", max_examples=5000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_TARGET = os.environ.get("CALICO_P4_TEST_TARGET", "embedded")
if _TARGET == "judge":
    from test.support.judge import judged

    ENGINES["embedded"] = judged
elif _TARGET == "dpdk":
    ENGINES["embedded"] = ENGINES["dpdk"]
elif _TARGET not in ("embedded", "bmv2"):
    raise ValueError(f"CALICO_P4_TEST_TARGET is {_TARGET!r}: embedded, dpdk, judge or bmv2")


def _not_there() -> str:
    if _TARGET == "bmv2":
        from test.support import bmv2

        return bmv2.missing()
    return build.missing() if _TARGET != "embedded" else ""


_missing = _not_there()


def pytest_configure(config: pytest.Config) -> None:
    """Have BMv2 tested in place of embedded targets, whoever makes one."""
    if _TARGET == "bmv2" and not _missing:
        from test.support import bmv2_pool

        running = ExitStack()
        running.enter_context(bmv2_pool.in_place_of_embedded())
        config.add_cleanup(running.close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without what was asked for nothing is tested, and the run does not succeed."""
    if _missing:
        config.hook.pytest_deselected(items=list(items))
        items.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.write_line(f"skipped: {_missing}")
