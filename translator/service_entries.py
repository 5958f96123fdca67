"""Where a service can be reached, and which of its backends serve whom there (kubernetes.io, "Service", "Virtual IPs and Service Proxies").

inside means that a packet comes from a local workload or the node itself, outside that it comes from the network.

* Cluster addresses follow the internal traffic policy, whoever asks; who is no local workload is masqueraded.
* Addresses for the outside (external, of a load balancer, node ports) follow the external traffic policy. With Cluster everything is
  masqueraded. With Local the source is kept and only this node's endpoints serve, but for packets from inside: they are treated as if
  they had gone out and come back, and reach every endpoint.
* No endpoint anywhere: rejected. None that the policy lets serve, though there are some: dropped.
* loadBalancerSourceRanges hold for load balancer addresses only, and for sources on this node as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from datastore.kubernetes import Service, ServicePort

from .addresses import is_v6, parse_address, parse_cidr
from .service_choice import Choice
from .service_context import holds

MASQUERADE_WORKLOAD, MASQUERADE_HOST, MASQUERADE_OUTSIDE, CHECK_SOURCE, AFFINITY, DROP = 1, 2, 4, 8, 16, 32
MASQUERADE = MASQUERADE_WORKLOAD | MASQUERADE_HOST | MASQUERADE_OUTSIDE

Scope = Literal["cluster", "local"]


class Entry(NamedTuple):
    """One address and port of a service; a scope is None where nothing serves. `kind` says what sort of address it is."""

    address: int
    port: int
    kind: str
    inside: Scope | None
    outside: Scope | None
    flags: int


def entries(service: Service, port: ServicePort, choice: Choice, v6: bool, node: Iterable[int]) -> Iterator[Entry]:
    """Yield the entries of a port in one family; `node` are the places of the addresses that node ports are open on."""
    cluster = _places(service.cluster_ips, v6)
    if not cluster:
        return
    affinity = AFFINITY if service.affinity_s else 0
    for address in cluster:
        yield Entry(address, port.port, "ClusterIP", *_internal(service, choice, affinity))
    inside, outside, flags = _external(service, choice, affinity)
    for address in _places(service.external_ips, v6):
        yield Entry(address, port.port, "ExternalIP", inside, outside, flags)
    # As with kube-proxy's firewall chain, which stands before the reject: what has source ranges is never rejected.
    guarded = CHECK_SOURCE | DROP if source_ranges(service, v6) else 0
    for address in _places(service.vips, v6):
        yield Entry(address, port.port, "LoadBalancer", inside, outside, flags | guarded)
    if port.node_port:
        for address in node:
            if is_v6(address) == v6:
                yield Entry(address, port.node_port, "NodePort", inside, outside, flags)


def _internal(service: Service, choice: Choice, affinity: int) -> tuple[Scope | None, Scope | None, int]:
    scope = _scope(service.internal_local, choice)
    drop = DROP if scope is None and choice.anywhere else 0
    return scope, scope, MASQUERADE_HOST | MASQUERADE_OUTSIDE | affinity | drop


def _external(service: Service, choice: Choice, affinity: int) -> tuple[Scope | None, Scope | None, int]:
    inside, outside = _scope(False, choice), _scope(service.external_local, choice)
    drop = DROP if outside is None and choice.anywhere else 0
    return inside, outside, (MASQUERADE_HOST if service.external_local else MASQUERADE) | affinity | drop


def _scope(local: bool, choice: Choice) -> Scope | None:
    if local:
        return "local" if choice.local else None
    return "cluster" if choice.cluster else None


def source_ranges(service: Service, v6: bool) -> set[int]:
    """Return the places of the source ranges of one family; there are none for a family that has none, and then anybody may come."""
    return {place for place in map(parse_cidr, service.source_ranges) if is_v6(place) == v6}


def allowed_sources(service: Service, v6: bool, node: Iterable[int]) -> set[int]:
    """Return the places that may come: a node within the ranges may also come with the address of the load balancer, which may be its own."""
    ranges = source_ranges(service, v6)
    if any(holds(place, address) for address in node for place in ranges):
        ranges |= set(_places(service.vips, v6))
    return ranges


def _places(addresses: Iterable[str], v6: bool) -> list[int]:
    return [place for place in dict.fromkeys(map(parse_address, addresses)) if is_v6(place) == v6]
