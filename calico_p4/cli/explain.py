"""``calico-p4 explain``."""

from collections.abc import Iterator
from typing import Any

import click

from calico_p4.cli.columns import wrapped
from calico_p4.cli.sources import asking, show_data, source_options

_LABEL = 11


@click.command(name="explain")
@click.argument("what", type=click.Choice(["entry"]))
@click.argument("entry")
@source_options
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(what: str, entry: str, source: str | None, at: int | None, ports: str | None, output: str) -> None:
    """Say who made an entry, and why it is there.

    ENTRY is an id as trace and get entries -o wide print it (or the beginning of one), or "TABLE KEY" as get entries prints them.

    Exit status: 0 there it is; 1 there is no such entry; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    del what
    with asking(source, at, ports) as asked:
        answer = asked.ask("explain", {"entry": entry})
    if not show_data(answer, output):
        for line in _lines(answer):
            click.echo(line)


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    yield from wrapped("entry", f"{entry['id']}, table {entry['table']}", _LABEL)
    yield from wrapped("key", entry["key"], _LABEL)
    yield from wrapped("action", entry["action"], _LABEL)
    yield from wrapped("made by", f"{entry['module']}, for {entry['owner']}", _LABEL)
    for name in entry["objects"]:
        frame = entry["frames"].get(name)
        known = entry["ipsets"].get(name.removeprefix("IPSet "))
        what = f" ({known['selector'] + '; ' if known['selector'] else ''}{known['members']} members)" if known else ""
        yield from wrapped("because of", name + what + (f", last spoken of in frame {frame}" if frame is not None else ""), _LABEL)
    yield from wrapped("wanted", "yes, as it is" if entry["wanted"] else "NO: the driver does not want it, or not like this", _LABEL)
