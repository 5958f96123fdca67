"""What the translator reads of the port inventory and of the intent store (structural, so that tests may bring their own)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from datastore.dirty import KubernetesDirty
from datastore.kubernetes import KubernetesStore
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID

CALICO_MAC = 0xEEEEEEEEEEEE
"""The MAC address that Calico gives its side of every workload interface; the switch's own."""


class Port(Protocol):
    """A port: kind is workload, host, uplink or tunnel; mac that of the device behind it, own_mac the switch's own there; addresses are
    CIDRs; neighbours are (address, MAC) of what can be reached there without that device; up tells whether it carries."""

    @property
    def name(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def mac(self) -> int: ...
    @property
    def addresses(self) -> tuple[str, ...]: ...
    @property
    def own_mac(self) -> int: ...
    @property
    def neighbours(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def up(self) -> bool: ...


class Ports(Protocol):
    """The inventory. `of_kind` has the default one of a kind first."""

    def get(self, name: str) -> Port | None: ...
    def all(self) -> Sequence[Port]: ...
    def of_kind(self, kind: str) -> Sequence[Port]: ...


class PortsWatch:
    """Tells whether an inventory may have changed since it was last asked about."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: object = None

    def changed(self, ports: Ports) -> bool:
        """By its `generation`, a number that grows with every change; an inventory without one may always have changed."""
        generation = getattr(ports, "generation", None)
        changed, self._seen = generation is None or generation != self._seen, generation
        return changed


class EndpointStore(Protocol):
    """The part of the intent store that holds workload endpoints and configuration."""

    @property
    def endpoints(self) -> Mapping[WorkloadEndpointID, WorkloadEndpoint]: ...
    @property
    def config(self) -> Mapping[str, str]: ...


class RouteStore(EndpointStore, Protocol):
    """The part that routing reads."""

    @property
    def routes(self) -> Mapping[str, Any]: ...
    @property
    def vteps(self) -> Mapping[str, Any]: ...
    @property
    def host_metadata(self) -> Mapping[str, Any]: ...
    @property
    def fib(self) -> Mapping[str, Any]: ...
    @property
    def kubernetes(self) -> KubernetesStore: ...


class EndpointDirty(Protocol):
    """Which workload endpoints changed, which were removed and are back as if nothing had been, and whether the configuration changed."""

    @property
    def endpoints(self) -> AbstractSet[WorkloadEndpointID]: ...
    @property
    def recreated(self) -> AbstractSet[WorkloadEndpointID]: ...
    @property
    def config(self) -> bool: ...


class RouteDirty(EndpointDirty, Protocol):
    """What changed of that which routing reads."""

    @property
    def routes(self) -> AbstractSet[str]: ...
    @property
    def vteps(self) -> AbstractSet[str]: ...
    @property
    def hosts(self) -> AbstractSet[str]: ...
    @property
    def fib(self) -> AbstractSet[str]: ...
    @property
    def kubernetes(self) -> KubernetesDirty: ...
