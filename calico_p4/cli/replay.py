"""``calico-p4 replay``."""

import json
import sys
from typing import Any

import click

from calico_p4.cli.checks import check_options, checks_of, tell_failures, write_reports
from calico_p4.cli.progress import progress
from calico_p4.cli.tables import grid


@click.command(name="replay")
@click.argument("recording")
@click.option("--packets", metavar="FILE", help="Packets to send: a JSON list (schema packets.json).")
@click.option("--ports", metavar="FILE", help="Ports to add or replace: a JSON list (schema ports.json).")
@click.option("--k8s", metavar="FILE", help="Kubernetes objects, JSON lines (schema k8s.json).")
@click.option("--config", metavar="FILE", help="Felix parameters to lay over the recording's: a JSON object (schema config.json).")
@click.option("--target", default="embedded", show_default=True, metavar="TARGET", help="embedded, unix:PATH or HOST:PORT.")
@click.option("--architecture", type=click.Choice(["pna", "v1model"]), default="pna", show_default=True, help="Whose program the target runs.")
@click.option("--until", type=click.IntRange(min=0), metavar="N", help="Stop before frame N.")
@click.option("--dump", metavar="FILE", help="Write the desired rows as sorted text.")
@click.option("--state", metavar="DIR", help="Keep the allocator's file there, so that a later replay finds the same numbers.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@check_options
def command(output: str, **options: Any) -> None:
    """Replay a recorded Felix stream into a target.

    RECORDING holds the bytes as Felix wrote them, compressed with gzip or not; "-" is standard input.

    Exit status: 0 applied and converged; 1 not converged, no InSync, or no target; 2 a file can't be used; 3 a check (golden files,
    budgets, determinism) failed.
    """
    from calico_p4.replay import Options, replay

    checks = checks_of(options)
    if checks is None:
        outcome, report = replay(Options(**options)), None
    else:
        from calico_p4.ci.run import checked

        with progress() as tell:
            outcome, report = checked(Options(**options), checks.asked, tell)
    if outcome.answer is not None:
        show(outcome.answer, output)
    for error in outcome.errors:
        click.echo(f"calico-p4 replay: {error}", err=True)
    if report is not None and checks is not None:
        tell_failures(report)
        write_reports(report, checks)
    sys.exit(outcome.status)


def show(answer: dict[str, Any], output: str) -> None:
    """Print the answer."""
    if output == "json":
        click.echo(json.dumps(answer, indent=1))
        return
    click.echo(_headline(answer))
    for title, rows in _sections(answer):
        if len(rows) > 1:
            click.echo(f"\n{title}")
            for line in grid(rows):
                click.echo(line)


def _headline(answer: dict[str, Any]) -> str:
    writes = answer["writes"]
    sync = "in sync" if answer["in_sync"] else "NOT in sync"
    converged = "converged" if answer["converged"] else "NOT CONVERGED"
    counts = ", ".join(f"{writes[name]} {name}" for name in ("inserted", "modified", "deleted"))
    return f"{answer['frames']} frames of Felix {answer['generation']}, {sync}, {converged}; {counts} in {writes['requests']} writes"


def _sections(answer: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    entries = [["TABLE", "ENTRIES"], *([table, str(number)] for table, number in answer["entries"].items())]
    degraded = [["OBJECT", "DIRECTION", "EFFECT", "REASON"]]
    degraded += [[entry[name] for name in ("object", "direction", "effect", "reason")] for entry in answer["degraded"]]
    packets = [["ID", "VERDICT", "OUT", "REASON", "STAGE", "POLICY", "RULE"], *(row for packet in answer["packets"] for row in _packet_rows(packet))]
    return [("Entries on the target", entries), ("Degraded", degraded), ("Packets", packets)]


def _packet_rows(packet: dict[str, Any]) -> list[list[str]]:
    """One line for each stage that decided; the packet itself on the first."""
    head = [str(packet["id"]), packet["verdict"], packet["out"] or "-", packet["reason"]]
    decided = [[rule["stage"], _policy(rule), _rule(rule)] for rule in packet["policy"]] or [["-", packet.get("detail", "-"), "-"]]
    return [(head if place == 0 else [""] * 4) + cells for place, cells in enumerate(decided)]


def _policy(rule: dict[str, Any]) -> str:
    if rule["kind"] == "EndOfTier":
        trigger = "/".join(filter(None, (rule["trigger"]["namespace"], rule["trigger"]["name"])))
        return f"end of tier {rule['tier']} (of {trigger})"
    if rule["kind"] == "EndOfProfiles":
        return "end of profiles"
    name = "/".join(filter(None, (rule["namespace"], rule["name"])))
    return f"{rule['kind'] or 'Policy'} {name}"


def _rule(rule: dict[str, Any]) -> str:
    return rule["action"] if rule["rule_index"] is None else f"{rule['rule_index']} {rule['action']}"
