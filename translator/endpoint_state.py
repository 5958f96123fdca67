"""The state of each workload endpoint: which interface and addresses it has, and whether each direction is open.

Not a part with rows of its own: `EndpointStates.update` runs first, and the parts for ports, neighbours, source guard and routing
read `views` and `changed`. A direction is closed if the endpoint is not active or its interface is down (reason endpoint_down), if its
interface belongs to another endpoint, if no port has its name yet, or if the policy translator says so (reason degraded).

Two endpoints with one interface name: the lowest (orchestrator, workload, endpoint) id has it (contract 3.7); the other is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID

from .addresses import is_host, parse_cidr, text
from .degraded import Degraded
from .errors import Untranslatable
from .incarnations import Incarnations
from .inventory import EndpointDirty, EndpointStore, Port, Ports, PortsWatch
from .names import endpoint_meaning, endpoint_name
from .numbers import Names, Numbers

Direction = Literal["egress", "ingress"]
Closed = Callable[[WorkloadEndpointID, Direction], str | None]

OPEN, ENDPOINT_DOWN, DEGRADED = 0, 4, 5
"""What the pipeline calls them: metadata `reason` (docs/design/house.md)."""


class Addresses(NamedTuple):
    """An endpoint's addresses as places (`addresses`); `problems` names what could not be read or can't be had."""

    own: tuple[int, ...] = ()
    spoofed: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


class EndpointView(NamedTuple):
    """What the other parts need of an endpoint.

    `port` is None if no port has the interface's name, or another endpoint has the interface. `egress` and `ingress` are OPEN or the
    reason that packets are dropped with.
    """

    id: WorkloadEndpointID
    number: int
    incarnation: int
    interface: str
    port: Port | None
    egress: int
    ingress: int
    addresses: Addresses
    degraded: tuple[Degraded, ...]


class EndpointStates:
    """The views of all endpoints, and which of them changed in the last update."""

    def __init__(self, names: Names, closed: Closed) -> None:
        """`closed(endpoint, direction)`: why policy keeps a direction closed, None if it does not; asked at every update."""
        self.views: dict[WorkloadEndpointID, EndpointView] = {}
        self.changed: set[WorkloadEndpointID] = set()
        self.numbers = Numbers("endpoint", names)
        """Of workload endpoints, and of host endpoints: they share the key of the policy tables."""
        self._incarnations = Incarnations(names)
        self._closed = closed
        self._asked: dict[WorkloadEndpointID, tuple[str | None, str | None]] = {}
        self._watch = PortsWatch()
        self._addresses: dict[WorkloadEndpointID, Addresses] = {}
        self._interface: dict[WorkloadEndpointID, str] = {}
        self._users: dict[str, set[WorkloadEndpointID]] = {}

    def update(self, store: EndpointStore, dirty: EndpointDirty, ports: Ports) -> None:
        """Bring the views in line; `changed` then holds the endpoints whose view is new, different or gone."""
        self.changed = set()
        due = dirty.endpoints | dirty.recreated
        for endpoint_id in dirty.recreated:
            self._incarnations.end(endpoint_meaning(endpoint_id))
        for endpoint_id in dirty.endpoints:
            due |= self._follow(endpoint_id, store.endpoints.get(endpoint_id))
        # Policy's verdict may change without the endpoint: it is asked for all, of which there are some hundred.
        due |= {endpoint_id for endpoint_id in store.endpoints if self._verdicts(endpoint_id) != self._asked.get(endpoint_id)}
        if self._watch.changed(ports):
            due |= store.endpoints.keys()
        for endpoint_id in due:
            endpoint = store.endpoints.get(endpoint_id)
            if endpoint is None:
                self._forget(endpoint_id)
            elif (view := self._view(endpoint, ports)) != self.views.get(endpoint_id):
                self.views[endpoint_id] = view
                self.changed.add(endpoint_id)

    def rest(self) -> None:
        """Give back the numbers of endpoints that are gone; to be called when no row uses them any more."""
        self._incarnations.end_all_but({endpoint_meaning(endpoint_id) for endpoint_id in self.views})
        self.numbers.settle()

    def degraded(self) -> Iterator[Degraded]:
        """What does not work of any endpoint, policy's verdicts included."""
        for view in self.views.values():
            yield from view.degraded

    def _forget(self, endpoint_id: WorkloadEndpointID) -> None:
        self._asked.pop(endpoint_id, None)
        if self.views.pop(endpoint_id, None):
            self.changed.add(endpoint_id)
            self._incarnations.end(endpoint_meaning(endpoint_id))
            self.numbers.retire(endpoint_meaning(endpoint_id))

    def _verdicts(self, endpoint_id: WorkloadEndpointID) -> tuple[str | None, str | None]:
        return self._closed(endpoint_id, "egress"), self._closed(endpoint_id, "ingress")

    def _follow(self, endpoint_id: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> set[WorkloadEndpointID]:
        """Keep the index of interfaces and the parsed addresses; returns who shares an interface with what changed."""
        sharing: set[WorkloadEndpointID] = set()
        self._addresses.pop(endpoint_id, None)
        old = self._interface.pop(endpoint_id, None)
        if old is not None:
            sharing |= self._users[old]
            self._users[old].discard(endpoint_id)
            if not self._users[old]:
                del self._users[old]
        if endpoint is not None:
            self._interface[endpoint_id] = endpoint.name
            sharing |= self._users.setdefault(endpoint.name, set())
            self._users[endpoint.name].add(endpoint_id)
            self._addresses[endpoint_id] = read_addresses(endpoint)
        return sharing

    def _view(self, endpoint: WorkloadEndpoint, ports: Ports) -> EndpointView:
        endpoint_id = endpoint.id
        winner = min(self._users[endpoint.name])
        port = ports.get(endpoint.name) if winner == endpoint_id else None
        if port is not None and port.kind != "workload":
            port = None
        reasons = list(self._reasons(endpoint, port, winner))
        closed = {d: next((code for direction, code, _ in reasons if direction in (d, "both")), OPEN) for d in ("egress", "ingress")}
        addresses = self._addresses[endpoint_id]
        self._asked[endpoint_id] = self._verdicts(endpoint_id)
        number = self.numbers.get(endpoint_meaning(endpoint_id))
        incarnation = self._incarnations.get(endpoint_meaning(endpoint_id))
        degraded = tuple(entry for _, _, entry in reasons if entry)
        partial = tuple(Degraded(endpoint_name(endpoint_id), problem, "partial") for problem in addresses.problems)
        return EndpointView(
            endpoint_id, number, incarnation, endpoint.name, port, closed["egress"], closed["ingress"], addresses, degraded + partial
        )

    def _reasons(
        self, endpoint: WorkloadEndpoint, port: Port | None, winner: WorkloadEndpointID
    ) -> Iterator[tuple[str, int, Degraded | None]]:
        """Why a direction ("both" for both) is closed: the reason for packets, and the Degraded that lists it, if any."""
        name = endpoint_name(endpoint.id)
        if endpoint.state != "active":
            yield "both", ENDPOINT_DOWN, None
        if winner != endpoint.id:
            text = f"interface {endpoint.name} belongs to {endpoint_name(winner)}"
            yield "both", DEGRADED, Degraded(name, text, "closed")
        elif port is None:
            yield "both", DEGRADED, Degraded(name, f"no workload port is named {endpoint.name!r}", "pending")
        elif not port.up:
            yield "both", ENDPOINT_DOWN, Degraded(name, f"interface {endpoint.name!r} is down", "pending")
        for direction in ("egress", "ingress"):
            if (why := self._closed(endpoint.id, direction)) is not None:
                yield direction, DEGRADED, Degraded(name, why, "closed", direction)


def read_addresses(endpoint: WorkloadEndpoint) -> Addresses:
    """Parse an endpoint's addresses; what can't be read is left out, so that nothing is allowed by it."""
    problems: list[str] = []

    def read(field: str, cidrs: tuple[str, ...]) -> Iterator[int]:
        for cidr in cidrs:
            try:
                yield parse_cidr(cidr)
            except Untranslatable as error:
                problems.append(f"{field}: {error}")

    own = (*read("ipv4_nets", endpoint.ipv4_nets), *read("ipv6_nets", endpoint.ipv6_nets))
    spoofed = tuple(read("allow_spoofed_source_prefixes", endpoint.allow_spoofed_source_prefixes))
    problems += [f"{text(place)} is no single address: packets from it are let out, none are led to it" for place in own if not is_host(place)]
    return Addresses(own, spoofed, tuple(problems))

