"""Documents made of P4Info and the registry: the map of tables, and the diagram of the pipeline.

``python -m calico_p4.inspect.tablemap`` writes docs/tables.md and docs/pipeline.md; a test compares them with what is generated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k8s_p4 import artefacts
from k8s_p4.rows import TABLES

ROOT = Path(__file__).resolve().parents[2]
_OBJECTS = {
    "translator.ports": "WorkloadEndpoint, and the node's own ports",
    "translator.neighbour": "WorkloadEndpoint",
    "translator.source_guard": "WorkloadEndpoint",
    "translator.routing": "WorkloadEndpoint, RouteUpdate, HostMetadata",
    "translator.identity": "IPSet, CIDR lists of rules",
    "translator.policy": "policy, profile, tier of an endpoint",
}
_LEARNED = "the data plane itself"


def table_map() -> str:
    """Return docs/tables.md."""
    lines = ["# The tables", "", "Generated from P4Info and the registry (`python -m calico_p4.inspect.tablemap`); do not edit.", ""]
    lines += ["| table | keys | actions | size | made by | for |", "|---|---|---|---|---|---|"]
    lines += [_row(table) for table in artefacts.p4info().tables if table.match_fields]
    return "\n".join(lines) + "\n"


def _row(table: Any) -> str:
    name = table.preamble.alias
    keys = ", ".join(f"{field.name}/{field.bitwidth} {field.MatchType.Name(field.match_type).lower()}" for field in table.match_fields)
    known = TABLES.get(name)
    actions = ", ".join(f"`{_action(action)}`" for action in known.actions.values()) if known is not None else "learned"
    owner = known.owner if known is not None else ""
    objects = _OBJECTS.get(owner, owner.rpartition(".")[2].replace("_", " ")) if owner else _LEARNED
    return f"| `{name}` | {keys} | {actions} | {table.size} | {f'`{owner}`' if owner else '-'} | {objects} |"


def _action(action: Any) -> str:
    return f"{action.name}({', '.join(param.name for param in action.params)})"


def stages() -> dict[str, list[str]]:
    """Return the tables of each control of the pipeline, in the order of P4Info, which is that of the program."""
    found: dict[str, list[str]] = {}
    for table in artefacts.p4info().tables:
        control, _, _ = table.preamble.name.removeprefix("MainControl.pipeline.").rpartition(".")
        if table.match_fields:
            found.setdefault(control or "pipeline", []).append(table.preamble.alias)
    return found


def diagram() -> str:
    """Return docs/pipeline.md: controls and their tables as a graph in Mermaid's language, which needs nothing to be read as text."""
    lines = ["# The pipeline", "", "Generated from P4Info (`python -m calico_p4.inspect.tablemap`); do not edit. Controls with their tables, in the order",
             "in which P4Info lists them; which of them a packet meets depends on where it comes from and goes to:",
             "`calico-p4 trace` tells for one packet, `k8s_p4/p4/core/pipeline.p4` for all.", "", "```mermaid", "flowchart TD"]  # fmt: skip
    return "\n".join([*lines, *_nodes(), "```"]) + "\n"


def _nodes() -> Iterator[str]:
    before = "in([packet in])"
    for number, (control, tables) in enumerate(stages().items()):
        text = "<br/>".join([f"<b>{control}</b>", *tables])
        yield f'    {before} --> c{number}["{text}"]'
        before = f"c{number}"
    yield f"    {before} --> out([packet out, or dropped with a reason])"


FILES = {"docs/tables.md": table_map, "docs/pipeline.md": diagram}

if __name__ == "__main__":
    for path, make in FILES.items():
        (ROOT / path).write_text(make())
