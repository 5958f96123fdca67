"""States of a chosen size for the policy translator, and what a change costs there."""

import time
from collections.abc import Iterable

from datastore.allocator import Allocator
from datastore.intent import IntentStore
from felix_proto.types import (
    ActivePolicyUpdate,
    ActiveProfileUpdate,
    InSync,
    IPSetType,
    IPSetUpdate,
    Policy,
    PolicyID,
    Profile,
    Rule,
    TierInfo,
    WorkloadEndpoint,
    WorkloadEndpointID,
    WorkloadEndpointUpdate,
)
from translator.policy import PolicyPart


def policy_id(name: str) -> PolicyID:
    return PolicyID("GlobalNetworkPolicy", "", name)


def policy(name: str, inbound: Iterable[Rule] = (), outbound: Iterable[Rule] = (), tier: str = "default") -> ActivePolicyUpdate:
    identifier = policy_id(name)
    return ActivePolicyUpdate(identifier, Policy(identifier, tier=tier, inbound_rules=tuple(inbound), outbound_rules=tuple(outbound)))


def profile(name: str = "open") -> ActiveProfileUpdate:
    allow = (Rule("allow"),)
    return ActiveProfileUpdate(name, Profile(name, allow, allow))


def endpoint(number: int, ingress: Iterable[str] = (), egress: Iterable[str] = (), tier: str = "default") -> WorkloadEndpointUpdate:
    identifier = WorkloadEndpointID("k8s", f"ns/pod-{number}", "eth0")
    tiers = (TierInfo(tier, tuple(map(policy_id, ingress)), tuple(map(policy_id, egress)), "Deny"),)
    nets = (f"10.65.{number >> 8}.{number & 255}/32",)
    return WorkloadEndpointUpdate(
        identifier, WorkloadEndpoint(identifier, "active", f"cali{number}", profile_ids=("open",), ipv4_nets=nets, tiers=tiers)
    )


def addresses(count: int, base: int = 0x0B000000) -> tuple[str, ...]:
    return tuple(f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/32" for n in range(base, base + count))


def net_set(name: str, members: Iterable[str]) -> IPSetUpdate:
    return IPSetUpdate(name, tuple(members), IPSetType.NET)


class State:
    """An intent store in sync and a policy translator that has followed it, with the rows it gave out."""

    def __init__(self, messages: Iterable[object]) -> None:
        self.store = IntentStore()
        self.part = PolicyPart(Allocator(None))
        self.rows: dict[tuple[str, object], object] = {}
        self.change(*messages, InSync())

    def change(self, *messages: object) -> "Cost":
        """Apply messages, translate; what was written and how long the translation took."""
        for message in messages:
            self.store.apply(message)  # type: ignore[arg-type]
        dirty = self.store.take_dirty()
        start = time.perf_counter()
        written = [change for changes in self.part.update(self.store, dirty) for change in changes]
        cost = Cost(written, time.perf_counter() - start)
        self._keep(written)
        return cost

    def rest(self) -> "Cost":
        """A quiet moment."""
        start = time.perf_counter()
        written = [change for changes in self.part.rest() for change in changes]
        cost = Cost(written, time.perf_counter() - start)
        self._keep(written)
        return cost

    def _keep(self, written: Iterable[tuple[str, object, object]]) -> None:
        for table, key, value in written:
            if value is None:
                del self.rows[table, key]
            else:
                self.rows[table, key] = value

    def count(self, table: str) -> int:
        return sum(1 for name, _ in self.rows if name == table)


class Cost:
    """What a change wrote, by table, and the seconds its translation took."""

    def __init__(self, written: list[tuple[str, object, object]], seconds: float) -> None:
        self.written, self.seconds = written, seconds
        self.tables: dict[str, int] = {}
        for table, _, _ in written:
            self.tables[table] = self.tables.get(table, 0) + 1

    def __len__(self) -> int:
        return len(self.written)
