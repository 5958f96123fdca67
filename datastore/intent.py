"""The intent store: what Felix wants, accumulated from its messages, and what of it has changed.

Applying a message records and marks, nothing more. The semantics are those of contract.md section 2: an update replaces what was
known of its key as a whole, an IPSetDeltaUpdate changes a known set, a repeat that changes nothing marks nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from datastore.dirty import Dirty, Joined, MemberDelta, Objects
from datastore.fib import FibRoute
from datastore.ip_sets import IPSet, IPSets
from datastore.kubernetes import KubernetesStore
from felix_proto import types as felix

__all__ = ["Dirty", "HostMetadata", "IPSet", "IntentError", "IntentStore", "MemberDelta", "WireguardEndpoint"]


class IntentError(ValueError):
    """A message that can't be applied to what is known; the store is as it was. ``kind`` and ``id`` name message and object."""

    def __init__(self, kind: str, id: object, reason: str) -> None:
        super().__init__(f"{kind} {id}: {reason}")
        self.kind = kind
        self.id = id
        self.reason = reason


class HostMetadata(NamedTuple):
    """What is known of a node. Addresses are in CIDR form where Felix sent that, bare otherwise, "" where there is none."""

    hostname: str
    ipv4_addr: str = ""
    ipv6_addr: str = ""
    asnumber: str = ""
    labels: felix.StrMap = ()


class WireguardEndpoint(NamedTuple):
    """WireGuard of a node, both families; "" where there is none."""

    hostname: str
    public_key: str = ""
    interface_ipv4_addr: str = ""
    public_key_v6: str = ""
    interface_ipv6_addr: str = ""


class IntentStore:
    """All that Felix has said, by kind and key.

    The maps are for reading. Routes are keyed by prefix; VTEPs, host metadata and WireGuard by node; of service accounts and
    namespaces the labels are kept. ``config`` holds what was configured, without defaults; ``bgp`` is empty and ``encapsulation``
    all false until sent. ``ignored`` counts, by message kind, what had no effect though it should have had: removes of what is not
    there, members that were in their set already, messages of the kinds in NOT_OURS.
    """

    def __init__(self) -> None:
        self.in_sync = False
        self.config: dict[str, str] = {}
        self.bgp = felix.GlobalBGPConfigUpdate()
        self.encapsulation = felix.Encapsulation()
        self._taken = self._singles()
        self.ip_sets = IPSets()
        self.policies: Objects[felix.PolicyID, felix.Policy] = Objects()
        self.profiles: Objects[str, felix.Profile] = Objects()
        self.endpoints: Objects[felix.WorkloadEndpointID, felix.WorkloadEndpoint] = Objects()
        self.host_endpoints: Objects[str, felix.HostEndpoint] = Objects()
        self.routes: Objects[str, felix.RouteUpdate] = Objects()
        self.vteps: Objects[str, felix.VXLANTunnelEndpointUpdate] = Objects()
        self.host_metadata: Joined[str, HostMetadata] = Joined(_join_host)
        self.pools: Objects[str, felix.IPAMPool] = Objects()
        self.services: Objects[felix.ServiceID, felix.ServiceUpdate] = Objects()
        self.service_accounts: Objects[felix.ServiceAccountID, felix.StrMap] = Objects()
        self.namespaces: Objects[str, felix.StrMap] = Objects()
        self.wireguard: Joined[str, WireguardEndpoint] = Joined(_join_wireguard)
        self.kubernetes = KubernetesStore()
        self.fib: Objects[str, FibRoute] = Objects()
        """Services as Kubernetes has them: no message of Felix speaks of their backends, so whoever feeds the store brings them."""
        self.ignored: Counter[str] = Counter()

    def apply(self, payload: felix.Payload) -> None:
        """Take in the payload of one message. Raises IntentError if it makes no sense here; nothing has changed then."""
        kind = type(payload)
        if (record := _RECORD.get(kind)) is not None:
            record(self, payload)
        elif (remove := _REMOVE.get(kind)) is not None:
            self._count_ignored(payload, not remove(self, payload))
        elif kind in NOT_OURS:
            self._count_ignored(payload, 1)
        else:
            raise TypeError(f"{kind.__name__} is no payload of a Felix message")

    def take_dirty(self) -> Dirty:
        """Return the net changes since the last call (at first: since the store was empty); they are the caller's to keep."""
        config, bgp, encapsulation = (now != then for now, then in zip(self._singles(), self._taken, strict=True))
        self._taken = self._singles()
        return Dirty(
            ip_sets=self.ip_sets.take_dirty(),
            policies=self.policies.take_dirty(),
            profiles=self.profiles.take_dirty(),
            recreated=self.endpoints.recreated(),
            endpoints=self.endpoints.take_dirty(),
            host_endpoints=self.host_endpoints.take_dirty(),
            routes=self.routes.take_dirty(),
            vteps=self.vteps.take_dirty(),
            hosts=self.host_metadata.take_dirty(),
            pools=self.pools.take_dirty(),
            services=self.services.take_dirty(),
            service_accounts=self.service_accounts.take_dirty(),
            namespaces=self.namespaces.take_dirty(),
            wireguard=self.wireguard.take_dirty(),
            kubernetes=self.kubernetes.take_dirty(),
            fib=self.fib.take_dirty(),
            config=config,
            bgp=bgp,
            encapsulation=encapsulation,
        )

    def _singles(self) -> tuple[dict[str, str], felix.GlobalBGPConfigUpdate, felix.Encapsulation]:
        """Return what there is one of. Each is replaced as a whole, never changed in place."""
        return self.config, self.bgp, self.encapsulation

    def _count_ignored(self, payload: felix.Payload, number: int) -> None:
        if number:
            self.ignored[type(payload).__name__] += number

    def _change_ip_set(self, payload: felix.IPSetDeltaUpdate) -> None:
        if payload.id not in self.ip_sets:
            raise IntentError("IPSetDeltaUpdate", payload.id, "no such IP set")
        # In Felix's own order: what is in both lists is out in the end.
        done = self.ip_sets.add_members(payload.id, payload.added_members)
        done += self.ip_sets.remove_members(payload.id, payload.removed_members)
        self._count_ignored(payload, len(payload.added_members) + len(payload.removed_members) - done)

    def _set_in_sync(self, _payload: felix.InSync) -> None:
        self.in_sync = True

    def _set_config(self, payload: felix.ConfigUpdate) -> None:
        # source_to_raw_config only says where the values come from, and message is a remark for Felix's log.
        self.config = dict(payload.config)

    def _set_bgp(self, payload: felix.GlobalBGPConfigUpdate) -> None:
        # There is no remove: an empty one takes the others back, and equals never having had one.
        self.bgp = payload

    def _set_encapsulation(self, payload: felix.Encapsulation) -> None:
        self.encapsulation = payload


def _join_host(hostname: str, parts: Mapping[type, Any]) -> HostMetadata:
    """Join what up to 3.32 comes as three messages: of two spellings of an address the one with the prefix length is taken."""
    both = parts.get(felix.HostMetadataV4V6Update, felix.HostMetadataV4V6Update(hostname))
    v4 = parts.get(felix.HostMetadataUpdate, felix.HostMetadataUpdate(hostname))
    v6 = parts.get(felix.HostMetadataV6Update, felix.HostMetadataV6Update(hostname))
    return HostMetadata(
        hostname,
        both.ipv4_addr or v4.ipv4_addr,
        both.ipv6_addr or v4.ipv6_addr or v6.ipv6_addr,
        both.asnumber or v4.asnumber,
        both.labels or v4.labels,
    )


def _join_wireguard(hostname: str, parts: Mapping[type, Any]) -> WireguardEndpoint:
    v4 = parts.get(felix.WireguardEndpointUpdate, felix.WireguardEndpointUpdate(hostname))
    v6 = parts.get(felix.WireguardEndpointV6Update, felix.WireguardEndpointV6Update(hostname))
    return WireguardEndpoint(hostname, v4.public_key, v4.interface_ipv4_addr, v6.public_key_v6, v6.interface_ipv6_addr)


def _service_id(payload: felix.ServiceUpdate | felix.ServiceRemove) -> felix.ServiceID:
    return felix.ServiceID(payload.namespace, payload.name)


# Every kind of payload is in exactly one of the three tables below.
_RECORD: dict[type, Callable[[IntentStore, Any], None]] = {
    felix.InSync: IntentStore._set_in_sync,
    felix.ConfigUpdate: IntentStore._set_config,
    felix.GlobalBGPConfigUpdate: IntentStore._set_bgp,
    felix.Encapsulation: IntentStore._set_encapsulation,
    felix.IPSetUpdate: lambda store, p: store.ip_sets.replace(p.id, p.type, p.members),
    felix.IPSetDeltaUpdate: IntentStore._change_ip_set,
    felix.ActivePolicyUpdate: lambda store, p: store.policies.put(p.id, p.policy),
    felix.ActiveProfileUpdate: lambda store, p: store.profiles.put(p.id, p.profile),
    felix.WorkloadEndpointUpdate: lambda store, p: store.endpoints.put(p.id, p.endpoint),
    felix.HostEndpointUpdate: lambda store, p: store.host_endpoints.put(p.id, p.endpoint),
    felix.RouteUpdate: lambda store, p: store.routes.put(p.dst, p),
    felix.VXLANTunnelEndpointUpdate: lambda store, p: store.vteps.put(p.node, p),
    felix.HostMetadataUpdate: lambda store, p: store.host_metadata.put_part(p.hostname, p),
    felix.HostMetadataV6Update: lambda store, p: store.host_metadata.put_part(p.hostname, p),
    felix.HostMetadataV4V6Update: lambda store, p: store.host_metadata.put_part(p.hostname, p),
    felix.IPAMPoolUpdate: lambda store, p: store.pools.put(p.id, p.pool),
    felix.ServiceUpdate: lambda store, p: store.services.put(_service_id(p), p),
    felix.ServiceAccountUpdate: lambda store, p: store.service_accounts.put(p.id, p.labels),
    felix.NamespaceUpdate: lambda store, p: store.namespaces.put(p.id, p.labels),
    felix.WireguardEndpointUpdate: lambda store, p: store.wireguard.put_part(p.hostname, p),
    felix.WireguardEndpointV6Update: lambda store, p: store.wireguard.put_part(p.hostname, p),
}
# These tell whether there was something to remove.
_REMOVE: dict[type, Callable[[IntentStore, Any], bool]] = {
    felix.IPSetRemove: lambda store, p: store.ip_sets.remove(p.id),
    felix.ActivePolicyRemove: lambda store, p: store.policies.remove(p.id),
    felix.ActiveProfileRemove: lambda store, p: store.profiles.remove(p.id),
    felix.WorkloadEndpointRemove: lambda store, p: store.endpoints.remove(p.id),
    felix.HostEndpointRemove: lambda store, p: store.host_endpoints.remove(p.id),
    felix.RouteRemove: lambda store, p: store.routes.remove(p.dst),
    felix.VXLANTunnelEndpointRemove: lambda store, p: store.vteps.remove(p.node),
    felix.HostMetadataRemove: lambda store, p: store.host_metadata.remove_part(p.hostname, felix.HostMetadataUpdate),
    felix.HostMetadataV6Remove: lambda store, p: store.host_metadata.remove_part(p.hostname, felix.HostMetadataV6Update),
    felix.HostMetadataV4V6Remove: lambda store, p: store.host_metadata.remove_part(p.hostname, felix.HostMetadataV4V6Update),
    felix.IPAMPoolRemove: lambda store, p: store.pools.remove(p.id),
    felix.ServiceRemove: lambda store, p: store.services.remove(_service_id(p)),
    felix.ServiceAccountRemove: lambda store, p: store.service_accounts.remove(p.id),
    felix.NamespaceRemove: lambda store, p: store.namespaces.remove(p.id),
    felix.WireguardEndpointRemove: lambda store, p: store.wireguard.remove_part(p.hostname, felix.WireguardEndpointUpdate),
    felix.WireguardEndpointV6Remove: lambda store, p: store.wireguard.remove_part(p.hostname, felix.WireguardEndpointV6Update),
}
NOT_OURS: dict[type, str] = {
    felix.Unknown: "the schema says nothing of what it means; the decoder counts it by number",
}
"""Kinds of payload that are not recorded, and why."""
