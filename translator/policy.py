"""Policy of workload endpoints: everything from tiers, policies, profiles and IP sets to the rows of the policy tables.

`PolicyPart.update` answers one batch of changes with transactions in order: first members and identities move under the
chains as they are, then chains are edited. So that an address is never judged by a new policy under an old identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from felix_proto.types import PolicyID, TierInfo, WorkloadEndpoint, WorkloadEndpointID

from .addresses import parse_cidr
from .catalog import Catalog, PolicyStore, Use
from .chains import Chain, ChainKey, ChainTables, TierKey
from .composition import Head, Meet, Node, TooManyRows, end_of_tier
from .errors import Untranslatable
from .groups import Delta, Groups, IPSetView
from .identity import Commit, Side
from .names import endpoint_meaning
from .numbers import Names
from .rule_lists import Change
from .rules import Direction, Ref
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


class Stage:
    """One policy stage: its chains by meaning, and which chain each endpoint is bound to."""

    def __init__(self, direction: Direction, names: Names, own: Side, peer: Side, catalog: Catalog) -> None:
        self.direction: Direction = direction
        self.tables = ChainTables(direction, names, own, peer)
        self.errors: dict[ChainKey, str] = {}
        self._names = names
        self._catalog = catalog
        self._chains: dict[ChainKey, Chain] = {}
        self._bound: dict[WorkloadEndpointID, ChainKey] = {}
        self._unswept: dict[ChainKey, Chain] = {}
        self._came_from: dict[WorkloadEndpointID, ChainKey] = {}
        self._places: dict[WorkloadEndpointID, tuple[int, ...]] = {}
        self._members: dict[ChainKey, set[WorkloadEndpointID]] = {}
        self._rows: dict[WorkloadEndpointID, tuple[int, tuple[Any, ...]]] = {}
        self._nodes: dict[tuple[Any, ...], Node] = {}
        self._users: dict[Use, set[ChainKey]] = {}

    # -- which chains there are ---------------------------------------------------------------------------------------

    def bind(self, endpoint_id: WorkloadEndpointID, key: ChainKey | None, places: tuple[int, ...]) -> set[ChainKey]:
        """Note the chain an endpoint wants (None: the endpoint is gone); returns the chains concerned."""
        old = self._bound.pop(endpoint_id, None)
        if old is not None:
            self._members[old].discard(endpoint_id)
            self._came_from[endpoint_id] = old
        if key is None:
            self._places.pop(endpoint_id, None)
            return set() if old is None else {old}
        self._bound[endpoint_id] = key
        self._places[endpoint_id] = places
        if key not in self._members:
            self._members[key] = set()
            for owner in key.owners():
                self._users.setdefault((self.direction, owner), set()).add(key)
        self._members[key].add(endpoint_id)
        return {key} if old is None else {key, old}

    def chain_of(self, endpoint_id: WorkloadEndpointID) -> ChainKey | None:
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
        uses: set[Use] = {(self.direction, owner) for key in keys if self._members[key] for owner in key.owners()}
        return {use for use in uses if self._catalog.is_stale(use)}

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
                if chain.head.self_mask and (own.rows or own.classes):
                    # once for each phase: what is missing is added, what is left over is for `sweep`
                    self.tables.follow_self(chain, changes)
                    self._unswept.setdefault(chain.key, chain)
            except TooManyRows:
                self._break(chain.key, TOO_MANY, changes)

    def close(self, keys: Iterable[ChainKey], changes: list[Change]) -> dict[Chain, Meet]:
        """First half of an edit: chains that cannot be translated are closed. Returns the others that exist and change,
        each as a step between its two versions."""
        meets: dict[Chain, Meet] = {}
        for key in sorted(keys):
            if not self._members.get(key):
                continue
            errors = [e for owner in key.owners() if (e := self._catalog.get((self.direction, owner)).error)]
            self.errors.pop(key, None)
            if errors:
                self._break(key, errors[0], changes)
                continue
            chain = self._chains.get(key) or self._take_over(key)
            if chain is not None and chain.head is not (head := self._head(key)):
                meets[chain] = Meet(chain.head, head)
        self._came_from.clear()
        return meets

    def _take_over(self, key: ChainKey) -> Chain | None:
        """A chain that all its endpoints left for ``key`` becomes it: an edit in place instead of a new chain."""
        left = {self._came_from[e] for e in self._members[key] if e in self._came_from}
        free = [old for old in left if not self._members.get(old) and old in self._chains]
        if not free:
            return None
        old = max(free, key=lambda k: len(set(k.owners()) & set(key.owners())))
        chain = self._chains[key] = self._chains.pop(old)
        self.tables.rename(chain, key)
        return chain

    def step(self, meets: Mapping[Chain, Meet], changes: list[Change]) -> None:
        """Between the halves: what either version denies is denied."""
        for chain, meet in meets.items():
            chain.head = meet
            try:
                self.tables.refresh(chain, changes)
            except TooManyRows:
                self._break(chain.key, TOO_MANY, changes)
            else:
                for endpoint_id in sorted(self._members[chain.key]):
                    if self._is_bound_to(chain, endpoint_id):  # those who come from elsewhere keep what they have till the end
                        self._write_binding(endpoint_id, changes)

    def _is_bound_to(self, chain: Chain, endpoint_id: WorkloadEndpointID) -> bool:
        _, value = self._rows.get(endpoint_id, (0, ()))
        return bool(value) and value[1] == chain.id

    def edit(self, keys: Iterable[ChainKey], changes: list[Change]) -> None:
        """Second half: make these chains anew, then the bindings of their endpoints."""
        for key in sorted(keys):
            if self._members.get(key) and key not in self.errors:
                self._edit(key, changes)
                self._write_bindings(key, changes)

    def unbind(self, endpoint_id: WorkloadEndpointID, changes: list[Change]) -> None:
        """Write what `bind` said of an endpoint that is gone."""
        self._write_binding(endpoint_id, changes)

    def _edit(self, key: ChainKey, changes: list[Change]) -> None:
        head = self._head(key)
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chains[key] = self.tables.make(key, head)
        chain.bound = {endpoint_id: self._places[endpoint_id] for endpoint_id in self._members[key]}
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
        self.errors[key] = error
        chain = self._chains.pop(key, None)
        if chain is not None:
            self.tables.remove(chain, changes)
        self._write_bindings(key, changes)

    def _write_bindings(self, key: ChainKey, changes: list[Change]) -> None:
        for endpoint_id in sorted(self._members[key]):
            self._write_binding(endpoint_id, changes)

    def _write_binding(self, endpoint_id: WorkloadEndpointID, changes: list[Change]) -> None:
        key = self._bound.get(endpoint_id)
        chain = self._chains.get(key) if key is not None else None
        number, there = self._rows.get(endpoint_id, (0, None))
        wanted = self.tables.binding(chain) if chain is not None else None
        if wanted == there:
            return
        number = number or self._names.get("endpoint", endpoint_meaning(endpoint_id))
        changes.append((f"{self.direction}.binding", (number,), wanted))
        if wanted is None:
            del self._rows[endpoint_id]
        else:
            self._rows[endpoint_id] = (number, wanted)

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _head(self, key: ChainKey) -> Node:
        node = self._node((), Ref("profiles_end", self.direction, "deny"), None)
        for profile in reversed(key.profiles):
            node = self._node((("profile", profile),), None, node)
        for tier in reversed(key.tiers):
            owners = tuple(("policy", policy) for policy in tier.policies)
            trigger = Ref("policy", self.direction, "deny", tier.policies[0])
            node = self._node(owners, None if tier.passes else end_of_tier(self.direction, tier.name, trigger), node)
        return node

    def _node(self, owners: tuple[Any, ...], default: Ref | None, after: Node | None) -> Node:
        """The shared node for one tier and what follows, made anew where a policy in it was."""
        rule_sets = [rules for owner in owners if (rules := self._catalog.get((self.direction, owner)).rules)]
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
            use: Use = (self.direction, owner)
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


class PolicyPart:
    """The policy tables of workload endpoints, both directions."""

    def __init__(self, names: Names) -> None:
        self.sides = {"src": Side("src", names), "dst": Side("dst", names)}
        self.groups = Groups(self.sides)
        self.catalog = Catalog(self.groups)
        src, dst = self.sides["src"], self.sides["dst"]
        self.stages: dict[Direction, Stage] = {
            "egress": Stage("egress", names, src, dst, self.catalog),
            "ingress": Stage("ingress", names, dst, src, self.catalog),
        }

    def update(self, store: Store, dirty: Dirty) -> Iterator[list[Change]]:
        """The transactions that follow one batch of changes, in order. The first is complete before the second is made."""
        remade = self.catalog.users_of_sets(self.groups.update(store.ip_sets, dirty.ip_sets))
        touched, gone = self._bind(store, dirty)
        self._stage(store, dirty, touched, remade)
        yield from self._follow()
        yield from self._edit(touched, gone)
        yield from self._sweep()
        self.groups.finish()

    def closed(self, endpoint_id: WorkloadEndpointID, direction: Direction) -> str | None:
        """Why an endpoint's direction cannot be translated and so is closed; None where it can."""
        stage = self.stages[direction]
        key = stage.chain_of(endpoint_id)
        return stage.errors.get(key) if key is not None else None

    def rest(self) -> Iterator[list[Change]]:
        """Transactions for a quiet moment: what nothing uses is deleted, identities of equal meaning are merged."""
        changes: list[Change] = []
        for stage in self.stages.values():
            for use in stage.rest(changes):
                if use in self.catalog:
                    self.catalog.drop(use)
        yield changes
        self.catalog.finish()
        self.groups.rest()
        yield from self._follow_rest()
        yield from self._sweep()

    def _bind(
        self, store: Store, dirty: Dirty
    ) -> tuple[dict[Direction, set[ChainKey]], set[WorkloadEndpointID]]:
        touched: dict[Direction, set[ChainKey]] = {d: set() for d in DIRECTIONS}
        for endpoint_id in dirty.endpoints:
            endpoint = store.endpoints.get(endpoint_id)
            for direction, stage in self.stages.items():
                key = chain_key(endpoint, direction) if endpoint is not None else None
                places = own_places(endpoint, direction) if endpoint is not None else ()
                touched[direction] |= stage.bind(endpoint_id, key, places)
        return touched, {endpoint_id for endpoint_id in dirty.endpoints if endpoint_id not in store.endpoints}

    def _stage(self, store: Store, dirty: Dirty, touched: dict[Direction, set[ChainKey]], remade: set[Use]) -> None:
        for direction, stage in self.stages.items():
            uses: set[Use] = {(direction, ("policy", policy)) for policy in dirty.policies}
            uses |= {(direction, ("profile", profile)) for profile in dirty.profiles}
            uses = {use for use in uses if use in self.catalog and not self.catalog.is_current(use, store)}
            uses |= {use for use in remade if use[0] == direction}
            self.catalog.mark_stale(uses)
            for use in {use for use in uses if stage.in_use(use)} | stage.missing(touched[direction]):
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

    def _follow_rest(self) -> Iterator[list[Change]]:
        phases = {name: side.rest() for name, side in self.sides.items()}
        for number in range(3):
            yield self._follow_phase({name: commits[number] for name, commits in phases.items()})

    def _follow_phase(self, commits: Mapping[str, Commit]) -> list[Change]:
        changes: list[Change] = []
        self.stages["egress"].follow(commits["src"], commits["dst"], changes)
        self.stages["ingress"].follow(commits["dst"], commits["src"], changes)
        for name, commit in commits.items():
            changes.extend(identity_rows(name, commit.rows))
        return changes

    def _sweep(self) -> Iterator[list[Change]]:
        changes: list[Change] = []
        for stage in self.stages.values():
            stage.sweep(changes)
        if changes:
            yield changes

    def _edit(
        self, touched: dict[Direction, set[ChainKey]], gone: set[WorkloadEndpointID]
    ) -> Iterator[list[Change]]:
        adopted = self.catalog.adopt()
        keys = {d: touched[d] | stage.users(use for use in adopted if use[0] == d) for d, stage in self.stages.items()}
        changes: list[Change] = []
        meets = {d: stage.close(keys[d], changes) for d, stage in self.stages.items()}
        if self._crossing(meets):
            for direction, stage in self.stages.items():
                stage.step(meets[direction], changes)
        if changes:
            yield changes
        changes = []
        for direction, stage in self.stages.items():
            stage.edit(keys[direction], changes)
            for endpoint_id in gone:
                stage.unbind(endpoint_id, changes)
        yield changes
        self.catalog.finish()

    def _crossing(self, meets: Mapping[Direction, Mapping[Chain, Meet]]) -> bool:
        """Whether one direction closes something while the other opens something: a packet between two local endpoints
        could slip through between the writes."""
        egress, ingress = meets["egress"], meets["ingress"]
        if not (egress and ingress):
            return False
        for direction, stage in self.stages.items():
            for chain, meet in meets[direction].items():
                try:
                    stage.tables.probe(chain, meet)
                except TooManyRows:
                    return True
        return any(
            any(m.closes for m in one.values()) and any(m.opens for m in other.values())
            for one, other in ((egress, ingress), (ingress, egress))
        )


def chain_key(endpoint: WorkloadEndpoint, direction: Direction) -> ChainKey:
    """The chain of an endpoint: staged policies skipped, tiers without live ones left out (contract 3.2, 3.3)."""
    tiers = (_tier_key(tier, direction) for tier in endpoint.tiers)
    return ChainKey(tuple(tier for tier in tiers if tier.policies), endpoint.profile_ids)


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
