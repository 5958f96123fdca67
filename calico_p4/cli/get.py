"""``calico-p4 get``."""

import time
from typing import Any

import click

from calico_p4.cli.columns import fitted
from calico_p4.cli.sources import asking, source_options

# Columns of -o table, columns that -o wide adds, and what -o name prints.
_COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "endpoints": (("namespace", "name", "interface", "ips", "state"), ("tiers", "policies", "rules", "entries"), ("namespace", "name")),
    "policies": (("kind", "namespace", "name", "tier", "endpoints", "state"), ("inbound", "outbound", "packets"), ("namespace", "name")),
    "ipsets": (("id", "type", "members", "policies"), ("content",), ("id",)),
    "entries": (("id", "table", "key", "action"), ("owner",), ("id",)),
    "tables": (("name", "entries", "size", "used"), ("owner",), ("name",)),
    "rules": (("packets", "decided", "passed", "stage", "policy", "rule_index", "action"), ("tier", "rule_id", "trigger"), ("policy", "rule_index")),
    "drops": (("packets", "reason"), (), ("reason",)),
    "rejects": (("packets", "fate", "meaning"), (), ("fate",)),
    "flows": (("protocol", "src", "dst", "leaves", "state", "age"), ("expires", "learned"), ("src", "dst")),
    "flowcounts": (("flows", "event"), (), ("event",)),
    "degraded": (("object", "direction", "effect", "reason"), (), ("object",)),
    "routes": (("name", "types", "node", "node_ip", "way"), ("same_subnet", "borrowed", "nat_outgoing", "tunnels"), ("name",)),
    "nodes": (("name", "ipv4", "ipv6", "own"), ("vtep", "vtep_mac", "asnumber"), ("name",)),
    "vteps": (("name", "ipv4", "mac", "parent_ipv4"), ("ipv6", "mac_v6", "parent_ipv6", "own"), ("name",)),
    "services": (("namespace", "name", "type", "cluster_ips", "ports", "backends", "state"), ("external_ips", "entries"), ("namespace", "name")),
    "pools": (("name", "cidr", "masquerade", "ipip", "vxlan"), (), ("name",)),
    "hostendpoints": (("name", "interface", "addresses", "stands_at", "tiers"), ("untracked_tiers", "pre_dnat_tiers", "forward_tiers", "profiles"), ("name",)),
    "ports": (("name", "number", "kind", "state", "mac", "addresses"), ("own_mac", "neighbours"), ("name",)),
    "config": (("name", "value"), (), ("name",)),
}
FORMATS = ("table", "wide", "json", "yaml", "name")
Items = list[dict[str, Any]]


@click.command(name="get")
@click.argument("what", type=click.Choice(list(_COLUMNS)))
@source_options
@click.option("--table", "tables", multiple=True, metavar="TABLE", help="entries: of this table; may be given again.")
@click.option("--policy", metavar="NAME", help="entries: there because of this policy or profile.")
@click.option("--pod", metavar="NAMESPACE/POD", help="entries: there because of this workload endpoint.")
@click.option("--ipset", metavar="ID", help="entries: there because of this IP set.")
@click.option("--service", metavar="NAMESPACE/NAME", help="entries: there because of this service.")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Only what is in this namespace.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces, which is what happens without -n.")
@click.option("--sort-by", metavar="FIELD", help="Sort by this field; numbers from large to small.")
@click.option("-w", "--watch", is_flag=True, help="A running driver: go on, and print what is new or has changed.")
@click.option("-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True)
def command(what: str, source: str | None, at: int | None, ports: str | None, namespace: str | None, all_namespaces: bool, sort_by: str | None,
            watch: bool, output: str, **filters: Any) -> None:  # fmt: skip
    """List endpoints, policies, ipsets, entries, tables and more.

    SOURCE is a recording ("-": standard input), a bundle, or the admin socket of a driver (unix:PATH); without it the running driver is
    asked. `get entries` prints the rows of a dump.

    Exit status: 0 listed; 1 a name that nothing has; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    del all_namespaces
    _check_filters(what, filters)
    if watch and source is not None and not source.startswith("unix:"):
        raise click.UsageError("--watch is for a running driver; this source does not change")
    with asking(source, at, ports) as asked:
        shown: Items = []
        while True:
            items = _sorted(_chosen(asked.ask("get", {"kind": what, **filters}), namespace), sort_by)
            show(what, [item for item in items if item not in shown], output)
            if not watch:
                return
            shown = items
            time.sleep(1.0)


def _check_filters(what: str, filters: dict[str, Any]) -> None:
    given = [f"--{name.removesuffix('s')}" for name, value in filters.items() if value]
    if given and what != "entries":
        raise click.UsageError(f"{given[0]} is for get entries")


def _chosen(items: Items, namespace: str | None) -> Items:
    return items if namespace is None else [item for item in items if item.get("namespace") == namespace]


def _sorted(items: Items, field: str | None) -> Items:
    if field is None or not items:
        return items
    if field not in items[0]:
        raise click.BadParameter(f"no field {field!r}; there are {', '.join(items[0])}", param_hint="--sort-by")
    numbers = all(isinstance(item[field], int | float) for item in items)
    return sorted(items, key=lambda item: item[field] if numbers else str(item[field]), reverse=numbers)


def show(what: str, items: Items, output: str) -> None:
    """Print objects in one of FORMATS."""
    columns, wide, names = _COLUMNS[what]
    if output == "json":
        import json

        click.echo(json.dumps(items, indent=1))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(items, sort_keys=False), nl=False)
    elif output == "name":
        for item in items:
            kind = f"{item['kind']} " if what == "policies" else ""
            click.echo(kind + "/".join(str(item[name]) for name in names if item[name] not in ("", None)))
    elif what == "entries":
        for item in items:
            origin = f"   # {item['owner']} [{item['id']}]" if output == "wide" else ""
            click.echo(f"{item['table']} {item['key']} -> {item['action']}{origin}")
    else:
        shown = [*columns, *(wide if output == "wide" else ())]
        rows = [[column.upper().replace("_", "-") for column in shown], *([_cell(item[column]) for column in shown] for item in items)]
        for line in fitted(rows):
            click.echo(line)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None or value == "" else str(value)
