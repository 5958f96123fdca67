"""``calico-p4 top``."""

from typing import Any

import click

from calico_p4.cli.get import FORMATS, show
from calico_p4.cli.sources import asking, source_options

_BY = {"rules": "packets", "drops": "packets", "tables": "entries", "policies": "packets"}


@click.command(name="top")
@click.argument("what", type=click.Choice(list(_BY)))
@source_options
@click.option("--packets", metavar="FILE", help="A recording: send these packets first (schema packets.json).")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many lines.")
@click.option("-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True)
def command(what: str, source: str | None, at: int | None, ports: str | None, packets: str | None, limit: int, output: str) -> None:
    """Show the rules that packets met most often, the policies, why packets were dropped, or the fullest tables.

    Counts are those of the target, by name: what a rule decided and what it let pass on, over all tables, edits included.

    Exit status: 0 listed; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    with asking(source, at, ports, packets) as asked:
        items: list[dict[str, Any]] = asked.ask("get", {"kind": what})
    found = sorted(items, key=lambda item: -item[_BY[what]])
    show(what, [item for item in found if item[_BY[what]]][:limit], "wide" if output == "table" and what == "policies" else output)
