"""The reference evaluator: what must become of a packet, from the felix contract and the replay contract alone.

It shares nothing with the translator, is slow, and looks at every rule of every policy in order. It covers the whole path of a
packet to or from a workload endpoint: ingress port, source guard, encapsulation, routing, egress policy, ingress policy, hop
limit. Host endpoints, connection tracking, address translation and tunnels have no part in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from felix_proto import types as felix
from test.support import flaws
from test.support.chain import Bound, Decision, bound, chain_flaws, chain_of, decide
from test.support.packet import ICMPV6, IPV4_IN_IP, UDP, Packet
from test.support.world import World

HOST, UPLINK = "host", "uplink"
ALLOW, DENY, EITHER = "allow", "deny", "either"
HOST_ICMPV6 = frozenset((130, 131, 132, 133, 135, 136))
DEFAULT_VXLAN_PORT = 4789


class Stage(NamedTuple):
    """A decision of one policy stage. ``certain`` is False where a fragment's hidden ports leave the deciding rule open."""

    stage: str
    decision: Decision
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What must become of a packet.

    ``verdict`` is allow, deny, or either (a fragment on which both readings of the contract are right). ``reason`` is the one that
    is met first; ``reasons`` holds all that apply where several stages would drop the packet on their own.
    """

    verdict: str
    reason: str
    out: str | felix.WorkloadEndpointID | None = None
    policy: tuple[Stage, ...] = ()
    reasons: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Path:
    """A packet on its way: what its stages decided and every reason to drop it, in the order met."""

    world: World
    packet: Packet
    drops: list[str]
    policy: list[Stage]
    unsure: bool = False


def judge(world: World, packet: Packet, ingress: str) -> Answer:
    """Judge a packet that enters by ``ingress``: "host", "uplink" or the name of a workload's interface."""
    path = _Path(world, packet, [], [])
    sender = None if ingress in (HOST, UPLINK) else interface_owner(world, ingress)
    if sender is None and ingress not in (HOST, UPLINK):
        return Answer(DENY, "unknown_port", reasons=frozenset(("unknown_port",)))
    if sender is not None:
        _leave(path, sender)
    allowed_as = _arrive(path, sender, ingress)
    if ingress != HOST and allowed_as[1] != HOST and packet.ttl <= 1:
        path.drops.append("ttl")
    return _answer(path, *allowed_as)


def _answer(path: _Path, reason: str, out: str | felix.WorkloadEndpointID) -> Answer:
    if path.drops:
        return Answer(DENY, path.drops[0], None, tuple(path.policy), frozenset(path.drops))
    verdict = EITHER if path.unsure else ALLOW
    return Answer(verdict, reason, out, tuple(path.policy), frozenset((reason,)))


def interface_owner(world: World, name: str) -> felix.WorkloadEndpoint | None:
    """Return the endpoint that an interface belongs to: of several, the one with the lowest id (felix contract 3.7)."""
    return _lowest(endpoint for endpoint in world.endpoints.values() if endpoint.name == name)


def address_owner(world: World, address: str) -> felix.WorkloadEndpoint | None:
    """Return the endpoint that an address belongs to: of several, the one with the lowest id (replay contract, "Decided")."""
    return _lowest(endpoint for endpoint in world.endpoints.values() if inside(address, own_nets(endpoint)))


def own_nets(endpoint: felix.WorkloadEndpoint) -> tuple[str, ...]:
    """Return the addresses of an endpoint, as CIDRs of both families."""
    return endpoint.ipv4_nets + endpoint.ipv6_nets


def _lowest(endpoints: Iterable[felix.WorkloadEndpoint]) -> felix.WorkloadEndpoint | None:
    return min(endpoints, key=lambda endpoint: endpoint.id, default=None)


def inside(address: str, cidrs: tuple[str, ...]) -> bool:
    """Tell whether an address is in one of the CIDRs; what does not parse holds nothing."""
    single = flaws.network(address)
    nets = (flaws.network(cidr) for cidr in cidrs)
    return any(n.version == single.version and single.network_address in n for n in nets if n and single)


def _leave(path: _Path, sender: felix.WorkloadEndpoint) -> None:
    """From a workload: its state, the source guard, encapsulation, egress policy (felix contract 3.7)."""
    packet = path.packet
    if sender.state != "active":
        path.drops.append("endpoint_down")
    if not may_send_from(sender, packet):
        path.drops.append("spoofed")
    if encapsulated(path.world, packet):
        path.drops.append("encapsulated")
    if not _closed(path, sender, "egress") and not _neighbour_talk_to_host(path):
        _apply(path, sender, "egress")


def may_send_from(sender: felix.WorkloadEndpoint, packet: Packet) -> bool:
    """Tell whether the source guard lets a packet out of a workload."""
    link_local = packet.proto == ICMPV6 and inside(packet.src, ("fe80::/10",))
    return link_local or inside(packet.src, own_nets(sender) + sender.allow_spoofed_source_prefixes)


def encapsulated(world: World, packet: Packet) -> bool:
    """Tell whether a packet is a tunnel's that workloads may not send."""
    vxlan_port = int(world.config.get("VXLANPort", DEFAULT_VXLAN_PORT))
    vxlan = packet.proto == UDP and packet.dport == vxlan_port and not _true(world, "AllowVXLANPacketsFromWorkloads")
    return vxlan or (packet.proto == IPV4_IN_IP and not _true(world, "AllowIPIPPacketsFromWorkloads"))


def _true(world: World, name: str) -> bool:
    return world.config.get(name, "false").lower() in ("true", "1", "yes", "y", "t")


def _to_node(path: _Path) -> bool:
    return path.packet.dst in path.world.node_addresses() and address_owner(path.world, path.packet.dst) is None


def _neighbour_talk_to_host(path: _Path) -> bool:
    return path.packet.proto == ICMPV6 and path.packet.icmp_type in HOST_ICMPV6 and _to_node(path)


def _arrive(path: _Path, sender: felix.WorkloadEndpoint | None, ingress: str) -> tuple[str, str | felix.WorkloadEndpointID]:
    """To a local workload, the node itself or beyond. Returns the reason to allow it (if nothing dropped it) and where it goes."""
    receiver = address_owner(path.world, path.packet.dst)
    if receiver is None:
        return _arrive_elsewhere(path, sender)
    if receiver.state != "active":
        path.drops.append("endpoint_down")
    if _shadowed(path, receiver) or _closed(path, receiver, "ingress"):
        return "degraded", receiver.id
    if ingress == HOST:
        return "host_to_workload", receiver.id
    _apply(path, receiver, "ingress")
    return "policy", receiver.id


def _shadowed(path: _Path, receiver: felix.WorkloadEndpoint) -> bool:
    """An endpoint whose interface belongs to another cannot be reached by it: both of its directions are closed."""
    if interface_owner(path.world, receiver.name) is receiver:
        return False
    path.drops.append("degraded")
    return True


def _closed(path: _Path, endpoint: felix.WorkloadEndpoint, direction: str) -> bool:
    """What cannot be translated closes its direction, for packets from the host and neighbour messages to it as well."""
    if next(chain_flaws(path.world, endpoint, direction), None) is None:
        return False
    path.drops.append("degraded")
    return True


def _arrive_elsewhere(path: _Path, sender: felix.WorkloadEndpoint | None) -> tuple[str, str]:
    out = HOST if _to_node(path) else UPLINK
    if sender is None:
        return "no_policy", out
    if out == HOST and not _neighbour_talk_to_host(path):
        if path.world.config.get("DefaultEndpointToHostAction", "Drop").lower() not in ("accept", "return"):
            path.drops.append("endpoint_action")
        return "endpoint_action", out
    return ("no_policy" if out == HOST else "policy"), out


def _apply(path: _Path, endpoint: felix.WorkloadEndpoint, direction: str) -> None:
    """Judge one direction of an endpoint; a stage is reported only if nothing has dropped the packet before."""
    chain = chain_of(path.world, endpoint, direction)
    decision, unsure = decide(chain, path.packet, path.world.ip_sets)
    room = bound(chain, path.packet, path.world.ip_sets) if unsure else None
    if not path.drops:
        path.policy.append(Stage(direction, decision, certain=room is None))
    _settle(path, decision, room)


def _settle(path: _Path, decision: Decision, room: Bound | None) -> None:
    if room is None and decision.hit.action == "deny":
        path.drops.append("policy" if decision.hit.rule_index is not None else "default_deny")
    elif room is not None and not room.most:
        path.drops.append("fragment")
    elif room is not None and not room.least:
        path.unsure = True
