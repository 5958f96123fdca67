"""Who refers to whom in a stream: rules to IP sets, endpoints to policies and profiles."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from felix_proto import types as felix

SET_LISTS = tuple(name for name in felix.Rule._fields if name.endswith(("ip_set_ids", "ip_port_set_ids")))
"""Fields of Rule that hold ids of IP sets."""
TIER_LISTS = ("tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers")


class Ref(NamedTuple):
    """An object of a stream: ``kind`` as messages call it ("IPSet", "Policy", ...), and its id."""

    kind: str
    id: Any

    def __str__(self) -> str:
        """Return kind and id as a person would write them."""
        parts = self.id if isinstance(self.id, tuple) else (self.id,)
        return f"{self.kind} {'/'.join(str(part) for part in parts if part)}"


Owner: TypeAlias = felix.Policy | felix.Profile
Endpoint: TypeAlias = felix.WorkloadEndpoint | felix.HostEndpoint

# Payload -> (kind of object, whether it is there afterwards). What is not here is no object that comes and goes.
_KINDS: dict[type, tuple[str, bool]] = {
    felix.IPSetUpdate: ("IPSet", True),
    felix.IPSetDeltaUpdate: ("IPSet", True),
    felix.IPSetRemove: ("IPSet", False),
    felix.ActivePolicyUpdate: ("Policy", True),
    felix.ActivePolicyRemove: ("Policy", False),
    felix.ActiveProfileUpdate: ("Profile", True),
    felix.ActiveProfileRemove: ("Profile", False),
    felix.WorkloadEndpointUpdate: ("WorkloadEndpoint", True),
    felix.WorkloadEndpointRemove: ("WorkloadEndpoint", False),
    felix.HostEndpointUpdate: ("HostEndpoint", True),
    felix.HostEndpointRemove: ("HostEndpoint", False),
    felix.HostMetadataUpdate: ("HostMetadata", True),
    felix.HostMetadataRemove: ("HostMetadata", False),
    felix.HostMetadataV6Update: ("HostMetadataV6", True),
    felix.HostMetadataV6Remove: ("HostMetadataV6", False),
    felix.HostMetadataV4V6Update: ("HostMetadataV4V6", True),
    felix.HostMetadataV4V6Remove: ("HostMetadataV4V6", False),
    felix.IPAMPoolUpdate: ("IPAMPool", True),
    felix.IPAMPoolRemove: ("IPAMPool", False),
    felix.ServiceAccountUpdate: ("ServiceAccount", True),
    felix.ServiceAccountRemove: ("ServiceAccount", False),
    felix.NamespaceUpdate: ("Namespace", True),
    felix.NamespaceRemove: ("Namespace", False),
    felix.RouteUpdate: ("Route", True),
    felix.RouteRemove: ("Route", False),
    felix.VXLANTunnelEndpointUpdate: ("VXLANTunnelEndpoint", True),
    felix.VXLANTunnelEndpointRemove: ("VXLANTunnelEndpoint", False),
    felix.WireguardEndpointUpdate: ("WireguardEndpoint", True),
    felix.WireguardEndpointRemove: ("WireguardEndpoint", False),
    felix.WireguardEndpointV6Update: ("WireguardEndpointV6", True),
    felix.WireguardEndpointV6Remove: ("WireguardEndpointV6", False),
    felix.ServiceUpdate: ("Service", True),
    felix.ServiceRemove: ("Service", False),
}


def subject(payload: felix.Payload) -> Ref | None:
    """Return the object that a message is about; None for what there is only one of (configuration, InSync, ...)."""
    known = _KINDS.get(type(payload))
    if known is None:
        return None
    if isinstance(payload, felix.ServiceUpdate | felix.ServiceRemove):
        return Ref("Service", felix.ServiceID(payload.namespace, payload.name))
    fields: Any = payload
    return Ref(known[0], fields[0])


def is_remove(payload: felix.Payload) -> bool:
    """Tell whether a message takes its object away."""
    known = _KINDS.get(type(payload))
    return known is not None and not known[1]


def references(payload: felix.Payload) -> Iterator[Ref]:
    """Yield what the object of a message refers to; the same thing more than once if it does so more than once."""
    match payload:
        case felix.ActivePolicyUpdate(policy=owner) | felix.ActiveProfileUpdate(profile=owner):
            yield from (Ref("IPSet", set_id) for set_id in set_ids((*owner.inbound_rules, *owner.outbound_rules)))
        case felix.WorkloadEndpointUpdate() | felix.HostEndpointUpdate():
            yield from (Ref("Profile", profile) for profile in payload.endpoint.profile_ids)
            for tier in tiers(payload.endpoint):
                yield from (Ref("Policy", policy) for policy in (*tier.ingress_policies, *tier.egress_policies))


def set_ids(rules: Iterable[felix.Rule]) -> Iterator[str]:
    """Yield the ids of the IP sets that rules name."""
    for rule in rules:
        for name in SET_LISTS:
            yield from getattr(rule, name)


def tiers(endpoint: Endpoint) -> Iterator[felix.TierInfo]:
    """Yield the tiers of an endpoint, of all its stages."""
    for name in TIER_LISTS:
        yield from getattr(endpoint, name, ())
