"""Builds message classes from serialized file descriptors.

The code that protoc writes for Python refuses any protobuf runtime of another major version. A file descriptor is plain data that
every runtime reads, so the generated modules hold that and nothing else, and one copy of them serves protobuf 5 and all later ones.
The pool is our own: another library in the process may well have registered a package called ``felix``.
"""

from collections.abc import MutableMapping
from typing import Any, cast

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_POOL = descriptor_pool.DescriptorPool()


def load(serialized: bytes, namespace: MutableMapping[str, object]) -> None:
    """Add a serialized FileDescriptorProto to the pool, and its top-level messages and enums to ``namespace``.

    Files that it imports must have been loaded before.
    """
    _POOL.AddSerializedFile(serialized)
    file = _POOL.FindFileByName(FileDescriptorProto.FromString(serialized).name)
    namespace["DESCRIPTOR"] = file
    for name, message in file.message_types_by_name.items():
        namespace[name] = message_factory.GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        namespace[name] = EnumTypeWrapper(enum)
        namespace.update((value.name, value.number) for value in enum.values)


def is_repeated(field: FieldDescriptor) -> bool:
    """Tell whether a field is a list or a map. Protobuf before 6.31 has no name for that but a label, which is on its way out."""
    repeated = getattr(field, "is_repeated", None)
    return cast(Any, field).label == 3 if repeated is None else bool(repeated)  # 3: FieldDescriptorProto.LABEL_REPEATED
