"""Turns protobuf messages into the values of types.py.

A converter is compiled once for each message type, from its descriptor and from the NamedTuple of the same name: it visits only
the fields that are set, and a list of strings becomes a tuple in one step, whatever its length. Where value and message differ in
shape (see types.py), the two tables below say how.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from felix_proto import types as t
from felix_proto.descriptors import is_repeated

Convert: TypeAlias = Callable[[Any], Any]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

# RouteType as numbered up to 3.29 -> the mask of later releases.
_ROUTE_TYPES = (
    t.RouteType.CIDR_INFO,
    t.RouteType.REMOTE_WORKLOAD,
    t.RouteType.REMOTE_HOST,
    t.RouteType.LOCAL_WORKLOAD,
    t.RouteType.LOCAL_HOST,
    t.RouteType.REMOTE_TUNNEL,
    t.RouteType.LOCAL_TUNNEL,
)
# On this field of WorkloadEndpoint 3.30 sends a varint, later releases a message: protobuf calls the varint an unknown field.
_WORKLOAD_TYPE = ("WorkloadEndpoint", 14, 0)
_RECENT = 128
"""Tiers, and ids of policies, that are kept to be shared: those in use, and at most as many that came since."""


class InvalidMessageError(ValueError):
    """A message that is well-formed protobuf, but not what Felix would send."""


def _route_type(number: int) -> int:
    if not 0 <= number < len(_ROUTE_TYPES):
        raise InvalidMessageError(f"RouteUpdate.type is {number}, which no release knows")
    return int(_ROUTE_TYPES[number])


def _icmp_type(number: int) -> t.Icmp:
    return number, None


def _icmp_type_code(message: Any) -> t.Icmp:
    return message.type, message.code


def _protocol(message: Any) -> int | str:
    return message.number if message.WhichOneof("number_or_name") == "number" else message.name  # type: ignore[no-any-return]


def _path(message: Any) -> t.PathMatch:
    match = message.WhichOneof("path_match") or ""
    return t.PathMatch(match, getattr(message, match) if match else "")


def _map(mapping: Any) -> t.StrMap:
    return tuple(sorted(mapping.items()))


# Messages that are represented by what is in them.
_SIMPLE: dict[str, Convert] = {
    "Protocol": _protocol,
    "PathMatch": _path,
    "IcmpTypeAndCode": _icmp_type_code,
    "ProfileID": lambda message: message.name,
    "NamespaceID": lambda message: message.name,
    "HostEndpointID": lambda message: message.endpoint_id,
    "LocalBGPPeer": lambda message: message.bgp_peer_name,
    "RuleMetadata": lambda message: _map(message.annotations),
}
# Fields that fill another field of the value, and how.
_FIELDS: dict[tuple[str, str], tuple[str, Convert]] = {
    ("Rule", "icmp_type"): ("icmp", _icmp_type),
    ("Rule", "icmp_type_code"): ("icmp", _icmp_type_code),
    ("Rule", "not_icmp_type"): ("not_icmp", _icmp_type),
    ("Rule", "not_icmp_type_code"): ("not_icmp", _icmp_type_code),
    ("RouteUpdate", "type"): ("types", _route_type),
}
# Updates with an object inside that gets the update's id as its first field.
_UPDATES_WITH_OBJECT = (
    "ActivePolicyUpdate",
    "ActiveProfileUpdate",
    "WorkloadEndpointUpdate",
    "HostEndpointUpdate",
    "IPAMPoolUpdate",
)


class Converter:
    """Converts messages; one object may convert those of several schemas.

    ``unknown`` collects the fields that the schema does not have; whoever reads it empties it.
    """

    def __init__(self) -> None:
        self.unknown: list[t.UnknownField] = []
        self._compiled: dict[str, Convert] = {}
        self._policy_ids: _Recent[t.PolicyID, t.PolicyID] = _Recent()

    def convert(self, message: Message) -> Any:
        """Return the value of a message. Raises InvalidMessageError if a part is missing that Felix always sends."""
        return self._for(cast(Descriptor, message.DESCRIPTOR))(message)

    def _for(self, descriptor: Descriptor) -> Convert:
        compiled = self._compiled.get(descriptor.full_name)
        if compiled is None:
            compiled = self._compiled[descriptor.full_name] = self._compile(descriptor)
        return compiled

    def _compile(self, descriptor: Descriptor) -> Convert:
        name = descriptor.name
        if name in _SIMPLE:
            return self._compile_simple(_SIMPLE[name])
        compiled = self._compile_tuple(descriptor, getattr(t, name))
        if name in _UPDATES_WITH_OBJECT:
            return _with_id(compiled)
        return self._with_policies(compiled) if name == "TierInfo" else compiled

    def _compile_simple(self, convert: Convert) -> Convert:
        def simple(message: Any) -> Any:
            if len(UnknownFieldSet(message)):
                self._note(message, None)
            return convert(message)

        return simple

    def _compile_tuple(self, descriptor: Descriptor, cls: Any) -> Convert:
        """Return the converter for a message that becomes the NamedTuple ``cls``."""
        name = descriptor.name
        slots = {field.number: self._slot(field, cls) for field in descriptor.fields}
        defaults = [cls._field_defaults.get(field, _default(descriptor, field)) for field in cls._fields]
        required = _required(descriptor, cls)

        def convert(message: Any) -> Any:
            values = defaults.copy()
            for field, value in message.ListFields():
                index, convert_field = slots[field.number]
                values[index] = value if convert_field is None else convert_field(value)
            for index, field_name in required:
                if values[index] is None:
                    raise InvalidMessageError(f"{name} without {field_name}")
            result = cls._make(values)
            return self._note(message, result) if len(UnknownFieldSet(message)) else result

        return convert

    def _slot(self, field: FieldDescriptor, cls: Any) -> tuple[int, Convert | None]:
        """Return where in ``cls`` a field goes, and what turns it into a value (None: nothing to do)."""
        name, convert = _FIELDS.get((cls.__name__, field.name), (field.name, None))
        return cls._fields.index(name), convert or self._field_converter(field)

    def _field_converter(self, field: FieldDescriptor) -> Convert | None:
        if field.message_type is None:
            return tuple if is_repeated(field) else None
        if field.message_type.GetOptions().map_entry:
            return self._map_converter(field.message_type)
        convert = self._for(field.message_type)
        return (lambda messages: tuple(map(convert, messages))) if is_repeated(field) else convert

    def _map_converter(self, entry: Descriptor) -> Convert:
        values = entry.fields_by_name["value"].message_type
        if values is None:
            return _map
        convert = self._for(values)
        return lambda mapping: tuple((key, convert(mapping[key])) for key in sorted(mapping))

    def _with_policies(self, convert: Convert) -> Convert:
        """Return the converter of tiers: endpoints share most of them, so equal bytes give the very same value.

        Both spellings of the policies (PolicyID, and up to 3.31 the name) become PolicyID.
        """
        recent: _Recent[bytes, t.TierInfo] = _Recent()

        def tier(message: Any) -> t.TierInfo:
            key = message.SerializeToString()
            if (known := recent.get(key)) is not None:
                return known
            noted = len(self.unknown)
            value: t.TierInfo = convert(message)
            value = value._replace(
                ingress_policies=tuple(self._policy_id(value.name, policy) for policy in value.ingress_policies),
                egress_policies=tuple(self._policy_id(value.name, policy) for policy in value.egress_policies),
            )
            if len(self.unknown) == noted:  # else the next one has to be noted, too
                recent.put(key, value)
            return value

        return tier

    def _policy_id(self, tier: str, policy: t.PolicyID | str) -> t.PolicyID:
        """Return the id of a policy in a tier's list. What was read with the schema of the wrong releases is found out here."""
        if isinstance(policy, str):
            if not policy.isprintable():
                raise InvalidMessageError(f"TierInfo {tier!r} names a policy {policy!r}")
            policy = t.PolicyID("", "", policy, tier)
        if not policy.name:
            raise InvalidMessageError(f"TierInfo {tier!r} names a policy without a name")
        if (known := self._policy_ids.get(policy)) is None:
            self._policy_ids.put(policy, policy)
        return known or policy

    def _note(self, message: Any, value: Any) -> Any:
        """Record the unknown fields of a message; return its value, with what was among them and is known after all."""
        for field in unknown_fields(message):
            if field[:3] == _WORKLOAD_TYPE:
                value = value._replace(type=field.data)
            else:
                self.unknown.append(field)
        return value


def _with_id(convert: Convert) -> Convert:
    def convert_with_id(message: Any) -> Any:
        update = convert(message)
        key, value = update
        if isinstance(value, t.Policy):
            return update._make((key, value._replace(id=key, tier=value.tier or key.tier)))
        return update._make((key, value._make((key, *value[1:]))))

    return convert_with_id


def _default(descriptor: Descriptor, name: str) -> object:
    """Return proto3's default of a field that the value has no default for; None for a message."""
    field = descriptor.fields_by_name.get(name)
    return None if field is None or field.message_type is not None else field.default_value


def _required(descriptor: Descriptor, cls: Any) -> list[tuple[int, str]]:
    """Return position and name of the fields that are messages and must be there: those that have no default."""
    names = enumerate(cls._fields)
    return [(i, n) for i, n in names if n not in cls._field_defaults and n in descriptor.fields_by_name and _default(descriptor, n) is None]


class _Recent(Generic[_Key, _Value]):
    """A cache of two generations: what was asked for lately is in the younger one, and when that is full, the older one is forgotten.

    Names come and go without end, so that a cache that is merely bounded grows for weeks.
    """

    __slots__ = ("_older", "_younger")

    def __init__(self) -> None:
        self._younger: dict[_Key, _Value] = {}
        self._older: dict[_Key, _Value] = {}

    def get(self, key: _Key) -> _Value | None:
        if (value := self._younger.get(key)) is None and (value := self._older.pop(key, None)) is not None:
            self.put(key, value)
        return value

    def put(self, key: _Key, value: _Value) -> None:
        if len(self._younger) >= _RECENT:
            self._older, self._younger = self._younger, {}
        self._younger[key] = value


def unknown_fields(message: Message) -> list[t.UnknownField]:
    """Return the fields of a message, not of those inside it, that its schema does not have."""
    name = message.DESCRIPTOR.name
    return [t.UnknownField(name, f.field_number, f.wire_type, _raw(f.data)) for f in _listed(UnknownFieldSet(message))]


def _listed(fields: Any) -> list[Any]:
    return list(fields)


def _raw(data: Any) -> object:
    """Return the value of an unknown field; a group becomes a tuple of (number, wire type, value)."""
    if not isinstance(data, int | bytes):
        return tuple((field.field_number, field.wire_type, _raw(field.data)) for field in _listed(data))
    return data
