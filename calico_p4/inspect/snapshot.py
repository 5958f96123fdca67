"""A state as the messages of a fresh Felix, and as frames: what a bundle keeps, and what a second opinion starts from."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from datastore.intent import IntentStore
from datastore.kubernetes import Endpoint, EndpointPort, EndpointSlice, KubernetesStore, Node, Service, ServicePort
from felix_proto import felixbackend_pb2 as pb
from felix_proto import types as felix
from felix_proto.framing import encode_frame


def payloads_of(store: IntentStore) -> Iterator[felix.Payload]:
    """Yield messages that make a store the same as this one, in an order that Felix might choose; InSync last, where it was seen."""
    yield felix.ConfigUpdate(tuple(sorted(store.config.items())))
    yield store.encapsulation
    yield store.bgp
    yield from (felix.IPSetUpdate(name, tuple(sorted(known.members)), known.type) for name, known in sorted(store.ip_sets.items()))
    yield from (felix.ActivePolicyUpdate(key, policy) for key, policy in sorted(store.policies.items()))
    yield from (felix.ActiveProfileUpdate(name, profile) for name, profile in sorted(store.profiles.items()))
    yield from (felix.WorkloadEndpointUpdate(key, endpoint) for key, endpoint in sorted(store.endpoints.items()))
    yield from (felix.HostEndpointUpdate(key, endpoint) for key, endpoint in sorted(store.host_endpoints.items()))
    for name, node in sorted(store.host_metadata.items()):
        yield felix.HostMetadataUpdate(name, node.ipv4_addr, node.ipv6_addr, node.asnumber, node.labels)
    yield from (felix.IPAMPoolUpdate(name, pool) for name, pool in sorted(store.pools.items()))
    yield from (known[key] for known in (store.routes, store.vteps, store.services) for key in sorted(known))  # type: ignore[index]
    yield from (felix.ServiceAccountUpdate(key, labels) for key, labels in sorted(store.service_accounts.items()))
    yield from (felix.NamespaceUpdate(name, labels) for name, labels in sorted(store.namespaces.items()))
    for name, guard in sorted(store.wireguard.items()):
        yield from _wireguard(name, guard)
    if store.in_sync:
        yield felix.InSync()


def copy_kubernetes(source: KubernetesStore, target: KubernetesStore) -> None:
    """Tell a store all that another knows of services."""
    target.configured, target.in_sync = source.configured, source.in_sync
    for values in (source.nodes.values(), source.services.values(), source.slices.values()):
        for value in values:
            target.put(value)


def kubernetes_data(store: KubernetesStore) -> dict[str, Any]:
    """Return what a store knows as data that JSON can carry, for `read_kubernetes`."""
    kinds: tuple[Iterable[Any], ...] = (store.nodes.values(), store.services.values(), store.slices.values())
    objects = [[type(value).__name__, value] for values in kinds for value in values]
    return {"configured": store.configured, "in_sync": store.in_sync, "objects": objects}


def read_kubernetes(data: Mapping[str, Any], target: KubernetesStore) -> None:
    """Tell a store what `kubernetes_data` said. Raises KeyError, TypeError or ValueError for what it did not say."""
    target.configured, target.in_sync = data["configured"], data["in_sync"]
    for kind, fields in data["objects"]:
        value: Any = _OBJECTS[kind](*map(_frozen, fields))
        if isinstance(value, Service):
            value = value._replace(ports=tuple(ServicePort(*port) for port in value.ports))
        elif isinstance(value, EndpointSlice):
            ports, endpoints = (EndpointPort(*port) for port in value.ports), (Endpoint(*each) for each in value.endpoints)
            value = value._replace(ports=tuple(ports), endpoints=tuple(endpoints))
        target.put(value)


_OBJECTS: Mapping[str, Any] = {"Node": Node, "Service": Service, "EndpointSlice": EndpointSlice}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _wireguard(name: str, guard: Any) -> Iterator[felix.Payload]:
    if guard.public_key or guard.interface_ipv4_addr:
        yield felix.WireguardEndpointUpdate(name, guard.public_key, guard.interface_ipv4_addr)
    if guard.public_key_v6 or guard.interface_ipv6_addr:
        yield felix.WireguardEndpointV6Update(name, guard.public_key_v6, guard.interface_ipv6_addr)


def stream_of(payloads: Iterable[felix.Payload]) -> bytes:
    """Return messages as a Felix stream of the latest release."""
    return b"".join(encode_frame(_envelope(number, payload)) for number, payload in enumerate(payloads))


@cache
def _field_names() -> dict[str, str]:
    descriptor: Any = pb.ToDataplane.DESCRIPTOR
    return {field.message_type.name: field.name for field in descriptor.oneofs_by_name["payload"].fields}


def _envelope(number: int, payload: felix.Payload) -> bytes:
    envelope = pb.ToDataplane(sequence_number=number)
    part = getattr(envelope, _field_names()[type(payload).__name__])
    part.SetInParent()
    _fill(part, payload)
    return envelope.SerializeToString()


# Messages that hold one string, which the values have in their place; and messages that the values carry their id in, the wire does not.
_ONE_STRING = {"ProfileID": "name", "NamespaceID": "name", "HostEndpointID": "endpoint_id", "LocalBGPPeer": "bgp_peer_name"}
_IDS_OF_THEIR_OWN = frozenset(("Policy", "Profile", "WorkloadEndpoint", "HostEndpoint", "IPAMPool"))


def _fill(message: Any, value: Any) -> None:
    """Set the fields of a message from the value of the same name; what the latest release has no field for is left out."""
    for name, content in zip(value._fields, value, strict=True):
        if name in ("icmp", "not_icmp"):
            _fill_icmp(message, name, content)
        elif name == "id" and message.DESCRIPTOR.name in _IDS_OF_THEIR_OWN:
            continue
        elif name in message.DESCRIPTOR.fields_by_name and content not in ((), None, "", 0, False):
            _set(message, name, content)


def _fill_icmp(message: Any, name: str, content: felix.Icmp | None) -> None:
    if content is None:
        return
    if content[1] is None:
        setattr(message, f"{name}_type", content[0])
    else:
        part = getattr(message, f"{name}_type_code")
        part.type, part.code = content


def _set(message: Any, name: str, content: Any) -> None:
    target, field = getattr(message, name), message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map(target, content)
    elif hasattr(target, "add"):
        for item in content:
            _part(target.add(), item)
    elif hasattr(target, "extend"):
        target.extend(content)
    elif field.message_type is None:
        setattr(message, name, content)
    else:
        _part(target, content)


def _set_map(target: Any, content: Any) -> None:
    for key, item in content:
        if isinstance(item, str):
            target[key] = item
        else:
            _fill(target[key], item)


def _part(message: Any, value: Any) -> None:
    name = message.DESCRIPTOR.name
    message.SetInParent()
    if name == "Protocol":
        setattr(message, "name" if isinstance(value, str) else "number", value)
    elif name in _ONE_STRING:
        setattr(message, _ONE_STRING[name], value)
    elif name == "RuleMetadata":
        _set_map(message.annotations, value)
    elif name == "PathMatch":
        setattr(message, value.match, value.path)
    else:
        _fill(message, value)
