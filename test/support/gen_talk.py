"""What a packet that was let pass begins: the same again, its answer, an error about it, its end and a new beginning; and what must become of each.

The reference is what docs/design/flows.md and the Felix contract promise: what belongs to a flow passes over policy, but not over what holds for
established flows too (closed endpoints, the source guard, TTL).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

from felix_proto.types import WorkloadEndpointID
from test.support.compare import differences
from test.support.evaluator import HOST, UPLINK, Answer, address_owner, interface_owner, judge
from test.support.frames import SOURCE_MAC, TARGET_MAC, checksum, frame
from test.support.gen_packets import Sent
from test.support.packet import ICMP_OF, PORT_PROTOCOLS, TCP, UDPLITE, Packet, make
from test.support.world import World

FIN_ACK, SYN_ACK = 0x11, 0x12
HOLD = frozenset(("unknown_port", "spoofed", "endpoint_down", "degraded", "ttl"))
"""Reasons that hold for what is established too."""
_REQUESTS, _UNREACHABLE = {4: (8, 0), 6: (128, 129)}, {4: (3, 3), 6: (1, 4)}
_TCP_LENGTH, _FLAGS_AT, _SUM_AT = 36, 13, 16
Place = str | WorkloadEndpointID


class Step(NamedTuple):
    """A frame, by where it enters, and what must become of it."""

    what: str
    frame: bytes
    ingress: str
    wanted: Answer


def steps(world: World, sent: Sent, out: Place) -> Iterator[Step]:
    """What follows a packet that left by ``out``, in order; nothing if no flow is kept of it, or its answers go to somebody else."""
    home, seat = _home(world, sent), _seat(world, out)
    if home is None or seat is None or not _tracked(sent.packet):
        return
    first, back = frame(sent.packet), Sent(_turned(sent.packet), seat)
    yield Step("the same again", first, sent.ingress, _goes_on(world, sent, out))
    yield Step("its answer", _flagged(frame(back.packet), back.packet, SYN_ACK), seat, _goes_on(world, back, home))
    if sent.packet.version == 4 or not sent.packet.options:
        error = Sent(make(sent.packet.version, ICMP_OF[sent.packet.version], sent.packet.dst, sent.packet.src, icmp=_UNREACHABLE[sent.packet.version]), seat)
        yield Step("an error about it", _error(error.packet, first), seat, _goes_on(world, error, home, "related"))
    if sent.packet.proto == TCP:
        yield Step("its end", _flagged(first, sent.packet, FIN_ACK), sent.ingress, _goes_on(world, sent, out))
        yield Step("a late answer", _flagged(frame(back.packet), back.packet, FIN_ACK), seat, _goes_on(world, back, home))
        yield Step("opened anew by who answered", frame(back.packet), seat, judge(world, *back))
        yield Step("opened anew", first, sent.ingress, judge(world, *sent))


def step_differences(step: Step, answered: Mapping[str, Any], world: World) -> list[str]:
    """How the answer to a step differs from what is wanted."""
    return [f"{step.what}: {each}" for each in differences(step.wanted, answered, world)]


def _goes_on(world: World, sent: Sent, out: Place, reason: str = "established") -> Answer:
    judged = judge(world, *sent)
    hold = judged.reasons & HOLD
    return Answer("deny", min(hold), reasons=hold) if hold else Answer("allow", reason, out, reasons=frozenset((reason,)))


def _tracked(packet: Packet) -> bool:
    if packet.fragment:
        return False
    return packet.proto in PORT_PROTOCOLS - {UDPLITE} or (packet.proto == ICMP_OF[packet.version] and packet.icmp_type == _REQUESTS[packet.version][0])


def _turned(packet: Packet) -> Packet:
    icmp = (_REQUESTS[packet.version][1], 0)
    return make(packet.version, packet.proto, packet.dst, packet.src, sport=packet.dport or 0, dport=packet.sport or 0, icmp=icmp)


def _home(world: World, sent: Sent) -> Place | None:
    """Where answers go, if that is where the packet came from."""
    owner = address_owner(world, sent.packet.src)
    if owner is not None:
        return owner.id if owner.name == sent.ingress and interface_owner(world, owner.name) is owner else None
    expected = HOST if sent.packet.src in world.node_addresses() else UPLINK
    return expected if sent.ingress == expected else None


def _seat(world: World, out: Place) -> str | None:
    return world.endpoints[out].name if isinstance(out, WorkloadEndpointID) else out


def _flagged(data: bytes, packet: Packet, flags: int) -> bytes:
    """A TCP segment with other flags than the opening one's; anything else as it is."""
    if packet.proto != TCP:
        return data
    at = len(data) - _TCP_LENGTH
    segment = bytearray(data[at:])
    (old,), (check,) = struct.unpack_from(">H", segment, _FLAGS_AT - 1), struct.unpack_from(">H", segment, _SUM_AT)
    segment[_FLAGS_AT] = flags
    (new,) = struct.unpack_from(">H", segment, _FLAGS_AT - 1)
    total = (~check & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into(">H", segment, _SUM_AT, ~(total + (total >> 16)) & 0xFFFF)
    return data[:at] + bytes(segment)


def _error(packet: Packet, about: bytes) -> bytes:
    """The frame of an ICMP error that quotes a frame's packet."""
    assert packet.icmp_type is not None and packet.icmp_code is not None
    src, dst = ip_address(packet.src).packed, ip_address(packet.dst).packed
    quote, start = about[14:], struct.pack(">BB", packet.icmp_type, packet.icmp_code)
    length = 8 + len(quote)
    covered = src + dst + struct.pack(">II", length, packet.proto) if packet.version == 6 else b""
    body = start + struct.pack(">HI", checksum(covered + start + bytes(6) + quote), 0) + quote
    if packet.version == 6:
        return TARGET_MAC + SOURCE_MAC + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, length, packet.proto, packet.ttl) + src + dst + body
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, 1, 0, packet.ttl, packet.proto)
    return TARGET_MAC + SOURCE_MAC + b"\x08\x00" + head + struct.pack(">H", checksum(head + bytes(2) + src + dst)) + src + dst + body
