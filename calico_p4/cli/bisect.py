"""``calico-p4 bisect``."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from calico_p4.cli.columns import WIDTH, fitted, shorten
from calico_p4.cli.failure import fail, reading
from calico_p4.cli.progress import progress
from calico_p4.cli.symptom import symptom_of, symptom_options

NOT_FOUND = 1
_ROWS = 20
"""Rows shown of each kind of change; JSON has all."""


@click.command(name="bisect")
@click.argument("recording")
@symptom_options
@click.option("--good", type=click.IntRange(min=0), metavar="N", help="After the first N frames nothing was wrong; default: where the search can begin.")
@click.option("--bad", type=click.IntRange(min=1), metavar="N", help="After the first N frames it was wrong; default: all.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True)
def command(recording: str, good: int | None, bad: int | None, output: str, **given: Any) -> None:
    """Find the first frame after which something is wrong, in at most log2(n) + 1 replays of n frames.

    Exit status: 0 found; 1 it shows at the good moment already, or nowhere; 2 an argument or a file can't be used.
    """
    symptom = symptom_of("bisect", given)
    from calico_p4.tools.bisection import Bisection
    from calico_p4.tools.symptoms import NothingWrong
    from felix_proto.recordings import read_recording

    with reading("bisect", recording):
        payloads = [frame.payload for frame in read_recording(recording)]
        with progress() as tell:
            try:
                found = Bisection(payloads, symptom, tell).search(good, bad)
            except NothingWrong as error:
                fail("bisect", str(error), NOT_FOUND)
        answer = _answer(found, payloads[found.frame], symptom)
    if output == "json":
        click.echo(json.dumps(answer, indent=1))
    else:
        for line in _lines(answer, output == "wide"):
            click.echo(line)
    sys.exit(0)


def _answer(found: Any, payload: bytes, symptom: Any) -> dict[str, Any]:
    from calico_p4.tools.text import to_text

    good, bad = found.good, found.bad
    gone = [{"row": row, "owner": owner} for row, owner in good.rows.items() if row not in bad.rows]
    came = [{"row": row, "owner": owner} for row, owner in bad.rows.items() if row not in good.rows]
    return {
        "frame": found.frame, "message": to_text(payload), "replays": found.replays, "shown": _plain(symptom.seen(bad, good)),
        "packet": {"before": good.answer, "after": bad.answer} if bad.answer is not None else None,
        "degraded": [entry.as_dict() for entry in bad.degraded if entry not in good.degraded],
        "fault": bad.fault or None, "rows": {"removed": gone, "added": came},
    }  # fmt: skip


def _plain(seen: Any) -> Any:
    return [str(item) for item in seen] if isinstance(seen, tuple) else seen


def _lines(answer: dict[str, Any], wide: bool) -> Iterator[str]:
    yield f"frame {answer['frame']} is the first after which it shows ({answer['replays']} replays)"
    yield _cut(f"  {answer['message']}", wide)
    if answer["packet"]:
        for when in ("before", "after"):
            yield f"{when:7} {_decision(answer['packet'][when])}"
    if answer["fault"]:
        yield f"fault   {answer['fault']}"
    if answer["degraded"]:
        yield ""
        yield from fitted([["OBJECT", "DIRECTION", "EFFECT", "REASON"], *([each[name] for name in ("object", "direction", "effect", "reason")] for each in answer["degraded"])])
    rows = answer["rows"]
    yield ""
    yield f"rows: {len(rows['removed'])} removed, {len(rows['added'])} added"
    for mark, kind in (("-", "removed"), ("+", "added")):
        shown = rows[kind] if wide else rows[kind][:_ROWS]
        yield from (_cut(_row(mark, each), wide) for each in shown)
        if len(shown) < len(rows[kind]):
            yield f"{mark} ... and {len(rows[kind]) - len(shown)} more (-o wide)"


def _row(mark: str, each: dict[str, str]) -> str:
    """A row, with the object that asked for it where there is one: rows of policy are shared by many."""
    owner = "" if each["row"].startswith(each["owner"].partition(" ")[0]) else f"  # {each['owner']}"
    return f"{mark} {each['row']}{owner}"


def _decision(answer: dict[str, Any] | None) -> str:
    from calico_p4.cli.trace import who

    if answer is None:
        return "not asked: nothing is in the pipeline yet"
    decided = "; ".join(f"{rule['stage']} {rule['action']} by {who(rule)}" for rule in answer["policy"])
    return f"{answer['verdict']} ({answer['reason']})" + (f": {decided}" if decided else "")


def _cut(line: str, wide: bool) -> str:
    if wide:
        return line
    line = shorten(line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
