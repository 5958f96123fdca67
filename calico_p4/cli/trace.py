"""``calico-p4 trace``."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from calico_p4.cli.columns import fitted, shorten, wrapped
from calico_p4.cli.sources import NO, asking, show_data, source_options

_LABEL = 9


@click.command(name="trace")
@source_options
@click.option("--from", "origin", metavar="PLACE", help="Who sends: NAMESPACE/POD, an address, host, or interface:NAME.")
@click.option("--to", metavar="PLACE", help="Who is to get it: NAMESPACE/POD, svc/NAMESPACE/NAME, an address, or host.")
@click.option("--proto", default="tcp", show_default=True, help="tcp, udp, sctp, udplite, icmp, icmpv6 or a number.")
@click.option("--sport", type=click.IntRange(0, 65535), default=40000, show_default=True, help="Source port.")
@click.option("--dport", type=click.IntRange(0, 65535), default=80, show_default=True, help="Destination port.")
@click.option("--icmp-type", type=click.IntRange(0, 255), help="ICMP type; an echo request if not given.")
@click.option("--icmp-code", type=click.IntRange(0, 255), default=0, help="ICMP code.")
@click.option("--family", type=click.Choice(["4", "6"]), help="IPv4 or IPv6; IPv4 where both ends have it.")
@click.option("--packet", metavar="FRAME", help="Hex of an Ethernet frame, or FILE[:N] of a capture, instead of the fields.")
@click.option("--new", is_flag=True, help="As the first packet of a flow, whatever flows the switch has learned.")
@click.option("--verify", is_flag=False, flag_value="embedded", metavar="TARGET", help="Send it through another switch too, and compare: embedded, dpdk, unix:PATH or HOST:PORT.")
@click.option("--all", "everyone", is_flag=True, help="From every pod to every other: a matrix.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True)
def command(source: str | None, at: int | None, ports: str | None, everyone: bool, output: str, origin: str | None, verify: str | None,
            family: str | None, **given: Any) -> None:  # fmt: skip
    """Send a packet through the entries that are on the target, and say what became of it and why.

    SOURCE is a recording ("-": standard input) or the admin socket of a driver (unix:PATH); without it the running driver is asked.

    A packet of a flow that the switch has learned is traced as that, with the flow, unless --new, --verify or --all asks for a new one.

    Exit status: 0 there is an answer, whatever the verdict; 1 no such place, or --verify found a difference; 2 a bad argument or file;
    3 driver or target can't be reached.
    """
    wanted = {"source": origin, "family": int(family) if family else None, **given}
    with asking(source, at, ports) as asked:
        answer = asked.ask("matrix" if everyone else "trace", wanted if everyone or not verify else wanted | {"verify": verify})
    if not show_data(answer, output):
        for line in matrix_lines(answer) if everyone else lines(answer, output == "wide"):
            click.echo(line)
    if answer.get("verified", {}).get("differences"):
        sys.exit(NO)


def lines(answer: dict[str, Any], wide: bool = False) -> Iterator[str]:
    """Yield a trace for people: the verdict and why, then the steps."""
    for label, text in _story(answer):
        yield from wrapped(label, text, _LABEL)
    yield ""
    yield from _blocks(answer["steps"]) if wide else _table(answer["steps"])


def _story(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    verdict = answer["verdict"].upper()
    out = f", out by {answer['out']}" if answer["out"] else ""
    yield "verdict", f"{verdict}  {_packet(answer['sent'])}{out}"
    yield "reason", answer["reason"] + (f": {answer['detail']}" if "detail" in answer else "")
    if answer.get("rejected"):
        yield "rejected", answer["rejected"]["text"]
    if answer.get("flow"):
        yield "flow", _flow(answer["flow"])
    for decided in answer["policy"]:
        yield decided["stage"], f"{decided['action']} by {who(decided)}{_passed(decided)}"
    if answer.get("culprit") and answer["culprit"]["trigger"]:
        yield "culprit", f"{_name(answer['culprit']['trigger'])}, the first policy of tier {answer['culprit']['tier']} in this direction"
    if answer["reason"] == "default_deny":
        yield "closest", _closest(answer["closest"])
    if answer.get("staged"):
        staged = answer["staged"]
        why = "; ".join(f"{each['stage']} {each['action']} by {who(each)}" for each in staged["policy"])
        yield "staged", f"{staged['verdict'].upper()} if {', '.join(staged['staged'])} were enforced{f' ({why})' if why else ''}"
    for entry in answer.get("degraded", ()):
        yield "degraded", f"{entry['object']}, {entry['direction']}: {entry['reason']} ({entry['effect']})"
    if "verified" in answer:
        differing = answer["verified"]["differences"]
        yield "verified", f"DISAGREES with {answer['verified']['target']}: {'; '.join(differing)}" if differing else "the second switch agrees"
    pending = answer["state"]["pending"]
    yield "state", f"{answer['source']} after {answer['frames']} frames; " + (f"{pending} rows are NOT on the target as wanted" if pending else
                                                                             "the target holds what is wanted")  # fmt: skip


def _flow(flow: dict[str, Any]) -> str:
    leaves = f", translated to {flow['leaves']}" if flow["leaves"] else ""
    way = "the first packet's way" if flow["direction"] == "forth" else "the other way"
    return f"{flow['state']}, {flow['age']} s old: {flow['protocol']} {flow['src']} -> {flow['dst']}{leaves}; this packet goes {way}; --new asks policy"


def _closest(closest: dict[str, Any] | None) -> str:
    if closest is None:
        return "no single change lets it pass"
    after = closest["after"]
    text: str = closest["text"]
    if closest["flips"]:
        return f"{text}; then it is allowed"
    decided = after["policy"][-1]
    return f"{text}; but then {decided['stage']} is denied by {who(decided)}: no single change lets it pass"


def _packet(sent: dict[str, Any]) -> str:
    if "src" not in sent:
        return f"a frame of {len(sent['frame']) // 2} bytes into {sent['entry']}"
    ports = f" {sent['sport']} -> {sent['dport']}" if "sport" in sent else ""
    icmp = f" type {sent['icmp_type']} code {sent['icmp_code']}" if "icmp_type" in sent else ""
    return f"{sent['src']} -> {sent['dst']}  {sent['protocol']}{ports}{icmp}, in by {sent['entry'].removeprefix('interface:')}"


def who(decided: dict[str, Any]) -> str:
    """Return who decided: a rule of a policy or profile, or the end of a tier or of the profiles."""
    if decided["kind"] == "EndOfTier":
        return f"the end of tier {decided['tier']}"
    if decided["kind"] == "EndOfProfiles":
        return "the end of the profiles"
    rule_id = f" (rule id {decided['rule_id']})" if decided["rule_id"] else ""
    tier = f", tier {decided['tier']}" if decided["tier"] else ""
    return f"rule {decided['rule_index']} of {_name(decided)}{tier}{rule_id}"


def _name(policy: dict[str, Any]) -> str:
    return f"{policy['kind'] or 'Policy'} {'/'.join(filter(None, (policy['namespace'], policy['name'])))}"


def _passed(decided: dict[str, Any]) -> str:
    passed = [f"{each['action']} by rule {each['rule_index']} of {_name(each)}" for each in decided["passed"]]
    return f", after {', '.join(passed)}" if passed else ""


def _table(steps: list[dict[str, Any]]) -> Iterator[str]:
    rows = [["#", "TABLE", "KEY", "ENTRY", "ACTION", "FROM"]]
    for number, step in enumerate(steps, 1):
        hit = step["entry"] or ("learned" if step["result"] == "hit" else "miss")
        rows.append([str(number), step["table"], step["key"], hit, step["action"], step["origin"] or "-"])
    yield from fitted(rows)


def _blocks(steps: list[dict[str, Any]]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield f"{number:2}  {step['table']}: {step['result']}{' ' + step['entry'] if step['entry'] else ''}"
        for label in ("key", "entry_key", "action", "origin"):
            if step[label]:
                yield from wrapped(f"      {label.replace('_', ' ')}", shorten(step[label]), 18)
        for name, frame in step.get("frames", {}).items():
            yield f"                  frame {frame}: {name}"


_MARKS = {"allow": "+", "default_deny": ".", "policy": "-"}


def matrix_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Yield a matrix: a line for each sender, a column for each receiver, as many blocks of columns as need be."""
    names = answer["endpoints"]
    marks = {(pair["from"], pair["to"]): _mark(pair) for pair in answer["pairs"]}
    label, cell = min(60, max(map(len, names), default=4)) + 5, len(str(len(names))) + 1
    per_block = max(1, (120 - label) // cell)
    yield f"{answer['proto']} to port {answer['dport']}, first packet of a flow: + allowed, - denied by a rule, . denied by default, x otherwise"
    for start in range(0, len(names), per_block):
        columns = names[start : start + per_block]
        yield ""
        yield ("from \\ to".ljust(label) + "".join(str(number).rjust(cell) for number in range(start + 1, start + len(columns) + 1))).rstrip()
        for number, sender in enumerate(names, 1):
            row = "".join(marks.get((sender, to), " ").rjust(cell) for to in columns)
            yield (f"{number:3} {sender}"[: label - 1].ljust(label) + row).rstrip()


def _mark(pair: dict[str, Any]) -> str:
    return "+" if pair["verdict"] == "allow" else _MARKS.get(pair["reason"], "x")
