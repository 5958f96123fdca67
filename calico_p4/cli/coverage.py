"""``calico-p4 coverage``."""

import json
import sys
from typing import Any

import click

from calico_p4.cli.failure import reading
from calico_p4.cli.tables import grid


@click.command(name="coverage")
@click.argument("recordings", nargs=-1, required=True)
@click.option("--require", "required", multiple=True, metavar="SECTION:NAME", help="Fail unless this was exercised; may be given again.")
@click.option("--missing", is_flag=True, help="Print only what was not exercised.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(recordings: tuple[str, ...], required: tuple[str, ...], missing: bool, output: str) -> None:
    """Count which message kinds, fields, rule fields, set kinds, tables and actions recordings exercise, all taken together.

    Exit status: 0; 1 something required was not exercised; 2 a recording can't be used.
    """
    from calico_p4.tools.coverage import Coverage
    from felix_proto.recordings import read_recording

    coverage = Coverage()
    for recording in recordings:
        with reading("coverage", recording):
            coverage.add(read_recording(recording))
    counts = coverage.as_dict()
    wanted = [_wanted(text, counts) for text in required]
    if output == "json":
        click.echo(json.dumps(counts, indent=1))
    else:
        _show(counts, missing)
    unmet = [f"{section}:{name}" for section, name in wanted if not counts[section].get(name)]
    for text in unmet:
        click.echo(f"calico-p4 coverage: not exercised: {text}", err=True)
    sys.exit(1 if unmet else 0)


def _wanted(text: str, counts: dict[str, dict[str, int]]) -> tuple[str, str]:
    section, _, name = text.partition(":")
    if section not in counts:
        raise click.BadParameter(f"{text!r}: no section {section!r}; there are {', '.join(counts)}", param_hint="--require")
    if name not in counts[section]:
        raise click.BadParameter(f"{text!r}: nothing of that name in {section}", param_hint="--require")
    return section, name


def _show(counts: dict[str, dict[str, Any]], missing: bool) -> None:
    for section, names in counts.items():
        exercised = sum(count > 0 for count in names.values())
        click.echo(f"{section}: {exercised} of {len(names)}" if section != "unknown" else f"unknown: {len(names)}")
        rows = [[f"  {name}", str(count)] for name, count in names.items() if (count == 0) == missing]
        for line in grid(rows) if rows else ():
            click.echo(line)
