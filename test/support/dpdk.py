"""Tests by DPDK: skipped where it is missing, all in one place, so that the reason is told once."""

import pytest

from k8s_p4.target.dpdk import build


def need_dpdk() -> None:
    """Skip the module, or the test, that asks."""
    if missing := build.missing():
        pytest.skip(missing, allow_module_level=True)
