"""Netlink followed: a kernel made of bytes that loses events and interrupts lists, and the real one in a network namespace."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from calico_p4 import netlink
from calico_p4.admin.client import AdminClient
from calico_p4.live import Live
from calico_p4.switch import connect
from datastore.allocator import Allocator
from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import encode_frame

pytest.importorskip("pyroute2", reason="pyroute2 is not installed (the extra netlink)")
from test.support import kernel
from test.support.driven import driver
from test.support.kernel import DOWN, GONE, Kernel
from test.support.namespaces import Namespace, no_namespaces, until
from test.support.target import embedded_only, running_target

WAIT_S = 30.0


class Watching:
    """A driver without a target that watches a made-up kernel; its loop is this test."""

    def __init__(self, there: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(netlink, "_socket", there.socket)
        monkeypatch.setattr(netlink, "AGAIN_S", 0.05)
        monkeypatch.setattr(netlink, "LOST_S", 0.05)
        self.work: list[Callable[[], None]] = []
        live = Live("unix:/nowhere", Allocator(), [], lambda frame: None)
        self.ports, self._driver = live.driver.ports, live.driver
        self.heard: list[dict[str, Any]] = []
        from calico_p4.live_interfaces import LiveInterfaces

        self.follower = follower = LiveInterfaces("*=uplink", live.driver, self.work.append)
        taken = self.ports.follow
        monkeypatch.setattr(follower, "_apply", lambda changes: (self.heard.append(dict(changes)), taken(changes)))
        follower.start()

    def settle(self) -> set[str]:
        """Do what waits; the interfaces that carry."""
        while self.work:
            self.work.pop(0)()
        assert self.ports._watched is not None
        return {name for name, each in self.ports._watched._interfaces.items() if each.up}

    def problems(self) -> set[str]:
        self.settle()
        return {entry.reason for entry in self._driver.messages.values()}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Kernel], Watching]]:
    made: list[Watching] = []

    def watch(there: Kernel) -> Watching:
        made.append(Watching(there, monkeypatch))
        return made[-1]

    yield watch
    for each in made:
        each.follower.stop()


Watch = Callable[[Kernel], Watching]


def test_a_list_then_events(watch: Watch) -> None:
    there = Kernel(kernel.link(1, "a"), kernel.link(2, "b", DOWN))
    watching = watch(there)
    assert until(lambda: watching.settle() == {"a"}, WAIT_S)
    there.tell(kernel.link(2, "b"), kernel.link(3, "c"))
    assert until(lambda: watching.settle() == {"a", "b", "c"}, WAIT_S)
    there.tell(kernel.link(1, "a", what=GONE))
    assert until(lambda: watching.settle() == {"b", "c"}, WAIT_S)


def test_an_empty_list_is_told_too(watch: Watch) -> None:
    watching = watch(Kernel())
    assert not watching.ports.known
    assert until(lambda: watching.settle() == set() and watching.ports.known, WAIT_S)


def test_lost_events_are_made_good_by_a_list(watch: Watch) -> None:
    there = Kernel(kernel.link(1, "a"))
    watching = watch(there)
    assert until(lambda: watching.settle() == {"a"}, WAIT_S)
    lists = there.listed
    there.there = [kernel.link(2, "b")]
    there.lose()
    assert until(lambda: watching.settle() == {"b"}, WAIT_S) and there.listed > lists
    there.tell(kernel.link(3, "c"))
    assert until(lambda: watching.settle() == {"b", "c"}, WAIT_S), "and events go on"


def test_a_list_that_was_cut_through_is_asked_for_again(watch: Watch) -> None:
    there = Kernel(kernel.link(1, "a"))
    there.interrupted = 2
    watching = watch(there)
    assert until(lambda: watching.settle() == {"a"}, WAIT_S)
    assert there.listed >= 7, "two of the first kind, then all five"


def test_a_refusal_is_told_and_tried_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Kernel(kernel.link(1, "a"))
    there.refuses = 1
    monkeypatch.setattr(netlink.Follower, "_fail", told := _Told(netlink.Follower._fail))
    watching = watch(there)
    assert until(lambda: watching.settle() == {"a"}, WAIT_S)
    assert told.errors == ["[Errno 1] netlink request 18: error 1"] and watching.problems() == set(), "mended"


class _Told:
    def __init__(self, then: Callable[..., None]) -> None:
        self.errors: list[str] = []
        self._then = then

    def __get__(self, instance: Any, _owner: type) -> Callable[[Exception], None]:
        def fail(error: Exception) -> None:
            self.errors.append(str(error))
            self._then(instance, error)

        return fail


def test_what_waits_is_bounded_by_what_there_is(watch: Watch) -> None:
    """A driver that is busy finds the newest of each interface, once, however often it changed."""
    there = Kernel(kernel.link(1, "a"), kernel.link(2, "b"))
    watching = watch(there)
    assert until(lambda: watching.settle() == {"a", "b"}, WAIT_S)
    told = len(watching.heard)
    for _ in range(500):
        there.tell(kernel.link(1, "a", DOWN), kernel.link(1, "a"), kernel.link(2, "b", DOWN))
    there.tell(kernel.link(3, "end"))
    assert until(lambda: len(watching.work) == 1, WAIT_S)
    assert until(lambda: not there._events.queue, WAIT_S)  # type: ignore[union-attr]
    assert until(lambda: watching.settle() == {"a", "end"}, WAIT_S)
    assert len(watching.heard) - told <= 3 and all(len(changes) <= 3 for changes in watching.heard)


# --- the real kernel -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> Iterator[Namespace]:
    if reason := no_namespaces():
        pytest.skip(f"no kernel of one's own: {reason}")
    with Namespace() as made:
        yield made


def message(**payload: Any) -> bytes:
    return encode_frame(pb.ToDataplane(**payload).SerializeToString())


def endpoint(name: str) -> bytes:
    key = pb.WorkloadEndpointID(orchestrator_id="k8s", workload_id=f"shop/{name}", endpoint_id="eth0")
    found = pb.WorkloadEndpoint(state="active", name=f"cali{name}", ipv4_nets=[f"10.244.1.{ord(name) - 96}/32"])
    return message(workload_endpoint_update=pb.WorkloadEndpointUpdate(id=key, endpoint=found))


def host_endpoint(name: str, interface: str, *addresses: str) -> bytes:
    found = pb.HostEndpoint(name=interface, expected_ipv4_addrs=addresses)
    return message(host_endpoint_update=pb.HostEndpointUpdate(id=pb.HostEndpointID(endpoint_id=name), endpoint=found))


def ports_of(address: str) -> dict[str, int]:
    switch = connect(address)
    try:
        assert switch.bench is not None
        return dict(switch.bench.ports())
    finally:
        switch.close()


@embedded_only("it numbers the ports, and is asked for them")
def test_endpoints_follow_their_interfaces_under_felix(node: Namespace, tmp_path: Path) -> None:
    node.cable("eth0", "there")
    node.run("addr", "add", "192.0.2.11/24", "dev", "eth0")
    node.cable("calia", "poda")
    settings = {"CALICO_P4_INTERFACES": "eth*=uplink,pod*=none"}
    with running_target(tmp_path) as address, driver(tmp_path, address, ("ip", "netns", "exec", node.name), **settings) as felix:
        felix.send(message(config_update=pb.ConfigUpdate(config={"FelixHostname": "node-a"})))
        felix.send(b"".join(map(endpoint, "abc")) + host_endpoint("named", "eth0") + host_endpoint("by-address", "", "198.51.100.4"))
        felix.send(message(in_sync=pb.InSync()))

        def become(**wanted: str) -> bool:
            wanted = {name if len(name) > 1 else f"shop/{name}": status for name, status in wanted.items()}
            found = {**felix.statuses(), **{name.replace("-", "_"): status for name, status in felix.host_statuses().items()}}
            return all(found.get(name) == status for name, status in wanted.items())

        def wait(**wanted: str) -> None:
            assert until(lambda: become(**wanted), WAIT_S), (wanted, felix.statuses(), felix.host_statuses(), felix.log())

        wait(a="up", b="down", c="down", named="up", by_address="error")
        node.cable("calib", "podb")
        wait(a="up", b="up", c="down")
        node.run("link", "set", "poda", "down")  # calia loses its carrier
        wait(a="down", b="up")
        node.run("link", "set", "poda", "up")
        wait(a="up")
        node.run("link", "del", "calib")
        wait(b="down")
        node.cable("eth1", "far")
        node.run("addr", "add", "198.51.100.4/24", "dev", "eth1")
        wait(by_address="up")
        node.run("link", "set", "far", "down")
        wait(by_address="down", named="up")
        node.run("addr", "del", "198.51.100.4/24", "dev", "eth1")
        wait(by_address="error")
        node.cable("x", "podc")
        node.run("link", "set", "x", "down")
        node.run("link", "set", "x", "name", "calic")
        node.run("link", "set", "calic", "up")
        wait(c="up", a="up", named="up")
        client = AdminClient(f"unix:{tmp_path / 'admin.sock'}")
        states = {port["name"]: port["state"] for port in client.ask("get", {"kind": "ports"})}
        assert states == {"calia": "up", "calic": "up", "eth0": "up", "eth1": "down", "host": "up"}
        traced = client.ask("trace", {"source": "shop/a", "to": "shop/c", "verify": "embedded"})
        assert traced["verified"]["differences"] == [], "a driver that is given these ports decides the same"
        assert {"calia", "calic", "eth0", "eth1"} <= ports_of(address).keys() and "poda" not in ports_of(address)


def test_the_real_kernel_loses_events_and_is_asked_again(node: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket with no room, and a reader that is held up: in the end what is known is what there is."""
    monkeypatch.setattr(netlink, "ROOM_BYTES", 1)
    monkeypatch.setattr(netlink, "LOST_S", 0.01)
    for number in range(4):
        node.cable(f"v{number}", f"w{number}")
    lost: list[str] = []
    made = netlink.Lost.__init__
    monkeypatch.setattr(netlink.Lost, "__init__", lambda self, reason: (lost.append(reason), made(self, reason))[1])
    live = Live("unix:/nowhere", Allocator(), [], lambda frame: None, interfaces="v*=uplink,w*=none", netns=node.name)
    (follower,) = live._kernel
    work: list[Callable[[], None]] = []
    monkeypatch.setattr(follower, "_put", work.append)
    hear = follower.hear

    def slowly(changes: Any) -> None:
        time.sleep(0.2)
        hear(changes)

    monkeypatch.setattr(follower, "hear", slowly)
    follower.start()

    def up() -> dict[str, bool]:
        while work:
            work.pop(0)()
        return {name: each.up for name, each in live.driver.ports._watched._interfaces.items() if name.startswith("v")}  # type: ignore[union-attr]

    assert until(lambda: up() == dict.fromkeys(("v0", "v1", "v2", "v3"), True), WAIT_S), up()
    node.batch([f"link set v{number % 4} {state}" for number in range(200) for state in ("down", "up")])
    node.batch(["link set v1 down", "link del v2"])
    try:
        assert until(lambda: "the kernel dropped events" in lost, WAIT_S), lost
        assert until(lambda: up() == {"v0": True, "v1": False, "v3": True}, WAIT_S), up()
    finally:
        follower.stop()


def test_neighbours_and_gateways_of_the_real_kernel(node: Namespace) -> None:
    from calico_p4.interfaces import Interfaces
    from calico_p4.live_interfaces import _LISTS

    node.cable("eth0", "there")
    node.run("addr", "add", "192.0.2.11/24", "dev", "eth0")
    node.run("addr", "add", "2001:db8::11/64", "dev", "eth0", "nodad")
    node.run("neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
    node.run("route", "add", "default", "via", "192.0.2.1")
    heard: list[Any] = []

    class Enough(Exception):
        """Seen what there is to see."""

    def hear(changes: list[Any]) -> None:
        heard.extend(changes)
        raise Enough

    with pytest.raises(Enough):
        node.inside(lambda: netlink.listen(0, _LISTS, Interfaces(), hear, Event()))
    eth0 = dict(heard)["eth0"]
    assert (eth0.kind, eth0.up, eth0.addresses) == ("veth", True, ("192.0.2.11/24", "2001:db8::11/64"))
    assert eth0.neighbours == (("192.0.2.1", 0x020000000009),) and eth0.gateway == 0x020000000009
    shown = subprocess.run(["ip", "-n", node.name, "-o", "link", "show", "eth0"], check=True, capture_output=True, text=True).stdout
    assert eth0.mac.to_bytes(6).hex(":") in shown and shown.startswith(f"{eth0.ifindex}:")
