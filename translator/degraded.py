"""What does not work as intended, as a value."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Degraded(NamedTuple):
    """One object that is not, or not wholly, on the target.

    ``object`` is kind and name ("WorkloadEndpoint k8s/shop/web-1/eth0"); ``effect``: closed (no traffic in that
    direction), pending (something is awaited), partial (works but for what ``reason`` says).
    """

    object: str
    reason: str
    effect: Literal["closed", "pending", "partial"]
    direction: Literal["ingress", "egress", "both"] = "both"
