"""The base of the typed rows in `row_types.py`: the ergonomic view of a row, for tests and the command line.

Hot paths carry plain tuples (`rows.Table`); these classes turn into them and back.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self, cast

from k8s_p4.rows import TABLES, Key, RowError, Value


class Prefix(NamedTuple):
    """A prefix of `length` bits; the bits of `value` beyond it are 0."""

    value: int
    length: int


class Ternary(NamedTuple):
    """`value` where `mask` has ones; 0 elsewhere. A mask of 0 matches anything."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class ActionValue:
    """An action with its parameters, in the order of the P4Info."""

    NAME: ClassVar[str]

    def to_value(self) -> Value:
        """The plain form: `(action, *params)`."""
        return (self.NAME, *astuple(self))


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its match fields in order, the priority if the table is ternary, the action."""

    TABLE: ClassVar[str]
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]]

    def to_row(self) -> tuple[Key, Value]:
        """The plain form: `(key, value)`."""
        *key, action = (getattr(self, field.name) for field in fields(self))
        return tuple(key), action.to_value()

    def to_entry(self) -> Any:
        """The p4.v1.TableEntry. Raises RowError if a value does not fit its field."""
        return TABLES[self.TABLE].encode(*self.to_row())

    @classmethod
    def from_row(cls, key: Key, value: Value) -> Self:
        """The row of this plain form. Raises RowError if the table has no such action or the key another length."""
        action = next((each for each in cls.ACTIONS if value[0] == each.NAME), None)
        if action is None or len(key) + 1 != len(fields(cls)):
            raise RowError(f"{cls.TABLE}: not a row of this table: {key} {value}")
        made: type[Any] = cls
        row: Self = made(*_typed_key(cls.TABLE, key), action(*value[1:]))
        return row

    @classmethod
    def from_entry(cls, entry: Any) -> Self:
        """The row of a p4.v1.TableEntry. Raises RowError if it is not an entry of this table."""
        return cls.from_row(*TABLES[cls.TABLE].decode(entry))


_KEY_TYPES: dict[str, type[Prefix | Ternary]] = {"lpm": Prefix, "ternary": Ternary}


def _typed_key(table: str, key: Key) -> list[Any]:
    kinds = [_KEY_TYPES.get(field.kind) for field in TABLES[table].fields]
    typed: list[Any] = [kind(*cast("tuple[int, int]", part)) if kind else part for kind, part in zip(kinds, key, strict=False)]
    return typed + list(key[len(kinds) :])
