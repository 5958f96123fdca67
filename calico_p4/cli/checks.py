"""The options of ``replay`` for CI: what is checked, and which reports are written."""

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from calico_p4.cli.failure import fail

_SPEED = re.compile(r"max|real|x[0-9]+(?:\.[0-9]+)?")
_LINES = 20
_OPTIONS = (
    click.option("--golden", metavar="DIR", help="Compare rows at InSync, at checkpoints and at the end, and verdicts, with files there."),
    click.option("--update-golden", is_flag=True, help="Write the golden files that differ or are missing."),
    click.option("--checkpoint", "checkpoints", type=click.IntRange(min=1), multiple=True, metavar="N", help="A checkpoint after N frames."),
    click.option("--every", type=click.IntRange(min=1), metavar="K", help="A checkpoint after every K frames, from InSync on."),
    click.option("--speed", default="max", show_default=True, metavar="SPEED", help="max, real (as recorded), or xN: N times as fast."),
    click.option("--flush", type=click.IntRange(min=1), metavar="N", help="After InSync push every N frames; default 100. 1 for latencies."),
    click.option("--budget", "budgets", multiple=True, metavar="BUDGET", help="[KIND.]p50|p90|p99|max=TIME, insync=TIME or total=TIME."),
    click.option("--determinism", is_flag=True, help="Replay twice more, with different hash seeds, and compare."),
    click.option("--report", metavar="FILE", help="Write the report as JSON."),
    click.option("--html", metavar="FILE", help="Write the report as one HTML page."),
    click.option("--junit", metavar="FILE", help="Write the checks as JUnit XML."),
)


class CheckOptions(NamedTuple):
    """What is asked for, and where reports go."""

    asked: Any
    report: str | None
    html: str | None
    junit: str | None


def check_options(function: Any) -> Any:
    """Add the options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def checks_of(options: dict[str, Any]) -> CheckOptions | None:
    """Take the options of checks out of ``options``; None if nothing was asked for, and nobody looks on."""
    names = ("golden", "update_golden", "checkpoints", "every", "speed", "budgets", "determinism", "report", "html", "junit")
    given = {name: options.pop(name) for name in names}
    flush = options.pop("flush")
    if flush is not None:
        options["flush"] = flush
    if given["update_golden"] and not given["golden"]:
        raise click.UsageError("--update-golden needs --golden DIR")
    if given["determinism"] and options["recording"] == "-":
        raise click.UsageError("--determinism reads the recording again, and standard input can't be")
    if not _SPEED.fullmatch(given["speed"]) or given["speed"].strip("x0.") == "":
        raise click.BadParameter(f"{given['speed']!r}: max, real or xN", param_hint="--speed")
    plain = given["speed"] == "max" and not any(value for name, value in given.items() if name != "speed")
    if plain and not sys.stderr.isatty():
        return None
    from calico_p4.ci.run import Checks

    arguments = _arguments(options) if given["determinism"] else None
    asked = Checks(given["golden"], given["update_golden"], given["checkpoints"], given["every"] or 0, given["speed"], _budgets(given["budgets"]), arguments)
    return CheckOptions(asked, given["report"], given["html"], given["junit"])


def _budgets(texts: tuple[str, ...]) -> list[Any]:
    from calico_p4.ci.budget import parse_budget

    try:
        return [parse_budget(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--budget") from error


def _arguments(options: dict[str, Any]) -> list[str]:
    """The command line of the same replay without checks; state and dump are its own."""
    named = {name: value for name, value in options.items() if name not in ("recording", "dump", "state") and value is not None}
    return [options["recording"], *(text for name, value in named.items() for text in (f"--{name}", str(value)))]


def tell_failures(report: dict[str, Any]) -> None:
    """Say on standard error which checks failed, and what differs."""
    for check in report["checks"]:
        if not check["ok"] and check["name"] != "replay":
            lines = check["text"].splitlines()
            click.echo(f"calico-p4 replay: {check['name']}: failed", err=True)
            for line in lines[:_LINES]:
                click.echo(f"  {line}", err=True)
            if len(lines) > _LINES:
                click.echo(f"  ... and {len(lines) - _LINES} more", err=True)


def write_reports(report: dict[str, Any], checks: CheckOptions) -> None:
    """Write the reports that were asked for. Ends the program with exit status 2 if one can't be."""
    texts = {}
    if checks.report:
        texts[checks.report] = json.dumps(report, indent=1) + "\n"
    if checks.html:
        from calico_p4.ci.html import html

        texts[checks.html] = html(report)
    if checks.junit:
        from calico_p4.ci.junit import junit

        texts[checks.junit] = junit(report)
    for path, text in texts.items():
        try:
            Path(path).write_text(text)
        except OSError as error:
            fail("replay", f"{path}: {error.strerror}")
