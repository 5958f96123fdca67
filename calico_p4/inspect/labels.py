"""Rows and look-ups as text, with names for numbers; and a short, stable id for every row."""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

from k8s_p4 import artefacts
from k8s_p4.rows import TABLES

ID_LENGTH = 10
"""Hex digits of a row's id: 40 bits, so that among 200,000 rows two with one id are not to be expected."""


@cache
def table_aliases() -> Mapping[str, str]:
    """Return the alias of every table in P4Info by its full name."""
    return {table.preamble.name: table.preamble.alias for table in artefacts.p4info().tables}


def short(name: str) -> str:
    """Return the last part of a full P4 name."""
    return name.rpartition(".")[2]


class Labels:
    """Texts for the rows of one state; made anew when the state has changed."""

    def __init__(self, translator: Any) -> None:
        self._translator = translator

    def row(self, table: str, key: Any, value: Any) -> tuple[str, str]:
        """Return the text of a row's key and of its action."""
        text: str = self._translator.canonical(table, key, value)
        return _split(table, text)

    def rows(self, table: str, rows: Mapping[Any, Any]) -> list[tuple[Any, Any, str, str]]:
        """Return (key, value, text of the key, text of the action) of many rows, sorted by their texts."""
        lines = self._translator.canonical_lines((table, key, value) for key, value in rows.items())
        texts = (_split(table, line) for line in lines)
        found = [(key, value, *text) for (key, value), text in zip(rows.items(), texts, strict=True)]
        return sorted(found, key=lambda item: (item[2], item[3]))

    def asked(self, table: str, key: Sequence[int]) -> str:
        """Return the text of what a look-up asked with: one number for each field."""
        known = TABLES.get(table)
        if known is None or not known.fields:
            return ""
        action = next(iter(known.actions.values()))
        padded = (*key, 0) if known.ternary else tuple(key)
        text, _ = self.row(table, padded, (action.name, *(0 for _ in action.params)))
        return text.removesuffix(" priority=0")


def _split(table: str, line: str) -> tuple[str, str]:
    key, _, action = line.removeprefix(table).rpartition(" -> ")
    return key.strip(), action


def row_id(table: str, key_text: str) -> str:
    """Return the id of the row with this key: made of its names, so that it is the same after a restart."""
    return blake2b(f"{table} {key_text}".encode(), digest_size=ID_LENGTH // 2).hexdigest()
