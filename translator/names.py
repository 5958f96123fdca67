"""Names that several modules must spell alike."""

from __future__ import annotations

from felix_proto.types import WorkloadEndpointID


def endpoint_meaning(endpoint_id: WorkloadEndpointID) -> str:
    """The allocator's meaning of a workload endpoint's number (kind "endpoint")."""
    return "/".join(endpoint_id)


def endpoint_name(endpoint_id: WorkloadEndpointID) -> str:
    """The endpoint's name in messages and lists."""
    return f"WorkloadEndpoint {endpoint_meaning(endpoint_id)}"
