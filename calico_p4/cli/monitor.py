"""``calico-p4 monitor``."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import click

from calico_p4.cli.sources import driver_at, failing
from calico_p4.cli.trace import who
from calico_p4.frames import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE

_PROTOCOLS = {TCP: "tcp", UDP: "udp", SCTP: "sctp", UDPLITE: "udplite", ICMP: "icmp", ICMPV6: "icmpv6"}


@click.command(name="monitor")
@click.argument("source", required=False)
@click.option("--dropped-only", is_flag=True, help="Only packets of which nothing left the switch.")
@click.option("--pod", metavar="NAMESPACE/NAME", help="Only packets from or to this pod.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: one object a line.")
def command(source: str | None, dropped_only: bool, pod: str | None, count: int | None, output: str) -> None:
    """Watch what becomes of each packet through the embedded switch of a running driver, and what decided.

    SOURCE is the driver's admin socket (unix:PATH). A line a packet: when it was heard of, verdict, reason, packet, from whom to whom, and
    what decided in each stage. Packets that come faster than they can be told are counted, and their number stands where they are missing.

    Exit status: 0 N packets were shown, or it was interrupted; 1 no such pod; 2 a bad argument; 3 the driver or the switch can't be
    reached, ended, or is none that can be watched.
    """
    if source is not None and not source.startswith("unix:"):
        raise click.UsageError(f"{source}: only a running driver can be watched: unix:PATH")
    wanted = {"dropped_only": dropped_only, "pod": pod}
    with failing(), closing(driver_at(source)) as driver, closing(driver.watch(wanted)) as lines, suppress(KeyboardInterrupt):
        _show(lines, count, output)


def _show(lines: Iterator[Any], count: int | None, output: str) -> None:
    shown = 0
    for line in lines:
        if line is None:
            click.echo("calico-p4: watching", err=True)
            continue
        click.echo(json.dumps(line) if output == "json" else text(line))
        shown += "lost" not in line
        if shown == count:
            return


def text(line: dict[str, Any]) -> str:
    """Return a line for people."""
    if "lost" in line:
        return f"-- {line['lost']} packets lost here: they came faster than they could be told"
    reason = line["reason"] + {None: "", "sent": ", rejected"}.get(line["rejected"], f", not rejected ({line['rejected']})")
    why = "; ".join(f"{each['stage']} {each['action']} by {who(each)}" for each in line["policy"])
    head = f"{line['time'][11:23]}  {line['verdict'].upper():5}  {reason}  {_packet(line['sent'])}  {_place(line['from'])} -> {_place(line['to'])}"
    return f"{head}  {why}".rstrip()


def _packet(sent: dict[str, Any] | None) -> str:
    if sent is None:
        return "no IP packet"
    ports = f" {sent['sport']} -> {sent['dport']}" if sent["dport"] is not None else ""
    icmp = f" type {sent['icmp_type']} code {sent['icmp_code']}" if sent["icmp_type"] is not None else ""
    return f"{_PROTOCOLS.get(sent['proto'], sent['proto'])} {sent['src']} -> {sent['dst']}{ports}{icmp}"


def _place(name: str | None) -> str:
    return (name or "-").removeprefix("workload:")
