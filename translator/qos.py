"""Rates of workload endpoints (Felix's QoSControls), as meters by endpoint (k8s_p4/p4/core/qos.p4).

A meter has (cir, cburst, pir, pburst), in packets or bytes (per second). What is over either rate is dropped: a token bucket for the rate
and one for the peak rate. Felix's bandwidths and bursts are bits; they often do not fit into 32 bits (a burst is 4,294,967,296 unless
configured). Ingress is what the workload receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from felix_proto.types import QoSControls, WorkloadEndpoint, WorkloadEndpointID

from .degraded import Degraded
from .endpoint_state import EndpointStates
from .names import endpoint_name

Config = tuple[int, int, int, int]
MeterKey = tuple[str, int]
"""Name of the meter, number of the endpoint."""
_LARGEST_FRAME = 65_549


class QosPart:
    """What the meters are to be; `meters` and `owners` are for whoever writes them."""

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self.meters: dict[MeterKey, Config] = {}
        self.owners: dict[int, WorkloadEndpointID] = {}
        """Endpoints by number, of those that have a meter."""
        self._of: dict[WorkloadEndpointID, dict[MeterKey, Config]] = {}
        self._limited: dict[WorkloadEndpointID, Degraded] = {}

    def update(self, store: Any, dirty: Any, ports: Any) -> Iterable[Any]:
        """Follow the endpoints that changed; there are no rows."""
        del ports
        for endpoint_id in self._states.changed | dirty.endpoints:
            self._set(endpoint_id, store.endpoints.get(endpoint_id))
        return ()

    def degraded(self) -> Iterator[Degraded]:
        """Endpoints with a limit of connections."""
        yield from self._limited.values()

    def _set(self, endpoint_id: WorkloadEndpointID, endpoint: WorkloadEndpoint | None) -> None:
        view = self._states.views.get(endpoint_id)
        for key in self._of.pop(endpoint_id, {}):
            del self.meters[key]
            self.owners.pop(key[1], None)
        self._limited.pop(endpoint_id, None)
        if endpoint is None or endpoint.qos_controls is None:
            return
        if view is not None:
            rates = self._of[endpoint_id] = {(name, view.number): config for name, config in meters(endpoint.qos_controls)}
            self.meters |= rates
            self.owners |= dict.fromkeys((number for _, number in rates), endpoint_id)
        if endpoint.qos_controls.IngressMaxConnections or endpoint.qos_controls.EgressMaxConnections:
            self._limited[endpoint_id] = Degraded(endpoint_name(endpoint_id), "the number of connections is not limited", "partial")


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
