"""Policy of workload and host endpoints: everything from tiers, policies, profiles and IP sets to the rows of the policy tables.

`PolicyPart.update` answers one batch of changes with transactions in order: first members and identities move under the
chains as they are, then chains are edited. So that an address is never judged by a new policy under an old identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from felix_proto.types import HostEndpoint, PolicyID, WorkloadEndpoint, WorkloadEndpointID

from .catalog import Catalog, PolicyStore, Use
from .chains import ANYWHERE, Chain, ChainKey, OwnerKey
from .composition import Meet, TooManyRows
from .endpoint_chains import DIRECTIONS, chain_key, host_chain_key, own_places
from .groups import Delta, Groups, IPSetView
from .identity import Commit, Side
from .motion import crosses
from .names import EndpointKey
from .numbers import Names
from .policy_stage import Stage
from .rule_lists import Change
from .stages import SIDES, STAGES, VIEWS, Direction
from .tables import identity_rows


class Store(PolicyStore, Protocol):
    """What is read of `datastore.intent.IntentStore`."""

    @property
    def ip_sets(self) -> Mapping[str, IPSetView]: ...
    @property
    def endpoints(self) -> Mapping[WorkloadEndpointID, WorkloadEndpoint]: ...
    @property
    def host_endpoints(self) -> Mapping[str, HostEndpoint]: ...


class Dirty(Protocol):
    """What is read of `datastore.intent.Dirty`."""

    @property
    def ip_sets(self) -> Mapping[str, Delta]: ...
    @property
    def policies(self) -> AbstractSet[PolicyID]: ...
    @property
    def profiles(self) -> AbstractSet[str]: ...
    @property
    def endpoints(self) -> AbstractSet[WorkloadEndpointID]: ...
    @property
    def host_endpoints(self) -> AbstractSet[str]: ...
    @property
    def config(self) -> bool: ...


class PolicyPart:
    """The policy tables: of workload endpoints in both directions, of host endpoints in every stage."""

    def __init__(self, names: Names) -> None:
        self.sides: dict[str, Side] = {name: Side(name, names) for name in SIDES}
        self.groups = Groups(self.sides)
        self.catalog = Catalog(self.groups)
        self.stages = {spec.name: Stage(spec, names, self.sides, self.catalog) for spec in STAGES}
        self._workload_stages: dict[Direction, Stage] = {direction: self.stages[direction] for direction in DIRECTIONS}
        self._gone_hosts: set[str] = set()

    def update(self, store: Store, dirty: Dirty) -> Iterator[list[Change]]:
        """The transactions that follow one batch of changes, in order. The first is complete before the second is made."""
        remade = self.catalog.users_of_sets(self.groups.update(store.ip_sets, dirty.ip_sets))
        touched, gone = self._bind(store, dirty)
        self._stage(store, dirty, touched, remade)
        if apart := crosses(self.stages.values(), any(touched.values()) or self.catalog.has_staged):
            yield self._follow_phase({name: side.set_out() for name, side in self.sides.items()})
        else:
            yield from self._follow()
        yield from self._edit(touched, gone)
        if apart:
            yield self._arrive()
        yield from self._sweep()
        self.groups.finish()

    def part(self) -> list[Change]:
        """Take the bindings of host endpoints away that are gone, once no interface leads to them any more: before that a
        packet would meet an endpoint without policy, and be denied."""
        changes: list[Change] = []
        for endpoint_id in sorted(self._gone_hosts):
            for stage in self.stages.values():
                stage.unbind(endpoint_id, changes)
        self._gone_hosts.clear()
        return changes

    def closed(self, endpoint_id: EndpointKey, stage: str) -> str | None:
        """Why an endpoint's policy in a stage cannot be translated and so is closed; None where it can."""
        part = self.stages[stage]
        key = part.chain_of(endpoint_id)
        return part.errors.get(key) if key is not None else None

    def rest(self) -> Iterator[list[Change]]:
        """Transactions for a quiet moment: what nothing uses is deleted, identities of equal meaning are merged."""
        changes: list[Change] = []
        for stage in self.stages.values():
            for use in stage.rest(changes):
                if use in self.catalog and not any(other.knows(use) for other in self.stages.values()):
                    self.catalog.drop(use)
        yield changes
        self.catalog.finish()
        self.groups.rest()
        yield from self._follow_rest()
        yield from self._sweep()

    def _bind(
        self, store: Store, dirty: Dirty
    ) -> tuple[dict[str, set[ChainKey]], set[WorkloadEndpointID]]:
        touched: dict[str, set[ChainKey]] = {name: set() for name in self.stages}
        for endpoint_id in dirty.endpoints:
            endpoint = store.endpoints.get(endpoint_id)
            for direction, stage in self._workload_stages.items():
                key = chain_key(endpoint, direction) if endpoint is not None else None
                places = own_places(endpoint, direction) if endpoint is not None else ()
                touched[direction] |= stage.bind(endpoint_id, key, places)
        for host_id in dirty.host_endpoints:
            host = store.host_endpoints.get(host_id)
            (self._gone_hosts.add if host is None else self._gone_hosts.discard)(host_id)
            for name, stage in self.stages.items():
                touched[name] |= stage.bind(host_id, host_chain_key(host, stage.spec) if host else None, ANYWHERE)
        return touched, {endpoint_id for endpoint_id in dirty.endpoints if endpoint_id not in store.endpoints}

    def _stage(self, store: Store, dirty: Dirty, touched: dict[str, set[ChainKey]], remade: set[Use]) -> None:
        owners: set[OwnerKey] = {("policy", policy) for policy in dirty.policies}
        owners |= {("profile", profile) for profile in dirty.profiles}
        asked: set[Use] = {(view, owner) for view in VIEWS for owner in owners}
        uses = {use for use in asked if use in self.catalog and not self.catalog.is_current(use, store)} | remade
        self.catalog.mark_stale(uses)
        due = {use for use in uses if any(stage.in_use(use) for stage in self.stages.values())}
        for name, stage in self.stages.items():
            due |= stage.missing(touched[name])
        for use in due:
            self.catalog.stage(use, store)

    def _follow(self) -> Iterator[list[Change]]:
        """Members and identities move under the chains as they are: phase after phase (`identity.Side.commit`)."""
        changes = self._follow_phase({name: side.move() for name, side in self.sides.items()})
        if any(side.renames for side in self.sides.values()):
            yield changes
            yield self._follow_phase({name: side.rename() for name, side in self.sides.items()})
            changes = []
        changes += self._follow_phase({name: side.retire() for name, side in self.sides.items()})
        yield changes

    def _arrive(self) -> list[Change]:
        """Identities come to mean what chains already take them for: nothing but superfluous rows is left to change."""
        changes = self._follow_phase({name: side.rename() for name, side in self.sides.items()})
        changes += self._follow_phase({name: side.retire() for name, side in self.sides.items()})
        for stage in self.stages.values():
            stage.arrive()
        for side in self.sides.values():
            side.arrived()
        return changes

    def _follow_rest(self) -> Iterator[list[Change]]:
        phases = {name: side.rest() for name, side in self.sides.items()}
        for number in range(3):
            yield self._follow_phase({name: commits[number] for name, commits in phases.items()})

    def _follow_phase(self, commits: Mapping[str, Commit]) -> list[Change]:
        changes: list[Change] = []
        for stage in self.stages.values():
            stage.follow(commits[stage.spec.own], commits[stage.spec.peer], changes)
        keys: dict[int, tuple[int]] = {}
        for name, commit in commits.items():
            changes.extend(identity_rows(name, commit.rows, keys))
        return changes

    def _sweep(self) -> Iterator[list[Change]]:
        changes: list[Change] = []
        for stage in self.stages.values():
            stage.sweep(changes)
        if changes:
            yield changes

    def _edit(
        self, touched: dict[str, set[ChainKey]], gone: set[WorkloadEndpointID]
    ) -> Iterator[list[Change]]:
        adopted = self.catalog.adopt()
        keys = {name: touched[name] | stage.users(adopted) | stage.concerned() for name, stage in self.stages.items()}
        changes: list[Change] = []
        meets = {name: stage.close(keys[name], changes) for name, stage in self.stages.items()}
        if self._crossing(meets):
            for name, stage in self.stages.items():
                stage.step(meets[name], changes)
        if changes:
            yield changes
        changes = []
        for name, stage in self.stages.items():
            stage.edit(keys[name], changes)
            for endpoint_id in gone:
                stage.unbind(endpoint_id, changes)
        yield changes
        self.catalog.finish()

    def _crossing(self, meets: Mapping[str, Mapping[Chain, Meet]]) -> bool:
        """Whether one stage closes something while another opens something: a packet that meets both could slip through
        between the writes."""
        if sum(map(bool, meets.values())) < 2:
            return False
        for name, stage in self.stages.items():
            for chain, meet in meets[name].items():
                try:
                    stage.tables.probe(chain, meet)
                except TooManyRows:
                    return True
        closing = {name for name, edits in meets.items() if any(meet.closes for meet in edits.values())}
        opening = {name for name, edits in meets.items() if any(meet.opens for meet in edits.values())}
        return any(one != other for one in closing for other in opening)
