"""Services as rows: which addresses lead to which group of backends, and the buckets of each group.

Owner of `service_*`, `service_source_*`, `backend_*` and `affinity_backend_*` (docs/design/services.md). The work for a change is that of
the services concerned: a service is resolved as a whole, its rows are compared with those before.

Two services that ask for one address, protocol and port: the oldest has it, of equally old ones the first by namespace and name; the
others are Degraded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from datastore.kubernetes import KubernetesStore, ObjectKey, Service, ServiceKey, ServicePort

from .addresses import is_v6, length_of, text, value_of
from .buckets import IN_ROW, MOST, buckets
from .claims import Change, Claimant, Claims, Row
from .degraded import Degraded
from .numbers import Names, Numbers
from .service_affinity import TIMEOUTS_S, profile
from .service_choice import Backend, Choice, choose
from .service_context import Context, ContextWatch
from .service_entries import AFFINITY, CHECK_SOURCE, Entry, Scope, allowed_sources, entries
from .service_flows import Frontend, Suspects, Where

TABLES = tuple(f"{name}_{family}" for name in ("service", "service_source", "backend", "affinity_backend") for family in ("v4", "v6"))
"""The tables whose rows are made here."""
PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
Rows = dict[Row, tuple[Any, ...]]


class Plan(NamedTuple):
    """What one port of a service comes to in one family. `groups`: the scopes that an entry leads to, with their backends."""

    port: ServicePort
    v6: bool
    choice: Choice
    entries: tuple[Entry, ...]
    groups: Mapping[Scope, tuple[Backend, ...]]


def plans(service: Service, store: KubernetesStore, context: Context) -> Iterator[Plan]:
    """Resolve a service: pure, and nothing but its own slices is looked at."""
    if not service.ours:
        return
    slices = list(store.slices_of((service.namespace, service.name)))
    for port in service.ports:
        for v6 in (False, True):
            choice = choose(port, slices, v6, context.here)
            found = tuple(entries(service, port, choice, v6, context.node_ports))
            used = {scope for entry in found for scope in (entry.inside, entry.outside) if scope is not None}
            if found:
                yield Plan(port, v6, choice, found, {scope: getattr(choice, scope) for scope in sorted(used)})


def group_name(service: Service, plan: Plan, scope: Scope) -> str:
    """Return the meaning of a group's number (kind "group")."""
    family = "v6" if plan.v6 else "v4"
    return f"{service.namespace}/{service.name}:{plan.port.name or plan.port.port}/{plan.port.protocol.lower()} {scope} {family}"


class ServicePart:
    """The rows of all services, and what of them can't be had."""

    def __init__(self, names: Names) -> None:
        self._numbers = Numbers("group", names)
        self._claims = Claims()
        self._claimant: dict[ServiceKey, Claimant] = {}
        self._services: dict[ServiceKey, _Known] = {}
        self._shortcomings: dict[ServiceKey, list[str]] = {}
        self._watch = ContextWatch()
        self._problems: Mapping[ObjectKey, str] = {}
        self._started = False
        self._suspects = Suspects({}, {})
        self._health: dict[ServiceKey, tuple[int, int]] = {}

    def update(self, store: Any, dirty: Any, ports: Any) -> list[Change]:
        """The rows that differ since the last update; none before a source has told everything."""
        moved = self._watch.update(store, dirty, ports)
        if not (store.kubernetes.configured and store.kubernetes.in_sync):
            return []
        due = dirty.kubernetes.services
        if moved or not self._started:
            self._started, due = True, {*store.kubernetes.services, *self._services}
        return self.follow(due, store.kubernetes)

    def follow(self, due: Iterable[ServiceKey], store: KubernetesStore) -> list[Change]:
        """The rows of these services that differ."""
        self._problems = store.problems
        changes: list[Change] = []
        for key in due:
            changes += self._follow(key, store)
        return [*changes, *self._claims.changes()]

    def rest(self) -> None:
        """Give back the numbers of groups that are gone; to be called when no row uses them any more."""
        if self._started:
            self._numbers.settle()

    def suspects(self) -> Suspects:
        """What learned flows may be stale because of what changed since the last call."""
        found, self._suspects = self._suspects, Suspects({}, {})
        for v6, address, port in found.frontends:
            owner = self.owner(_table("service", v6), (address, PROTOCOLS["UDP"], port))
            found.frontends[v6, address, port] = self._services[owner].udp().get((v6, address, port)) if owner is not None else None
        return found

    def owner(self, table: str, key: tuple[Any, ...]) -> ServiceKey | None:
        """Return the service that has an address, protocol and port; None if none has."""
        claimants = self._claims.by_rank((table, key))
        if not claimants:
            return None
        _, namespace, name = claimants[0]
        return namespace, name

    def health(self) -> dict[int, tuple[ServiceKey, int]]:
        """The services whose health this node tells, by healthCheckNodePort, with the number of ready endpoints here."""
        return {port: (key, number) for key, (port, number) in self._health.items()}

    def rows_of(self, key: ServiceKey) -> Iterator[Row]:
        """Yield the rows that a service asks for."""
        known = self._services.get(key, _NOTHING)
        yield from known.entries
        for rows in known.groups.values():
            yield from rows

    def plans(self) -> Iterator[tuple[ServiceKey, tuple[Plan, ...]]]:
        """Yield every service with what it came to."""
        return ((key, known.plans) for key, known in self._services.items())

    def plans_of(self, key: ServiceKey) -> tuple[Plan, ...]:
        """Return what a service came to; nothing for one that is not there."""
        known = self._services.get(key)
        return known.plans if known is not None else ()

    def _follow(self, key: ServiceKey, store: KubernetesStore) -> Iterator[Change]:
        service = store.services.get(key)
        old = self._services.pop(key, _NOTHING)
        new = _NOTHING if service is None or not service.ours else self._resolve(service, store)
        self._claim(key, service, new)
        yield from _differences(old.groups, new.groups)
        self._suspect(old, new)
        for name in old.groups.keys() - new.groups.keys():
            self._numbers.retire(name)
        self._shortcomings.pop(key, None)
        self._health.pop(key, None)
        if new.health_port:
            here = {backend.address for plan in new.plans for backend in plan.choice.ready_here}
            self._health[key] = new.health_port, len(here)
        if new is not _NOTHING:
            self._services[key] = new
            if found := [*_shortcomings(service, new)]:
                self._shortcomings[key] = found

    def _suspect(self, old: _Known, new: _Known) -> None:
        """Where a UDP backend is gone, or a frontend is new or gone; groups that clients may be remembered of."""
        before, after = old.udp(), new.udp()
        for frontend in before.keys() | after.keys():
            if frontend not in before or before[frontend] - after.get(frontend, frozenset()) or frontend not in after:
                self._suspects.frontends[frontend] = None
        for name, number, there in (*old.affinity(), *new.affinity()):
            self._suspects.groups[number] = there if name in new.groups else frozenset()

    def _claim(self, key: ServiceKey, service: Service | None, known: _Known) -> None:
        """Ask for the entries; the age of a service is part of who asks, so a service that was made anew asks anew."""
        claimant = (service.created or "~", *key) if service is not None else None
        before = self._claimant.pop(key, None)
        if before is not None and before != claimant:
            self._claims.set(before, {})
        if claimant is not None:
            self._claimant[key] = claimant
            self._claims.set(claimant, known.entries)

    def _resolve(self, service: Service, store: KubernetesStore) -> _Known:
        context = self._watch.context
        known = _Known(tuple(plans(service, store, context)), {}, {}, service.health_port)
        for plan in known.plans:
            numbers: dict[Scope | None, tuple[int, int]] = {None: (0, 0)}
            for scope, backends in plan.groups.items():
                name = group_name(service, plan, scope)
                number = self._numbers.get(name)
                assigned = buckets(backends)
                numbers[scope] = number, len(assigned) - 1
                known.groups[name] = dict(_group_rows(number, plan, backends, assigned, bool(service.affinity_s)))
                known.groups[name].update(_source_rows(number, plan, service, context))
            known.entries.update(_entry_row(service, plan, entry, numbers) for entry in plan.entries)
        return known

    def degraded(self) -> Iterator[Degraded]:
        """Services that another one has an address of, and what can't be done as asked."""
        reasons: dict[ServiceKey, list[str]] = {}
        for row in sorted(self._claims.contested):
            winner, *losers = self._claims.by_rank(row)
            for _, namespace, name in losers:
                reasons.setdefault((namespace, name), []).append(f"{_where(row)} belongs to the older service {winner[1]}/{winner[2]}")
        for service, found in self._shortcomings.items():
            reasons.setdefault(service, []).extend(found)
        for (namespace, name), texts in reasons.items():
            yield Degraded(f"Service {namespace}/{name}", "; ".join(texts), "partial")
        for (kind, namespace, name), reason in self._problems.items():
            yield Degraded(f"{kind} {'/'.join(filter(None, (namespace, name)))}", f"not readable, so it counts as absent: {reason}", "partial")
        if self._watch.problem is not None:
            yield self._watch.problem


class _Known(NamedTuple):
    """What a service came to: its rows, entries and those of each group."""

    plans: tuple[Plan, ...]
    entries: Rows
    groups: dict[str, Rows]
    health_port: int = 0

    def udp(self) -> dict[Frontend, frozenset[Where]]:
        """Where it can be reached by UDP, with the backends that serve."""
        return {
            (plan.v6, value_of(entry.address), entry.port): frozenset((value_of(backend.address), backend.port) for backend in plan.choice.serving)
            for plan in self.plans
            if plan.port.protocol == "UDP"
            for entry in plan.entries
        }

    def affinity(self) -> Iterator[tuple[str, int, frozenset[Where]]]:
        """Groups that remember their clients: name, number, backends."""
        for name, rows in self.groups.items():
            remembered = [key for (table, key) in rows if table.startswith("affinity_backend")]
            if remembered:
                yield name, remembered[0][0], frozenset((address, port) for _, address, port in remembered)


_NOTHING = _Known((), {}, {})


def _shortcomings(service: Service | None, known: _Known) -> Iterator[str]:
    if service is not None and service.affinity_s and (timeout_s := TIMEOUTS_S[profile(service.affinity_s)]) != service.affinity_s:
        yield f"session affinity lasts {timeout_s} s instead of {service.affinity_s} s: the switch has no such timeout"
    for plan in known.plans:
        if plan.port.protocol == "SCTP" and any(backend.port != entry.port for backend in plan.choice.serving for entry in plan.entries):
            yield f"port {plan.port.port}/SCTP: backends with another port are not reached (no_port): the checksum can't be updated"
        if (most := max(map(len, plan.groups.values()), default=0)) > MOST:
            yield f"port {plan.port.port}/{plan.port.protocol}: of {most} backends {MOST} are reached, as many as there are buckets"


def _differences(old: Mapping[str, Rows], new: Mapping[str, Rows]) -> Iterator[Change]:
    for name, rows in old.items():
        kept = new.get(name, {})
        yield from ((*row, None) for row in rows if row not in kept)
    for name, rows in new.items():
        before = old.get(name, {})
        yield from ((*row, value) for row, value in rows.items() if before.get(row) != value)


def _table(name: str, v6: bool) -> str:
    return f"{name}_v6" if v6 else f"{name}_v4"


def _group_rows(number: int, plan: Plan, backends: Iterable[Backend], assigned: Iterable[Backend], affinity: bool) -> Iterator[tuple[Row, tuple[Any, ...]]]:
    table = _table("backend", plan.v6)
    values = {backend: _place(backend) for backend in backends}
    for row, places in enumerate(zip(*[map(values.__getitem__, assigned)] * IN_ROW, strict=True)):
        yield (table, (number, row)), (_table("to_backends", plan.v6), *chain.from_iterable(places))
    if affinity:
        table = _table("affinity_backend", plan.v6)
        yield from (((table, (number, value_of(backend.address), backend.port)), ("still_there",)) for backend in backends)


def _place(backend: Backend) -> tuple[int, ...]:
    value = value_of(backend.address)
    if is_v6(backend.address):
        return value, value >> 64, value & 0xFFFFFFFFFFFFFFFF, backend.port
    return value, backend.port


def _source_rows(number: int, plan: Plan, service: Service, context: Context) -> Iterator[tuple[Row, tuple[Any, ...]]]:
    if any(entry.flags & CHECK_SOURCE for entry in plan.entries):
        table = _table("service_source", plan.v6)
        for place in allowed_sources(service, plan.v6, context.addresses):
            yield (table, (number, (value_of(place), length_of(place)))), ("source_in_range",)


def _entry_row(service: Service, plan: Plan, entry: Entry, numbers: Mapping[Scope | None, tuple[int, int]]) -> tuple[Row, tuple[Any, ...]]:
    flags = entry.flags | (profile(service.affinity_s) << 8 if entry.flags & AFFINITY else 0)
    key = (value_of(entry.address), PROTOCOLS[plan.port.protocol], entry.port)
    return (_table("service", plan.v6), key), ("to_service", *numbers[entry.inside], *numbers[entry.outside], flags)


def _where(row: Row) -> str:
    table, (address, protocol, port) = row
    name = {number: name for name, number in PROTOCOLS.items()}[protocol]
    shown = text(address | (1 << 128 if table.endswith("v6") else 0)).partition("/")[0]
    return f"{shown} port {port}/{name}"
