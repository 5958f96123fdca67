"""Rates of workload endpoints (Felix's QoSControls), as meters by endpoint (k8s_p4/p4/core/qos.p4), and rows of `connection_limit`.

A meter has (cir, cburst, pir, pburst), in packets or bytes (per second). What is over either rate is dropped: a token bucket for the rate
and one for the peak rate. Felix's bandwidths and bursts are bits; they often do not fit into 32 bits (a burst is 4,294,967,296 unless
configured). Ingress is what the workload receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from felix_proto.types import QoSControls, WorkloadEndpoint, WorkloadEndpointID

from .claims import Change, Claims, Row
from .endpoint_state import EndpointStates

Config = tuple[int, int, int, int]
MeterKey = tuple[str, int]
"""Name of the meter, number of the endpoint."""
_LARGEST_FRAME = 65_549


_MOST_CONNECTIONS = 0x7FFF_FFFF


class QosPart:
    """Owner of the table `connection_limit`; `meters` and `owners` are for whoever writes meters."""

    def __init__(self, states: EndpointStates, others: Mapping[MeterKey, Config] | None = None) -> None:
        """`others`: meters that are no endpoint's, which are always there."""
        self._states = states
        self._claims = Claims()
        self.meters: dict[MeterKey, Config] = dict(others or {})
        self.owners: dict[int, WorkloadEndpointID] = {}
        """Endpoints by number, of those that have a meter."""
        self._of: dict[WorkloadEndpointID, dict[MeterKey, Config]] = {}

    def update(self, store: Any, dirty: Any, ports: Any) -> Iterable[Change]:
        """Follow the endpoints that changed: `meters`, and the rows that differ since the last update."""
        del ports
        for endpoint_id in self._states.changed | dirty.endpoints:
            self._set(endpoint_id, store.endpoints.get(endpoint_id))
        return self._claims.changes()

    def _set(self, endpoint_id: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> None:
        for key in self._of.pop(endpoint_id, {}):
            del self.meters[key]
            self.owners.pop(key[1], None)
        view = self._states.views.get(endpoint_id)
        if endpoint is None or endpoint.qos_controls is None or view is None:
            self._claims.set(endpoint_id, {})
            return
        rates = self._of[endpoint_id] = {(name, view.number): config for name, config in meters(endpoint.qos_controls)}
        self.meters |= rates
        self.owners |= dict.fromkeys((number for _, number in rates), endpoint_id)
        self._claims.set(endpoint_id, dict(limits(view.number, endpoint.qos_controls)))


def limits(number: int, controls: QoSControls) -> Iterator[tuple[Row, tuple[Any, ...]]]:
    """The rows that limit what an endpoint begins, and what it accepts."""
    for owner, most in ((number << 1, controls.EgressMaxConnections), (number << 1 | 1, controls.IngressMaxConnections)):
        if most:
            slots = min(most, _MOST_CONNECTIONS)
            yield ("connection_limit", (owner,)), ("at_most", slots, (1 << (slots - 1).bit_length()) - 1)


def meters(controls: QoSControls) -> Iterator[tuple[str, Config]]:
    """The meters that an endpoint needs, by name."""
    packets = (("egress", controls.EgressPacketRate, controls.EgressPacketBurst), ("ingress", controls.IngressPacketRate, controls.IngressPacketBurst))
    for direction, rate, burst in packets:
        if rate:
            yield f"{direction}_packets", (rate, max(burst, 1), rate, max(burst, 1))
    for direction in ("Egress", "Ingress"):
        rate, burst, peak, least = (getattr(controls, f"{direction}{field}") for field in ("Bandwidth", "Burst", "Peakrate", "Minburst"))
        if rate:
            yield f"{direction.lower()}_bytes", _bandwidth(rate, burst, peak, least)


def _bandwidth(rate: int, burst: int, peak: int, least: int) -> Config:
    """In bytes. Without a burst one frame at least passes; without a peak rate the rate is the peak."""
    cir, cburst = max(rate // 8, 1), burst // 8 or _LARGEST_FRAME
    if not peak:
        return cir, cburst, cir, cburst
    return cir, cburst, max(peak // 8, cir), least // 8 or _LARGEST_FRAME
