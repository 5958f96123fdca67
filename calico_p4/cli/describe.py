"""``calico-p4 describe``."""

from typing import Any

import click

from calico_p4.cli.sources import asking, show_data, source_options


@click.command(name="describe")
@click.argument("what", type=click.Choice(["endpoint", "pod", "policy", "profile", "ipset", "service", "route", "vtep", "hostendpoint"]))
@click.argument("name")
@source_options
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(what: str, name: str, source: str | None, at: int | None, ports: str | None, output: str) -> None:
    """Show one object in full: what it says, whom it concerns, its hits and its entries.

    NAME of an endpoint: NAMESPACE/POD or ORCHESTRATOR/WORKLOAD/ENDPOINT; of a policy: its name, with namespace and kind if need be.

    Exit status: 0 there it is; 1 there is no such object; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    with asking(source, at, ports) as asked:
        answer: dict[str, Any] = asked.ask("describe", {"kind": what, "name": name})
    if not show_data(answer, output):
        for line in answer["lines"]:
            click.echo(line)
