"""``calico-p4 bundle``."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from calico_p4.cli.sources import asking, reading, source_options


@click.command(name="bundle")
@source_options
@click.option("-f", "--file", "path", required=True, metavar="FILE", help="The bundle to write: a zip archive.")
@click.option("--redact", is_flag=True, help="Replace names and addresses, so that the bundle may leave the house.")
@click.option("--key", metavar="TEXT", help="Secret that --redact depends on; drawn at random if not given.")
@click.option("--map", "map_file", metavar="FILE", help="With --redact: write which name became which, to be kept: JSON.")
def command(source: str | None, at: int | None, ports: str | None, path: str, redact: bool, key: str | None, map_file: str | None) -> None:
    """Pack everything that is needed to answer questions elsewhere into one file, which every other command takes as SOURCE.

    With --redact what was said (stream, ports, Kubernetes' objects) has other names and addresses, the same by the same everywhere, and
    entries, numbers and answers are made anew from it: they are not what was read back, and counts and flows are left out. Names
    of the node's devices (eth0), label keys of Kubernetes and Calico, and words that every cluster has stay.

    Exit status: 0 written; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    if not redact and (key is not None or map_file is not None):
        raise click.UsageError("--key and --map go with --redact.")
    secret = key.encode() if key is not None else secrets.token_bytes(32)
    if not 0 < len(secret) <= 64:
        raise click.BadParameter("has to have 1 to 64 bytes", param_hint="--key")
    with asking(source, at, ports) as asked:
        from calico_p4.inspect.bundle import write_bundle

        members = asked.ask("bundle", {})
        if redact:
            members = _redacted(members, secret, map_file)
        write_bundle(path, members)
    click.echo(f"{path}: {len(members)} members, {len(members['answers/entries.json'])} entries{', redacted' if redact else ''}")


def _redacted(members: Mapping[str, Any], secret: bytes, map_file: str | None) -> dict[str, Any]:
    from calico_p4.inspect.redacted import redacted

    made, names = redacted(members, secret)
    if map_file is not None:
        with reading(map_file):
            Path(map_file).write_text(json.dumps(names, indent=1) + "\n")
    return made
