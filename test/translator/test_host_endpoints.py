"""Which host endpoint stands at which interface: resolution, its rows in `port` and `next_hop`, what is told of those without one."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from felix_proto.types import HostEndpoint, HostEndpointRemove, HostEndpointUpdate, HostMetadataUpdate
from test.support.reach import NODE, Node, config, endpoint
from translator.degraded import Degraded

METADATA = HostMetadataUpdate(NODE, "192.0.2.11/24", "2001:db8:1::11/64")
PORTS = [
    {"name": "eth0", "kind": "uplink", "addresses": ["192.0.2.11/24", "2001:db8:1::11/64"]},
    {"name": "eth1", "kind": "uplink", "addresses": ["10.99.0.11/24"]},
    {"name": "vxlan.calico", "kind": "tunnel", "addresses": ["10.244.1.0/32"]},
    {"name": "host", "kind": "host"},
]
INTERFACES = ("eth0", "eth1", "vxlan.calico", "caliweb", "host")


def hep(name: str, interface: str = "", *addresses: str) -> HostEndpointUpdate:
    v4 = tuple(address for address in addresses if ":" not in address)
    v6 = tuple(address for address in addresses if ":" in address)
    return HostEndpointUpdate(name, HostEndpoint(name, interface, expected_ipv4_addrs=v4, expected_ipv6_addrs=v6))


def node(*payloads: Any, ports: Any = PORTS) -> Node:
    return Node(METADATA, endpoint("shop/web", nets=["10.0.0.5/32"]), *payloads, ports=ports)


def standing(node: Node) -> dict[str, str]:
    """By interface the host endpoint that packets from it meet; rows towards it say the same."""
    found = {}
    for (number,), value in node.rows["port"].items():
        port = node.ports.by_number(number)
        assert port is not None
        place = {"workload": 3, "uplink": 1, "tunnel_device": 1}.get(value[0])
        host = value[place] if place is not None else 0
        leaving = {row[4] for row in node.rows["next_hop"].values() if row[1] == number}
        assert leaving == {host}, f"{port.name}: {leaving} out, {host} in"
        if host:
            found[port.name] = node.allocator.meaning("endpoint", host).removeprefix("host:")
    return found


RESOLUTION = [
    ("none", [], {}),
    ("by name", [hep("a", "eth1")], {"eth1": "a"}),
    ("tunnel device by name", [hep("a", "vxlan.calico")], {"vxlan.calico": "a"}),
    ("by expected address", [hep("a", "", "10.99.0.11")], {"eth1": "a"}),
    ("by expected address of the other family", [hep("a", "", "2001:db8:1:0::11")], {"eth0": "a"}),
    ("all interfaces that have one of the addresses", [hep("a", "", "10.99.0.11", "192.0.2.11")], {"eth0": "a", "eth1": "a"}),
    ("a name hides the addresses", [hep("a", "eth0", "10.99.0.11")], {"eth0": "a"}),
    ("all interfaces", [hep("a", "*")], {"eth0": "a", "eth1": "a", "vxlan.calico": "a", "caliweb": "a"}),
    ("the named one before that of all", [hep("b", "eth0"), hep("a", "*")],
     {"eth0": "b", "eth1": "a", "vxlan.calico": "a", "caliweb": "a"}),
    ("addresses of that of all are no matter", [hep("a", "*", "10.99.0.11")], {"eth0": "a", "eth1": "a", "vxlan.calico": "a", "caliweb": "a"}),
    ("of two with a name the first", [hep("b", "eth0"), hep("a", "eth0")], {"eth0": "a"}),
    ("of two with an address the first", [hep("b", "", "10.99.0.11"), hep("a", "", "10.99.0.11")], {"eth1": "a"}),
    ("of name and address the first", [hep("a", "", "192.0.2.11"), hep("b", "eth0")], {"eth0": "a"}),
    ("of name and address the first, turned round", [hep("b", "", "192.0.2.11"), hep("a", "eth0")], {"eth0": "a"}),
    ("of two for all the first", [hep("b", "*"), hep("a", "*")], {"eth0": "a", "eth1": "a", "vxlan.calico": "a", "caliweb": "a"}),
    ("a workload's interface is none of the host", [hep("a", "caliweb")], {}),
    ("nor is the port of the node itself", [hep("a", "host")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("updates", "expected"), [case[1:] for case in RESOLUTION], ids=[case[0] for case in RESOLUTION])
def test_resolution(updates: list[HostEndpointUpdate], expected: dict[str, str]) -> None:
    for order in permutations(updates):
        assert standing(node(*order)) == expected
        one_by_one = node()
        for update in order:
            one_by_one.apply(update)
        assert standing(one_by_one) == expected
        for update in order:
            one_by_one.apply(HostEndpointRemove(update.id))
        assert standing(one_by_one) == {} and one_by_one.degraded() == set()


UNRESOLVED = [
    (hep("a", "eth7"), "there is no interface 'eth7'"),
    (hep("a", "caliweb"), "there is no interface 'caliweb'"),
    (hep("a", "", "203.0.113.1", "2001:db8::9"), "no interface that is not another's has an expected address (203.0.113.1, 2001:db8::9)"),
    (hep("a"), "no interface that is not another's has an expected address (none)"),
    (hep("a", "", "here"), "no interface that is not another's has an expected address (here)"),
    (hep("b", "*"), "HostEndpoint 0 stands for all interfaces"),
    (hep("b", "eth1"), "interface 'eth1' is that of HostEndpoint 1"),
]


@pytest.mark.parametrize(("update", "reason"), UNRESOLVED)
def test_one_without_an_interface_is_told(update: HostEndpointUpdate, reason: str) -> None:
    made = node(hep("0", "*"), hep("1", "eth1"), update)
    assert made.degraded() == {Degraded(f"HostEndpoint {update.id}", reason, "pending")}
    made.apply(HostEndpointRemove(update.id))
    assert made.degraded() == set()


def test_it_is_picked_up_when_its_address_appears() -> None:
    made = Node(hep("a", "", "192.0.2.11"))
    assert len(made.degraded()) == 1
    made.apply(METADATA)
    assert standing(made) == {"eth0": "a"} and made.degraded() == set()
    made.apply(HostMetadataUpdate(NODE, "192.0.2.99/24", ""))
    assert standing(made) == {} and len(made.degraded()) == 1


def test_it_moves_when_a_better_one_comes_and_goes() -> None:
    made = node(hep("b", "eth0"))
    made.apply(hep("a", "eth0"))
    assert standing(made) == {"eth0": "a"}
    assert made.degraded() == {Degraded("HostEndpoint b", "interface 'eth0' is that of HostEndpoint a", "pending")}
    made.apply(hep("a", "eth1"))
    assert standing(made) == {"eth0": "b", "eth1": "a"} and made.degraded() == set()
    made.apply(HostEndpointRemove("a"))
    assert standing(made) == {"eth0": "b"}


def test_a_repeat_changes_nothing() -> None:
    made = node(hep("a", "*"), hep("b", "eth0"))
    assert made.apply(hep("a", "*"), hep("b", "eth0")) == []


def test_an_unrelated_change_costs_nothing_here() -> None:
    made = node(hep("a", "*"))
    changes = made.apply(endpoint("shop/db", nets=["10.0.0.6/32"]))
    assert {key for table, key, _ in changes if table == "port"} == {(port.number,) for port in made.ports.all() if port.name == "calidb"}


def test_a_new_workload_interface_has_that_of_all() -> None:
    made = node(hep("a", "*"))
    made.apply(endpoint("shop/db", nets=["10.0.0.6/32"]))
    assert standing(made)["calidb"] == "a"


def test_failsafe_ports_that_cannot_be_read_are_told() -> None:
    made = node(config(FailsafeInboundHostPorts="tcp:22,tcp:99999"))
    (entry,) = made.degraded()
    assert entry.object == "Config FailsafeInboundHostPorts=tcp:22,tcp:99999" and entry.effect == "partial"
    assert "'tcp:99999'" in entry.reason
    made.apply(config(FailsafeInboundHostPorts="tcp:22"))
    assert made.degraded() == set()
