"""One scenario, many runs: variants of a message sequence after which the state, and so the dump, must be the same.

A variant is a list of flushes, each a list of messages; the product pushes after each.
"""

from collections.abc import Callable, Sequence
from random import Random

from felix_proto import types as felix
from test.support.accumulate import Accumulator

Flushes = list[list[felix.Payload]]
Variant = Callable[[Sequence[felix.Payload], Random], Flushes]
_CHANGES_TWICE = (felix.IPSetDeltaUpdate, felix.InSync)


def as_is(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Flushed once, at the end."""
    return [list(messages)]


def each_alone(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Flushed after every message."""
    return [[message] for message in messages]


def some_together(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Flushed at random places."""
    flushes: Flushes = [[]]
    for message in messages:
        flushes[-1].append(message)
        if rng.random() < 0.05:
            flushes.append([])
    return flushes


def with_empties(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Flushed at random places, with flushes of nothing between."""
    return [part for flush in some_together(messages, rng) for part in (flush, [])]


def duplicated(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Every message that says the same twice is said twice, and once more later on if nothing new was said of its object."""
    twice = [again for message in messages for again in ([message] * (1 if isinstance(message, _CHANGES_TWICE) else 2))]
    live = Accumulator()
    live.apply_all(messages)
    repeated = [message for message in live.live.values() if not isinstance(message, felix.IPSetUpdate)]
    rng.shuffle(repeated)
    return [*some_together(twice, rng), *some_together(repeated, rng)]


def squashed(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Only the outcome, as a fresh Felix would send it, in another order."""
    live = Accumulator()
    live.apply_all(messages)
    return [live.snapshot(rng)]


def split(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """IP sets come empty and get their members by deltas of a few; deltas come in pieces."""
    return some_together([part for message in messages for part in _pieces(message)], rng)


def _pieces(message: felix.Payload) -> list[felix.Payload]:
    match message:
        case felix.IPSetUpdate():
            return [message._replace(members=()), *_deltas(message.id, message.members, ())]
        case felix.IPSetDeltaUpdate():
            return _deltas(message.id, message.added_members, message.removed_members)
    return [message]


def _deltas(set_id: str, added: Sequence[str], removed: Sequence[str]) -> list[felix.Payload]:
    size = max(3, (len(added) + len(removed)) // 8)
    adds = [felix.IPSetDeltaUpdate(set_id, tuple(added[n : n + size])) for n in range(0, len(added), size)]
    return [*adds, *(felix.IPSetDeltaUpdate(set_id, (), tuple(removed[n : n + size])) for n in range(0, len(removed), size))]


def torn_down(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """To the end, then everything is removed, what is referred to before its referrers too, and comes back."""
    live = Accumulator()
    live.apply_all(messages)
    return [list(messages), *some_together(live.removes(rng), rng), *some_together(live.snapshot(rng), rng)]


def upside_down(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """The outcome with referrers first: endpoints before policies, policies before sets."""
    live = Accumulator()
    live.apply_all(messages)
    snapshot = live.snapshot(rng)
    return some_together([snapshot[0], *reversed(snapshot[1:-1]), snapshot[-1]], rng)


def through_something_else(messages: Sequence[felix.Payload], rng: Random) -> Flushes:
    """Half of the outcome's objects are first given the content of another of their kind, and then their own."""
    live = Accumulator()
    live.apply_all(messages)
    snapshot = live.snapshot(rng)
    return [_swapped(snapshot, rng), *some_together([m for m in snapshot if not isinstance(m, felix.InSync)], rng)]


def _swapped(snapshot: Sequence[felix.Payload], rng: Random) -> list[felix.Payload]:
    policies = [m.policy for m in snapshot if isinstance(m, felix.ActivePolicyUpdate)]
    sets = [m for m in snapshot if isinstance(m, felix.IPSetUpdate)]

    def other(message: felix.Payload) -> felix.Payload:
        if isinstance(message, felix.ActivePolicyUpdate) and rng.random() < 0.5:
            return message._replace(policy=rng.choice(policies)._replace(id=message.id))
        if isinstance(message, felix.IPSetUpdate) and rng.random() < 0.5:
            return message._replace(members=rng.choice([s for s in sets if s.type == message.type]).members)
        return message

    return [other(message) for message in snapshot]


VARIANTS: tuple[Variant, ...] = (
    as_is, each_alone, some_together, with_empties, duplicated, squashed, split, torn_down, upside_down, through_something_else,
)  # fmt: skip
