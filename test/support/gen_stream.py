"""Legal message sequences (felix contract, 2.1 and 2.2) that bring a dataplane from one state of a cluster to the next."""

from collections.abc import Iterable, Iterator
from random import Random

from felix_proto import types as felix
from felix_proto.types import IPSetType
from test.support.flaws import NET_SETS, PORT_SETS
from test.support.gen_cluster import Cluster, tiers_of
from test.support.scenario import CONFIG, HOST
from test.support.world import World


def first_flush(rng: Random, cluster: Cluster) -> tuple[list[felix.Payload], World]:
    """Return the snapshot up to and including InSync, and the state it leads to."""
    config = felix.ConfigUpdate(config=tuple(sorted(CONFIG.config + cluster.config)))
    messages = [config, *flush(rng, World(), cluster), HOST, *cluster.others, felix.InSync()]
    state = World()
    state.apply_all(messages)
    return messages, state


def flush(rng: Random, sent: World, cluster: Cluster) -> list[felix.Payload]:
    """Return what Felix would send next: updates with what they refer to first, then removes, each class in random order."""
    wanted = active(cluster)
    updates = (
        _shuffled(rng, _set_updates(rng, sent, wanted)),
        _shuffled(rng, _changed(sent.policies, wanted.policies, felix.ActivePolicyUpdate)),
        _shuffled(rng, _changed(sent.profiles, wanted.profiles, felix.ActiveProfileUpdate)),
        _shuffled(rng, _endpoint_updates(rng, sent, wanted)),
        _shuffled(rng, _changed(sent.host_endpoints, wanted.host_endpoints, felix.HostEndpointUpdate)),
    )
    removes = (
        _shuffled(rng, _gone(sent.endpoints, wanted.endpoints, felix.WorkloadEndpointRemove)),
        _shuffled(rng, _gone(sent.host_endpoints, wanted.host_endpoints, felix.HostEndpointRemove)),
        _shuffled(rng, _gone(sent.profiles, wanted.profiles, felix.ActiveProfileRemove)),
        _shuffled(rng, _gone(sent.policies, wanted.policies, felix.ActivePolicyRemove)),
        _shuffled(rng, _gone(sent.ip_sets, wanted.ip_sets, felix.IPSetRemove)),
    )
    return [message for group in updates + removes for message in group]


def active(cluster: Cluster) -> World:
    """Return what of a cluster is sent: the endpoints, and the policies, profiles and sets that they lead to."""
    state = World()
    for name, endpoint in cluster.endpoints.items():
        state.endpoints[name] = endpoint._replace(tiers=tiers_of(cluster, name))
        state.profiles |= {p: cluster.profiles[p] for p in endpoint.profile_ids}
    state.host_endpoints = dict(cluster.host_endpoints)
    for host in cluster.host_endpoints.values():
        state.profiles |= {p: cluster.profiles[p] for p in host.profile_ids}
    tiers = [t for e in state.endpoints.values() for t in e.tiers] + [t for e in state.host_endpoints.values() for t in tiers_of_host(e)]
    named = {p for t in tiers for p in (*t.ingress_policies, *t.egress_policies)}
    for policy in sorted(named):
        inbound, outbound = cluster.policies[policy]
        state.policies[policy] = felix.Policy(policy, policy.namespace, policy.tier or policy.name.partition(".")[0], inbound, outbound)
    for set_id in sorted(_named_sets(state)):
        if set_id in cluster.sets:
            state.apply(felix.IPSetUpdate(set_id, tuple(cluster.sets[set_id]), _set_type(set_id)))
    return state


def tiers_of_host(endpoint: felix.HostEndpoint) -> tuple[felix.TierInfo, ...]:
    """Return the tiers of all stages of a host endpoint."""
    return (*endpoint.tiers, *endpoint.untracked_tiers, *endpoint.pre_dnat_tiers, *endpoint.forward_tiers)


def _set_type(set_id: str) -> IPSetType:
    return IPSetType.IP_AND_PORT if set_id in ("bad-ports",) or set_id.startswith("n:") else IPSetType.NET


def sets_of(rules: Iterable[felix.Rule]) -> set[str]:
    """Return the ids of the sets that rules name."""
    return {set_id for rule in rules for name in NET_SETS + PORT_SETS for set_id in getattr(rule, name)}


def _named_sets(state: World) -> set[str]:
    owners = (*state.policies.values(), *state.profiles.values())
    return sets_of(rule for owner in owners for rule in (*owner.inbound_rules, *owner.outbound_rules))


def _shuffled(rng: Random, messages: Iterable[felix.Payload]) -> list[felix.Payload]:
    drawn = list(messages)
    rng.shuffle(drawn)
    return drawn


def _set_updates(rng: Random, sent: World, wanted: World) -> Iterator[felix.Payload]:
    for set_id, (kind, members) in wanted.ip_sets.items():
        old = sent.ip_sets.get(set_id)
        if old is None:
            yield from _new_set(rng, set_id, members, kind)
        elif old.members != members and rng.random() < 0.75:
            yield felix.IPSetDeltaUpdate(set_id, _drawn(rng, members - old.members), _drawn(rng, old.members - members))
        elif old.members != members or rng.random() < 0.05:
            yield felix.IPSetUpdate(set_id, _drawn(rng, members), kind)


def _new_set(rng: Random, set_id: str, members: frozenset[str], kind: int) -> Iterator[felix.Payload]:
    yield felix.IPSetUpdate(set_id, _drawn(rng, members), kind)


def _drawn(rng: Random, members: Iterable[str]) -> tuple[str, ...]:
    return tuple(_shuffled(rng, sorted(members)))  # type: ignore[arg-type]


def _changed(sent: dict[object, object], wanted: dict[object, object], message: type) -> Iterator[felix.Payload]:
    yield from (message(name, value) for name, value in wanted.items() if sent.get(name) != value)


def _endpoint_updates(rng: Random, sent: World, wanted: World) -> Iterator[felix.Payload]:
    """Changed endpoints, and now and then a byte-identical repeat, as real streams have."""
    for name, endpoint in wanted.endpoints.items():
        if sent.endpoints.get(name) != endpoint or rng.random() < 0.1:
            yield felix.WorkloadEndpointUpdate(name, endpoint)


def _gone(sent: dict[object, object], wanted: dict[object, object], message: type) -> Iterator[felix.Payload]:
    yield from (message(name) for name in sent if name not in wanted)
