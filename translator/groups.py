"""Address groups: IP sets, CIDR lists of rules, and the addresses of a port set that share one (protocol, port).

Rules acquire groups, which become bits on the side (source or destination) where they are asked for; a group nobody
asks for keeps its bit until `Groups.rest`, because sets and policies come back within milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple, Protocol

from felix_proto.types import IPSetType

from .addresses import parse_address, parse_members, text
from .errors import UnknownSet, Untranslatable
from .identity import Side
from .protocols import protocol_number


class SetGroup(NamedTuple):
    """All members of an IP set of type NET or IP."""

    set_id: str


class NetsGroup(NamedTuple):
    """A CIDR list of a rule: sorted places (`addresses`)."""

    places: tuple[int, ...]


class PortGroup(NamedTuple):
    """The addresses that an IP_AND_PORT set holds with this protocol number and port."""

    set_id: str
    protocol: int
    port: int


Group = SetGroup | NetsGroup | PortGroup


class IPSetView(Protocol):
    """What is read of `datastore.intent.IPSet`."""

    @property
    def type(self) -> int: ...
    @property
    def members(self) -> set[str]: ...


class Delta(Protocol):
    """What is read of `datastore.intent.MemberDelta`."""

    @property
    def added(self) -> set[str]: ...
    @property
    def removed(self) -> set[str]: ...


def name_of(group: Group) -> str:
    """A name that means the same in every run: used in dumps and in the allocator's file."""
    if isinstance(group, SetGroup):
        return group.set_id
    if isinstance(group, PortGroup):
        return f"{group.set_id}[{group.protocol}:{group.port}]"
    nets = ",".join(map(text, group.places))
    return nets if len(nets) < 64 else f"nets:{blake2b(nets.encode(), digest_size=8).hexdigest()}"


class _Use:
    __slots__ = ("bit", "count")

    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.count = 1


class Groups:
    """The groups in use, their bits, and the state of the IP sets behind them."""

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self._uses: dict[tuple[str, Group], _Use] = {}
        self._idle: set[tuple[str, Group]] = set()
        self._of_set: dict[str, set[tuple[str, Group]]] = {}
        self._ports: dict[str, dict[tuple[int, int], set[int]]] = {}
        self._sets: Mapping[str, IPSetView] = {}
        self._broken: dict[str, Untranslatable] = {}
        self._stale: set[str] = set()
        self._parsed: dict[str, set[int]] = {}

    def acquire(self, side: str, group: Group) -> int:
        """The bit of ``group`` on ``side``, made if need be. Raises Untranslatable for an unknown or unreadable set."""
        use = self._uses.get((side, group))
        if use is not None:
            use.count += 1
            self._idle.discard((side, group))
            return use.bit
        places = self._places(group)
        bit = self.sides[side].add_group(name_of(group), places)
        self._uses[side, group] = _Use(bit)
        if not isinstance(group, NetsGroup):
            self._of_set.setdefault(group.set_id, set()).add((side, group))
        return bit

    def release(self, side: str, group: Group) -> None:
        """Give back one `acquire`."""
        use = self._uses[side, group]
        use.count -= 1
        if not use.count:
            self._idle.add((side, group))

    def rest(self) -> None:
        """Drop the groups that nobody asks for."""
        for side, group in self._idle:
            self.sides[side].drop_group(self._uses.pop((side, group)).bit)
            if not isinstance(group, NetsGroup):
                of_set = self._of_set[group.set_id]
                of_set.discard((side, group))
                if not of_set:
                    del self._of_set[group.set_id]
        self._idle.clear()
        for set_id in self._ports.keys() - self._of_set.keys():
            del self._ports[set_id]
        self._stale &= self._of_set.keys()

    def check_set(self, set_id: str, wants_ports: bool, field: str) -> None:
        """Raise Untranslatable unless the set is known, readable and of the right type."""
        found = self._sets.get(set_id)
        if found is None:
            raise UnknownSet(f"{field}: IP set {set_id} was never sent")
        if (found.type == IPSetType.IP_AND_PORT) != wants_ports:
            raise Untranslatable(f"{field}: IP set {set_id} has type {found.type}, which this field cannot use")
        if set_id in self._broken:
            raise Untranslatable(f"{field}: IP set {set_id}: {self._broken[set_id]}")

    def ports_of(self, set_id: str, field: str) -> list[tuple[int, int]]:
        """The (protocol, port) pairs of an IP_AND_PORT set, sorted. Raises Untranslatable."""
        self.check_set(set_id, True, field)
        return sorted(self._port_index(set_id))

    def _places(self, group: Group) -> Iterable[int]:
        if isinstance(group, NetsGroup):
            return group.places
        if isinstance(group, PortGroup):
            return self._port_index(group.set_id).get((group.protocol, group.port), set())
        try:
            return self._members(group.set_id)
        except Untranslatable as error:
            raise self._note_broken(group.set_id, error) from None

    def _members(self, set_id: str) -> set[int]:
        """The members of a set as places, parsed once for both sides."""
        if set_id not in self._parsed:
            self._parsed[set_id] = parse_members(self._sets[set_id].members)
        return self._parsed[set_id]

    def finish(self) -> None:
        """The end of a batch: forget what was parsed for it."""
        self._parsed.clear()

    def _note_broken(self, set_id: str, error: Untranslatable) -> Untranslatable:
        self._broken[set_id] = error
        return Untranslatable(f"IP set {set_id}: {error}")

    def _port_index(self, set_id: str) -> dict[tuple[int, int], set[int]]:
        index = self._ports.get(set_id)
        if index is None:
            try:
                index = parse_port_members(self._sets[set_id].members)
            except Untranslatable as error:
                raise self._note_broken(set_id, error) from None
            self._ports[set_id] = index
        return index

    def update(self, sets: Mapping[str, IPSetView], deltas: Mapping[str, Delta]) -> set[str]:
        """Follow member changes; returns the sets whose rules must be made anew (new or lost ports, type, readability)."""
        self._sets = sets
        return {set_id for set_id, delta in deltas.items() if self._update_set(set_id, delta)}

    def _update_set(self, set_id: str, delta: Delta) -> bool:
        found = self._sets.get(set_id)
        doubtful = self._broken.pop(set_id, None) is not None or set_id in self._stale
        if found is None:
            self._stale.add(set_id)
        if found is None or set_id not in self._of_set:
            self._ports.pop(set_id, None)
            return True
        with_ports = found.type == IPSetType.IP_AND_PORT
        mixed = any(isinstance(group, PortGroup) != with_ports for _, group in self._of_set[set_id])
        try:
            if doubtful or mixed or (with_ports and set_id not in self._ports):
                self._resync(set_id)
                return True
            return self._change_ports(set_id, delta) if with_ports else self._change_members(set_id, delta)
        except Untranslatable as error:
            self._broken[set_id] = error
            self._ports.pop(set_id, None)
            return True

    def _resync(self, set_id: str) -> None:
        """Compare the groups of a set that was away, unreadable or of another type with its members now."""
        self._ports.pop(set_id, None)
        with_ports = self._sets[set_id].type == IPSetType.IP_AND_PORT
        for side, group in self._of_set[set_id]:
            if isinstance(group, PortGroup) == with_ports:
                bit = self._uses[side, group].bit
                wanted, there = set(self._places(group)), self.sides[side].members(bit)
                self.sides[side].change_group(bit, wanted - there, there - wanted)
        self._stale.discard(set_id)

    def _change_members(self, set_id: str, delta: Delta) -> bool:
        added, removed = parse_members(delta.added), parse_members(delta.removed)
        for side, group in self._of_set[set_id]:
            self.sides[side].change_group(self._uses[side, group].bit, added, removed)
        return False

    def _change_ports(self, set_id: str, delta: Delta) -> bool:
        index = self._ports[set_id]
        added, removed = parse_port_members(delta.added), parse_port_members(delta.removed)
        before = set(index)
        for pair, places in removed.items():
            index.get(pair, set()).difference_update(places)
        for pair, places in added.items():
            index.setdefault(pair, set()).update(places)
        for pair in [pair for pair in removed if pair in index and not index[pair]]:
            del index[pair]
        for side, group in self._of_set[set_id]:
            if isinstance(group, PortGroup):
                pair = (group.protocol, group.port)
                self.sides[side].change_group(
                    self._uses[side, group].bit, added.get(pair, ()), removed.get(pair, ())
                )
        return before != set(index)


def parse_port_members(members: Iterable[str]) -> dict[tuple[int, int], set[int]]:
    """Members "ADDRESS,PROTOCOL:PORT" of an IP_AND_PORT set by (protocol number, port). Raises Untranslatable."""
    out: dict[tuple[int, int], set[int]] = {}
    for member in members:
        address, comma, rest = member.partition(",")
        protocol, colon, port = rest.partition(":")
        if not (comma and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
            raise Untranslatable(f"not ADDRESS,PROTOCOL:PORT: {member!r}")
        pair = (protocol_number(protocol, f"member {member!r}"), int(port))
        out.setdefault(pair, set()).add(parse_address(address))
    return out
