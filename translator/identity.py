"""Identities: one small number per class of addresses that no local policy tells apart (design note `policy-encoding`).

A class is a *name*, not a hash of its content: a group that covers a whole class changes what the class means and not
one row; only where a group splits a class is the smaller part relabelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from .addresses import is_host
from .numbers import Names, Numbers
from .places import Places


class Class:
    """One identity: its number, the groups its addresses are in (bits), and the places that carry it."""

    __slots__ = ("content", "id", "meaning", "places")

    def __init__(self, number: int, content: int, meaning: str) -> None:
        self.id = number
        self.content = content
        self.meaning = meaning
        self.places: set[int] = set()


class ClassChange(NamedTuple):
    """What became of one identity: contents before and after; 0 before: new, 0 after: gone."""

    id: int
    before: int
    after: int


class Commit(NamedTuple):
    """The outcome of a `Side.commit`: (place, identity or 0) for each row that changed, and the identities touched."""

    rows: list[tuple[int, int]]
    classes: list[ClassChange]


class Side:
    """The groups and identities of one side ("src" or "dst") of packets, both families together."""

    def __init__(self, name: str, names: Names) -> None:
        self.name = name
        self.places = Places()
        self._numbers = Numbers(f"{name}_identity", names)
        self._labels: dict[int, Class] = {}
        self._classes: dict[int, Class] = {}
        self._by_content: dict[int, list[Class]] = {}
        self._by_group: dict[int, set[int]] = {}
        self._group_names: dict[int, tuple[str, int]] = {}
        self._free: list[int] = []
        self._masks: dict[int, int] = {}
        self._pending: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._rows: dict[int, int] = {}
        self._copies: set[int] = set()

    # -- groups -------------------------------------------------------------------------------------------------------

    def add_group(self, name: str, places: Iterable[int]) -> int:
        """Name a new group; returns its bit number. Takes effect at `commit`."""
        bit = self._free.pop() if self._free else len(self._group_names)
        digest = int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "big")
        self._group_names[bit] = (name, digest)
        self._by_group[bit] = set()
        self.change_group(bit, places, ())
        return bit

    def change_group(self, bit: int, added: Iterable[int], removed: Iterable[int]) -> None:
        """Members that joined and left. Takes effect at `commit`."""
        flag = 1 << bit
        pending, direct, masks = self._pending, self.places.direct, self._masks
        for where in added:
            old = pending.get(where)
            new = (direct.get(where, 0) if old is None else old) | flag
            pending[where] = masks.setdefault(new, new)
        for where in removed:
            old = pending.get(where)
            new = (direct.get(where, 0) if old is None else old) & ~flag
            pending[where] = masks.setdefault(new, new)

    def drop_group(self, bit: int) -> None:
        """Forget a group that no rule names any more; commits, because its bit is free afterwards."""
        self.change_group(bit, (), self.members(bit))
        self._settle()
        del self._group_names[bit]
        del self._by_group[bit]
        self._free.append(bit)

    def members(self, bit: int) -> set[int]:
        """The places that a group names itself, pending changes included."""
        flag = 1 << bit
        direct, pending = self.places.direct, self._pending
        found = {
            where
            for number in self._by_group[bit]
            for where in self._classes[number].places
            if direct[where] & flag and where not in pending
        }
        return found | {where for where, mask in pending.items() if mask & flag}

    def names_of(self, content: int) -> list[str]:
        """The names of the groups in ``content``, sorted."""
        return sorted(self._group_names[bit][0] for bit in bits(content))

    def text(self, number: int) -> str:
        """An identity as the names of its groups; "?NUMBER" for one that is free."""
        if number and number not in self._classes:
            return f"?{number}"
        return "{" + "&".join(self.names_of(self.content(number))) + "}"

    # -- classes ------------------------------------------------------------------------------------------------------

    def content(self, number: int) -> int:
        """The groups (bits) of an identity; identity 0 is in none."""
        return self._classes[number].content if number else 0

    def identity(self, where: int) -> int:
        """The identity that the tables give to the place: its own row, or the longest prefix that covers it, or 0."""
        label = self._labels.get(where)
        if label is not None:
            return label.id
        row = self.places.covering_row(where)
        return self._labels[row].id if row is not None else 0

    def identities_in(self, mask: int) -> set[int]:
        """All identities in at least one group of ``mask``."""
        out: set[int] = set()
        for bit in bits(mask):
            out |= self._by_group[bit]
        return out

    def identities_inside(self, where: int) -> set[int]:
        """The identities an address of the prefix ``where`` can have (0: those that no row covers)."""
        found = {self.identity(where)}
        if not is_host(where):
            found.update(self._labels[row].id for row in self.places.inside(where))
        return found

    def commit(self) -> Commit:
        """Relabel what the changes since the last commit split, and report it."""
        self._settle()
        return self._report()

    def rest(self) -> Commit:
        """Merge identities of equal content, the smaller relabelled: for quiet moments."""
        self._settle()
        for same in [group for group in self._by_content.values() if len(group) > 1]:
            keep, *others = sorted(same, key=lambda c: (-len(c.places), c.id))
            for other in others:
                self._move(list(other.places), keep)
        copies, self._copies = self._copies, set()
        for number in sorted(copies & self._classes.keys()):
            self._rename(self._classes[number], self._classes[number].content)
        report = self._report()
        self._numbers.settle()
        return report

    def _settle(self) -> None:
        moves: dict[Class, dict[int, list[int]]] = {}
        fresh: dict[int, list[int]] = {}
        labels = self._labels
        for where, content in self.places.contents(self._take()):
            label = labels.get(where)
            if label is None:
                if content:
                    fresh.setdefault(content, []).append(where)
            elif content != label.content:
                moves.setdefault(label, {}).setdefault(content, []).append(where)
        for label, parts in moves.items():
            self._split(label, parts)
        for content, places in fresh.items():
            self._move(places, self._class_of(content))

    def _take(self) -> set[int]:
        """Write pending masks down; returns the places whose content may have changed."""
        pending, self._pending = self._pending, {}
        direct = self.places.direct
        changed = {where: mask for where, mask in pending.items() if direct.get(where, 0) != mask}
        for where, mask in changed.items():
            self.places.set(where, mask)
        affected = set(changed)
        if sum(map(bool, changed.values())) < len(direct):  # else there is no row but those that changed
            for where in changed:
                if not is_host(where):
                    affected.update(self.places.inside(where))
        return affected

    def _split(self, label: Class, parts: dict[int, list[int]]) -> None:
        """Some places of a class got other contents: the largest part keeps the name."""
        gone = parts.pop(0, [])
        self._move(gone, None)
        if not parts:
            return
        unchanged = len(label.places) - sum(map(len, parts.values()))
        content, largest = max(parts.items(), key=lambda item: (len(item[1]), -item[0]))
        twin = max((len(c.places) for c in self._by_content.get(content, ())), default=0)
        if len(largest) > unchanged and len(largest) > twin:
            del parts[content]
            moved = {where for places in parts.values() for where in places}
            rest = label.places.difference(largest, moved) if unchanged else ()
            old = label.content
            self._rename(label, content)
            if rest:
                self._move(list(rest), self._class_of(old))
        for other, places in parts.items():
            self._move(places, self._class_of(other))

    def _class_of(self, content: int) -> Class:
        same = self._by_content.get(content)
        if same:
            return same[0]
        meaning = self._meaning(content)
        label = Class(self._numbers.get(meaning), content, meaning)
        self._classes[label.id] = label
        self._note(label)
        self._by_content[content] = [label]
        self._before.setdefault(label.id, 0)
        for bit in bits(content):
            self._by_group[bit].add(label.id)
        return label

    def _meaning(self, content: int, own: str = "") -> str:
        """A name of the content that no other class has; ``own`` may be kept."""
        digest = sum(self._group_names[bit][1] for bit in bits(content)) & ((1 << 128) - 1)
        name, copy = f"{digest:032x}", 1
        while name in self._numbers and name != own:
            copy += 1
            name = f"{digest:032x}#{copy}"
        return name

    def _rename(self, label: Class, content: int) -> None:
        """Let a class mean other groups."""
        self._before.setdefault(label.id, label.content)
        old = label.content
        self._unlink(label)
        meaning = self._meaning(content, label.meaning)
        self._numbers.rename(label.meaning, meaning)
        label.meaning, label.content = meaning, content
        self._note(label)
        self._by_content.setdefault(content, []).append(label)
        for bit in bits(content & ~old):
            self._by_group[bit].add(label.id)
        for bit in bits(old & ~content):
            self._by_group[bit].discard(label.id)

    def _note(self, label: Class) -> None:
        if "#" in label.meaning:
            self._copies.add(label.id)

    def _unlink(self, label: Class) -> None:
        same = self._by_content[label.content]
        same.remove(label)
        if not same:
            del self._by_content[label.content]

    def _move(self, places: list[int], target: Class | None) -> None:
        number = target.id if target else 0
        for where in places:
            old = self._labels.get(where)
            if old is not None:
                old.places.discard(where)
                if not old.places:
                    self._retire(old)
            if target is None:
                self._labels.pop(where, None)
            else:
                self._labels[where] = target
                target.places.add(where)
            self._rows[where] = number

    def _retire(self, label: Class) -> None:
        self._before.setdefault(label.id, label.content)
        self._unlink(label)
        for bit in bits(label.content):
            self._by_group[bit].discard(label.id)
        del self._classes[label.id]
        self._numbers.retire(label.meaning)

    def _report(self) -> Commit:
        rows, self._rows = self._rows, {}
        self.places.forget_nearby()
        before, self._before = self._before, {}
        classes = []
        for number, old in before.items():
            label = self._classes.get(number)
            new = label.content if label else 0
            if old != new:
                classes.append(ClassChange(number, old, new))
        return Commit(list(rows.items()), classes)


def bits(mask: int) -> list[int]:
    """The numbers of the bits set in ``mask``, ascending."""
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out
