"""What does not work as intended, and what that means for traffic: the list that users see."""

from typing import Any, Literal, NamedTuple

Effect = Literal["closed", "pending", "partial"]
Direction = Literal["ingress", "egress", "both"]


class Degraded(NamedTuple):
    """One line: ``object`` is kind and name, e.g. "WorkloadEndpoint k8s/shop/web-1/eth0".

    ``effect``: closed (no traffic in that direction), pending (something is awaited) or partial (works but for what the reason says).
    """

    object: str
    reason: str
    effect: str
    direction: str = "both"

    def as_dict(self) -> dict[str, str]:
        """Return the fields by name, as the replay contract has them."""
        return self._asdict()


def from_translator(entry: Any) -> Degraded:
    """Return the list's line for one of the translator's entries."""
    return Degraded(str(entry.object), entry.reason, entry.effect, entry.direction)
