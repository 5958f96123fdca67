"""Rows as typed, frozen values: a class for each table, with both directions, and one for each action.

Generated from the P4Info by `python -m k8s_p4.compile`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8s_p4.typed import ActionValue, Prefix, TableRow, Ternary


@dataclass(frozen=True, slots=True)
class Workload(ActionValue):
    """Action `workload(endpoint/32, flags/8, host_endpoint/32, incarnation/32)`."""

    NAME: ClassVar[str] = "workload"
    endpoint: int
    flags: int
    host_endpoint: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class WorkloadClosed(ActionValue):
    """Action `workload_closed(endpoint/32, reason/8)`."""

    NAME: ClassVar[str] = "workload_closed"
    endpoint: int
    reason: int


@dataclass(frozen=True, slots=True)
class Host(ActionValue):
    """Action `host()`."""

    NAME: ClassVar[str] = "host"


@dataclass(frozen=True, slots=True)
class Uplink(ActionValue):
    """Action `uplink(host_endpoint/32)`."""

    NAME: ClassVar[str] = "uplink"
    host_endpoint: int


@dataclass(frozen=True, slots=True)
class TunnelDevice(ActionValue):
    """Action `tunnel_device(host_endpoint/32)`."""

    NAME: ClassVar[str] = "tunnel_device"
    host_endpoint: int


@dataclass(frozen=True, slots=True)
class ArpReply(ActionValue):
    """Action `arp_reply(mac/48)`."""

    NAME: ClassVar[str] = "arp_reply"
    mac: int


@dataclass(frozen=True, slots=True)
class NdReply(ActionValue):
    """Action `nd_reply(mac/48)`."""

    NAME: ClassVar[str] = "nd_reply"
    mac: int


@dataclass(frozen=True, slots=True)
class SendBack(ActionValue):
    """Action `send_back(port/32)`."""

    NAME: ClassVar[str] = "send_back"
    port: int


@dataclass(frozen=True, slots=True)
class SourceOk(ActionValue):
    """Action `source_ok()`."""

    NAME: ClassVar[str] = "source_ok"


@dataclass(frozen=True, slots=True)
class ToWorkload(ActionValue):
    """Action `to_workload(endpoint/32, next_hop/32, incarnation/32)`."""

    NAME: ClassVar[str] = "to_workload"
    endpoint: int
    next_hop: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class ToWorkloadClosed(ActionValue):
    """Action `to_workload_closed(endpoint/32, reason/8, incarnation/32)`."""

    NAME: ClassVar[str] = "to_workload_closed"
    endpoint: int
    reason: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class ToHost(ActionValue):
    """Action `to_host(next_hop/32, from_workload/8)`."""

    NAME: ClassVar[str] = "to_host"
    next_hop: int
    from_workload: int


@dataclass(frozen=True, slots=True)
class ToUplink(ActionValue):
    """Action `to_uplink(next_hop/32)`."""

    NAME: ClassVar[str] = "to_uplink"
    next_hop: int


@dataclass(frozen=True, slots=True)
class ToTunnel(ActionValue):
    """Action `to_tunnel(tunnel/32)`."""

    NAME: ClassVar[str] = "to_tunnel"
    tunnel: int


@dataclass(frozen=True, slots=True)
class Blackhole(ActionValue):
    """Action `blackhole()`."""

    NAME: ClassVar[str] = "blackhole"


@dataclass(frozen=True, slots=True)
class VxlanV4(ActionValue):
    """Action `vxlan_v4(next_hop/32, host_endpoint/32, src/32, dst/32, sum/16, vni/32, src_mac/48, dst_mac/48)`."""

    NAME: ClassVar[str] = "vxlan_v4"
    next_hop: int
    host_endpoint: int
    src: int
    dst: int
    sum: int
    vni: int
    src_mac: int
    dst_mac: int


@dataclass(frozen=True, slots=True)
class VxlanV6(ActionValue):
    """Action `vxlan_v6(next_hop/32, host_endpoint/32, src/128, dst/128, sum/16, vni/32, src_mac/48, dst_mac/48)`."""

    NAME: ClassVar[str] = "vxlan_v6"
    next_hop: int
    host_endpoint: int
    src: int
    dst: int
    sum: int
    vni: int
    src_mac: int
    dst_mac: int


@dataclass(frozen=True, slots=True)
class Ipip(ActionValue):
    """Action `ipip(next_hop/32, host_endpoint/32, src/32, dst/32, sum/16)`."""

    NAME: ClassVar[str] = "ipip"
    next_hop: int
    host_endpoint: int
    src: int
    dst: int
    sum: int


@dataclass(frozen=True, slots=True)
class Send(ActionValue):
    """Action `send(port/32, src_mac/48, dst_mac/48, host_endpoint/32)`."""

    NAME: ClassVar[str] = "send"
    port: int
    src_mac: int
    dst_mac: int
    host_endpoint: int


@dataclass(frozen=True, slots=True)
class Terminate(ActionValue):
    """Action `terminate(port/32, vni/32)`."""

    NAME: ClassVar[str] = "terminate"
    port: int
    vni: int


@dataclass(frozen=True, slots=True)
class FromPeer(ActionValue):
    """Action `from_peer(node/32)`."""

    NAME: ClassVar[str] = "from_peer"
    node: int


@dataclass(frozen=True, slots=True)
class Behind(ActionValue):
    """Action `behind(node/32)`."""

    NAME: ClassVar[str] = "behind"
    node: int


@dataclass(frozen=True, slots=True)
class Loops(ActionValue):
    """Action `loops()`."""

    NAME: ClassVar[str] = "loops"


@dataclass(frozen=True, slots=True)
class Mark(ActionValue):
    """Action `mark(dscp/8)`."""

    NAME: ClassVar[str] = "mark"
    dscp: int


@dataclass(frozen=True, slots=True)
class InCluster(ActionValue):
    """Action `in_cluster()`."""

    NAME: ClassVar[str] = "in_cluster"


@dataclass(frozen=True, slots=True)
class SetIdentity(ActionValue):
    """Action `set_identity(identity/32)`."""

    NAME: ClassVar[str] = "set_identity"
    identity: int


@dataclass(frozen=True, slots=True)
class Failsafe(ActionValue):
    """Action `failsafe(slot/32)`."""

    NAME: ClassVar[str] = "failsafe"
    slot: int


@dataclass(frozen=True, slots=True)
class Tunnelled(ActionValue):
    """Action `tunnelled(slot/32)`."""

    NAME: ClassVar[str] = "tunnelled"
    slot: int


@dataclass(frozen=True, slots=True)
class Bind(ActionValue):
    """Action `bind(chain/32, variant/32, list/32)`."""

    NAME: ClassVar[str] = "bind"
    chain: int
    variant: int
    list: int


@dataclass(frozen=True, slots=True)
class BindHost(ActionValue):
    """Action `bind_host(chain/32, variant/32, list/32)`."""

    NAME: ClassVar[str] = "bind_host"
    chain: int
    variant: int
    list: int


@dataclass(frozen=True, slots=True)
class SetVariant(ActionValue):
    """Action `set_variant(variant/32, list/32)`."""

    NAME: ClassVar[str] = "set_variant"
    variant: int
    list: int


@dataclass(frozen=True, slots=True)
class SetList(ActionValue):
    """Action `set_list(list/32)`."""

    NAME: ClassVar[str] = "set_list"
    list: int


@dataclass(frozen=True, slots=True)
class Allow(ActionValue):
    """Action `allow(slot/32)`."""

    NAME: ClassVar[str] = "allow"
    slot: int


@dataclass(frozen=True, slots=True)
class Deny(ActionValue):
    """Action `deny(slot/32)`."""

    NAME: ClassVar[str] = "deny"
    slot: int


@dataclass(frozen=True, slots=True)
class PassOn(ActionValue):
    """Action `pass_on(slot/32)`."""

    NAME: ClassVar[str] = "pass_on"
    slot: int


@dataclass(frozen=True, slots=True)
class PolicyIs(ActionValue):
    """Action `policy_is(epoch/32)`."""

    NAME: ClassVar[str] = "policy_is"
    epoch: int


@dataclass(frozen=True, slots=True)
class ToInternalV4(ActionValue):
    """Action `to_internal_v4(address/32, source/32)`."""

    NAME: ClassVar[str] = "to_internal_v4"
    address: int
    source: int


@dataclass(frozen=True, slots=True)
class ToService(ActionValue):
    """Action `to_service(inside/32, inside_mask/16, outside/32, outside_mask/16, flags/16)`."""

    NAME: ClassVar[str] = "to_service"
    inside: int
    inside_mask: int
    outside: int
    outside_mask: int
    flags: int


@dataclass(frozen=True, slots=True)
class SourceInRange(ActionValue):
    """Action `source_in_range()`."""

    NAME: ClassVar[str] = "source_in_range"


@dataclass(frozen=True, slots=True)
class ToBackendsV4(ActionValue):
    """Action `to_backends_v4(address_0/32, port_0/16, address_1/32, port_1/16, address_2/32, port_2/16, address_3/32, port_3/16)`."""

    NAME: ClassVar[str] = "to_backends_v4"
    address_0: int
    port_0: int
    address_1: int
    port_1: int
    address_2: int
    port_2: int
    address_3: int
    port_3: int


@dataclass(frozen=True, slots=True)
class StillThere(ActionValue):
    """Action `still_there()`."""

    NAME: ClassVar[str] = "still_there"


@dataclass(frozen=True, slots=True)
class ToInternalV6(ActionValue):
    """Action `to_internal_v6(address/128, high/64, low/64, source/128, source_high/64, source_low/64)`."""

    NAME: ClassVar[str] = "to_internal_v6"
    address: int
    high: int
    low: int
    source: int
    source_high: int
    source_low: int


@dataclass(frozen=True, slots=True)
class ToBackendsV6(ActionValue):
    """Action `to_backends_v6(address_0/128, high_0/64, low_0/64, port_0/16, address_1/128, high_1/64, low_1/64, port_1/16, address_2/128, high_2/64, low_2/64, port_2/16, address_3/128, high_3/64, low_3/64, port_3/16)`."""

    NAME: ClassVar[str] = "to_backends_v6"
    address_0: int
    high_0: int
    low_0: int
    port_0: int
    address_1: int
    high_1: int
    low_1: int
    port_1: int
    address_2: int
    high_2: int
    low_2: int
    port_2: int
    address_3: int
    high_3: int
    low_3: int
    port_3: int


@dataclass(frozen=True, slots=True)
class AtMost(ActionValue):
    """Action `at_most(slots/32, mask/32)`."""

    NAME: ClassVar[str] = "at_most"
    slots: int
    mask: int


@dataclass(frozen=True, slots=True)
class Pool(ActionValue):
    """Action `pool(flags/8)`."""

    NAME: ClassVar[str] = "pool"
    flags: int


@dataclass(frozen=True, slots=True)
class MasqueradeAsV4(ActionValue):
    """Action `masquerade_as_v4(address/32, first_port/16, mask/16)`."""

    NAME: ClassVar[str] = "masquerade_as_v4"
    address: int
    first_port: int
    mask: int


@dataclass(frozen=True, slots=True)
class MasqueradeAsV6(ActionValue):
    """Action `masquerade_as_v6(address/128, high/64, low/64, first_port/16, mask/16)`."""

    NAME: ClassVar[str] = "masquerade_as_v6"
    address: int
    high: int
    low: int
    first_port: int
    mask: int


@dataclass(frozen=True, slots=True)
class PortUnreachable(ActionValue):
    """Action `port_unreachable()`."""

    NAME: ClassVar[str] = "port_unreachable"


@dataclass(frozen=True, slots=True)
class TcpReset(ActionValue):
    """Action `tcp_reset()`."""

    NAME: ClassVar[str] = "tcp_reset"


@dataclass(frozen=True, slots=True)
class Port(TableRow):
    """Row of `port`: ingress_port/32 exact."""

    TABLE: ClassVar[str] = "port"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Workload, WorkloadClosed, Host, Uplink, TunnelDevice)
    ingress_port: int
    action: Workload | WorkloadClosed | Host | Uplink | TunnelDevice


@dataclass(frozen=True, slots=True)
class ArpAnswer(TableRow):
    """Row of `arp_answer`: target/32 exact."""

    TABLE: ClassVar[str] = "arp_answer"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ArpReply,)
    target: int
    action: ArpReply


@dataclass(frozen=True, slots=True)
class NdAnswer(TableRow):
    """Row of `nd_answer`: target/128 exact."""

    TABLE: ClassVar[str] = "nd_answer"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (NdReply,)
    target: int
    action: NdReply


@dataclass(frozen=True, slots=True)
class AnswerPort(TableRow):
    """Row of `answer_port`: ingress_port/32 exact."""

    TABLE: ClassVar[str] = "answer_port"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SendBack,)
    ingress_port: int
    action: SendBack


@dataclass(frozen=True, slots=True)
class SourceHostV4(TableRow):
    """Row of `source_host_v4`: endpoint/32 exact, address/32 exact."""

    TABLE: ClassVar[str] = "source_host_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceOk,)
    endpoint: int
    address: int
    action: SourceOk


@dataclass(frozen=True, slots=True)
class SourceNetV4(TableRow):
    """Row of `source_net_v4`: endpoint/32 exact, prefix/32 lpm."""

    TABLE: ClassVar[str] = "source_net_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceOk,)
    endpoint: int
    prefix: Prefix
    action: SourceOk


@dataclass(frozen=True, slots=True)
class SourceHostV6(TableRow):
    """Row of `source_host_v6`: endpoint/32 exact, address/128 exact."""

    TABLE: ClassVar[str] = "source_host_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceOk,)
    endpoint: int
    address: int
    action: SourceOk


@dataclass(frozen=True, slots=True)
class SourceNetV6(TableRow):
    """Row of `source_net_v6`: endpoint/32 exact, prefix/128 lpm."""

    TABLE: ClassVar[str] = "source_net_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceOk,)
    endpoint: int
    prefix: Prefix
    action: SourceOk


@dataclass(frozen=True, slots=True)
class LocalV4(TableRow):
    """Row of `local_v4`: address/32 exact."""

    TABLE: ClassVar[str] = "local_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToWorkload, ToWorkloadClosed, ToHost)
    address: int
    action: ToWorkload | ToWorkloadClosed | ToHost


@dataclass(frozen=True, slots=True)
class LocalV6(TableRow):
    """Row of `local_v6`: address/128 exact."""

    TABLE: ClassVar[str] = "local_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToWorkload, ToWorkloadClosed, ToHost)
    address: int
    action: ToWorkload | ToWorkloadClosed | ToHost


@dataclass(frozen=True, slots=True)
class RouteV4(TableRow):
    """Row of `route_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "route_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToUplink, ToTunnel, Blackhole)
    prefix: Prefix
    action: ToUplink | ToTunnel | Blackhole


@dataclass(frozen=True, slots=True)
class RouteV6(TableRow):
    """Row of `route_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "route_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToUplink, ToTunnel, Blackhole)
    prefix: Prefix
    action: ToUplink | ToTunnel | Blackhole


@dataclass(frozen=True, slots=True)
class Tunnel(TableRow):
    """Row of `tunnel`: tunnel/32 exact."""

    TABLE: ClassVar[str] = "tunnel"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (VxlanV4, VxlanV6, Ipip)
    tunnel: int
    action: VxlanV4 | VxlanV6 | Ipip


@dataclass(frozen=True, slots=True)
class NextHop(TableRow):
    """Row of `next_hop`: next_hop/32 exact."""

    TABLE: ClassVar[str] = "next_hop"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Send,)
    next_hop: int
    action: Send


@dataclass(frozen=True, slots=True)
class TunnelLocalV4(TableRow):
    """Row of `tunnel_local_v4`: kind/8 exact, address/32 exact."""

    TABLE: ClassVar[str] = "tunnel_local_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Terminate,)
    kind: int
    address: int
    action: Terminate


@dataclass(frozen=True, slots=True)
class TunnelLocalV6(TableRow):
    """Row of `tunnel_local_v6`: kind/8 exact, address/128 exact."""

    TABLE: ClassVar[str] = "tunnel_local_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Terminate,)
    kind: int
    address: int
    action: Terminate


@dataclass(frozen=True, slots=True)
class TunnelPeerV4(TableRow):
    """Row of `tunnel_peer_v4`: kind/8 exact, address/32 exact."""

    TABLE: ClassVar[str] = "tunnel_peer_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (FromPeer,)
    kind: int
    address: int
    action: FromPeer


@dataclass(frozen=True, slots=True)
class TunnelPeerV6(TableRow):
    """Row of `tunnel_peer_v6`: kind/8 exact, address/128 exact."""

    TABLE: ClassVar[str] = "tunnel_peer_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (FromPeer,)
    kind: int
    address: int
    action: FromPeer


@dataclass(frozen=True, slots=True)
class TunnelSourceV4(TableRow):
    """Row of `tunnel_source_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "tunnel_source_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Behind,)
    prefix: Prefix
    action: Behind


@dataclass(frozen=True, slots=True)
class TunnelSourceV6(TableRow):
    """Row of `tunnel_source_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "tunnel_source_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Behind,)
    prefix: Prefix
    action: Behind


@dataclass(frozen=True, slots=True)
class ServiceLoopV4(TableRow):
    """Row of `service_loop_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "service_loop_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Loops,)
    prefix: Prefix
    action: Loops


@dataclass(frozen=True, slots=True)
class ServiceLoopV6(TableRow):
    """Row of `service_loop_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "service_loop_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Loops,)
    prefix: Prefix
    action: Loops


@dataclass(frozen=True, slots=True)
class Dscp(TableRow):
    """Row of `dscp`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "dscp"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Mark,)
    endpoint: int
    action: Mark


@dataclass(frozen=True, slots=True)
class ClusterV4(TableRow):
    """Row of `cluster_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "cluster_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (InCluster,)
    prefix: Prefix
    action: InCluster


@dataclass(frozen=True, slots=True)
class ClusterV6(TableRow):
    """Row of `cluster_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "cluster_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (InCluster,)
    prefix: Prefix
    action: InCluster


@dataclass(frozen=True, slots=True)
class SrcIdentityHostV4(TableRow):
    """Row of `src_identity_host_v4`: address/32 exact."""

    TABLE: ClassVar[str] = "src_identity_host_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class SrcIdentityNetV4(TableRow):
    """Row of `src_identity_net_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "src_identity_net_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class SrcIdentityHostV6(TableRow):
    """Row of `src_identity_host_v6`: address/128 exact."""

    TABLE: ClassVar[str] = "src_identity_host_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class SrcIdentityNetV6(TableRow):
    """Row of `src_identity_net_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "src_identity_net_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class DstIdentityHostV4(TableRow):
    """Row of `dst_identity_host_v4`: address/32 exact."""

    TABLE: ClassVar[str] = "dst_identity_host_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class DstIdentityNetV4(TableRow):
    """Row of `dst_identity_net_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "dst_identity_net_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class DstIdentityHostV6(TableRow):
    """Row of `dst_identity_host_v6`: address/128 exact."""

    TABLE: ClassVar[str] = "dst_identity_host_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class DstIdentityNetV6(TableRow):
    """Row of `dst_identity_net_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "dst_identity_net_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class PreDstIdentityHostV4(TableRow):
    """Row of `pre_dst_identity_host_v4`: address/32 exact."""

    TABLE: ClassVar[str] = "pre_dst_identity_host_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class PreDstIdentityNetV4(TableRow):
    """Row of `pre_dst_identity_net_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "pre_dst_identity_net_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class PreDstIdentityHostV6(TableRow):
    """Row of `pre_dst_identity_host_v6`: address/128 exact."""

    TABLE: ClassVar[str] = "pre_dst_identity_host_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    address: int
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class PreDstIdentityNetV6(TableRow):
    """Row of `pre_dst_identity_net_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "pre_dst_identity_net_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetIdentity,)
    prefix: Prefix
    action: SetIdentity


@dataclass(frozen=True, slots=True)
class HostRuleV4(TableRow):
    """Row of `host_rule_v4`: kind/8 exact, protocol/8 exact, port/16 exact, prefix/32 lpm."""

    TABLE: ClassVar[str] = "host_rule_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Failsafe, Tunnelled)
    kind: int
    protocol: int
    port: int
    prefix: Prefix
    action: Failsafe | Tunnelled


@dataclass(frozen=True, slots=True)
class HostRuleV6(TableRow):
    """Row of `host_rule_v6`: kind/8 exact, protocol/8 exact, port/16 exact, prefix/128 lpm."""

    TABLE: ClassVar[str] = "host_rule_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Failsafe, Tunnelled)
    kind: int
    protocol: int
    port: int
    prefix: Prefix
    action: Failsafe | Tunnelled


@dataclass(frozen=True, slots=True)
class UntrackedIngressBinding(TableRow):
    """Row of `untracked_ingress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "untracked_ingress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class UntrackedIngressSelfClass(TableRow):
    """Row of `untracked_ingress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "untracked_ingress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class UntrackedIngressPeerClass(TableRow):
    """Row of `untracked_ingress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "untracked_ingress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class UntrackedIngressRules(TableRow):
    """Row of `untracked_ingress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "untracked_ingress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class UntrackedEgressBinding(TableRow):
    """Row of `untracked_egress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "untracked_egress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class UntrackedEgressSelfClass(TableRow):
    """Row of `untracked_egress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "untracked_egress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class UntrackedEgressPeerClass(TableRow):
    """Row of `untracked_egress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "untracked_egress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class UntrackedEgressRules(TableRow):
    """Row of `untracked_egress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "untracked_egress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class PreDnatBinding(TableRow):
    """Row of `pre_dnat.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "pre_dnat.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class PreDnatSelfClass(TableRow):
    """Row of `pre_dnat.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "pre_dnat.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class PreDnatPeerClass(TableRow):
    """Row of `pre_dnat.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "pre_dnat.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class PreDnatRules(TableRow):
    """Row of `pre_dnat.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "pre_dnat.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class ForwardIngressBinding(TableRow):
    """Row of `forward_ingress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "forward_ingress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class ForwardIngressSelfClass(TableRow):
    """Row of `forward_ingress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "forward_ingress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class ForwardIngressPeerClass(TableRow):
    """Row of `forward_ingress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "forward_ingress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class ForwardIngressRules(TableRow):
    """Row of `forward_ingress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "forward_ingress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class EgressBinding(TableRow):
    """Row of `egress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "egress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class EgressSelfClass(TableRow):
    """Row of `egress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "egress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class EgressPeerClass(TableRow):
    """Row of `egress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "egress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class EgressRules(TableRow):
    """Row of `egress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "egress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class IngressBinding(TableRow):
    """Row of `ingress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "ingress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class IngressSelfClass(TableRow):
    """Row of `ingress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "ingress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class IngressPeerClass(TableRow):
    """Row of `ingress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "ingress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class IngressRules(TableRow):
    """Row of `ingress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "ingress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class ForwardEgressBinding(TableRow):
    """Row of `forward_egress.binding`: endpoint/32 exact."""

    TABLE: ClassVar[str] = "forward_egress.binding"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Bind, BindHost)
    endpoint: int
    action: Bind | BindHost


@dataclass(frozen=True, slots=True)
class ForwardEgressSelfClass(TableRow):
    """Row of `forward_egress.self_class`: chain/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "forward_egress.self_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetVariant,)
    chain: int
    identity: int
    action: SetVariant


@dataclass(frozen=True, slots=True)
class ForwardEgressPeerClass(TableRow):
    """Row of `forward_egress.peer_class`: variant/32 exact, identity/32 exact."""

    TABLE: ClassVar[str] = "forward_egress.peer_class"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SetList,)
    variant: int
    identity: int
    action: SetList


@dataclass(frozen=True, slots=True)
class ForwardEgressRules(TableRow):
    """Row of `forward_egress.rules`: list/32 ternary, ip_version/8 ternary, protocol/8 ternary, l4_kind/8 ternary, src_port/16 ternary, dst_port/16 ternary, icmp_type/8 ternary, icmp_code/8 ternary."""

    TABLE: ClassVar[str] = "forward_egress.rules"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Allow, Deny, PassOn)
    list: Ternary
    ip_version: Ternary
    protocol: Ternary
    l4_kind: Ternary
    src_port: Ternary
    dst_port: Ternary
    icmp_type: Ternary
    icmp_code: Ternary
    priority: int
    action: Allow | Deny | PassOn


@dataclass(frozen=True, slots=True)
class Epoch(TableRow):
    """Row of `epoch`: ip_version/8 exact."""

    TABLE: ClassVar[str] = "epoch"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (PolicyIs,)
    ip_version: int
    action: PolicyIs


@dataclass(frozen=True, slots=True)
class FloatingV4(TableRow):
    """Row of `floating_v4`: address/32 exact."""

    TABLE: ClassVar[str] = "floating_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToInternalV4,)
    address: int
    action: ToInternalV4


@dataclass(frozen=True, slots=True)
class ServiceV4(TableRow):
    """Row of `service_v4`: address/32 exact, protocol/8 exact, port/16 exact."""

    TABLE: ClassVar[str] = "service_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToService,)
    address: int
    protocol: int
    port: int
    action: ToService


@dataclass(frozen=True, slots=True)
class ServiceSourceV4(TableRow):
    """Row of `service_source_v4`: group/32 exact, prefix/32 lpm."""

    TABLE: ClassVar[str] = "service_source_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceInRange,)
    group: int
    prefix: Prefix
    action: SourceInRange


@dataclass(frozen=True, slots=True)
class BackendV4(TableRow):
    """Row of `backend_v4`: group/32 exact, row/16 exact."""

    TABLE: ClassVar[str] = "backend_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToBackendsV4,)
    group: int
    row: int
    action: ToBackendsV4


@dataclass(frozen=True, slots=True)
class AffinityBackendV4(TableRow):
    """Row of `affinity_backend_v4`: group/32 exact, address/32 exact, port/16 exact."""

    TABLE: ClassVar[str] = "affinity_backend_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (StillThere,)
    group: int
    address: int
    port: int
    action: StillThere


@dataclass(frozen=True, slots=True)
class FloatingV6(TableRow):
    """Row of `floating_v6`: address/128 exact."""

    TABLE: ClassVar[str] = "floating_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToInternalV6,)
    address: int
    action: ToInternalV6


@dataclass(frozen=True, slots=True)
class ServiceV6(TableRow):
    """Row of `service_v6`: address/128 exact, protocol/8 exact, port/16 exact."""

    TABLE: ClassVar[str] = "service_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToService,)
    address: int
    protocol: int
    port: int
    action: ToService


@dataclass(frozen=True, slots=True)
class ServiceSourceV6(TableRow):
    """Row of `service_source_v6`: group/32 exact, prefix/128 lpm."""

    TABLE: ClassVar[str] = "service_source_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (SourceInRange,)
    group: int
    prefix: Prefix
    action: SourceInRange


@dataclass(frozen=True, slots=True)
class BackendV6(TableRow):
    """Row of `backend_v6`: group/32 exact, row/16 exact."""

    TABLE: ClassVar[str] = "backend_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (ToBackendsV6,)
    group: int
    row: int
    action: ToBackendsV6


@dataclass(frozen=True, slots=True)
class AffinityBackendV6(TableRow):
    """Row of `affinity_backend_v6`: group/32 exact, address/128 exact, port/16 exact."""

    TABLE: ClassVar[str] = "affinity_backend_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (StillThere,)
    group: int
    address: int
    port: int
    action: StillThere


@dataclass(frozen=True, slots=True)
class ConnectionLimit(TableRow):
    """Row of `connection_limit`: owner/32 exact."""

    TABLE: ClassVar[str] = "connection_limit"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (AtMost,)
    owner: int
    action: AtMost


@dataclass(frozen=True, slots=True)
class MasqueradeV4(TableRow):
    """Row of `masquerade_v4`: prefix/32 lpm."""

    TABLE: ClassVar[str] = "masquerade_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Pool,)
    prefix: Prefix
    action: Pool


@dataclass(frozen=True, slots=True)
class MasqueradeV6(TableRow):
    """Row of `masquerade_v6`: prefix/128 lpm."""

    TABLE: ClassVar[str] = "masquerade_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (Pool,)
    prefix: Prefix
    action: Pool


@dataclass(frozen=True, slots=True)
class MasqueradeAddressV4(TableRow):
    """Row of `masquerade_address_v4`: to/8 exact, candidate/8 exact."""

    TABLE: ClassVar[str] = "masquerade_address_v4"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (MasqueradeAsV4,)
    to: int
    candidate: int
    action: MasqueradeAsV4


@dataclass(frozen=True, slots=True)
class MasqueradeAddressV6(TableRow):
    """Row of `masquerade_address_v6`: to/8 exact, candidate/8 exact."""

    TABLE: ClassVar[str] = "masquerade_address_v6"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (MasqueradeAsV6,)
    to: int
    candidate: int
    action: MasqueradeAsV6


@dataclass(frozen=True, slots=True)
class Reject(TableRow):
    """Row of `reject`: reason/8 exact."""

    TABLE: ClassVar[str] = "reject"
    ACTIONS: ClassVar[tuple[type[ActionValue], ...]] = (PortUnreachable, TcpReset)
    reason: int
    action: PortUnreachable | TcpReset


ROWS: dict[str, type[TableRow]] = {
    "port": Port,
    "arp_answer": ArpAnswer,
    "nd_answer": NdAnswer,
    "answer_port": AnswerPort,
    "source_host_v4": SourceHostV4,
    "source_net_v4": SourceNetV4,
    "source_host_v6": SourceHostV6,
    "source_net_v6": SourceNetV6,
    "local_v4": LocalV4,
    "local_v6": LocalV6,
    "route_v4": RouteV4,
    "route_v6": RouteV6,
    "tunnel": Tunnel,
    "next_hop": NextHop,
    "tunnel_local_v4": TunnelLocalV4,
    "tunnel_local_v6": TunnelLocalV6,
    "tunnel_peer_v4": TunnelPeerV4,
    "tunnel_peer_v6": TunnelPeerV6,
    "tunnel_source_v4": TunnelSourceV4,
    "tunnel_source_v6": TunnelSourceV6,
    "service_loop_v4": ServiceLoopV4,
    "service_loop_v6": ServiceLoopV6,
    "dscp": Dscp,
    "cluster_v4": ClusterV4,
    "cluster_v6": ClusterV6,
    "src_identity_host_v4": SrcIdentityHostV4,
    "src_identity_net_v4": SrcIdentityNetV4,
    "src_identity_host_v6": SrcIdentityHostV6,
    "src_identity_net_v6": SrcIdentityNetV6,
    "dst_identity_host_v4": DstIdentityHostV4,
    "dst_identity_net_v4": DstIdentityNetV4,
    "dst_identity_host_v6": DstIdentityHostV6,
    "dst_identity_net_v6": DstIdentityNetV6,
    "pre_dst_identity_host_v4": PreDstIdentityHostV4,
    "pre_dst_identity_net_v4": PreDstIdentityNetV4,
    "pre_dst_identity_host_v6": PreDstIdentityHostV6,
    "pre_dst_identity_net_v6": PreDstIdentityNetV6,
    "host_rule_v4": HostRuleV4,
    "host_rule_v6": HostRuleV6,
    "untracked_ingress.binding": UntrackedIngressBinding,
    "untracked_ingress.self_class": UntrackedIngressSelfClass,
    "untracked_ingress.peer_class": UntrackedIngressPeerClass,
    "untracked_ingress.rules": UntrackedIngressRules,
    "untracked_egress.binding": UntrackedEgressBinding,
    "untracked_egress.self_class": UntrackedEgressSelfClass,
    "untracked_egress.peer_class": UntrackedEgressPeerClass,
    "untracked_egress.rules": UntrackedEgressRules,
    "pre_dnat.binding": PreDnatBinding,
    "pre_dnat.self_class": PreDnatSelfClass,
    "pre_dnat.peer_class": PreDnatPeerClass,
    "pre_dnat.rules": PreDnatRules,
    "forward_ingress.binding": ForwardIngressBinding,
    "forward_ingress.self_class": ForwardIngressSelfClass,
    "forward_ingress.peer_class": ForwardIngressPeerClass,
    "forward_ingress.rules": ForwardIngressRules,
    "egress.binding": EgressBinding,
    "egress.self_class": EgressSelfClass,
    "egress.peer_class": EgressPeerClass,
    "egress.rules": EgressRules,
    "ingress.binding": IngressBinding,
    "ingress.self_class": IngressSelfClass,
    "ingress.peer_class": IngressPeerClass,
    "ingress.rules": IngressRules,
    "forward_egress.binding": ForwardEgressBinding,
    "forward_egress.self_class": ForwardEgressSelfClass,
    "forward_egress.peer_class": ForwardEgressPeerClass,
    "forward_egress.rules": ForwardEgressRules,
    "epoch": Epoch,
    "floating_v4": FloatingV4,
    "service_v4": ServiceV4,
    "service_source_v4": ServiceSourceV4,
    "backend_v4": BackendV4,
    "affinity_backend_v4": AffinityBackendV4,
    "floating_v6": FloatingV6,
    "service_v6": ServiceV6,
    "service_source_v6": ServiceSourceV6,
    "backend_v6": BackendV6,
    "affinity_backend_v6": AffinityBackendV6,
    "connection_limit": ConnectionLimit,
    "masquerade_v4": MasqueradeV4,
    "masquerade_v6": MasqueradeV6,
    "masquerade_address_v4": MasqueradeAddressV4,
    "masquerade_address_v6": MasqueradeAddressV6,
    "reject": Reject,
}
