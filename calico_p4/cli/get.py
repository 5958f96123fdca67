"""``calico-p4 get``."""

from typing import Any

import click

from calico_p4.cli.recording import read
from calico_p4.cli.tables import FORMATS, show

_COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "endpoints": (("namespace", "name", "interface", "ips", "state"), ("tiers", "policies", "rules", "entries"), "full"),
    "policies": (("kind", "namespace", "name", "tier", "endpoints", "state"), ("inbound", "outbound"), "full"),
    "ipsets": (("id", "type", "members", "policies"), ("content",), "id"),
    "entries": (("table", "key", "action"), ("owner",), "full"),
    "tables": (("name", "entries", "size"), ("owner",), "name"),
}


@click.command(name="get")
@click.argument("what", type=click.Choice(list(_COLUMNS)))
@click.argument("recording")
@click.option("--until", type=click.IntRange(min=0), metavar="N", help="Stop before frame N.")
@click.option("--table", "tables", multiple=True, metavar="TABLE", help="entries: only of this table; may be given again.")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="endpoints, policies: only of this namespace.")
@click.option("-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True)
def command(what: str, recording: str, until: int | None, tables: tuple[str, ...], namespace: str | None, output: str) -> None:
    """List endpoints, policies, ipsets, entries or tables of a recording."""
    items = _items(what, read(recording, until), tables)
    if namespace is not None:
        items = [item for item in items if item.get("namespace") == namespace]
    if what == "entries" and output in ("table", "wide"):
        for item in items:
            owner = f"   # {item['owner']}" if output == "wide" else ""
            click.echo(f"{item['table']} {item['key']} -> {item['action']}{owner}")
        return
    columns, wide, name = _COLUMNS[what]
    if output == "name" and name == "full":
        items = [{**item, "full": _full_name(what, item)} for item in items]
    show(items, columns, output, wide, name)


def _items(what: str, state: Any, tables: tuple[str, ...]) -> list[dict[str, Any]]:
    if what == "entries":
        from k8s_p4.rows import TABLES

        unknown = set(tables) - TABLES.keys()
        if unknown:
            raise click.BadParameter(f"no table {min(unknown)!r}; there are {', '.join(sorted(TABLES))}", param_hint="--table")
        return list(state.entries(tables))
    return list({"endpoints": state.endpoints, "policies": state.policies, "ipsets": state.ip_sets, "tables": state.tables}[what]())


def _full_name(what: str, item: dict[str, Any]) -> str:
    if what == "entries":
        return f"{item['table']} {item['key']}"
    name = "/".join(filter(None, (item["namespace"], item["name"])))
    return name if what == "endpoints" else f"{item['kind']} {name}"
