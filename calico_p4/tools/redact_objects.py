"""What stands beside a stream, redacted with it: the ports of a ports file and the objects of Kubernetes.

Each function is to be called twice, as the messages are: once while the `Redactor` collects names, and once when they are settled.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from calico_p4.tools.redact import Redactor
from datastore.kubernetes import EndpointSlice, KubernetesStore, Node, Service, ServicePort


def ports(redactor: Redactor, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ports of a ports file (schema ``ports``). Devices of the node keep their names, as in host endpoints."""
    return [_port(redactor, item) for item in items]


def _port(redactor: Redactor, item: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(item)
    if item["kind"] == "workload":
        changed["name"] = redactor.interface(item["name"])
    changed |= {field: redactor.names.mac(item[field]) for field in ("mac", "own_mac") if field in item}
    if "addresses" in item:
        changed["addresses"] = [redactor.addresses.text(address) for address in item["addresses"]]
    if "neighbours" in item:
        changed["neighbours"] = {redactor.addresses.text(address): redactor.names.mac(mac) for address, mac in item["neighbours"].items()}
    return changed


def kubernetes(redactor: Redactor, source: KubernetesStore) -> KubernetesStore:
    """Return the objects of a store in a new one. Which backend a flow is hashed to may be another, for its addresses are others."""
    target = KubernetesStore()
    target.configured, target.in_sync = source.configured, source.in_sync
    for service in _services(redactor, source):
        target.put(service)
    for node in source.nodes.values():
        target.put(_node(redactor, node))
    for each in source.slices.values():
        target.put(_slice(redactor, each))
    return target


def _services(redactor: Redactor, source: KubernetesStore) -> Iterator[Service]:
    """Of two services with one address the older owns it, then the lower name: their times become others in just that order."""
    order = sorted(source.services.values(), key=lambda each: (each.created or "~", each.namespace, each.name))
    for place, service in enumerate(order):
        yield _service(redactor, service, datetime.fromtimestamp(place, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _service(redactor: Redactor, service: Service, created: str) -> Service:
    ports = tuple(ServicePort(_port_name(redactor, port.name), *port[1:]) for port in service.ports)
    return service._replace(
        namespace=redactor.namespace(service.namespace),
        name=redactor.named("service")(service.name),
        created=created,
        cluster_ips=tuple(map(redactor.cidr, service.cluster_ips)),
        external_ips=tuple(map(redactor.cidr, service.external_ips)),
        vips=tuple(map(redactor.cidr, service.vips)),
        ports=ports,
        source_ranges=tuple(map(redactor.cidr, service.source_ranges)),
    )


def _slice(redactor: Redactor, each: EndpointSlice) -> EndpointSlice:
    ports = tuple(port._replace(name=_port_name(redactor, port.name)) for port in each.ports)
    endpoints = tuple(
        endpoint._replace(
            address=redactor.cidr(endpoint.address),
            node=redactor.host(endpoint.node),
            zones=tuple(map(redactor.value, endpoint.zones)),
            nodes=tuple(map(redactor.host, endpoint.nodes)),
        )
        for endpoint in each.endpoints
    )
    service = redactor.named("service")(each.service)
    return EndpointSlice(redactor.namespace(each.namespace), redactor.names.get("slice", each.name), service, each.is_v6, ports, endpoints)


def _node(redactor: Redactor, node: Node) -> Node:
    return Node(redactor.host(node.name), redactor.value(node.zone), tuple(map(redactor.cidr, node.addresses)))


def _port_name(redactor: Redactor, name: str) -> str:
    return redactor.names.get("port", name)
