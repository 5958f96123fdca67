"""Whether member changes need a step between: a packet between two local endpoints meets several chains, and one may close for it
while another opens. A row of an address changes all chains at once; two addresses, or a class that changes its meaning, do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from .addresses import is_host, is_v6, length_of, overlap, place, value_of
from .chains import Chain, ChainTables
from .composition import Head, Meet, Row, TooManyRows
from .identity import Side

Pair = tuple[int, int]
"""Contents of a place before and after."""


class Stage(Protocol):
    """What is read of `policy.Stage`."""

    @property
    def tables(self) -> ChainTables: ...
    def chains(self) -> Iterable[Chain]: ...
    def places_in_force(self) -> set[int]: ...


class Motion:
    """What the pending member changes of a side do to single addresses."""

    def __init__(self, side: Side) -> None:
        self._side, self._pending, self._direct = side, side.pending, side.places.direct
        self.bits = 0
        for where, mask in self._pending.items():
            self.bits |= mask ^ self._direct.get(where, 0)
        self._lengths = {(is_v6(where), length_of(where)) for where in self._pending if not is_host(where)}

    def moves(self, where: int) -> bool:
        """Whether a change names the address or a prefix around it."""
        return where in self._pending or any(net in self._pending for net in _around(where, self._lengths))

    def pair(self, where: int) -> Pair:
        """The groups of an address before and after."""
        before = self._side.content(self._side.identity(where))
        if not self.moves(where):
            return before, before
        after = self._pending.get(where, self._direct.get(where, 0))
        v6 = is_v6(where)
        for net in _around(where, self._lengths | {(v6, length) for length in self._side.places.lengths(v6)}):
            after |= self._pending.get(net, self._direct.get(net, 0))
        return before, after

    def inside(self, where: int) -> bool:
        """Whether a place inside the prefix, or around it, changes."""
        return any(overlap(where, changed) for changed in self._pending)


def _around(where: int, lengths: Iterable[tuple[bool, int]]) -> Iterator[int]:
    """The prefixes of these (family, length) that an address is in."""
    v6, value = is_v6(where), value_of(where)
    for family, length in lengths:
        if family == v6:
            shift = (128 if v6 else 32) - length
            yield place(v6, value >> shift << shift, length)


def crosses(stages: Collection[Stage], edited: bool) -> bool:
    """Whether the pending member changes close one stage and open another for a path between addresses of this node, or do either
    while chains are ``edited``, or would open something while only one of the two addresses has moved."""
    if not any(True for stage in stages for _ in stage.chains()):
        return False
    sides = {side.name: side for stage in stages for side in (stage.tables.own, stage.tables.peer)}
    motions = {name: Motion(side) for name, side in sides.items()}
    concerned = {stage: chains for stage in stages if (chains := _concerned(stage, motions, any))}
    if not (len(concerned) > 1 or concerned and edited or any(_concerned(stage, motions, all) for stage in concerned)):
        return False
    wide = {where for chains in concerned.values() for chain in chains for where in chain.places if not is_host(where)}
    if any(motion.inside(where) for motion in motions.values() if motion.bits for where in wide):
        return True
    local = {where for stage in stages for where in stage.places_in_force() if is_host(where)}
    if not any(motion.moves(where) for motion in motions.values() if motion.bits for where in local):
        return False
    try:
        return _turns(concerned, motions, local, edited)
    except TooManyRows:
        return True


def _concerned(stage: Stage, motions: Mapping[str, Motion], ends: Callable[[tuple[int, int]], bool]) -> list[Chain]:
    """The chains that ask about what changes on ``any`` side or on ``all``."""
    own, peer = motions[stage.tables.own.name].bits, motions[stage.tables.peer.name].bits
    return [chain for chain in stage.chains() if ends((chain.head.self_mask & own, chain.head.peer_mask & peer))]


def _turns(concerned: Mapping[Stage, list[Chain]], motions: Mapping[str, Motion], local: set[int], edited: bool) -> bool:
    pairs = {name: {where: motion.pair(where) for where in local} for name, motion in motions.items()}
    closing, opening = set(), set()
    for stage, chains in concerned.items():
        own, peer = pairs[stage.tables.own.name], pairs[stage.tables.peer.name]
        for chain in chains:
            meet = Meet(chain.head, chain.head)
            if _compare(meet, {own[w] for w in chain.places & own.keys()}, set(peer.values())):
                return True
            closing |= {stage} if meet.closes else set()
            opening |= {stage} if meet.opens else set()
    return any(one is not other for one in closing for other in opening) or (edited and bool(closing or opening))


def _compare(meet: Meet, owns: set[Pair], peers: set[Pair]) -> bool:
    """Let ``meet`` see every change; returns whether something is open halfway that is closed before and after."""
    head = meet.old
    for own in {(a & head.self_mask, b & head.self_mask) for a, b in owns}:
        for peer in {(a & head.peer_mask, b & head.peer_mask) for a, b in peers}:
            if own[0] != own[1] or peer[0] != peer[1]:
                before, after = head.rows(own[0], peer[0]), head.rows(own[1], peer[1])
                meet.between(before, after)
                if own[0] != own[1] and peer[0] != peer[1] and _open_halfway(meet, head, own, peer, before, after):
                    return True
    return False


def _open_halfway(meet: Meet, head: Head, own: Pair, peer: Pair, before: tuple[Row, ...], after: tuple[Row, ...]) -> bool:
    for halfway in (head.rows(own[1], peer[0]), head.rows(own[0], peer[1])):
        entering, leaving = Meet(head, head), Meet(head, head)
        entering.between(before, halfway)
        leaving.between(halfway, after)
        meet.closes |= entering.closes or leaving.closes
        meet.opens |= entering.opens or leaving.opens
        if entering.opens and leaving.closes:
            return True
    return False
