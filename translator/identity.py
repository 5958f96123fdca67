"""Identities: one small number per class of addresses that no local policy tells apart (design note `policy-encoding`).

A class is a *name*, not a hash of its content: a group that covers a whole class changes what the class means and not
one row; only where a group splits a class is the smaller part relabelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from .addresses import is_host, overlap
from .numbers import Names, Numbers
from .places import Places

_MASKS = 1024
"""Masks that are kept to be shared between two commits, though some may be nobody's any more: sets come and go without end."""


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
    """One phase of following changes: (place, identity or 0) for each row that changed, and the identities touched."""

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
        self._rows: dict[int, int] = {}
        self._created: list[int] = []
        self._renaming: dict[Class, int] = {}
        self._gone: list[int] = []
        self._dropped = (Commit([], []), Commit([], []), Commit([], []))
        self._empty: set[Class] = set()
        self._copies: set[int] = set()
        self.moving: dict[int, tuple[int, int]] = {}
        """Between `set_out` and `arrived`: by the bit (flag) that identities on the move carry, their contents before and after."""

    # -- groups -------------------------------------------------------------------------------------------------------

    def add_group(self, name: str, places: Iterable[int]) -> int:
        """Name a new group; returns its bit number. Takes effect at `commit`."""
        bit = self._new_bit(name)
        self.change_group(bit, places, ())
        return bit

    def _new_bit(self, name: str) -> int:
        bit = self._free.pop() if self._free else len(self._group_names)
        digest = int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "big")
        self._group_names[bit] = (name, digest)
        self._by_group[bit] = set()
        return bit

    def _drop_bit(self, bit: int) -> None:
        del self._group_names[bit]
        del self._by_group[bit]
        self._free.append(bit)

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
        """Forget a group that no rule names any more. Nobody asks for it, so all phases may be one."""
        self.change_group(bit, (), self.members(bit))
        for phase, done in zip(self._dropped, self.commit(), strict=True):
            phase.rows.extend(done.rows)
            phase.classes.extend(done.classes)
        self._drop_bit(bit)

    @property
    def pending(self) -> Mapping[int, int]:
        """Places whose own groups changed since the last `commit`, with the groups they will have."""
        return self._pending

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
        """The identities an address of the prefix ``where`` can have (0: those that no row covers); prefixes that are to go after
        `set_out` still count."""
        found = {self.identity(where)}
        if not is_host(where):
            found.update(self._labels[row].id for row in self.places.inside(where))
        if self.moving:
            found.update(self._labels[row].id for row in self._gone if not is_host(row) and overlap(row, where))
        return found

    def commit(self) -> tuple[Commit, Commit, Commit]:
        """Follow the changes since the last commit, in three phases; the state is that of a phase when it is reported.

        1 `move`: places get other identities, new ones among them; 2 `rename`: identities change their meaning; 3 `retire`:
        rows and identities that are no longer needed go. So an address never meets a meaning that is not its own: those
        that leave an identity have left before it means something else, and none joins it in the same commit.
        """
        return self.move(), self.rename(), self.retire()

    def move(self) -> Commit:
        """Phase 1 of `commit`."""
        self._settle()
        return self._moved()

    def set_out(self) -> Commit:
        """Instead of `move`: whatever changes gets an identity that still means what it meant before, and carries a bit of `moving`;
        `rename` makes it mean what it shall. Between the two, chains can be stepped from the one meaning to the other."""
        self._settle_apart()
        return self._moved()

    def _moved(self) -> Commit:
        rows, self._rows = self._rows, {}
        created, self._created = self._created, []
        self.places.forget_nearby()
        return Commit(list(rows.items()), [ClassChange(n, 0, self.content(n)) for n in created if n in self._classes])

    def arrived(self) -> None:
        """The end of what `set_out` began: nobody asks about ``moving`` any more."""
        for flag in self.moving:
            self._drop_bit(flag.bit_length() - 1)
        self.moving = {}

    @property
    def renames(self) -> bool:
        """Whether phase 2 will do anything."""
        return bool(self._renaming)

    def rename(self) -> Commit:
        """Phase 2 of `commit`."""
        renaming, self._renaming = self._renaming, {}
        changes = []
        for label, content in renaming.items():
            changes.append(ClassChange(label.id, label.content, content))
            self._rename(label, content)
        return Commit([], changes)

    def retire(self) -> Commit:
        """Phase 3 of `commit`."""
        gone, self._gone = self._gone, []
        for where in gone:
            label = self._labels.pop(where)
            label.places.discard(where)
            self._note_empty(label)
        empty, self._empty = self._empty, set()
        changes = [self._retire(label) for label in sorted(empty, key=lambda c: c.id) if not label.places]
        return Commit([(where, 0) for where in gone], changes)

    def rest(self) -> tuple[Commit, Commit, Commit]:
        """As `commit`, and merge identities of equal content, the smaller relabelled: for quiet moments."""
        phases = [self._dropped, self.commit()]
        self._dropped = (Commit([], []), Commit([], []), Commit([], []))
        for same in [group for group in self._by_content.values() if len(group) > 1]:
            keep, *others = sorted(same, key=lambda c: (-len(c.places), c.id))
            for other in others:
                self._move(list(other.places), keep)
        phases.append((self.move(), self.rename(), self.retire()))
        copies, self._copies = self._copies, set()
        for number in sorted(copies & self._classes.keys()):
            self._rename(self._classes[number], self._classes[number].content)
        self._numbers.settle()
        moved, renamed, retired = (_joined(each) for each in zip(*phases, strict=True))
        return moved, renamed, retired

    def _settle(self) -> None:
        """Decide which identities will change their meaning, and move all places that do not go with them."""
        moves: dict[Class, dict[int, list[int]]] = {}
        leaving: dict[int, list[int]] = {}
        labels = self._labels
        for where, content in self.places.contents(self._take()):
            label = labels.get(where)
            if label is None:
                if content:
                    leaving.setdefault(content, []).append(where)
            elif content != self._renaming.get(label, label.content):
                moves.setdefault(label, {}).setdefault(content, []).append(where)
        for label, parts in moves.items():
            self._split(label, parts, leaving)
        for content, places in leaving.items():
            self._move(places, self._class_of(content))

    def _settle_apart(self) -> None:
        """As `_settle`, for `set_out`: each pair of contents before and after is a class; a class that goes as a whole keeps its number."""
        without = {where: self.content(self.identity(where)) for where in self._pending if where not in self._labels}
        parts: dict[tuple[Class | None, int, int], list[int]] = {}
        for where, content in self.places.contents(self._take()):
            label = self._labels.get(where)
            before, after = label.content if label else without[where], content or self.places.covering(where)
            if label is not None and not content:
                self._gone.append(where)
            if before != after and (label is not None or content):
                parts.setdefault((label, before, after), []).append(where)
            elif label is None and content:
                self._move([where], self._class_of(content))
        flags: dict[tuple[int, int], int] = {}
        for (label, before, after), places in parts.items():
            flag = flags.get((before, after))
            if flag is None:
                flag = flags[before, after] = 1 << self._new_bit(f"moving:{before:x}:{after:x}")
                self.moving[flag] = (before, after)
            self._set_out(label, before, after, flag, places)

    def _set_out(self, label: Class | None, before: int, after: int, flag: int, places: list[int]) -> None:
        if label is not None and len(places) == len(label.places):
            target = label
            self._rename(label, before | flag)
        else:
            target = self._class_of(before | flag)
            self._move(places, target)
        self._renaming[target] = after

    def _take(self) -> set[int]:
        """Write pending masks down; returns the places whose content may have changed."""
        pending, self._pending = self._pending, {}
        if len(self._masks) > _MASKS:
            self._masks.clear()
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

    def _split(self, label: Class, parts: dict[int, list[int]], leaving: dict[int, list[int]]) -> None:
        """Some places of a class got other contents: the largest part keeps the name, the others are added to ``leaving``."""
        gone = parts.pop(0, [])
        self._gone += gone
        unchanged = len(label.places) - len(gone) - sum(map(len, parts.values()))
        content, largest = max(parts.items(), key=lambda item: (len(item[1]), -item[0]), default=(0, []))
        twin = max((len(c.places) for c in self._by_content.get(content, ())), default=0)
        if len(largest) > unchanged and len(largest) > twin and label not in self._renaming:
            del parts[content]
            if unchanged or gone:  # what goes keeps its old meaning until it is gone
                others = {where for places in parts.values() for where in places}
                leaving.setdefault(label.content, []).extend(label.places.difference(largest, others))
            self._renaming[label] = content
        for other, places in parts.items():
            leaving.setdefault(other, []).extend(places)

    def _class_of(self, content: int) -> Class:
        for label in self._by_content.get(content, ()):
            if label not in self._renaming:
                return label
        meaning = self._meaning(content)
        label = Class(self._numbers.get(meaning), content, meaning)
        self._classes[label.id] = label
        self._note(label)
        self._by_content.setdefault(content, []).append(label)
        self._created.append(label.id)
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

    def _move(self, places: list[int], target: Class) -> None:
        for where in places:
            old = self._labels.get(where)
            if old is not None:
                old.places.discard(where)
                self._note_empty(old)
            self._labels[where] = target
            target.places.add(where)
            self._rows[where] = target.id

    def _note_empty(self, label: Class) -> None:
        if not label.places:
            self._empty.add(label)

    def _retire(self, label: Class) -> ClassChange:
        self._unlink(label)
        for bit in bits(label.content):
            self._by_group[bit].discard(label.id)
        del self._classes[label.id]
        self._numbers.retire(label.meaning)
        return ClassChange(label.id, label.content, 0)


def _joined(commits: Iterable[Commit]) -> Commit:
    """Several commits of one phase as one; the last row of a place counts."""
    rows: dict[int, int] = {}
    classes: list[ClassChange] = []
    for commit in commits:
        rows.update(commit.rows)
        classes += commit.classes
    return Commit(list(rows.items()), classes)


def bits(mask: int) -> list[int]:
    """The numbers of the bits set in ``mask``, ascending."""
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out
