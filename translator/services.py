"""Services as rows: which addresses lead to which group of backends, and the buckets of each group.

Owner of `service_*`, `service_source_*`, `backend_*` and `affinity_backend_*` (docs/design/services.md). The work for a change is that of
the services concerned: a service is resolved as a whole, its rows are compared with those before.

Two services that ask for one address, protocol and port: the oldest has it, of equally old ones the first by namespace and name; the
others are Degraded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from datastore.kubernetes import KubernetesDirty, KubernetesStore, Service, ServiceKey, ServicePort

from .addresses import is_v6, length_of, text, value_of
from .buckets import buckets
from .claims import Change, Claimant, Claims, Row
from .degraded import Degraded
from .numbers import Names, Numbers
from .service_affinity import TIMEOUTS_S, profile
from .service_choice import Backend, Choice, Here, choose
from .service_entries import AFFINITY, CHECK_SOURCE, Entry, Scope, allowed_sources, entries

PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
Rows = dict[Row, tuple[Any, ...]]


class Context(NamedTuple):
    """What of this node services depend on: its name and zone, its own addresses, and those of them that node ports are open on."""

    here: Here
    addresses: tuple[int, ...] = ()
    node_ports: tuple[int, ...] = ()


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
        self._context = Context(Here(""))

    def update(self, store: KubernetesStore, dirty: KubernetesDirty, context: Context) -> list[Change]:
        """The rows that differ since the last update."""
        due = dirty.services
        if context != self._context:
            self._context, due = context, {*store.services, *self._services}
        changes: list[Change] = []
        for key in due:
            changes += self._follow(key, store)
        return [*changes, *self._claims.changes()]

    def rest(self) -> None:
        """Give back the numbers of groups that are gone; to be called when no row uses them any more."""
        self._numbers.settle()

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
        for name in old.groups.keys() - new.groups.keys():
            self._numbers.retire(name)
        self._shortcomings.pop(key, None)
        if new is not _NOTHING:
            self._services[key] = new
            if found := [*_shortcomings(service, new)]:
                self._shortcomings[key] = found

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
        known = _Known(tuple(plans(service, store, self._context)), {}, {})
        for plan in known.plans:
            numbers: dict[Scope | None, tuple[int, int]] = {None: (0, 0)}
            for scope, backends in plan.groups.items():
                name = group_name(service, plan, scope)
                number = self._numbers.get(name)
                assigned = buckets(backends)
                numbers[scope] = number, len(assigned) - 1
                known.groups[name] = dict(_group_rows(number, plan, backends, assigned, bool(service.affinity_s)))
                known.groups[name].update(_source_rows(number, plan, service, self._context))
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


class _Known(NamedTuple):
    """A service's rows: entries, and those of each group."""

    plans: tuple[Plan, ...]
    entries: Rows
    groups: dict[str, Rows]


_NOTHING = _Known((), {}, {})


def _shortcomings(service: Service | None, known: _Known) -> Iterator[str]:
    if service is not None and service.affinity_s and (timeout_s := TIMEOUTS_S[profile(service.affinity_s)]) != service.affinity_s:
        yield f"session affinity lasts {timeout_s} s instead of {service.affinity_s} s: the switch has no such timeout"
    for plan in known.plans:
        if plan.port.protocol == "SCTP" and any(backend.port != entry.port for backend in plan.choice.serving for entry in plan.entries):
            yield f"port {plan.port.port}/SCTP: backends with another port are not reached (no_port): the checksum can't be updated"


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
    values = {backend: _to_backend(backend) for backend in backends}
    yield from (((table, (number, bucket)), values[backend]) for bucket, backend in enumerate(assigned))
    if affinity:
        table = _table("affinity_backend", plan.v6)
        yield from (((table, (number, value_of(backend.address), backend.port)), ("still_there",)) for backend in backends)


def _to_backend(backend: Backend) -> tuple[Any, ...]:
    value = value_of(backend.address)
    if is_v6(backend.address):
        return "to_backend_v6", value, value >> 64, value & 0xFFFFFFFFFFFFFFFF, backend.port
    return "to_backend_v4", value, backend.port


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
