"""Rows of `floating_v4` and `floating_v6`: floating addresses of local endpoints (k8s_p4/p4/core/nat.p4, contract 4.4).

Only with FloatingIPs=Enabled, or on OpenStack. Where several endpoints have one floating address, the lowest address behind it wins, by
the order of their texts, as in Calico.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID

from .addresses import is_v6, parse_address, value_of
from .claims import Change, Claimant, Claims, Row
from .degraded import Degraded
from .errors import Untranslatable
from .names import endpoint_name

_LOW = (1 << 64) - 1


class FloatingPart:
    """Owner of the tables `floating_v4` and `floating_v6`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._of: dict[WorkloadEndpointID, set[Claimant]] = {}
        self._problems: dict[WorkloadEndpointID, Degraded] = {}
        self._enabled = False

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        enabled, before = floating_enabled(store.config), self._enabled
        self._enabled = enabled
        for key in dirty.endpoints if enabled == before else store.endpoints.keys() | self._of.keys() | dirty.endpoints:
            self._set(key, store.endpoints.get(key) if enabled else None)
        return self._claims.changes()

    def degraded(self) -> Iterator[Degraded]:
        """Endpoints with a floating address that can't be read."""
        yield from self._problems.values()

    def _set(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> None:
        self._problems.pop(key, None)
        asked: dict[Claimant, dict[Row, tuple[Any, ...]]] = {}
        for info in () if endpoint is None else endpoint.ipv4_nat + endpoint.ipv6_nat:
            try:
                row, value = _row(info.ext_ip, info.int_ip)
            except Untranslatable as error:
                self._problems[key] = Degraded(endpoint_name(key), f"floating address: {error}", "partial")
                continue
            asked.setdefault((info.int_ip, key), {})[row] = value
        for claimant in self._of.pop(key, set()) - asked.keys():
            self._claims.set(claimant, {})
        for claimant, rows in asked.items():
            self._claims.set(claimant, rows)
        if asked:
            self._of[key] = set(asked)


def _row(external: str, internal: str) -> tuple[Row, tuple[Any, ...]]:
    outside, inside = parse_address(external), parse_address(internal)
    if is_v6(outside) != is_v6(inside):
        raise Untranslatable(f"{external} and {internal} are of two families")
    value = value_of(inside)
    if is_v6(outside):
        return ("floating_v6", (value_of(outside),)), ("to_internal_v6", value, value >> 64, value & _LOW)
    return ("floating_v4", (value_of(outside),)), ("to_internal_v4", value)


def floating_enabled(config: Mapping[str, str]) -> bool:
    """FloatingIPs=Enabled, or OpenStack: named in ClusterType, or a metadata server of its own."""
    openstack = "openstack" in config.get("ClusterType", "").lower()
    metadata = config.get("MetadataAddr", "").strip().lower() not in ("", "none", "127.0.0.1")
    return config.get("FloatingIPs", "").strip().lower() == "enabled" or openstack or metadata
