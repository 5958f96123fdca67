"""Kubernetes objects, as JSON has them, read into the values of `kubernetes`: only what load balancing depends on.

Fields as in the Kubernetes API reference, core/v1 and discovery.k8s.io/v1. Defaults that the API server fills in are assumed
where a field is absent, so that objects written by hand work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from datastore.kubernetes import (
    DEFAULT_AFFINITY_S,
    HEADLESS,
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Node,
    ObjectKey,
    Service,
    ServicePort,
    Value,
)

T = TypeVar("T")
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SERVICE_NAME = "kubernetes.io/service-name"
ZONE = "topology.kubernetes.io/zone"
_MISSING = object()


class ObjectError(ValueError):
    """An object that can't be read; ``str()`` is "FIELD: reason", the field as a path from the object."""


class Place:
    """A value in an object, and the path that leads there."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        self.value, self.path = value, path

    def error(self, reason: str) -> ObjectError:
        """Return what is wrong here."""
        return ObjectError(f"{self.path or 'object'}: {reason}")

    def at(self, name: str) -> Place:
        """Return a member of this object; its value is None where there is none."""
        if self.value is not None and not isinstance(self.value, Mapping):
            raise self.error(f"an object is expected, not {_shown(self.value)}")
        return Place((self.value or {}).get(name), f"{self.path}.{name}" if self.path else name)

    def items(self) -> list[Place]:
        """Return the members of this list; absent is empty."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.error(f"a list is expected, not {_shown(self.value)}")
        return [Place(item, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def _typed(self, kind: type[T], words: str, default: Any) -> T:
        if self.value is None and default is not _MISSING:
            value: T = default
            return value
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            raise self.error(f"{words} is expected, not {_shown(self.value)}" if self.value is not None else "missing")
        return self.value

    def text(self, default: Any = _MISSING) -> str:
        """Return a string."""
        return self._typed(str, "a string", default)

    def flag(self, default: bool) -> bool:
        """Return a boolean."""
        return self._typed(bool, "a boolean", default)

    def number(self, low: int, high: int, default: Any = _MISSING) -> int:
        """Return an integer within bounds."""
        value = self._typed(int, "an integer", default)
        if value != default and not low <= value <= high:
            raise self.error(f"{value} is not within {low} to {high}")
        return value

    def choice(self, choices: tuple[str, ...], default: Any = _MISSING) -> str:
        """Return one of some words."""
        value = self.text(default)
        if value not in choices and value != default:
            raise self.error(f"{value!r} is none of {', '.join(choices)}")
        return value

    def checked(self, check: Callable[[str], Any]) -> str:
        """Return a string that `check` accepts, as it is, spaces around it aside."""
        value = self.text().strip()
        try:
            check(value)
        except ValueError as error:
            raise self.error(str(error)) from error
        return value


def _shown(value: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), repr(value))


def read_key(item: Mapping[str, Any]) -> ObjectKey:
    """Return kind, namespace and name. Raises ObjectError."""
    whole = Place(item)
    kind = whole.at("kind").choice(("Service", "EndpointSlice", "Node"))
    metadata = whole.at("metadata")
    name = metadata.at("name").text()
    return kind, "" if kind == "Node" else metadata.at("namespace").text("default"), name


def read_object(item: Mapping[str, Any]) -> Value | None:
    """Read an object; None for one that no proxy looks at (a headless service's slice, FQDNs). Raises ObjectError."""
    kind, namespace, name = read_key(item)
    whole = Place(item)
    if kind == "Service":
        return _service(namespace, name, whole)
    if kind == "Node":
        return _node(name, whole)
    return _slice(namespace, name, whole)


def _service(namespace: str, name: str, whole: Place) -> Service:
    spec = whole.at("spec")
    kind = spec.at("type").choice(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP")
    cluster_ips = _cluster_ips(spec)
    external_ips = tuple(item.checked(_address) for item in spec.at("externalIPs").items())
    local = spec.at("externalTrafficPolicy").choice(("Cluster", "Local"), "Cluster") == "Local"
    external_local = local and (kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(external_ips)))
    labels = whole.at("metadata").at("labels")
    health_port = spec.at("healthCheckNodePort").number(0, 65535, 0)
    return Service(
        namespace,
        name,
        created=whole.at("metadata").at("creationTimestamp").text(""),
        ours=kind != "ExternalName" and bool(cluster_ips) and labels.at(PROXY_NAME).value is None,
        type=kind,
        cluster_ips=cluster_ips,
        external_ips=external_ips,
        vips=_vips(whole.at("status").at("loadBalancer")),
        ports=tuple(_service_port(item) for item in spec.at("ports").items()),
        internal_local=spec.at("internalTrafficPolicy").choice(("Cluster", "Local"), "Cluster") == "Local",
        external_local=external_local,
        affinity_s=_affinity(spec),
        source_ranges=tuple(item.checked(_cidr) for item in spec.at("loadBalancerSourceRanges").items()),
        health_port=health_port if kind == "LoadBalancer" and external_local else 0,
    )


def _cluster_ips(spec: Place) -> tuple[str, ...]:
    several = spec.at("clusterIPs").items() or ([spec.at("clusterIP")] if spec.at("clusterIP").value else [])
    return tuple(item.checked(_address) for item in several if item.text() not in (HEADLESS, ""))


def _address(text: str) -> None:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    ip_address(text)


def _cidr(text: str) -> None:
    ip_network(text, strict=False)


def _vips(balancer: Place) -> tuple[str, ...]:
    """Addresses with ipMode Proxy are reached through the balancer, never short-cut."""
    ingress = [item for item in balancer.at("ingress").items() if item.at("ip").text("")]
    return tuple(item.at("ip").checked(_address) for item in ingress if item.at("ipMode").choice(("VIP", "Proxy"), "VIP") == "VIP")


def _service_port(item: Place) -> ServicePort:
    protocol = item.at("protocol").choice(("TCP", "UDP", "SCTP"), "TCP")
    return ServicePort(item.at("name").text(""), protocol, item.at("port").number(1, 65535), item.at("nodePort").number(0, 65535, 0))


def _affinity(spec: Place) -> int:
    if spec.at("sessionAffinity").choice(("None", "ClientIP"), "None") == "None":
        return 0
    return spec.at("sessionAffinityConfig").at("clientIP").at("timeoutSeconds").number(1, 86400, DEFAULT_AFFINITY_S)


def _slice(namespace: str, name: str, whole: Place) -> EndpointSlice | None:
    labels = whole.at("metadata").at("labels")
    family = whole.at("addressType").choice(("IPv4", "IPv6", "FQDN"))
    service = labels.at(SERVICE_NAME).text("")
    if family == "FQDN" or not service or labels.at(PROXY_NAME).value is not None or labels.at(HEADLESS_LABEL).value is not None:
        return None
    found = (_endpoint_port(item) for item in whole.at("ports").items())
    endpoints = (_endpoint(item, 6 if family == "IPv6" else 4) for item in whole.at("endpoints").items())
    return EndpointSlice(namespace, name, service, family == "IPv6", tuple(port for port in found if port.port), tuple(endpoints))


def _endpoint_port(item: Place) -> EndpointPort:
    """A port without a number, which stands for all of them, leads nowhere."""
    protocol = item.at("protocol").choice(("TCP", "UDP", "SCTP"), "TCP")
    return EndpointPort(item.at("name").text(""), protocol, item.at("port").number(0, 65535, 0))


def _endpoint(item: Place, version: int) -> Endpoint:
    addresses = item.at("addresses").items()
    if not addresses:
        raise item.at("addresses").error("at least one address is expected")
    address = addresses[0].checked(_address)
    if ip_address(address).version != version:
        raise addresses[0].error(f"{address} is no IPv{version} address")
    conditions, hints = item.at("conditions"), item.at("hints")
    return Endpoint(
        address,
        item.at("nodeName").text(""),
        conditions.at("ready").flag(True),
        conditions.at("serving").flag(True),
        conditions.at("terminating").flag(False),
        tuple(sorted(each.at("name").text() for each in hints.at("forZones").items())),
        tuple(sorted(each.at("name").text() for each in hints.at("forNodes").items())),
    )


def _node(name: str, whole: Place) -> Node:
    zone = whole.at("metadata").at("labels").at(ZONE).text("")
    by_type: dict[str, list[str]] = {"InternalIP": [], "ExternalIP": []}
    for item in whole.at("status").at("addresses").items():
        if item.at("type").text() in by_type:
            by_type[item.at("type").text()].append(item.at("address").checked(_address))
    return Node(name, zone, tuple(by_type["InternalIP"] + by_type["ExternalIP"]))
