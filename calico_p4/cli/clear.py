"""``calico-p4 clear``."""

import click

from calico_p4.cli.sources import asking


@click.command(name="clear")
@click.argument("what", type=click.Choice(["flows"]))
@click.argument("source", required=False)
@click.option("--address", metavar="ADDRESS", help="Only flows with this address, translated or not.")
def command(what: str, source: str | None, address: str | None) -> None:
    """Make the switch of a running driver forget flows, so that their next packets are judged as new.

    SOURCE is the admin socket of a driver (unix:PATH); without it that of the driver on this machine.

    Exit status: 0 done; 1 the target does not tell what it learned; 2 a bad argument; 3 the driver or the target can't be reached.
    """
    del what
    if source is not None and not source.startswith("unix:"):
        raise click.UsageError("clear is for a running driver: unix:PATH")
    with asking(source) as asked:
        click.echo(f"{asked.ask('clear', {'address': address})['flows']} flows forgotten")
