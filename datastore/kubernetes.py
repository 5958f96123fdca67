"""What Kubernetes says of services: Services, EndpointSlices and Nodes, read into values, and which services changed.

Only what load balancing depends on is kept (`kubernetes_objects` reads it), so a heartbeat of a Node or a new annotation changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from datastore.dirty import KubernetesDirty, Objects

HEADLESS = "None"
DEFAULT_AFFINITY_S = 10800

ObjectKey = tuple[str, str, str]
"""(kind, namespace, name); the namespace of a Node is ""."""
ServiceKey = tuple[str, str]
"""(namespace, name)."""


class ServicePort(NamedTuple):
    """One of a Service's ports: `protocol` is TCP, UDP or SCTP, `node_port` 0 if it has none."""

    name: str
    protocol: str
    port: int
    node_port: int = 0


class Service(NamedTuple):
    """A Service (core/v1). Addresses and CIDRs are text as Kubernetes has it; `created` is an RFC 3339 time in UTC, "" if unknown.

    `vips`: ingress addresses of status.loadBalancer whose ipMode is VIP. `affinity_s`: timeout of ClientIP affinity, 0 without.
    `ours` is false for what kube-proxy leaves to others: ExternalName, headless, or labelled service.kubernetes.io/service-proxy-name.
    """

    namespace: str
    name: str
    created: str = ""
    ours: bool = True
    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    vips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    internal_local: bool = False
    external_local: bool = False
    affinity_s: int = 0
    source_ranges: tuple[str, ...] = ()
    health_port: int = 0


class Endpoint(NamedTuple):
    """One endpoint of a slice; `address` is the first of its addresses (they are interchangeable). Hints are names of zones and nodes."""

    address: str
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class EndpointPort(NamedTuple):
    """A port of a slice; it belongs to the Service's port of the same name and protocol."""

    name: str
    protocol: str
    port: int


class EndpointSlice(NamedTuple):
    """An EndpointSlice (discovery.k8s.io/v1); `service` is the name in its label kubernetes.io/service-name, "" if it has none."""

    namespace: str
    name: str
    service: str
    is_v6: bool = False
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


class Node(NamedTuple):
    """A Node (core/v1): its label topology.kubernetes.io/zone, and its addresses of type InternalIP, then ExternalIP."""

    name: str
    zone: str = ""
    addresses: tuple[str, ...] = ()


Value = Service | EndpointSlice | Node


class KubernetesStore:
    """Objects by kind and key. `configured` says whether there is a source at all, `in_sync` whether it has told everything once."""

    def __init__(self) -> None:
        self.configured = False
        self.in_sync = False
        self.services: Objects[ServiceKey, Service] = Objects()
        self.slices: Objects[ServiceKey, EndpointSlice] = Objects()
        """By (namespace, name of the slice)."""
        self.nodes: Objects[str, Node] = Objects()
        self._of_service: dict[ServiceKey, set[ServiceKey]] = {}
        self._moved: set[ServiceKey] = set()
        self._source = (False, False)
        self.problems: dict[ObjectKey, str] = {}
        """Objects that can't be read, and why; each counts as absent."""

    @property
    def known(self) -> bool:
        """Whether everything there is is here; until then nothing is to be taken away because it is not."""
        return self.in_sync or not self.configured

    def put(self, value: Value) -> None:
        """Add an object, or replace the one of its kind and key."""
        self.problems.pop(key_of(value), None)
        if isinstance(value, Service):
            self.services.put((value.namespace, value.name), value)
        elif isinstance(value, Node):
            self.nodes.put(value.name, value)
        else:
            self._put_slice(value)

    def remove(self, key: ObjectKey) -> bool:
        """Remove an object; tell whether there was one."""
        self.problems.pop(key, None)
        kind, namespace, name = key
        if kind == "Service":
            return self.services.remove((namespace, name))
        if kind == "Node":
            return self.nodes.remove(name)
        return self._remove_slice((namespace, name))

    def refuse(self, key: ObjectKey, reason: str) -> None:
        """Note an object that can't be read: what was known of it before no longer holds."""
        self.remove(key)
        self.problems[key] = reason

    def keys(self, kind: str) -> set[ObjectKey]:
        """Return the keys of every object of a kind, those that can't be read included."""
        refused = {key for key in self.problems if key[0] == kind}
        if kind == "Node":
            return refused | {(kind, "", name) for name in self.nodes}
        return refused | {(kind, *key) for key in (self.services if kind == "Service" else self.slices)}

    def slices_of(self, service: ServiceKey) -> Iterator[EndpointSlice]:
        """Yield the slices of a service, in no particular order."""
        return (self.slices[key] for key in self._of_service.get(service, ()))

    def take_dirty(self) -> KubernetesDirty:
        """Return the net changes since the last call."""
        moved, self._moved = self._moved, set()
        changed = self.slices.take_dirty()
        services = self.services.take_dirty() | moved
        for key in changed:
            if key in self.slices:
                services.add(_service_of(self.slices[key]))
        before, self._source = self._source, (self.configured, self.in_sync)
        return KubernetesDirty(services, self.nodes.take_dirty(), before != self._source)

    def everything(self) -> KubernetesDirty:
        """Return what is dirty for somebody who knows nothing yet."""
        return KubernetesDirty({*self.services, *self._of_service}, set(self.nodes), True)

    def _put_slice(self, value: EndpointSlice) -> None:
        key = (value.namespace, value.name)
        old = self.slices.get(key)
        if old is not None and old.service != value.service:
            self._remove_slice(key)
        self.slices.put(key, value)
        self._of_service.setdefault(_service_of(value), set()).add(key)

    def _remove_slice(self, key: ServiceKey) -> bool:
        old = self.slices.get(key)
        if old is None:
            return False
        service = _service_of(old)
        self._of_service[service].discard(key)
        if not self._of_service[service]:
            del self._of_service[service]
        self._moved.add(service)
        return self.slices.remove(key)


def key_of(value: Value) -> ObjectKey:
    """Return the kind and key of an object."""
    if isinstance(value, Node):
        return "Node", "", value.name
    return type(value).__name__, value.namespace, value.name


def _service_of(value: EndpointSlice) -> ServiceKey:
    return value.namespace, value.service


def replace_kind(store: KubernetesStore, kind: str, values: Iterable[Value], refused: dict[ObjectKey, str]) -> None:
    """Make a kind's objects exactly these: the answer of a list. What is as it was marks nothing."""
    there: set[Any] = set(refused)
    for value in values:
        there.add(key_of(value))
        store.put(value)
    for key, reason in refused.items():
        store.refuse(key, reason)
    for key in store.keys(kind) - there:
        store.remove(key)
