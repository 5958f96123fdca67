"""How often each rule decided or was passed: sums over slots, exact across edits.

A slot is a path, what was passed on the way and what decided, and a counter on the target. When nothing leads to a slot any more, its
count is taken over here under its path and the counter is set to 0, before the number can come to stand for another path. What
is lost: the counts of a target that loses them (a restart), and, of rules that are gone, those from before this driver started.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from k8s_p4.schema import COUNTERS
from translator.slots import OWN, OWN_BITS

FLOW_EVENTS = ("learned", "clashed", "refused", "judged again")
"""By index of the counter `flows` (k8s_p4/p4/core/flow.p4)."""

Path = tuple[Any, ...]
"""References to rules; the last decided. None in its place: packets that only passed the others, whatever decided on them."""
Slot = tuple[str, int, Path]
Counted = Counter[tuple[str, Path]]
Place = tuple[str, int]
"""A counter's name and an index."""


KEPT_PATHS = 4096


class Hits:
    """Keeps the counts of slots that are gone: those of the last ``KEPT_PATHS`` paths, for policies come and go without end."""

    def __init__(self) -> None:
        self._gone: Counted = Counter()
        self._start: dict[Place, int] = {}

    def harvest(self, client: Any, translator: Any) -> None:
        """Take over the counts of slots that went out of use; to be called when no row on the target leads to them.

        ``client`` None: a target that counts nothing. Raises TargetError.
        """
        retired: list[Slot] = translator.retired_slots() if client is not None else []
        if not retired:
            return
        for place, counted, count in self._read(client, retired):
            self._gone[counted] = count + self._gone.pop(counted, 0)
            self._start.pop(place, None)
        while len(self._gone) > KEPT_PATHS:
            del self._gone[next(iter(self._gone))]
        for counter, indexes in _by_counter(map(_place, retired)).items():
            self._clear(client, counter, indexes)
        translator.retired_slots(forget=True)

    def _clear(self, client: Any, counter: str, indexes: list[int]) -> None:
        """Set counters to 0; on a target that can't, remember where they stand."""
        errors = client.clear_counters(COUNTERS[counter][0], indexes)
        kept = [index for index, error in zip(indexes, errors, strict=True) if error is not None]
        for index, count in client.read_counters(COUNTERS[counter][0], kept).items():
            self._start[counter, index] = count

    def totals(self, client: Any, translator: Any) -> Counted:
        """Return the packets counted for each (stage, path), now. Raises TargetError."""
        found = Counter(self._gone)
        for _, counted, count in self._read(client, [*translator.slots(), *translator.retired_slots()]):
            found[counted] += count
        return found

    def _read(self, client: Any, slots: Iterable[Slot]) -> Iterator[tuple[Place, tuple[str, Path], int]]:
        """Yield where each slot is counted, (stage, path) and the count; a slot in which nothing was counted is among them."""
        known = [(_place(slot), (slot[0], slot[2] if slot[1] & OWN else (*slot[2], None))) for slot in slots]
        counts: dict[Place, int] = {}
        for counter, indexes in _by_counter(place for place, _ in known).items():
            found = client.read_counters(COUNTERS[counter][0], indexes)
            counts.update(((counter, index), count) for index, count in found.items())
        for place, counted in known:
            yield place, counted, counts.get(place, 0) - self._start.get(place, 0)


def _place(slot: Slot) -> Place:
    stage, number, _ = slot
    return (f"{stage}.hits", number) if number & OWN else (f"{stage}.passes", number >> OWN_BITS)


def _by_counter(places: Iterable[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for counter, index in places:
        found.setdefault(counter, []).append(index)
    return found


def flow_events(client: Any) -> dict[str, int]:
    """Return what became of new flows: learned, dropped because they clashed, refused by a full table; and of
    those that another policy met: accepted once more. Raises TargetError."""
    number, _size = COUNTERS["flows"]
    counts = client.read_counters(number, range(len(FLOW_EVENTS)))
    return {name: counts[index] for index, name in enumerate(FLOW_EVENTS)}


def rejects(client: Any) -> dict[int, int]:
    """Return what became of answers to denied packets, by number (`k8s_p4.rejects`). Raises TargetError."""
    number, size = COUNTERS["rejects"]
    counts: dict[int, int] = client.read_counters(number, range(size))
    return {fate: count for fate, count in counts.items() if count}


def drops(client: Any) -> dict[int, int]:
    """Return the packets dropped, by reason (`k8s_p4.reasons`). Raises TargetError."""
    number, size = COUNTERS["drops"]
    counts: dict[int, int] = client.read_counters(number, range(size))
    return {reason: count for reason, count in counts.items() if count}
