"""What Felix is told: signs of life, and the state of every workload and host endpoint once its rows are confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from felix_proto.encode import Encoder, Status
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID
from translator.names import endpoint_name, host_endpoint_name

if TYPE_CHECKING:
    from calico_p4.driver import Driver

FIRST_HEARTBEAT_S = 10.0
HEARTBEAT_S = 30.0
"""Felix's own driver sends its first after 10 s, then every ReportingIntervalSecs (contract.md 1.4)."""


def told(reporter: StatusReporter, driver: Driver, connected: bool) -> Iterator[bytes]:
    """Yield what Felix has to be told of a driver's endpoints: those whose rows are confirmed, can't be, or whose interface went."""
    store, ports = driver.store, driver.ports
    if not (store.in_sync and (driver.closed or connected and ports.known)):
        return  # what a lost target holds goes on forwarding, and nothing new is known of it
    changed = driver.changed_endpoints if connected else set()
    bad = {entry.object for entry in driver.degraded() if entry.effect != "partial"}
    broken = {key for key in store.endpoints if driver.closed or endpoint_name(key) in bad} if bad else set()
    down = {key for key in {*changed, *broken} if key in store.endpoints and ports.waits(store.endpoints[key].name)}
    yield from reporter.endpoints(store.endpoints, changed, broken, down)
    changed.clear()
    broken_hosts = {key for key in store.host_endpoints if driver.closed or host_endpoint_name(key) in bad}
    yield from reporter.host_endpoints(store.host_endpoints, broken_hosts, {key for key in store.host_endpoints if _all_down(driver, key)})


def _all_down(driver: Driver, host_endpoint: str) -> bool:
    """Whether a host endpoint stands at interfaces, of which none is up."""
    interfaces = driver.translator.host_interfaces(host_endpoint)
    return bool(interfaces) and all(driver.ports.waits(name) for name in interfaces)


class StatusReporter:
    """Makes the frames for fd 4; a state is reported when it changes, never twice."""

    def __init__(self, now_s: float) -> None:
        """``now_s`` and all times after it are seconds of one monotonic clock."""
        self._encoder = Encoder()
        self._start_s = now_s
        self._reported: dict[WorkloadEndpointID, Status] = {}
        self._reported_hosts: dict[str, Status] = {}
        self.heartbeat_due_s = now_s + FIRST_HEARTBEAT_S

    def heartbeat(self, now_s: float) -> bytes | None:
        """Return a ProcessStatusUpdate if one is due."""
        if now_s < self.heartbeat_due_s:
            return None
        self.heartbeat_due_s = now_s + HEARTBEAT_S
        stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return self._encoder.process_status(stamp, now_s - self._start_s)

    def endpoints(
        self,
        endpoints: dict[WorkloadEndpointID, WorkloadEndpoint],
        changed: Iterable[WorkloadEndpointID],
        broken: AbstractSet[WorkloadEndpointID],
        down: AbstractSet[WorkloadEndpointID] = frozenset(),
    ) -> Iterator[bytes]:
        """Yield what has to be told: of the endpoints that changed, and of those that broke or were mended since.

        ``broken`` are those that are closed although they should not be, or whose rows are not on the target; ``down`` those whose interface
        is down, or not there yet, which tells more.
        """
        doubtful = {key for key, status in self._reported.items() if status == "error"}
        for key in sorted({*changed, *broken, *doubtful}):
            yield from self._endpoint(key, endpoints.get(key), "down" if key in down else "error" if key in broken else "up")

    def host_endpoints(self, endpoints: Iterable[str], broken: AbstractSet[str], down: AbstractSet[str] = frozenset()) -> Iterator[bytes]:
        """Yield what has to be told of the node's host endpoints; ``broken`` are those without an interface, or whose policy is not
        on the target; ``down`` those of which all interfaces are."""
        wanted: dict[str, Status] = {key: "error" if key in broken else "down" if key in down else "up" for key in endpoints}
        for key in sorted(self._reported_hosts.keys() - wanted.keys()):
            del self._reported_hosts[key]
            yield self._encoder.host_endpoint_status_remove(key)
        for key, status in sorted(wanted.items()):
            if self._reported_hosts.get(key) != status:
                self._reported_hosts[key] = status
                yield self._encoder.host_endpoint_status(key, status)

    def _endpoint(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint | None, found: Status) -> Iterator[bytes]:
        if endpoint is None:
            if self._reported.pop(key, None) is not None:
                yield self._encoder.workload_endpoint_status_remove(key)
            return
        status: Status = "down" if found == "up" and endpoint.state != "active" else found
        if self._reported.get(key) != status:
            self._reported[key] = status
            yield self._encoder.workload_endpoint_status(key, status)
