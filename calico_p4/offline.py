"""What a recording holds and what it becomes in the pipeline, without any target: the state behind ``get`` and ``describe``."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from calico_p4.degraded import Degraded, from_translator
from calico_p4.driver import everything
from calico_p4.names import Places
from calico_p4.ports import PortInventory
from datastore.allocator import Allocator
from datastore.intent import IntentError, IntentStore
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from felix_proto.types import Policy, PolicyID, Profile, TierInfo, WorkloadEndpoint, WorkloadEndpointID
from translator import Translator
from translator.names import endpoint_name

Row = tuple[str, Any, Any]
DIRECTIONS = ("ingress", "egress")


class Offline:
    """A recording, read up to some frame."""

    def __init__(self, recording: str, until: int | None = None) -> None:
        """Read it. Raises FrameError, DecodeError or OSError; messages that make no sense are listed in ``degraded``."""
        self.store = IntentStore()
        self._messages: list[Degraded] = []
        decoder = Decoder()
        for frame in read_recording(recording):
            if frame.index == until:
                break
            try:
                self.store.apply(decoder.decode(frame).payload)
            except IntentError as error:
                self._messages.append(Degraded(f"{error.kind} {error.id}", error.reason, "partial"))

    @cached_property
    def translator(self) -> Translator:
        """The translator, after all that was read."""
        return Translator(Allocator())

    @cached_property
    def ports(self) -> PortInventory:
        """The virtual ports that the recording calls for."""
        ports = PortInventory(Allocator())
        ports.refresh(self.store, everything(self.store))
        return ports

    @cached_property
    def rows(self) -> dict[str, dict[Any, Any]]:
        """The desired rows by table, at rest."""
        rows: dict[str, dict[Any, Any]] = {}
        transactions = list(self.translator.translate(self.store, everything(self.store), self.ports))
        for changes in [*transactions, *self.translator.rest()]:
            for table, key, value in changes:
                if value is None:
                    rows.get(table, {}).pop(key, None)
                else:
                    rows.setdefault(table, {})[key] = value
        return rows

    @cached_property
    def places(self) -> Places:
        """Who is where."""
        return Places(self.store, self.ports)

    @cached_property
    def degraded(self) -> list[Degraded]:
        """What would not work as intended."""
        assert self.rows is not None  # translated
        return sorted({*self._messages, *map(from_translator, self.translator.degraded.values())})

    @cached_property
    def owners(self) -> Counter[str]:
        """The number of rows by the object that asks for them."""
        return Counter(self.translator.origin(table, key, value) for table, key, value in self._all_rows())

    def _all_rows(self) -> Iterator[Row]:
        return ((table, key, value) for table, rows in self.rows.items() for key, value in rows.items())

    def entries(self, tables: Sequence[str] = ()) -> Iterator[dict[str, str]]:
        """Yield the rows as text with their owners, sorted; of some tables or of all."""
        chosen = [row for row in self._all_rows() if not tables or row[0] in tables]
        owners = (self.translator.origin(*row) for row in chosen)
        lines = sorted(zip(self.translator.canonical_lines(chosen), owners, strict=True))
        for line, owner in lines:
            table, _, rest = line.partition(" ")
            key, _, action = rest.rpartition(" -> ")
            yield {"table": table, "key": key, "action": action, "owner": owner}

    def endpoints(self) -> Iterator[dict[str, Any]]:
        """Yield the workload endpoints, sorted by id."""
        states = {entry.object: entry for entry in self.degraded}
        for key in sorted(self.store.endpoints):
            yield self._endpoint(key, self.store.endpoints[key], states)

    def _endpoint(self, key: WorkloadEndpointID, endpoint: WorkloadEndpoint, states: dict[str, Degraded]) -> dict[str, Any]:
        namespace, _, name = self.places.name(key).rpartition("/")
        policies = {policy for tier in endpoint.tiers for direction in DIRECTIONS for policy in live(tier, direction)}
        degraded = states.get(endpoint_name(key))
        state = "Realized" if degraded is None else f"Degraded ({degraded.effect})"
        return {
            "namespace": namespace,
            "name": name,
            "interface": endpoint.name,
            "ips": [net.partition("/")[0] for net in (*endpoint.ipv4_nets, *endpoint.ipv6_nets)],
            "tiers": len({tier.name for tier in endpoint.tiers if any(list(live(tier, d)) for d in DIRECTIONS)}),
            "policies": len(policies),
            "rules": sum(self._rules(policy) for policy in policies),
            "entries": self.owners[endpoint_name(key)],
            "state": state if endpoint.state == "active" else f"Closed ({endpoint.state or 'no state'})",
        }

    def _rules(self, key: PolicyID) -> int:
        policy = self.store.policies.get(key)
        return len(policy.inbound_rules) + len(policy.outbound_rules) if policy else 0

    def policies(self) -> Iterator[dict[str, Any]]:
        """Yield policies and profiles, with how many endpoints each governs, sorted."""
        users = Counter(policy for endpoint in self.store.endpoints.values() for policy in _policies_of(endpoint))
        for key in sorted(self.store.policies):
            policy = self.store.policies[key]
            kind = key.kind or "Policy"
            state = "staged" if key.staged else "enforced"
            yield _policy(kind, key.namespace, key.name, policy.tier or key.tier, policy, users[key], state)
        profiles = Counter(name for endpoint in self.store.endpoints.values() for name in endpoint.profile_ids)
        for name in sorted(self.store.profiles):
            yield _policy("Profile", "", name, "", self.store.profiles[name], profiles[name], "enforced")

    def ip_sets(self) -> Iterator[dict[str, Any]]:
        """Yield the IP sets, sorted by id."""
        kinds = {0: "IP", 1: "IP_AND_PORT", 2: "NET"}
        users = Counter(name for owner in self._rule_owners() for name in owner)
        for key in sorted(self.store.ip_sets):
            ip_set = self.store.ip_sets[key]
            members = sorted(ip_set.members)
            kind = kinds.get(ip_set.type, str(ip_set.type))
            yield {"id": key, "type": kind, "members": len(members), "policies": users[key], "content": members}

    def _rule_owners(self) -> Iterator[set[str]]:
        owners: list[Policy | Profile] = [*self.store.policies.values(), *self.store.profiles.values()]
        for owner in owners:
            yield {name for rule in (*owner.inbound_rules, *owner.outbound_rules) for name in set_names(rule)}

    def tables(self) -> Iterator[dict[str, Any]]:
        """Yield the pipeline's tables with their use."""
        from k8s_p4.rows import TABLES

        for name, table in sorted(TABLES.items()):
            yield {"name": name, "entries": len(self.rows.get(name, ())), "size": table.size, "owner": table.owner}


def set_names(rule: Any) -> Iterator[str]:
    """Yield the ids of every IP set that a rule names."""
    fields = (field for field in rule._fields if field.endswith(("ip_set_ids", "port_set_ids")))
    return (name for field in fields for name in getattr(rule, field))


def live(tier: TierInfo, direction: str) -> Iterator[PolicyID]:
    """Yield the enforced policies of a tier in one direction, in order."""
    policies = tier.ingress_policies if direction == "ingress" else tier.egress_policies
    return (policy for policy in policies if not policy.staged)


def _policies_of(endpoint: WorkloadEndpoint) -> set[PolicyID]:
    return {policy for tier in endpoint.tiers for policy in (*tier.ingress_policies, *tier.egress_policies)}


def _policy(kind: str, namespace: str, name: str, tier: str, source: Policy | Profile, endpoints: int, state: str) -> dict[str, Any]:
    return {
        "kind": kind, "namespace": namespace, "name": name, "tier": tier, "inbound": len(source.inbound_rules),
        "outbound": len(source.outbound_rules), "endpoints": endpoints, "state": state,
    }  # fmt: skip
