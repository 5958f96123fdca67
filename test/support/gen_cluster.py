"""Random clusters: what a datastore holds, and the changes people make to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from felix_proto.types import HostEndpoint, Payload, PolicyID, Profile, Rule, TierInfo, WorkloadEndpoint, WorkloadEndpointID
from test.support import gen_values as values

KINDS = ("GlobalNetworkPolicy", "GlobalNetworkPolicy", "NetworkPolicy", "KubernetesNetworkPolicy", "StagedGlobalNetworkPolicy", "StagedNetworkPolicy")
DEFAULT_ACTIONS = ("Deny", "Deny", "Pass", "Pass", "")
STATES = ("active",) * 25 + ("inactive", "")
Rules = tuple[tuple[Rule, ...], tuple[Rule, ...]]


@dataclass
class Tier:
    """A tier: its default action and its policies in order."""

    name: str
    action: str
    policies: list[PolicyID]


@dataclass
class Cluster:
    """What the datastore holds. Sets, policies and profiles that no endpoint leads to stay here and are not sent."""

    sets: dict[str, frozenset[str]] = field(default_factory=dict)
    policies: dict[PolicyID, Rules] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    tiers: list[Tier] = field(default_factory=list)
    governs: dict[tuple[PolicyID, WorkloadEndpointID], str] = field(default_factory=dict)
    endpoints: dict[WorkloadEndpointID, WorkloadEndpoint] = field(default_factory=dict)
    host_endpoints: dict[str, HostEndpoint] = field(default_factory=dict)
    """With their tiers as they are sent (gen_hosts)."""
    others: tuple[Payload, ...] = ()
    """What else the first flush has."""
    config: tuple[tuple[str, str], ...] = ()
    count: int = 0
    flaws: bool = False
    legacy: bool = False

    def net_sets(self) -> list[str]:
        """Return the ids of the sets of addresses."""
        return sorted(i for i in self.sets if i.startswith("s:"))

    def port_sets(self) -> list[str]:
        """Return the ids of the sets of addresses with ports."""
        return sorted(i for i in self.sets if i.startswith("n:"))

    def fresh(self) -> int:
        """Return a number not returned before."""
        self.count += 1
        return self.count


def cluster(rng: Random) -> Cluster:
    """Draw a cluster of a few endpoints, tiers and policies."""
    made = Cluster(flaws=rng.random() < 0.15, legacy=rng.random() < 0.15, config=_config(rng))
    made.sets = {name: frozenset(members) for name, members in values.BAD_SETS.items()}
    for _ in range(rng.randint(1, 5)):
        add_set(rng, made)
    for _ in range(rng.randint(1, 3)):
        add_tier(rng, made)
    for _ in range(rng.randint(1, 4)):
        add_endpoint(rng, made)
    for _ in range(rng.randint(1, 6)):
        add_policy(rng, made)
    for endpoint in list(made.endpoints):
        edit_endpoint_profiles(rng, made, endpoint)
    return made


def _config(rng: Random) -> tuple[tuple[str, str], ...]:
    choices = {
        "DefaultEndpointToHostAction": (None, None, "ACCEPT", "RETURN", "DROP", "Accept", "Return"),
        "AllowVXLANPacketsFromWorkloads": (None, None, "true", "false"),
        "AllowIPIPPacketsFromWorkloads": (None, None, "true"),
    }
    drawn = {name: rng.choice(options) for name, options in choices.items()}
    return tuple((name, value) for name, value in sorted(drawn.items()) if value is not None)


def draw_rules(rng: Random, made: Cluster, most: int = 4) -> tuple[Rule, ...]:
    """Draw the rules of one direction of a policy."""
    drawn = [values.rule(rng, made.net_sets(), made.port_sets(), f"r{made.fresh()}") for _ in range(rng.randint(0, most))]
    if made.flaws and drawn and rng.random() < 0.15:
        drawn[-1] = values.flawed(rng, drawn[-1])
    return tuple(drawn)


def add_set(rng: Random, made: Cluster) -> None:
    """A new set, possibly empty."""
    if rng.random() < 0.6:
        made.sets[f"s:{made.fresh()}"] = frozenset(values.member(rng) for _ in range(rng.choice((0, 1, 2, 6, 12))))
    else:
        made.sets[f"n:{made.fresh()}"] = frozenset(values.port_member(rng) for _ in range(rng.choice((0, 1, 6, 16))))


def add_tier(rng: Random, made: Cluster) -> None:
    """A new tier in any place."""
    made.tiers.insert(rng.randint(0, len(made.tiers)), Tier(f"tier{made.fresh()}", rng.choice(DEFAULT_ACTIONS), []))


def add_policy(rng: Random, made: Cluster) -> None:
    """A new policy in any place of any tier, for some endpoints."""
    tier, kind = rng.choice(made.tiers), rng.choice(KINDS)
    policy = _policy_id(kind, tier.name, made.fresh(), made.legacy)
    made.policies[policy] = (draw_rules(rng, made), draw_rules(rng, made))
    tier.policies.insert(rng.randint(0, len(tier.policies)), policy)
    for endpoint in made.endpoints:
        _govern(rng, made, policy, endpoint)


def _policy_id(kind: str, tier: str, number: int, legacy: bool) -> PolicyID:
    """An id as since 3.32, or as up to 3.31: tier, and a name that holds namespace and staging."""
    if not legacy:
        return PolicyID(kind, "" if "Global" in kind else "ns", f"{tier}.p{number}")
    staged, namespace = "staged:" * kind.startswith("Staged"), "" if "Global" in kind else "ns/"
    return PolicyID("", "", f"{namespace}{staged}{tier}.p{number}", tier)


def _govern(rng: Random, made: Cluster, policy: PolicyID, endpoint: WorkloadEndpointID) -> None:
    directions = rng.choice(("both", "both", "ingress", "egress", ""))
    made.governs.pop((policy, endpoint), None)
    if directions:
        made.governs[policy, endpoint] = directions


def add_endpoint(rng: Random, made: Cluster) -> None:
    """A new endpoint: one or two addresses a family, now and then one that another has, and rarely another's interface."""
    number = rng.randint(1, 9)
    name = WorkloadEndpointID("k8s", f"ns/pod-{number}", rng.choice(("eth0", "eth0", "eth0", "net1")))
    others = [e.name for e in made.endpoints.values()]
    interface = rng.choice(others) if others and rng.random() < 0.04 else f"cali{number}{name.endpoint_id}"
    v4, v6 = _own_addresses(rng, made, 4), _own_addresses(rng, made, 6)
    spoof = (values.cidr(rng, 4), values.cidr(rng, 6)) if rng.random() < 0.1 else ()
    made.endpoints[name] = WorkloadEndpoint(
        name, rng.choice(STATES), interface, ipv4_nets=v4, ipv6_nets=v6 if v4 else v6 or ("fd00:65::1/128",), allow_spoofed_source_prefixes=spoof
    )
    for policy in made.policies:
        _govern(rng, made, policy, name)
    edit_endpoint_profiles(rng, made, name)


def _own_addresses(rng: Random, made: Cluster, family: int) -> tuple[str, ...]:
    taken = {net.partition("/")[0] for e in made.endpoints.values() for net in e.ipv4_nets + e.ipv6_nets}
    free = [a for a in values.LOCAL[family] if a not in taken] or values.LOCAL[family]
    shared = [a for a in values.LOCAL[family] if a in taken]
    pool = shared if shared and rng.random() < 0.08 else free
    chosen = rng.sample(pool, min(len(pool), rng.choice((0, 1, 1, 1, 2))))
    return tuple(f"{a}/{32 if family == 4 else 128}" for a in chosen)


def edit_endpoint_profiles(rng: Random, made: Cluster, name: WorkloadEndpointID) -> None:
    """Other profiles for an endpoint: an allow-all one, as Kubernetes namespaces have, drawn ones, or none."""
    chosen = rng.sample(("open", "open", "drawn", "other"), rng.choice((0, 1, 1, 2)))
    chosen = list(dict.fromkeys(chosen))
    for profile in chosen:
        if profile not in made.profiles:
            allow = (Rule("allow", rule_id="open"),)
            rules = (allow, allow) if profile == "open" else (draw_rules(rng, made, 2), draw_rules(rng, made, 2))
            made.profiles[profile] = Profile(profile, *rules)
    made.endpoints[name] = made.endpoints[name]._replace(profile_ids=tuple(chosen))


def tiers_of(made: Cluster, endpoint: WorkloadEndpointID) -> tuple[TierInfo, ...]:
    """Return the tiers of an endpoint as Felix sends them: those with a policy that governs it, in order."""
    infos = (TierInfo(t.name, *(_governing(made, t, endpoint, d) for d in ("ingress", "egress")), t.action) for t in made.tiers)
    return tuple(info for info in infos if info.ingress_policies or info.egress_policies)


def _governing(made: Cluster, tier: Tier, endpoint: WorkloadEndpointID, direction: str) -> tuple[PolicyID, ...]:
    return tuple(p for p in tier.policies if made.governs.get((p, endpoint), "") in ("both", direction))


# --- changes ---------------------------------------------------------------------------------------------------------------------


def change_members(rng: Random, made: Cluster) -> None:
    """Some members join a set, others leave it."""
    name = rng.choice(made.net_sets() + made.port_sets() or [None])
    if name is None:
        return
    draw = values.member if name.startswith("s:") else values.port_member
    gone = [m for m in sorted(made.sets[name]) if rng.random() < 0.3]
    made.sets[name] = made.sets[name] - set(gone) | {draw(rng) for _ in range(rng.randint(0, 2))}


def relabel(rng: Random, made: Cluster) -> None:
    """A pod's label changes: its addresses leave one set and join another."""
    if not made.endpoints or len(made.net_sets()) < 2:
        return
    endpoint = made.endpoints[rng.choice(sorted(made.endpoints))]
    nets = set(endpoint.ipv4_nets + endpoint.ipv6_nets)
    leave, join = rng.sample(made.net_sets(), 2)
    made.sets[leave] -= nets
    made.sets[join] |= nets


def empty_set(rng: Random, made: Cluster) -> None:
    """A set loses every member."""
    if made.net_sets():
        made.sets[rng.choice(made.net_sets())] = frozenset()


def _edited(rng: Random, made: Cluster, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """One edit of a list of rules: insert, delete, swap, another action, another criterion, or everything anew."""
    edited, kind = list(rules), rng.randrange(6)
    new = values.rule(rng, made.net_sets(), made.port_sets(), f"r{made.fresh()}")
    if kind == 0 or not edited:
        edited.insert(rng.randint(0, len(edited)), new)
    elif kind == 1:
        edited.pop(rng.randrange(len(edited)))
    elif kind == 2:
        rng.shuffle(edited)
    elif kind == 3:
        place = rng.randrange(len(edited))
        edited[place] = edited[place]._replace(action=rng.choice(values.ACTIONS))
    elif kind == 4:
        edited[rng.randrange(len(edited))] = new
    else:
        return draw_rules(rng, made)
    return tuple(edited)


def edit_policy(rng: Random, made: Cluster) -> None:
    """One rule list of one policy changes."""
    if made.policies:
        policy = rng.choice(sorted(made.policies))
        rules = list(made.policies[policy])
        side = rng.randrange(2)
        rules[side] = _edited(rng, made, rules[side])
        made.policies[policy] = (rules[0], rules[1])


def edit_profile(rng: Random, made: Cluster) -> None:
    """One rule list of one profile changes."""
    if made.profiles:
        name = rng.choice(sorted(made.profiles))
        side = rng.choice(("inbound_rules", "outbound_rules"))
        old = made.profiles[name]
        made.profiles[name] = old._replace(**{side: _edited(rng, made, getattr(old, side))})


def delete_policy(rng: Random, made: Cluster) -> None:
    """A policy goes."""
    if made.policies:
        policy = rng.choice(sorted(made.policies))
        del made.policies[policy]
        for tier in made.tiers:
            tier.policies = [p for p in tier.policies if p != policy]
        made.governs = {key: d for key, d in made.governs.items() if key[0] != policy}


def reorder(rng: Random, made: Cluster) -> None:
    """Policies of a tier, or the tiers, change their order."""
    tier = rng.choice(made.tiers)
    rng.shuffle(tier.policies) if rng.random() < 0.7 else rng.shuffle(made.tiers)


def change_default_action(rng: Random, made: Cluster) -> None:
    """A tier's end decides otherwise."""
    rng.choice(made.tiers).action = rng.choice(DEFAULT_ACTIONS)


def delete_tier(rng: Random, made: Cluster) -> None:
    """A tier without policies goes."""
    empty = [t for t in made.tiers if not t.policies]
    if empty and len(made.tiers) > 1:
        made.tiers.remove(rng.choice(empty))


def select_otherwise(rng: Random, made: Cluster) -> None:
    """A policy governs other endpoints, or other directions of them."""
    if made.policies and made.endpoints:
        _govern(rng, made, rng.choice(sorted(made.policies)), rng.choice(sorted(made.endpoints)))


def delete_endpoint(rng: Random, made: Cluster) -> None:
    """A pod goes."""
    if made.endpoints:
        name = rng.choice(sorted(made.endpoints))
        del made.endpoints[name]
        made.governs = {key: d for key, d in made.governs.items() if key[1] != name}


def edit_endpoint(rng: Random, made: Cluster) -> None:
    """An endpoint changes its state, addresses, profiles or permission to spoof."""
    if not made.endpoints:
        return
    name = rng.choice(sorted(made.endpoints))
    kind = rng.randrange(4)
    if kind == 0:
        made.endpoints[name] = made.endpoints[name]._replace(state=rng.choice(STATES))
    elif kind == 1:
        made.endpoints[name] = made.endpoints[name]._replace(ipv4_nets=_own_addresses(rng, made, 4))
    elif kind == 2:
        made.endpoints[name] = made.endpoints[name]._replace(allow_spoofed_source_prefixes=(values.cidr(rng, values.version(rng)),))
    else:
        edit_endpoint_profiles(rng, made, name)


CHANGES: tuple[Callable[[Random, Cluster], None], ...] = (
    change_members, change_members, change_members, relabel, relabel, empty_set, edit_policy, edit_policy, edit_policy, edit_profile,
    delete_policy, add_policy, reorder, change_default_action, add_tier, delete_tier, select_otherwise, delete_endpoint, add_endpoint,
    edit_endpoint, add_set,
)  # fmt: skip


def change(rng: Random, made: Cluster) -> str:
    """Make one change; returns its name."""
    chosen = rng.choice(CHANGES)
    chosen(rng, made)
    return chosen.__name__
