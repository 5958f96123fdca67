"""A cluster in small: nodes with a driver and a switch each, joined by links, each node fed with the stream that Felix would send it.

Nodes of one subnet share a link; a router stands at all links. It knows where nodes and the outside host are, and no pod: what is for
a pod in the clear and not for a neighbour is lost there, but for what `announced` names. What crosses a link is kept in `crossings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from calico_p4.driver import Driver
from datastore.allocator import Allocator
from felix_proto import types as felix
from felix_proto.types import IPPoolType, RouteType, Rule
from k8s_p4.target import Injected
from test.support.build import endpoint, gnp, policy, profile, sets, tier
from test.support.target import new_switch

SWITCH_MAC = "ee:ee:ee:ee:ee:ee"
ROUTER_MAC, ROUTER = "02:00:00:00:ff:fe", "router"
OUTSIDE, OUTSIDE_V6 = "203.0.113.80", "2001:db8:ffff::80"
VNI = 4096
POOL = {"vxlan": IPPoolType.VXLAN, "ipip": IPPoolType.IPIP, "plain": IPPoolType.NO_ENCAP}


class Member(NamedTuple):
    """A node. `subnet` tells on which link it is; addresses and MACs follow from its number."""

    name: str
    number: int
    subnet: int = 0

    def address(self, v: int) -> str:
        """Its own address of a family, v 0 or 1."""
        return (f"192.0.{2 + self.subnet}.{10 + self.number}", f"2001:db8:{10 + self.subnet}::{self.number}")[v]

    def network(self, v: int) -> str:
        """The address with the length of its subnet."""
        return f"{self.address(v)}/{(24, 64)[v]}"

    def block(self, v: int) -> str:
        """Its block of pod addresses."""
        return (f"10.244.{self.number}.0/26", f"fd00:10:244:{self.number}::/122")[v]

    def pod(self, v: int, number: int) -> str:
        """An address of its block; 0 is that of its tunnel device."""
        return (f"10.244.{self.number}.{number}", str(felix_address(f"fd00:10:244:{self.number}::{number:x}")))[v]

    @property
    def mac(self) -> str:
        """Of its uplink."""
        return f"02:00:00:00:ff:{self.number:02x}"

    def vtep_mac(self, v: int) -> str:
        """Of its VXLAN device, by family."""
        return f"66:00:00:00:{self.number:02x}:{(4, 6)[v]:02x}"


def felix_address(text: str) -> Any:
    """An address as Felix writes it."""
    from ipaddress import ip_address

    return ip_address(text)


class Pod(NamedTuple):
    """A pod: the number of its address within its node's block, or within that of `block` if it has borrowed it; its policies by name."""

    name: str
    node: Member
    number: int
    block: Member | None = None
    policies: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()
    dscp: int | None = None

    def address(self, v: int) -> str:
        """Its address of a family."""
        return (self.block or self.node).pod(v, self.number)

    @property
    def interface(self) -> str:
        """On its node."""
        return f"cali{self.name}"

    @property
    def mac(self) -> str:
        """Of the pod's end."""
        return f"02:00:00:01:{self.node.number:02x}:{self.number:02x}"


class Crossing(NamedTuple):
    """A frame on a link: who sent it, who took it ("" if nobody did)."""

    sender: str
    receiver: str
    frame: bytes


class Arrival(NamedTuple):
    """A frame where its way ends: a pod's name, "host:NODE" or "outside"."""

    place: str
    frame: bytes


class Node:
    """A driver and its switch."""

    def __init__(self, member: Member, ports: list[dict[str, Any]], payloads: Iterable[felix.Payload]) -> None:
        self.member = member
        self.switch = new_switch()
        self.switch.prepare()
        self.driver = Driver(self.switch, Allocator(), ports)
        self.last: Injected | None = None
        self.apply(payloads)

    def apply(self, payloads: Iterable[felix.Payload]) -> None:
        """Go on with the stream."""
        for payload in payloads:
            self.driver.apply(payload)
        self.driver.rest()

    def send(self, interface: str, frame: bytes) -> tuple[str, bytes] | None:
        """Send a frame into an interface: by which it left and how, None if it was dropped."""
        port = self.driver.ports.get(interface)
        assert port is not None and self.switch.bench is not None
        self.last = self.switch.bench.inject(port.number, frame)
        if not self.last.outputs:
            return None
        ((number, left),) = self.last.outputs
        out = self.driver.ports.by_number(number)
        assert out is not None
        return out.name, left


class Cluster:
    """Nodes, pods, and a pool of one mode: vxlan, ipip or plain. `cross_subnet`: the tunnel is for other subnets only."""

    def __init__(self, mode: str, members: list[Member], pods: list[Pod], policies: dict[str, tuple[list[Rule], list[Rule]]], *,
                 cross_subnet: bool = False, ip_sets: dict[str, list[str]] | None = None, config: dict[str, str] | None = None,
                 more: Iterable[felix.Payload] = ()) -> None:  # fmt: skip
        """`policies`: name to inbound and outbound rules; `more`: what every stream holds besides."""
        self.mode, self.members, self.pods, self.cross_subnet = mode, members, pods, cross_subnet
        self._policies, self._ip_sets, self._config, self._more = policies, ip_sets or {}, config or {}, list(more)
        self.crossings: list[Crossing] = []
        self.announced: dict[str, Member] = {}
        self.nodes = {member.name: Node(member, self.ports(member), self.stream(member)) for member in members}

    def close(self) -> None:
        """End the switches."""
        for node in self.nodes.values():
            node.switch.close()

    def forget(self) -> None:
        """Forget what the switches have learned."""
        for node in self.nodes.values():
            assert node.switch.bench is not None
            node.switch.bench.clear_learned()

    # --- what each node is told

    def ports(self, own: Member) -> list[dict[str, Any]]:
        """The ports file of a node: its uplink with the neighbours on its link, and the MACs of its pods."""
        near = [member for member in self.members if member != own and member.subnet == own.subnet]
        uplink = {"name": "eth0", "kind": "uplink", "mac": ROUTER_MAC, "own_mac": own.mac, "addresses": [own.network(v) for v in (0, 1)],
                  "neighbours": {member.address(v): member.mac for member in near for v in (0, 1)}}  # fmt: skip
        return [uplink, *({"name": pod.interface, "kind": "workload", "mac": pod.mac} for pod in self.pods if pod.node == own)]

    def stream(self, own: Member) -> Iterator[felix.Payload]:
        """What Felix sends to a node."""
        config = {"FelixHostname": own.name, "IpInIpTunnelAddr": own.pod(0, 0) if self.mode == "ipip" else "", **self._config}
        yield felix.ConfigUpdate(tuple(sorted(config.items())))
        yield from sets(self._ip_sets)
        for name, (inbound, outbound) in self._policies.items():
            yield policy(gnp(name), inbound, outbound)
        yield profile("open", [Rule("allow")], [Rule("allow")])
        for member in self.members:
            yield from self._of_member(member, own)
        for pod in self.pods:
            yield from self._of_pod(pod, own)
        yield felix.Encapsulation(self.mode == "ipip", self.mode == "vxlan", self.mode == "vxlan")
        yield from self._more
        yield felix.InSync()

    def _of_member(self, member: Member, own: Member) -> Iterator[felix.Payload]:
        yield felix.HostMetadataUpdate(member.name, member.network(0), member.network(1))
        if self.mode == "vxlan":
            yield felix.VXLANTunnelEndpointUpdate(
                member.name, member.vtep_mac(0), member.pod(0, 0), member.address(0), member.vtep_mac(1), member.pod(1, 0), member.address(1))  # fmt: skip
        for v in self.families:
            local = member == own
            yield self._route(f"{member.address(v)}/{(32, 128)[v]}", RouteType.LOCAL_HOST if local else RouteType.REMOTE_HOST, member, own, v)
            yield self._route(member.block(v), RouteType.LOCAL_WORKLOAD if local else RouteType.REMOTE_WORKLOAD, member, own, v)
            if self.mode != "plain":
                tunnel = felix.TunnelType(ipip=self.mode == "ipip", vxlan=self.mode == "vxlan")
                kind = RouteType.LOCAL_TUNNEL if local else RouteType.REMOTE_TUNNEL
                yield self._route(f"{member.pod(v, 0)}/{(32, 128)[v]}", kind, member, own, v)._replace(tunnel_type=tunnel)

    def _of_pod(self, pod: Pod, own: Member) -> Iterator[felix.Payload]:
        local = pod.node == own
        if local:
            key = felix.WorkloadEndpointID("k8s", f"default/{pod.name}", "eth0")
            names = tuple(gnp(name) for name in pod.policies)
            governed = tuple(gnp(name) for name in pod.policies if self._policies[name][0])
            sending = tuple(gnp(name) for name in pod.policies if self._policies[name][1])
            yield endpoint(key, name=pod.interface, ipv4_nets=(f"{pod.address(0)}/32",), ipv6_nets=(f"{pod.address(1)}/128",),
                           profile_ids=("open",), tiers=(tier("default", governed, sending),) if names else (), **self._more_of(pod))  # fmt: skip
        for v in self.families if local or pod.block else ():
            kind = RouteType.LOCAL_WORKLOAD if local else RouteType.REMOTE_WORKLOAD
            if local and pod.block:
                kind |= RouteType.REMOTE_WORKLOAD
            route = self._route(f"{pod.address(v)}/{(32, 128)[v]}", kind, pod.node, own, v)
            yield route._replace(local_workload=local, borrowed=pod.block is not None)

    @staticmethod
    def _more_of(pod: Pod) -> dict[str, Any]:
        nat = {v: tuple(felix.NatInfo(text, pod.address(v)) for text in pod.floating if (":" in text) == bool(v)) for v in (0, 1)}
        return {"ipv4_nat": nat[0], "ipv6_nat": nat[1], "qos_policies": () if pod.dscp is None else (felix.QoSPolicy("", pod.dscp),)}

    @property
    def families(self) -> tuple[int, ...]:
        """Those that the pool has: IP in IP carries IPv4 only."""
        return (0,) if self.mode == "ipip" else (0, 1)

    def _route(self, dst: str, kind: RouteType, member: Member, own: Member, v: int) -> felix.RouteUpdate:
        host = kind in (RouteType.LOCAL_HOST, RouteType.REMOTE_HOST)
        pool = IPPoolType.NONE if host else POOL[self.mode]
        same = self.cross_subnet and member.subnet == own.subnet and not host
        return felix.RouteUpdate(dst, int(kind), int(pool), member.name, member.address(v), same)

    # --- packets

    def pod(self, name: str) -> Pod:
        """A pod by its name."""
        return next(pod for pod in self.pods if pod.name == name)

    def from_pod(self, name: str, packet: Any) -> list[Arrival]:
        """A pod sends an IP packet; where it ends."""
        pod = self.pod(name)
        return self._enter(pod.node.name, pod.interface, bytes(Ether(src=pod.mac, dst=SWITCH_MAC) / packet))

    def from_host(self, node: str, packet: Any) -> list[Arrival]:
        """A node itself sends an IP packet."""
        return self._enter(node, "host", bytes(Ether(src="02:00:00:00:00:10", dst=SWITCH_MAC) / packet))

    def from_outside(self, packet: Any) -> list[Arrival]:
        """The outside host sends an IP packet."""
        return self._by_router("outside", bytes(Ether(src=ROUTER_MAC, dst=ROUTER_MAC) / packet))

    def _enter(self, node: str, interface: str, frame: bytes) -> list[Arrival]:
        left = self.nodes[node].send(interface, frame)
        if left is None:
            return []
        out, made = left
        if out == "eth0":
            return self._on_link(self.nodes[node].member, made)
        place = f"host:{node}" if out == "host" else next(pod.name for pod in self.pods if pod.node.name == node and pod.interface == out)
        return [Arrival(place, made)]

    def _on_link(self, sender: Member, frame: bytes) -> list[Arrival]:
        to = Ether(frame).dst
        receiver = next((member for member in self.members if member.mac == to and member.subnet == sender.subnet), None)
        name = receiver.name if receiver is not None else ROUTER if to == ROUTER_MAC else ""
        self.crossings.append(Crossing(sender.name, name, frame))
        if receiver is not None:
            return self._enter(receiver.name, "eth0", frame)
        return self._by_router(sender.name, frame) if name else []

    def _by_router(self, sender: str, frame: bytes) -> list[Arrival]:
        """The router takes a frame: to a node, to the outside host, or nowhere."""
        del sender
        packet = Ether(frame)
        head = packet[IPv6] if packet.type == 0x86DD else packet[IP]
        if head.dst in (OUTSIDE, OUTSIDE_V6):
            return [Arrival("outside", frame)]
        member = next((member for member in self.members if head.dst in (member.address(0), member.address(1))), self.announced.get(head.dst))
        if member is None:
            return []
        if packet.type == 0x86DD:
            head.hlim -= 1
        else:
            head.ttl -= 1
            del head.chksum
        packet.src, packet.dst = ROUTER_MAC, member.mac
        sent = bytes(packet)
        self.crossings.append(Crossing(ROUTER, member.name, sent))
        return self._enter(member.name, "eth0", sent)
