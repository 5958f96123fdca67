"""The kernel's interfaces as ports: what is made of netlink's messages, by which rules, and what endpoints become of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calico_p4.driver import Driver
from calico_p4.inspect.questions import answer
from calico_p4.inspect.scene import replayed
from calico_p4.interfaces import Interface, Interfaces
from calico_p4.port_rules import Rule, rule_for, rules_of
from calico_p4.ports import PortInventory
from calico_p4.replay import Options, replay
from calico_p4.status import StatusReporter, told
from calico_p4.switch import embedded
from datastore.allocator import Allocator
from felix_proto import felixbackend_pb2 as pb
from felix_proto.types import ConfigUpdate, HostEndpoint, HostEndpointRemove, HostEndpointUpdate, HostMetadataUpdate, InSync
from test.support.reach import NODE, Node, endpoint, gone
from test.support.shared import ROOT

pytest.importorskip("pyroute2", reason="pyroute2 is not installed (the extra netlink)")
from test.support import kernel
from test.support.kernel import DOWN, FAILED, GONE, NO_CARRIER, parsed

PEER = "02:00:00:00:00:09"
MAC, PEER_MAC = 0x020000000001, 0x020000000009
UPLINK = (kernel.link(2, "eth0"), kernel.address(2, "192.0.2.11/24"), kernel.address(2, "2001:db8::11/64"), kernel.address(2, "fe80::1/64"))


def started(*messages: bytes) -> Interfaces:
    interfaces = Interfaces()
    list(interfaces.start(parsed(*messages)))
    return interfaces


def follow(interfaces: Interfaces, *messages: bytes) -> dict[str, Interface | None]:
    found = list(interfaces.follow(parsed(*messages)))
    assert len({name for name, _ in found}) == len(found), "a name twice"
    return dict(found)


def test_a_list_of_everything_in_any_order() -> None:
    messages = (*UPLINK, kernel.link(7, "cali1", kind="veth", flags=NO_CARRIER), kernel.neighbour(2, "192.0.2.1", PEER), kernel.default_route(2, "192.0.2.1"))
    wanted = {"eth0": Interface("eth0", 2, "", MAC, True, ("192.0.2.11/24", "2001:db8::11/64"), (("192.0.2.1", PEER_MAC),), PEER_MAC),
              "cali1": Interface("cali1", 7, "veth", MAC, up=False)}  # fmt: skip
    assert dict(Interfaces().start(parsed(*messages))) == wanted
    assert dict(Interfaces().start(parsed(*reversed(messages)))) == wanted


def test_a_second_list_tells_what_differs() -> None:
    interfaces = started(*UPLINK, kernel.link(7, "cali1"), kernel.link(8, "cali2"))
    again = parsed(*UPLINK[:2], kernel.link(8, "cali2"), kernel.link(9, "cali3", DOWN))
    assert dict(interfaces.start(again)) == {
        "cali1": None, "cali3": Interface("cali3", 9, "", MAC, up=False), "eth0": Interface("eth0", 2, "", MAC, True, ("192.0.2.11/24",)),
    }  # fmt: skip


@pytest.mark.parametrize("flags", [DOWN, NO_CARRIER])
def test_up_and_down(flags: int) -> None:
    interfaces = started(kernel.link(7, "cali1"))
    assert follow(interfaces, kernel.link(7, "cali1")) == {}, "said again"
    assert follow(interfaces, kernel.link(7, "cali1", flags)) == {"cali1": Interface("cali1", 7, "", MAC, up=False)}
    assert follow(interfaces, kernel.link(7, "cali1"), kernel.link(7, "cali1", flags)) == {}, "there and back again"
    assert follow(interfaces, kernel.link(7, "cali1")) == {"cali1": Interface("cali1", 7, "", MAC)}


def test_names_that_change_and_numbers_that_come_back() -> None:
    interfaces = started(kernel.link(7, "cali1"), kernel.link(8, "cali2"))
    assert follow(interfaces, kernel.link(7, "x"), kernel.link(8, "cali1"), kernel.link(7, "cali2")) == {
        "cali1": Interface("cali1", 8, "", MAC), "cali2": Interface("cali2", 7, "", MAC),
    }  # fmt: skip
    assert follow(interfaces, kernel.link(9, "cali1"), kernel.link(8, "cali1", what=GONE)) == {"cali1": Interface("cali1", 9, "", MAC)}, "a new one's"
    assert follow(interfaces, kernel.address(7, "10.0.0.1/32"), kernel.link(7, "cali2", what=GONE)) == {"cali2": None}
    assert follow(interfaces, kernel.link(7, "cali9")) == {"cali9": Interface("cali9", 7, "", MAC)}, "without the address of who had the number"


def test_a_bridge_that_loses_a_port_does_not_end_the_interface() -> None:
    interfaces = started(kernel.link(7, "cali1"))
    assert follow(interfaces, kernel.link(7, "cali1", what=GONE, family=7)) == {}


def test_addresses() -> None:
    interfaces = started(*UPLINK)
    assert follow(interfaces, kernel.address(2, "192.0.2.12/24")) == {
        "eth0": Interface("eth0", 2, "", MAC, True, ("192.0.2.11/24", "192.0.2.12/24", "2001:db8::11/64"))
    }
    assert follow(interfaces, kernel.address(2, "192.0.2.12/24", GONE), kernel.address(2, "fe80::2/64")) == {
        "eth0": Interface("eth0", 2, "", MAC, True, ("192.0.2.11/24", "2001:db8::11/64"))
    }
    assert follow(interfaces, kernel.address(99, "192.0.2.12/24")) == {}, "an interface that is not known yet"


def test_neighbours_and_the_gateway() -> None:
    interfaces = started(*UPLINK, kernel.default_route(2, "fe80::99", 1024), kernel.default_route(2, "192.0.2.1", 100))

    def gateway(*messages: bytes) -> int | None:
        (interface,) = follow(interfaces, *messages).values()
        assert interface is not None
        return interface.gateway

    assert gateway(kernel.neighbour(2, "fe80::99", "02:00:00:00:00:77")) == 0x77 | 2 << 40
    assert gateway(kernel.neighbour(2, "192.0.2.1", PEER)) == PEER_MAC, "the one of IPv4 first"
    assert gateway(kernel.neighbour(2, "192.0.2.1", PEER, FAILED)) == 0x77 | 2 << 40, "nobody there any more"
    assert follow(interfaces, kernel.default_route(2, "fe80::98", 1024, GONE)) == {}, "not the one that is there"
    assert gateway(kernel.default_route(2, "fe80::99", 1024, GONE)) is None
    assert gateway(kernel.neighbour(2, "192.0.2.7", PEER)) is None
    assert follow(interfaces, kernel.default_route(2, "192.0.2.7", table=10)) == {}, "another table"
    assert follow(interfaces, kernel.neighbour(2, "224.0.0.1", PEER), kernel.default_route(2, "192.0.2.1", length=24), 
                  kernel.neighbour(2, "fe80::98", PEER)) == {}  # fmt: skip


# --- rules ---------------------------------------------------------------------------------------------------------------------------------


def test_rules() -> None:
    rules = rules_of("eth0=uplink, enp3s0npf0vf*=workload@name+16,pf0hpf=host@3, x*=none, veth*=workload@ifindex")
    there = {name: rule_for(rules, name) for name in ("eth0", "enp3s0npf0vf12", "pf0hpf", "x1", "veth1", "cali1")}
    assert {name: rule.kind for name, rule in there.items()} == {"eth0": "uplink", "enp3s0npf0vf12": "workload", "pf0hpf": "host", "x1": "none",
                                                                "veth1": "workload", "cali1": "workload"}  # fmt: skip
    assert {name: rule.number_of(Interface(name, 40)) for name, rule in there.items()} == {
        "eth0": None, "enp3s0npf0vf12": 28, "pf0hpf": 3, "x1": None, "veth1": 40, "cali1": None,
    }  # fmt: skip
    assert rule_for(rules_of("a*=none,ab=uplink"), "ab").kind == "none", "the first one counts"


@pytest.mark.parametrize("text", ["", ",", "eth0", "eth0=", "=uplink", "eth0=router", "eth0=uplink@", "eth0=uplink@mac", "eth0=uplink@3+4",
                                  "eth0=uplink@4294967296", "eth0 =uplink"])  # fmt: skip
def test_no_rules(text: str) -> None:
    with pytest.raises(ValueError, match="rule|none of|port number"):
        rules_of(text)


@pytest.mark.parametrize(("rule", "name"), [(Rule("*", "workload", "name"), "vfx"), (Rule("*", "workload", "name", 1), "vf4294967295")])
def test_numbers_that_can_not_be(rule: Rule, name: str) -> None:
    with pytest.raises(ValueError, match="number"):
        rule.number_of(Interface(name, 1))


# --- ports -----------------------------------------------------------------------------------------------------------------------------------


class Watched(Node):
    """A node whose ports are the kernel's."""

    def __init__(self, rules: str, *messages: bytes, payloads: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.ports.watch(rules_of(rules))
        self._interfaces = Interfaces()
        self.ports.follow(dict(self._interfaces.start(parsed(*messages))))
        self.apply(*payloads)

    def happens(self, *messages: bytes) -> list[Any]:
        self.ports.follow(dict(self._interfaces.follow(parsed(*messages))))
        return self.apply()


def effects(node: Node) -> dict[str, tuple[str, str]]:
    return {entry.object: (entry.effect, entry.reason) for entry in node.degraded()}


POD = "WorkloadEndpoint k8s/shop/web/eth0"


def test_an_endpoint_is_pending_then_up_then_down() -> None:
    node = Watched("eth0=uplink", *UPLINK, payloads=(endpoint("shop/web", "cali1", ["10.244.1.5/32"]),))
    assert effects(node) == {POD: ("pending", "no workload port is named 'cali1'")}
    assert node.table("local_v4")["10.244.1.5"][0] == "to_workload_closed" and "cali1" not in node.table("port")
    node.happens(kernel.link(7, "cali1"))
    assert effects(node) == {} and node.table("local_v4")["10.244.1.5"][0] == "to_workload"
    up = node.named()
    assert node.table("port")["cali1"][0] == "workload"
    node.happens(kernel.link(7, "cali1", NO_CARRIER))
    assert effects(node) == {POD: ("pending", "interface 'cali1' is down")}
    assert node.table("port")["cali1"] == ("workload_closed", "k8s/shop/web/eth0", 4), "endpoint_down"
    node.happens(kernel.link(7, "cali1"))
    assert node.named() == up
    node.happens(kernel.link(7, "cali1", what=GONE))
    assert "cali1" not in node.table("port")
    node.happens(kernel.link(12, "cali1"))
    assert node.named() == up
    node.apply(gone("shop/web"))
    node.rest()
    assert "cali1" not in node.table("port") and node.ports.get("cali1") is None


def test_only_what_changed_is_written() -> None:
    pods = tuple(endpoint(f"shop/web{n}", f"cali{n}", [f"10.244.1.{n}/32"]) for n in range(1, 60))
    node = Watched("eth0=uplink", *UPLINK, *(kernel.link(10 + n, f"cali{n}") for n in range(1, 60)), payloads=pods)
    changes = node.happens(kernel.link(11, "cali1", DOWN))
    assert {change[0] for change in changes} <= {"port", "local_v4", "next_hop"} and len(changes) <= 3


def test_uplinks_are_the_kernels() -> None:
    node = Watched("eth*=uplink", *UPLINK, payloads=(HostMetadataUpdate(NODE, "192.0.2.11/24"),))
    assert [(port.name, port.addresses, port.own_mac) for port in node.ports.of_kind("uplink")] == [("eth0", ("192.0.2.11/24", "2001:db8::11/64"), MAC)]
    assert node.table("local_v4")["192.0.2.11"][0] == "to_host"
    node.happens(kernel.link(3, "eth1"), kernel.address(3, "198.51.100.4/24"))
    assert node.table("route_v4") == {"0.0.0.0/0": ("to_uplink", "uplink:eth0"), "192.0.2.0/24": ("to_uplink", "uplink:eth0"),
                                      "198.51.100.0/24": ("to_uplink", "uplink:eth1")}  # fmt: skip
    assert node.table("local_v4")["198.51.100.4"][0] == "to_host"
    node.happens(kernel.link(2, "eth0", NO_CARRIER))
    assert node.table("route_v4")["0.0.0.0/0"] == ("to_uplink", "uplink:eth1"), "the first one that carries is the default one"
    node.happens(kernel.link(2, "eth0", what=GONE), kernel.address(3, "198.51.100.4/24", GONE))
    assert node.table("route_v4") == {"0.0.0.0/0": ("to_uplink", "uplink:eth1")}


def test_next_hops_have_the_macs_that_the_kernel_learned() -> None:
    node = Watched("eth0=uplink", *UPLINK, kernel.default_route(2, "192.0.2.1"))
    node.happens(kernel.neighbour(2, "192.0.2.1", PEER), kernel.neighbour(2, "192.0.2.12", "02:00:00:00:00:12"), kernel.neighbour(2, "10.99.0.1", PEER))
    hops = {name: value[2:4] for name, value in node.table("next_hop").items()}
    assert hops["uplink:eth0"] == (MAC, PEER_MAC) and hops["neighbour:192.0.2.12"] == (MAC, 0x020000000012)
    assert "neighbour:10.99.0.1" not in hops, "not in a subnet of this link"
    assert node.table("route_v4")["192.0.2.12/32"] == ("to_uplink", "neighbour:192.0.2.12")
    node.happens(kernel.neighbour(2, "192.0.2.12", PEER, FAILED))
    assert "192.0.2.12/32" not in node.table("route_v4")


def test_a_pods_mac_is_what_felix_says_else_what_the_kernel_learned() -> None:
    pods = endpoint("shop/a", "cali1", ["10.244.1.1/32"], mac="0a:00:00:00:00:01"), endpoint("shop/b", "cali2", ["10.244.1.2/32", "fd00::2/128"])
    node = Watched("eth0=uplink", *UPLINK, kernel.link(7, "cali1"), kernel.link(8, "cali2"), payloads=pods)
    node.happens(*(kernel.neighbour(at, f"10.244.1.{at - 6}", PEER) for at in (7, 8)), kernel.neighbour(8, "10.244.1.11", "02:00:00:00:00:66"))
    assert (node.ports.get("cali1").mac, node.ports.get("cali2").mac) == (0x0A0000000001, PEER_MAC)
    assert node.table("next_hop")["workload:k8s/shop/b/eth0"][3] == PEER_MAC


def test_numbers_by_rule_and_who_has_one_already() -> None:
    pods = tuple(endpoint(f"shop/{n}", name, [f"10.244.1.{n}/32"]) for n, name in enumerate(("vf1", "xvf1", "vf2"), 1))
    node = Watched("eth0=uplink@100,*vf*=workload@name+10,lo=host@50", *UPLINK, kernel.link(1, "lo"), *(kernel.link(5 + n, name) for n, name in
                   enumerate(("vf1", "xvf1", "vf2"))), payloads=pods)  # fmt: skip
    assert {port.name: port.number for port in node.ports.all()} == {"eth0": 100, "lo": 50, "vf1": 11, "vf2": 12}
    assert node.ports.problems == {"xvf1": "no port: its number 11 is that of vf1"}
    node.happens(kernel.link(5, "vf1", what=GONE))
    assert node.ports.get("xvf1") is None and node.ports.problems["xvf1"].endswith("is that of vf1"), "rows of the old one may still lead there"
    node.rest()
    assert node.ports.moved
    node.apply()
    assert node.ports.get("xvf1").number == 11 and node.ports.problems == {}


def test_as_a_file_numbers_are_said_only_where_a_rule_says_them() -> None:
    node = Watched("eth0=uplink@100", *UPLINK, kernel.link(7, "cali1"), payloads=(endpoint("shop/1", "cali1", ["10.244.1.1/32"]),))
    assert {item["name"]: item.get("number") for item in node.ports.as_file()} == {"eth0": 100, "host": None, "cali1": None}


def test_a_name_without_a_number_is_told() -> None:
    node = Watched("vf*=workload@name", kernel.link(5, "vfx"), payloads=(endpoint("shop/a", "vfx", ["10.244.1.1/32"]),))
    assert "does not end with a number" in node.ports.problems["vfx"]
    node.happens(kernel.link(5, "vfx", what=GONE))
    assert node.ports.problems == {}


def test_tunnels_devices_are_there_without_an_interface_and_take_its_addresses() -> None:
    from felix_proto.types import VXLANTunnelEndpointUpdate

    vtep = VXLANTunnelEndpointUpdate(NODE, mac="66:00:00:00:00:01", ipv4_addr="10.9.0.1", parent_device_ip="192.0.2.11")
    node = Watched("eth0=uplink,vxlan*=tunnel", *UPLINK, payloads=(vtep,))
    assert node.ports.get("vxlan.calico").addresses == ("10.9.0.1/32",)
    node.happens(kernel.link(9, "vxlan.calico", DOWN, kind="vxlan"), kernel.address(9, "10.9.0.9/32"))
    port = node.ports.get("vxlan.calico")
    assert (port.addresses, port.mac, port.up) == (("10.9.0.1/32", "10.9.0.9/32"), 0x660000000001, False)


@pytest.mark.parametrize("rules", ["eth0=uplink", "*=workload", "eth0=none"])
def test_as_a_file_the_ports_are_the_same_without_a_kernel(rules: str) -> None:
    node = Watched(rules, *UPLINK, kernel.link(7, "cali1"), kernel.link(8, "cali2", DOWN), kernel.neighbour(2, "192.0.2.12", PEER), payloads=(
        HostMetadataUpdate(NODE, "192.0.2.11/24"), *(endpoint(f"shop/{n}", f"cali{n}", [f"10.244.1.{n}/32"]) for n in (1, 2, 3))))  # fmt: skip
    again = Node(allocator=Allocator(), ports=node.ports.as_file())
    again.apply(HostMetadataUpdate(NODE, "192.0.2.11/24"), *(endpoint(f"shop/{n}", f"cali{n}", [f"10.244.1.{n}/32"]) for n in (1, 2, 3)))
    there = {port.name for port in node.ports.all()}
    numberless = [[port._replace(number=0) for port in ports.all() if port.name in there] for ports in (again.ports, node.ports)]
    assert numberless[0] == numberless[1]
    assert again.degraded() == node.degraded() and again.ports.get("cali3") is None


def test_host_endpoints_stand_where_the_kernel_has_their_addresses() -> None:
    node = Watched("eth*=uplink", *UPLINK, kernel.link(3, "eth1"), payloads=(
        HostEndpointUpdate("a", HostEndpoint("a", "", expected_ipv4_addrs=("198.51.100.4",))), HostEndpointUpdate("b", HostEndpoint("b", "eth9"))))  # fmt: skip
    assert set(effects(node)) == {"HostEndpoint a", "HostEndpoint b"}
    node.happens(kernel.address(3, "198.51.100.4/24"), kernel.link(9, "eth9"))
    assert effects(node) == {} and node.reach.hosts.by_interface == {"eth1": "a", "eth9": "b"}
    node.happens(kernel.link(9, "eth9", what=GONE))
    assert set(effects(node)) == {"HostEndpoint b"}


# --- the driver --------------------------------------------------------------------------------------------------------------------------------


class Driven:
    """A driver with a switch of its own, watching a kernel, and what Felix is told."""

    def __init__(self) -> None:
        switch = embedded()
        switch.prepare()
        self.driver = Driver(switch, Allocator())
        self.driver.ports.watch(rules_of("eth*=uplink"))
        self._interfaces, self._reporter = Interfaces(), StatusReporter(0.0)
        self.said: dict[str, str] = {}

    def apply(self, *payloads: Any) -> None:
        for payload in payloads:
            self.driver.apply(payload)
        self.settle()

    def list(self, *messages: bytes) -> None:
        self.driver.ports.follow(dict(self._interfaces.start(parsed(*messages))))
        self.settle()

    def happens(self, *messages: bytes) -> None:
        self.driver.ports.follow(dict(self._interfaces.follow(parsed(*messages))))
        self.settle()

    def settle(self) -> None:
        self.driver.sync()
        for frame in told(self._reporter, self.driver, True):
            message = pb.FromDataplane.FromString(frame[8:])
            kind = message.WhichOneof("payload")
            update = getattr(message, kind)
            name = update.id.workload_id if kind.startswith("workload") else update.id.endpoint_id
            if kind.endswith("remove"):
                del self.said[name]
            else:
                assert self.said.get(name) != update.status.status, "said twice"
                self.said[name] = update.status.status


def test_nothing_is_written_before_the_kernel_has_told_its_interfaces() -> None:
    driven = Driven()
    driven.apply(ConfigUpdate((("FelixHostname", NODE),)), endpoint("shop/web", "cali1", ["10.244.1.5/32"]), InSync())
    assert driven.said == {} and not driven.driver.confirmed
    assert [entry.object for entry in driven.driver.degraded()] == ["Interfaces"]
    driven.driver.rest()
    assert not driven.driver.confirmed, "at rest neither"
    driven.list(*UPLINK, kernel.link(7, "cali1"))
    assert driven.said == {"shop/web": "up"} and driven.driver.confirmed and driven.driver.degraded() == []


def test_felix_is_told_of_up_and_down() -> None:
    driven = Driven()
    driven.list(*UPLINK, kernel.link(3, "eth1"))
    pods = [endpoint(f"shop/{name}", f"cali-{name}", [f"10.244.1.{n}/32"]) for n, name in enumerate("abc", 1)]
    hosts = [HostEndpointUpdate(name, HostEndpoint(name, interface)) for name, interface in (("one", "eth1"), ("rest", "*"), ("late", "eth5"))]
    driven.apply(ConfigUpdate((("FelixHostname", NODE),)), *pods, *hosts, InSync())
    assert driven.said == {"shop/a": "down", "shop/b": "down", "shop/c": "down", "one": "up", "rest": "up", "late": "error"}, "pending is down"
    driven.happens(kernel.link(7, "cali-a"), kernel.link(8, "cali-b", DOWN))
    assert {name: driven.said[name] for name in ("shop/a", "shop/b", "shop/c")} == {"shop/a": "up", "shop/b": "down", "shop/c": "down"}
    driven.happens(kernel.link(7, "cali-a", NO_CARRIER), kernel.link(8, "cali-b"), kernel.link(3, "eth1", NO_CARRIER), kernel.link(5, "eth5"))
    assert driven.said == {"shop/a": "down", "shop/b": "up", "shop/c": "down", "one": "down", "rest": "up", "late": "up"}
    driven.happens(kernel.link(2, "eth0", DOWN))
    assert driven.said["rest"] == "down", "of all interfaces none is up but those of others"
    driven.happens(kernel.link(7, "cali-a", what=GONE), kernel.link(3, "eth1", what=GONE))
    assert (driven.said["shop/a"], driven.said["one"]) == ("down", "error")
    driven.happens(kernel.link(2, "eth0", what=GONE), kernel.link(5, "eth5", what=GONE))
    assert (driven.said["rest"], driven.said["late"]) == ("up", "error"), "it has the workloads' interfaces still"
    driven.apply(gone("shop/a"), HostEndpointRemove("one"))
    assert "shop/a" not in driven.said and "one" not in driven.said


def test_a_flow_lives_on_when_its_interface_was_down_for_a_moment() -> None:
    driven = Driven()
    driven.list(*UPLINK, kernel.link(7, "cali-a"))
    driven.apply(ConfigUpdate((("FelixHostname", NODE),)), endpoint("shop/a", "cali-a", ["10.244.1.1/32"]), InSync())
    incarnations = driven.driver.tracker.desired.rows("port")
    before = dict(incarnations)
    driven.happens(kernel.link(7, "cali-a", DOWN))
    assert dict(driven.driver.tracker.desired.rows("port")) != before
    driven.happens(kernel.link(7, "cali-a"))
    assert dict(driven.driver.tracker.desired.rows("port")) == before, "the same incarnation, by which flows are known"


def test_without_rules_nothing_is_watched() -> None:
    ports = PortInventory(Allocator())
    assert ports.known and not ports.watching and not ports.moved


@pytest.mark.parametrize(("state", "reason"), [("down", "endpoint_down"), ("absent", "degraded")])
def test_packets_to_an_interface_that_is_down_or_not_there_in_a_replay(tmp_path: Path, state: str, reason: str) -> None:
    recording = ROOT / "test" / "recordings" / "quickstart.felixstream"
    frontend, backend = "10.244.10.11", "10.244.10.13"
    packets = tmp_path / "packets.json"
    packets.write_text(json.dumps([{"id": "to", "proto": "tcp", "src": frontend, "dst": backend, "dport": 9090}]))
    open_ = replay(Options(str(recording), packets=str(packets))).answer
    assert open_["packets"][0]["verdict"] == "allow" and open_["degraded"] == []
    interface = next(each["interface"] for each in listed("endpoints", recording) if f"{backend}/32" in each["ips"] or backend in each["ips"])
    ports = tmp_path / "ports.json"
    ports.write_text(json.dumps([{"name": interface, "kind": "workload", "state": state}]))
    closed = replay(Options(str(recording), packets=str(packets), ports=str(ports))).answer
    assert (closed["packets"][0]["verdict"], closed["packets"][0]["reason"]) == ("deny", reason)
    assert [(entry["effect"], entry["direction"]) for entry in closed["degraded"]] == [("pending", "both")] and closed["converged"]


def listed(kind: str, recording: Path) -> list[dict[str, Any]]:
    scene = replayed(str(recording))
    try:
        found: list[dict[str, Any]] = answer(scene, "get", {"kind": kind})
        return found
    finally:
        scene.close()
