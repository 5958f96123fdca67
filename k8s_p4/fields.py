"""The shape of a table: what the generated `schema.py` is made of."""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """A match field or an action parameter. `kind` is exact, lpm or ternary, or param."""

    name: str
    id: int
    bits: int
    kind: str


class Action(NamedTuple):
    """An action an entry may have, by its short name."""

    name: str
    id: int
    params: tuple[Field, ...]


class TableSchema(NamedTuple):
    """A table: its P4Info id, how many entries it takes, its match fields and actions in order."""

    id: int
    size: int
    fields: tuple[Field, ...]
    actions: tuple[Action, ...]
