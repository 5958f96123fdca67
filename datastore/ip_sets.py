"""IP sets with their members, and the net change of each."""

from collections.abc import Iterable

from datastore.dirty import MemberDelta


class IPSet:
    """An IP set: ``type`` (felix_proto.types.IPSetType) and ``members`` as on the wire; for reading."""

    __slots__ = ("members", "type")

    def __init__(self, type: int, members: Iterable[str]) -> None:
        self.type = type
        self.members = set(members)

    def __eq__(self, other: object) -> bool:
        """Compare by content."""
        return isinstance(other, IPSet) and (self.type, self.members) == (other.type, other.members)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        """Return type and number of members."""
        return f"IPSet(type={self.type}, {len(self.members)} members)"


class _Change:
    """How a set's members differ from those at the last ``take_dirty``; ``type`` is what its type was then."""

    __slots__ = ("added", "removed", "type")

    def __init__(self, type: int) -> None:
        self.type = type
        self.added: set[str] = set()
        self.removed: set[str] = set()

    def add(self, members: set[str]) -> None:
        """Note members that were not in the set."""
        self.added |= members - self.removed
        self.removed -= members

    def remove(self, members: set[str]) -> None:
        """Note members that were in the set."""
        self.removed |= members - self.added
        self.added -= members


class IPSets(dict[str, IPSet]):
    """IP sets by id, and how they differ from what they were at the last ``take_dirty``.

    Changed by the methods below only; a plain dict to readers. Of a set that is new since ``take_dirty``, all of it is the change,
    so nothing is kept twice while a snapshot arrives.
    """

    __slots__ = ("_changes", "_new")

    def __init__(self) -> None:
        super().__init__()
        self._changes: dict[str, _Change] = {}
        self._new: set[str] = set()

    def replace(self, id: str, type: int, members: Iterable[str]) -> None:
        """Add a set, or give the one with that id another content."""
        new, old = IPSet(type, members), self.get(id)
        if old is None and id not in self._changes:
            self._new.add(id)
        elif id not in self._new:
            present = old.members if old else set()
            change = self._change(id, old or new)
            change.remove(present - new.members)
            change.add(new.members - present)
        self[id] = new

    def add_members(self, id: str, members: Iterable[str]) -> int:
        """Add members to a known set; return how many were not in it."""
        ip_set = self[id]
        before = len(ip_set.members)
        if id in self._new:
            ip_set.members.update(members)
        elif fresh := set(members) - ip_set.members:
            self._change(id, ip_set).add(fresh)
            ip_set.members |= fresh
        return len(ip_set.members) - before

    def remove_members(self, id: str, members: Iterable[str]) -> int:
        """Take members out of a known set; return how many were in it."""
        ip_set = self[id]
        before = len(ip_set.members)
        if id in self._new:
            ip_set.members.difference_update(members)
        elif gone := ip_set.members.intersection(members):
            self._change(id, ip_set).remove(gone)
            ip_set.members -= gone
        return before - len(ip_set.members)

    def remove(self, id: str) -> bool:
        """Remove a set; tell whether there was one."""
        old = self.pop(id, None)
        if old is None:
            return False
        if id in self._new:
            self._new.discard(id)
        else:
            self._change(id, old).remove(old.members)
        return True

    def take_dirty(self) -> dict[str, MemberDelta]:
        """Return the net change of each set that is new, gone, or differs from what it was at the last call."""
        changes, self._changes = self._changes, {}
        new, self._new = self._new, set()
        dirty = {id: MemberDelta(set(self[id].members), set()) for id in new}
        for id, change in changes.items():
            if (delta := self._delta(id, change)) is not None:
                dirty[id] = delta
        return dirty

    def _delta(self, id: str, change: _Change) -> MemberDelta | None:
        now = self.get(id)
        if now is not None and now.type != change.type:
            return MemberDelta(set(now.members), (now.members - change.added) | change.removed)
        if now is None or change.added or change.removed:
            return MemberDelta(change.added, change.removed)
        return None

    def _change(self, id: str, before: IPSet) -> _Change:
        change = self._changes.get(id)
        if change is None:
            change = self._changes[id] = _Change(before.type)
        return change
