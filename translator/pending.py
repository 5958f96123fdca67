"""What the stream asks for and the pipeline does not do yet: one Degraded `partial` for each object, never silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from felix_proto.types import HostEndpoint, IPAMPool, RouteUpdate, WorkloadEndpoint

from .addresses import parse_cidr
from .degraded import Degraded
from .errors import Untranslatable
from .names import endpoint_name, host_endpoint_name
from .outer import VXLAN_PORT
from .stream_routes import read_route


class Store(Protocol):
    """The maps of the intent store that are looked at."""

    @property
    def endpoints(self) -> Mapping[Any, WorkloadEndpoint]: ...
    @property
    def host_endpoints(self) -> Mapping[str, HostEndpoint]: ...
    @property
    def routes(self) -> Mapping[str, RouteUpdate]: ...
    @property
    def pools(self) -> Mapping[str, IPAMPool]: ...
    @property
    def config(self) -> Mapping[str, str]: ...


class Pending:
    """Keeps what is missing by object, so that a change costs only itself."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Any], Degraded] = {}

    def update(self, store: Store, dirty: Any) -> None:
        """Look at what changed."""
        self._look("endpoint", dirty.endpoints, store.endpoints, _endpoint)
        self._look("host_endpoint", dirty.host_endpoints, store.host_endpoints, _host_endpoint)
        self._look("route", dirty.routes, store.routes, _route)
        self._look("pool", dirty.pools, store.pools, _pool)
        if dirty.config:
            self._look("config", _CONFIG, store.config, lambda value: None)
            self._look_config(store.config)

    def degraded(self) -> Iterator[Degraded]:
        """One entry for each object with something missing."""
        yield from self._found.values()

    def _look(self, kind: str, keys: Any, there: Mapping[Any, Any], judge: Any) -> None:
        for key in keys:
            value = there.get(key)
            entry = judge(value) if value is not None else None
            if entry is None:
                self._found.pop((kind, key), None)
            else:
                self._found[kind, key] = entry

    def _look_config(self, config: Mapping[str, str]) -> None:
        for name, (harmless, reason) in _CONFIG.items():
            if (value := config.get(name)) is not None and value.lower() not in harmless:
                self._found["config", name] = Degraded(f"Config {name}={value}", reason, "partial")


_CONFIG = {
    "VXLANPort": ((str(VXLAN_PORT),), f"port {VXLAN_PORT} is compiled in: no VXLAN tunnels, and workloads' VXLAN is recognised by that port only"),
    "IptablesNATOutgoingInterfaceFilter": (("",), "NAT outgoing holds for every interface"),
}
"""Configuration that is not carried out: name to (values that need nothing, what happens instead)."""


def _partial(name: str, reasons: list[str]) -> Degraded | None:
    return Degraded(name, "; ".join(reasons), "partial") if reasons else None


def _endpoint(endpoint: WorkloadEndpoint) -> Degraded | None:
    reasons = []
    if endpoint.local_bgp_peer is not None:
        reasons.append("BGP peering with the workload is not set up, the local peering address not answered")
    if endpoint.live_migration_role:
        reasons.append("live migration does not change its routes")
    return _partial(endpoint_name(endpoint.id), reasons)


def _host_endpoint(endpoint: HostEndpoint) -> Degraded | None:
    return _partial(host_endpoint_name(endpoint.id), ["DSCP is not set"] if endpoint.qos_policies else [])


def _route(route: RouteUpdate) -> Degraded | None:
    name = f"Route {route.dst}"
    try:
        problem = read_route(route).problem
    except Untranslatable as error:
        return Degraded(name, str(error), "partial")
    return _partial(name, [f"{problem}: what goes there is dropped"] if problem else [])


def _pool(pool: IPAMPool) -> Degraded | None:
    try:
        parse_cidr(pool.cidr)
    except Untranslatable as error:
        return Degraded(f"IPAMPool {pool.id}", f"{error}: it is no pool for NAT outgoing", "partial")
    return None
