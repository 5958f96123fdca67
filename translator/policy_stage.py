"""One policy stage: which chain each endpoint is bound to, and the rows of the chains, as policies, identities and endpoints change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .catalog import Catalog, Use
from .chains import Chain, ChainKey, ChainTables
from .composition import Head, Meet, Moved, Node, TooManyRows
from .heads import Heads
from .identity import Commit, Side
from .names import EndpointKey, endpoint_meaning
from .numbers import Names
from .rule_lists import Change
from .stages import StageSpec

TOO_MANY = "its rules multiply to too many rows"

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
        self._heads = Heads(spec.view, catalog)
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

    def _head(self, key: ChainKey) -> Node:
        return self._heads.closed() if key in self.errors else self._heads.head(key)

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
        self._heads.keep(self._chains.values())
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


def _moves_own(chain: Chain, own: Commit) -> bool:
    """Whether identities of own addresses moved in a way that the chain may have to follow."""
    mask = chain.head.self_mask
    if not mask or not chain.anywhere:
        return bool(mask and (own.rows or own.classes))
    return any(mask & (change.before | change.after) for change in own.classes)
