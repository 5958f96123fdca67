"""Rows of `epoch`: the number of the present policy, which established flows must have been accepted under (k8s_p4/p4/core/flow.p4).

There are rows only where the driver's setting ``established_connections`` is ``reevaluate``. `verdicts` says which changes of rows can
change what is accepted; whoever carries such a change out calls `prepare` before it and `move` after it. No number is used
twice: they count up from a start drawn at random, because what the switch learned under an earlier run's numbers may still be there. The
number is kept by the allocator, as a text, and written there before the rows that policy goes by, so a driver that ends between the two
finds at its next start that the switch has an old number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, Final

from .claims import Change
from .config import judges_again
from .numbers import Names
from .stages import SIDES, STAGES

KIND: Final = "epoch"
FAMILIES: Final = (4, 6)
_LAST: Final = (1 << 32) - 1
_STARTS: Final = 1 << 31
VERDICTS: Final = frozenset(
    [f"{stage.name}.{table}" for stage in STAGES if not stage.name.startswith("untracked") for table in ("binding", "self_class", "peer_class", "rules")]
    + [f"{side}_identity_{shape}_{family}" for side in SIDES for shape in ("host", "net") for family in ("v4", "v6")]
    + ["port", "local_v4", "local_v6", "host_rule_v4", "host_rule_v6"]
)
"""Tables that a new flow's verdict is found by: policy but the untracked one, identities, and what a workload may do besides."""


def verdicts(changes: Iterable[tuple[str, Any, Any]]) -> bool:
    """Whether one of the changes can change a verdict."""
    return any(table in VERDICTS for table, _, _ in changes)


class EpochPart:
    """Owner of the table `epoch`."""

    __slots__ = ("_ahead", "_names", "_number", "_shown")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._number = next((int(text) for text, _ in names.items(KIND)), 0)
        self._shown = self._ahead = False

    def update(self, store: Any, dirty: Any) -> list[Change]:
        """The rows that differ since the last update."""
        if not dirty.config:
            return []
        was, self._shown = self._shown, judges_again(store.config)
        if not self._shown:
            self._forget()
        elif not self._number:
            self._count()
        return [] if was == self._shown else self._rows(("policy_is", self._number) if self._shown else None)

    @property
    def judges_again(self) -> bool:
        """Whether there are rows."""
        return self._shown

    def prepare(self) -> None:
        """Take the next number: rows that verdicts go by are about to change."""
        if self._shown and not self._ahead:
            self._count()
            self._ahead = True

    def move(self) -> list[Change]:
        """They have changed: the rows with the number that was taken."""
        if not self._ahead:
            return []
        self._ahead = False
        return self._rows(("policy_is", self._number))

    def _rows(self, value: tuple[Any, ...] | None) -> list[Change]:
        return [("epoch", (version,), value) for version in FAMILIES]

    def _count(self) -> None:
        old, self._number = self._number, self._number % _LAST + 1 if self._number else secrets.randbelow(_STARTS) + 1
        if old:
            self._names.rename(KIND, str(old), str(self._number))
        else:
            self._names.get(KIND, str(self._number))

    def _forget(self) -> None:
        """Nothing is judged again: policy changes uncounted from here on, and another start is drawn when it is to be."""
        self._ahead = False
        if self._number:
            self._names.release(KIND, str(self._number))
            self._number = 0
