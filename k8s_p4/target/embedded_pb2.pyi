# Generated from embedded.proto by k8s_p4.target.generate: do not edit.
# ruff: noqa
# mypy: disable-error-code="type-arg"
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    SENT: _ClassVar[Outcome]
    DROPPED: _ClassVar[Outcome]
    SHORT_FRAME: _ClassVar[Outcome]
    NO_PORT: _ClassVar[Outcome]
    LOOP: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
SENT: Outcome
DROPPED: Outcome
SHORT_FRAME: Outcome
NO_PORT: Outcome
LOOP: Outcome

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("features",)
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    features: _containers.ScalarMap[str, str]
    def __init__(self, features: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EnsurePortRequest(_message.Message):
    __slots__ = ("name", "bind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    bind: bool
    def __init__(self, name: _Optional[str] = ..., bind: _Optional[bool] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("name", "number", "bound")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    bound: bool
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., bound: _Optional[bool] = ...) -> None: ...

class ListPortsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPortsResponse(_message.Message):
    __slots__ = ("ports",)
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    def __init__(self, ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ...) -> None: ...

class InjectRequest(_message.Message):
    __slots__ = ("port", "frame", "at_seconds", "trace")
    PORT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    AT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    port: int
    frame: bytes
    at_seconds: float
    trace: bool
    def __init__(self, port: _Optional[int] = ..., frame: _Optional[bytes] = ..., at_seconds: _Optional[float] = ..., trace: _Optional[bool] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("port", "frame")
    PORT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    port: int
    frame: bytes
    def __init__(self, port: _Optional[int] = ..., frame: _Optional[bytes] = ...) -> None: ...

class Field(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: bytes
    def __init__(self, name: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class InjectResponse(_message.Message):
    __slots__ = ("outputs", "dropped", "outcome", "metadata", "trace")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    dropped: bool
    outcome: Outcome
    metadata: _containers.ScalarMap[str, bytes]
    trace: _containers.RepeatedCompositeFieldContainer[Lookup]
    def __init__(self, outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., dropped: _Optional[bool] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., metadata: _Optional[_Mapping[str, bytes]] = ..., trace: _Optional[_Iterable[_Union[Lookup, _Mapping]]] = ...) -> None: ...

class Lookup(_message.Message):
    __slots__ = ("table", "key", "hit", "action", "params", "priority")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    HIT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    table: str
    key: _containers.RepeatedCompositeFieldContainer[Field]
    hit: bool
    action: str
    params: _containers.RepeatedCompositeFieldContainer[Field]
    priority: int
    def __init__(self, table: _Optional[str] = ..., key: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., hit: _Optional[bool] = ..., action: _Optional[str] = ..., params: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., priority: _Optional[int] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("queue", "dropped_only")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_ONLY_FIELD_NUMBER: _ClassVar[int]
    queue: int
    dropped_only: bool
    def __init__(self, queue: _Optional[int] = ..., dropped_only: _Optional[bool] = ...) -> None: ...

class Watched(_message.Message):
    __slots__ = ("seconds", "port", "frame", "result", "lost")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    port: int
    frame: bytes
    result: InjectResponse
    lost: int
    def __init__(self, seconds: _Optional[float] = ..., port: _Optional[int] = ..., frame: _Optional[bytes] = ..., result: _Optional[_Union[InjectResponse, _Mapping]] = ..., lost: _Optional[int] = ...) -> None: ...

class SetTimeRequest(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    def __init__(self, seconds: _Optional[float] = ...) -> None: ...

class GetTimeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Time(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    def __init__(self, seconds: _Optional[float] = ...) -> None: ...

class ClearLearnedRequest(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tables: _Optional[_Iterable[str]] = ...) -> None: ...

class ClearLearnedResponse(_message.Message):
    __slots__ = ("cleared",)
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    cleared: int
    def __init__(self, cleared: _Optional[int] = ...) -> None: ...

class ForgetLearnedRequest(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LearnedEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[LearnedEntry, _Mapping]]] = ...) -> None: ...

class ForgetLearnedResponse(_message.Message):
    __slots__ = ("forgotten",)
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    forgotten: int
    def __init__(self, forgotten: _Optional[int] = ...) -> None: ...

class RestoreLearnedRequest(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LearnedEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[LearnedEntry, _Mapping]]] = ...) -> None: ...

class RestoreLearnedResponse(_message.Message):
    __slots__ = ("restored",)
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    restored: int
    def __init__(self, restored: _Optional[int] = ...) -> None: ...

class LearnedCountsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LearnedCountsResponse(_message.Message):
    __slots__ = ("counts", "expired")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ExpiredEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[str, int]
    expired: _containers.ScalarMap[str, int]
    def __init__(self, counts: _Optional[_Mapping[str, int]] = ..., expired: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ListLearnedRequest(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tables: _Optional[_Iterable[str]] = ...) -> None: ...

class LearnedEntry(_message.Message):
    __slots__ = ("table", "key", "action", "params", "expires_in_seconds", "age_seconds")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    table: str
    key: _containers.RepeatedCompositeFieldContainer[Field]
    action: str
    params: _containers.RepeatedCompositeFieldContainer[Field]
    expires_in_seconds: float
    age_seconds: float
    def __init__(self, table: _Optional[str] = ..., key: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., action: _Optional[str] = ..., params: _Optional[_Iterable[_Union[Field, _Mapping]]] = ..., expires_in_seconds: _Optional[float] = ..., age_seconds: _Optional[float] = ...) -> None: ...

class ListLearnedResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LearnedEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[LearnedEntry, _Mapping]]] = ...) -> None: ...
