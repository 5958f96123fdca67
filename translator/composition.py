"""Tiers and profiles composed into one ordered list of allow and deny for a pair of addresses.

`pass` jumps to the next tier here, not in the pipeline: without ports or protocol it replaces what follows, with them it
is intersected with what follows. What is left is L4 only, so the products are small; rows that an earlier row covers are
left out. Semantics: Calico contract, section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from . import l4
from .holes import Holed, split
from .identity import bits
from .l4 import EVERYTHING, Box, Region
from .rules import Action, CompiledRule, Ref
from .stages import Direction

MAX_ROWS = 65536
"""More rows than this in one list is no policy but a cliff; the endpoint is closed instead."""


CROWDED = 256
"""Rows from which on a product of rules is searched for rows that can never be hit; again whenever it has doubled."""

LOOK_AHEAD = 64
"""How many of the rows that follow are looked at to see what becomes of a hole: work stays proportional to the rules."""


class TooManyRows(Exception):
    """A composition grew past `MAX_ROWS`."""


class Row(NamedTuple):
    """One decision: the box it holds for, allow or deny, and the path (rules passed and logged, then what decided)."""

    box: Box
    allow: bool
    path: tuple[Ref, ...]


class Step(NamedTuple):
    """A rule whose addresses hold: its region, and for allow and deny its rows, last box first: ``rows``, then what may be
    carried out as hole and hull, then ``last``.

    A fragment passes only if it would with every port: a deny with ports holds for it, an allow with ports does not.
    """

    action: Action
    region: Region
    ref: Ref
    rows: tuple[Row, ...]
    holed: tuple[Holed, ...] = ()
    last: tuple[Row, ...] = ()


UNCONDITIONAL: Region = (EVERYTHING,)


class Steps:
    """What is left of a rule set for one pair of addresses; ``ends``: its last step always decides; ``passes``: some step
    leads to the next tier."""

    __slots__ = ("ends", "passes", "steps")

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.passes = any(step.action == "pass" for step in steps)
        self.ends = bool(steps) and steps[-1].region == UNCONDITIONAL and steps[-1].action != "log"


class RuleSet:
    """The compiled rules of one policy or profile in one direction.

    Addresses in different groups often leave the same rules; equal sequences of steps are one object, so that what is
    made of them is made once.
    """

    __slots__ = ("_anchored", "_cache", "_interned", "_steps", "_unanchored", "peer_mask", "rules", "self_mask")

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.rules = tuple(rules)
        self._cache: dict[tuple[int, int], Steps] = {}
        self._interned: dict[tuple[int, ...], Steps] = {}
        self._steps: dict[tuple[int, Region], Step] = {}
        self.self_mask = self.peer_mask = 0
        self._unanchored: list[int] = []
        self._anchored: dict[int, list[int]] = {}
        for index, rule in enumerate(self.rules):
            self.self_mask |= rule.self_mask
            self.peer_mask |= rule.peer_mask
            self._index(index, rule.anchor())

    def _index(self, index: int, anchor: int) -> None:
        """File a rule under the peer groups it cannot match without: of a thousand rules with a set each, few are looked at."""
        if not anchor:
            self._unanchored.append(index)
        for bit in bits(anchor):
            self._anchored.setdefault(1 << bit, []).append(index)

    def _candidates(self, peer: int) -> Sequence[int]:
        found = set(self._unanchored)
        for bit in bits(peer):
            found.update(self._anchored.get(1 << bit, ()))
        return sorted(found) if len(found) > len(self._unanchored) else self._unanchored

    def steps(self, own: int, peer: int) -> Steps:
        """The rules whose addresses hold, in order, up to the first that always decides."""
        key = (own & self.self_mask, peer & self.peer_mask)
        steps = self._cache.get(key)
        if steps is None:
            found = tuple(self._active(*key))
            ids = tuple(map(id, found))
            steps = self._interned.get(ids) or self._interned.setdefault(ids, Steps(found))
            self._cache[key] = steps
        return steps

    def _active(self, own: int, peer: int) -> Iterable[Step]:
        for index in self._candidates(peer):
            rule = self.rules[index]
            region = rule.region(own, peer)
            if region:
                yield self._steps.get((index, region)) or self._step(index, rule, region)
                if region == UNCONDITIONAL and rule.action != "log":
                    return

    def _step(self, index: int, rule: CompiledRule, region: Region) -> Step:
        boxes = region if rule.action == "allow" else (*region, *l4.possible_fragments(region))
        first, holed, last = split(boxes)
        rows, behind = (tuple(_row(box, rule) for box in reversed(part)) for part in (first, last))
        step = self._steps[index, region] = Step(rule.action, region, rule.ref, rows, holed, behind)
        return step


def _row(box: Box, rule: CompiledRule | Step) -> Row:
    return Row(box, rule.action == "allow", (rule.ref,))


class Node:
    """One tier (or profile) and all that follows it. Nodes are shared by all chains with the same rest."""

    __slots__ = ("_by_steps", "_cache", "default", "next", "peer_mask", "rule_sets", "self_mask")

    def __init__(self, rule_sets: Sequence[RuleSet], default: Ref | None, after: Node | None) -> None:
        """``default`` stands at the end of the tier: its deny, or the end of a chain without a verdict (action pass); None goes
        on to ``after``."""
        self.rule_sets, self.default, self.next = tuple(rule_sets), default, after
        self._cache: dict[tuple[int, int], tuple[Row, ...]] = {}
        self._by_steps: dict[tuple[int, ...], tuple[Row, ...]] = {}
        self.self_mask: int = after.self_mask if after else 0
        self.peer_mask: int = after.peer_mask if after else 0
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
        parts, needs_tail = self._parts(own, peer)
        tail = self.next.rows(own, peer) if needs_tail and self.next else ()
        key = (id(tail), *map(id, parts))
        rows = self._by_steps.get(key)
        if rows is None:
            end = tail if self.default is None else (Row(EVERYTHING, self.default.action != "deny", (self.default,)),)
            steps = [step for part in parts for step in part.steps]
            rows = self._by_steps[key] = _prune(_backwards(steps, end, tail))
        return rows

    def _parts(self, own: int, peer: int) -> tuple[list[Steps], bool]:
        """The steps of this tier up to the one that always decides, and whether what follows the tier matters."""
        parts = []
        needs_tail = False
        for rule_set in self.rule_sets:
            part = rule_set.steps(own, peer)
            if part.steps:
                parts.append(part)
                needs_tail |= part.passes
                if part.ends:
                    return parts, needs_tail
        return parts, needs_tail or self.default is None


class Meet:
    """Two versions of a chain at once: allowed is what both allow. The step between them, where one direction of a path
    opens while the other closes; packets are judged by the old or by the new version, whichever denies."""

    __slots__ = ("_by_rows", "closes", "new", "old", "opens", "peer_mask", "self_mask")

    def __init__(self, old: Head, new: Head) -> None:
        self.old, self.new = old, new
        self.self_mask: int = old.self_mask | new.self_mask
        self.peer_mask: int = old.peer_mask | new.peer_mask
        self._by_rows: dict[tuple[int, int], tuple[Row, ...]] = {}
        self.closes = self.opens = False
        """Whether the new version denies something that the old allows, and the other way, among what was asked."""

    def rows(self, own: int, peer: int) -> tuple[Row, ...]:
        """As `Node.rows`. Raises TooManyRows."""
        return self.between(self.old.rows(own, peer), self.new.rows(own, peer))

    def between(self, old: tuple[Row, ...], new: tuple[Row, ...]) -> tuple[Row, ...]:
        """What both lists allow, noting whether ``new`` closes or opens. Both must outlive this object. Raises TooManyRows."""
        key = (id(old), id(new))
        rows = self._by_rows.get(key)
        if rows is None:
            rows = self._by_rows[key] = new if old == new else self._product(old, new)
        return rows

    def _product(self, old: tuple[Row, ...], new: tuple[Row, ...]) -> tuple[Row, ...]:
        out = []
        for before in old:
            for after in new:
                box = l4.intersect_boxes(before.box, after.box)
                if box is not None:
                    old_weight, new_weight = _weight(before), _weight(after)
                    self.closes |= new_weight < old_weight
                    self.opens |= new_weight > old_weight
                    less = before if old_weight < new_weight else after
                    out.append(Row(box, less.allow, less.path))
            if len(out) > MAX_ROWS:
                raise TooManyRows
        return _prune(out)


_END_WEIGHT, _ALLOW_WEIGHT = 1, 2


def _weight(row: Row) -> int:
    """How much a decision lets through: a deny nothing; the end of a chain leaves the packet to what follows, where an allow of
    untracked or pre-DNAT policy excuses it from that."""
    if not row.allow:
        return 0
    return _END_WEIGHT if row.path[-1].kind == "chain_end" else _ALLOW_WEIGHT


class Moved:
    """A chain as asked once the identities on the move mean what they shall (`identity.Side.set_out`)."""

    __slots__ = ("_own", "_own_flags", "_peer", "_peer_flags", "head", "peer_mask", "self_mask")

    def __init__(self, head: Node, own: Moving, peer: Moving) -> None:
        self.head, self._own, self._peer = head, dict(own), dict(peer)
        self._own_flags, self._peer_flags = sum(own), sum(peer)
        self.self_mask: int = head.self_mask | _asked(own, head.self_mask)
        self.peer_mask: int = head.peer_mask | _asked(peer, head.peer_mask)

    @property
    def differs(self) -> bool:
        """Whether the chain asks about anything that moves."""
        return (self.self_mask, self.peer_mask) != (self.head.self_mask, self.head.peer_mask)

    def rows(self, own: int, peer: int) -> tuple[Row, ...]:
        """As `Node.rows`. Raises TooManyRows."""
        if own & self._own_flags:
            own = self._own[own & self._own_flags][1]
        if peer & self._peer_flags:
            peer = self._peer[peer & self._peer_flags][1]
        return self.head.rows(own, peer)


Moving = Mapping[int, tuple[int, int]]


def _asked(moving: Moving, mask: int) -> int:
    return sum(flag for flag, (before, after) in moving.items() if (before ^ after) & mask)


Head = Node | Meet | Moved
"""What a chain's rows are made from."""


def _backwards(steps: Sequence[Step], end: tuple[Row, ...], tail: tuple[Row, ...]) -> list[Row]:
    """Compose from the last rule to the first; rows are gathered in reverse, so that each step only appends."""
    out = list(reversed(end))
    crowded = CROWDED
    for step in reversed(steps):
        action, region, ref, *_ = step
        if action == "pass" or action == "log":
            rest = tail if action == "pass" else tuple(reversed(out))
            if region == UNCONDITIONAL:
                out.clear()
            if action == "pass":
                out.extend(_denied_fragments(region, ref, tail))
            out.extend(reversed(_behind(region, ref, rest)))
            if len(out) > crowded:
                out = list(reversed(_prune(reversed(out), thorough=True)))
                crowded = max(CROWDED, 2 * len(out))
        else:
            if region == UNCONDITIONAL:
                out.clear()
            if step.holed:
                out.extend([*step.last, *_holes(step, out)])
            out.extend(step.rows)
        if len(out) > MAX_ROWS:
            raise TooManyRows
    out.reverse()
    return out


def _holes(step: Step, after: Sequence[Row]) -> list[Row]:
    """The boxes of an allow or deny that are mostly complement, last first; ``after``: what follows the rule, last first."""
    out: list[Row] = []
    for box, hull, hole in reversed(step.holed):
        inside = _inside(hole, islice(reversed(after), LOOK_AHEAD), l4.size(box) - l4.size(hull) - 1)
        if inside is None:
            out.append(_row(box, step))
        else:
            out += [_row(hull, step), *reversed(inside)]
    return out


def _inside(hole: Box, after: Iterable[Row], most: int) -> list[Row] | None:
    """What becomes of the packets in ``hole``; None if that takes more than ``most`` rows of the table, or a longer look."""
    out = []
    for box, allow, path in after:
        common = l4.intersect_boxes(hole, box)
        if common is not None:
            out.append(Row(common, allow, path))
            most -= l4.size(common)
            if most < 0:
                return None
            if common == hole:
                return out
    return None


def _behind(region: Region, ref: Ref, rest: Iterable[Row]) -> list[Row]:
    """``rest`` as met by packets of ``region`` that went past ``ref``."""
    out = []
    for box, allow, path in rest:
        for own in region:
            common = l4.intersect_boxes(own, box)
            if common is not None:
                out.append(Row(common, allow, (ref, *path)))
    return out


def _denied_fragments(region: Region, ref: Ref, tail: Iterable[Row]) -> list[Row]:
    """The fragments that may pass on to the next tier and are denied there: both ways on must allow."""
    out: list[Row] = []
    for box in l4.possible_fragments(region):
        left = {family: box.protocols for family in (l4.V4, l4.V6) if box.families & family}
        denied: dict[tuple[int, tuple[Ref, ...]], int] = {}
        for row in tail:
            if row.box.kinds & l4.FRAGMENT:
                for family in left.keys() & {row.box.families & l4.V4, row.box.families & l4.V6}:
                    hit = left[family] & row.box.protocols
                    left[family] ^= hit
                    if hit and not row.allow:
                        denied[hit, row.path] = denied.get((hit, row.path), 0) | family
        out.extend(Row(Box(families, hit, l4.FRAGMENT), False, (ref, *path)) for (hit, path), families in denied.items())
    return out


def _prune(rows: Iterable[Row], thorough: bool = False) -> tuple[Row, ...]:
    """Leave out rows that one earlier row covers.

    Usually only earlier rows without ports are looked at, which are few. ``thorough`` looks at all: products of overlapping
    port ranges would otherwise double with every rule.
    """
    out: list[Row] = []
    seen: set[Box] = set()
    earlier: dict[tuple[int, int, int], list[Box]] = {}
    for row in rows:
        box = row.box
        if box in seen or _covered(box, earlier):
            continue
        seen.add(box)
        out.append(row)
        if thorough or l4.is_wide(box):
            alike = earlier.get(box[:3], ())
            earlier[box[:3]] = [*(other for other in alike if not l4.covers(box, other)), box]
            if box == EVERYTHING:
                break
    return tuple(out)


def _covered(box: Box, earlier: dict[tuple[int, int, int], list[Box]]) -> bool:
    families, protocols, kinds, *_ = box
    for (f, p, k), boxes in earlier.items():
        if not (families & ~f or protocols & ~p or kinds & ~k) and any(l4.covers(other, box) for other in boxes):
            return True
    return False


def end_of_tier(direction: Direction, tier: str, trigger: Ref) -> Ref:
    """The reference of a tier's default deny; ``trigger`` is any reference to its first live policy."""
    return Ref("tier_end", direction, "deny", trigger.owner, tier)
