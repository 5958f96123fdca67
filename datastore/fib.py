"""Routes of the node's kernel, mirrored where Felix sends none (contract 4.1)."""

from typing import NamedTuple


class FibRoute(NamedTuple):
    """A route of the main table. ``gateway`` and ``interface`` are "" where there is none; ``blackhole``: drops what goes there."""

    dst: str
    gateway: str = ""
    interface: str = ""
    blackhole: bool = False
