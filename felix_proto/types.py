"""The values a Felix stream is decoded into: one NamedTuple per message of the wire schema.

All are immutable, hashable and compared by content. Fields have the names of the wire; a field that was not sent has the default
of proto3 ("", 0, False) or, for a message, None. Four things are uniform, whatever the release of Felix:

* repeated fields are tuples in wire order; maps are tuples of (key, value) pairs sorted by key, for a map has no order;
* an id message of one string (ProfileID, HostEndpointID, NamespaceID) is that string;
* an object carries its own id, so that it can be passed around alone;
* enumerations are ints (proto3 enums are open: numbers without a name do occur); the names are below.

Text is parsed no further than the wire does: addresses, CIDRs and IP set members stay strings.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple, TypeAlias

StrMap: TypeAlias = tuple[tuple[str, str], ...]
Icmp: TypeAlias = tuple[int, int | None]
"""ICMP (type, code), code None where the rule names the type alone."""


class IPSetType(IntEnum):
    """IPSetUpdate.IPSetType: what the members of a set are."""

    IP = 0
    IP_AND_PORT = 1
    NET = 2


class IPPoolType(IntEnum):
    """IPPoolType: encapsulation of the pool that a route lies in."""

    NONE = 0
    NO_ENCAP = 1
    VXLAN = 2
    IPIP = 3


class RouteType(IntFlag):
    """RouteType as a bit mask (3.30 and later; the numbers of earlier releases are mapped to it)."""

    CIDR_INFO = 0
    REMOTE_WORKLOAD = 1
    REMOTE_HOST = 2
    LOCAL_WORKLOAD = 4
    LOCAL_HOST = 8
    REMOTE_TUNNEL = 16
    LOCAL_TUNNEL = 32


# --- identifiers -----------------------------------------------------------------------------------------------------------------


class PolicyID(NamedTuple):
    """Key of a policy. Since 3.32: kind, namespace, name. Up to 3.31: tier and a name that holds the rest ("ns/knp.default.x")."""

    kind: str
    namespace: str
    name: str
    tier: str = ""

    @property
    def staged(self) -> bool:
        """Whether the policy is only staged, i.e. sent but not to be enforced."""
        if self.kind:
            return self.kind.startswith("Staged")
        return self.name.rpartition("/")[2].startswith("staged:")


class WorkloadEndpointID(NamedTuple):
    """Key of a workload endpoint; their order decides between two endpoints that claim one address or interface."""

    orchestrator_id: str
    workload_id: str
    endpoint_id: str


class ServiceAccountID(NamedTuple):
    """Key of a Kubernetes service account."""

    namespace: str
    name: str


class ServiceID(NamedTuple):
    """Key of a Kubernetes service."""

    namespace: str
    name: str


# --- policy ----------------------------------------------------------------------------------------------------------------------


class PortRange(NamedTuple):
    """Ports first..last, both included."""

    first: int
    last: int


class ServiceAccountMatch(NamedTuple):
    """Service accounts a rule asks for; already folded into the rule's IP sets by Felix."""

    selector: str = ""
    names: tuple[str, ...] = ()


class PathMatch(NamedTuple):
    """HTTPMatch.PathMatch: the kind of match, "exact" or "prefix" ("" if neither was sent), and the path."""

    match: str = ""
    path: str = ""


class HTTPMatch(NamedTuple):
    """Layer 7 criteria of a rule, which no L3/L4 dataplane looks at."""

    methods: tuple[str, ...] = ()
    paths: tuple[PathMatch, ...] = ()


class Rule(NamedTuple):
    """Rule: what it matches (all criteria must hold, an absent one is no constraint) and its action.

    ``protocol`` is a number, a lower-case name, or None for any; a Protocol message with neither inside is the name "", which
    no protocol has. ``icmp`` and ``not_icmp`` join the wire's icmp_type and icmp_type_code. ``metadata`` holds annotations.
    """

    action: str = ""
    ip_version: int = 0
    protocol: int | str | None = None
    src_net: tuple[str, ...] = ()
    src_ports: tuple[PortRange, ...] = ()
    dst_net: tuple[str, ...] = ()
    dst_ports: tuple[PortRange, ...] = ()
    icmp: Icmp | None = None
    src_ip_set_ids: tuple[str, ...] = ()
    dst_ip_set_ids: tuple[str, ...] = ()
    src_named_port_ip_set_ids: tuple[str, ...] = ()
    dst_named_port_ip_set_ids: tuple[str, ...] = ()
    dst_ip_port_set_ids: tuple[str, ...] = ()
    not_protocol: int | str | None = None
    not_src_net: tuple[str, ...] = ()
    not_src_ports: tuple[PortRange, ...] = ()
    not_dst_net: tuple[str, ...] = ()
    not_dst_ports: tuple[PortRange, ...] = ()
    not_icmp: Icmp | None = None
    not_src_ip_set_ids: tuple[str, ...] = ()
    not_dst_ip_set_ids: tuple[str, ...] = ()
    not_src_named_port_ip_set_ids: tuple[str, ...] = ()
    not_dst_named_port_ip_set_ids: tuple[str, ...] = ()
    original_src_selector: str = ""
    original_dst_selector: str = ""
    original_src_namespace_selector: str = ""
    original_dst_namespace_selector: str = ""
    original_not_src_selector: str = ""
    original_not_dst_selector: str = ""
    src_service_account_match: ServiceAccountMatch | None = None
    dst_service_account_match: ServiceAccountMatch | None = None
    http_match: HTTPMatch | None = None
    metadata: StrMap = ()
    original_dst_service: str = ""
    original_dst_service_namespace: str = ""
    original_src_service: str = ""
    original_src_service_namespace: str = ""
    rule_id: str = ""


class Policy(NamedTuple):
    """Policy. ``tier`` is that of the id up to 3.31, and the field of that name since."""

    id: PolicyID
    namespace: str = ""
    tier: str = ""
    inbound_rules: tuple[Rule, ...] = ()
    outbound_rules: tuple[Rule, ...] = ()
    untracked: bool = False
    pre_dnat: bool = False
    original_selector: str = ""
    perf_hints: tuple[str, ...] = ()


class Profile(NamedTuple):
    """Profile: rules that apply when all tiers passed."""

    name: str
    inbound_rules: tuple[Rule, ...] = ()
    outbound_rules: tuple[Rule, ...] = ()


class TierInfo(NamedTuple):
    """One tier of an endpoint: the policies of each direction in order of evaluation, staged ones included."""

    name: str = ""
    ingress_policies: tuple[PolicyID, ...] = ()
    egress_policies: tuple[PolicyID, ...] = ()
    default_action: str = ""


# --- endpoints -------------------------------------------------------------------------------------------------------------------


class NatInfo(NamedTuple):
    """A floating address and the workload's own."""

    ext_ip: str = ""
    int_ip: str = ""


class QoSControls(NamedTuple):
    """Limits of a workload; rates in bit/s and packet/s, bursts in bits and packets, 0 is unset. Wire names are capitalised."""

    IngressBandwidth: int = 0
    EgressBandwidth: int = 0
    IngressBurst: int = 0
    EgressBurst: int = 0
    IngressPacketRate: int = 0
    EgressPacketRate: int = 0
    IngressMaxConnections: int = 0
    EgressMaxConnections: int = 0
    IngressPeakrate: int = 0
    EgressPeakrate: int = 0
    IngressMinburst: int = 0
    EgressMinburst: int = 0
    IngressPacketBurst: int = 0
    EgressPacketBurst: int = 0


class QoSPolicy(NamedTuple):
    """DSCP to set on traffic that leaves the cluster."""

    destination: str = ""
    dscp: int = 0


class WorkloadBpfSkipRedir(NamedTuple):
    """Hint for Calico's own BPF dataplane. Wire names are capitalised."""

    Egress: bool = False
    Ingress: bool = False


class WorkloadEndpoint(NamedTuple):
    """WorkloadEndpoint: a pod's or virtual machine's interface on this node.

    ``name`` is the interface; ``mac`` is empty on the Kubernetes datastore. ``local_bgp_peer`` is the name of the BGPPeer, None
    where the workload is none. ``type`` (0 regular, 1 virtual machine) was sent by 3.30 only.
    """

    id: WorkloadEndpointID
    state: str = ""
    name: str = ""
    mac: str = ""
    profile_ids: tuple[str, ...] = ()
    ipv4_nets: tuple[str, ...] = ()
    ipv6_nets: tuple[str, ...] = ()
    tiers: tuple[TierInfo, ...] = ()
    ipv4_nat: tuple[NatInfo, ...] = ()
    ipv6_nat: tuple[NatInfo, ...] = ()
    allow_spoofed_source_prefixes: tuple[str, ...] = ()
    annotations: StrMap = ()
    qos_controls: QoSControls | None = None
    local_bgp_peer: str | None = None
    skip_redir: WorkloadBpfSkipRedir | None = None
    qos_policies: tuple[QoSPolicy, ...] = ()
    is_istio_ambient: bool = False
    live_migration_role: int = 0
    live_migration_uid: str = ""
    live_migration_vmi_name: str = ""
    type: int = 0


class HostEndpoint(NamedTuple):
    """HostEndpoint: an interface of the node itself; ``name`` "*" is all of them, "" is whichever has an expected address."""

    id: str
    name: str = ""
    profile_ids: tuple[str, ...] = ()
    tiers: tuple[TierInfo, ...] = ()
    expected_ipv4_addrs: tuple[str, ...] = ()
    expected_ipv6_addrs: tuple[str, ...] = ()
    untracked_tiers: tuple[TierInfo, ...] = ()
    pre_dnat_tiers: tuple[TierInfo, ...] = ()
    forward_tiers: tuple[TierInfo, ...] = ()
    qos_policies: tuple[QoSPolicy, ...] = ()


# --- payloads of the envelope: one per member of ToDataplane.payload -------------------------------------------------------------


class InSync(NamedTuple):
    """All that the datastore held has been sent. (An empty tuple, hence false: test with ``is`` or ``isinstance``.)"""


class IPSetUpdate(NamedTuple):
    """A whole IP set; replaces the members of one already known."""

    id: str
    members: tuple[str, ...] = ()
    type: int = 0


class IPSetDeltaUpdate(NamedTuple):
    """Members to add to and remove from a known IP set."""

    id: str
    added_members: tuple[str, ...] = ()
    removed_members: tuple[str, ...] = ()


class IPSetRemove(NamedTuple):
    """An IP set that nothing refers to any more."""

    id: str


class ActiveProfileUpdate(NamedTuple):
    """A profile, new or changed."""

    id: str
    profile: Profile


class ActiveProfileRemove(NamedTuple):
    """A profile that no local endpoint has any more."""

    id: str


class ActivePolicyUpdate(NamedTuple):
    """A policy, new or changed."""

    id: PolicyID
    policy: Policy


class ActivePolicyRemove(NamedTuple):
    """A policy that no local endpoint has any more."""

    id: PolicyID


class HostEndpointUpdate(NamedTuple):
    """A host endpoint of this node, new or changed."""

    id: str
    endpoint: HostEndpoint


class HostEndpointRemove(NamedTuple):
    """A host endpoint that is gone."""

    id: str


class WorkloadEndpointUpdate(NamedTuple):
    """A workload endpoint of this node, new or changed."""

    id: WorkloadEndpointID
    endpoint: WorkloadEndpoint


class WorkloadEndpointRemove(NamedTuple):
    """A workload endpoint that is gone."""

    id: WorkloadEndpointID


class RawConfig(NamedTuple):
    """Configuration as one source gave it."""

    source: str = ""
    config: StrMap = ()


class ConfigUpdate(NamedTuple):
    """Felix's configuration: what was set, without defaults."""

    config: StrMap = ()
    source_to_raw_config: tuple[tuple[int, RawConfig], ...] = ()
    message: str = ""


class HostMetadataUpdate(NamedTuple):
    """Addresses of a node: bare IPv4 alone up to 3.32; both families in CIDR form, AS number and labels since."""

    hostname: str
    ipv4_addr: str = ""
    ipv6_addr: str = ""
    asnumber: str = ""
    labels: StrMap = ()


class HostMetadataRemove(NamedTuple):
    """A node without IPv4 address, or gone; of the address nothing is promised."""

    hostname: str
    ipv4_addr: str = ""


class HostMetadataV6Update(NamedTuple):
    """IPv6 address of a node (payload 35, up to 3.32)."""

    hostname: str
    ipv6_addr: str = ""


class HostMetadataV6Remove(NamedTuple):
    """A node without IPv6 address, or gone (payload 36, up to 3.32)."""

    hostname: str
    ipv6_addr: str = ""


class HostMetadataV4V6Update(NamedTuple):
    """Both addresses, AS number and labels of a node (payload 37, up to 3.32)."""

    hostname: str
    ipv4_addr: str = ""
    ipv6_addr: str = ""
    asnumber: str = ""
    labels: StrMap = ()


class HostMetadataV4V6Remove(NamedTuple):
    """A node that is gone (payload 38, up to 3.32)."""

    hostname: str
    ipv4_addr: str = ""


class IPAMPool(NamedTuple):
    """An address pool; modes are "", "Always", "CrossSubnet", "Never"."""

    id: str
    cidr: str = ""
    masquerade: bool = False
    ipip_mode: str = ""
    vxlan_mode: str = ""
    allowed_uses: tuple[str, ...] = ()


class IPAMPoolUpdate(NamedTuple):
    """A pool, new or changed; its id is the CIDR with "-" for "/"."""

    id: str
    pool: IPAMPool


class IPAMPoolRemove(NamedTuple):
    """A pool that is gone."""

    id: str


class ServiceAccountUpdate(NamedTuple):
    """A service account, new or changed."""

    id: ServiceAccountID
    labels: StrMap = ()


class ServiceAccountRemove(NamedTuple):
    """A service account that is gone."""

    id: ServiceAccountID


class NamespaceUpdate(NamedTuple):
    """A namespace, new or changed."""

    id: str
    labels: StrMap = ()


class NamespaceRemove(NamedTuple):
    """A namespace that is gone."""

    id: str


class TunnelType(NamedTuple):
    """Which tunnels a tunnel address belongs to."""

    ipip: bool = False
    vxlan: bool = False
    wireguard: bool = False


class RouteUpdate(NamedTuple):
    """What Felix knows of a prefix. ``types`` is a mask of RouteType, in all releases; ``ip_pool_type`` one of IPPoolType."""

    dst: str
    types: int = 0
    ip_pool_type: int = 0
    dst_node_name: str = ""
    dst_node_ip: str = ""
    same_subnet: bool = False
    nat_outgoing: bool = False
    local_workload: bool = False
    tunnel_type: TunnelType | None = None
    borrowed: bool = False


class RouteRemove(NamedTuple):
    """A prefix of which nothing is known any more."""

    dst: str


class VXLANTunnelEndpointUpdate(NamedTuple):
    """The VXLAN tunnel endpoint of a node (this one included)."""

    node: str
    mac: str = ""
    ipv4_addr: str = ""
    parent_device_ip: str = ""
    mac_v6: str = ""
    ipv6_addr: str = ""
    parent_device_ipv6: str = ""


class VXLANTunnelEndpointRemove(NamedTuple):
    """A VXLAN tunnel endpoint that is gone."""

    node: str


class WireguardEndpointUpdate(NamedTuple):
    """WireGuard key and tunnel address of a node, IPv4."""

    hostname: str
    public_key: str = ""
    interface_ipv4_addr: str = ""


class WireguardEndpointRemove(NamedTuple):
    """A node without WireGuard over IPv4."""

    hostname: str


class WireguardEndpointV6Update(NamedTuple):
    """WireGuard key and tunnel address of a node, IPv6."""

    hostname: str
    public_key_v6: str = ""
    interface_ipv6_addr: str = ""


class WireguardEndpointV6Remove(NamedTuple):
    """A node without WireGuard over IPv6."""

    hostname: str


class GlobalBGPConfigUpdate(NamedTuple):
    """Service CIDRs and peering addresses of BGPConfiguration; there is no remove, an empty one stands for none."""

    service_cluster_cidrs: tuple[str, ...] = ()
    service_external_cidrs: tuple[str, ...] = ()
    service_loadbalancer_cidrs: tuple[str, ...] = ()
    local_workload_peering_ip_v4: str = ""
    local_workload_peering_ip_v6: str = ""


class Encapsulation(NamedTuple):
    """Which encapsulations any pool calls for; ``no_encap_enabled`` since 3.34."""

    ipip_enabled: bool = False
    vxlan_enabled: bool = False
    vxlan_enabled_v6: bool = False
    no_encap_enabled: bool = False


class ServicePort(NamedTuple):
    """A port of a service. Wire names are capitalised."""

    Protocol: str = ""
    Port: int = 0
    NodePort: int = 0


class ServiceUpdate(NamedTuple):
    """A Kubernetes service, new or changed; without its endpoints, which Felix does not send."""

    name: str = ""
    namespace: str = ""
    type: str = ""
    cluster_ips: tuple[str, ...] = ()
    loadbalancer_ip: str = ""
    external_ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    loadbalancer_ingress_ips: tuple[str, ...] = ()


class ServiceRemove(NamedTuple):
    """A service that is gone."""

    name: str = ""
    namespace: str = ""


class Unknown(NamedTuple):
    """A payload that the schema does not have: its field number (0 if the envelope was empty) and the bytes of the envelope."""

    number: int
    data: bytes


Payload: TypeAlias = (
    InSync | IPSetUpdate | IPSetDeltaUpdate | IPSetRemove
    | ActiveProfileUpdate | ActiveProfileRemove | ActivePolicyUpdate | ActivePolicyRemove
    | HostEndpointUpdate | HostEndpointRemove | WorkloadEndpointUpdate | WorkloadEndpointRemove
    | ConfigUpdate | HostMetadataUpdate | HostMetadataRemove
    | HostMetadataV6Update | HostMetadataV6Remove | HostMetadataV4V6Update | HostMetadataV4V6Remove
    | IPAMPoolUpdate | IPAMPoolRemove | ServiceAccountUpdate | ServiceAccountRemove | NamespaceUpdate | NamespaceRemove
    | RouteUpdate | RouteRemove | VXLANTunnelEndpointUpdate | VXLANTunnelEndpointRemove
    | WireguardEndpointUpdate | WireguardEndpointRemove | WireguardEndpointV6Update | WireguardEndpointV6Remove
    | GlobalBGPConfigUpdate | Encapsulation | ServiceUpdate | ServiceRemove | Unknown
)  # fmt: skip


class UnknownField(NamedTuple):
    """A field that the schema does not have: the message it was in, its number, wire type and raw value."""

    message: str
    number: int
    wire_type: int
    data: object


class Message(NamedTuple):
    """One decoded frame. ``sequence_number`` is Felix's own count, ``unknown_fields`` what the schema could not name."""

    frame_index: int
    sequence_number: int
    payload: Payload
    unknown_fields: tuple[UnknownField, ...] = ()
