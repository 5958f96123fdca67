"""Services: ``get services`` and ``describe service``. Felix names them; what leads where is known from Kubernetes only."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from calico_p4.inspect.difference import plain
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.suggest import unknown
from datastore.kubernetes import Endpoint, Service, ServiceKey
from felix_proto.types import ServiceID
from translator.addresses import parse_address, text
from translator.buckets import buckets
from translator.service_choice import Backend
from translator.service_entries import CHECK_SOURCE, DROP, MASQUERADE_HOST, MASQUERADE_OUTSIDE, MASQUERADE_WORKLOAD, Entry
from translator.services import Plan

Item = dict[str, Any]
_MASQUERADED = ((MASQUERADE_WORKLOAD, "workloads"), (MASQUERADE_HOST, "the node"), (MASQUERADE_OUTSIDE, "the network"))


def services(scene: Scene) -> Iterator[Item]:
    """Yield every service that Felix or Kubernetes tells of, sorted."""
    states = {entry.object: entry for entry in scene.driver.degraded()}
    of_felix: set[ServiceKey] = {(key.namespace, key.name) for key in scene.store.services}
    for key in sorted({*of_felix, *scene.store.kubernetes.services}):
        known = scene.store.kubernetes.services.get(key)
        item = _of_felix(scene, key) if known is None else _of_kubernetes(known)
        yield item | _state(scene, key, known, states.get(f"Service {'/'.join(key)}"))


def _of_felix(scene: Scene, key: ServiceKey) -> Item:
    service = scene.store.services[ServiceID(*key)]
    ports = [f"{port.Port}/{port.Protocol}" + (f":{port.NodePort}" if port.NodePort else "") for port in service.ports]
    return {"namespace": key[0], "name": key[1], "type": service.type, "cluster_ips": list(service.cluster_ips), "ports": ports,
            "external_ips": list(service.external_ips)}  # fmt: skip


def _of_kubernetes(service: Service) -> Item:
    ports = [f"{port.port}/{port.protocol}" + (f":{port.node_port}" if port.node_port else "") for port in service.ports]
    return {"namespace": service.namespace, "name": service.name, "type": service.type, "cluster_ips": list(service.cluster_ips) or ["None"],
            "ports": ports, "external_ips": [*service.external_ips, *service.vips]}  # fmt: skip


def _state(scene: Scene, key: ServiceKey, known: Service | None, degraded: Any) -> Item:
    plans = scene.translator.services.plans_of(key)
    serving = {backend for plan in plans for backend in plan.choice.cluster}
    state = "Realized" if serving else "No endpoints"
    if not scene.store.kubernetes.configured:
        state = "Not configured"
    elif known is None:
        state = "Unknown to Kubernetes"
    elif not known.ours:
        state = "Left alone"
    elif degraded is not None:
        state = f"Degraded ({degraded.effect})"
    return {"backends": len(serving), "entries": len(list(scene.translator.services.rows_of(key))), "state": state}


def describe_service(scene: Scene, name: str) -> tuple[Iterator[str], Any]:
    """Return lines and the object. ``name`` is NAMESPACE/NAME, or the name where that is clear. Raises Unknown."""
    known = scene.store.kubernetes.services
    found = [key for key in known if name in ("/".join(key), key[1])]
    if len(found) != 1:
        raise unknown("service", name, ["/".join(key) for key in known])
    return _lines(scene, found[0]), plain(known[found[0]])


def _lines(scene: Scene, key: ServiceKey) -> Iterator[str]:
    service = scene.store.kubernetes.services[key]
    item = next(item for item in services(scene) if (item["namespace"], item["name"]) == key)
    yield f"Name:       {'/'.join(key)}"
    yield f"Type:       {service.type}"
    yield f"State:      {item['state']}"
    yield f"Policy:     internal {_policy(service.internal_local)}, external {_policy(service.external_local)}"
    yield f"Affinity:   {f'client address, {service.affinity_s} s' if service.affinity_s else 'none'}"
    if service.source_ranges:
        yield f"Sources:    {', '.join(service.source_ranges)}"
    if service.health_port:
        yield f"Health:     port {service.health_port}"
    for entry in scene.driver.degraded():
        if entry.object == f"Service {'/'.join(key)}":
            yield f"Degraded:   {entry.reason}"
    for plan in scene.translator.services.plans_of(key):
        yield from _port_lines(scene, service, plan)
    counts = Counter(table for table, row in scene.translator.services.rows_of(key) if row in scene.rows(table))
    yield "Entries:"
    yield from (f"  {table}: {number}" for table, number in sorted(counts.items()))


def _policy(local: bool) -> str:
    return "Local" if local else "Cluster"


def _port_lines(scene: Scene, service: Service, plan: Plan) -> Iterator[str]:
    yield f"Port {plan.port.name or plan.port.port}, {plan.port.protocol} over {'IPv6' if plan.v6 else 'IPv4'}:"
    for entry in plan.entries:
        yield f"  {entry.kind} {_address(entry.address)} port {entry.port}: {_serving(entry)}"
    shares = {scope: Counter(buckets(backends)) for scope, backends in plan.groups.items()}
    for backend, endpoint in _endpoints(scene, service, plan):
        places = [f"{shares[scope][backend]} of {sum(shares[scope].values())} buckets ({scope})" for scope in shares if shares[scope][backend]]
        here = "this node" if endpoint.node == scene.store.config.get("FelixHostname") else endpoint.node or "no node"
        yield f"  {_address(backend.address)} port {backend.port}, {here}, {_condition(endpoint)}: {', '.join(places) or 'gets nothing'}"


def _serving(entry: Entry) -> str:
    none = "dropped" if entry.flags & DROP else "rejected"
    inside, outside = entry.inside or none, entry.outside or none
    words = inside if inside == outside else f"from inside {inside}, from outside {outside}"
    masqueraded = [name for flag, name in _MASQUERADED if entry.flags & flag]
    words += f"; masqueraded from {', '.join(masqueraded)}" if masqueraded else ""
    return words + ("; source ranges" if entry.flags & CHECK_SOURCE else "")


def _endpoints(scene: Scene, service: Service, plan: Plan) -> Iterator[tuple[Backend, Endpoint]]:
    found = {}
    for each in scene.store.kubernetes.slices_of((service.namespace, service.name)):
        numbers = [port.port for port in each.ports if (port.name, port.protocol) == (plan.port.name, plan.port.protocol)]
        if each.is_v6 == plan.v6:
            found.update({Backend(parse_address(endpoint.address), number): endpoint for endpoint in each.endpoints for number in numbers})
    yield from sorted(found.items())


def _condition(endpoint: Endpoint) -> str:
    if endpoint.ready:
        return "ready"
    leaving = "terminating" if endpoint.terminating else "not ready"
    return f"{leaving}, serving" if endpoint.serving else leaving


def _address(place: int) -> str:
    return text(place).partition("/")[0]
