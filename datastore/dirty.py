"""What has changed since it was last asked for: net changes, so that there and back again is none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

from felix_proto.types import PolicyID, ServiceAccountID, ServiceID, WorkloadEndpointID

K = TypeVar("K")
V = TypeVar("V")


class MemberDelta(NamedTuple):
    """Net change of a set's members: take ``removed`` away, then add ``added``.

    The two are disjoint, unless the set's type has changed: then every old member is removed and every present one added. Both are
    empty for an empty set that is new or gone.
    """

    added: set[str]
    removed: set[str]


class KubernetesDirty(NamedTuple):
    """Which services have to be looked at again, because of themselves or their slices, which nodes changed, and whether the source did."""

    services: set[tuple[str, str]]
    nodes: set[str]
    source: bool = False

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.services or self.nodes or self.source)


def _nothing() -> KubernetesDirty:
    return KubernetesDirty(set(), set())


@dataclass(slots=True)
class Dirty:
    """Keys of the objects that changed, by the store's maps; what is dirty and absent from its map was removed.

    ``hosts`` goes with the store's ``host_metadata``. ``recreated``: workload endpoints that were removed in between and are there
    again, whether or not they differ. For what there is only one of: whether it changed.
    """

    ip_sets: dict[str, MemberDelta] = field(default_factory=dict)
    policies: set[PolicyID] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)
    endpoints: set[WorkloadEndpointID] = field(default_factory=set)
    recreated: set[WorkloadEndpointID] = field(default_factory=set)
    host_endpoints: set[str] = field(default_factory=set)
    routes: set[str] = field(default_factory=set)
    vteps: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    services: set[ServiceID] = field(default_factory=set)
    service_accounts: set[ServiceAccountID] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    wireguard: set[str] = field(default_factory=set)
    fib: set[str] = field(default_factory=set)
    kubernetes: KubernetesDirty = field(default_factory=_nothing)
    config: bool = False
    bgp: bool = False
    encapsulation: bool = False

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return any(getattr(self, each.name) for each in fields(self))


class Objects(dict[K, V]):
    """Objects by key, and which of them differ from what they were at the last ``take_dirty``.

    Changed by ``put`` and ``remove`` only; a plain dict to readers. Values are immutable and compared by content.
    """

    __slots__ = ("_before", "_removed")

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[K, V | None] = {}
        self._removed: set[K] = set()

    def put(self, key: K, value: V) -> None:
        """Add an object, or replace the one with that key."""
        old = self.get(key)
        if old != value:
            self._before.setdefault(key, old)
            self[key] = value

    def remove(self, key: K) -> bool:
        """Remove an object; tell whether there was one."""
        if key not in self:
            return False
        self._before.setdefault(key, self.pop(key))
        self._removed.add(key)
        return True

    def take_dirty(self) -> set[K]:
        """Return the keys whose objects differ from those at the last call."""
        before, self._before = self._before, {}
        self._removed.clear()
        return {key for key, old in before.items() if self.get(key) != old}

    def recreated(self) -> set[K]:
        """Return the keys of objects that were removed since the last ``take_dirty`` and are there again."""
        return {key for key in self._removed if key in self}


class Joined(Objects[K, V]):
    """Objects that come in parts, each with messages of its own; ``join`` makes an object of the parts there are."""

    __slots__ = ("_join", "_parts")

    def __init__(self, join: Callable[[K, Mapping[type, Any]], V]) -> None:
        super().__init__()
        self._join = join
        self._parts: dict[K, dict[type, object]] = {}

    def put_part(self, key: K, part: object) -> None:
        """Add a part of an object, or replace the one of that type."""
        parts = self._parts.setdefault(key, {})
        parts[type(part)] = part
        self.put(key, self._join(key, parts))

    def remove_part(self, key: K, kind: type) -> bool:
        """Remove the part of that type, and with its last part the object; tell whether there was one."""
        parts = self._parts.get(key, {})
        if parts.pop(kind, None) is None:
            return False
        if parts:
            self.put(key, self._join(key, parts))
            return True
        del self._parts[key]
        return self.remove(key)
