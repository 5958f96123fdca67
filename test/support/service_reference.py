"""Who reaches which endpoints through a service, worked out the plainest way from what Kubernetes documents.

Read for it: "Service", "Virtual IPs and Service Proxies", "Service Internal Traffic Policy", "Topology Aware Routing",
"EndpointSlices", "Using Source IP" and the API reference of core/v1 and discovery.k8s.io/v1 on kubernetes.io. It takes the objects as
JSON has them, goes through all of them for every question, and shares nothing with the product.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

Json = dict[str, Any]
DEFAULTS = {"ready": True, "serving": True, "terminating": False}


@dataclass(frozen=True)
class Source:
    """Who asks: ``kind`` is pod (of this node), host (this node) or outside."""

    kind: str
    address: str


@dataclass(frozen=True)
class Answer:
    """What becomes of a packet: ``what`` is none (no service), backends, reject, drop or source_range."""

    what: str
    backends: frozenset[tuple[str, int]] = frozenset()
    masquerade: bool = False


class Cluster:
    """The objects of a cluster, seen from one node."""

    def __init__(self, objects: list[Json], node: str, node_addresses: list[str]) -> None:
        self.objects, self.node, self.node_addresses = objects, node, node_addresses

    def ask(self, source: Source, address: str, protocol: str, port: int) -> Answer:
        """Return what becomes of a first packet."""
        claim = self._claim(address, protocol, port)
        return Answer("none") if claim is None else self._answer(source, *claim[3:], ip_address(address).version)

    def sticky(self, address: str, protocol: str, port: int) -> bool:
        """Tell whether a client stays with its backend there."""
        claim = self._claim(address, protocol, port)
        return claim is not None and claim[4]["spec"].get("sessionAffinity") == "ClientIP"

    def serving(self, address: str, protocol: str, port: int) -> frozenset[tuple[str, int]] | None:
        """Return the endpoints that still serve there, on any node; None where there is no service."""
        claim = self._claim(address, protocol, port)
        if claim is None:
            return None
        return frozenset((e["address"], e["port"]) for e in self._endpoints(*claim[4:], ip_address(address).version) if e["ready"] or e["serving"])

    def _claim(self, address: str, protocol: str, port: int) -> tuple[str, str, int, str, Json, Json] | None:
        """The service that has a port of an address: the oldest that asks for it."""
        claims = [claim for service in self._services() for claim in self._claims(service) if claim[:3] == (_same(address), protocol, port)]
        return min(claims, key=lambda claim: _age(claim[4]), default=None)

    def _services(self) -> list[Json]:
        """A proxy leaves alone what has no cluster address, what is a mere name, and what is labelled for another proxy."""
        return [
            item
            for item in self.objects
            if item["kind"] == "Service"
            and item["spec"].get("type") != "ExternalName"
            and _cluster_ips(item)
            and "service.kubernetes.io/service-proxy-name" not in item["metadata"].get("labels", {})
        ]

    def _claims(self, service: Json) -> list[tuple[str, str, int, str, Json, Json]]:
        spec, found = service["spec"], []
        versions = {ip_address(address).version for address in _cluster_ips(service)}
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        balanced = [item["ip"] for item in ingress if item.get("ip") and item.get("ipMode", "VIP") == "VIP"]
        for port in spec.get("ports", []):
            wanted = [("cluster", address, port["port"]) for address in _cluster_ips(service)]
            wanted += [("external", address, port["port"]) for address in spec.get("externalIPs", [])]
            wanted += [("balanced", address, port["port"]) for address in balanced]
            wanted += [("node", address, port["nodePort"]) for address in self.node_addresses if port.get("nodePort")]
            found += [
                (_same(address), port.get("protocol", "TCP"), number, kind, service, port)
                for kind, address, number in wanted
                if ip_address(address).version in versions
            ]
        return found

    def _answer(self, source: Source, kind: str, service: Json, port: Json, version: int) -> Answer:
        spec = service["spec"]
        endpoints = self._endpoints(service, port, version)
        everywhere, here = self._cluster_wide(endpoints), _usable([e for e in endpoints if e["nodeName"] == self.node])
        if kind == "cluster":
            local = spec.get("internalTrafficPolicy", "Cluster") == "Local"
            masquerade = source.kind != "pod"
        else:
            # The policy is for services that are meant for the outside; the API refuses it elsewhere.
            external = spec.get("type") in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
            external_local = bool(external) and spec.get("externalTrafficPolicy", "Cluster") == "Local"
            # From inside it is as if the packet had gone to the balancer and come back: every endpoint may answer.
            local = external_local and source.kind == "outside"
            masquerade = not external_local or source.kind == "host"
        chosen = here if local else everywhere
        if chosen and kind == "balanced" and not self._may_come(source, service, version):
            return Answer("source_range")
        if chosen:
            return Answer("backends", frozenset((e["address"], e["port"]) for e in chosen), masquerade)
        if everywhere or (kind == "balanced" and self._ranges(service, version)):
            return Answer("drop")
        return Answer("reject")

    def _ranges(self, service: Json, version: int) -> list[Any]:
        ranges = [ip_network(text.strip(), strict=False) for text in service["spec"].get("loadBalancerSourceRanges", [])]
        return [each for each in ranges if each.version == version]

    def _may_come(self, source: Source, service: Json, version: int) -> bool:
        ranges = self._ranges(service, version)
        return not ranges or any(ip_address(source.address) in each for each in ranges)

    def _endpoints(self, service: Json, port: Json, version: int) -> list[Json]:
        found: dict[tuple[str, int], Json] = {}
        for item in self.objects:
            labels = item["metadata"].get("labels", {})
            if item["kind"] != "EndpointSlice" or item["addressType"] != f"IPv{version}":
                continue
            if labels.get("kubernetes.io/service-name") != service["metadata"]["name"]:
                continue
            if item["metadata"].get("namespace", "default") != service["metadata"].get("namespace", "default"):
                continue
            for each in item.get("ports", []):
                names = each.get("name", ""), each.get("protocol", "TCP")
                if names == (port.get("name", ""), port.get("protocol", "TCP")) and each.get("port"):
                    for endpoint in item.get("endpoints", []):
                        flat = _flat(endpoint, each["port"])
                        found.setdefault((flat["address"], flat["port"]), flat)
        return list(found.values())

    def _cluster_wide(self, endpoints: list[Json]) -> list[Json]:
        ready = [e for e in endpoints if e["ready"]]
        if not ready:
            return _usable(endpoints)
        near_node = [e for e in ready if self.node in e["nodes"]]
        if all(e["nodes"] for e in ready) and near_node:
            return near_node
        near_zone = [e for e in ready if self._zone() in e["zones"]]
        if all(e["zones"] for e in ready) and near_zone:
            return near_zone
        return ready

    def _zone(self) -> str:
        for item in self.objects:
            if item["kind"] == "Node" and item["metadata"]["name"] == self.node:
                return str(item["metadata"].get("labels", {}).get("topology.kubernetes.io/zone", ""))
        return ""


def _usable(endpoints: list[Json]) -> list[Json]:
    """The ready ones; where there is none, those that still serve while they terminate."""
    return [e for e in endpoints if e["ready"]] or [e for e in endpoints if e["serving"] and e["terminating"]]


def _flat(endpoint: Json, port: int) -> Json:
    conditions, hints = endpoint.get("conditions") or {}, endpoint.get("hints") or {}
    states = {name: default if conditions.get(name) is None else conditions[name] for name, default in DEFAULTS.items()}
    zones = [each["name"] for each in hints.get("forZones") or []]
    nodes = [each["name"] for each in hints.get("forNodes") or []]
    return {"address": endpoint["addresses"][0], "port": port, "nodeName": endpoint.get("nodeName"), "zones": zones, "nodes": nodes, **states}


def _cluster_ips(service: Json) -> list[str]:
    spec = service["spec"]
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or "None"]
    return [address for address in addresses if address not in ("None", "")]


def _age(service: Json) -> tuple[str, str, str]:
    metadata = service["metadata"]
    return metadata.get("creationTimestamp", "~"), metadata.get("namespace", "default"), metadata["name"]


def _same(address: str) -> str:
    return str(ip_address(address))
