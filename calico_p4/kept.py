"""What the driver learned for a target whose tables don't learn, told as the embedded target tells what it learned by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from calico_p4.learning import Entry, Key, Learning
from calico_p4.told import seconds
from k8s_p4.target.client import Learned


class Flows(Protocol):
    """Who knows what was learned; `EmbeddedClient` documents the methods. Failures are `grpc.RpcError` or `TargetError`."""

    def learned(self, *tables: str) -> list[Learned]: ...
    def learned_counts(self) -> dict[str, int]: ...
    def learned_expired(self) -> dict[str, int]: ...
    def forget_learned(self, entries: Iterable[Learned]) -> int: ...
    def clear_learned(self, *tables: str) -> int: ...


class Kept:
    """Flows that the driver keeps. Tables and actions go by their names in P4Info. Every method raises TargetError."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._names = {alias: table.preamble.name for alias, table in learning.tables.items()}

    def learned(self, *tables: str) -> list[Learned]:
        """The entries of these tables (none: all). When they run out is told as if they had been hit just now: the target knows."""
        chosen = set(self._aliases(tables))
        return [self._told(key, entry) for key, entry in self._learning.entries().items() if key[0] in chosen]

    def _told(self, key: Key, entry: Entry) -> Learned:
        alias, values = key
        fields = dict(zip((field.name for field in self._learning.tables[alias].match_fields), values, strict=True))
        action = f"{self._names[alias].rpartition('.')[0]}.{entry.action}"
        return Learned(self._names[alias], fields, action, dict(entry.params), float(seconds(alias, entry.timeout)), self._learning.age_s(key))

    def learned_counts(self) -> dict[str, int]:
        """The number of entries, by table."""
        counts = dict.fromkeys(self._names.values(), 0)
        for alias, _ in self._learning.entries():
            counts[self._names[alias]] += 1
        return counts

    def learned_expired(self) -> dict[str, int]:
        """How many entries ran out since the driver came, by table."""
        return {name: self._learning.expired[alias] for alias, name in self._names.items()}

    def forget_learned(self, entries: Iterable[Learned]) -> int:
        """Delete these entries, by table and key; returns how many were there."""
        aliases = {name: alias for alias, name in self._names.items()}
        return self._learning.forget((aliases[each.table], self._key(aliases[each.table], each)) for each in entries)

    def _key(self, alias: str, entry: Learned) -> tuple[int, ...]:
        return tuple(entry.key[field.name] for field in self._learning.tables[alias].match_fields)

    def clear_learned(self, *tables: str) -> int:
        """Delete the entries of these tables (none: all); returns how many there were."""
        chosen = set(self._aliases(tables))
        return self._learning.forget(key for key in self._learning.entries() if key[0] in chosen)

    def _aliases(self, tables: tuple[str, ...]) -> Iterator[str]:
        return (alias for alias, name in self._names.items() if not tables or name in tables)
