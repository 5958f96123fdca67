"""Spelling of identity rows (docs/design/house.md, "Rows")."""

from __future__ import annotations

from .addresses import is_host, is_v6, length_of, value_of
from .rule_lists import Change

_HOST = {
    (side, v6): f"{side}_identity_host_{'v6' if v6 else 'v4'}" for side in ("src", "dst") for v6 in (False, True)
}
_NET = {(side, v6): f"{side}_identity_net_{'v6' if v6 else 'v4'}" for side in ("src", "dst") for v6 in (False, True)}


def identity_row(side: str, where: int, number: int) -> Change:
    """The row that gives an identity to an address or prefix; number 0 deletes it."""
    value = ("set_identity", number) if number else None
    if is_host(where):
        return _HOST[side, is_v6(where)], (value_of(where),), value
    return _NET[side, is_v6(where)], ((value_of(where), length_of(where)),), value
