"""Random clusters whose packets are translated: services, floating addresses, pools that masquerade; and packets that belong to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from felix_proto import types as felix
from test.support import gen_cluster, gen_packets
from test.support import gen_values as values
from test.support.evaluator import HOST, UPLINK
from test.support.gen_packets import Sent
from test.support.packet import ICMP, ICMPV6, SCTP, TCP, UDP, Packet
from test.support.scenario import NODE
from test.support.service_reference import Cluster as Services
from test.support.translated_model import Flow, TranslatedModel
from test.support.tuples import ACK, FIN, RST, SYN, Tuple
from test.support.world import World

Json = dict[str, Any]
NUMBERS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
FLAGS = (SYN, SYN, SYN | ACK, ACK, ACK, ACK | FIN, RST)
SPORTS = (1000, 2000, 5001, 40000)
PORTS = (("http", "TCP", 80, 8080), ("dns", "UDP", 53, 5353), ("sip", "SCTP", 5060, 5060), ("odd", "SCTP", 5070, 5071), ("same", "TCP", 443, 443))
FEW_PORTS, ALL_PORTS = range(5000, 5004), range(1024, 30000)
_READY = {"ready": True, "serving": True, "terminating": False}
_CONDITIONS = (_READY,) * 6 + ({"ready": False, "serving": True, "terminating": True}, {"ready": False, "serving": False, "terminating": False}, {})


@dataclass
class Drawn:
    """A cluster with what translates its packets. ``objects`` are Kubernetes' as JSON, ``fronts`` where something may be asked for."""

    cluster: gen_cluster.Cluster
    objects: list[Json]
    pools: list[felix.IPAMPoolUpdate]
    ports: range
    fronts: list[tuple[str, str, int]] = field(default_factory=list)

    def model(self, world: World) -> TranslatedModel:
        """The reference for it."""
        pools = [(update.pool.cidr, update.pool.masquerade) for update in self.pools]
        return TranslatedModel(world, Services(self.objects, NODE, list(values.NODE.values())), pools, self.ports)


def drawn(rng: Random) -> Drawn:
    """Draw one. Every endpoint can be told what is wrong with it: what can't be read is for other tests."""
    made = gen_cluster.cluster(rng)
    while made.flaws:
        made = gen_cluster.cluster(rng)
    few = rng.random() < 0.3
    made.config += (("FloatingIPs", "Enabled"), ("NATPortRange", "5000:5003" if few else ""))
    found = Drawn(made, [], pools(rng), FEW_PORTS if few else ALL_PORTS)
    made.others = tuple(found.pools)
    for number in range(rng.randint(1, 4)):
        found.objects += service(rng, number, found.fronts)
    float_some(rng, made)
    found.fronts += [(outside, what, port) for outside in _floating(made) for what in NUMBERS for port in (80, 8080)]
    return found


def pools(rng: Random) -> list[felix.IPAMPoolUpdate]:
    """Pools of both families or of one; now and then others, inside them or not masqueraded."""
    choices = [("10.65.0.0/16", True), ("fd00:65::/48", True), ("198.51.100.0/25", False), ("10.65.0.4/30", False), ("fd00:65::4/126", True)]
    return [
        felix.IPAMPoolUpdate(cidr.replace("/", "-"), felix.IPAMPool(cidr.replace("/", "-"), cidr, masquerade, allowed_uses=("Workload",)))
        for cidr, masquerade in choices
        if rng.random() < (0.7 if masquerade and not cidr.endswith("/126") else 0.3)
    ]


def float_some(rng: Random, made: gen_cluster.Cluster) -> None:
    """Some addresses of endpoints that have none yet get one or two floating ones."""
    for name, endpoint in made.endpoints.items():
        if endpoint.ipv4_nat or endpoint.ipv6_nat or rng.random() < 0.5:
            continue
        found: dict[str, tuple[felix.NatInfo, ...]] = {}
        for side, nets, head in (("ipv4_nat", endpoint.ipv4_nets, "203.0.113."), ("ipv6_nat", endpoint.ipv6_nets, "2001:db8:f1::")):
            found[side] = tuple(felix.NatInfo(f"{head}{100 + made.fresh()}", net.partition("/")[0]) for net in nets for _ in range(rng.choice((0, 1, 2))))
        made.endpoints[name] = endpoint._replace(**found)


def _floating(made: gen_cluster.Cluster) -> list[str]:
    return [info.ext_ip for endpoint in made.endpoints.values() for info in endpoint.ipv4_nat + endpoint.ipv6_nat]


# --- services


def service(rng: Random, number: int, fronts: list[tuple[str, str, int]]) -> list[Json]:
    """A service with its slices; where it can be asked goes to ``fronts``."""
    ips = rng.choice(([f"10.96.0.{10 + number}"], [f"fd00:96::{10 + number}"], [f"10.96.0.{10 + number}", f"fd00:96::{10 + number}"]))
    ports = [{"name": name, "protocol": protocol, "port": port, "targetPort": target} for name, protocol, port, target in rng.sample(PORTS, rng.randint(1, 2))]
    spec: Json = {"type": rng.choice(("ClusterIP", "ClusterIP", "NodePort", "LoadBalancer")), "clusterIP": ips[0], "clusterIPs": ips, "ports": ports}
    item: Json = {"kind": "Service", "metadata": {"name": f"web{number}", "namespace": "shop"}, "spec": spec}
    places = list(ips)
    if rng.random() < 0.2:
        spec["internalTrafficPolicy"] = "Local"
    if rng.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
    if spec["type"] != "ClusterIP":
        _from_outside(rng, item, number, places)
    fronts += [(place, port["protocol"].lower(), port["port"]) for place in places for port in ports]
    fronts += [(node, port["protocol"].lower(), port["nodePort"]) for node in values.NODE.values() for port in ports if "nodePort" in port]
    return [item, *(_slice(rng, item, 6 if ":" in ip else 4) for ip in ips)]


def _from_outside(rng: Random, item: Json, number: int, places: list[str]) -> None:
    """Node ports, and addresses of load balancers or from anywhere."""
    spec = item["spec"]
    for at, port in enumerate(spec["ports"]):
        port["nodePort"] = 30000 + 10 * number + at
    if rng.random() < 0.35:
        spec["externalTrafficPolicy"] = "Local"
    if rng.random() < 0.3:
        spec["externalIPs"] = [f"203.0.113.{10 + number}", f"2001:db8:f::{10 + number}"]
        places += spec["externalIPs"]
    if spec["type"] == "LoadBalancer":
        balanced = [f"203.0.113.{20 + number}", f"2001:db8:f::{20 + number}"]
        item["status"] = {"loadBalancer": {"ingress": [{"ip": address} for address in balanced]}}
        places += balanced
        if rng.random() < 0.4:
            spec["loadBalancerSourceRanges"] = rng.choice((["198.51.100.0/25"], ["10.65.0.0/24", "2001:db8::/32"]))


def _slice(rng: Random, item: Json, family: int) -> Json:
    name = item["metadata"]["name"]
    here, there = values.LOCAL[family], values.REMOTE[family][:3]
    chosen = rng.sample([*here, *there, values.NODE[family]], rng.choice((0, 1, 1, 2, 3, 4)))
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-v{family}", "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
        "addressType": f"IPv{family}",
        "ports": [{"name": port["name"], "port": port["targetPort"], "protocol": port["protocol"]} for port in item["spec"]["ports"]],
        "endpoints": [{"addresses": [each], "nodeName": "node-b" if each in there else NODE, "conditions": rng.choice(_CONDITIONS)} for each in chosen],
    }


def change_slice(rng: Random, objects: list[Json]) -> Json:
    """Other endpoints for a service; returns the slice."""
    place = rng.choice([at for at, item in enumerate(objects) if item["kind"] == "EndpointSlice"])
    name = objects[place]["metadata"]["labels"]["kubernetes.io/service-name"]
    owner = next(item for item in objects if item["kind"] == "Service" and item["metadata"]["name"] == name)
    objects[place] = _slice(rng, owner, 6 if objects[place]["addressType"] == "IPv6" else 4)
    return objects[place]


# --- packets


def packet(rng: Random, drawn: Drawn, world: World, flows: list[Flow]) -> Sent:
    """A packet of a flow that there is, one that asks for something, or any."""
    kind = rng.random()
    if flows and kind < 0.5:
        return _of_flow(rng, world, rng.choice(flows[-8:]))
    if drawn.fronts and kind < 0.85:
        return _asks(rng, drawn, world)
    return gen_packets.packet(rng, world)


def _of_flow(rng: Random, world: World, flow: Flow) -> Sent:
    """One more of its packets, what answers it, or who speaks to its far end directly by the same port."""
    kind = rng.random()
    if kind < 0.45:
        return Sent(of(rng, flow.first), flow.ingress)
    if kind < 0.9:
        return Sent(of(rng, flow.left.turned()), _ingress(world, flow.left.dst))
    direct = flow.first._replace(dst=flow.left.dst, dport=flow.left.dport)
    return Sent(of(rng, direct), flow.ingress)


def _ingress(world: World, address: str) -> str:
    """By where who has an address sends."""
    names = [e.name for e in world.endpoints.values() if any(net.partition("/")[0] == address for net in e.ipv4_nets + e.ipv6_nets)]
    return names[0] if names else HOST if address in world.node_addresses() else UPLINK


def _asks(rng: Random, drawn: Drawn, world: World) -> Sent:
    """Somebody asks for a service, a floating address, or a place beyond the pools."""
    address, what, port = rng.choice(drawn.fronts)
    family = 6 if ":" in address else 4
    if rng.random() < 0.25:
        address, port = rng.choice(values.REMOTE[family]), rng.choice((80, 443))
    locals_ = [(net.partition("/")[0], e.name) for e in world.endpoints.values() for net in (e.ipv4_nets if family == 4 else e.ipv6_nets)]
    others = [(rng.choice(values.REMOTE[family]), UPLINK), (values.NODE[family], HOST)]
    src, ingress = rng.choice(locals_ * 3 + others if locals_ else others)
    if rng.random() < 0.1:
        asked = Tuple("request", src, rng.choice(SPORTS), address, 0)
    else:
        asked = Tuple(what, src, rng.choice(SPORTS), address, port)
    return Sent(of(rng, asked, SYN if rng.random() < 0.9 else rng.choice(FLAGS)), ingress)


def of(rng: Random, who: Tuple, flags: int | None = None) -> Packet:
    """A packet with a tuple, of any TTL."""
    version = 6 if ":" in who.src else 4
    ttl = rng.choice((64,) * 30 + (1, 2, 255))
    chosen = rng.choice(FLAGS) if flags is None else flags
    if who.what in NUMBERS:
        return Packet(version, NUMBERS[who.what], who.src, who.dst, who.sport, who.dport, ttl=ttl, flags=chosen if who.what == "tcp" else 2)
    kinds = {"request": 8 if version == 4 else 128, "reply": 0 if version == 4 else 129}
    proto = ICMP if version == 4 else ICMPV6
    return Packet(version, proto, who.src, who.dst, icmp_type=kinds[who.what], icmp_code=0, ttl=ttl, identifier=who.sport or who.dport)
