"""Scenarios of services as a table: objects of Kubernetes, and who reaches which endpoints, worked out by hand.

A line of ``services.txt`` is "name | service | endpoints | expectations". `read` makes of it the objects as Kubernetes has them in JSON.

Services: words, each more of the spec; several services, and their endpoints, are separated by ``;``.
Endpoints: letters (a to d are on this node, e to h on node-b, i and j on node-c; m and n are the nodes b and a themselves) with what is known of
them: ``!`` not ready, ``~`` terminating but serving, ``x`` terminating and not serving, ``?`` serving but not ready, ``+`` ready and
terminating, ``/z`` a hint for a zone, ``^n`` one for a node. Zone words ``@z`` stand alone and are this node's zone; ``||`` starts another slice.
Expectations: "who where = what", separated by ``;``: who is pod (of this node, owner of letter p), host, out, or a letter; where is cluster, ext, lb,
node or an address, with ``:port/protocol`` where it is not the usual one; what is letters, reject, drop, range or none, with ``*`` if masqueraded.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from test.support.service_reference import Answer, Source

Json = dict[str, Any]
TABLE = Path(__file__).parents[1] / "scenarios" / "services.txt"
NODE = "node-a"
NODES = {**dict.fromkeys("abcdpn", "node-a"), **dict.fromkeys("efghm", "node-b"), **dict.fromkeys("ij", "node-c")}
LETTERS = {
    **{letter: f"10.65.0.{1 + n}" for n, letter in enumerate("abcd")},
    **{letter: f"10.65.1.{1 + n}" for n, letter in enumerate("efgh")},
    **{letter: f"10.65.2.{1 + n}" for n, letter in enumerate("ij")},
    "m": "192.0.2.12", "n": "192.0.2.11", "p": "10.65.0.77",
}  # fmt: skip
LETTERS_V6 = {letter: f"fd00:65::{address.replace('.', ':')}" for letter, address in LETTERS.items()} | {"n": "2001:db8:1::11", "m": "2001:db8:1::12"}
PLACES = {"cluster": "10.96.0.10", "cluster2": "10.96.0.11", "ext": "203.0.113.10", "lb": "203.0.113.20", "lb2": "203.0.113.21", "node": "192.0.2.11"}
PLACES_V6 = {"cluster": "fd00:96::10", "ext": "2001:db8:f::10", "lb": "2001:db8:f::20", "node": "2001:db8:1::11"}
WHO = {"host": Source("host", "192.0.2.11"), "out": Source("outside", "198.51.100.7"), "far": Source("outside", "100.64.9.9")}
WHO_V6 = {"host": Source("host", "2001:db8:1::11"), "out": Source("outside", "2001:db8:99::7")}
NODE_ADDRESSES = [PLACES["node"], PLACES_V6["node"]]
NODE_PORT = 30080


class Probe(NamedTuple):
    """A packet, and what is expected of it."""

    text: str
    source: Source
    address: str
    protocol: str
    port: int
    answer: Answer


class Scenario(NamedTuple):
    """Objects, and what is expected of packets."""

    name: str
    objects: list[Json]
    probes: list[Probe]


def scenarios() -> list[Scenario]:
    """Read the table."""
    lines = (line.strip() for line in TABLE.read_text().splitlines())
    return [read(line) for line in lines if line and not line.startswith("#")]


def read(line: str) -> Scenario:
    """Read one line."""
    name, services, endpoints, expectations = (part.strip() for part in line.replace("||", "\0").split("|"))
    objects: list[Json] = []
    for number, words in enumerate(services.split(";")):
        objects.append(_service(words.split(), number))
    for number, words in enumerate(endpoints.split(";")):
        if number < len(services.split(";")):
            objects += _slices(words.replace("\0", "||"), objects[number])
    for word in endpoints.split():
        if word.startswith("@"):
            objects.append(_node(word[1:]))
    return Scenario(name, objects, [_probe(text.strip(), objects[0]) for text in expectations.split(";") if text.strip()])


def _node(zone: str) -> Json:
    return {"kind": "Node", "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": zone}}}


def _service(words: list[str], number: int) -> Json:
    spec: Json = {"type": "ClusterIP", "clusterIPs": [PLACES["cluster"]], "ports": [{"port": 80, "targetPort": 8080}]}
    item: Json = {"kind": "Service", "metadata": {"name": f"web{number or ''}", "namespace": "shop"}, "spec": spec}
    for word in words:
        _WORDS[word.partition("=")[0]](item, spec, word.partition("=")[2])
    if spec.pop("_node_ports", False):
        for place, port in enumerate(spec["ports"]):
            port.setdefault("nodePort", NODE_PORT + place)
    spec["clusterIP"] = spec["clusterIPs"][0] if spec["clusterIPs"] else "None"
    return item


def _lb(item: Json, spec: Json, ips: str, **more: str) -> None:
    spec["type"] = "LoadBalancer"
    names = ips.split(",") if ips else ["lb"]
    found = item.setdefault("status", {}).setdefault("loadBalancer", {}).setdefault("ingress", [])
    found += [{"ip": PLACES_V6["lb"] if name == "lb6" else PLACES[name], **more} for name in names]


def _ports(spec: Json, text: str) -> None:
    """NAME:PORT:TARGET/PROTOCOL, several with commas."""
    spec["ports"] = []
    for each in text.split(","):
        numbers, _, protocol = each.partition("/")
        name, port, target = numbers.split(":")
        spec["ports"].append({"name": name, "port": int(port), "targetPort": int(target), "protocol": protocol.upper() or "TCP"})


def _metadata(item: Json, **fields: Any) -> None:
    item["metadata"].update(fields)


_WORDS: dict[str, Any] = {
    "np": lambda item, spec, value: spec.update(type="NodePort", _node_ports=True),
    "lb": lambda item, spec, value: (_lb(item, spec, value), spec.update(_node_ports=True)),
    "lbonly": lambda item, spec, value: (_lb(item, spec, value), spec.update(allocateLoadBalancerNodePorts=False)),
    "proxied": lambda item, spec, value: (_lb(item, spec, value, ipMode="Proxy"), spec.update(_node_ports=True)),
    "vip": lambda item, spec, value: (_lb(item, spec, value, ipMode="VIP"), spec.update(_node_ports=True)),
    "pending": lambda item, spec, value: spec.update(type="LoadBalancer", _node_ports=True),
    "named-host": lambda item, spec, value: item.update(status={"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}),
    "ext": lambda item, spec, value: spec.update(externalIPs=[PLACES[name] for name in (value or "ext").split(",")]),
    "ext6": lambda item, spec, value: spec.setdefault("externalIPs", []).append(PLACES_V6["ext"]),
    "etp": lambda item, spec, value: spec.update(externalTrafficPolicy="Local"),
    "itp": lambda item, spec, value: spec.update(internalTrafficPolicy="Local"),
    "ranges": lambda item, spec, value: spec.update(loadBalancerSourceRanges=value.split(",")),
    "aff": lambda item, spec, value: spec.update(
        sessionAffinity="ClientIP", **({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": int(value)}}} if value else {})
    ),
    "udp": lambda item, spec, value: spec["ports"][0].update(protocol="UDP"),
    "sctp": lambda item, spec, value: spec["ports"][0].update(protocol="SCTP", targetPort=80),
    "ports": lambda item, spec, value: _ports(spec, value),
    "v6": lambda item, spec, value: spec.update(clusterIPs=[PLACES_V6["cluster"]], ipFamilies=["IPv6"]),
    "dual": lambda item, spec, value: spec.update(clusterIPs=[PLACES["cluster"], PLACES_V6["cluster"]], ipFamilies=["IPv4", "IPv6"]),
    "dual64": lambda item, spec, value: spec.update(clusterIPs=[PLACES_V6["cluster"], PLACES["cluster"]], ipFamilies=["IPv6", "IPv4"]),
    "ip": lambda item, spec, value: spec.update(clusterIPs=[PLACES[value]]),
    "headless": lambda item, spec, value: spec.update(clusterIPs=[]),
    "alias": lambda item, spec, value: spec.update(type="ExternalName", externalName="elsewhere.example"),
    "foreign": lambda item, spec, value: _metadata(item, labels={"service.kubernetes.io/service-proxy-name": "another"}),
    "born": lambda item, spec, value: _metadata(item, creationTimestamp=f"2026-01-{int(value):02}T00:00:00Z"),
    "name": lambda item, spec, value: _metadata(item, name=value),
    "ns": lambda item, spec, value: _metadata(item, namespace=value),
    "notready": lambda item, spec, value: spec.update(publishNotReadyAddresses=True),
    "close": lambda item, spec, value: spec.update(trafficDistribution="PreferClose"),
    "samenode": lambda item, spec, value: spec.update(trafficDistribution="PreferSameNode"),
    "hp": lambda item, spec, value: spec.update(healthCheckNodePort=int(value)),
    "nodeport": lambda item, spec, value: spec["ports"][0].update(nodePort=int(value)),
}


def _slices(text: str, service: Json) -> Iterator[Json]:
    for number, words in enumerate(text.split("||")):
        families = {":" in address for address in service["spec"]["clusterIPs"]} or {False}
        for v6 in sorted(families):
            chosen = [word for word in words.split() if not word.startswith("@") and _in_family(word, v6, len(families) == 1)]
            yield _slice(chosen, service, number, v6)


def _in_family(word: str, v6: bool, only: bool) -> bool:
    """A capital letter is an endpoint of IPv6 only, a small one of both families."""
    return only or v6 or word[0].islower()


def _slice(words: list[str], service: Json, number: int, v6: bool) -> Json:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    ports = [
        {"name": port.get("name", ""), "port": port["targetPort"], "protocol": port.get("protocol", "TCP")} for port in service["spec"]["ports"]
    ]
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-{'v6' if v6 else 'v4'}-{number}", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv6" if v6 else "IPv4",
        "ports": ports,
        "endpoints": [_endpoint(word, v6) for word in words],
    }


_CONDITIONS = {
    "!": {"ready": False, "serving": False, "terminating": False},
    "~": {"ready": False, "serving": True, "terminating": True},
    "x": {"ready": False, "serving": False, "terminating": True},
    "?": {"ready": False, "serving": True, "terminating": False},
    "+": {"ready": True, "serving": True, "terminating": True},
    "-": {},
}


def _endpoint(word: str, v6: bool) -> Json:
    letter = word[0].lower()
    marks, *hints = word[1:].replace("^", "\0^").replace("/", "\0/").split("\0")
    item: Json = {"addresses": [(LETTERS_V6 if v6 else LETTERS)[letter]], "nodeName": NODES[letter]}
    item["conditions"] = _CONDITIONS[marks] if marks else {"ready": True, "serving": True, "terminating": False}
    zones, nodes = ([{"name": hint[1:]} for hint in hints if hint[0] == sign] for sign in "/^")
    if zones or nodes:
        item["hints"] = {**({"forZones": zones} if zones else {}), **({"forNodes": nodes} if nodes else {})}
    return item


def _probe(text: str, service: Json) -> Probe:
    asked, _, expected = (part.strip() for part in text.partition("="))
    who, where = asked.split()
    where, _, numbers = where.partition(":")
    port, _, protocol = numbers.partition("/")
    v6 = where.endswith("6")
    place = (PLACES_V6 if v6 else PLACES)[where.removesuffix("6")]
    first = service["spec"]["ports"][0]
    usual = first.get("nodePort", NODE_PORT) if where.startswith("node") else first["port"]
    protocol = protocol.upper() or first.get("protocol", "TCP")
    return Probe(text, _source(who, v6), place, protocol, int(port or usual), _expected(expected, service, protocol, v6))


def _source(who: str, v6: bool) -> Source:
    known = WHO_V6 if v6 else WHO
    if who in known:
        return known[who]
    return Source("pod", (LETTERS_V6 if v6 else LETTERS)["p" if who == "pod" else who])


def _expected(text: str, service: Json, protocol: str, v6: bool) -> Answer:
    what = {"reject": "reject", "drop": "drop", "range": "source_range", "none": "none"}.get(text)
    if what is not None:
        return Answer(what)
    target, found = 0, []
    for word in text.removeprefix("*").split():
        letter, _, port = word.partition(":")
        target = int(port or next(p["targetPort"] for p in service["spec"]["ports"] if p.get("protocol", "TCP") == protocol))
        found.append(((LETTERS_V6 if v6 else LETTERS)[letter], target))
    return Answer("backends", frozenset(found), text.startswith("*"))
