"""Slots: numbers for what decided. Each is a counter on the target, and what a packet's answer tells of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from .numbers import Names, Numbers
from .rules import Ref

FIRST_OF_STAGE = 1024
"""Slots below are those of host rules, the same in every stage; from here on a stage numbers its own."""

OWN_BITS = 18
OWN = (1 << OWN_BITS) - 1
"""The part of a list's number, and of the slot told with a packet, that is the rows' own; the rest is what was passed on the way to
the list (k8s_p4/p4/core/policy.p4)."""

LAST_PASSED = (1 << 32 - OWN_BITS) - 1

_SPARE = 1024
"""Texts and digests of paths that are kept though nothing may need them any more."""


def path_text(path: tuple[Ref, ...]) -> str:
    """A path as one line of text, the meaning of a slot."""
    return " > ".join(_ref_text(ref) for ref in path)


@lru_cache(maxsize=65536)
def _ref_text(ref: Ref) -> str:
    owner = "/".join(part for part in ref.owner if part) if isinstance(ref.owner, tuple) else ref.owner or ""
    place = "" if ref.rule_index is None else f"#{ref.rule_index}"
    rule_id = f"({ref.rule_id})" if ref.rule_id else ""
    return f"{ref.kind}:{ref.tier}:{owner}:{ref.direction}{place}:{ref.action}{rule_id}"


class Slots:
    """The slots of one stage: numbers for paths, what decided and what was passed on the way."""

    def __init__(self, stage: str, names: Names, first: int = FIRST_OF_STAGE, kind: str = "slot") -> None:
        self._numbers, self._first = Numbers(f"{stage}.{kind}", names), first
        self._slots: dict[tuple[Ref, ...], list[Any]] = {}
        self._paths: dict[int, tuple[Ref, ...]] = {}
        self._digests: dict[tuple[Ref, ...], bytes] = {}
        self.retired: list[tuple[int, tuple[Ref, ...]]] = []
        """Slots that nothing leads to any more, whose counts somebody may still want; whoever takes them clears the list."""

    def acquire(self, path: tuple[Ref, ...]) -> int:
        """The number of ``path``, counted."""
        entry = self._slots.get(path)
        if entry is None:
            number = self._first + self._numbers.get(path_text(path)) - 1
            entry = self._slots[path] = [number, 0]
            self._paths[number] = path
        entry[1] += 1
        return int(entry[0])

    def digest(self, path: tuple[Ref, ...]) -> bytes:
        """Eight bytes that stand for the path, the same in every run."""
        found = self._digests.get(path)
        if found is None:
            found = self._digests[path] = blake2b(path_text(path).encode(), digest_size=8).digest()
        return found

    def release(self, path: tuple[Ref, ...]) -> None:
        """Give back one `acquire`."""
        entry = self._slots[path]
        entry[1] -= 1
        if not entry[1]:
            del self._slots[path], self._paths[entry[0]]
            self.retired.append((entry[0], path))
            self._digests.pop(path, None)
            self._numbers.retire(path_text(path))

    def settle(self) -> None:
        """Give back the numbers of slots that nothing leads to any more, and forget what was worked out for paths that are gone."""
        self._numbers.settle()
        if len(self._digests) > 2 * len(self._slots) + _SPARE:
            self._digests = {path: digest for path, digest in self._digests.items() if path in self._slots}
        if _ref_text.cache_info().currsize > _SPARE + 4 * len(self._slots):
            _ref_text.cache_clear()

    def path(self, number: int) -> tuple[Ref, ...] | None:
        """What slot ``number`` stands for."""
        return self._paths.get(number)

    def text(self, number: int) -> str:
        """The path as text; "?NUMBER" if the slot is not in use."""
        path = self._paths.get(number)
        return path_text(path) if path else f"?{number}"

    def items(self) -> Iterator[tuple[int, tuple[Ref, ...]]]:
        """All slots in use."""
        yield from self._paths.items()
