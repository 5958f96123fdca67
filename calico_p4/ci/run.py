"""A replay with its checks, and the report of it: data that JSON can carry, from which the other reports are made."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calico_p4.ci.budget import Budget, judged, latencies
from calico_p4.ci.determinism import replay_twice
from calico_p4.ci.golden import DIFFERS, MISSING, Goldens
from calico_p4.ci.measure import Measured, Pace, Settings
from calico_p4.files import BadFile, read_text
from calico_p4.replay import OK, UNUSABLE, Options, Outcome, replay

VERSION = 1
FAILED = 3
"""Exit status: the replay went well, and a check of it did not."""
_SLOWEST = 20
_SHOWN = 200
"""Lines of a difference that the report keeps."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is asked for besides the replay; ``arguments`` are those of a plain replay on the command line, for the check of determinism."""

    golden: str | None = None
    update_golden: bool = False
    checkpoints: Sequence[int] = ()
    every: int = 0
    speed: str = "max"
    budgets: Sequence[Budget] = ()
    determinism: Sequence[str] | None = None


def checked(options: Options, checks: Checks, tell: Callable[[str], None]) -> tuple[Outcome, dict[str, Any] | None]:
    """Replay and check; returns the outcome, and the report if anything was replayed."""
    goldens = Goldens(options.recording, checks.golden, checks.update_golden)
    runs: list[Measured] = []
    try:
        pace = pace_of(options.recording, checks.speed)
        settings = Settings(goldens.look, goldens.end, tell, frozenset(checks.checkpoints), checks.every, pace)
        outcome = replay(options, lambda *given: runs.append(Measured(settings, *given)) or runs[0])  # type: ignore[func-returns-value]
        twice = replay_twice(checks.determinism) if checks.determinism is not None and outcome.status == OK else None
    except (BadFile, OSError) as error:
        failed = Outcome()
        failed.fail(UNUSABLE, str(error))
        return failed, None
    if outcome.answer is None or not runs:
        return outcome, None
    report = _report(options.recording, outcome, runs[0], goldens, checks, twice)
    if outcome.status == OK and not all(check["ok"] for check in report["checks"]):
        outcome.status = FAILED
    return outcome, report


def pace_of(recording: str, speed: str) -> Pace | None:
    """Return when frames are due: at ``max`` none ever, at ``real`` as they were recorded, at ``xN`` N times faster.

    Times are looked for beside the recording: NAME.index.jsonl, as ``record`` writes it, or NAME.times, lines of index and nanoseconds.

    Raises:
        BadFile: there are none, or they can't be read.
    """
    if speed == "max":
        return None
    stem = recording.removesuffix(".gz").removesuffix(".felixstream")
    for path, read in ((f"{stem}.index.jsonl", _from_index), (f"{stem}.times", _from_times)):
        if Path(path).is_file():
            try:
                due_ns = read(read_text(path))
            except (ValueError, KeyError, IndexError) as error:
                raise BadFile(f"{path}: no times of frames: {error}") from error
            first = due_ns[0] if due_ns else 0
            return Pace([ns - first for ns in due_ns], 1.0 if speed == "real" else float(speed[1:]))
    raise BadFile(f"--speed {speed}: neither {stem}.index.jsonl nor {stem}.times tells when frames came")


def _from_index(text: str) -> list[int]:
    lines = (json.loads(line) for line in text.splitlines())
    return [line["ns"] for line in lines if "frame" in line]


def _from_times(text: str) -> list[int]:
    return [int(line.split("\t")[1]) for line in text.splitlines()]


def _report(
    recording: str, outcome: Outcome, run: Measured, goldens: Goldens, checks: Checks, twice: dict[str, Any] | None
) -> dict[str, Any]:
    answer = outcome.answer
    assert answer is not None
    timing = _timing(run)
    report: dict[str, Any] = {
        "version": VERSION, "recording": Path(recording).name, "status": outcome.status, "errors": outcome.errors,
        **{name: answer[name] for name in ("frames", "in_sync", "generation", "converged", "entries", "writes", "degraded")},
        "kinds": dict(sorted(Counter(each.kind for each in run.timings).items())), "speed": checks.speed, "timing": timing,
        "entries_over_time": [list(each) for each in run.entries], "slowest": _slowest(run),
        "verdicts": [_verdict(packet) for packet in answer["packets"]],
        "checkpoints": [{**each._asdict(), "differences": each.differences[:_SHOWN], "differing": len(each.differences)} for each in goldens.checkpoints],
        "budgets": judged(checks.budgets, timing), "determinism": twice,
    }  # fmt: skip
    report["checks"] = list(_checks(outcome, report))
    return report


def _timing(run: Measured) -> dict[str, Any]:
    in_sync = next((each.latency_ms for each in run.timings if each.kind == "InSync"), None)
    snapshot = None if in_sync is None else in_sync
    return {"total_ms": run.seconds * 1000, "insync_ms": snapshot, "latency_ms": latencies(run.timings)}


def _slowest(run: Measured) -> list[dict[str, Any]]:
    """Return the messages that took longest themselves, not counting how long they waited to be pushed with others."""
    return [each._asdict() for each in sorted(run.timings, key=lambda each: -each.work_ms)[:_SLOWEST]]


def _verdict(packet: dict[str, Any]) -> dict[str, Any]:
    from calico_p4.cli.trace import who

    decided = [f"{rule['stage']} {rule['action']} by {who(rule)}" for rule in packet["policy"]]
    return {**{name: packet[name] for name in ("id", "verdict", "reason", "out")}, "decided": decided}


def _checks(outcome: Outcome, report: dict[str, Any]) -> Any:
    """Yield every check: its name, whether it is kept, and what is wrong."""
    yield {"name": "replay", "ok": outcome.status == OK, "text": "\n".join(outcome.errors)}
    for point in report["checkpoints"]:
        if point["path"] is not None:
            missing = f"{point['path']}: no golden file; --update-golden writes it"
            text = missing if point["state"] == MISSING else "\n".join(point["differences"])
            yield {"name": f"golden {point['name']}", "ok": point["state"] not in (DIFFERS, MISSING), "text": text}
    for budget in report["budgets"]:
        measured = "nothing to measure" if budget["measured_ms"] is None else f"{budget['measured_ms']:.3f} ms"
        text = "" if budget["ok"] else f"{measured}, {budget['limit_ms']:g} ms allowed"
        yield {"name": f"budget {budget['budget']}", "ok": budget["ok"], "text": text}
    if report["determinism"] is not None:
        yield {"name": "determinism", "ok": report["determinism"]["same"], "text": "\n".join(report["determinism"]["differences"][:_SHOWN])}
