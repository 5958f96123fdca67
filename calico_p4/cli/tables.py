"""Output: aligned columns for people, plain text without colours or truncation, and the machine-readable forms."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

FORMATS = ("table", "wide", "json", "yaml", "name")


def grid(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows with columns aligned, three spaces apart, no trailing blanks."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def show(items: Sequence[dict[str, Any]], columns: Sequence[str], output: str, wide: Sequence[str] = (), name: str = "name") -> None:
    """Print a list of objects in one of FORMATS; ``columns`` and ``wide`` are fields, ``name`` the field that ``-o name`` prints."""
    if output == "json":
        click.echo(json.dumps(list(items), indent=1))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(list(items), sort_keys=False), nl=False)
    elif output == "name":
        for item in items:
            click.echo(item[name])
    else:
        shown = [*columns, *(wide if output == "wide" else ())]
        for line in grid([[column.upper() for column in shown], *([_cell(item[column]) for column in shown] for item in items)]):
            click.echo(line)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "-"
    return "-" if value is None or value == "" else str(value)
