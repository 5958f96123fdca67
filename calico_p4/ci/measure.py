"""A replay with a watch: how long every message takes until its rows are confirmed, and how the entries grow."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from calico_p4.inspect.objects import object_of
from calico_p4.replay import Replay
from felix_proto.types import InSync, Message
from k8s_p4.rows import TABLES

Look = Callable[["Measured"], None]
Tell = Callable[[str], None]


class Timing(NamedTuple):
    """One message: milliseconds spent on taking it in, and until what it changed was confirmed.

    ``latency_ms`` is None before InSync, when nothing is pushed; that of the InSync is the whole snapshot's.
    """

    frame: int
    kind: str
    object: str
    work_ms: float
    latency_ms: float | None


class Pace(NamedTuple):
    """When frames arrive: ``due_ns[index]`` since the first one, made faster by ``factor``."""

    due_ns: Sequence[int]
    factor: float = 1.0


class Settings(NamedTuple):
    """``checkpoints``: after how many frames ``look`` is called, besides InSync; ``end`` is at the end. ``pace`` None: as fast as can be."""

    look: Look
    end: Look
    tell: Tell
    checkpoints: frozenset[int] = frozenset()
    every: int = 0
    pace: Pace | None = None


class Measured(Replay):
    """A replay under way, with a watch that stands still while somebody looks."""

    def __init__(self, settings: Settings, *given: Any) -> None:
        super().__init__(*given)
        self._settings = settings
        self.timings: list[Timing] = []
        self.entries: list[tuple[int, float, int]] = []
        """(frames, seconds, entries on the target), after every push."""
        self.in_sync_frame: int | None = None
        self._unconfirmed: list[tuple[int, int]] = []
        """Place in ``timings`` and arrival of messages whose rows are not confirmed yet."""
        self._looked_away_ns = 0
        self._begin_ns, self._stopped_ns = self._now_ns(), 0

    @property
    def frames_applied(self) -> int:
        """How many frames have been applied."""
        return self._applied

    @property
    def seconds(self) -> float:
        """How long it has taken up to now."""
        return ((self._stopped_ns or self._now_ns()) - self._begin_ns) / 1e9

    def verdicts(self) -> Sequence[Mapping[str, Any]]:
        """Return the answers to the packets."""
        answers: Sequence[Mapping[str, Any]] = self.answer()["packets"]
        return answers

    def _now_ns(self) -> int:
        return time.perf_counter_ns() - self._looked_away_ns

    # --- messages

    def _messages(self) -> Iterator[Message]:
        for message in super()._messages():
            if self._settings.pace is not None:
                self._wait_for(message.frame_index, self._settings.pace)
            yield message

    def _wait_for(self, frame: int, pace: Pace) -> None:
        """Let time pass until a frame is due; what has come before is pushed meanwhile, as the driver does when nothing comes."""
        due_ns = self._begin_ns + self._due(frame, pace)
        if self._now_ns() < due_ns and self._unconfirmed:
            self._flush()
        if (left_ns := due_ns - self._now_ns()) > 0:
            time.sleep(left_ns / 1e9)

    def _due(self, frame: int, pace: Pace) -> int:
        last = len(pace.due_ns) - 1
        return int(pace.due_ns[min(frame, last)] / pace.factor) if last >= 0 else 0

    def _take(self, message: Message) -> None:
        pace, begin_ns = self._settings.pace, self._now_ns()
        arrived_ns = begin_ns if pace is None else min(begin_ns, self._begin_ns + self._due(message.frame_index, pace))
        payload = message.payload
        if self.driver.store.in_sync or isinstance(payload, InSync):
            self._unconfirmed.append((len(self.timings), arrived_ns))
        name = object_of(payload)
        self.timings.append(Timing(message.frame_index, type(payload).__name__, str(name) if name else "", 0.0, None))
        place = len(self.timings) - 1
        super()._take(message)
        self.timings[place] = self.timings[place]._replace(work_ms=(self._now_ns() - begin_ns) / 1e6)
        self._after(isinstance(payload, InSync))

    def _after(self, in_sync: bool) -> None:
        if in_sync and self.in_sync_frame is None:
            self.in_sync_frame = self._applied
        every = self._settings.every
        if in_sync or self._applied in self._settings.checkpoints or (every and self.driver.store.in_sync and self._applied % every == 0):
            self._look()
        self._settings.tell(f"frame {self._applied}: {self.timings[-1].kind}, {self.entries[-1][2] if self.entries else 0} entries")

    def _look(self) -> None:
        """Come to rest, and let somebody look."""
        self._flush()
        before_ns = time.perf_counter_ns()
        self._settle()
        self._settings.look(self)
        self._looked_away_ns += time.perf_counter_ns() - before_ns

    def _flush(self) -> None:
        super()._flush()
        self._confirm()

    def _confirm(self) -> None:
        now_ns = self._now_ns()
        for place, arrived_ns in self._unconfirmed:
            self.timings[place] = self.timings[place]._replace(latency_ms=(now_ns - arrived_ns) / 1e6)
        self._unconfirmed.clear()
        actual = self.driver.tracker.actual
        self.entries.append((self._applied, (now_ns - self._begin_ns) / 1e9, sum(actual.count(table) for table in TABLES)))

    def end(self) -> None:
        """As `Replay.end`; the watch stops when the last rows are confirmed."""
        self._flush()
        super().end()
        self._stopped_ns = self._now_ns()
        self._settings.end(self)
