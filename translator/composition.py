"""Tiers and profiles composed into one ordered list of allow and deny for a pair of addresses.

`pass` jumps to the next tier here, not in the pipeline: without ports or protocol it replaces what follows, with them it
is intersected with what follows. What is left is L4 only, so the products are small; rows that an earlier row covers are
left out. Semantics: Calico contract, section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import l4
from .l4 import EVERYTHING, Box, Region
from .rules import Action, CompiledRule, Direction, Ref

MAX_ROWS = 65536
"""More rows than this in one list is no policy but a cliff; the endpoint is closed instead."""


class TooManyRows(Exception):
    """A composition grew past `MAX_ROWS`."""


class Row(NamedTuple):
    """One decision: the box it holds for, allow or deny, and the path (rules passed and logged, then what decided)."""

    box: Box
    allow: bool
    path: tuple[Ref, ...]


Step = tuple[Action, Region, Ref]
UNCONDITIONAL: Region = (EVERYTHING,)


class RuleSet:
    """The compiled rules of one policy or profile in one direction."""

    __slots__ = ("_cache", "peer_mask", "rules", "self_mask")

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.rules = tuple(rules)
        self._cache: dict[tuple[int, int], tuple[Step, ...]] = {}
        self.self_mask = self.peer_mask = 0
        for rule in self.rules:
            self.self_mask |= rule.self_mask
            self.peer_mask |= rule.peer_mask

    def steps(self, own: int, peer: int) -> tuple[Step, ...]:
        """The rules whose addresses hold, in order, up to the first that always decides."""
        key = (own & self.self_mask, peer & self.peer_mask)
        steps = self._cache.get(key)
        if steps is None:
            steps = self._cache[key] = tuple(self._active(*key))
        return steps

    def _active(self, own: int, peer: int) -> Iterable[Step]:
        for rule in self.rules:
            region = rule.region(own, peer)
            if region:
                yield rule.action, region, rule.ref
                if region == UNCONDITIONAL and rule.action != "log":
                    return


class Node:
    """One tier (or profile) and all that follows it. Nodes are shared by all chains with the same rest."""

    __slots__ = ("_cache", "default", "next", "peer_mask", "rule_sets", "self_mask")

    def __init__(self, rule_sets: Sequence[RuleSet], default: Ref | None, after: Node | None) -> None:
        """``default`` decides at the end of the tier; None passes on to ``after`` (None: nothing follows)."""
        self.rule_sets, self.default, self.next = tuple(rule_sets), default, after
        self._cache: dict[tuple[int, int], tuple[Row, ...]] = {}
        self.self_mask = after.self_mask if after else 0
        self.peer_mask = after.peer_mask if after else 0
        for rule_set in rule_sets:
            self.self_mask |= rule_set.self_mask
            self.peer_mask |= rule_set.peer_mask

    def rows(self, own: int, peer: int) -> tuple[Row, ...]:
        """The decisions for an endpoint in the groups ``own`` and a peer in ``peer``, first match wins, all covered.

        Raises TooManyRows.
        """
        key = (own & self.self_mask, peer & self.peer_mask)
        rows = self._cache.get(key)
        if rows is None:
            rows = self._cache[key] = self._compose(*key)
        return rows

    def _compose(self, own: int, peer: int) -> tuple[Row, ...]:
        tail = self.next.rows(own, peer) if self.next else ()
        end = tail if self.default is None else (Row(EVERYTHING, False, (self.default,)),)
        steps = [step for rule_set in self.rule_sets for step in rule_set.steps(own, peer)]
        return _prune(_backwards(steps, end, tail))


def _backwards(steps: Sequence[Step], end: tuple[Row, ...], tail: tuple[Row, ...]) -> list[Row]:
    """Compose from the last rule to the first; rows are gathered in reverse, so that each step only appends."""
    out = list(reversed(end))
    for action, region, ref in reversed(steps):
        if action == "pass" or action == "log":
            rest = tail if action == "pass" else tuple(reversed(out))
            if region == UNCONDITIONAL:
                out.clear()
            out.extend(reversed(_behind(region, ref, rest)))
        else:
            if region == UNCONDITIONAL:
                out.clear()
            out.extend(Row(box, action == "allow", (ref,)) for box in reversed(region))
        if len(out) > MAX_ROWS:
            raise TooManyRows
    out.reverse()
    return out


def _behind(region: Region, ref: Ref, rest: Iterable[Row]) -> list[Row]:
    """``rest`` as met by packets of ``region`` that went past ``ref``."""
    out = []
    for box, allow, path in rest:
        for own in region:
            common = l4.intersect_boxes(own, box)
            if common is not None:
                out.append(Row(common, allow, (ref, *path)))
    return out


def _prune(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Leave out rows that one earlier row covers; a deny with ports also holds for fragments, whose ports are unknown."""
    out: list[Row] = []
    seen: set[Box] = set()
    wide: list[Box] = []
    for row in rows:
        boxes = (row.box,) if row.allow else l4.with_possible_fragments((row.box,))
        for box in boxes:
            if box in seen or any(l4.covers(earlier, box) for earlier in wide):
                continue
            seen.add(box)
            out.append(row if box is row.box else Row(box, row.allow, row.path))
            if l4.is_wide(box):
                wide.append(box)
        if row.box == EVERYTHING:
            break
    return tuple(out)


def end_of_tier(direction: Direction, tier: str, trigger: Ref) -> Ref:
    """The reference of a tier's default deny; ``trigger`` is any reference to its first live policy."""
    return Ref("tier_end", direction, "deny", trigger.owner, tier)
