"""``calico-p4 capabilities``."""

import click

from calico_p4.cli.columns import fitted
from calico_p4.cli.sources import failing, show_data


@click.command(name="capabilities")
@click.argument("target", default="embedded")
@click.option("--architecture", type=click.Choice(["pna", "v1model"]), default="pna", show_default=True,
              help="Whose program is told of where the target has none.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(target: str, architecture: str, output: str) -> None:
    """Say what a target can do: embedded, unix:PATH or HOST:PORT. Nothing on it is changed.

    Exit status: 0 listed; 3 the target can't be reached.
    """
    from calico_p4.inspect.capabilities import capabilities

    with failing():
        answer = capabilities(target, architecture)
    if not show_data(answer, output):
        for line in fitted([["CAPABILITY", "VALUE"], *([item["capability"], item["value"]] for item in answer)]):
            click.echo(line)
