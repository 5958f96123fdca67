"""Who can be reached, and how: all tables but those of policy, in one step.

`Reach.update` runs after the policy translator, because a direction that policy can't translate is closed here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .claims import Change
from .degraded import Degraded
from .endpoint_state import EndpointStates
from .host_endpoints import HostEndpoints
from .names import EndpointKey
from .neighbour import NeighbourPart
from .numbers import Names
from .pending import Pending
from .ports import PortPart
from .routing import RoutingPart
from .source_guard import SourceGuardPart

_GRAVITY = ("closed", "pending", "partial")


Closed = Callable[[EndpointKey, str], str | None]


class _Part(Protocol):
    def update(self, store: Any, dirty: Any, ports: Any, /) -> Any: ...


class Reach:
    """Ports, neighbours, source guard, routing; and what is asked for and not done yet."""

    def __init__(self, names: Names, closed: Closed) -> None:
        """`closed(endpoint, stage)`: why policy keeps a stage closed, None if it does not."""
        self.states = EndpointStates(names, closed)
        self.hosts = HostEndpoints(self.states.numbers, closed)
        self._routing = RoutingPart(names, self.states, self.hosts)
        ports = PortPart(self.states, self.hosts)
        self._parts: tuple[_Part, ...] = (NeighbourPart(self.states), SourceGuardPart(self.states), self._routing, ports)
        self._pending = Pending()

    def update(self, store: Any, dirty: Any, ports: Any) -> list[Change]:
        """The rows that differ since the last update, each key once."""
        self.states.update(store, dirty, ports)
        self.hosts.update(store, dirty, ports)
        self._pending.update(store, dirty)
        return [change for part in self._parts for change in part.update(store, dirty, ports)]

    def rest(self) -> None:
        """Give back numbers that no row uses any more: when all that `update` gave out has been carried out."""
        self.states.rest()
        self._routing.rest()

    def degraded(self) -> Iterator[Degraded]:
        """What does not work as intended, once for each object and direction. A direction closed by policy is among it."""
        found: dict[tuple[str, str], list[Degraded]] = {}
        for entry in (*self.states.degraded(), *self.hosts.degraded(), *self._pending.degraded()):
            found.setdefault((entry.object, entry.direction), []).append(entry)
        return map(_joined, found.values())


def _joined(entries: list[Degraded]) -> Degraded:
    """One entry of several about the same object and direction: the gravest effect, all reasons."""
    gravest = min(entries, key=lambda entry: _GRAVITY.index(entry.effect))
    return gravest._replace(reason="; ".join(entry.reason for entry in entries))
