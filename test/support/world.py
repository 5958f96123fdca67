"""What a Felix stream says is wanted, gathered the plainest way: the state that the reference evaluator judges by.

It repeats what the intent store does on purpose, so that a mistake there is seen as a difference too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from felix_proto import types as felix


class SetContent(NamedTuple):
    """An IP set: its type (felix.IPSetType) and its members as on the wire."""

    type: int
    members: frozenset[str]


@dataclass
class World:
    """Accumulated state of a stream. ``hosts``: the addresses of each node as on the wire, IPv4 and IPv6."""

    config: dict[str, str] = field(default_factory=dict)
    ip_sets: dict[str, SetContent] = field(default_factory=dict)
    policies: dict[felix.PolicyID, felix.Policy] = field(default_factory=dict)
    profiles: dict[str, felix.Profile] = field(default_factory=dict)
    endpoints: dict[felix.WorkloadEndpointID, felix.WorkloadEndpoint] = field(default_factory=dict)
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    host_endpoints: dict[str, felix.HostEndpoint] = field(default_factory=dict)
    tunnels: dict[str, felix.Encapsulation] = field(default_factory=dict)
    """The last Encapsulation under the key "", if there was one."""

    def apply_all(self, payloads: Iterable[felix.Payload]) -> None:
        """Apply payloads in order."""
        for payload in payloads:
            self.apply(payload)

    def apply(self, payload: felix.Payload) -> None:
        """Apply one payload; kinds that policy does not look at are passed over."""
        match payload:
            case felix.ConfigUpdate():
                self.config = dict(payload.config)
            case felix.IPSetUpdate():
                self.ip_sets[payload.id] = SetContent(payload.type, frozenset(payload.members))
            case felix.IPSetDeltaUpdate():
                old = self.ip_sets[payload.id]
                members = (old.members | set(payload.added_members)) - set(payload.removed_members)
                self.ip_sets[payload.id] = SetContent(old.type, members)
            case felix.IPSetRemove():
                self.ip_sets.pop(payload.id, None)
            case felix.ActivePolicyUpdate():
                self.policies[payload.id] = payload.policy
            case felix.ActivePolicyRemove():
                self.policies.pop(payload.id, None)
            case felix.ActiveProfileUpdate():
                self.profiles[payload.id] = payload.profile
            case felix.ActiveProfileRemove():
                self.profiles.pop(payload.id, None)
            case felix.WorkloadEndpointUpdate():
                self.endpoints[payload.id] = payload.endpoint
            case felix.WorkloadEndpointRemove():
                self.endpoints.pop(payload.id, None)
            case felix.HostEndpointUpdate():
                self.host_endpoints[payload.id] = payload.endpoint
            case felix.HostEndpointRemove():
                self.host_endpoints.pop(payload.id, None)
            case felix.Encapsulation():
                self.tunnels[""] = payload
            case felix.HostMetadataUpdate():
                self.hosts[payload.hostname] = (payload.ipv4_addr, payload.ipv6_addr)
            case felix.HostMetadataRemove():
                self.hosts.pop(payload.hostname, None)

    def node_addresses(self) -> set[str]:
        """Return the addresses of the node itself, named by FelixHostname."""
        return {address.partition("/")[0] for address in self.hosts.get(self.config.get("FelixHostname", ""), ()) if address}
