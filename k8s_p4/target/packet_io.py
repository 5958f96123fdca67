"""Frames to and from the controller: the metadata of packet-in and packet-out as header bytes (section 6.4.6, 16.1).

A frame sent to the CPU port starts with the header annotated @controller_header("packet_in"), one that comes from the controller with
"packet_out"; P4Info has their layout as ControllerPacketMetadata. A program without them exchanges bare frames.
"""

from __future__ import annotations

from typing import Any

from k8s_p4.p4rt import p4r
from k8s_p4.target.entries import canonical, read_value
from k8s_p4.target.errors import LoadError, invalid

Layout = tuple[tuple[int, str, int], ...]


class PacketIo:
    """The two layouts, as (metadata id, name, bits)."""

    def __init__(self, p4info: Any) -> None:
        self._layouts: dict[str, Layout] = {}
        for header in p4info.controller_packet_metadata:
            layout = tuple((m.id, m.name, m.bitwidth) for m in header.metadata)
            if sum(bits for _, _, bits in layout) % 8:
                raise LoadError(f"P4Info {header.preamble.name}: not a whole number of bytes")
            self._layouts[header.preamble.name] = layout

    def packet_in(self, frame: bytes) -> Any:
        """The StreamMessageResponse for a frame that the program sent to the CPU port."""
        layout = self._layouts.get("packet_in", ())
        bits = sum(width for _, _, width in layout)
        value, left = int.from_bytes(frame[: bits // 8], "big"), bits
        response = p4r.StreamMessageResponse()
        response.packet.payload = frame[bits // 8 :]
        for number, _, width in layout:
            left -= width
            response.packet.metadata.add(metadata_id=number, value=canonical(value >> left & ((1 << width) - 1)))
        return response

    def packet_out(self, message: Any) -> bytes:
        """The frame for a PacketOut.

        Raises:
            Refused: its metadata is not that of P4Info: INVALID_ARGUMENT, or OUT_OF_RANGE for a value.
        """
        layout = self._layouts.get("packet_out", ())
        given = {m.metadata_id: m.value for m in message.metadata}
        if set(given) != {number for number, _, _ in layout} or len(given) != len(message.metadata):
            raise invalid(f"packet-out: metadata {sorted(given)}, expected {[number for number, _, _ in layout]}")
        value = 0
        for number, name, width in layout:
            value = value << width | read_value(given[number], width, f"packet-out metadata {name}")
        payload: bytes = message.payload
        return value.to_bytes(sum(width for _, _, width in layout) // 8, "big") + payload
