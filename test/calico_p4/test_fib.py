"""The kernel's routes mirrored: from a recorded netlink dump, by events made up, and from a BGP daemon between namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_p4.fib import PROTOCOLS, Fib, LiveFib, apply, protocols_of
from calico_p4.live import Live
from datastore.allocator import Allocator
from datastore.fib import FibRoute
from felix_proto.types import Encapsulation, HostMetadataUpdate, IPPoolType, RouteUpdate
from test.support.namespaces import LINKS, Machines, missing, until
from test.support.reach import NODE, Node

pytest.importorskip("pyroute2", reason="pyroute2 is not installed (the extra netlink)")
DATA = Path(__file__).parent / "data"
BIRD = frozenset({PROTOCOLS["bird"]})


def recorded(name: str) -> list[Any]:
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    return list(MarshalRtnl().parse((DATA / name).read_bytes()))


def mirrored(protocols: frozenset[int] = BIRD) -> dict[str, FibRoute]:
    """What `bird.netlink` holds: interfaces, then the routes of both families, as the kernel dumped them."""
    fib, found = Fib(protocols), {}
    messages = recorded("bird.netlink")
    fib.links(messages)
    for prefix, route in fib.start(messages):
        assert route is not None
        found[prefix] = route
    return found


def test_a_recorded_dump() -> None:
    peer, peer_v6 = LINKS[0][1], LINKS[1][1]
    assert mirrored() == {
        "10.244.2.0/26": FibRoute("10.244.2.0/26", peer, "eth0"), "10.244.9.0/26": FibRoute("10.244.9.0/26", peer, "eth0"),
        "fd00:10:244:2::/122": FibRoute("fd00:10:244:2::/122", peer_v6, "eth0"),
        "10.244.1.0/26": FibRoute("10.244.1.0/26", blackhole=True), "fd00:10:244:1::/122": FibRoute("fd00:10:244:1::/122", blackhole=True),
    }  # fmt: skip


def test_other_protocols_are_others() -> None:
    assert not mirrored(frozenset())
    kernel = mirrored(frozenset({PROTOCOLS["kernel"]}))
    assert set(kernel) == {"192.0.2.0/24", "2001:db8::/64", "fe80::/64"}, "connected subnets; not what stands in the table `local`"


@pytest.mark.parametrize(("text", "wanted"), [("bird", {12}), ("12, bgp", {12, 186}), ("zebra,zebra", {11})])
def test_protocols(text: str, wanted: set[int]) -> None:
    assert protocols_of(text) == wanted


@pytest.mark.parametrize("text", ["bird2", "256", "-1", "1.5"])
def test_no_protocol(text: str) -> None:
    with pytest.raises(ValueError, match="is no routing protocol"):
        protocols_of(text)


class Message(dict[str, Any]):
    """A netlink message as pyroute2 gives it."""

    def get_attr(self, name: str) -> Any:
        return self.get(name)


def route(dst: str, gateway: str = "192.0.2.12", metric: int = 32, event: str = "RTM_NEWROUTE", **fields: Any) -> Message:
    address, _, length = dst.partition("/")
    given = {"event": event, "family": 10 if ":" in dst else 2, "dst_len": int(length), "proto": 12, "table": 254, "type": 1, "RTA_DST": address,
             "RTA_GATEWAY": gateway, "RTA_OIF": 2, "RTA_PRIORITY": metric}  # fmt: skip
    return Message({**given, **fields})


def started() -> Fib:
    fib = Fib(BIRD)
    fib.links([Message(event="RTM_NEWLINK", index=2, IFLA_IFNAME="eth0")])
    assert not list(fib.start([]))
    return fib


def test_events() -> None:
    fib = started()
    first, second = FibRoute("10.1.0.0/24", "192.0.2.12", "eth0"), FibRoute("10.1.0.0/24", "192.0.2.13", "eth0")
    assert list(fib.follow([route("10.1.0.0/24")])) == [("10.1.0.0/24", first)]
    assert list(fib.follow([route("10.1.0.0/24")])) == []
    assert list(fib.follow([route("10.1.0.0/24", "192.0.2.13", 10)])) == [("10.1.0.0/24", second)], "the lower metric counts"
    assert list(fib.follow([route("10.1.0.0/24", "192.0.2.13", 10, "RTM_DELROUTE")])) == [("10.1.0.0/24", first)]
    assert list(fib.follow([route("10.1.0.0/24", "192.0.2.99", 32, "RTM_DELROUTE")])) == [], "not the one that is there"
    assert list(fib.follow([route("10.1.0.0/24", event="RTM_DELROUTE")])) == [("10.1.0.0/24", None)]
    for other in ({"proto": 4}, {"table": 100}, {"RTA_TABLE": 1000}, {"type": 2}, {"family": 7}):
        assert list(fib.follow([route("10.2.0.0/24", **other)])) == [], other


def test_a_dump_after_an_overrun_takes_back_what_is_gone() -> None:
    fib = started()
    list(fib.follow([route("10.1.0.0/24"), route("10.2.0.0/24")]))
    assert dict(fib.start([route("10.2.0.0/24"), route("10.3.0.0/24")])) == {"10.1.0.0/24": None, "10.3.0.0/24": FibRoute("10.3.0.0/24", "192.0.2.12", "eth0")}


# --- rows ----------------------------------------------------------------------------------------------------------------------------------

HOSTS = [HostMetadataUpdate(NODE, "192.0.2.11/24"), HostMetadataUpdate("node-b", "192.0.2.12/24")]


def mirror(node: Node, *routes: FibRoute, gone: tuple[str, ...] = ()) -> None:
    apply(node.store.fib, [*((each.dst, each) for each in routes), *((prefix, None) for prefix in gone)])
    node.apply()


def test_rows_of_mirrored_routes() -> None:
    node = Node(*HOSTS)
    before = node.named()
    mirror(node, FibRoute("10.244.2.0/26", "192.0.2.12", "eth0"), FibRoute("10.244.1.0/26", blackhole=True), FibRoute("0.0.0.0/0", "192.0.2.1", "eth0"),
           FibRoute("10.244.3.0/26", "192.0.2.13", "eth0"), FibRoute("192.0.2.0/24", "", "eth0"))  # fmt: skip
    routes = node.table("route_v4")
    assert routes == {"0.0.0.0/0": ("to_uplink", "via:192.0.2.1"), "192.0.2.0/24": ("to_uplink", "uplink:eth0"), "10.244.1.0/26": ("blackhole",),
                      "10.244.2.0/26": ("to_uplink", "node:node-b/v4"), "10.244.3.0/26": ("to_uplink", "via:192.0.2.13")}  # fmt: skip
    node.apply(HostMetadataUpdate("node-c", "192.0.2.13/24"))
    assert node.table("route_v4")["10.244.3.0/26"] == ("to_uplink", "node:node-c/v4")
    mirror(node, gone=("10.244.2.0/26", "10.244.1.0/26", "0.0.0.0/0", "10.244.3.0/26", "192.0.2.0/24"))
    assert node.named() == before


def test_what_the_stream_says_comes_first() -> None:
    node = Node(*HOSTS)
    mirror(node, FibRoute("10.244.2.0/26", "192.0.2.99", "eth0"))
    node.apply(RouteUpdate("10.244.2.0/26", 1, IPPoolType.NO_ENCAP, "node-b", "192.0.2.12"))
    assert node.table("route_v4")["10.244.2.0/26"] == ("to_uplink", "node:node-b/v4")


def test_ipip_by_the_daemon_and_tunnels_that_are_none_of_ours() -> None:
    """A daemon that routes by tunl0 asks for IP in IP to the gateway; what goes by WireGuard's device is dropped and named."""
    node = Node(*HOSTS, Encapsulation(ipip_enabled=True))
    mirror(node, FibRoute("10.244.2.0/26", "192.0.2.12", "tunl0"), FibRoute("10.244.3.0/26", "192.0.2.12", "wireguard.cali"))
    assert node.table("route_v4")["10.244.2.0/26"] == ("to_tunnel", "ipip:node:node-b/v4")
    assert node.table("tunnel_source_v4") == {"10.244.2.0/26": ("behind", "node-b")}
    assert node.table("route_v4")["10.244.3.0/26"] == ("blackhole",)
    (entry,) = node.degraded()
    assert entry.object == "Fib 10.244.3.0/26"


# --- a real daemon ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    reason = missing()
    if reason:
        pytest.skip(f"no BGP daemon between namespaces: {reason}")
    made = Machines(tmp_path)
    yield made
    made.close()


OWN, OTHERS = ("10.244.1.0/26", "fd00:10:244:1::/122"), ("10.244.2.0/26", "10.244.9.0/26", "fd00:10:244:2::/122")


def test_what_a_bgp_daemon_fills_is_mirrored(machines: Machines, request: pytest.FixtureRequest) -> None:
    live = Live("unix:/nowhere", Allocator(), [], lambda frame: None)
    store, work = live.driver.store, []
    follower = LiveFib("bird", live.driver, work.append, machines.names[0])

    def leads() -> dict[str, str]:
        while work:
            work.pop(0)()
        return {prefix: "blackhole" if each.blackhole else each.gateway for prefix, each in store.fib.items()}

    machines.start(0, OWN)
    follower.start()
    request.addfinalizer(follower.stop)
    assert until(lambda: set(leads()) == set(OWN)), leads()
    machines.start(1, OTHERS)
    peers = {block: LINKS[":" in block][1] for block in OTHERS}
    assert until(lambda: leads() == {**dict.fromkeys(OWN, "blackhole"), **peers}), leads()
    machines.announce(1, OTHERS[1:])
    assert until(lambda: set(leads()) == {*OWN, *OTHERS[1:]}), leads()
    if os.environ.get("CALICO_P4_RECORD_NETLINK"):
        machines.announce(1, OTHERS)
        assert until(lambda: set(leads()) == {*OWN, *OTHERS})
        (DATA / "bird.netlink").write_bytes(dump(machines.names[0]))


def dump(netns: str) -> bytes:
    """The kernel's own answers, as they came: interfaces, then the routes of each family."""
    import subprocess
    import sys

    program = """
import os, socket, struct
links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
links.settimeout(2)
for kind, family, size in ((18, 0, 16), (26, 2, 12), (26, 10, 12)):
    body = struct.pack("B", family) + bytes(size - 1)
    links.send(struct.pack("=IHHII", 16 + size, kind, 0x301, 1, 0) + body)
    done = False
    while not done:
        data = links.recv(1 << 20)
        kinds, at = [], 0
        while at < len(data):
            length, what = struct.unpack_from("=IH", data, at)
            kinds.append(what)
            if what != 3:
                os.write(1, data[at : at + length])
            at += length + 3 & ~3
        done = 3 in kinds
"""
    return subprocess.run(["ip", "netns", "exec", netns, sys.executable, "-c", program], check=True, capture_output=True).stdout
