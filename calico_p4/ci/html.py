"""A report as one HTML file: nothing is loaded from anywhere, no script is needed, and the data it shows is inside as JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from calico_p4.ci.chart import line_chart

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "Liberation Sans", sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1.5rem; color: #1d2433; background: #fff; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #d5dae3; padding-bottom: .2rem; }
p { margin: .3rem 0; } table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .7rem .25rem 0; vertical-align: top; }
th { font-weight: 600; color: #55607a; border-bottom: 1px solid #d5dae3; } tr + tr td { border-top: 1px solid #eef0f4; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } td.name { width: 14rem; } td.mark { width: 5rem; } td.wrap { overflow-wrap: anywhere; }
.good { color: #1a6b34; font-weight: 600; } .bad { color: #b3261e; font-weight: 600; } .grey { color: #6b7590; }
.facts { display: flex; flex-wrap: wrap; gap: .6rem 1.9rem; margin: .8rem 0; } .facts div { min-width: 4.6rem; } .facts b { display: block; font-size: 1.25rem; font-weight: 600; }
.tables { columns: 3; column-gap: 2.5rem; } .tables div { display: flex; justify-content: space-between; border-bottom: 1px solid #eef0f4; break-inside: avoid; }
.tables b { font-weight: 400; font-variant-numeric: tabular-nums; }
pre { background: #f5f6f9; padding: .7rem; overflow-x: auto; font-size: 13px; margin: .3rem 0; } svg text { font: 12px system-ui, "Liberation Sans", sans-serif; fill: #55607a; }
"""


def html(report: dict[str, Any]) -> str:
    """Return the page of a report."""
    data = json.dumps(report).replace("</", "<\\/")
    parts = [
        f"<h1>Replay of {escape(report['recording'])}</h1>", _summary(report), _facts(report), _checks(report), _entries(report), _latency(report),
        _verdicts(report), _slowest(report), _degraded(report), f'<script type="application/json" id="report">{data}</script>',
    ]  # fmt: skip
    title = f"Replay of {escape(report['recording'])}"
    body = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'


def _summary(report: dict[str, Any]) -> str:
    failed = [check["name"] for check in report["checks"] if not check["ok"]]
    verdict = f'<span class="bad">failed: {escape(", ".join(failed))}</span>' if failed else '<span class="good">all checks passed</span>'
    sync = "in sync" if report["in_sync"] else "NOT in sync"
    converged = "converged" if report["converged"] else "NOT CONVERGED"
    return f"<p>{verdict} <span class='grey'>Felix {escape(str(report['generation']))}, {sync}, {converged}, speed {escape(report['speed'])}</span></p>"


def _facts(report: dict[str, Any]) -> str:
    timing, writes = report["timing"], report["writes"]
    facts = [
        ("frames", "frames", report["frames"]), ("entries", "entries", sum(report["entries"].values())), ("inserted", "inserted", writes["inserted"]),
        ("modified", "modified", writes["modified"]), ("deleted", "deleted", writes["deleted"]), ("requests", "writes", writes["requests"]),
        ("total_ms", "in all, ms", ms(timing["total_ms"])), ("insync_ms", "InSync to confirmed, ms", ms(timing["insync_ms"])),
    ]  # fmt: skip
    return '<div class="facts">' + "".join(f'<div><b id="{key}">{value}</b>{label}</div>' for key, label, value in facts) + "</div>"


def _checks(report: dict[str, Any]) -> str:
    rows = []
    for check in report["checks"]:
        mark = '<span class="good">passed</span>' if check["ok"] else '<span class="bad">failed</span>'
        text = f"<pre>{escape(check['text'])}</pre>" if check["text"] else ""
        rows.append((escape(check["name"]), mark, text))
    return _section("Checks", "checks", [("check", "name"), ("", "mark"), ("", "wrap")], rows)


def _entries(report: dict[str, Any]) -> str:
    points = [(seconds, entries) for _, seconds, entries in report["entries_over_time"]]
    tables = "".join(f"<div><span>{escape(name)}</span><b>{count}</b></div>" for name, count in report["entries"].items())
    chart = line_chart(points, "seconds since the start", "entries on the target") if points else ""
    return f'<h2>Entries over time</h2>\n{chart}\n<p class="grey">At the end, by table:</p>\n<div class="tables" id="entries-by-table">{tables}</div>'


def _latency(report: dict[str, Any]) -> str:
    shares = ("p50", "p90", "p99", "max")
    found = report["timing"]["latency_ms"]
    rows = [(escape(kind), str(int(values["count"])), *(ms(values[share]) for share in shares)) for kind, values in found.items()]
    head = [("message, after InSync", ""), ("count", "n"), *((f"{share}, ms", "n") for share in shares)]
    note = '<p class="grey">From the arrival of a message to the confirmation of the last row that changed by it.</p>'
    return _section("Latency per message kind", "latency", head, rows, note)


def _verdicts(report: dict[str, Any]) -> str:
    rows = []
    for packet in report["verdicts"]:
        style = "good" if packet["verdict"] == "allow" else "bad"
        decided = "<br>".join(escape(text) for text in packet["decided"])
        rows.append((escape(str(packet["id"])), f'<span class="{style}">{packet["verdict"]}</span>', escape(packet["reason"]), escape(packet["out"] or "-"), decided))
    return _section("Verdicts", "verdicts", [("packet", ""), ("verdict", ""), ("reason", ""), ("out", ""), ("decided", "wrap")], rows)


def _slowest(report: dict[str, Any]) -> str:
    rows = [(str(each["frame"]), each["kind"], escape(each["object"]), ms(each["work_ms"]), ms(each["latency_ms"])) for each in report["slowest"]]
    head = [("frame", "n"), ("message", ""), ("object", "wrap"), ("work, ms", "n"), ("latency, ms", "n")]
    return _section("Slowest messages", "slowest", head, rows)


def _degraded(report: dict[str, Any]) -> str:
    rows = [tuple(escape(each[name]) for name in ("object", "direction", "effect", "reason")) for each in report["degraded"]]
    return _section("Degraded", "degraded", [("object", "wrap"), ("direction", ""), ("effect", ""), ("reason", "wrap")], rows)


def ms(value: float | None) -> str:
    """Return milliseconds as the report shows them."""
    return "-" if value is None else f"{value:.3f}"


def _section(title: str, key: str, head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], note: str = "") -> str:
    return f"<h2>{title}</h2>\n{note}{_table(key, head, rows)}" if rows else ""


def _table(key: str, head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    return f'<table id="{key}">\n' + "\n".join(_lines(head, rows)) + "\n</table>"


def _lines(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "<tr>" + "".join(f'<th class="{style}">{name}</th>' for name, style in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f'<td class="{style}">{cell}</td>' for cell, (_, style) in zip(row, head, strict=True)) + "</tr>"
