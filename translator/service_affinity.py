"""Timeouts of ClientIP affinity: the switch has a few to choose from (docs/design/services.md)."""

from __future__ import annotations

TIMEOUTS_S = (10, 60, 300, 900, 1800, 3600, 10800, 86400)
"""By index, as the affinity learners number them; 10,800 s is what Kubernetes assumes."""


def profile(wanted_s: int) -> int:
    """Return the index of the shortest timeout that is long enough, else of the longest."""
    enough = [index for index, timeout_s in enumerate(TIMEOUTS_S) if timeout_s >= wanted_s]
    return enough[0] if enough else len(TIMEOUTS_S) - 1
