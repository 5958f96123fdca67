"""A count of the conformance packets that were sent through the product, and of those that cannot be."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Census:
    """Packets sent by file and direction; packets that cannot be realised (file, case, place), with the reason."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    unrealisable: dict[tuple[str, str, int], str] = field(default_factory=dict)

    def add(self, other: "Census") -> None:
        """Take in another census."""
        self.sent.update(other.sent)
        self.unrealisable.update(other.unrealisable)

    def lines(self) -> list[str]:
        """Return the census as text, nothing if no packet was sent."""
        counts = [f"conformance: {name} as {direction}: {n} packets" for (name, direction), n in sorted(self.sent.items())]
        return counts + [
            f"unrealisable: {name}: {case!r}, packet {place}: {why}" for (name, case, place), why in sorted(self.unrealisable.items())
        ]
