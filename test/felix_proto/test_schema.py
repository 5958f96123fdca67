"""The .proto files say what the wire schema says, the generated modules what the .proto files say, the values all of it."""

import importlib.util
import json
import typing
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from felix_proto import felixbackend_legacy_pb2 as legacy
from felix_proto import felixbackend_pb2 as pb
from felix_proto import generate, types
from felix_proto.descriptors import is_repeated
from test.support.shared import needs_shared, shared_path

_SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_DOUBLE: "double",
}


def messages(file: typing.Any) -> dict[str, Descriptor]:
    """Return the messages of a file by their name without package, "Outer.Inner" where nested."""
    found = {}
    todo = list(file.message_types_by_name.values())
    while todo:
        message = todo.pop()
        if not message.GetOptions().map_entry:
            found[message.full_name.removeprefix(file.package + ".")] = message
            todo += message.nested_types
    return found


def type_name(field: FieldDescriptor) -> str:
    """Return a field's type as the wire schema spells it."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (type_name(field.message_type.fields_by_name[name]) for name in ("key", "value"))
        return f"map<{key},{value}>"
    element = field.message_type or field.enum_type
    name = element.name if element is not None else _SCALARS[field.type]
    return f"repeated {name}" if is_repeated(field) else name


# What the .proto files say differently, and why.
_KNOWN_DIFFERENCES = {
    ("RouteUpdate", "type", "RouteType"): "RouteTypeUpTo329",  # one enum can't have both numberings
    ("ServiceUpdate", "cluster_ip", "string"): None,  # the same bytes as cluster_ips
    ("WorkloadEndpoint", "type", "WorkloadType"): None,  # number taken by skip_redir; read from the unknown fields
}


@needs_shared
def test_every_field_of_the_wire_schema_is_declared() -> None:
    schema = json.loads(shared_path("felix", "wire_schema.json").read_text())["messages"]
    current, old = messages(pb.DESCRIPTOR), messages(legacy.DESCRIPTOR)
    for name, fields in schema.items():
        for field in fields:
            wanted = _KNOWN_DIFFERENCES.get((name, field["name"], field["type"]), field["type"])
            if wanted is None:
                continue
            declared = [m[name].fields_by_name.get(field["name"]) for m in (current, old) if name in m]
            found = {(d.number, type_name(d), d.containing_oneof.name if d.containing_oneof else None) for d in declared if d}
            assert (field["number"], wanted, field.get("oneof")) in found, (name, field)
    assert set(current) == set(schema)
    assert sum(len(m.fields) for m in current.values()) == sum(len(fields) for fields in schema.values()) - 4  # and nothing else


@needs_shared
def test_every_number_of_the_wire_schemas_enums_is_declared() -> None:
    enums = json.loads(shared_path("felix", "wire_schema.json").read_text())["enums"]
    for name, values in enums.items():
        declared = {value for enum in _enums(name.split(".")[-1]) for value in enum}
        assert {tuple(value.split("=")) for value in values} <= declared, name


def _enums(name: str) -> typing.Iterator[set[tuple[str, str]]]:
    for enum in [*pb.DESCRIPTOR.enum_types_by_name.values(), pb.IPSetUpdate.DESCRIPTOR.enum_types_by_name["IPSetType"]]:
        if enum.name in (name, name + "UpTo329"):
            yield {(value.name.removeprefix("UP_TO_329_"), str(value.number)) for value in enum.values}


def test_legacy_differs_in_the_lists_of_policies_alone() -> None:
    current, old = messages(pb.DESCRIPTOR), messages(legacy.DESCRIPTOR)
    for name, message in old.items():
        for field in message.fields:
            twin = current[name].fields_by_name[field.name]
            same = (field.number, type_name(field)) == (twin.number, type_name(twin))
            assert same != (field.name in ("ingress_policies", "egress_policies")), (name, field.name)
    assert {f.name for f in old["ToDataplane"].fields} == {f.name for f in current["ToDataplane"].fields}


def test_every_payload_has_a_value_type_of_its_own() -> None:
    payload = pb.ToDataplane.DESCRIPTOR.oneofs_by_name["payload"]
    assert {field.message_type.name for field in payload.fields} | {"Unknown"} == {t.__name__ for t in typing.get_args(types.Payload)}
    assert len(payload.fields) == 37


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools, which brings protoc, is not installed")
def test_generated_modules_are_up_to_date() -> None:
    for name, text in generate.generate().items():
        committed = Path(generate.ROOT, name).read_text()
        if name.endswith(".py"):
            assert committed == text, f"{name}: run python -m felix_proto.generate"
        else:  # each version of protoc writes stubs in its own way; what they declare is what counts
            assert _declared(committed) == _declared(text), f"{name}: run python -m felix_proto.generate"


def _declared(stub: str) -> set[str]:
    return {line.strip().split("(")[0].rstrip(":") for line in stub.splitlines() if line.strip().startswith("class ")} | {
        line.strip().split(" =")[0] for line in stub.splitlines() if ": int" in line or ": str" in line or ": _containers" in line
    }


def test_package_name_is_felix_own_and_pool_is_private() -> None:
    from google.protobuf import descriptor_pool

    assert pb.DESCRIPTOR.package == "felix"
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("felix.ToDataplane")
