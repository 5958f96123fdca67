"""What a stream has come to after some of its frames: entries, a packet's fate, what is Degraded; asked about in one replay.

This is what ``bisect`` and ``minimize`` look through. A moment before InSync is looked at as if Felix had been in sync then: the
snapshot up to there, and the InSync.
"""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from calico_p4.degraded import Degraded
from calico_p4.p4runtime.errors import TargetError
from calico_p4.packets import Packet as Sent
from calico_p4.switch import embedded
from calico_p4.tools.product import NOTHING, Beside, Packet, Run, frames_of, quiet, replayed, scratch_lines, snapshot_of, state_of
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import Frame
from felix_proto.types import InSync, Message

_ROOT = Path(__file__).resolve().parents[2]


class Asked(NamedTuple):
    """What is to be known of each moment: a packet's fate, and the rows; ``scratch``: the same of a driver that met the state in one go."""

    packet: Packet | None = None
    rows: bool = False
    scratch: bool = False
    beside: Beside = NOTHING


class Moment(NamedTuple):
    """A stream after its first ``frames`` frames, at rest.

    ``answer``: the replay contract's, for the packet. ``rows``: the lines of its dump, each with the object that asked for it.
    ``fresh_answer``, ``fresh_rows``: the same of a driver to which a new Felix told the state. ``fault``: what the driver failed with, or that it did not converge; nothing else is known then.
    """

    frames: int
    answer: Mapping[str, Any] | None = None
    rows: Mapping[str, str] = {}
    fresh_answer: Mapping[str, Any] | None = None
    fresh_rows: frozenset[str] = frozenset()
    degraded: tuple[Degraded, ...] = ()
    fault: str = ""

    @property
    def decision(self) -> Any:
        """What of the packet's answer is the same wherever the rule that decided stands."""
        return decision(self.answer)


def decision(answer: Mapping[str, Any] | None) -> Any:
    """Return verdict, reason, and who decided, of an answer of the replay contract."""
    if answer is None:
        return None
    decided = [tuple(rule[name] for name in ("stage", "action", "kind", "namespace", "name", "rule_id")) for rule in answer["policy"]]
    return answer["verdict"], answer["reason"], tuple(decided)


class _Watched(Run):
    """A replay that looks around after some frames."""

    def __init__(self, frames: Sequence[Frame], asked: Asked, points: Iterable[int], switch: Any) -> None:
        super().__init__(frames, (), asked.beside, switch)
        self._frames, self._asked, self._points = frames, asked, set(points)
        self.moments: dict[int, Moment] = {}

    def _take(self, message: Message) -> None:
        super()._take(message)
        if self._applied in self._points:
            self.look()

    def look(self) -> None:
        """Come to rest and note how things are."""
        if self._applied in self.moments:
            return
        self.end()
        answer = None
        if self._asked.packet is not None:
            answer = self.send(Sent(0, 0, None, 0.0, self._asked.packet))
        fault = "" if self.driver.converged else f"not converged: {self.driver.tracker.pending_count()} rows are not on the target as wanted"
        rows = self.owned_rows() if self._asked.rows else {}
        self.moments[self._applied] = Moment(self._applied, answer, rows, *self._fresh(), tuple(self.degraded()), fault)

    def _fresh(self) -> tuple[Mapping[str, Any] | None, frozenset[str]]:
        """Return the packet's answer and the rows of a driver that meets the state in one go."""
        if not self._asked.scratch:
            return None, frozenset()
        store, beside = state_of(self._frames[: self._applied]), self._asked.beside.after(self._applied)
        if self._asked.packet is None:
            beside.tell(store)
            return None, frozenset(scratch_lines(store, beside.ports))
        with replayed(snapshot_of(store), [self._asked.packet], beside) as fresh:
            return fresh.packets()[0], frozenset()


def look(payloads: Sequence[bytes], points: Sequence[int], asked: Asked) -> dict[int, Moment]:
    """Replay a stream once, as far as the last of ``points``, and return how things were after so many frames.

    Points before the InSync can only be asked about alone. A fault of the driver is a moment's ``fault``, and that of all later ones.

    Raises:
        DecodeError: a frame is no message.
    """
    quiet()
    last = max(points)
    frames = frames_of(prefix(payloads, last))
    switch = embedded()
    try:
        switch.prepare()
        run = _Watched(frames, asked, points if len(frames) == last else (), switch)
        fault = _guarded(run)
    finally:
        switch.close()
    ending = run.moments.get(len(frames)) or Moment(last, fault=fault)
    return {point: run.moments.get(point, ending)._replace(frames=point) for point in points}


def _guarded(run: _Watched) -> str:
    """Replay; return what the driver failed with, and where in our own code."""
    try:
        run.frames()
        run.look()
    except (DecodeError, OSError):
        raise
    except TargetError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what is looked for)
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _ROOT in Path(frame.filename).parents]
        place = f" in {Path(ours[-1].filename).relative_to(_ROOT)}, {ours[-1].name}" if ours else ""
        return f"{type(error).__name__}: {error}{place}"
    return ""


def prefix(payloads: Sequence[bytes], count: int) -> Sequence[bytes]:
    """Return the first ``count`` payloads; with the InSync behind them if they do not hold it."""
    place = in_sync_at(payloads) if count < len(payloads) else None
    if place is None or place < count:
        return payloads[:count]
    return [*payloads[:count], payloads[place]]


def in_sync_at(payloads: Sequence[bytes]) -> int | None:
    """Return the index of the InSync. Raises DecodeError."""
    decoder = Decoder()
    return next((frame.index for frame in frames_of(payloads) if isinstance(decoder.decode(frame).payload, InSync)), None)
