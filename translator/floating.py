"""Rows of `floating_v4` and `floating_v6`: floating addresses of local endpoints (k8s_p4/p4/core/nat.p4, contract 4.4).

Only with FloatingIPs=Enabled, or on OpenStack. Where several endpoints have one floating address, the lowest address behind it has it;
what an endpoint sends to itself comes from the lowest floating address of that one. Lowest is meant of the texts, as in Calico.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from felix_proto.types import NatInfo, WorkloadEndpoint, WorkloadEndpointID

from .addresses import is_v6, parse_address, value_of
from .claims import Change, Claims, Row
from .degraded import Degraded
from .errors import Untranslatable
from .names import endpoint_name

_LOW = (1 << 64) - 1


class FloatingPart:
    """Owner of the tables `floating_v4` and `floating_v6`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._pairs: dict[WorkloadEndpointID, frozenset[NatInfo]] = {}
        self._behind: dict[str, set[WorkloadEndpointID]] = {}
        self._problems: dict[WorkloadEndpointID, Degraded] = {}
        self._enabled = False

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        enabled, before = floating_enabled(store.config), self._enabled
        self._enabled = enabled
        touched: set[str] = set()
        for key in dirty.endpoints if enabled == before else store.endpoints.keys() | self._pairs.keys() | dirty.endpoints:
            touched |= self._follow(key, store.endpoints.get(key) if enabled else None)
        for internal in touched:
            self._set(internal)
        return self._claims.changes()

    def degraded(self) -> Iterator[Degraded]:
        """Endpoints with a floating address that can't be read."""
        yield from self._problems.values()

    def _follow(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> set[str]:
        """Take in an endpoint; returns the addresses behind floating ones that this concerns."""
        self._problems.pop(key, None)
        old = self._pairs.pop(key, frozenset())
        found = set()
        for info in () if endpoint is None else endpoint.ipv4_nat + endpoint.ipv6_nat:
            try:
                _parsed(info)
                found.add(info)
            except Untranslatable as error:
                self._problems[key] = Degraded(endpoint_name(key), f"floating address: {error}", "partial")
        if found:
            self._pairs[key] = frozenset(found)
        if old == found:
            return set()
        for info in old:
            self._behind[info.int_ip].discard(key)
        for info in found:
            self._behind.setdefault(info.int_ip, set()).add(key)
        return {info.int_ip for info in old | found}

    def _set(self, internal: str) -> None:
        """All floating addresses of one address; among those who ask for one the lowest text wins."""
        pairs = {info for key in self._behind[internal] for info in self._pairs[key] if info.int_ip == internal}
        source = min((info.ext_ip for info in pairs), default="")
        self._claims.set((internal,), dict(_row(info, source) for info in pairs))
        if not self._behind[internal]:
            del self._behind[internal]


def _parsed(info: NatInfo) -> tuple[int, int]:
    outside, inside = parse_address(info.ext_ip), parse_address(info.int_ip)
    if is_v6(outside) != is_v6(inside):
        raise Untranslatable(f"{info.ext_ip} and {info.int_ip} are of two families")
    return outside, inside


def _row(info: NatInfo, source: str) -> tuple[Row, tuple[Any, ...]]:
    outside, inside = _parsed(info)
    values = [value_of(inside), value_of(parse_address(source))]
    if is_v6(outside):
        parts = [part for value in values for part in (value, value >> 64, value & _LOW)]
        return ("floating_v6", (value_of(outside),)), ("to_internal_v6", *parts)
    return ("floating_v4", (value_of(outside),)), ("to_internal_v4", *values)


def floating_enabled(config: Mapping[str, str]) -> bool:
    """FloatingIPs=Enabled, or OpenStack: named in ClusterType, or a metadata server of its own."""
    openstack = "openstack" in config.get("ClusterType", "").lower()
    metadata = config.get("MetadataAddr", "").strip().lower() not in ("", "none", "127.0.0.1")
    return config.get("FloatingIPs", "").strip().lower() == "enabled" or openstack or metadata
