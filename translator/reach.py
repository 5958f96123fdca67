"""Who can be reached, and how: all tables but those of policy, in one step.

`Reach.update` runs after the policy translator, because a direction that policy can't translate is closed here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .claims import Change
from .degraded import Degraded
from .dscp import DscpPart
from .endpoint_state import EndpointStates
from .floating import FloatingPart
from .host_endpoints import HostEndpoints
from .masquerade import MasqueradePart
from .names import EndpointKey
from .nat import NatPart
from .neighbour import NeighbourPart
from .numbers import Names, Numbers
from .pending import Pending
from .ports import PortPart
from .qos import QosPart
from .rejects import METERS as REJECT_METERS
from .rejects import RejectPart
from .routing import RoutingPart
from .service_loop import ServiceLoopPart
from .source_guard import SourceGuardPart
from .tunnels import TunnelPart, Underlay
from .ways import Ways
from .wireguard import Wireguard

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
        self._wireguard = Wireguard()
        self._ways = Ways(self._wireguard)
        tunnels = Numbers("tunnel", names)
        self._routing = RoutingPart(names, self.states, self.hosts, self._ways, tunnels)
        self._tunnels = TunnelPart(names, self._ways, tunnels, Underlay(self._routing.hops.to, self.hosts.number_at, self.hosts))
        self._floating, self._loops = FloatingPart(), ServiceLoopPart()
        self.qos = QosPart(self.states, REJECT_METERS)
        self._parts: tuple[_Part, ...] = (
            RejectPart(), NeighbourPart(self.states), SourceGuardPart(self.states), self._routing, self._tunnels, NatPart(), MasqueradePart(),
            self._floating, self._loops, DscpPart(self.states), PortPart(self.states, self.hosts), self.qos)  # fmt: skip
        self._pending = Pending()

    def update(self, store: Any, dirty: Any, ports: Any) -> list[Change]:
        """The rows that differ since the last update, each key once."""
        self.states.update(store, dirty, ports)
        self.hosts.update(store, dirty, ports)
        self._wireguard.update(store, dirty)
        self._ways.update(store, dirty)
        self._pending.update(store, dirty)
        return [change for part in self._parts for change in part.update(store, dirty, ports)]

    def rest(self) -> None:
        """Give back numbers that no row uses any more: when all that `update` gave out has been carried out."""
        self.states.rest()
        self._routing.rest()
        self._tunnels.rest()

    def way(self, destination: str) -> str:
        """Where a route of the stream leads; see `Translator.way`."""
        way, route = self._ways.way.get(destination), self._ways.routes.get(destination)
        if way is not None:
            return way.name
        return route.kind if route is not None and route.kind in ("own", "blackhole") else ""

    def degraded(self) -> Iterator[Degraded]:
        """What does not work as intended, once for each object and direction. A direction closed by policy is among it."""
        found: dict[tuple[str, str], list[Degraded]] = {}
        for entry in self._listed():
            found.setdefault((entry.object, entry.direction), []).append(entry)
        return map(_joined, found.values())

    def _listed(self) -> Iterator[Degraded]:
        yield from self.states.degraded()
        yield from self.hosts.degraded()
        yield from self._ways.degraded()
        yield from self._tunnels.degraded()
        yield from self._floating.degraded()
        yield from self._loops.degraded()
        yield from self._wireguard.degraded(self.states.views)
        yield from self._pending.degraded()


def _joined(entries: list[Degraded]) -> Degraded:
    """One entry of several about the same object and direction: the gravest effect, all reasons, the gravest first, whatever came first."""
    gravest, *others = sorted(set(entries), key=lambda entry: (_GRAVITY.index(entry.effect), entry.reason))
    return gravest._replace(reason="; ".join([gravest.reason, *(entry.reason for entry in others)]))
