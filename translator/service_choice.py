"""Which endpoints of a service port get its traffic on this node, as kube-proxy decides (kubernetes.io, "Virtual IPs and Service Proxies").

For the whole cluster: the endpoints that are ready; of those, when every one has node hints and some of these name this node, those
that do; else likewise with zones. If none is ready: those that are serving while they terminate, whatever the hints.
For this node alone: its ready endpoints, or if there is none, its own that are serving while they terminate; hints do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from datastore.kubernetes import Endpoint, EndpointSlice, ServicePort

from .addresses import parse_address


class Backend(NamedTuple):
    """Where a packet to a service may be led: the place of an address, and a port."""

    address: int
    port: int


class Here(NamedTuple):
    """This node: its name, and its zone, "" if unknown."""

    node: str
    zone: str = ""


class Choice(NamedTuple):
    """The backends of one service port and family, sorted.

    `serving`: every endpoint that answers, ready or not, whatever its node: flows to one of these need not end. `ready_here`: this node's
    ready ones.
    """

    cluster: tuple[Backend, ...]
    local: tuple[Backend, ...]
    serving: tuple[Backend, ...]
    ready_here: tuple[Backend, ...]

    @property
    def anywhere(self) -> bool:
        """Whether any endpoint, on any node, could be used."""
        return bool(self.cluster)


Found = dict[Backend, Endpoint]


def choose(port: ServicePort, slices: Iterable[EndpointSlice], v6: bool, here: Here) -> Choice:
    """Choose from the slices of the port's service, those of one family."""
    found = _endpoints(port, slices, v6, here)
    ready = {backend: endpoint for backend, endpoint in found.items() if endpoint.ready}
    leaving = {backend: endpoint for backend, endpoint in found.items() if endpoint.serving and endpoint.terminating}
    ready_here = _on_node(ready, here)
    serving = sorted(backend for backend, endpoint in found.items() if endpoint.ready or endpoint.serving)
    return Choice(
        tuple(sorted(_near(ready, here) if ready else leaving)),
        tuple(sorted(ready_here or _on_node(leaving, here))),
        tuple(serving),
        tuple(sorted(ready_here)),
    )


def _endpoints(port: ServicePort, slices: Iterable[EndpointSlice], v6: bool, here: Here) -> Found:
    """An endpoint that stands in two slices, while it moves from one to the other, counts as it does best."""
    found: Found = {}
    for number, endpoint in _of_port(port, slices, v6):
        backend = Backend(parse_address(endpoint.address), number)
        other = found.get(backend)
        if other is None or _rank(endpoint, here) > _rank(other, here):
            found[backend] = endpoint
    return found


def _of_port(port: ServicePort, slices: Iterable[EndpointSlice], v6: bool) -> Iterator[tuple[int, Endpoint]]:
    for each in slices:
        if each.is_v6 == v6:
            numbers = [other.port for other in each.ports if (other.name, other.protocol) == (port.name, port.protocol)]
            yield from ((number, endpoint) for number in numbers for endpoint in each.endpoints)


def _rank(endpoint: Endpoint, here: Here) -> tuple[object, ...]:
    return endpoint.node == here.node, endpoint.ready, endpoint.serving, not endpoint.terminating, endpoint


def _on_node(found: Found, here: Here) -> Found:
    return {backend: endpoint for backend, endpoint in found.items() if here.node and endpoint.node == here.node}


def _near(ready: Found, here: Here) -> Found:
    """Those that the hints give to this node, else to its zone; all, if any lacks a hint or no hint names us."""
    hints: tuple[tuple[str, Callable[[Endpoint], tuple[str, ...]]], ...] = ((here.node, lambda e: e.nodes), (here.zone, lambda e: e.zones))
    for ours, given in hints:
        if all(given(endpoint) for endpoint in ready.values()):
            near = {backend: endpoint for backend, endpoint in ready.items() if ours in given(endpoint)}
            if near:
                return near
    return ready
