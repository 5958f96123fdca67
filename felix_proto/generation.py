"""Which releases of Felix could have written what has been seen of a stream.

The stream does not say. ``CalicoVersion`` in the configuration is the cluster's, and during an upgrade this node's Felix may be
another; so it only chooses among the releases that the shapes of the messages leave.
"""

import re

OLDEST, NEWEST = 26, 34
"""Minor numbers of the releases 3.x that the schema covers."""

_VERSION = re.compile(r"v?3\.(\d+)(?:\D|$)")


class Generation:
    """The minor releases, ``low`` to ``high``, that agree with the evidence so far."""

    def __init__(self) -> None:
        self.low = OLDEST
        self.high = NEWEST
        self._claimed = NEWEST

    def narrow(self, low: int = OLDEST, high: int = NEWEST) -> None:
        """Take in evidence that only the releases ``low`` to ``high`` give. The latest counts where evidence disagrees."""
        self.low, self.high = max(self.low, low), min(self.high, high)
        if self.low > self.high:
            self.low, self.high = low, high

    def claim(self, version: str) -> None:
        """Take in the cluster's version, e.g. "v3.32.1"; anything that does not look like one says nothing."""
        if match := _VERSION.match(version):
            self._claimed = int(match[1])

    @property
    def legacy(self) -> bool:
        """Whether policies are known to be named by tier and name (up to 3.31)."""
        return self.high <= 31

    def __str__(self) -> str:
        """Return the release, e.g. "3.32"; the newest possible if several are."""
        return f"3.{max(self.low, min(self.high, self._claimed))}"
