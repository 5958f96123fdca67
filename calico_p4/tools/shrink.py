"""Streams made smaller while something wrong still shows: objects first, then messages, then what is inside them.

What is tried is always a stream that Felix could have sent: closed under references, and clean by the rules of ``lint`` that the
original keeps. An object is left out with all its messages and whatever then nobody refers to any more.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from calico_p4.tools.lint import lint
from calico_p4.tools.product import frames_of, state_of
from calico_p4.tools.references import Ref, references, subject
from calico_p4.tools.sequence import renumbered
from calico_p4.tools.symptoms import NothingWrong, Symptom, showing
from calico_p4.tools.trees import Node, droppable, tree
from felix_proto import types as felix
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import Frame

T = TypeVar("T")
_PINNED = (felix.ConfigUpdate, felix.InSync)
_TOLERATED = frozenset(("sequence", "unreferenced"))
_COLLECTED = ("IPSet", "Policy", "Profile")
"""Kinds of objects that Felix sends only because others refer to them."""


class _OutOfTime(Exception):
    """What has been reached is the answer."""


class Item(NamedTuple):
    """A message that is still there; ``early``: at the good moment it had been sent."""

    early: bool
    payload: bytes


class Smaller(NamedTuple):
    """What came of it: the frames that are left, how many of them the good moment had, what shows; ``complete``: nothing more can go."""

    payloads: list[bytes]
    good: int | None
    shown: Any
    replays: int
    complete: bool


class Shrinker:
    """Makes one stream smaller."""

    def __init__(
        self, payloads: Sequence[bytes], symptom: Symptom, good: int | None, seconds: float, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        """``good``: the number of frames after which nothing was wrong, for a symptom that is a change. No replay begins after ``seconds``."""
        self._symptom, self._good, self._tell = symptom, good, tell
        self._items = {place: Item(good is not None and place < good, payload) for place, payload in enumerate(payloads)}
        self._end_s = time.monotonic() + seconds
        self._allowed = _TOLERATED | {violation.rule for violation in lint(frames_of(payloads))}
        self._tried: dict[tuple[Item, ...], bool] = {}
        self._wanted: Any = ()
        self._meaning = {} if symptom.judges else _meaning(frames_of(payloads))
        self._replays = 0

    def run(self) -> Smaller:
        """Shrink until nothing more can go. Raises NothingWrong if the symptom does not show in the stream as it is."""
        self._wanted = self._show(self._items.values())
        if not self._wanted:
            raise NothingWrong("it does not show at the end of the stream")
        self._tried[tuple(self._items.values())] = True
        complete = False
        with suppress(_OutOfTime):
            self._shrink()
            complete = True
        payloads = list(renumbered(item.payload for item in self._items.values()))
        good = sum(item.early for item in self._items.values()) if self._good is not None else None
        return Smaller(payloads, good, self._wanted, self._replays, complete)

    def _shrink(self) -> None:
        size = -1
        while size != (size := self._size()):
            self._drop_objects()
            self._drop_messages()
            if self._symptom.judges:
                self._drop_inside()
        self._move_late()

    def _size(self) -> int:
        return sum(len(item.payload) for item in self._items.values())

    def _in_time(self) -> bool:
        return time.monotonic() < self._end_s

    # --- trying

    def _show(self, items: Iterable[Item]) -> Any:
        kept = list(items)
        self._replays += 1
        good = sum(item.early for item in kept) if self._good is not None else None
        self._tell(f"replay {self._replays}: {len(kept)} messages of {len(self._items)}, {self._size()} bytes")
        return showing(self._symptom, [item.payload for item in kept], good)

    def _try(self, items: dict[int, Item]) -> bool:
        """Take some messages instead of those we have, if they are a stream and the symptom shows in it."""
        key = tuple(items.values())
        if key not in self._tried:
            if not self._in_time():
                raise _OutOfTime
            self._tried[key] = self._legal(key) and self._symptom.same(self._wanted, self._show(key))
        if self._tried[key]:
            self._items = items
        return self._tried[key]

    def _legal(self, items: Iterable[Item]) -> bool:
        frames = frames_of([item.payload for item in items])
        if not all(violation.rule in self._allowed for violation in lint(frames)):
            return False
        return self._symptom.judges or _meaning(frames).items() <= self._meaning.items()

    def _decoded(self, items: dict[int, Item]) -> Iterator[tuple[int, felix.Payload]]:
        decoder = Decoder()
        frames = frames_of([item.payload for item in items.values()])
        return ((place, decoder.decode(frame).payload) for place, frame in zip(items, frames, strict=True))

    # --- objects

    def _drop_objects(self) -> None:
        """Leave out objects, each with all its messages; what is left keeps what it refers to."""
        items = self._items
        units: dict[Any, list[int]] = {}
        needs: dict[Any, set[Ref]] = {}
        pinned = set()
        for place, payload in self._decoded(items):
            unit = subject(payload) or place
            if isinstance(payload, _PINNED):
                pinned.add(place)
            else:
                units.setdefault(unit, []).append(place)
                needs.setdefault(unit, set()).update(references(payload))

        def shows(some: Sequence[Any]) -> bool:
            places = pinned.union(*(units[unit] for unit in _closure(some, needs) if unit in units))
            return self._try({place: item for place, item in items.items() if place in places})

        subset(list(units), shows)

    # --- messages

    def _drop_messages(self) -> None:
        """Leave out single messages, as far as the rules allow."""
        items = self._items
        pinned = {place for place, payload in self._decoded(items) if isinstance(payload, _PINNED)}

        def shows(some: Sequence[int]) -> bool:
            places = pinned.union(some)
            return self._try({place: item for place, item in items.items() if place in places})

        subset([place for place in items if place not in pinned], shows)

    # --- what is inside

    def _drop_inside(self) -> None:
        """Leave out what messages hold, the last ones first: who refers comes after what is referred to."""
        for place in sorted(self._items, reverse=True):
            if place in self._items:
                root = tree(self._items[place].payload)
                for siblings in droppable(root):
                    subset(siblings, partial(self._try_inside, place, root, siblings))

    def _try_inside(self, place: int, root: Node, siblings: Sequence[Node], some: Sequence[Node]) -> bool:
        """Try a message with only ``some`` of its siblings; the others stay dropped if it shows."""
        if place not in self._items:
            return False
        before = [node.dropped for node in siblings]
        kept = {id(node) for node in some}
        for node in siblings:
            node.dropped = id(node) not in kept
        items = {**self._items, place: self._items[place]._replace(payload=root.encode())}
        if self._try(self._without_orphans(items)):
            return True
        for node, dropped in zip(siblings, before, strict=True):
            node.dropped = dropped
        return False

    def _move_late(self) -> None:
        """Send what nothing refers to at InSync only when something does, as Felix would."""
        messages = list(self._decoded(self._items))
        synced = next(place for place, payload in messages if isinstance(payload, felix.InSync))
        for ref in _orphans(messages[: [place for place, _ in messages].index(synced)]):
            own = [place for place, payload in messages if place < synced and subject(payload) == ref]
            user = next((place for place, payload in messages if place > synced and ref in references(payload)), None)
            if user is not None:
                moved = [self._items[place]._replace(early=self._items[user].early) for place in own]
                order = [[item] if place != user else [*moved, item] for place, item in self._items.items() if place not in own]
                if self._try(dict(enumerate(item for part in order for item in part))):
                    return self._move_late()
        return None

    def _without_orphans(self, items: dict[int, Item]) -> dict[int, Item]:
        """Leave out the objects to which nothing refers any more, but something did."""
        already = _orphans(self._decoded(self._items))
        with suppress(DecodeError):  # then it is no stream, which whoever tries it will see
            while gone := _orphans(self._decoded(items)) - already:
                items = {place: items[place] for place, payload in self._decoded(items) if subject(payload) not in gone}
        return items


def _meaning(frames: Sequence[Frame]) -> dict[Ref, Any]:
    """Return what the objects that decide on packets have come to."""
    store = state_of(frames)
    sets = {name: (known.type, frozenset(known.members)) for name, known in store.ip_sets.items()}
    objects: dict[str, Any] = {"IPSet": sets, "Policy": store.policies, "Profile": store.profiles, "Endpoint": store.endpoints,
                             "HostEndpoint": store.host_endpoints}  # fmt: skip
    return {Ref(kind, key): value for kind, values in objects.items() for key, value in values.items()}


def _orphans(messages: Iterable[tuple[int, felix.Payload]]) -> set[Ref]:
    there: set[Ref] = set()
    named: set[Ref] = set()
    for _, payload in messages:
        ref = subject(payload)
        if ref is not None and ref.kind in _COLLECTED:
            there.add(ref)
        named.update(references(payload))
    return there - named


def _closure(units: Iterable[Any], needs: dict[Any, set[Ref]]) -> set[Any]:
    """Return units and everything that they need, directly or not."""
    found, waiting = set(), list(units)
    while waiting:
        unit = waiting.pop()
        if unit not in found:
            found.add(unit)
            waiting.extend(needs.get(unit, ()))
    return found


def subset(items: Sequence[T], shows: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return fewer items, in order, for which ``shows`` still holds: none if that will do, else halves left out, then smaller pieces."""
    kept = list(items)
    if kept and shows([]):
        return []
    size = max(1, len(kept) // 2)
    while kept:
        start, dropped = 0, False
        while start < len(kept):
            attempt = kept[:start] + kept[start + size :]
            if attempt and shows(attempt):
                kept, dropped = attempt, True
            else:
                start += size
        if size == 1 and not dropped:
            break
        size = max(1, size // 2)
    return kept
