"""``calico-p4 diff``."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from calico_p4.cli.columns import shorten
from calico_p4.cli.sources import NO, UNUSABLE, asking, fail, failing, show_data

_STATES = ("desired", "actual")


@click.command(name="diff")
@click.argument("left")
@click.argument("right")
@click.option("--source", metavar="SOURCE", help="Whose desired and actual rows: a recording, a bundle, unix:PATH; else the running driver.")
@click.option("--fix", is_flag=True, help="diff desired actual: write what differs to the target of the running driver.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True)
def command(left: str, right: str, source: str | None, fix: bool, output: str) -> None:
    """Say what differs between two states, by what it means: order, numbers and counters do not count.

    LEFT and RIGHT: desired or actual (rows of SOURCE), a dump (get entries, replay --dump), a bundle, or a recording, RECORDING@N after its
    first N frames. Between recordings and bundles the objects of the stream are compared too.

    Exit status: 0 nothing differs; 1 something does; 2 a bad argument or file; 3 the driver or the target can't be reached.
    """
    from calico_p4.inspect.difference import compare_objects, compare_rows

    if fix and {left, right} != set(_STATES):
        raise click.UsageError("--fix is for diff desired actual")
    one, other = _side(left, source), _side(right, source)
    answer: dict[str, Any] = {"left": left, "right": right, "entries": compare_rows(one["rows"], other["rows"]), "objects": None}
    if "objects" in one and "objects" in other:
        answer["objects"] = compare_objects(one["objects"], other["objects"])
    if fix:
        with asking(source) as asked:
            answer["fixed"] = asked.ask("fix", {})
    if not show_data(answer, output):
        for line in _lines(answer, output == "wide"):
            click.echo(line)
    sys.exit(NO if any(part[kind] for part in (answer["entries"], answer["objects"] or {}) for kind in part) else 0)


def _side(text: str, source: str | None) -> Mapping[str, Any]:
    if text in _STATES:
        with asking(source) as asked:
            return {"rows": asked.ask("rows", {"which": text})["rows"]}
    path, _, number = text.rpartition("@")
    at = int(number) if path and number.isdigit() else None
    path = path if at is not None else text
    if at is None and _is_text(path):
        with failing():
            from calico_p4.inspect.difference import rows_of_dump

            return {"rows": rows_of_dump(path)}
    with asking(path, at) as asked:
        found: Mapping[str, Any] = asked.ask("rows", {"which": "actual"})
        return found


def _is_text(path: str) -> bool:
    """Whether a file is a dump: a recording begins with a length of eight bytes, gzip or zip with numbers of their own."""
    if path.startswith("unix:"):
        return False
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        fail(f"{path}: {error.strerror}; a side is desired, actual, a dump, a bundle or a recording, RECORDING@N", UNUSABLE)
    return start[:2] not in (b"PK", b"\x1f\x8b") and b"\0" not in start


def _lines(answer: dict[str, Any], wide: bool) -> Iterator[str]:
    yield f"--- {answer['left']}"
    yield f"+++ {answer['right']}"
    if answer["objects"] is not None:
        yield from _objects(answer["objects"], wide)
    entries = answer["entries"]
    yield f"entries: {len(entries['removed'])} removed, {len(entries['added'])} added, {len(entries['changed'])} changed"
    for mark, kind in (("-", "removed"), ("+", "added")):
        yield from (_cut(f"{mark} {item['table']} {item['key']} -> {item['action']}", item["owner"], wide) for item in entries[kind])
    for item in entries["changed"]:
        yield _cut(f"- {item['table']} {item['key']} -> {item['was']}", "", wide)
        yield _cut(f"+ {item['table']} {item['key']} -> {item['action']}", item["owner"], wide)
    if "fixed" in answer:
        fixed = answer["fixed"]
        yield f"fixed: {fixed['inserted']} inserted, {fixed['modified']} modified, {fixed['deleted']} deleted; {fixed['pending']} left"


def _objects(objects: dict[str, Any], wide: bool) -> Iterator[str]:
    yield f"objects: {len(objects['removed'])} removed, {len(objects['added'])} added, {len(objects['changed'])} changed"
    yield from (f"- {item['object']}" for item in objects["removed"])
    yield from (f"+ {item['object']}" for item in objects["added"])
    for item in objects["changed"]:
        yield _cut(f"~ {item['object']}: {'; '.join(item['what'])}", "", wide)


def _cut(line: str, owner: str, wide: bool) -> str:
    """A line with its origin behind it, cut to the width of a table unless all is wanted."""
    if wide:
        return line + (f"   # {owner}" if owner else "")
    line, owner = shorten(line), f"  # {owner}" if owner else ""
    room = 120 - min(len(owner), 50)
    line = line if len(line) <= room else line[: room - 1] + "…"
    whole = line + owner
    return whole if len(whole) <= 120 else whole[:119] + "…"
