"""Chains, variants and their class rows: `<stage>.binding`, `<stage>.self_class`, `<stage>.peer_class`.

A chain is everything that decides for one direction of an endpoint; endpoints with the same tiers and profiles share it.
A variant is a chain as seen by endpoints whose own address is in particular groups; most chains have the default one only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from felix_proto.types import PolicyID

from .addresses import length_of, place
from .composition import Head, Meet
from .identity import Side
from .numbers import Names, Numbers
from .rule_lists import Change, RuleList, RuleLists

OwnerKey = tuple[str, PolicyID | str]
"""("policy", id) or ("profile", name)."""

ANYWHERE = (place(False, 0, 0), place(True, 0, 0))
"""The places of an own side that can have any address: a host endpoint's."""


class TierKey(NamedTuple):
    """One tier of a chain: live policies in order, and whether its end passes (anything but "Pass" denies)."""

    name: str
    policies: tuple[PolicyID, ...]
    passes: bool


class ChainKey(NamedTuple):
    """What a chain means: its tiers in order, then its profiles.

    ``behind_host_rules``: those (`host_rules`) are asked first, and no policy closes what they let through. ``verdictless``: behind
    all that there is no deny, the chain ends without a verdict.
    """

    tiers: tuple[TierKey, ...]
    profiles: tuple[str, ...]
    behind_host_rules: bool = False
    verdictless: bool = False

    def owners(self) -> Iterable[OwnerKey]:
        """Every policy and profile in it."""
        for tier in self.tiers:
            for policy in tier.policies:
                yield "policy", policy
        for profile in self.profiles:
            yield "profile", profile

    def meaning(self) -> str:
        """A text that is the same in every run."""
        return blake2b(repr((tuple(map(tuple, self.tiers)), *self[1:])).encode(), digest_size=12).hexdigest()


class Variant:
    """The lists of a chain for endpoints with the same own groups: the default and, by peer identity, the others."""

    __slots__ = ("default", "id", "lists", "meaning", "own")

    def __init__(self, number: int, meaning: str, own: int) -> None:
        self.id, self.meaning, self.own = number, meaning, own
        self.default: RuleList | None = None
        self.lists: dict[int, RuleList] = {}


class Chain:
    """One chain in the tables: its node, its variants by own groups, the own places of the endpoints bound to it."""

    __slots__ = ("anywhere", "default_own", "head", "id", "key", "meaning", "places", "self_rows", "variants")

    def __init__(self, number: int, key: ChainKey, meaning: str, head: Head) -> None:
        self.id, self.key, self.meaning, self.head = number, key, meaning, head
        self.variants: dict[int, Variant] = {}
        self.default_own = 0
        self.bind(())
        self.self_rows: dict[int, tuple[Variant, RuleList]] = {}

    @property
    def default_variant(self) -> Variant:
        """The variant of own addresses that have no row of their own."""
        return self.variants[self.default_own]

    def bind(self, own: Iterable[tuple[int, ...]]) -> None:
        """Note the own places of the endpoints that are bound to the chain. ``anywhere``: the own side can have any address."""
        self.places = {where for places in own for where in places}
        self.anywhere = any(not length_of(where) for where in self.places)


class ChainTables:
    """Keeps the class rows of one stage's chains equal to what their nodes say."""

    def __init__(self, stage: str, names: Names, own: Side, peer: Side) -> None:
        self.stage, self.own, self.peer = stage, own, peer
        self.lists = RuleLists(stage, names)
        self._chains = Numbers(f"{stage}.chain", names)
        self._variants = Numbers(f"{stage}.variant", names)

    # -- whole chains -------------------------------------------------------------------------------------------------

    def make(self, key: ChainKey, head: Head) -> Chain:
        """A chain with a number of its own and no rows yet."""
        meaning = key.meaning()
        return Chain(self._chains.get(meaning), key, meaning, head)

    def make_step(self, old: Chain, key: ChainKey) -> Chain:
        """A chain for the moment in which endpoints go from one chain to another."""
        meaning = f"{old.meaning}>{key.meaning()}"
        return Chain(self._chains.get(meaning), key, meaning, old.head)

    def refresh(self, chain: Chain, changes: list[Change]) -> None:
        """Make all rows of the chain anew and emit the differences. Raises TooManyRows, with nothing changed."""
        contents = self._own_contents(chain)
        lists = {own: self._lists(chain.head, own, changes) for own in set(contents.values())}
        fresh = bool(chain.head.self_mask or chain.self_rows)
        for own, (default, others) in lists.items():
            self._write_variant(chain, own, default, others, fresh, changes)
        self._write_self_rows(chain, contents, changes)
        for own in chain.variants.keys() - lists.keys():
            self._drop_variant(chain.variants.pop(own), changes)

    def probe(self, chain: Chain, meet: Meet) -> None:
        """Let ``meet`` see every pair of own and peer groups that the chain has rows for."""
        own_groups = {self.own.content(number) & meet.self_mask for number in self._own_identities(chain, meet.self_mask)}
        peers = {self.peer.content(number) & meet.peer_mask for number in self.peer.identities_in(meet.peer_mask)}
        for own in own_groups:
            for peer in {0, *peers}:
                meet.rows(own, peer)

    def rename(self, chain: Chain, key: ChainKey) -> None:
        """Let the chain mean ``key`` from now on: every endpoint bound to it moved there."""
        meaning = key.meaning()
        self._chains.rename(chain.meaning, meaning)
        for variant in chain.variants.values():
            new = meaning + variant.meaning[len(chain.meaning) :]
            self._variants.rename(variant.meaning, new)
            variant.meaning = new
        chain.key, chain.meaning = key, meaning

    def remove(self, chain: Chain, changes: list[Change]) -> None:
        """Delete every row of a chain that nothing is bound to."""
        self._set_self_rows(chain, {}, changes)
        for variant in chain.variants.values():
            self._drop_variant(variant, changes)
        chain.variants.clear()
        self._chains.retire(chain.meaning)

    def _lists(self, head: Head, own: int, changes: list[Change]) -> tuple[RuleList, dict[int, RuleList]]:
        default = self.lists.get(head.rows(own, 0), changes)
        found: dict[int, RuleList] = {}
        by_groups: dict[int, RuleList] = {}
        for identity in self.peer.identities_in(head.peer_mask):
            groups = self.peer.content(identity) & head.peer_mask
            rule_list = by_groups.get(groups)
            if rule_list is None:
                rule_list = by_groups[groups] = self.lists.get(head.rows(own, groups), changes)
            if rule_list is not default:
                found[identity] = rule_list
        return default, found

    # -- one identity -------------------------------------------------------------------------------------------------

    def follow_peer(self, chain: Chain, identity: int, content: int, changes: list[Change]) -> None:
        """An identity of the other side is new, means other groups, or is gone (content 0)."""
        for variant in chain.variants.values():
            rows = chain.head.rows(variant.own, content & chain.head.peer_mask)
            wanted = self.lists.get(rows, changes) if content else variant.default
            self._set_list(variant, identity, None if wanted is variant.default else wanted, changes)

    def follow_self(self, chain: Chain, changes: list[Change]) -> None:
        """Identities of own addresses are about to change: rows for the new ones, while the old ones keep what they have.

        Addresses carry their old identity until the row that gives them the new one is written, so nothing is taken away
        here and the default stays: that is for `sweep_self`, afterwards.
        """
        contents = self._own_contents(chain)
        for own in set(contents.values()) - chain.variants.keys():
            self._write_variant(chain, own, *self._lists(chain.head, own, changes), False, changes)
        wanted = dict(chain.self_rows)
        for identity, own in contents.items():
            if own != chain.default_own or identity in wanted:
                wanted[identity] = self._self_row(chain, own)
        self._set_self_rows(chain, wanted, changes)

    def sweep_self(self, chain: Chain, changes: list[Change]) -> None:
        """After `follow_self` was carried out: choose the default anew, drop rows and variants that no address needs."""
        contents = self._own_contents(chain)
        self._write_self_rows(chain, contents, changes)
        for own in chain.variants.keys() - set(contents.values()):
            self._drop_variant(chain.variants.pop(own), changes)

    def _own_contents(self, chain: Chain) -> dict[int, int]:
        """Identities that the endpoints' own addresses can have, with the groups of them that the chain asks about."""
        mask = chain.head.self_mask
        if not mask:
            return {0: 0}
        return {identity: self.own.content(identity) & mask for identity in self._own_identities(chain, mask)} or {0: 0}

    def _own_identities(self, chain: Chain, mask: int) -> set[int]:
        """Where any address can be an own one, every identity that makes a difference: not one for each address there is."""
        if chain.anywhere:
            return {0, *self.own.identities_in(mask)}
        return {identity for where in chain.places for identity in self.own.identities_inside(where)}

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _write_variant(
        self, chain: Chain, own: int, default: RuleList, lists: dict[int, RuleList], fresh: bool, changes: list[Change]
    ) -> None:
        """Give the variant these lists: in place, or under a new number where several variants change together, so that
        an own address moves from its old lists to its new ones in one row."""
        old = chain.variants.get(own)
        if old is not None and fresh and (old.default is not default or old.lists != lists):
            self._drop_variant(old, changes)
            old = None
        variant = old or self._new_variant(chain, own)
        chain.variants[own] = variant
        self.lists.use(default)
        if variant.default is not None:
            self.lists.drop(variant.default)
        variant.default = default
        for identity in variant.lists.keys() - lists.keys():
            self._set_list(variant, identity, None, changes)
        for identity, rule_list in lists.items():
            self._set_list(variant, identity, rule_list, changes)

    def _new_variant(self, chain: Chain, own: int) -> Variant:
        groups = "+".join(self.own.names_of(own))
        meaning = f"{chain.meaning}|{groups}"
        return Variant(self._variants.get(meaning), meaning, own)

    def _drop_variant(self, variant: Variant, changes: list[Change]) -> None:
        for identity in list(variant.lists):
            self._set_list(variant, identity, None, changes)
        if variant.default is not None:
            self.lists.drop(variant.default)
        self._variants.retire(variant.meaning)

    def _set_list(self, variant: Variant, identity: int, wanted: RuleList | None, changes: list[Change]) -> None:
        old = variant.lists.get(identity)
        if wanted is old:
            return
        if wanted is None:
            del variant.lists[identity]
        else:
            self.lists.use(wanted)
            variant.lists[identity] = wanted
        if old is not None:
            self.lists.drop(old)
        value = ("set_list", wanted.id) if wanted else None
        changes.append((f"{self.stage}.peer_class", (variant.id, identity), value))

    def _write_self_rows(self, chain: Chain, contents: Mapping[int, int], changes: list[Change]) -> None:
        """The commonest own groups become the chain's default; the others get rows. Where any address can be an own one, the
        default is that of all the addresses that nobody asks about."""
        counts = Counter(contents.values())
        chain.default_own = 0 if chain.anywhere else max(counts, key=lambda own: (counts[own], self.own.names_of(own)))
        rows = {i: self._self_row(chain, own) for i, own in contents.items() if own != chain.default_own}
        self._set_self_rows(chain, rows, changes)

    @staticmethod
    def _self_row(chain: Chain, own: int) -> tuple[Variant, RuleList]:
        variant = chain.variants[own]
        assert variant.default is not None
        return variant, variant.default

    def _set_self_rows(
        self, chain: Chain, wanted: dict[int, tuple[Variant, RuleList]], changes: list[Change]
    ) -> None:
        table = f"{self.stage}.self_class"
        for identity in chain.self_rows.keys() - wanted.keys():
            changes.append((table, (chain.id, identity), None))
        for identity, (variant, default) in wanted.items():
            if chain.self_rows.get(identity) != (variant, default):
                changes.append((table, (chain.id, identity), ("set_variant", variant.id, default.id)))
        chain.self_rows = wanted

    def binding(self, chain: Chain) -> tuple[str, int, int, int]:
        """The value of a binding row to this chain."""
        variant = chain.default_variant
        assert variant.default is not None
        return ("bind_host" if chain.key.behind_host_rules else "bind", chain.id, variant.id, variant.default.id)

    def rest(self, changes: list[Change]) -> None:
        """Delete what is no longer used, give numbers back."""
        self.lists.rest(changes)
        self._chains.settle()
        self._variants.settle()

    def resolvers(self, stage: str) -> dict[str, Callable[[int], str]]:
        """Names, the same in every run, for the numbers of this stage."""
        kinds = {"chain": self._chains, "variant": self._variants}
        named = {f"{stage}.{kind}": numbers.meaning for kind, numbers in kinds.items()}
        return {**named, f"{stage}.list": self.lists.meaning, f"{stage}.slot": self.lists.slots.text}
