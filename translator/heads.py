"""The tiers and profiles of chains, composed from their ends: chains that end alike share the nodes of their common end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .catalog import Catalog
from .chains import Chain, ChainKey
from .composition import Head, Node, end_of_tier
from .rules import Ref
from .stages import View


class Heads:
    """The nodes of one stage's chains."""

    def __init__(self, view: View, catalog: Catalog) -> None:
        """``catalog`` has the compiled policies and profiles of this ``view``."""
        self._view, self._direction, self._catalog = view, view.direction, catalog
        self._nodes: dict[tuple[Any, ...], Node] = {}

    def closed(self) -> Node:
        """What stands in for a chain that cannot be translated: everything is denied."""
        return self._node((), Ref("closed", self._direction, "deny"), None)

    def head(self, key: ChainKey) -> Node:
        """The first node of a chain: its tiers, then its profiles, then its end (contract 3.2, 3.3)."""
        end = Ref("chain_end", self._direction, "pass") if key.verdictless else Ref("profiles_end", self._direction, "deny")
        node = self._node((), end, None)
        for profile in reversed(key.profiles):
            node = self._node((("profile", profile),), None, node)
        for tier in reversed(key.tiers):
            owners = tuple(("policy", policy) for policy in tier.policies)
            trigger = Ref("policy", self._direction, "deny", tier.policies[0])
            node = self._node(owners, None if tier.passes else end_of_tier(self._direction, tier.name, trigger), node)
        return node

    def _node(self, owners: tuple[Any, ...], default: Ref | None, after: Node | None) -> Node:
        """The shared node for one tier and what follows, made anew where a policy in it was."""
        rule_sets = [rules for owner in owners if (rules := self._catalog.get((self._view, owner)).rules)]
        key = (tuple(map(id, rule_sets)), default, id(after))
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(rule_sets, default, after)
        return node

    def keep(self, chains: Iterable[Chain]) -> None:
        """Forget the nodes that none of these chains has."""
        live: set[int] = set()
        for chain in chains:
            node: Head | None = chain.head
            while isinstance(node, Node) and id(node) not in live:
                live.add(id(node))
                node = node.next
        self._nodes = {key: node for key, node in self._nodes.items() if id(node) in live}
