"""Spelling of identity rows (docs/design/house.md, "Rows")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .addresses import is_host, is_v6, length_of, value_of
from .places import V4_HOSTS
from .rule_lists import Change


def identity_rows(side: str, rows: Iterable[tuple[int, int]], keys: dict[int, tuple[int]]) -> Iterator[Change]:
    """The rows that give identities to (place, identity) pairs; identity 0 deletes. Equal values are one object, and so are the keys
    of one address on all sides that are given the same ``keys``."""
    host_v4 = f"{side}_identity_host_v4"
    values: dict[int, tuple[str, int] | None] = {0: None}
    for where, number in rows:
        value = values[number] if number in values else values.setdefault(number, ("set_identity", number))
        if where < V4_HOSTS:
            key = keys.get(where)
            if key is None:
                key = keys[where] = (where,)
            yield host_v4, key, value
        else:
            yield *_other(side, where), value


def _other(side: str, where: int) -> tuple[str, tuple[int] | tuple[tuple[int, int]]]:
    family = "v6" if is_v6(where) else "v4"
    if is_host(where):
        return f"{side}_identity_host_{family}", (value_of(where),)
    return f"{side}_identity_net_{family}", ((value_of(where), length_of(where)),)
