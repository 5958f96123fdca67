"""Policy of workload and host endpoints: everything from tiers, policies, profiles and IP sets to the rows of the policy tables.

`PolicyPart.update` answers one batch of changes with transactions in order: first members and identities move under the
chains as they are, then chains are edited. So that an address is never judged by a new policy under an old identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from felix_proto.types import HostEndpoint, PolicyID, TierInfo, WorkloadEndpoint, WorkloadEndpointID

from .addresses import parse_cidr
from .catalog import Catalog, PolicyStore, Use
from .chains import ANYWHERE, Chain, ChainKey, ChainTables, OwnerKey, TierKey
from .composition import Head, Meet, Moved, Node, TooManyRows, end_of_tier
from .errors import Untranslatable
from .groups import Delta, Groups, IPSetView
from .identity import Commit, Side
from .motion import crosses
from .names import ALL_INTERFACES, EndpointKey, endpoint_meaning
from .numbers import Names
from .rule_lists import Change
from .rules import Ref
from .stages import SIDES, STAGES, VIEWS, Direction, StageSpec
from .tables import identity_rows

LINK_LOCAL = parse_cidr("fe80::/10")
TOO_MANY = "its rules multiply to too many rows"
DIRECTIONS: tuple[Direction, Direction] = ("egress", "ingress")


class Store(PolicyStore, Protocol):
    """What is read of `datastore.intent.IntentStore`."""

    @property
    def ip_sets(self) -> Mapping[str, IPSetView]: ...
    @property
    def endpoints(self) -> Mapping[WorkloadEndpointID, WorkloadEndpoint]: ...
    @property
    def host_endpoints(self) -> Mapping[str, HostEndpoint]: ...


class Dirty(Protocol):
    """What is read of `datastore.intent.Dirty`."""

    @property
    def ip_sets(self) -> Mapping[str, Delta]: ...
    @property
    def policies(self) -> AbstractSet[PolicyID]: ...
    @property
    def profiles(self) -> AbstractSet[str]: ...
    @property
    def endpoints(self) -> AbstractSet[WorkloadEndpointID]: ...
    @property
    def host_endpoints(self) -> AbstractSet[str]: ...
    @property
    def config(self) -> bool: ...


class Stage:
    """One policy stage: its chains by meaning, and which chain each endpoint is bound to."""

    def __init__(self, spec: StageSpec, names: Names, sides: Mapping[str, Side], catalog: Catalog) -> None:
        self.spec, self.direction, self._view = spec, spec.direction, spec.view
        self.tables = ChainTables(spec.name, names, sides[spec.own], sides[spec.peer])
        self.errors: dict[ChainKey, str] = {}
        self._names = names
        self._catalog = catalog
        self._chains: dict[ChainKey, Chain] = {}
        self._bound: dict[EndpointKey, ChainKey] = {}
        self._unswept: dict[ChainKey, Chain] = {}
        self._came_from: dict[EndpointKey, ChainKey] = {}
        self._places: dict[EndpointKey, tuple[int, ...]] = {}
        self._members: dict[ChainKey, set[EndpointKey]] = {}
        self._rows: dict[EndpointKey, tuple[int, tuple[Any, ...]]] = {}
        self._nodes: dict[tuple[Any, ...], Node] = {}
        self._users: dict[Use, set[ChainKey]] = {}
        self._leaving: dict[EndpointKey, ChainKey] = {}
        self._movers: dict[EndpointKey, Chain] = {}
        self._stepping: dict[EndpointKey, Chain] = {}

    # -- which chains there are ---------------------------------------------------------------------------------------

    def bind(self, endpoint_id: EndpointKey, key: ChainKey | None, places: tuple[int, ...]) -> set[ChainKey]:
        """Note the chain an endpoint wants (None: the endpoint is gone); returns the chains concerned."""
        old = self._bound.pop(endpoint_id, None)
        if old is not None:
            self._members[old].discard(endpoint_id)
            self._came_from[endpoint_id] = old
        if key is None:
            self._places.pop(endpoint_id, None)
            if old is None:
                return set()
            self._leaving[endpoint_id] = old
            return {old}
        self._leaving.pop(endpoint_id, None)
        self._bound[endpoint_id] = key
        self._places[endpoint_id] = places
        if key not in self._members:
            self._members[key] = set()
            for owner in key.owners():
                self._users.setdefault((self._view, owner), set()).add(key)
        self._members[key].add(endpoint_id)
        return {key} if old is None else {key, old}

    def chain_of(self, endpoint_id: EndpointKey) -> ChainKey | None:
        """The chain an endpoint is bound to, whether or not it could be translated."""
        return self._bound.get(endpoint_id)

    def in_use(self, use: Use) -> bool:
        """Whether some endpoint is bound to a chain with this policy or profile."""
        return any(self._members[key] for key in self._users.get(use, ()))

    def users(self, uses: Iterable[Use]) -> set[ChainKey]:
        """The chains that contain one of the policies or profiles."""
        return {key for use in uses for key in self._users.get(use, ())}

    def missing(self, keys: Iterable[ChainKey]) -> set[Use]:
        """What has to be compiled before these chains can be made."""
        uses: set[Use] = {(self._view, owner) for key in keys if self._members[key] for owner in key.owners()}
        return {use for use in uses if self._catalog.is_stale(use)}

    def chains(self) -> Iterable[Chain]:
        """The chains that stand in the tables."""
        return self._chains.values()

    def places_in_force(self) -> set[int]:
        """The own places of endpoints that are bound on the target."""
        return {where for endpoint_id in self._rows for where in self._places.get(endpoint_id, ())}

    @property
    def behind_host_rules(self) -> bool:
        """Whether some chain in the tables stands behind host rules."""
        return any(key.behind_host_rules for key in self._chains)

    def knows(self, use: Use) -> bool:
        """Whether some chain has this policy or profile, bound to or not."""
        return use in self._users

    # -- rows ---------------------------------------------------------------------------------------------------------

    def sweep(self, changes: list[Change]) -> None:
        """What `follow` left standing until addresses had their new identities, and endpoints their new chains."""
        chains, self._unswept = self._unswept, {}
        for chain in chains.values():
            if self._chains.get(chain.key) is chain and self._members[chain.key]:
                self.tables.sweep_self(chain, changes)
                self._write_bindings(chain.key, changes)

    def follow(self, own: Commit, peer: Commit, changes: list[Change]) -> None:
        """Identities moved: follow with all chains as they are."""
        for chain in list(self._chains.values()):
            mask = chain.head.peer_mask
            try:
                for change in peer.classes:
                    if mask & (change.before | change.after):
                        self.tables.follow_peer(chain, change.id, change.after, changes)
                if _moves_own(chain, own):
                    # once for each phase: what is missing is added, what is left over is for `sweep`
                    self.tables.follow_self(chain, changes)
                    self._unswept.setdefault(chain.key, chain)
            except TooManyRows:
                self._break(chain.key, TOO_MANY, changes)

    def concerned(self) -> set[ChainKey]:
        """The chains that ask about identities on the move."""
        if not (self.tables.own.moving or self.tables.peer.moving):
            return set()
        chains = self._chains.items()
        return {key for key, chain in chains if isinstance(chain.head, Node) and isinstance(self._arriving(chain.head), Moved)}

    def _arriving(self, head: Node) -> Head:
        moved = Moved(head, self.tables.own.moving, self.tables.peer.moving)
        return moved if moved.differs else head

    def arrive(self) -> None:
        """No identity is on the move any more."""
        for chain in self._chains.values():
            if isinstance(chain.head, Moved):
                chain.head = chain.head.head

    def close(self, keys: Iterable[ChainKey], changes: list[Change]) -> dict[Chain, Meet]:
        """First half of an edit: chains that cannot be translated are closed. Returns the others that exist and change,
        each as a step between its two versions."""
        meets: dict[Chain, Meet] = {}
        went: dict[ChainKey, set[ChainKey | None]] = {}
        for endpoint_id, old in self._came_from.items():
            went.setdefault(old, set()).add(self._bound.get(endpoint_id))
        for key in sorted(keys):
            if not self._members.get(key):
                continue
            errors = [e for owner in key.owners() if (e := self._catalog.get((self._view, owner)).error)]
            self.errors.pop(key, None)
            if errors and not key.behind_host_rules:
                self._break(key, errors[0], changes)
                continue
            if errors:
                self.errors[key] = errors[0]
            chain = self._chains.get(key) or self._take_over(key, went)
            if chain is not None and chain.head is not (head := self._arriving(self._head(key))):
                meets[chain] = Meet(chain.head, head)
        meets |= self._moves(meets)
        self._came_from.clear()
        return meets

    def _moves(self, meets: Mapping[Chain, Meet]) -> dict[Chain, Meet]:
        """Endpoints that go from one chain to another: for each such pair a chain of its own, for the step between."""
        steps: dict[tuple[ChainKey, ChainKey], Chain] = {}
        for endpoint_id, old in self._came_from.items():
            new, chain = self._bound.get(endpoint_id), self._chains.get(old)
            if chain is None or new in (None, old) or (new in self.errors and not new.behind_host_rules):
                continue
            step = steps.get((old, new)) or steps.setdefault((old, new), self.tables.make_step(chain, new))
            step.bind([tuple(step.places), self._places[endpoint_id]])
            self._movers[endpoint_id] = step
        before = {old: meets[chain].old if (chain := self._chains[old]) in meets else chain.head for old, _ in steps}
        return {step: Meet(before[old], self._arriving(self._head(new))) for (old, new), step in steps.items()}

    def _take_over(self, key: ChainKey, went: Mapping[ChainKey, set[ChainKey | None]]) -> Chain | None:
        """A chain that all its endpoints left for ``key`` becomes it: an edit in place instead of a new chain."""
        left = {self._came_from[e] for e in self._members[key] if e in self._came_from}
        taken = set(self._leaving.values())
        free = [old for old in left if not self._members.get(old) and old in self._chains and old not in taken and went[old] == {key}]
        if not free:
            return None
        old = max(free, key=lambda k: len(set(k.owners()) & set(key.owners())))
        chain = self._chains[key] = self._chains.pop(old)
        self.tables.rename(chain, key)
        return chain

    def step(self, meets: Mapping[Chain, Meet], changes: list[Change]) -> None:
        """Between the halves: what either version denies is denied."""
        for chain, meet in meets.items():
            moving = [endpoint_id for endpoint_id, step in self._movers.items() if step is chain]
            chain.head = meet
            try:
                self.tables.refresh(chain, changes)
            except TooManyRows:
                if not moving:  # else they keep what they have till the end
                    self._break(chain.key, TOO_MANY, changes)
                continue
            self._stepping.update(dict.fromkeys(moving, chain))
            for endpoint_id in moving or sorted(self._members[chain.key]):
                if moving or self._is_bound_to(chain, endpoint_id):
                    self._write_binding(endpoint_id, changes)

    def _is_bound_to(self, chain: Chain, endpoint_id: EndpointKey) -> bool:
        _, value = self._rows.get(endpoint_id, (0, ()))
        return bool(value) and value[1] == chain.id

    def edit(self, keys: Iterable[ChainKey], changes: list[Change]) -> None:
        """Second half: make these chains anew, then the bindings of their endpoints."""
        self._stepping.clear()
        for key in sorted(keys):
            if self._members.get(key) and (key not in self.errors or key.behind_host_rules):
                self._edit(key, changes)
                self._write_bindings(key, changes)
        for step in dict.fromkeys(self._movers.values()):
            self.tables.remove(step, changes)
        self._movers.clear()

    def unbind(self, endpoint_id: EndpointKey, changes: list[Change]) -> None:
        """Write what `bind` said of an endpoint that is gone."""
        self._leaving.pop(endpoint_id, None)
        self._write_binding(endpoint_id, changes)

    def _edit(self, key: ChainKey, changes: list[Change]) -> None:
        head = self._arriving(self._head(key))
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chains[key] = self.tables.make(key, head)
        chain.bind(self._places[endpoint_id] for endpoint_id in self._members[key])
        try:
            if chain.variants and chain.head is head:
                self._rebind(chain, changes)
            else:
                chain.head = head
                self.tables.refresh(chain, changes)
        except TooManyRows:
            self._break(key, TOO_MANY, changes)

    def _rebind(self, chain: Chain, changes: list[Change]) -> None:
        """Other endpoints share the chain now: only rows for their own addresses may be missing or left over."""
        if chain.head.self_mask:
            self.tables.follow_self(chain, changes)
            self.tables.sweep_self(chain, changes)

    def _break(self, key: ChainKey, error: str, changes: list[Change]) -> None:
        """Close the endpoints of a chain that can't be translated; the host rules before it hold."""
        broken_before, self.errors[key] = key in self.errors, error
        chain = self._chains.get(key)
        if key.behind_host_rules and chain is not None and not broken_before:
            chain.head = self._head(key)
            self.tables.refresh(chain, changes)
            self._write_bindings(key, changes)
            return
        self._chains.pop(key, None)
        if chain is not None:
            self.tables.remove(chain, changes)
        self._write_bindings(key, changes)

    def _write_bindings(self, key: ChainKey, changes: list[Change]) -> None:
        for endpoint_id in sorted(self._members[key]):
            self._write_binding(endpoint_id, changes)

    def _write_binding(self, endpoint_id: EndpointKey, changes: list[Change]) -> None:
        key = self._bound.get(endpoint_id)
        chain = self._stepping.get(endpoint_id) or (self._chains.get(key) if key is not None else None)
        number, there = self._rows.get(endpoint_id, (0, None))
        wanted = self.tables.binding(chain) if chain is not None else None
        if wanted == there:
            return
        number = number or self._names.get("endpoint", endpoint_meaning(endpoint_id))
        changes.append((f"{self.spec.name}.binding", (number,), wanted))
        if wanted is None:
            del self._rows[endpoint_id]
        else:
            self._rows[endpoint_id] = (number, wanted)

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _head(self, key: ChainKey) -> Node:
        if key in self.errors:
            return self._node((), Ref("closed", self.direction, "deny"), None)
        end = Ref("chain_end", self.direction, "pass") if key.verdictless else Ref("profiles_end", self.direction, "deny")
        node = self._node((), end, None)
        for profile in reversed(key.profiles):
            node = self._node((("profile", profile),), None, node)
        for tier in reversed(key.tiers):
            owners = tuple(("policy", policy) for policy in tier.policies)
            trigger = Ref("policy", self.direction, "deny", tier.policies[0])
            node = self._node(owners, None if tier.passes else end_of_tier(self.direction, tier.name, trigger), node)
        return node

    def _node(self, owners: tuple[Any, ...], default: Ref | None, after: Node | None) -> Node:
        """The shared node for one tier and what follows, made anew where a policy in it was."""
        rule_sets = [rules for owner in owners if (rules := self._catalog.get((self._view, owner)).rules)]
        key = (tuple(map(id, rule_sets)), default, id(after))
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(rule_sets, default, after)
        return node

    def rest(self, changes: list[Change]) -> set[Use]:
        """Drop chains that nothing is bound to; returns the policies and profiles that no chain uses any more."""
        unused: set[Use] = set()
        for key in [key for key, members in self._members.items() if not members]:
            del self._members[key]
            self.errors.pop(key, None)
            chain = self._chains.pop(key, None)
            if chain is not None:
                self.tables.remove(chain, changes)
            unused |= self._forget_users(key)
        self.tables.rest(changes)
        self._keep_live_nodes()
        return unused

    def _forget_users(self, key: ChainKey) -> set[Use]:
        unused = set()
        for owner in set(key.owners()):
            use: Use = (self._view, owner)
            self._users[use].discard(key)
            if not self._users[use]:
                del self._users[use]
                unused.add(use)
        return unused

    def _keep_live_nodes(self) -> None:
        live: set[int] = set()
        for chain in self._chains.values():
            node: Head | None = chain.head
            while isinstance(node, Node) and id(node) not in live:
                live.add(id(node))
                node = node.next
        self._nodes = {key: node for key, node in self._nodes.items() if id(node) in live}


def _moves_own(chain: Chain, own: Commit) -> bool:
    """Whether identities of own addresses moved in a way that the chain may have to follow."""
    mask = chain.head.self_mask
    if not mask or not chain.anywhere:
        return bool(mask and (own.rows or own.classes))
    return any(mask & (change.before | change.after) for change in own.classes)


class PolicyPart:
    """The policy tables: of workload endpoints in both directions, of host endpoints in every stage."""

    def __init__(self, names: Names) -> None:
        self.sides: dict[str, Side] = {name: Side(name, names) for name in SIDES}
        self.groups = Groups(self.sides)
        self.catalog = Catalog(self.groups)
        self.stages = {spec.name: Stage(spec, names, self.sides, self.catalog) for spec in STAGES}
        self._workload_stages: dict[Direction, Stage] = {direction: self.stages[direction] for direction in DIRECTIONS}
        self._gone_hosts: set[str] = set()

    def update(self, store: Store, dirty: Dirty) -> Iterator[list[Change]]:
        """The transactions that follow one batch of changes, in order. The first is complete before the second is made."""
        remade = self.catalog.users_of_sets(self.groups.update(store.ip_sets, dirty.ip_sets))
        touched, gone = self._bind(store, dirty)
        self._stage(store, dirty, touched, remade)
        if apart := crosses(self.stages.values(), any(touched.values()) or self.catalog.has_staged):
            yield self._follow_phase({name: side.set_out() for name, side in self.sides.items()})
        else:
            yield from self._follow()
        yield from self._edit(touched, gone)
        if apart:
            yield self._arrive()
        yield from self._sweep()
        self.groups.finish()

    def part(self) -> list[Change]:
        """Take the bindings of host endpoints away that are gone, once no interface leads to them any more: before that a
        packet would meet an endpoint without policy, and be denied."""
        changes: list[Change] = []
        for endpoint_id in sorted(self._gone_hosts):
            for stage in self.stages.values():
                stage.unbind(endpoint_id, changes)
        self._gone_hosts.clear()
        return changes

    def closed(self, endpoint_id: EndpointKey, stage: str) -> str | None:
        """Why an endpoint's policy in a stage cannot be translated and so is closed; None where it can."""
        part = self.stages[stage]
        key = part.chain_of(endpoint_id)
        return part.errors.get(key) if key is not None else None

    def rest(self) -> Iterator[list[Change]]:
        """Transactions for a quiet moment: what nothing uses is deleted, identities of equal meaning are merged."""
        changes: list[Change] = []
        for stage in self.stages.values():
            for use in stage.rest(changes):
                if use in self.catalog and not any(other.knows(use) for other in self.stages.values()):
                    self.catalog.drop(use)
        yield changes
        self.catalog.finish()
        self.groups.rest()
        yield from self._follow_rest()
        yield from self._sweep()

    def _bind(
        self, store: Store, dirty: Dirty
    ) -> tuple[dict[str, set[ChainKey]], set[WorkloadEndpointID]]:
        touched: dict[str, set[ChainKey]] = {name: set() for name in self.stages}
        for endpoint_id in dirty.endpoints:
            endpoint = store.endpoints.get(endpoint_id)
            for direction, stage in self._workload_stages.items():
                key = chain_key(endpoint, direction) if endpoint is not None else None
                places = own_places(endpoint, direction) if endpoint is not None else ()
                touched[direction] |= stage.bind(endpoint_id, key, places)
        for host_id in dirty.host_endpoints:
            host = store.host_endpoints.get(host_id)
            (self._gone_hosts.add if host is None else self._gone_hosts.discard)(host_id)
            for name, stage in self.stages.items():
                touched[name] |= stage.bind(host_id, host_chain_key(host, stage.spec) if host else None, ANYWHERE)
        return touched, {endpoint_id for endpoint_id in dirty.endpoints if endpoint_id not in store.endpoints}

    def _stage(self, store: Store, dirty: Dirty, touched: dict[str, set[ChainKey]], remade: set[Use]) -> None:
        owners: set[OwnerKey] = {("policy", policy) for policy in dirty.policies}
        owners |= {("profile", profile) for profile in dirty.profiles}
        asked: set[Use] = {(view, owner) for view in VIEWS for owner in owners}
        uses = {use for use in asked if use in self.catalog and not self.catalog.is_current(use, store)} | remade
        self.catalog.mark_stale(uses)
        due = {use for use in uses if any(stage.in_use(use) for stage in self.stages.values())}
        for name, stage in self.stages.items():
            due |= stage.missing(touched[name])
        for use in due:
            self.catalog.stage(use, store)

    def _follow(self) -> Iterator[list[Change]]:
        """Members and identities move under the chains as they are: phase after phase (`identity.Side.commit`)."""
        changes = self._follow_phase({name: side.move() for name, side in self.sides.items()})
        if any(side.renames for side in self.sides.values()):
            yield changes
            yield self._follow_phase({name: side.rename() for name, side in self.sides.items()})
            changes = []
        changes += self._follow_phase({name: side.retire() for name, side in self.sides.items()})
        yield changes

    def _arrive(self) -> list[Change]:
        """Identities come to mean what chains already take them for: nothing but superfluous rows is left to change."""
        changes = self._follow_phase({name: side.rename() for name, side in self.sides.items()})
        changes += self._follow_phase({name: side.retire() for name, side in self.sides.items()})
        for stage in self.stages.values():
            stage.arrive()
        for side in self.sides.values():
            side.arrived()
        return changes

    def _follow_rest(self) -> Iterator[list[Change]]:
        phases = {name: side.rest() for name, side in self.sides.items()}
        for number in range(3):
            yield self._follow_phase({name: commits[number] for name, commits in phases.items()})

    def _follow_phase(self, commits: Mapping[str, Commit]) -> list[Change]:
        changes: list[Change] = []
        for stage in self.stages.values():
            stage.follow(commits[stage.spec.own], commits[stage.spec.peer], changes)
        keys: dict[int, tuple[int]] = {}
        for name, commit in commits.items():
            changes.extend(identity_rows(name, commit.rows, keys))
        return changes

    def _sweep(self) -> Iterator[list[Change]]:
        changes: list[Change] = []
        for stage in self.stages.values():
            stage.sweep(changes)
        if changes:
            yield changes

    def _edit(
        self, touched: dict[str, set[ChainKey]], gone: set[WorkloadEndpointID]
    ) -> Iterator[list[Change]]:
        adopted = self.catalog.adopt()
        keys = {name: touched[name] | stage.users(adopted) | stage.concerned() for name, stage in self.stages.items()}
        changes: list[Change] = []
        meets = {name: stage.close(keys[name], changes) for name, stage in self.stages.items()}
        if self._crossing(meets):
            for name, stage in self.stages.items():
                stage.step(meets[name], changes)
        if changes:
            yield changes
        changes = []
        for name, stage in self.stages.items():
            stage.edit(keys[name], changes)
            for endpoint_id in gone:
                stage.unbind(endpoint_id, changes)
        yield changes
        self.catalog.finish()

    def _crossing(self, meets: Mapping[str, Mapping[Chain, Meet]]) -> bool:
        """Whether one stage closes something while another opens something: a packet that meets both could slip through
        between the writes."""
        if sum(map(bool, meets.values())) < 2:
            return False
        for name, stage in self.stages.items():
            for chain, meet in meets[name].items():
                try:
                    stage.tables.probe(chain, meet)
                except TooManyRows:
                    return True
        closing = {name for name, edits in meets.items() if any(meet.closes for meet in edits.values())}
        opening = {name for name, edits in meets.items() if any(meet.opens for meet in edits.values())}
        return any(one != other for one in closing for other in opening)


def chain_key(endpoint: WorkloadEndpoint, direction: Direction) -> ChainKey:
    """The chain of an endpoint: staged policies skipped, tiers without live ones left out (contract 3.2, 3.3)."""
    return ChainKey(live_tiers(endpoint.tiers, direction), endpoint.profile_ids)


def host_chain_key(endpoint: HostEndpoint, spec: StageSpec) -> ChainKey:
    """The chain of a host endpoint in a stage (contract 3.8): normal policy ends in a deny, all other without a verdict; host
    rules come before all but forward policy. Untracked policy of all interfaces ("*") is ignored."""
    direction = spec.direction
    if spec.name in DIRECTIONS:
        return ChainKey(live_tiers(endpoint.tiers, direction), endpoint.profile_ids, behind_host_rules=True)
    if spec.name.startswith("forward"):
        return ChainKey(live_tiers(endpoint.forward_tiers, direction), (), verdictless=True)
    if spec.name == "pre_dnat":
        tiers = live_tiers(endpoint.pre_dnat_tiers, direction)
    else:
        tiers = () if endpoint.name == ALL_INTERFACES else live_tiers(endpoint.untracked_tiers, direction)
    return ChainKey(tiers, (), behind_host_rules=bool(tiers), verdictless=True)


def live_tiers(tiers: Iterable[TierInfo], direction: Direction) -> tuple[TierKey, ...]:
    """The tiers that have live policies in this direction."""
    keys = (_tier_key(tier, direction) for tier in tiers)
    return tuple(tier for tier in keys if tier.policies)


def _tier_key(tier: TierInfo, direction: Direction) -> TierKey:
    policies = tier.ingress_policies if direction == "ingress" else tier.egress_policies
    return TierKey(tier.name, tuple(p for p in policies if not p.staged), tier.default_action == "Pass")


def own_places(endpoint: WorkloadEndpoint, direction: Direction) -> tuple[int, ...]:
    """The addresses (`addresses`) that the endpoint's own side can have; what does not parse is nobody's address."""
    cidrs = [*endpoint.ipv4_nets, *endpoint.ipv6_nets]
    if direction == "egress":
        cidrs += endpoint.allow_spoofed_source_prefixes
    places = [place for cidr in cidrs if (place := _try_parse(cidr)) is not None]
    return (*places, LINK_LOCAL) if direction == "egress" else tuple(places)


def _try_parse(cidr: str) -> int | None:
    try:
        return parse_cidr(cidr)
    except Untranslatable:
        return None
