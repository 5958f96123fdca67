"""What can be looked for by ``bisect`` and ``minimize``: the options of both."""

import json
from typing import Any

import click

from calico_p4.cli.failure import fail, reading

_OPTIONS = (
    click.option("--packet", metavar="JSON", help="A packet (schema packets.json) that is not decided as it should be."),
    click.option("--packets", metavar="FILE", help="The packets file that --packet names one of by its id."),
    click.option("--expect", type=click.Choice(["allow", "deny"]), help="How the packet should be decided; else: as at the good moment."),
    click.option("--degraded", metavar="OBJECT", help="An object that is Degraded and should not be; any for whichever comes first."),
    click.option("--scratch", is_flag=True, help="Rows (or, with --packet, its fate) that differ from those of a driver told the same state in one go."),
    click.option("--golden", metavar="FILE", help="Rows that differ from this dump of the whole stream."),
    click.option("--fails", is_flag=True, help="The driver fails, or does not converge."),
    click.option("--run", metavar="COMMAND", help="A program that, given a recording ({}), ends with 0 if all is well, 125 if it can't tell."),
    click.option("--ports", metavar="FILE", help="Ports of the replay, as for replay --ports."),
    click.option("--k8s", metavar="FILE", help="Kubernetes objects, as for replay --k8s."),
    click.option("--config", metavar="FILE", help="Felix parameters, as for replay --config."),
)


def symptom_options(function: Any) -> Any:
    """Add the options that say what is wrong."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def symptom_of(command: str, given: dict[str, Any]) -> Any:
    """Return the symptom that the options name, which are taken out of ``given``. Ends the program for a file that can't be used."""
    from calico_p4.tools import symptoms

    options = {name: given.pop(name) for name in ("packet", "packets", "expect", "degraded", "scratch", "golden", "fails", "run", "ports", "k8s", "config")}
    if options["packet"] and options["scratch"] and options["expect"]:
        raise click.UsageError("--expect and --scratch exclude each other")
    options["scratch"], fresh = options["scratch"] and not options["packet"], options["scratch"]
    chosen = [name for name in ("packet", "degraded", "scratch", "golden", "fails", "run") if options[name]]
    if len(chosen) != 1:
        raise click.UsageError("say what is wrong: one of --packet, --degraded, --scratch, --golden, --fails, --run")
    beside = _beside(command, options["ports"], options["k8s"], options["config"])
    if options["run"] and beside != type(beside)():
        raise click.UsageError("--run: the program replays by itself, and is given its files in COMMAND")
    if options["packet"]:
        packet = _packet(command, options["packet"], options["packets"])
        return symptoms.OtherwiseFresh(packet, beside) if fresh else symptoms.WrongVerdict(packet, options["expect"], beside)
    if options["degraded"]:
        return symptoms.IsDegraded("" if options["degraded"] == "any" else options["degraded"], beside)
    if options["golden"]:
        from calico_p4.files import read_text

        with reading(command, options["golden"]):
            return symptoms.NotAsGolden(read_text(options["golden"]).splitlines(), beside)
    if options["run"]:
        return symptoms.Judged(options["run"])
    return symptoms.NotAsFromScratch(beside) if options["scratch"] else symptoms.Fails(beside)


def _beside(command: str, ports: str | None, k8s: str | None, config: str | None) -> Any:
    """Return what the replays are given beside the stream."""
    from calico_p4.files import load_json
    from calico_p4.kubernetes_file import load_events
    from calico_p4.ports import load_ports
    from calico_p4.tools.product import Beside

    with reading(command, ports or k8s or config or ""):
        return Beside(load_ports(ports) if ports else (), load_events(k8s) if k8s else None, load_json(config, "config") if config else {})


def _packet(command: str, text: str, path: str | None) -> dict[str, Any]:
    """Return the packet written on the command line, or that of the file with this id."""
    from calico_p4.files import BadFile, check, load_list

    if path is None:
        try:
            items = [json.loads(text)]
            check("--packet", "packets", items)
        except BadFile as error:
            fail(command, str(error))
        except ValueError as error:
            fail(command, f"--packet: {error}")
        return _plain(command, items[0])
    with reading(command, path):
        items = load_list(path, "packets")
    for place, item in enumerate(items):
        if str(item.get("id", place)) == text:
            return _plain(command, item)
    fail(command, f"{path}: no packet with id {text!r}")


def _plain(command: str, packet: dict[str, Any]) -> dict[str, Any]:
    """The packet without what says when it is sent."""
    if "reply_to" in packet:
        fail(command, "a packet that is the reply to another can't be sent alone: give its fields")
    return {name: value for name, value in packet.items() if name not in ("id", "after", "at", "flow")}
