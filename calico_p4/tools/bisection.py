"""The frame from which on something is wrong, by halving: at most log2(n) + 1 replays of a stream of n frames."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from calico_p4.tools.moments import Moment, in_sync_at
from calico_p4.tools.symptoms import NotAsGolden, NothingWrong, Symptom

Tell = Callable[[str], None]


class Found(NamedTuple):
    """``frame`` is the first after which the symptom shows, ``good`` the moment before it and ``bad`` the one after."""

    frame: int
    good: Moment
    bad: Moment
    replays: int


class Bisection:
    """One search. Where the symptom comes and goes the frame found is one where it comes, not always the first."""

    def __init__(self, payloads: Sequence[bytes], symptom: Symptom, tell: Tell = lambda _: None) -> None:
        """``tell`` hears of every replay. Raises DecodeError."""
        self._payloads, self._symptom, self._tell = payloads, symptom, tell
        place = in_sync_at(payloads)
        self.in_sync = None if place is None else place + 1
        """How many frames make the snapshot, InSync included."""
        self.replays = 0
        self._seen: dict[int, Moment] = {}

    def search(self, good: int | None = None, bad: int | None = None) -> Found:
        """Look between the first ``good`` frames (default: none; for a change, those up to InSync) and the first ``bad`` (default: all).

        Raises:
            NothingWrong: the symptom shows at ``good`` already, or nowhere up to ``bad``.
        """
        low, high = self._borders(good, bad)
        reference = self._begin(low, high)
        end = high + 1
        while end - low > 1:
            middle = (low + end) // 2
            if self._shows(middle, reference):
                end = middle
            else:
                low = middle
        if end > high:
            raise NothingWrong(f"it does not show after {high} frames, nor at any moment tried before ({self.replays} replays)")
        return Found(end - 1, self._seen.get(low) or Moment(low), self._seen[end], self.replays)

    def _borders(self, good: int | None, bad: int | None) -> tuple[int, int]:
        high = len(self._payloads) if bad is None else min(bad, len(self._payloads))
        least = (self.in_sync or 0) if self._symptom.needs_reference else 0
        low = least if good is None else good
        if low < least:
            raise NothingWrong(f"there is no good moment before InSync, which is frame {least - 1}")
        if low >= high:
            raise NothingWrong(f"no frames between the good moment, {low}, and the bad one, {high}")
        return low, high

    def _begin(self, low: int, high: int) -> Moment | None:
        """Return the good moment, looked at on the way to the first one in question; before InSync it is taken on trust."""
        if low < (self.in_sync or 1):
            return None
        middle = (low + high + 1) // 2
        self._look({low, middle, high} if isinstance(self._symptom, NotAsGolden) else {low, middle})
        reference = self._seen[low]
        if isinstance(self._symptom, NotAsGolden):
            self._symptom.learn(self._seen[high], reference)
        elif not self._symptom.needs_reference and self._symptom.seen(reference, None):
            raise NothingWrong(f"it shows after {low} frames already")
        return reference

    def _shows(self, point: int, reference: Moment | None) -> bool:
        if point not in self._seen:
            self._look({point})
        return bool(self._symptom.seen(self._seen[point], reference))

    def _look(self, points: Iterable[int]) -> None:
        self.replays += 1
        self._tell(f"replay {self.replays}: {max(points)} frames")
        self._seen.update(self._symptom.look(self._payloads, sorted(points)))
