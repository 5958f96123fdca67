"""Files given on the command line: read, checked against the shipped schema, refused with file and place."""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any


class BadFile(Exception):
    """A file can't be used; the text names the file and the place in it: byte offset, list index or line."""


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of the shipped JSON schemas: ``packets``, ``ports``, ``k8s``, ``config``, ``answer``."""
    text = resources.files("calico_p4").joinpath("schemas", f"{name}.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def load_json(path: str, name: str) -> Any:
    """Read a JSON file that must follow the schema ``name``.

    Raises:
        BadFile: unreadable, no JSON (with the byte offset) or not what the schema says (with the index and field).
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadFile(f"{path}: byte {_byte(text, error.pos)}: {error.msg}") from error
    check(path, name, content)
    return content


def load_list(path: str, name: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects, as ``load_json`` does."""
    content: list[dict[str, Any]] = load_json(path, name)
    return content


def load_lines(path: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read JSON lines, each of which must follow the schema ``name``, with their numbers from 1; empty lines are passed over.

    Raises:
        BadFile: unreadable, or a line is no JSON or not what the schema says.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadFile(f"{path}: line {number}: {error.msg}") from error
        check(f"{path}: line {number}", name, content)
        yield number, content


def read_text(path: str) -> str:
    """Return the text of a file. Raises BadFile with the system's reason, or the offset of what is no UTF-8."""
    try:
        return Path(path).read_bytes().decode()
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: byte {error.start}: not UTF-8") from error


def _byte(text: str, position: int) -> int:
    return len(text[:position].encode())


def check(where: str, name: str, content: Any) -> None:
    """Hold some content against the schema ``name``. Raises BadFile, with ``where`` it is and the place in it."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema(name)).iter_errors(content))
    if error is not None:
        raise BadFile(f"{where}: {error.json_path}: {error.message}")
