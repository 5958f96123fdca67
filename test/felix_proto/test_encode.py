"""What the driver writes to Felix is what the schema's own reader understands."""

import io
from typing import Any

import pytest

from felix_proto import felixbackend_pb2 as pb
from felix_proto.encode import Encoder
from felix_proto.framing import iter_frames
from felix_proto.types import WorkloadEndpointID

WEB = WorkloadEndpointID("k8s", "shop/web-1", "eth0")
WIRE_WEB = {"orchestrator_id": "k8s", "workload_id": "shop/web-1", "endpoint_id": "eth0"}


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("process_status", ("2026-01-02T03:04:05Z", 1.5), {"process_status_update": {"iso_timestamp": "2026-01-02T03:04:05Z", "uptime": 1.5}}),
        ("workload_endpoint_status", (WEB, "up"), {"workload_endpoint_status_update": {"id": WIRE_WEB, "status": {"status": "up"}}}),
        ("workload_endpoint_status_remove", (WEB,), {"workload_endpoint_status_remove": {"id": WIRE_WEB}}),
        ("host_endpoint_status", ("eth0", "error"), {"host_endpoint_status_update": {"id": {"endpoint_id": "eth0"}, "status": {"status": "error"}}}),
        ("host_endpoint_status_remove", ("eth0",), {"host_endpoint_status_remove": {"id": {"endpoint_id": "eth0"}}}),
        ("wireguard_status", ("key", 4), {"wireguard_status_update": {"public_key": "key", "ip_version": pb.IPV4}}),
        ("wireguard_status", ("key", 6), {"wireguard_status_update": {"public_key": "key", "ip_version": pb.IPV6}}),
        ("dataplane_in_sync", (), {"dataplane_in_sync": {}}),
    ],
)
def test_each_message(method: str, arguments: tuple[Any, ...], expected: dict[str, Any]) -> None:
    encoder = Encoder()
    frames = [getattr(encoder, method)(*arguments) for _ in range(2)]
    read = [pb.FromDataplane.FromString(frame.payload) for frame in iter_frames(io.BytesIO(b"".join(frames)))]
    assert read == [pb.FromDataplane(sequence_number=number, **expected) for number in (0, 1)]


def test_every_payload_to_felix_can_be_made() -> None:
    kinds = {field.name for field in pb.FromDataplane.DESCRIPTOR.oneofs_by_name["payload"].fields}
    encoder = Encoder()
    frames = [
        encoder.process_status("", 0), encoder.workload_endpoint_status(WEB, "down"), encoder.workload_endpoint_status_remove(WEB),
        encoder.host_endpoint_status("h", "up"), encoder.host_endpoint_status_remove("h"), encoder.wireguard_status("k", 4),
        encoder.dataplane_in_sync(),
    ]  # fmt: skip
    assert {pb.FromDataplane.FromString(frame[8:]).WhichOneof("payload") for frame in frames} == kinds
