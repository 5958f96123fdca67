"""``calico-p4 check``."""

import sys

import click

from calico_p4.cli.columns import fitted
from calico_p4.cli.sources import NO, asking, show_data, source_options


@click.command(name="check")
@source_options
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(source: str | None, at: int | None, ports: str | None, output: str) -> None:
    """Check whether everything is as it should be: stream, target, entries, room.

    Exit status: 0 all is well; 1 a check failed; 2 a bad argument or file; 3 the driver can't be reached.
    """
    with asking(source, at, ports) as asked:
        answer = asked.ask("check", {})
    if not show_data(answer, output):
        rows = [["CHECK", "OK", "DETAIL"], *([item["check"], "yes" if item["ok"] else "NO", item["detail"]] for item in answer)]
        for line in fitted(rows):
            click.echo(line)
    sys.exit(0 if all(item["ok"] for item in answer) else NO)
