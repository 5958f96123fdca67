"""The port inventory, over a store of plain dictionaries."""

from types import SimpleNamespace

import pytest

from calico_p4.driver import Driver
from calico_p4.ports import Port, PortInventory, made_up_mac
from calico_p4.switch import embedded
from datastore.allocator import Allocator
from felix_proto.types import (
    Encapsulation,
    HostMetadataUpdate,
    InSync,
    IPAMPool,
    RouteUpdate,
    TunnelType,
    VXLANTunnelEndpointUpdate,
    WorkloadEndpoint,
    WorkloadEndpointID,
    WorkloadEndpointRemove,
    WorkloadEndpointUpdate,
)
from translator.addresses import parse_mac


def make_store() -> SimpleNamespace:
    return SimpleNamespace(
        config={"FelixHostname": "node-a"}, endpoints={}, routes={}, vteps={}, pools={}, encapsulation=None,
        host_metadata={"node-a": HostMetadataUpdate("node-a", "192.0.2.11/24", "2001:db8::11/64")},
    )  # fmt: skip


def dirty(*, endpoints: tuple = (), routes: tuple = ()) -> SimpleNamespace:
    return SimpleNamespace(endpoints=set(endpoints), routes=set(routes))


def pod(name: str, interface: str, mac: str = "") -> WorkloadEndpoint:
    return WorkloadEndpoint(WorkloadEndpointID("k8s", f"shop/{name}", "eth0"), "active", interface, mac)


def put(store: SimpleNamespace, ports: PortInventory, *endpoints: WorkloadEndpoint) -> bool:
    store.endpoints.update({endpoint.id: endpoint for endpoint in endpoints})
    return ports.refresh(store, dirty(endpoints=tuple(endpoint.id for endpoint in endpoints)))


def test_the_node_has_a_host_port_and_an_uplink_with_its_addresses():
    ports = PortInventory(Allocator())
    ports.refresh(make_store(), dirty())
    assert [(p.name, p.kind, p.addresses) for p in ports.all()] == [
        ("eth0", "uplink", ("192.0.2.11/24", "2001:db8::11/64")), ("host", "host", ()),
    ]  # fmt: skip


def test_a_bare_address_of_an_older_release_becomes_a_host_prefix():
    store, ports = make_store(), PortInventory(Allocator())
    store.host_metadata["node-a"] = HostMetadataUpdate("node-a", "192.0.2.11", "2001:db8::11")
    ports.refresh(store, dirty())
    assert ports.of_kind("uplink")[0].addresses == ("192.0.2.11/32", "2001:db8::11/128")


def test_an_endpoint_brings_its_interface_and_takes_it_away():
    store, ports = make_store(), PortInventory(Allocator())
    assert put(store, ports, pod("web", "cali1"))
    port = ports.get("cali1")
    assert port is not None and port.kind == "workload" and ports.by_number(port.number) == port
    assert not put(store, ports, pod("web", "cali1")), "nothing changed"
    del store.endpoints[pod("web", "cali1").id]
    assert ports.refresh(store, dirty(endpoints=(pod("web", "cali1").id,)))
    assert ports.get("cali1") is None and ports.by_number(port.number) is None


def test_an_interface_with_two_endpoints_stays_until_both_are_gone_and_has_the_mac_of_the_first():
    store, ports = make_store(), PortInventory(Allocator())
    put(store, ports, pod("a", "cali1", "0a:00:00:00:00:01"), pod("b", "cali1", "0a:00:00:00:00:02"))
    assert ports.get("cali1").mac == 0x0A0000000001
    del store.endpoints[pod("a", "").id]
    ports.refresh(store, dirty(endpoints=(pod("a", "").id,)))
    assert ports.get("cali1").mac == 0x0A0000000002
    del store.endpoints[pod("b", "").id]
    ports.refresh(store, dirty(endpoints=(pod("b", "").id,)))
    assert ports.get("cali1") is None


def test_an_endpoint_that_moves_leaves_its_old_interface():
    store, ports = make_store(), PortInventory(Allocator())
    put(store, ports, pod("a", "cali1"))
    put(store, ports, pod("a", "cali2"))
    assert [p.name for p in ports.of_kind("workload")] == ["cali2"]


def test_a_number_is_given_back_only_when_its_rows_are_gone():
    store, ports = make_store(), PortInventory(Allocator())
    put(store, ports, pod("a", "cali1"))
    number = ports.get("cali1").number
    put(store, ports, pod("a", "cali2"))
    assert ports.get("cali2").number != number
    ports.forget_removed()
    put(store, ports, pod("b", "cali3"))
    assert ports.get("cali3").number == number


def test_a_port_that_comes_back_keeps_its_number():
    store, ports = make_store(), PortInventory(Allocator())
    put(store, ports, pod("a", "cali1"))
    number = ports.get("cali1").number
    put(store, ports, pod("a", "cali2"))
    put(store, ports, pod("a", "cali1"))
    ports.forget_removed()
    assert ports.get("cali1").number == number and ports.get("cali2") is None


def test_the_tunnel_devices_come_when_the_stream_calls_for_them():
    store, ports = make_store(), PortInventory(Allocator())
    store.vteps["node-a"] = VXLANTunnelEndpointUpdate("node-a", "66:00:00:00:00:01", "10.9.0.1", ipv6_addr="fd00::1")
    store.encapsulation = Encapsulation(ipip_enabled=True)
    store.routes["10.9.1.1/32"] = RouteUpdate("10.9.1.1/32", types=36, tunnel_type=TunnelType(ipip=True))
    store.routes["10.9.1.2/32"] = RouteUpdate("10.9.1.2/32", types=17, tunnel_type=TunnelType(ipip=True))
    ports.refresh(store, dirty(routes=("10.9.1.1/32", "10.9.1.2/32")))
    vxlan, ipip = ports.get("vxlan.calico"), ports.get("tunl0")
    assert (vxlan.mac, vxlan.addresses) == (0x660000000001, ("10.9.0.1/32", "fd00::1/128"))
    assert (ipip.kind, ipip.addresses) == ("tunnel", ("10.9.1.1/32",))
    store.encapsulation = None
    ports.refresh(store, dirty())
    assert ports.get("tunl0") is None
    store.pools["p"] = IPAMPool("p", ipip_mode="CrossSubnet")
    ports.refresh(store, dirty())
    assert ports.get("tunl0") is not None


def test_a_file_replaces_ports_by_name_and_default_ones_by_kind():
    extra = [
        {"name": "ens5", "kind": "uplink", "mac": "02:00:00:00:00:07", "addresses": ["192.0.2.11/24"]},
        {"name": "cali1", "kind": "workload", "mac": "02:00:00:00:00:08"},
        {"name": "bond0", "kind": "uplink"},
    ]
    store, ports = make_store(), PortInventory(Allocator(), extra)
    put(store, ports, pod("a", "cali1", "0a:00:00:00:00:01"))
    assert ports.get("eth0") is None
    assert [p.name for p in ports.of_kind("uplink")] == ["ens5", "bond0"], "in the order of the file: the first is the default one"
    assert ports.get("cali1").mac == 0x020000000008
    assert ports.get("host") is not None


def test_what_can_not_be_read_costs_only_itself_and_is_told():
    store, ports = make_store(), PortInventory(Allocator())
    store.host_metadata["node-a"] = HostMetadataUpdate("node-a", "192.0.2.300/24", "2001:db8::11/64")
    put(store, ports, pod("a", "cali1", "nonsense"))
    assert ports.get("eth0").addresses == ("2001:db8::11/64",)
    assert ports.get("cali1").mac == made_up_mac("cali1")
    assert set(ports.problems) == {"eth0", "cali1"} and "192.0.2.300" in ports.problems["eth0"]
    put(store, ports, pod("a", "cali1", "0a:00:00:00:00:01"))
    assert "cali1" not in ports.problems


@pytest.mark.parametrize("text", ["", "1:2:3", "0a:00:00:00:00:00:01", "0g:00:00:00:00:01", "0aa:0:0:0:0:1"])
def test_no_mac(text: str):
    with pytest.raises(ValueError):
        parse_mac(text)


def test_made_up_macs_are_local_unicast_and_differ():
    macs = {made_up_mac(f"cali{n}") for n in range(100)}
    assert len(macs) == 100 and all(mac >> 40 == 2 for mac in macs)
    assert parse_mac("0A-0-00-00-00-ff") == 0x0A00000000FF
    assert Port("a", 1, "host", 2).addresses == ()


def test_an_endpoint_that_goes_before_in_sync_takes_its_port_along():
    driver = Driver(None, Allocator())
    key = WorkloadEndpointID("k8s", "shop/web", "eth0")
    driver.apply(WorkloadEndpointUpdate(key, WorkloadEndpoint(key, "active", "cali1")))
    driver.sync()
    assert driver.ports.get("cali1") is not None
    driver.apply(WorkloadEndpointRemove(key))
    driver.sync()
    assert driver.ports.get("cali1") is None


def test_an_endpoint_that_goes_together_with_in_sync_takes_its_port_along():
    switch = embedded()
    switch.prepare()
    driver = Driver(switch, Allocator())
    key = WorkloadEndpointID("k8s", "shop/web", "eth0")
    driver.apply(WorkloadEndpointUpdate(key, WorkloadEndpoint(key, "active", "cali1")))
    driver.sync()
    for payload in (WorkloadEndpointRemove(key), InSync()):
        driver.apply(payload)
    driver.sync()
    assert driver.ports.get("cali1") is None
