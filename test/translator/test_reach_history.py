"""What comes out does not know how the state was reached: any sequence of changes gives the rows of the final state."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from datastore.fib import FibRoute
from felix_proto.types import (
    Encapsulation,
    HostMetadataRemove,
    HostMetadataUpdate,
    IPAMPool,
    IPAMPoolRemove,
    IPAMPoolUpdate,
    IPPoolType,
    NatInfo,
    RouteRemove,
    RouteType,
    RouteUpdate,
    VXLANTunnelEndpointRemove,
    VXLANTunnelEndpointUpdate,
    WireguardEndpointRemove,
    WireguardEndpointUpdate,
    WireguardEndpointV6Update,
    WorkloadEndpointRemove,
)
from test.support.reach import NODE, Node, config, endpoint, endpoint_id, gone

PODS = ["shop/a", "shop/b", "shop/c"]
NETS = ["10.0.0.1/32", "10.0.0.2/32", "10.0.1.0/24", "fd00::1/128", "192.0.2.11/32", "10.0.0.999/32"]
ROUTES = ["10.0.1.0/24", "10.0.1.1/32", "192.0.2.11/32", "192.0.2.0/24", "0.0.0.0/0", "fd00:1::/64", "fd00:1::9/128"]
NODES = [NODE, "node-b", "node-c", ""]
HOSTS = ["192.0.2.11/24", "192.0.2.12", "192.0.2.13/24", ""]
HOSTS_V6 = ["", "fd00::1/64", "2001:db8::12/64"]

endpoints = st.builds(
    endpoint,
    st.sampled_from(PODS),
    st.sampled_from(["cali1", "cali2", "eth0", ""]),
    st.lists(st.sampled_from(NETS), max_size=3),
    st.sampled_from(["active", "active", "active", "inactive"]),
    allow_spoofed_source_prefixes=st.sampled_from([(), ("10.0.0.0/8",), ("10.0.0.2/32", "::/0")]),
    mac=st.sampled_from(["", "02:00:00:00:00:01"]),
    ipv4_nat=st.lists(st.builds(NatInfo, st.sampled_from(["203.0.113.1", "203.0.113.2", "bad"]), st.sampled_from(["10.0.0.1", "10.0.0.2"])),
                      max_size=2).map(tuple),
)
routes = st.builds(
    RouteUpdate,
    st.sampled_from(ROUTES),
    st.sampled_from([int(RouteType(bits)) for bits in (0, 1, 1, 1, 2, 4, 5, 8, 16, 17, 32, 36)]),
    st.sampled_from(list(map(int, IPPoolType))),
    dst_node_name=st.sampled_from(NODES),
    dst_node_ip=st.sampled_from(["", "192.0.2.12", "192.0.2.12", "192.0.2.13", "198.51.100.9", "2001:db8::12", "bad"]),
    same_subnet=st.booleans(),
    local_workload=st.booleans(),
    borrowed=st.booleans(),
)
vteps = st.builds(
    VXLANTunnelEndpointUpdate,
    st.sampled_from(NODES),
    st.sampled_from(["66:00:00:00:00:01", "66:00:00:00:00:02", "bad", ""]),
    st.sampled_from(["10.65.0.1", "10.65.0.2", "10.0.1.1", ""]),
    st.sampled_from(["192.0.2.11", "192.0.2.12", "192.0.2.13", ""]),
    st.sampled_from(["66:00:00:00:00:03", ""]),
    st.sampled_from(["fd00:1::1", ""]),
    st.sampled_from(["2001:db8::12", "2001:db8::13", ""]),
)
def pool(cidr: str, masquerade: bool, uses: tuple[str, ...]) -> IPAMPoolUpdate:
    return IPAMPoolUpdate(cidr, IPAMPool(cidr, cidr, masquerade, allowed_uses=uses))


boolean = st.sampled_from(["true", "false"])
changes = st.one_of(
    endpoints, endpoints, st.builds(gone, st.sampled_from(PODS)), routes, st.builds(RouteRemove, st.sampled_from(ROUTES)),
    routes, vteps, vteps,
    st.builds(HostMetadataUpdate, st.sampled_from(NODES), st.sampled_from(HOSTS), st.sampled_from(HOSTS_V6)),
    st.builds(FibRoute, st.sampled_from(ROUTES), st.sampled_from(["", "192.0.2.12", "192.0.2.13", "2001:db8::12", "bad"]),
              st.sampled_from(["eth0", "tunl0", "wireguard.cali"]), st.booleans()),
    st.sampled_from(ROUTES),
    st.builds(HostMetadataRemove, st.sampled_from(NODES)), st.builds(VXLANTunnelEndpointRemove, st.sampled_from(NODES)),
    st.builds(WireguardEndpointUpdate, st.sampled_from(NODES), st.sampled_from(["", "key"])),
    st.builds(WireguardEndpointV6Update, st.sampled_from(NODES), st.sampled_from(["", "key"])),
    st.builds(WireguardEndpointRemove, st.sampled_from(NODES)), st.builds(Encapsulation, st.booleans()),
    st.builds(pool, st.sampled_from(["10.0.0.0/16", "192.0.2.0/24", "fd00::/16", "bad"]), st.booleans(), st.sampled_from([(), ("LoadBalancer",)])),
    st.builds(IPAMPoolRemove, st.sampled_from(["10.0.0.0/16", "192.0.2.0/24", "fd00::/16", "bad"])),
    st.builds(lambda floating, excluded: config(FloatingIPs=floating, NATOutgoingExclusions=excluded),
              st.sampled_from(["Enabled", "Disabled"]), st.sampled_from(["IPPoolsOnly", "IPPoolsAndHostIPs"])),
    st.builds(lambda action, vxlan, port, encrypt, v6, hosts: config(
                  DefaultEndpointToHostAction=action, AllowVXLANPacketsFromWorkloads=vxlan, VXLANPort=port, WireguardEnabled=encrypt,
                  WireguardEnabledV6=v6, WireguardHostEncryptionEnabled=hosts),
              st.sampled_from(["Drop", "Accept"]), boolean, st.sampled_from(["4789", "4789", "4790", ""]), boolean, boolean, boolean),
)  # fmt: skip
verdicts = st.tuples(st.sampled_from(PODS).map(endpoint_id), st.sampled_from(["egress", "ingress"]), st.sampled_from([None, "bad rule"]))
steps = st.lists(st.tuples(st.lists(changes, max_size=4), st.lists(verdicts, max_size=2), st.booleans()), max_size=6)


@given(steps=steps)
def test_rows_are_those_of_the_final_state(steps: list[Any]) -> None:
    closed: dict[Any, str | None] = {}
    node = Node(closed=lambda *key: closed.get(key))
    everything = [config()]
    for payloads, judged, rest in steps:
        closed.update({(pod, direction): why for pod, direction, why in judged})
        node.apply(*payloads)
        everything += payloads
        if rest:
            node.rest()
    fresh = Node(*everything, closed=lambda *key: closed.get(key))
    assert node.named() == fresh.named()
    assert node.degraded() == fresh.degraded()


@given(steps=steps)
def test_numbers_survive_a_restart(steps: list[Any]) -> None:
    """A driver that starts with the allocator's file finds the very same rows: nothing to write. (What was removed and came back is
    new each time.)"""
    node = Node()
    history = [payload for batch, _, _ in steps for payload in batch]
    removed = {payload.id for payload in history if isinstance(payload, WorkloadEndpointRemove)}
    payloads = [payload for payload in history if getattr(payload, "id", None) not in removed]
    node.apply(*payloads)
    node.rest()
    again = Node(config(), *payloads, allocator=node.allocator)
    assert {name: rows for name, rows in again.rows.items() if rows} == {name: rows for name, rows in node.rows.items() if rows}


def test_two_nodes_of_one_address() -> None:
    """A route of the kernel to an address that two nodes have is of the first by name, whoever came first."""
    route, later, first = FibRoute("10.0.1.0/24", "192.0.2.12", "eth0", False), HostMetadataUpdate("node-c", "192.0.2.12"), HostMetadataUpdate("node-b", "192.0.2.12")
    assert Node(route, later, first).named() == Node(route, first, later).named()
    node = Node(route, later)
    node.apply(first)
    assert node.named() == Node(route, first, later).named()
