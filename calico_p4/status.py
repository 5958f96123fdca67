"""What Felix is told: signs of life, and the state of every workload and host endpoint once its rows are confirmed."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from felix_proto.encode import Encoder, Status
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID

FIRST_HEARTBEAT_S = 10.0
HEARTBEAT_S = 30.0
"""Felix's own driver sends its first after 10 s, then every ReportingIntervalSecs (contract.md 1.4)."""


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
        broken: set[WorkloadEndpointID],
    ) -> Iterator[bytes]:
        """Yield what has to be told: of the endpoints that changed, and of those that broke or were mended since.

        ``broken`` are those that are closed although they should not be, or whose rows are not on the target.
        """
        doubtful = {key for key, status in self._reported.items() if status == "error"}
        for key in sorted({*changed, *broken, *doubtful}):
            yield from self._endpoint(key, endpoints.get(key), key in broken)

    def host_endpoints(self, endpoints: Iterable[str], broken: set[str]) -> Iterator[bytes]:
        """Yield what has to be told of the node's host endpoints; ``broken`` are those without an interface, or whose policy is not
        on the target."""
        wanted: dict[str, Status] = {key: "error" if key in broken else "up" for key in endpoints}
        for key in sorted(self._reported_hosts.keys() - wanted.keys()):
            del self._reported_hosts[key]
            yield self._encoder.host_endpoint_status_remove(key)
        for key, status in sorted(wanted.items()):
            if self._reported_hosts.get(key) != status:
                self._reported_hosts[key] = status
                yield self._encoder.host_endpoint_status(key, status)

    def _endpoint(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint | None, broken: bool) -> Iterator[bytes]:
        if endpoint is None:
            if self._reported.pop(key, None) is not None:
                yield self._encoder.workload_endpoint_status_remove(key)
            return
        status: Status = "error" if broken else "up" if endpoint.state == "active" else "down"
        if self._reported.get(key) != status:
            self._reported[key] = status
            yield self._encoder.workload_endpoint_status(key, status)
