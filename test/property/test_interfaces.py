"""Whatever happens to the kernel's interfaces: what was followed is what a list tells, and rows are those of a driver that comes later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_p4.interfaces import Interfaces
from calico_p4.port_rules import rules_of
from datastore.allocator import Allocator
from test.support.reach import Node, endpoint, gone

pytest.importorskip("pyroute2", reason="pyroute2 is not installed (the extra netlink)")
from test.support import kernel
from test.support.kernel import DOWN, FAILED, GONE, NO_CARRIER, REACHABLE, UP, parsed

NAMES = ("eth0", "eth1", "cali1", "cali2")
ADDRESSES = ("192.0.2.1/24", "198.51.100.1/24", "2001:db8::1/64")
NEIGHBOURS = ("192.0.2.7", "198.51.100.7", "2001:db8::7", "10.244.1.1")
RULES = "eth*=uplink"
EVENTS = st.one_of(
    st.tuples(st.just("link"), st.integers(1, 3), st.sampled_from(NAMES), st.sampled_from([UP, NO_CARRIER, DOWN])),
    st.tuples(st.just("end"), st.integers(1, 3)),
    st.tuples(st.just("address"), st.integers(1, 3), st.sampled_from(ADDRESSES), st.booleans()),
    st.tuples(st.just("neighbour"), st.integers(1, 3), st.sampled_from(NEIGHBOURS), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("route"), st.integers(1, 3), st.sampled_from(("192.0.2.7", "198.51.100.7")), st.booleans()),
    st.tuples(st.just("pod"), st.integers(1, 2), st.booleans()),
)


class World:
    """What a kernel holds: it takes no word on interfaces it does not have, and two of one name at once it never has."""

    def __init__(self) -> None:
        self.links: dict[int, bytes] = {}
        self.names: dict[int, str] = {}
        self.beside: dict[tuple[Any, ...], bytes] = {}

    def happens(self, event: tuple[Any, ...]) -> list[bytes]:
        """Carry an event out; what is told of it."""
        what, index, *more = event
        if what == "link":
            if more[0] in (name for at, name in self.names.items() if at != index):
                return []
            self.names[index], self.links[index] = more[0], kernel.link(index, more[0], more[1])
            return [self.links[index]]
        if index not in self.links:
            return []
        if what == "end":
            name = self.names.pop(index)
            del self.links[index]
            routes = [key for key in self.beside if key[:2] == ("route", index)]
            said = [kernel.default_route(index, key[2], what=GONE) for key in routes]
            self.beside = {key: message for key, message in self.beside.items() if key[1] != index}
            return [*said, kernel.link(index, name, what=GONE)]
        return self._beside(what, index, *more)

    def _beside(self, what: str, index: int, text: str, *more: Any) -> list[bytes]:
        there, key = more[-1], (what, index, text)
        if what == "route":  # the kernel has one default route of a metric
            if there:
                self.beside = {other: message for other, message in self.beside.items() if other[0] != "route"}
            elif key not in self.beside:
                return []
            told = kernel.default_route(index, text, what=kernel.NEW if there else GONE)
        elif what == "address":
            told = kernel.address(index, text, kernel.NEW if there else GONE)
        else:
            told = kernel.neighbour(index, text, f"02:00:00:00:00:{more[0]:02x}", REACHABLE if there else FAILED)
        self.beside.pop(key, None)
        if there:
            self.beside[key] = told
        return [told]

    def list(self) -> list[bytes]:
        """Everything."""
        return [*self.links.values(), *self.beside.values()]


class Following:
    """A node that watches a kernel."""

    def __init__(self, *listed: bytes) -> None:
        self.node, self.interfaces = Node(allocator=Allocator()), Interfaces()
        self.node.ports.watch(rules_of(RULES))
        self.told: dict[str, Any] = {}
        self._follow(self.interfaces.start(parsed(*listed)))

    def happens(self, *messages: bytes) -> None:
        self._follow(self.interfaces.follow(parsed(*messages)))

    def _follow(self, changes: Any) -> None:
        changed = dict(changes)
        self.told = {name: each for name, each in {**self.told, **changed}.items() if each is not None}
        self.node.ports.follow(changed)
        self.node.apply()
        self.node.rest()


def pod(number: int) -> Any:
    return endpoint(f"shop/{number}", f"cali{number}", [f"10.244.1.{number}/32"])


BEFORE: list[tuple[Any, ...]] = [
    ("link", 1, "eth0", UP), ("link", 2, "eth1", UP), ("link", 3, "cali1", UP), ("address", 1, ADDRESSES[0], True), ("address", 2, ADDRESSES[1], True),
    ("neighbour", 1, NEIGHBOURS[0], 1, True), ("neighbour", 2, NEIGHBOURS[1], 2, True), ("neighbour", 3, NEIGHBOURS[3], 3, True),
    ("route", 1, NEIGHBOURS[0], True), ("pod", 1, True),
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(EVENTS, min_size=1, max_size=4), min_size=1, max_size=10))
def test_followed_is_listed(batches: list[list[tuple[Any, ...]]]) -> None:
    world, following, pods = World(), Following(), set[int]()
    for batch in [BEFORE, *batches]:
        messages: list[bytes] = []
        for event in batch:
            if event[0] == "pod":
                following.node.apply(pod(event[1]) if event[2] else gone(f"shop/{event[1]}"))
                (pods.add if event[2] else pods.discard)(event[1])
            else:
                messages += world.happens(event)
        following.happens(*messages)
    later = Following(*world.list())
    later.node.apply(*map(pod, sorted(pods)))
    later.node.rest()
    assert following.told == later.told
    assert following.node.named() == later.node.named()
    assert following.node.degraded() == later.node.degraded()
