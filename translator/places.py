"""Which prefixes cover an address, and which rows lie inside a prefix, for one side of the identity tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

from .addresses import is_host, is_v6, length_of, place, value_of

_CACHE_SHIFT = {False: 8, True: 64}
"""Hosts of one /24 (IPv4) or /64 (IPv6) share what covers them, unless there is a longer prefix inside."""
V4_HOSTS = 1 << 32
"""Places of IPv4 hosts are below this."""


class Places:
    """The rows of one side: a bit mask of groups for each place (`addresses`) that some group names itself.

    Proportional by construction: covering prefixes are found by one look-up per prefix length in use, rows inside a
    prefix through a sorted index that is built when a prefix first changes.
    """

    __slots__ = ("_cache", "_index", "_long", "_nets", "direct")

    def __init__(self) -> None:
        self.direct: dict[int, int] = {}
        self._nets: dict[bool, dict[int, dict[int, int]]] = {False: {}, True: {}}
        self._cache: dict[bool, dict[int, int]] = {False: {}, True: {}}
        self._long: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}
        self._index: dict[bool, SortedList[int]] | None = None

    def set(self, where: int, mask: int) -> None:
        """Record the groups that name ``where`` itself; 0 forgets it."""
        if self._index is not None and (where in self.direct) != bool(mask):
            index = self._index[is_v6(where)]
            index.add(_in_order(where)) if mask else index.remove(_in_order(where))
        if not is_host(where):
            self._count_long(where, mask)
            self._set_net(where, mask)
        if mask:
            self.direct[where] = mask
        else:
            self.direct.pop(where, None)

    def lengths(self, v6: bool) -> Iterable[int]:
        """The lengths of prefixes in use, hosts left out."""
        return self._nets[v6]

    def forget_nearby(self) -> None:
        """Drop what was looked up for one batch: in a big state it would be as many entries as there are addresses."""
        for cache in self._cache.values():
            cache.clear()

    def _count_long(self, where: int, mask: int) -> None:
        """Note which /24 (IPv4) or /64 have prefixes longer than that inside: most have none, and need no look-ups."""
        v6 = is_v6(where)
        shift = _CACHE_SHIFT[v6]
        if (where in self.direct) != bool(mask) and length_of(where) > (128 if v6 else 32) - shift:
            self._long[v6][value_of(where) >> shift] += 1 if mask else -1

    def _set_net(self, where: int, mask: int) -> None:
        v6 = is_v6(where)
        length = length_of(where)
        shift = (128 if v6 else 32) - length
        by_prefix = self._nets[v6].setdefault(length, {})
        if mask:
            by_prefix[value_of(where) >> shift] = mask
        else:
            by_prefix.pop(value_of(where) >> shift, None)
            if not by_prefix:
                del self._nets[v6][length]
        self._cache[v6].clear()

    def contents(self, wheres: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Each place with all groups it is in; 0 for a place that no group names itself. The short path is IPv4 hosts."""
        direct, covering, near_v4 = self.direct, self.covering, self._cache[False]
        for where in wheres:
            own = direct.get(where, 0)
            if not own:
                yield where, 0
                continue
            near = near_v4.get(where >> 8) if where < V4_HOSTS else None
            yield where, own | (covering(where) if near is None else near)

    def covering(self, where: int) -> int:
        """The groups of all prefixes that strictly contain ``where``."""
        v6 = is_v6(where)
        nets = self._nets[v6]
        if not nets:
            return 0
        value = value_of(where)
        width = 128 if v6 else 32
        if not is_host(where):
            own = length_of(where)
            return self._probe(nets, value, width, (n for n in nets if n < own))
        shift = _CACHE_SHIFT[v6]
        near = self._cache[v6].get(value >> shift)
        if near is None:
            near = self._probe(nets, value, width, nets)
            if not self._long[v6].get(value >> shift):
                self._cache[v6][value >> shift] = near
        return near

    @staticmethod
    def _probe(nets: dict[int, dict[int, int]], value: int, width: int, lengths: Iterable[int]) -> int:
        mask = 0
        for length in lengths:
            mask |= nets[length].get(value >> (width - length), 0)
        return mask

    def inside(self, where: int) -> Iterator[int]:
        """The places with rows that lie strictly inside the prefix ``where``."""
        v6 = is_v6(where)
        width = 128 if v6 else 32
        low = value_of(where)
        last = low + (1 << (width - length_of(where))) - 1
        for key in self._sorted(v6).irange(_in_order(where), last << 8 | width, inclusive=(False, True)):
            yield place(v6, key >> 8, key & 255)

    def _sorted(self, v6: bool) -> SortedList[int]:
        if self._index is None:
            split: dict[bool, list[int]] = {False: [], True: []}
            for where in self.direct:
                split[is_v6(where)].append(_in_order(where))
            self._index = {family: SortedList(found) for family, found in split.items()}
        return self._index[v6]

    def covering_row(self, where: int) -> int | None:
        """The row that longest-prefix match finds for ``where`` among the prefixes, itself included; None: no row."""
        v6 = is_v6(where)
        width = 128 if v6 else 32
        for length in sorted((n for n in self._nets[v6] if n <= length_of(where)), reverse=True):
            prefix = value_of(where) >> (width - length)
            if prefix in self._nets[v6][length]:
                return place(v6, prefix << (width - length), length)
        return None


def _in_order(where: int) -> int:
    """A key that sorts places of one family by network address, shorter prefixes first: what a prefix contains follows it."""
    return value_of(where) << 8 | length_of(where)
