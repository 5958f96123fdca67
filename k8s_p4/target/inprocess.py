"""The embedded target in the caller's own process (being built)."""

from typing import Any

from k8s_p4.target.options import Options


class InProcessTarget:
    """A fresh switch reached without a socket."""

    def __init__(self, options: Options | None = None) -> None:
        self.channel: Any = None

    def stop(self) -> None:
        """End it."""
