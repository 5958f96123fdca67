"""Decodes frames into the values of types.py, whatever the release of Felix that wrote them (3.26 to 3.34).

Two schemas are needed: up to 3.31 a tier lists its policies by name where later releases have a PolicyID (felixbackend_legacy.proto).
Which one a frame follows is told by the frame itself: read with the other it fails, or yields policies without a name. The schema
that fitted last is tried first.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message as ProtobufMessage

from felix_proto import felixbackend_legacy_pb2, felixbackend_pb2
from felix_proto.convert import Converter, InvalidMessageError, unknown_fields
from felix_proto.framing import HEADER_LENGTH, Frame
from felix_proto.generation import NEWEST, OLDEST, Generation
from felix_proto.locate import locate
from felix_proto.types import (
    HostEndpoint,
    HostEndpointUpdate,
    Message,
    Payload,
    Unknown,
    UnknownField,
    WorkloadEndpoint,
    WorkloadEndpointUpdate,
)

_CURRENT: type[ProtobufMessage] = felixbackend_pb2.ToDataplane
_LEGACY: type[ProtobufMessage] = felixbackend_legacy_pb2.ToDataplane

_Range: TypeAlias = tuple[int, int]
_ANY = (OLDEST, NEWEST)
_ENVELOPE = "ToDataplane"
KINDS = 1000
"""How many different unknown fields are told apart."""
K = TypeVar("K")


class DecodeError(ValueError):
    """A frame that is no message of Felix's. ``offset``: the byte of the stream at which that shows; ``frame``: the frame's index."""

    def __init__(self, frame: int, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}, frame {frame}: {reason}")
        self.frame = frame
        self.offset = offset
        self.reason = reason


class Decoder:
    """Decodes the frames of one stream, in order.

    ``unknown_messages`` counts payloads that the schema does not have by field number, ``unknown_fields`` other fields by message
    name and field number. Beyond ``KINDS`` different ones, all others are counted under number 0: a bad stream makes them up.
    """

    def __init__(self) -> None:
        self.unknown_messages: Counter[int] = Counter()
        self.unknown_fields: Counter[tuple[str, int]] = Counter()
        self._generation = Generation()
        self._converter = Converter()

    @property
    def generation(self) -> str:
        """The release whose shapes the stream has, as far as seen, e.g. "3.34"; the newest if it could be of several."""
        return str(self._generation)

    def decode(self, frame: Frame) -> Message:
        """Decode a frame. Raises DecodeError, after which the next frame can be decoded as if this one had not been."""
        schemas = (_LEGACY, _CURRENT) if self._generation.legacy else (_CURRENT, _LEGACY)
        failure: Exception | None = None
        for schema in schemas:
            try:
                return self._decode(frame, schema)
            except (ProtobufDecodeError, ValueError) as error:
                self._converter.unknown.clear()
                failure = failure or error
        raise _decode_error(frame, schemas[0], failure)

    def _decode(self, frame: Frame, schema: type[ProtobufMessage]) -> Message:
        envelope: Any = schema.FromString(frame.payload)
        kind = envelope.WhichOneof("payload")
        if kind is None:
            return self._unknown(frame, envelope)
        message = getattr(envelope, kind)
        payload = self._converter.convert(message)
        self._observe(kind, message, payload, schema)
        return Message(frame.index, envelope.sequence_number, cast(Payload, payload), self._take_unknown_fields(envelope))

    def _unknown(self, frame: Frame, envelope: Any) -> Message:
        fields = unknown_fields(envelope)
        number = fields[0].number if fields else 0
        _count(self.unknown_messages, number, 0)
        return Message(frame.index, envelope.sequence_number, Unknown(number, frame.payload))

    def _take_unknown_fields(self, envelope: Any) -> tuple[UnknownField, ...]:
        """Return the unknown fields of the frame just converted, and count them."""
        unknown = self._converter.unknown
        unknown += unknown_fields(envelope)
        if not unknown:
            return ()
        for field in unknown:
            _count(self.unknown_fields, (field.message, field.number), (field.message, 0))
        fields = tuple(unknown)
        unknown.clear()
        return fields

    def _observe(self, kind: str, message: Any, payload: Payload, schema: type[ProtobufMessage]) -> None:
        """Note what a message tells about the release that wrote it."""
        if kind == "config_update":
            self._generation.claim(message.config.get("CalicoVersion", ""))
        elif (evidence := _EVIDENCE.get(kind)) is not None:
            self._generation.narrow(*evidence(message))
        elif schema is _LEGACY and isinstance(payload, WorkloadEndpointUpdate | HostEndpointUpdate) and _names_policies(payload.endpoint):
            self._generation.narrow(high=31)


def _count(counts: Counter[K], key: K, others: K) -> None:
    counts[key if key in counts or len(counts) < KINDS else others] += 1


def _of_policy(message: Any) -> _Range:
    if message.id.tier:
        return OLDEST, 31
    return (32, NEWEST) if message.id.kind else _ANY


def _of_route(message: Any) -> _Range:
    if message.type:
        return OLDEST, 29
    return (30, NEWEST) if message.types else _ANY


def _of_host(message: Any) -> _Range:
    if "/" in message.ipv4_addr or message.ipv6_addr or message.asnumber or message.labels:
        return 33, NEWEST
    return (OLDEST, 32) if message.ipv4_addr else _ANY


def _up_to_3_32(_message: Any) -> _Range:
    return OLDEST, 32


_EVIDENCE: dict[str, Callable[[Any], _Range]] = {
    "active_policy_update": _of_policy,
    "route_update": _of_route,
    "host_metadata_update": _of_host,
    "host_metadata_v6_update": _up_to_3_32,
    "host_metadata_v6_remove": _up_to_3_32,
    "host_metadata_v4v6_update": _up_to_3_32,
    "host_metadata_v4v6_remove": _up_to_3_32,
}


def _names_policies(endpoint: WorkloadEndpoint | HostEndpoint) -> bool:
    tiers = endpoint.tiers
    if isinstance(endpoint, HostEndpoint):
        tiers += endpoint.untracked_tiers + endpoint.pre_dnat_tiers + endpoint.forward_tiers
    return any(tier.ingress_policies or tier.egress_policies for tier in tiers)


def _decode_error(frame: Frame, schema: type[ProtobufMessage], failure: Exception | None) -> DecodeError:
    """Return the error for a frame that no schema fits, from how the likelier one failed."""
    start = frame.offset + HEADER_LENGTH
    if isinstance(failure, InvalidMessageError):
        return DecodeError(frame.index, start, str(failure))
    if fault := locate(frame.payload, cast(Descriptor, schema.DESCRIPTOR)):
        return DecodeError(frame.index, start + fault.offset, f"{fault.field}: {fault.reason}")
    return DecodeError(frame.index, start, f"not a {_ENVELOPE} message")
