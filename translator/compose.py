"""The translator as a whole: the parts, the order of their transactions, and the names behind the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .degraded import Degraded
from .dump import Canonical, Resolver
from .epoch import EpochPart
from .host_rules import HostRules, deciding_in
from .names import HOST, endpoint_name, object_name
from .numbers import Names
from .policy import PolicyPart
from .reach import Reach
from .rejects import REJECT_RATE
from .rule_lists import Change
from .rules import Ref
from .services import TABLES as SERVICE_TABLES
from .services import ServicePart
from .slots import FIRST_OF_STAGE, path_text


class Translator:
    """Rows for a node's intent. ``translate`` and ``rest`` give transactions, to be pushed one after the other."""

    def __init__(self, allocator: Names) -> None:
        self.policy = PolicyPart(allocator)
        self.host_rules = HostRules(allocator)
        self.reach = Reach(allocator, self.policy.closed)
        self.services = ServicePart(allocator)
        self.epoch = EpochPart(allocator)
        self._allocator = allocator
        self._ports: Any = None

    @property
    def degraded(self) -> dict[tuple[str, str], Degraded]:
        """What does not work as intended, by object and direction."""
        return {(entry.object, entry.direction): entry for entry in (*self.reach.degraded(), *self.services.degraded())}

    def translate(self, store: Any, dirty: Any, ports: Any) -> Iterator[list[Change]]:
        """Follow a batch of changes. Each transaction (row changes, value None deletes) must be consumed in order."""
        self._ports = ports
        let_through, taken_back = self.host_rules.update(store, dirty)
        yield let_through
        yield from self.policy.update(store, dirty)
        yield self.reach.update(store, dirty, ports)
        yield self.policy.part()
        yield taken_back
        yield self.services.update(store, dirty, ports)
        yield self.epoch.update(store, dirty)

    @property
    def meters(self) -> Mapping[tuple[str, int], tuple[int, int, int, int]]:
        """What the meters are to be, by name and index: (cir, cburst, pir, pburst). The others are to have no rate."""
        return self.reach.qos.meters

    def metered(self, name: str, number: int) -> str:
        """The object that a meter is there for."""
        if name == REJECT_RATE:
            return "Config rejects"
        owner = self.reach.qos.owners.get(number)
        return endpoint_name(owner) if owner is not None else f"meter {number}"

    def rest(self) -> Iterator[list[Change]]:
        """A quiet moment: delete what nothing uses, merge identities of equal meaning."""
        self.reach.rest()
        self.services.rest()
        self.host_rules.slots.settle()
        yield from self.policy.rest()

    def host_interfaces(self, host_endpoint: str) -> list[str]:
        """The uplinks and tunnel devices at which a host endpoint stands."""
        return self.reach.hosts.interfaces(host_endpoint)

    def way(self, destination: str) -> str:
        """Where a route of the stream leads: the name of its way (`ways`), "own", "blackhole", or "" where it asks for no row."""
        return self.reach.way(destination)

    def tunnel(self, number: int) -> str:
        """The name of the way behind a tunnel's number."""
        return self._meaning("tunnel")(number)

    def endpoint(self, number: int) -> str | None:
        """The workload or host endpoint behind its number, None if it is nobody's."""
        return self._allocator.meaning("endpoint", number)

    def node(self, number: int) -> str:
        """The node behind its number."""
        return self._meaning("node")(number)

    def group(self, number: int) -> str:
        """The name of a group of backends, "NAMESPACE/NAME:PORT/PROTOCOL SCOPE FAMILY"; "" for a number that is free."""
        return self._allocator.meaning("group", number) or ""

    def slot_origin(self, stage: str, slot: int) -> tuple[Ref, ...] | None:
        """The path behind a slot: the rules passed and logged on the way, then what decided; None if it is not in use."""
        return self.host_rules.slots.path(slot) if slot < FIRST_OF_STAGE else self.policy.stages[stage].tables.lists.path(slot)

    def host_endpoint(self, number: int) -> str | None:
        """The id of the host endpoint with this number; None if it is not one's."""
        meaning = self._allocator.meaning("endpoint", number) or ""
        return meaning.removeprefix(HOST) if meaning.startswith(HOST) else None

    def slots(self) -> Iterator[tuple[str, int, tuple[Ref, ...]]]:
        """(stage, slot, path) of every slot in use; those of what was only passed, on the way to a list, have no own part."""
        for stage, part in self.policy.stages.items():
            yield from ((stage, number, path) for number, path in part.tables.lists.all_slots())
        for number, path in self.host_rules.slots.items():
            yield from ((stage, number, path) for stage in deciding_in(path[0]) if self.policy.stages[stage].behind_host_rules)

    def retired_slots(self, forget: bool = False) -> list[tuple[str, int, tuple[Ref, ...]]]:
        """The slots that went out of use since they were last forgotten; their numbers stay free until the next `rest`."""
        found: list[tuple[str, int, tuple[Ref, ...]]] = []
        for stage, part in self.policy.stages.items():
            found += [(stage, number, path) for number, path in part.tables.lists.retired(forget)]
        retired = self.host_rules.slots.retired
        found += [(stage, number, path) for number, path in retired for stage in deciding_in(path[0])]
        if forget:
            retired.clear()
        return found

    def canonical(self, table: str, key: tuple[Any, ...], value: tuple[Any, ...]) -> str:
        """One line of the dump."""
        return Canonical(self._resolvers()).line(table, key, value)

    def canonical_lines(self, rows: Iterable[tuple[str, tuple[Any, ...], tuple[Any, ...]]]) -> Iterator[str]:
        """The lines of many rows, in their order."""
        writer = Canonical(self._resolvers())
        return (writer.line(table, key, value) for table, key, value in rows)

    def origin(self, table: str, key: Any, value: Any) -> str:
        """The Calico object that a row is there for, as kind and name; the chain or groups where it is several."""
        if table.endswith(".rules") and value is not None:
            path = self.slot_origin(table.partition(".")[0], value[1])
            return path_text(path[-1:]) if path else f"{table} list {key[0][0]}"
        if table.startswith("host_rule_") and value is not None:
            return self.host_rules.slots.text(value[1])
        if table == "epoch":
            return "Setting established_connections"
        if table.endswith(".binding") or table.startswith("source_"):
            return object_name(self._allocator.meaning("endpoint", key[0]))
        if table in SERVICE_TABLES:
            service = self.services.owner(table, key) if table.startswith("service_v") else self.group(key[0]).partition(":")[0]
            return f"Service {'/'.join(service) if isinstance(service, tuple) else service}"
        if "_identity_" in table and value is not None:
            side = self.policy.sides[table.partition("_identity_")[0]]
            return "IPSets " + ", ".join(side.names_of(side.content(value[1])))
        return f"{table} {key}"

    def _resolvers(self) -> Mapping[str, Resolver]:
        resolvers: dict[str, Resolver] = {
            "endpoint": self._meaning("endpoint"),
            "next_hop": self._meaning("next_hop"),
            "node": self._meaning("node"),
            "tunnel": self._meaning("tunnel"),
            "group": self._meaning("group"),
            "port": self._port_name,
            "host_rule.slot": self.host_rules.slots.text,
            "limited": self._limited,
        }
        for name, side in self.policy.sides.items():
            resolvers[f"{name}_identity"] = side.text
        for name, stage in self.policy.stages.items():
            resolvers.update(stage.tables.resolvers(name))
        return resolvers

    def _meaning(self, kind: str) -> Resolver:
        return lambda number: self._allocator.meaning(kind, number) or f"?{number}"

    def _limited(self, owner: int) -> str:
        return f"{self._meaning('endpoint')(owner >> 1)} {'ingress' if owner & 1 else 'egress'}"

    def _port_name(self, number: int) -> str:
        port = self._ports.by_number(number)
        return port.name if port is not None else f"?{number}"
