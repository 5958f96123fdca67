"""How often each rule decided or was passed: sums over slots, exact across edits.

A slot is a path, what was passed on the way and what decided, and a counter on the target. When nothing leads to a slot any more, its
count is taken over here under its path and the counter is set to 0, before the number can come to stand for another path. What
is lost: the counts of a target that loses them (a restart), and, of rules that are gone, those from before this driver started.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from k8s_p4.schema import COUNTERS

FLOW_EVENTS = ("learned", "clashed", "refused", "judged again")
"""By index of the counter `flows` (k8s_p4/p4/core/flow.p4)."""

Path = tuple[Any, ...]
Slot = tuple[str, int, Path]
Counted = Counter[tuple[str, Path]]


KEPT_PATHS = 4096


class Hits:
    """Keeps the counts of slots that are gone: those of the last ``KEPT_PATHS`` paths, for policies come and go without end."""

    def __init__(self) -> None:
        self._gone: Counted = Counter()
        self._start: dict[tuple[str, int], int] = {}

    def harvest(self, client: Any, translator: Any) -> None:
        """Take over the counts of slots that went out of use; to be called when no row on the target leads to them.

        ``client`` None: a target that counts nothing. Raises TargetError.
        """
        retired: list[Slot] = translator.retired_slots() if client is not None else []
        if not retired:
            return
        for stage, number, path, count in self._read(client, retired):
            self._gone[stage, path] = count + self._gone.pop((stage, path), 0)
            self._start.pop((stage, number), None)
        while len(self._gone) > KEPT_PATHS:
            del self._gone[next(iter(self._gone))]
        for stage, numbers in _by_stage(retired).items():
            self._clear(client, stage, numbers)
        translator.retired_slots(forget=True)

    def _clear(self, client: Any, stage: str, numbers: list[int]) -> None:
        """Set counters to 0; on a target that can't, remember where they stand."""
        errors = client.clear_counters(COUNTERS[f"{stage}.hits"][0], numbers)
        kept = [number for number, error in zip(numbers, errors, strict=True) if error is not None]
        for number, count in client.read_counters(COUNTERS[f"{stage}.hits"][0], kept).items():
            self._start[stage, number] = count

    def totals(self, client: Any, translator: Any) -> Counted:
        """Return the packets counted for each (stage, path), now. Raises TargetError."""
        found = Counter(self._gone)
        for stage, _, path, count in self._read(client, [*translator.slots(), *translator.retired_slots()]):
            found[stage, path] += count
        return found

    def _read(self, client: Any, slots: Iterable[Slot]) -> Iterator[tuple[str, int, Path, int]]:
        """Yield the slots with their counts; a slot in which nothing was counted is among them."""
        slots = list(slots)
        for stage, numbers in _by_stage(slots).items():
            counts = client.read_counters(COUNTERS[f"{stage}.hits"][0], numbers)
            for of_stage, number, path in slots:
                if of_stage == stage:
                    yield stage, number, path, counts.get(number, 0) - self._start.get((stage, number), 0)


def _by_stage(slots: Iterable[Slot]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for stage, number, _ in slots:
        found.setdefault(stage, []).append(number)
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
