"""``calico-p4 lint``."""

import json
import sys

import click

from calico_p4.cli.failure import reading


@click.command(name="lint")
@click.argument("recordings", nargs=-1, required=False)
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave a rule out; may be given again.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules and end.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(recordings: tuple[str, ...], ignore: tuple[str, ...], list_rules: bool, output: str) -> None:
    """Check recordings against the rules of order that Felix keeps, so that a damaged stream is not taken for a driver's bug.

    Exit status: 0 clean; 1 a rule is broken; 2 a recording can't be opened.
    """
    from calico_p4.tools.lint import RULES

    if list_rules:
        for name, text in RULES.items():
            click.echo(f"{name:24} {text}")
        return
    if not recordings:
        raise click.UsageError("Missing argument 'RECORDINGS...'.")
    unknown = set(ignore) - RULES.keys()
    if unknown:
        raise click.BadParameter(f"no rule {min(unknown)!r}; `lint --rules` lists them", param_hint="--ignore")
    found = [(recording, violation) for recording in recordings for violation in _check(recording) if violation.rule not in ignore]
    if output == "json":
        click.echo(json.dumps([{"recording": recording, **violation._asdict()} for recording, violation in found], indent=1))
    else:
        for recording, violation in found:
            click.echo(f"{recording}: {violation}")
    sys.exit(1 if found else 0)


def _check(recording: str) -> list:  # type: ignore[type-arg]
    from calico_p4.tools.lint import lint
    from felix_proto.recordings import read_recording

    with reading("lint", recording):
        return list(lint(read_recording(recording)))
    return []
