"""The reference for host endpoints: what must become of a packet at a node whose interfaces have them.

Written from the felix contract, 3.2 and 3.8 (and 3.7 for the workloads in between), and from the replay contract for names and
places. It shares nothing with the translator: it walks packet by packet, stage by stage, rule by rule. No flows: each packet is the
first of its own. Tunnels: those of other nodes that nothing ends, and IP in IP at the node's address, whose inside is no packet.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from felix_proto import types as felix
from test.support.chain import END_OF_PROFILES, Decision, chain_flaws, chain_of, decide, live_policies
from test.support.evaluator import (
    ALLOW,
    DEFAULT_VXLAN_PORT,
    DENY,
    EITHER,
    HOST,
    HOST_ICMPV6,
    Answer,
    Stage,
    address_owner,
    encapsulated,
    inside,
    interface_owner,
    may_send_from,
)
from test.support.packet import ICMPV6, IPV4_IN_IP, UDP, Packet, has_ports, is_icmp, make
from test.support.product import Ports
from test.support.world import World

PORTS: Ports = (
    {"name": "eth0", "kind": "uplink", "addresses": ["192.0.2.11/24", "2001:db8:1::11/64"]},
    {"name": "eth1", "kind": "uplink", "addresses": ["10.99.0.11/24", "2001:db8:99::11/64"]},
    {"name": "eth2", "kind": "uplink", "addresses": []},
)
"""The node's interfaces; eth0 has the default route."""
INTERFACES: dict[str, tuple[str, ...]] = {port["name"]: tuple(port["addresses"]) for port in PORTS}
DEFAULT = "eth0"

FAILSAFE_IN = "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667"
FAILSAFE_OUT = "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667"
_FAILSAFE = re.compile(r"(?:(tcp|udp|sctp):)?(?:\[?([0-9a-f.:]+(?:/\d+)?)\]?:)?(\d+)")
_NUMBERS = {None: 6, "tcp": 6, "udp": 17, "sctp": 132}
EVERYWHERE = ("0.0.0.0/0", "::/0")


class Port(NamedTuple):
    """A failsafe port; ``nets`` hold the far side's address."""

    protocol: int
    port: int
    nets: tuple[str, ...]


def failsafe_ports(world: World, name: str, default: str) -> list[Port]:
    """Read one of the two parameters."""
    text = world.config.get(name, default)
    found = [_FAILSAFE.fullmatch(each.strip()) for each in text.split(",")] if text.lower() != "none" else []
    return [Port(_NUMBERS[each[1]], int(each[3]), (each[2],) if each[2] else EVERYWHERE) for each in found if each]


def inbound_ports(world: World) -> list[Port]:
    """Return FailsafeInboundHostPorts, or Calico's default."""
    return failsafe_ports(world, "FailsafeInboundHostPorts", FAILSAFE_IN)


def outbound_ports(world: World) -> list[Port]:
    """Return FailsafeOutboundHostPorts, or Calico's default."""
    return failsafe_ports(world, "FailsafeOutboundHostPorts", FAILSAFE_OUT)


def is_failsafe(world: World, packet: Packet, direction: str, replies: bool) -> bool:
    """Tell whether a packet is to a failsafe port, or (``replies``) comes back from one of the other direction."""
    far = packet.src if direction == "ingress" else packet.dst
    there, back = inbound_ports(world), outbound_ports(world)
    if direction == "egress":
        there, back = back, there
    found = [port for port in there if port.port == packet.dport] + [port for port in back if replies and port.port == packet.sport]
    return any(port.protocol == packet.proto and inside(far, port.nets) for port in found)


def is_tunnelled(world: World, packet: Packet, direction: str) -> bool:
    """Tell whether a packet is a tunnel's between this node and a known host, of a kind that is on."""
    far = packet.src if direction == "ingress" else packet.dst
    own = world.config.get("FelixHostname")
    hosts = {address.partition("/")[0] for name, addresses in world.hosts.items() if name != own for address in addresses}
    modes = world.tunnels.get("")
    if modes is None or far not in hosts:
        return False
    if packet.proto == UDP and packet.dport == int(world.config.get("VXLANPort", DEFAULT_VXLAN_PORT)):
        return modes.vxlan_enabled if packet.version == 4 else modes.vxlan_enabled_v6
    return packet.version == 4 and packet.proto == IPV4_IN_IP and modes.ipip_enabled


def standing(world: World, interface: str) -> felix.HostEndpoint | None:
    """Return the host endpoint of an interface of the node: by name, by expected address, else that of all; ties to the first id."""
    addresses = {address.partition("/")[0] for address in INTERFACES[interface]}

    def here(endpoint: felix.HostEndpoint) -> bool:
        expected = {*endpoint.expected_ipv4_addrs, *endpoint.expected_ipv6_addrs}
        return endpoint.name == interface or (not endpoint.name and bool(expected & addresses))

    found = [endpoint for endpoint in world.host_endpoints.values() if here(endpoint)]
    return min(found, key=lambda endpoint: endpoint.id) if found else of_all(world)


def of_all(world: World) -> felix.HostEndpoint | None:
    """Return the host endpoint of all interfaces."""
    found = [endpoint for endpoint in world.host_endpoints.values() if endpoint.name == "*"]
    return min(found, key=lambda endpoint: endpoint.id, default=None)


class Denied(Exception):
    """The packet ends here; any of the reasons is right."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons


class Walk:
    """One packet on its way."""

    def __init__(self, world: World, packet: Packet) -> None:
        self.world, self.packet = world, packet
        self.reason = "no_policy"
        self.policy: list[Stage] = []
        self.excused = False
        self.own = world.node_addresses() | {a.partition("/")[0] for addresses in INTERFACES.values() for a in addresses}

    def go(self, ingress: str) -> str | felix.WorkloadEndpointID:
        """Walk from an interface; returns where it leaves, in the replay contract's words. Raises Denied."""
        sender = self.enter(ingress)
        source = standing(self.world, ingress) if ingress in INTERFACES else of_all(self.world) if sender else None
        receiver = address_owner(self.world, self.packet.dst)
        to_host = receiver is None and self.packet.dst in self.own
        out = None if receiver or to_host else self.leaves_by()
        target = of_all(self.world) if receiver else standing(self.world, out) if out else None
        if ingress in INTERFACES:
            self.untracked(source, "ingress")
        elif ingress == HOST and out:
            self.untracked(target, "egress")
        if ingress != HOST:
            self.tunnel_ends(ingress)
            self.pre_dnat(source)
        self.reach(receiver)
        forwarded = ingress != HOST and not to_host
        if forwarded and not self.excused:
            self.forward(source, "ingress")
        self.leave(sender, to_host)
        if ingress == HOST and out and not self.excused:
            self.normal(target, "egress")
        self.arrive(receiver, ingress)
        if ingress in INTERFACES and to_host and not self.excused:
            self.normal(source, "ingress")
        if forwarded:
            self.forward(target, "egress")
            if self.packet.ttl <= 1:
                raise Denied("ttl")
        if receiver:
            return receiver.id
        return HOST if to_host else "uplink" if out == DEFAULT else f"interface:{out}"

    # --- the ends

    def enter(self, ingress: str) -> felix.WorkloadEndpoint | None:
        """The interface that a packet comes by, and the source guard; returns the workload behind it."""
        if ingress == HOST or ingress in INTERFACES:
            return None
        sender = interface_owner(self.world, ingress)
        if sender is None:
            raise Denied("unknown_port")
        self.open(sender, "egress")
        if not may_send_from(sender, self.packet):
            raise Denied("spoofed")
        return sender

    def open(self, endpoint: felix.WorkloadEndpoint, direction: str) -> None:
        reasons = ["endpoint_down"] if endpoint.state != "active" else []
        if interface_owner(self.world, endpoint.name) is not endpoint or next(chain_flaws(self.world, endpoint, direction), None):
            reasons.append("degraded")
        if reasons:
            raise Denied(*reasons)

    def tunnel_ends(self, ingress: str) -> None:
        """IP in IP at the node's own address is for known hosts only; what is inside, here, is no packet."""
        modes, packet = self.world.tunnels.get(""), self.packet
        own = self.world.hosts.get(self.world.config["FelixHostname"], ("", ""))[0].partition("/")[0]
        if modes and modes.ipip_enabled and ingress in INTERFACES and packet.proto == IPV4_IN_IP and packet.dst == own:
            raise Denied("encapsulated") if not is_tunnelled(self.world, packet, "ingress") else Denied("", "parse", *ANY_REASON)

    def reach(self, receiver: felix.WorkloadEndpoint | None) -> None:
        """Routing leads to workloads that are open."""
        if receiver is not None:
            self.open(receiver, "ingress")

    def leaves_by(self) -> str:
        """The interface of the connected subnet that has the destination, else of the default route."""
        version = self.packet.version
        subnets = ((name, a) for name, addresses in INTERFACES.items() for a in addresses if (":" in a) == (version == 6))
        return next((name for name, subnet in subnets if inside(self.packet.dst, (subnet,))), DEFAULT)

    def leave(self, sender: felix.WorkloadEndpoint | None, to_host: bool) -> None:
        """From a workload: tunnels of its own, neighbour messages to the node, egress policy, what the node does with it."""
        if sender is None:
            return
        packet = self.packet
        if encapsulated(self.world, packet):
            raise Denied("encapsulated")
        if to_host and packet.version == 6 and packet.proto == ICMPV6 and packet.icmp_type in HOST_ICMPV6:
            return
        self.decide("egress", sender, "egress", "policy")
        if to_host and self.world.config.get("DefaultEndpointToHostAction", "Drop").lower() not in ("accept", "return"):
            raise Denied("endpoint_action")
        if to_host:
            self.reason = "endpoint_action"

    def arrive(self, receiver: felix.WorkloadEndpoint | None, ingress: str) -> None:
        """To a workload: the host always may, for others ingress policy."""
        if receiver is not None and ingress == HOST:
            self.reason = "host_to_workload"
        elif receiver is not None:
            self.decide("ingress", receiver, "ingress", "policy")

    # --- the hooks of host endpoints

    def untracked(self, endpoint: felix.HostEndpoint | None, direction: str) -> None:
        """Before flows; ignored on the one of all interfaces."""
        if endpoint is not None and endpoint.name != "*" and live(endpoint.untracked_tiers, direction):
            if is_failsafe(self.world, self.packet, direction, replies=True):
                self.reason = "failsafe"
            elif self.decide("untracked", governed(endpoint, endpoint.untracked_tiers), direction, "untracked", verdictless=True):
                self.excused = True

    def pre_dnat(self, endpoint: felix.HostEndpoint | None) -> None:
        """On the destination as sent; an allow excuses from the rest of this host endpoint's policy."""
        if endpoint is not None and not self.excused and live(endpoint.pre_dnat_tiers, "ingress"):
            if is_failsafe(self.world, self.packet, "ingress", replies=False):
                self.reason = "failsafe"
            elif self.decide("pre_dnat", governed(endpoint, endpoint.pre_dnat_tiers), "ingress", "policy", verdictless=True):
                self.excused = True

    def forward(self, endpoint: felix.HostEndpoint | None, direction: str) -> None:
        """No failsafe ports, no profiles, no verdict after the last tier."""
        if endpoint is not None and live(endpoint.forward_tiers, direction):
            self.decide(f"forward_{direction}", governed(endpoint, endpoint.forward_tiers), direction, "policy", verdictless=True)

    def normal(self, endpoint: felix.HostEndpoint | None, direction: str) -> None:
        """What goes to or comes from the node itself."""
        if endpoint is None or is_tunnelled(self.world, self.packet, direction):
            return
        if is_failsafe(self.world, self.packet, direction, replies=False):
            self.reason = "failsafe"
        else:
            self.decide("host", governed(endpoint, endpoint.tiers, endpoint.profile_ids), direction, "policy")

    def decide(self, stage: str, endpoint: felix.WorkloadEndpoint, direction: str, reason: str, verdictless: bool = False) -> bool:
        """Ask tiers and profiles; returns whether they allowed. Raises Denied."""
        if next(chain_flaws(self.world, endpoint, direction), None):
            raise Denied("degraded")
        decision, _ = decide(chain_of(self.world, endpoint, direction), self.packet, self.world.ip_sets)
        if verdictless and decision.hit == END_OF_PROFILES:
            return False
        self.policy.append(Stage(stage, decision))
        if decision.hit.action == "deny":
            raise Denied(_why(decision))
        self.reason = reason
        return True


def _why(decision: Decision) -> str:
    return "policy" if decision.hit.rule_index is not None else "default_deny"


def live(tiers: tuple[felix.TierInfo, ...], direction: str) -> bool:
    """Tell whether any tier has a policy in a direction that is not staged."""
    return any(live_policies(tier, direction) for tier in tiers)


def governed(endpoint: felix.HostEndpoint, tiers: tuple[felix.TierInfo, ...], profiles: tuple[str, ...] = ()) -> felix.WorkloadEndpoint:
    """Return something with these tiers and profiles to be asked like a workload."""
    return felix.WorkloadEndpoint(felix.WorkloadEndpointID("host", endpoint.id, ""), tiers=tiers, profile_ids=profiles)


def judge(world: World, packet: Packet, ingress: str) -> Answer:
    """Judge a packet that enters by ``ingress``: "host", an interface of the node ("uplink" is the first) or of a workload."""
    ingress = DEFAULT if ingress == "uplink" else ingress
    if packet.fragment and (has_ports(packet) or is_icmp(packet)):
        return _fragment(world, packet, ingress)
    return _walked(world, packet, ingress)[0]


def _walked(world: World, packet: Packet, ingress: str) -> tuple[Answer, bool]:
    """The answer for a whole packet, and whether a host endpoint's later policy was passed over."""
    walk = Walk(world, packet)
    try:
        out = walk.go(ingress)
    except Denied as end:
        return Answer(DENY, end.reasons[0], None, tuple(walk.policy), frozenset(end.reasons)), walk.excused
    return Answer(ALLOW, walk.reason, out, tuple(walk.policy), frozenset((walk.reason,))), walk.excused


def _fragment(world: World, packet: Packet, ingress: str) -> Answer:
    """A fragment after the first passes only if it would with every port: one that would not decides; otherwise either is right.

    Which rule decides is left open, and so is the verdict where untracked or pre-DNAT policy excuses some of the packets that it
    can be part of and others not: stages are asked one by one, each about the fragment as it is.
    """
    answers, excused = zip(*(_walked(world, whole, ingress) for whole in _wholes(packet)), strict=True)
    unsure = (Stage("", Decision(END_OF_PROFILES), certain=False),)
    passes = len(set(excused)) > 1 or all(answer.verdict == ALLOW for answer in answers)
    out = next((answer.out for answer in answers if answer.verdict == ALLOW), None)
    return Answer(EITHER if passes else DENY, answers[0].reason, out, unsure, ANY_REASON)


ANY_REASON = frozenset((
    "policy", "default_deny", "fragment", "degraded", "spoofed", "endpoint_down", "encapsulated", "endpoint_action", "ttl", "unknown_port",
    "no_policy", "untracked", "failsafe", "host_to_workload",
))  # fmt: skip


def _wholes(packet: Packet) -> Iterator[Packet]:
    """Some of the packets that a fragment can be part of."""
    rng = Random(repr(packet))
    for _ in range(12):
        numbers = {"sport": rng.choice(COMMON_PORTS), "dport": rng.choice(COMMON_PORTS)}
        icmp = (rng.choice((0, 8, 128, 129, 135)), 0)
        yield make(packet.version, packet.proto, packet.src, packet.dst, icmp=icmp, ttl=packet.ttl, **numbers)


COMMON_PORTS = (0, 1, 22, 53, 67, 68, 80, 443, 6443, 8080, 40000, 65535)
