"""``calico-p4 check``."""

import sys

import click

from calico_p4.cli.columns import fitted
from calico_p4.cli.sources import NO, asking, show_data, source_options


@click.command(name="check")
@source_options
@click.option("--settings", metavar="FILE", is_flag=False, flag_value="", help="Explain the driver's settings instead: environment, and FILE if given.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(source: str | None, at: int | None, ports: str | None, settings: str | None, output: str) -> None:
    """Check whether everything is as it should be: stream, target, entries, room.

    Exit status: 0 all is well; 1 a check failed; 2 a bad argument or file; 3 the driver can't be reached.
    """
    if settings is not None:
        _explain_settings(settings, output)
        return
    with asking(source, at, ports) as asked:
        answer = asked.ask("check", {})
    if not show_data(answer, output):
        rows = [["CHECK", "OK", "DETAIL"], *([item["check"], "yes" if item["ok"] else "NO", item["detail"]] for item in answer)]
        for line in fitted(rows):
            click.echo(line)
    sys.exit(0 if all(item["ok"] for item in answer) else NO)


def _explain_settings(path: str, output: str) -> None:
    """Say what every setting is, and who said so; exit status 2 for one that is none."""
    import os

    from calico_p4.settings import BadSettings, explained, gathered

    try:
        found = list(explained(gathered(os.environ, None, path or None)))
    except BadSettings as error:
        raise click.UsageError(str(error)) from error
    if not show_data([dict(zip(("setting", "value", "from", "meaning"), each, strict=True)) for each in found], output):
        for line in fitted([["SETTING", "VALUE", "FROM", "MEANING"], *map(list, found)]):
            click.echo(line)
