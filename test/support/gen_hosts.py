"""Random host endpoints on top of random clusters, the changes made to them, and packets from and to everywhere."""

from collections.abc import Callable
from random import Random
from typing import Any

from felix_proto import types as felix
from felix_proto.types import HostEndpoint, Rule, TierInfo
from test.support import gen_cluster
from test.support import gen_values as values
from test.support.chain import chain_flaws, chain_of
from test.support.evaluator import HOST
from test.support.gen_cluster import Cluster
from test.support.gen_packets import Sent, built, hinted
from test.support.gen_packets import packet as workload_packet
from test.support.host_judge import EVERYWHERE, INTERFACES, governed, inbound_ports, judge, outbound_ports
from test.support.trial import Play
from test.support.world import World

NAMES = ("eth0", "eth0", "eth1", "*", "*", "", "", "eth2", "eth9", "cali1eth0")
EXPECTED = ("192.0.2.11", "10.99.0.11", "2001:db8:1::11", "203.0.113.77")
SECTIONS = ("tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers")
PEERS = (felix.HostMetadataUpdate("node-b", "10.99.0.12/24", "2001:db8:1::12/64"),)
FAILSAFES = (None, None, "none", "tcp:22", "tcp:198.51.100.0/24:22,udp:53,tcp:[2001:db8::/32]:443", "80,udp:10.99.0.0/24:68")
NEAR = {4: ("10.99.0.12", "10.99.0.7", "192.0.2.77"), 6: ("2001:db8:1::12", "2001:db8:99::7")}


def cluster(rng: Random) -> Cluster:
    """Draw a cluster with one to four host endpoints."""
    made = gen_cluster.cluster(rng)
    names = {"FailsafeInboundHostPorts": rng.choice(FAILSAFES), "FailsafeOutboundHostPorts": rng.choice(FAILSAFES)}
    made.config = (*made.config, *((name, value) for name, value in names.items() if value is not None))
    modes = felix.Encapsulation(rng.random() < 0.3, rng.random() < 0.3, rng.random() < 0.3)
    made.others = (*PEERS, modes) if rng.random() < 0.7 else PEERS
    for _ in range(rng.randint(1, 4)):
        add_host_endpoint(rng, made)
    return made


def _tiers(rng: Random, made: Cluster, section: str) -> tuple[TierInfo, ...]:
    """Some policies of some tiers; untracked and pre-DNAT tiers pass at their end, and the latter govern ingress only."""
    found = []
    for tier in made.tiers if rng.random() < 0.7 else ():
        ingress, egress = (tuple(p for p in tier.policies if rng.random() < 0.6) for _ in range(2))
        early = section in ("untracked_tiers", "pre_dnat_tiers")
        info = TierInfo(tier.name, ingress, () if section == "pre_dnat_tiers" else egress, "Pass" if early else tier.action)
        if info.ingress_policies or info.egress_policies:
            found.append(info)
    return tuple(found)


def add_host_endpoint(rng: Random, made: Cluster) -> None:
    """A host endpoint, new or in the place of one."""
    name = f"hep-{rng.randint(1, 5)}"
    expected = rng.sample(EXPECTED, rng.choice((0, 1, 1, 2)))
    profiles = tuple(rng.sample(sorted(made.profiles), min(len(made.profiles), rng.choice((0, 0, 1)))))
    tiers = {section: _tiers(rng, made, section) for section in SECTIONS}
    v4, v6 = tuple(a for a in expected if ":" not in a), tuple(a for a in expected if ":" in a)
    made.host_endpoints[name] = HostEndpoint(name, rng.choice(NAMES), profiles, expected_ipv4_addrs=v4, expected_ipv6_addrs=v6, **tiers)


def edit_host_endpoint(rng: Random, made: Cluster) -> None:
    """One section, the profiles, or the place of a host endpoint change."""
    if not made.host_endpoints:
        return
    name = rng.choice(sorted(made.host_endpoints))
    endpoint = made.host_endpoints[name]
    kind = rng.randrange(6)
    if kind < 4:
        made.host_endpoints[name] = endpoint._replace(**{SECTIONS[kind]: _tiers(rng, made, SECTIONS[kind])})
    elif kind == 4:
        made.host_endpoints[name] = endpoint._replace(name=rng.choice(NAMES))
    else:
        made.host_endpoints[name] = endpoint._replace(profile_ids=tuple(rng.sample(sorted(made.profiles), min(1, len(made.profiles)))))


def delete_host_endpoint(rng: Random, made: Cluster) -> None:
    """A host endpoint goes."""
    if made.host_endpoints:
        del made.host_endpoints[rng.choice(sorted(made.host_endpoints))]


CHANGES: tuple[Callable[[Random, Cluster], None], ...] = (add_host_endpoint, edit_host_endpoint, edit_host_endpoint, delete_host_endpoint)


def change(rng: Random, made: Cluster) -> str:
    """Make one change, to host endpoints or to what they share with workloads; returns its name."""
    chosen = rng.choice(CHANGES) if rng.random() < 0.5 else rng.choice(gen_cluster.CHANGES)
    chosen(rng, made)
    _follow(made)
    return chosen.__name__


def _follow(made: Cluster) -> None:
    """Policies that went, tiers in another order or with another default: as host endpoints are sent then."""
    for name, endpoint in made.host_endpoints.items():
        sections = {section: _still_there(made, section, getattr(endpoint, section)) for section in SECTIONS}
        made.host_endpoints[name] = endpoint._replace(profile_ids=tuple(p for p in endpoint.profile_ids if p in made.profiles), **sections)


def _still_there(made: Cluster, section: str, tiers: tuple[TierInfo, ...]) -> tuple[TierInfo, ...]:
    by_name = {tier.name: tier for tier in tiers}
    found = []
    for tier in made.tiers:
        if tier.name in by_name:
            old = by_name[tier.name]
            ingress, egress = (tuple(p for p in tier.policies if p in those) for those in (old.ingress_policies, old.egress_policies))
            action = old.default_action if section in ("untracked_tiers", "pre_dnat_tiers") else tier.action
            if ingress or egress:
                found.append(TierInfo(tier.name, ingress, egress, action))
    return tuple(found)


# --- packets ---------------------------------------------------------------------------------------------------------------------


def packet(rng: Random, world: World) -> Sent:
    """Draw a packet: half of them with fields taken from a rule of some host endpoint."""
    if rng.random() < 0.2:
        return _elsewhere(rng, workload_packet(rng, world))
    family = values.version(rng)
    source, target = rng.choice(("network", "network", "workload", "host")), rng.choice(("network", "workload", "host", "host"))
    rule = _some_rule(rng, world)
    hints = hinted(rng, world, rule, family)
    drawn = rng.random()
    if drawn < 0.2:
        _hint_failsafe(rng, world, family, hints)
    elif drawn < 0.25:
        hints |= {"protocol": rng.choice((4, 17)), "dport": 4789, "src": rng.choice(NEAR[family]), "dst": rng.choice(NEAR[family])}
    src, ingress = _source(rng, world, source, family, hints["src"])
    return built(rng, family, src, _target(rng, world, target, family, hints["dst"]), ingress, hints)


def _hint_failsafe(rng: Random, world: World, family: int, hints: dict[str, Any]) -> None:
    """To a failsafe port or back from it, from its net if it has one, or beside all that."""
    known = [*inbound_ports(world), *outbound_ports(world)]
    if known:
        port = rng.choice(known)
        hints |= {"protocol": port.protocol, rng.choice(("dport", "dport", "sport")): port.port}
        address = port.nets[0].partition("/")[0]
        if port.nets != EVERYWHERE and (":" in address) == (family == 6) and rng.random() < 0.7:
            hints |= {"src": address, "dst": address}


def _elsewhere(rng: Random, sent: Sent) -> Sent:
    """What came by the first uplink may come by another."""
    return sent._replace(ingress=rng.choice(sorted(INTERFACES))) if sent.ingress == "uplink" else sent


def _some_rule(rng: Random, world: World) -> Rule:
    endpoints = list(world.host_endpoints.values())
    if not endpoints:
        return Rule()
    endpoint, section, direction = rng.choice(endpoints), rng.choice(SECTIONS), rng.choice(("ingress", "egress"))
    chosen = governed(endpoint, getattr(endpoint, section), endpoint.profile_ids if section == "tiers" else ())
    if next(chain_flaws(world, chosen, direction), None) is not None:
        return Rule()
    rules = [rule for part in chain_of(world, chosen, direction) for owner in part.owners for rule in owner.rules]
    return rng.choice(rules) if rules else Rule()


def _source(rng: Random, world: World, kind: str, family: int, hint: str | None) -> tuple[str, str]:
    endpoints = [e for e in world.endpoints.values() if (e.ipv4_nets if family == 4 else e.ipv6_nets)]
    if kind == "workload" and endpoints:
        owner = rng.choice(endpoints)
        return rng.choice(owner.ipv4_nets if family == 4 else owner.ipv6_nets).partition("/")[0], owner.name
    if kind == "host":
        return _own(rng, family), HOST
    return _far(rng, family, hint), rng.choice(("eth0", "eth0", *INTERFACES))


def _target(rng: Random, world: World, kind: str, family: int, hint: str | None) -> str:
    nets = [net for e in world.endpoints.values() for net in (e.ipv4_nets if family == 4 else e.ipv6_nets)]
    if hint is not None and rng.random() < 0.4:
        return hint
    if kind == "workload" and nets:
        return rng.choice(nets).partition("/")[0]
    return _own(rng, family) if kind == "host" else _far(rng, family, hint)


def _own(rng: Random, family: int) -> str:
    own = [address.partition("/")[0] for addresses in INTERFACES.values() for address in addresses if (":" in address) == (family == 6)]
    return rng.choice(own)


def _far(rng: Random, family: int, hint: str | None) -> str:
    if hint is not None and rng.random() < 0.7:
        return hint
    return rng.choice(NEAR[family]) if rng.random() < 0.5 else values.address(rng, family)


HOSTS = Play(cluster, change, packet, judge)
