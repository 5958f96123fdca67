"""What must become of a packet where flows are kept and translated, on top of what `evaluator` says of a first packet's policy.

Written from what Calico, kube-proxy and Linux's connection tracking promise, with nothing of the pipeline: flows are a dict of tuples as they are on
the wire, each between two lives of endpoints. Time stands still. `service_reference` says who reaches which backends.

What the node is free to choose (a backend, a port to masquerade by) is taken from what was seen to leave, if it is one of the choices. What it keeps no
promise about is left out: packets of a flow one end of which is another endpoint by now (`TranslatedModel.unsure`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from felix_proto import types as felix
from test.support.evaluator import DENY, EITHER, HOST, UPLINK, Answer, address_owner, interface_owner, judge, may_send_from
from test.support.packet import SCTP, TCP, Packet
from test.support.service_reference import Cluster as Services
from test.support.service_reference import Source
from test.support.tuples import FIN, NAMES, RST, Tuple, lonely, moved, opens, same, tuple_of
from test.support.world import World

NO_POLICY = frozenset(("endpoint_down", "degraded", "ttl"))
"""What stops an established packet, too."""
Life = tuple[felix.WorkloadEndpointID, int] | None


class Key(NamedTuple):
    """What a flow is found by: the lives of who sent it and of who owns its destination, and its tuple."""

    sender: Life
    owner: Life
    tuple: Tuple


@dataclass
class Flow:
    """A conversation: its first packet as it came and as it left, by which port and to whom."""

    first: Tuple
    left: Tuple
    ingress: str


class Half(NamedTuple):
    """One direction of a flow: the tuple its packets leave with, who owned that destination then, and whether it is that of the first packet."""

    leads: Tuple
    to: Life
    forth: bool


@dataclass
class Option:
    """What may become of a packet: what is answered, the packet that leaves (None: none does, or not said), and what is remembered of it."""

    answer: Answer
    leaves: Packet | None = None
    flow: Flow | None = None
    affinity: tuple[tuple[str, ...], tuple[str, int]] | None = None
    rejected: bool = False


@dataclass
class TranslatedModel:
    """A node: ``pools`` are (CIDR, whether what is in it is masqueraded); ``ports`` those of masquerade."""

    world: World
    services: Services
    pools: list[tuple[str, bool]]
    ports: range
    table: dict[Key, Half] = field(default_factory=dict)
    closing: set[Key] = field(default_factory=set)
    unsure: set[Key] = field(default_factory=set)
    affinities: dict[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)
    lives: dict[felix.WorkloadEndpointID, int] = field(default_factory=dict)
    _there: set[felix.WorkloadEndpointID] = field(default_factory=set)

    # --- who is who

    def follow(self) -> None:
        """The world has changed: endpoints that were gone and are back live another life."""
        for gone in self._there - self.world.endpoints.keys():
            self.lives[gone] = self.lives.get(gone, 0) + 1
        self._there = set(self.world.endpoints)

    def services_changed(self) -> None:
        """Datagrams do not go on to what no longer serves, and nobody comes back to what is no backend; connections end by themselves."""
        for key, half in list(self.table.items()):
            serving = self.services.serving(key.tuple.dst, "UDP", key.tuple.dport) if half.forth and key.tuple.what == "udp" else None
            if serving is not None and (half.leads.dst, half.leads.dport) not in serving:
                self._forget(key, half.leads)
        for client, backend in list(self.affinities.items()):
            dst, what, port, kind, src = client
            if backend not in self.services.ask(Source(kind, src), dst, what.upper(), int(port)).backends:
                del self.affinities[client]

    def _forget(self, key: Key, leads: Tuple) -> None:
        """A flow, both ways."""
        back = [other for other, half in self.table.items() if other.tuple == leads.turned() and half.leads == key.tuple.turned()]
        for gone in {key, *back}:
            del self.table[gone]

    def _life(self, endpoint: felix.WorkloadEndpoint | None) -> Life:
        return (endpoint.id, self.lives.get(endpoint.id, 0)) if endpoint is not None else None

    def key(self, own: Tuple, ingress: str) -> Key:
        """By what a packet is found that comes in by ``ingress``."""
        sender = None if ingress in (HOST, UPLINK) else interface_owner(self.world, ingress)
        return Key(self._life(sender), self._life(address_owner(self.world, own.dst)), own)

    def _answers_key(self, left: Tuple) -> Key:
        return Key(self._life(address_owner(self.world, left.dst)), self._life(address_owner(self.world, left.src)), left.turned())

    def place(self, address: str) -> str | felix.WorkloadEndpointID:
        """Where what is for an address goes: to the id of an endpoint, to the node itself, or away."""
        owner = address_owner(self.world, address)
        return owner.id if owner is not None else HOST if address in self.world.node_addresses() else UPLINK

    # --- packets

    def options(self, packet: Packet, ingress: str, seen: Packet | None) -> list[Option]:
        """What may become of a packet, of which ``seen`` left."""
        early = self._early(packet, ingress)
        if early:
            return [Option(_denied(early))]
        own = tuple_of(packet)
        half = self.table.get(self.key(own, ingress)) if own is not None else None
        if own is None or half is None:
            return list(self._new(packet, own, ingress, seen))
        if half.to != self._life(address_owner(self.world, half.leads.dst)):
            self.unsure.add(self.key(own, ingress))
            return list(self._new(packet, own, ingress, seen))
        return list(self._goes_on(packet, own, half, ingress))

    def settle(self, packet: Packet, ingress: str, option: Option) -> None:
        """That is what became of it."""
        own = tuple_of(packet)
        if option.affinity is not None:
            self.affinities[option.affinity[0]] = option.affinity[1]
        if option.flow is not None and own is not None:
            if self.key(own, ingress) in self.unsure:
                self.unsure.add(self._answers_key(option.flow.left))
                return
            self.table[self.key(own, ingress)] = self._half(option.flow.left, True)
            self.table[self._answers_key(option.flow.left)] = self._half(option.flow.first.turned(), False)
        elif own is not None and option.leaves is not None:
            self._went_on(packet, own, self.key(own, ingress))

    def _went_on(self, packet: Packet, own: Tuple, key: Key) -> None:
        """An established packet: what answers the first direction is learned again if need be, and FIN and RST close both."""
        half = self.table.get(key)
        if half is None:
            return
        other = self._answers_key(half.leads)
        if half.forth:
            self.table.setdefault(other, self._half(own.turned(), False))
        if packet.proto == TCP and packet.flags & (FIN | RST):
            self.closing |= {key, other}

    def _half(self, leads: Tuple, forth: bool) -> Half:
        return Half(leads, self._life(address_owner(self.world, leads.dst)), forth)

    def _early(self, packet: Packet, ingress: str) -> set[str]:
        """What stands before any flow is looked for."""
        if ingress in (HOST, UPLINK):
            return set()
        sender = interface_owner(self.world, ingress)
        if sender is None:
            return {"unknown_port"}
        found = set() if sender.state == "active" else {"endpoint_down"}
        return found if may_send_from(sender, packet) else found | {"spoofed"}

    def _goes_on(self, packet: Packet, own: Tuple, half: Half, ingress: str) -> Iterator[Option]:
        """A packet of a flow: policy is not asked, unless it opens a closing one anew."""
        there = moved(packet, half.leads)
        asked = judge(self.world, replace(there, src=packet.src, sport=packet.sport), ingress)
        anew = opens(packet) and self.key(own, ingress) in self.closing
        if not anew:
            stops = asked.reasons & NO_POLICY if asked.verdict == DENY else frozenset()
            asked = _denied(stops) if stops else Answer("allow", "established", self.place(there.dst), (), frozenset(("established",)))
        if asked.verdict == DENY:
            yield Option(asked)
            return
        taken = (half.forth or anew) and self._taken(half.leads, own)
        if taken or self._unknown(half.leads):
            yield Option(_denied({"flow_clash"}, asked))
        if not taken:
            yield Option(asked, self._forwarded(there, ingress))

    def _forwarded(self, packet: Packet, ingress: str) -> Packet:
        forwarded = ingress != HOST and self.place(packet.dst) != HOST
        return replace(packet, ttl=packet.ttl - forwarded)

    # --- new flows

    def _new(self, packet: Packet, own: Tuple | None, ingress: str, seen: Packet | None) -> Iterator[Option]:
        internal = self._floating().get(same(packet.dst))
        if internal is not None:
            source = min(outside for outside, inside in self._floating().items() if inside == internal)
            yield from self._translated(packet, own, ingress, seen, (internal, packet.dport), source=source if internal == same(packet.src) else "")
        elif own is not None and own.what in NAMES.values():
            yield from self._through_service(packet, own, ingress, seen)
        else:
            yield from self._led(packet, own, ingress, seen, packet)

    def _floating(self) -> dict[str, str]:
        found = (info for endpoint in self.world.endpoints.values() for info in endpoint.ipv4_nat + endpoint.ipv6_nat)
        return {same(info.ext_ip): same(info.int_ip) for info in found}

    def _through_service(self, packet: Packet, own: Tuple, ingress: str, seen: Packet | None) -> Iterator[Option]:
        source = Source({HOST: "host", UPLINK: "outside"}.get(ingress, "pod"), packet.src)
        answer = self.services.ask(source, own.dst, own.what.upper(), own.dport)
        if answer.what == "none":
            yield from self._led(packet, own, ingress, seen, packet)
        elif lonely(packet, own):
            yield Option(_denied({"no_port"}))
        elif answer.what != "backends":
            reason = "source_range" if answer.what == "source_range" else "no_backend"
            yield Option(_denied({reason}), rejected=answer.what == "reject")
        else:
            client = (own.dst, own.what, str(own.dport), source.kind, own.src)
            kept = self.affinities.get(client)
            sticky = self.services.sticky(own.dst, own.what.upper(), own.dport)
            for backend in sorted(answer.backends if kept is None or kept not in answer.backends else {kept}):
                for option in self._translated(packet, own, ingress, seen, backend, answer.masquerade):
                    option.affinity = (client, backend) if sticky and option.leaves is not None else None
                    yield option

    def _translated(self, packet: Packet, own: Tuple | None, ingress: str, seen: Packet | None, to: tuple[str, int | None],
                    masquerade: bool = False, source: str = "") -> Iterator[Option]:  # fmt: skip
        """To another destination; ``source``: through its own floating address it comes from that one."""
        if own is None or lonely(packet, own):
            yield Option(_denied({"fragment" if packet.fragment else "no_port"}))
            return
        there = moved(packet, own._replace(dst=same(to[0]), dport=own.dport if to[1] is None else to[1]))
        if packet.proto == SCTP and there.dport != packet.dport:
            yield Option(_denied({"no_port"}))
            return
        hairpin = same(to[0]) == own.src and not source
        yield from self._led(packet, own, ingress, seen, there, masquerade or hairpin, source)

    def _led(self, packet: Packet, own: Tuple | None, ingress: str, seen: Packet | None, there: Packet,
             masquerade: bool = False, source: str = "") -> Iterator[Option]:  # fmt: skip
        """Its destination is known: policy, masquerade, and whether another flow has what its answers would be found by."""
        asked = judge(self.world, there, ingress)
        if asked.verdict == DENY:
            yield Option(asked)
            return
        if asked.verdict == EITHER:
            yield Option(_denied({"policy", "default_deny", "fragment"}))
        if masquerade or self._leaves_pools(there):
            yield from self._masqueraded(packet, own, ingress, seen, there, asked)
            return
        there = replace(there, src=source) if source else there
        if lonely(packet, own):
            yield Option(asked, self._forwarded(there, ingress))
            return
        assert own is not None
        left = tuple_of(there)
        assert left is not None
        taken = self._taken(left, own)
        if taken or self._unknown(left):
            yield Option(_denied({"flow_clash"}, asked))
        if not taken:
            yield Option(asked, self._forwarded(there, ingress), Flow(own, left, ingress))

    def _taken(self, left: Tuple, own: Tuple) -> bool:
        """Whether what answers it belongs to another: what leads back to this very tuple is its own, by whichever port that came."""
        half = self.table.get(self._answers_key(left))
        return half is not None and (half.leads, half.to) != (own.turned(), self._life(address_owner(self.world, own.src)))

    def _leaves_pools(self, there: Packet) -> bool:
        if self.place(same(there.dst)) == HOST:
            return False
        around = [masquerades for cidr, masquerades in sorted(self.pools, key=lambda pool: -ip_network(pool[0]).prefixlen) if _within(there.src, cidr)]
        return bool(around and around[0]) and not any(_within(there.dst, cidr) for cidr, _ in self.pools)

    def _masqueraded(self, packet: Packet, own: Tuple | None, ingress: str, seen: Packet | None, there: Packet, asked: Answer) -> Iterator[Option]:
        """Under the node's address, by a port that was seen if it is one of those that are free."""
        if own is None or lonely(packet, own):
            yield Option(_denied({"fragment" if packet.fragment else "no_port"}, asked))
            return
        node = next(address for address in self.world.node_addresses() if (":" in address) == (packet.version == 6))
        base = tuple_of(there)
        assert base is not None
        tries = [base._replace(src=same(node), sport=port) for port in ([own.sport] if own.what == "sctp" else self._tried(seen))]
        free = [left for left in tries if not self._taken(left, own)]
        if free:
            yield Option(asked, self._forwarded(moved(there, free[0]), ingress), Flow(own, free[0], ingress))
        if not any(not self._unknown(left) for left in free):
            yield Option(_denied({"no_port"}, asked))

    def _tried(self, seen: Packet | None) -> list[int]:
        left = tuple_of(seen) if seen is not None else None
        return [left.sport] if left is not None and left.sport in self.ports else list(self.ports)

    def _unknown(self, left: Tuple) -> bool:
        """Whether an earlier life of an endpoint may have left something where its answers would be looked for."""
        return self._answers_key(left) in self.unsure

    def doubtful(self, packet: Packet, ingress: str) -> bool:
        """Whether nothing is promised of a packet, because of what an earlier life of an endpoint left."""
        own = tuple_of(packet)
        return own is not None and self.key(own, ingress) in self.unsure


def _within(address: str, cidr: str) -> bool:
    net, place = ip_network(cidr), ip_address(address)
    return net.version == place.version and place in net


def _denied(reasons: Iterable[str], asked: Answer | None = None) -> Answer:
    """Dropped; ``asked``: after policy had accepted it."""
    every = frozenset(reasons)
    return Answer(DENY, min(every), None, asked.policy if asked else (), every)
