"""What can be wrong with a stream: seen at a moment (``bisect``), and seen again in a smaller stream (``minimize``)."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

from calico_p4.degraded import Degraded
from calico_p4.tools.moments import Asked, Moment, decision, look, prefix
from calico_p4.tools.product import NOTHING, Beside, Packet
from calico_p4.tools.sequence import renumbered
from felix_proto.framing import encode_frame

_CANNOT_TELL = 125
"""As for ``git bisect run``."""


class NothingWrong(Exception):
    """The symptom does not show where it should."""


class Symptom(Protocol):
    """Something wrong.

    ``seen(now, reference)`` is what of it shows at a moment, empty if nothing does; ``reference`` is the moment that is known to be good,
    None if there is none. Two moments show the same thing if `same` says so of what was seen.
    """

    asked: Asked
    needs_reference: bool
    """Whether it is a change from a good moment, which must be at or after InSync."""
    judges: bool
    """Whether it tells right from wrong in any stream; else the objects that are left must mean what they meant."""

    def look(self, payloads: Sequence[bytes], points: Sequence[int]) -> dict[int, Moment]: ...

    def seen(self, now: Moment, reference: Moment | None) -> Any: ...

    def same(self, one: Any, other: Any) -> bool: ...


class _Replayed:
    """Whatever is seen in a replay."""

    asked: Asked
    judges = True

    def look(self, payloads: Sequence[bytes], points: Sequence[int]) -> dict[int, Moment]:
        """Return how things are after so many frames. Exceptions as in `moments.look`."""
        return look(payloads, points, self.asked)


class WrongVerdict(_Replayed):
    """A packet is not decided as expected; or, without an expectation, not as at the good moment."""

    judges = False

    def __init__(self, packet: Packet, expected: str | None = None, beside: Beside = NOTHING) -> None:
        """``expected``: allow or deny."""
        self.packet, self.expected = packet, expected
        self.asked, self.needs_reference = Asked(packet, rows=True, beside=beside), expected is None

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return what decided before, if that matters, and what decides now."""
        if now.answer is None:
            return ()
        if self.expected is not None:
            return (None, now.decision) if now.answer["verdict"] != self.expected else ()
        before = reference.decision if reference is not None else None
        return (before, now.decision) if before is not None and before != now.decision else ()

    def same(self, one: Any, other: Any) -> bool:
        """The same before and after."""
        return bool(one == other)


class OtherwiseFresh(_Replayed):
    """A packet is decided otherwise than by a driver to which a new Felix told the same state."""

    def __init__(self, packet: Packet, beside: Beside = NOTHING) -> None:
        self.packet = packet
        self.asked, self.needs_reference = Asked(packet, rows=True, scratch=True, beside=beside), False

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return both decisions."""
        del reference
        fresh = decision(now.fresh_answer)
        return (fresh, now.decision) if now.answer is not None and fresh != now.decision else ()

    def same(self, one: Any, other: Any) -> bool:
        """The same verdicts and reasons, be they of other rules."""
        return bool(one) and bool(other) and [each[:2] for each in one] == [each[:2] for each in other]


class IsDegraded(_Replayed):
    """An object is Degraded; any that is not so at the good moment if none is named."""

    def __init__(self, name: str = "", beside: Beside = NOTHING) -> None:
        """``name``: as in the list of what is Degraded, or its end, from a space or a slash on."""
        self.name = name
        self.asked, self.needs_reference = Asked(rows=True, beside=beside), False

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return the entries of the list."""
        known = reference.degraded if reference is not None else ()
        return tuple(entry for entry in now.degraded if self._meant(entry) and entry not in known)

    def _meant(self, entry: Degraded) -> bool:
        return not self.name or entry.object == self.name or entry.object.endswith((f" {self.name}", f"/{self.name}"))

    def same(self, one: Any, other: Any) -> bool:
        """The first entry is there."""
        return bool(one) and one[0] in other


class NotAsFromScratch(_Replayed):
    """The rows tell how the state was reached: they are not those of a driver that met it in one go."""

    def __init__(self, beside: Beside = NOTHING) -> None:
        self.asked, self.needs_reference = Asked(rows=True, scratch=True, beside=beside), False

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return the lines that only one has, those too many marked with "+"."""
        del reference
        return tuple(marked(now.rows.keys() - now.fresh_rows, now.fresh_rows - now.rows.keys())) if not now.fault else ()

    def same(self, one: Any, other: Any) -> bool:
        """Some table has rows too many, or too few, in both."""
        return bool(_tables(one) & _tables(other))


class NotAsGolden(_Replayed):
    """The rows differ from a golden dump of the whole stream. To be told first what differs at its end (`learn`)."""

    def __init__(self, golden: Sequence[str], beside: Beside = NOTHING) -> None:
        self.golden = frozenset(golden)
        self.asked, self.needs_reference = Asked(rows=True, beside=beside), True
        self._extra: frozenset[str] = frozenset()
        self._missing: frozenset[str] = frozenset()

    def learn(self, end: Moment, good: Moment) -> None:
        """Take what differs at the end, but for what was so at the good moment already. Raises NothingWrong."""
        extra, missing = end.rows.keys() - self.golden, self.golden - end.rows.keys()
        if not extra and not missing:
            raise NothingWrong("the rows at the end are those of the golden dump")
        self._extra, self._missing = frozenset(extra - good.rows.keys()), frozenset(missing & good.rows.keys())
        if not self._extra and not self._missing:
            raise NothingWrong(f"no frame after {good.frames} brought the {len(extra)} rows too many, or took the {len(missing)} missing")

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return the lines too many ("+") and those that are gone ("-")."""
        del reference
        return tuple(marked(self._extra & now.rows.keys(), self._missing - now.rows.keys())) if not now.fault else ()

    def same(self, one: Any, other: Any) -> bool:
        """A line too many is there again."""
        return bool({line for line in one if line[0] == "+"} & set(other))


class Fails(_Replayed):
    """The driver fails: with an exception, or without reaching what it wants."""

    def __init__(self, beside: Beside = NOTHING) -> None:
        self.asked, self.needs_reference = Asked(beside=beside), False

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return what it failed with."""
        del reference
        return now.fault

    def same(self, one: Any, other: Any) -> bool:
        """The same kind of failure, in the same place."""
        return _kind(one) == _kind(other)


class Judged:
    """A program says so: it gets a recording, and ends with 0 if all is well, 125 if it can't tell, anything else if not."""

    asked, needs_reference, judges = Asked(), False, True

    def __init__(self, command: str) -> None:
        """``command`` is for the shell; the recording's path is put in the place of ``{}``, or at the end."""
        self.command = command if "{}" in command else f"{command} {{}}"

    def look(self, payloads: Sequence[bytes], points: Sequence[int]) -> dict[int, Moment]:
        """Ask about each moment."""
        return {point: Moment(point, fault=self._verdict(prefix(payloads, point))) for point in points}

    def _verdict(self, payloads: Sequence[bytes]) -> str:
        with NamedTemporaryFile(suffix=".felixstream") as file:
            file.write(b"".join(map(encode_frame, renumbered(payloads))))
            file.flush()
            command = self.command.replace("{}", shlex.quote(file.name))
            status = subprocess.run(command, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        return "" if status in (0, _CANNOT_TELL) else f"exit status {status}"

    def seen(self, now: Moment, reference: Moment | None) -> Any:
        """Return how the program ended."""
        del reference
        return now.fault

    def same(self, one: Any, other: Any) -> bool:
        """It ended the same way."""
        return bool(one == other)


def _kind(fault: str) -> tuple[str, str]:
    return fault.partition(":")[0], fault.rpartition(" in ")[2] if " in " in fault else ""


def marked(extra: Any, missing: Any) -> list[str]:
    """Return lines that are too many with "+" before them, those missing with "-", sorted."""
    return [f"+ {line}" for line in sorted(extra)] + [f"- {line}" for line in sorted(missing)]


def _tables(lines: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(line.split()[:2]) for line in lines}


def showing(symptom: Symptom, payloads: Sequence[bytes], good: int | None) -> Any:
    """Replay a stream and return what of a symptom shows at its end; ``good``: after how many frames it did not show."""
    points = [len(payloads)] if good is None else [good, len(payloads)]
    moments: Mapping[int, Moment] = symptom.look(payloads, points)
    return symptom.seen(moments[len(payloads)], moments[good] if good is not None else None)


def for_shrinking(symptom: NotAsGolden, payloads: Sequence[bytes]) -> NotAsGolden | NotAsFromScratch:
    """Return what to look for in smaller streams, to which a golden dump of the whole one is no measure.

    Where the rows tell how the state was reached, that; else the presence of rows that the golden dump does not have.

    Raises:
        NothingWrong: the rows are those of the golden dump; or they only lack some, which every smaller stream does.
    """
    scratch = NotAsFromScratch(symptom.asked.beside)
    end = scratch.look(payloads, [len(payloads)])[len(payloads)]
    if scratch.seen(end, None):
        return scratch
    if symptom.golden > end.rows.keys():
        raise NothingWrong("the rows only lack some of the golden dump's: a packet that is decided wrongly would say more (--packet)")
    symptom.learn(end, Moment(0))
    symptom.needs_reference = False
    return symptom
