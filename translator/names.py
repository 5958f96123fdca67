"""Names that several modules must spell alike."""

from __future__ import annotations

from felix_proto.types import WorkloadEndpointID

EndpointKey = WorkloadEndpointID | str
"""A workload endpoint's id, or a host endpoint's, which is one string."""
HOST = "host:"
ALL_INTERFACES = "*"
"""HostEndpoint.name of one that stands for all interfaces."""


def endpoint_meaning(endpoint_id: EndpointKey) -> str:
    """The allocator's meaning of an endpoint's number (kind "endpoint")."""
    return f"{HOST}{endpoint_id}" if isinstance(endpoint_id, str) else "/".join(endpoint_id)


def host_endpoint_name(endpoint_id: str) -> str:
    """The host endpoint's name in messages and lists."""
    return f"HostEndpoint {endpoint_id}"


def object_name(meaning: str | None) -> str:
    """The object behind an endpoint's meaning, as in messages and lists."""
    if meaning is not None and meaning.startswith(HOST):
        return host_endpoint_name(meaning.removeprefix(HOST))
    return f"WorkloadEndpoint {meaning}"


def endpoint_name(endpoint_id: WorkloadEndpointID) -> str:
    """The endpoint's name in messages and lists."""
    return f"WorkloadEndpoint {endpoint_meaning(endpoint_id)}"
