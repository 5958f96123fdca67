"""Budgets of time: ``p99=50ms``, ``IPSetDeltaUpdate.max=5ms``, ``insync=2s``, ``total=10s``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from calico_p4.ci.measure import Timing

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_BUDGET = re.compile(r"(?:([A-Za-z0-9]+)\.)?(p50|p90|p99|max|insync|total)=([0-9]+(?:\.[0-9]+)?)(us|ms|s)")
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Budget(NamedTuple):
    """What may take how long: a share of the messages after InSync (of one kind, or of all), the snapshot, or everything."""

    kind: str
    what: str
    limit_ms: float

    def __str__(self) -> str:
        return f"{self.kind + '.' if self.kind else ''}{self.what}"


def parse_budget(text: str) -> Budget:
    """Read a budget. Raises ValueError."""
    found = _BUDGET.fullmatch(text)
    if found is None or (found[1] and found[2] in ("insync", "total")):
        raise ValueError(f"{text!r} is no budget, which reads [KIND.]p50|p90|p99|max|insync|total=TIME with us, ms or s")
    return Budget(found[1] or "", found[2], float(found[3]) * _UNITS_MS[found[4]])


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return p50, p90, p99 and max of some values, by nearest rank; at least one value."""
    ordered = sorted(values)
    return {name: ordered[max(0, ceil(share * len(ordered)) - 1)] for name, share in _SHARES.items()}


def latencies(timings: Sequence[Timing]) -> dict[str, dict[str, float]]:
    """Return count and percentiles, in ms, of messages after InSync: of each kind, and of "all" together."""
    by_kind: dict[str, list[float]] = {"all": []}
    for timing in timings:
        if timing.latency_ms is not None and timing.kind != "InSync":
            by_kind.setdefault(timing.kind, []).append(timing.latency_ms)
            by_kind["all"].append(timing.latency_ms)
    return {kind: {"count": len(values), **percentiles(values)} for kind, values in sorted(by_kind.items()) if values}


def judged(budgets: Sequence[Budget], timing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each budget its name, limit and measure (None: there is nothing to measure), and whether it is kept."""
    found = []
    for budget in budgets:
        if budget.what in ("insync", "total"):
            measured = timing[f"{budget.what}_ms"]
        else:
            measured = timing["latency_ms"].get(budget.kind or "all", {}).get(budget.what)
        found.append({"budget": str(budget), "limit_ms": budget.limit_ms, "measured_ms": measured, "ok": measured is not None and measured <= budget.limit_ms})
    return found
