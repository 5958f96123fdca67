"""What is asked for and not done is listed, each object once, and no longer than it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from felix_proto.types import (
    GlobalBGPConfigUpdate,
    HostEndpoint,
    HostEndpointRemove,
    HostEndpointUpdate,
    IPAMPool,
    IPAMPoolRemove,
    IPAMPoolUpdate,
    NatInfo,
    QoSControls,
    QoSPolicy,
)
from test.support.reach import Node, config, endpoint
from translator.degraded import Degraded

WEB = "WorkloadEndpoint k8s/shop/web/eth0"
CASES = [
    (HostEndpointUpdate("eth0-hep", HostEndpoint("eth0-hep", "*", qos_policies=(QoSPolicy("", 20),))), HostEndpointRemove("eth0-hep"),
     "HostEndpoint eth0-hep", "DSCP is not set"),
    (IPAMPoolUpdate("10.0.0.0-x", IPAMPool("10.0.0.0-x", "10.0.0.0/x", masquerade=True)), IPAMPoolRemove("10.0.0.0-x"),
     "IPAMPool 10.0.0.0-x", "not a CIDR: '10.0.0.0/x': it is no pool for NAT outgoing"),
    (config(IptablesNATOutgoingInterfaceFilter="eth0"), config(), "Config IptablesNATOutgoingInterfaceFilter=eth0",
     "NAT outgoing holds for every interface"),
    (GlobalBGPConfigUpdate(service_cluster_cidrs=("10.96.0.0/x",)), GlobalBGPConfigUpdate(), "GlobalBGPConfig",
     "service loops: not a CIDR: '10.96.0.0/x'"),
    (endpoint("shop/web", local_bgp_peer=""), endpoint("shop/web"), WEB,
     "BGP peering with the workload is not set up, the local peering address not answered"),
    (endpoint("shop/web", live_migration_role=1), endpoint("shop/web"), WEB, "live migration does not change its routes"),
    (config(VXLANPort="8472"), config(VXLANPort="4789"), "Config VXLANPort=8472",
     "port 4789 is compiled in: no VXLAN tunnels, and workloads' VXLAN is recognised by that port only"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "withdrawn", "name", "reason"), CASES)
def test_listed_while_asked_for(asked: Any, withdrawn: Any, name: str, reason: str) -> None:
    node = Node()
    assert node.degraded() == set()
    node.apply(asked)
    assert node.degraded() == {Degraded(name, reason, "partial")}
    node.apply()
    assert node.degraded() == {Degraded(name, reason, "partial")}
    node.apply(withdrawn)
    assert node.degraded() == set()


@pytest.mark.parametrize("harmless", [
    endpoint("shop/web", qos_controls=QoSControls()),
    IPAMPoolUpdate("10.0.0.0-16", IPAMPool("10.0.0.0-16", "10.0.0.0/16", masquerade=True, vxlan_mode="Always")),
    endpoint("shop/web", ipv4_nat=(NatInfo("203.0.113.9", "10.0.0.5"),)),
    GlobalBGPConfigUpdate(service_cluster_cidrs=("10.96.0.0/12",), local_workload_peering_ip_v6="fd00::9"),
    endpoint("shop/web", qos_policies=(QoSPolicy("", 20),)),
    config(IptablesFilterDenyAction="Reject", ServiceLoopPrevention="Reject"),
    HostEndpointUpdate("eth0-hep", HostEndpoint("eth0-hep", "*")),
])  # fmt: skip
def test_what_needs_nothing_is_not_listed(harmless: Any) -> None:
    assert Node(harmless).degraded() == set()
