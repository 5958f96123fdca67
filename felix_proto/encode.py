"""Encodes what a driver tells Felix, as frames for file descriptor 4 (FromDataplane; contract 1.4)."""

from typing import Any, Literal, TypeAlias

from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import encode_frame
from felix_proto.types import WorkloadEndpointID

Status: TypeAlias = Literal["up", "down", "error"]
"""State of an endpoint; "error" is for host endpoints that match no interface."""


class Encoder:
    """Encodes messages to Felix, numbering them from 0; every method returns a frame, length included."""

    def __init__(self) -> None:
        self._sequence_number = 0

    def process_status(self, iso_timestamp: str, uptime: float) -> bytes:
        """A sign of life: the time in RFC 3339 and UTC, and the seconds since the start. To be sent every ReportingIntervalSecs."""
        return self._frame(process_status_update=pb.ProcessStatusUpdate(iso_timestamp=iso_timestamp, uptime=uptime))

    def workload_endpoint_status(self, id: WorkloadEndpointID, status: Status) -> bytes:
        """State of a workload endpoint.

        The message's third field, the endpoint itself, stays empty: only Felix's reporter to files looks at it, which with an external
        driver never becomes in sync and so writes none (contract 1.4).
        """
        return self._frame(
            workload_endpoint_status_update=pb.WorkloadEndpointStatusUpdate(
                id=_workload_endpoint_id(id), status=pb.EndpointStatus(status=status)
            )
        )

    def workload_endpoint_status_remove(self, id: WorkloadEndpointID) -> bytes:
        """A workload endpoint is gone."""
        return self._frame(workload_endpoint_status_remove=pb.WorkloadEndpointStatusRemove(id=_workload_endpoint_id(id)))

    def host_endpoint_status(self, id: str, status: Status) -> bytes:
        """State of a host endpoint."""
        message = pb.HostEndpointStatusUpdate(id=pb.HostEndpointID(endpoint_id=id), status=pb.EndpointStatus(status=status))
        return self._frame(host_endpoint_status_update=message)

    def host_endpoint_status_remove(self, id: str) -> bytes:
        """A host endpoint is gone."""
        return self._frame(host_endpoint_status_remove=pb.HostEndpointStatusRemove(id=pb.HostEndpointID(endpoint_id=id)))

    def wireguard_status(self, public_key: str, ip_version: Literal[4, 6]) -> bytes:
        """This node's WireGuard key of a family; Felix publishes it."""
        version = pb.IPV4 if ip_version == 4 else pb.IPV6
        return self._frame(wireguard_status_update=pb.WireguardStatusUpdate(public_key=public_key, ip_version=version))

    def dataplane_in_sync(self) -> bytes:
        """All up to InSync has been applied. Felix up to 3.34 logs two warnings at it and does nothing else."""
        return self._frame(dataplane_in_sync=pb.DataplaneInSync())

    def _frame(self, **payload: Any) -> bytes:
        message = pb.FromDataplane(sequence_number=self._sequence_number, **payload)
        self._sequence_number += 1
        return encode_frame(message.SerializeToString())


def _workload_endpoint_id(id: WorkloadEndpointID) -> pb.WorkloadEndpointID:
    return pb.WorkloadEndpointID(orchestrator_id=id.orchestrator_id, workload_id=id.workload_id, endpoint_id=id.endpoint_id)
