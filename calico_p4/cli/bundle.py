"""``calico-p4 bundle``."""

import click

from calico_p4.cli.sources import asking, source_options


@click.command(name="bundle")
@source_options
@click.option("-f", "--file", "path", required=True, metavar="FILE", help="The bundle to write: a zip archive.")
def command(source: str | None, at: int | None, ports: str | None, path: str) -> None:
    """Pack everything that is needed to answer questions elsewhere into one file, which every other command takes as SOURCE.

    For one that may leave the house, redact the recording first (calico-p4 redact) and bundle that.

    Exit status: 0 written; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    with asking(source, at, ports) as asked:
        from calico_p4.inspect.bundle import write_bundle

        members = asked.ask("bundle", {})
        write_bundle(path, members)
    click.echo(f"{path}: {len(members)} members, {len(members['answers/entries.json'])} entries")
