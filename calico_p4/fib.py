"""The kernel's routes that a BGP daemon fills, for clusters whose Felix sends no routes (contract 4.1).

Read over netlink: the main table's routes of chosen protocols (numbers as in /etc/iproute2/rt_protos), first all of them, then changes.
Of several routes to one prefix the one with the lowest metric counts, of several next hops the first. Overrun by events (or cut off from
them), it reads everything again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from calico_p4.degraded import Degraded
from calico_p4.driver import Driver
from calico_p4.log import get_logger
from datastore.fib import FibRoute

PROTOCOLS = {"redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "zebra": 11, "bird": 12, "dhcp": 16, "bgp": 186, "isis": 187, "ospf": 188}
MAIN_TABLE = 254
_UNICAST, _DROPS = 1, (6, 7, 8)  # blackhole, unreachable, prohibit
_NEW, _GONE = "RTM_NEWROUTE", "RTM_DELROUTE"
_ANY = {2: "0.0.0.0", 10: "::"}
_OBJECT = "Fib"
AGAIN_S = 5.0
"""After how long a netlink socket that failed is opened again."""
MAX_BATCHES = 64
"""Batches of changes that wait for the driver; then the kernel's events wait, and may overrun."""

Change = tuple[str, FibRoute | None]
"""A prefix, and its route; None: it has none any more."""


def protocols_of(text: str) -> frozenset[int]:
    """Read "bird,186". Raises ValueError for what is neither a name nor a number up to 255."""
    found = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        number = PROTOCOLS.get(word, int(word) if word.isascii() and word.isdigit() else -1)
        if not 0 <= number <= 255:
            raise ValueError(f"{word!r} is no routing protocol: a number up to 255, or {', '.join(sorted(PROTOCOLS))}")
        found.add(number)
    return frozenset(found)


class Fib:
    """What the kernel holds, by prefix and metric: fed with netlink messages, it tells what changes."""

    def __init__(self, protocols: frozenset[int]) -> None:
        self._protocols = protocols
        self._links: dict[int, str] = {}
        self._routes: dict[str, dict[int, FibRoute]] = {}

    def links(self, messages: Iterable[Any]) -> None:
        """Take in interfaces and their names."""
        for message in messages:
            if message.get("event") == "RTM_NEWLINK":
                self._links[message["index"]] = message.get_attr("IFLA_IFNAME")

    def start(self, messages: Iterable[Any]) -> Iterator[Change]:
        """Take in a dump of everything; yields what differs from before."""
        before = {prefix: self._best(prefix) for prefix in self._routes}
        self._routes = {}
        for message in messages:
            self._take(message)
        for prefix in before.keys() | self._routes.keys():
            now = self._best(prefix)
            if now != before.get(prefix):
                yield prefix, now

    def follow(self, messages: Sequence[Any]) -> Iterator[Change]:
        """Take in events; yields what they change."""
        self.links(messages)
        for message in messages:
            before = self._best(prefix) if (prefix := _prefix(message)) else None
            self._take(message)
            if prefix and (now := self._best(prefix)) != before:
                yield prefix, now

    def _take(self, message: Any) -> None:
        prefix = _prefix(message)
        if not prefix or message["proto"] not in self._protocols or (message.get_attr("RTA_TABLE") or message["table"]) != MAIN_TABLE:
            return
        metrics = self._routes.setdefault(prefix, {})
        metric = message.get_attr("RTA_PRIORITY") or 0
        if message["event"] == _NEW and (route := self._read(message, prefix)) is not None:
            metrics[metric] = route
        elif message["event"] == _GONE and metrics.get(metric) == self._read(message, prefix):
            metrics.pop(metric, None)
        if not metrics:
            del self._routes[prefix]

    def _read(self, message: Any, prefix: str) -> FibRoute | None:
        if message["type"] in _DROPS:
            return FibRoute(prefix, blackhole=True)
        if message["type"] != _UNICAST:
            return None
        hops = message.get_attr("RTA_MULTIPATH") or [message]
        via = hops[0].get_attr("RTA_VIA")
        gateway = hops[0].get_attr("RTA_GATEWAY") or (via["addr"] if via else "")
        index = message.get_attr("RTA_OIF") if hops[0] is message else hops[0]["oif"]
        return FibRoute(prefix, gateway or "", self._links.get(index, ""))

    def _best(self, prefix: str) -> FibRoute | None:
        metrics = self._routes.get(prefix)
        return metrics[min(metrics)] if metrics else None


def _prefix(message: Any) -> str:
    """The prefix that a message about a route is about, "" for one about something else."""
    if message.get("event") not in (_NEW, _GONE) or message["family"] not in _ANY:
        return ""
    return f"{message.get_attr('RTA_DST') or _ANY[message['family']]}/{message['dst_len']}"


def follow(protocols: frozenset[int], hear: Callable[[list[Change]], None], netns: str | None = None) -> None:
    """Tell of the kernel's routes for ever, from whatever thread calls it. Raises OSError (netlink) and ImportError (no pyroute2).

    ``netns`` is a network namespace of that name; None: the program's own.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.rtnl import RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, RTMGRP_LINK

    fib = Fib(protocols)
    while True:
        with IPRoute(netns=netns) as events, IPRoute(netns=netns) as asking:
            events.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
            fib.links(asking.get_links())
            hear(list(fib.start(message for family in _ANY for message in asking.get_routes(family=family))))
            try:
                while True:
                    if changes := list(fib.follow(list(events.get()))):
                        hear(changes)
            except OSError as error:
                get_logger().error("routes of the kernel are read again", error=str(error))


class LiveFib:
    """Feeds a driver's store with the kernel's routes."""

    def __init__(self, protocols: str, driver: Driver, put: Callable[[Callable[[], None]], None], netns: str | None = None) -> None:
        """``put`` has something done by the driver's own loop. Raises ValueError: unknown protocol, or the extra is not installed."""
        if find_spec("pyroute2") is None:
            raise ValueError("CALICO_P4_FIB needs the extra: pip install 'calico-p4[fib]'")
        self._protocols, self._driver, self._put, self._netns = protocols_of(protocols), driver, put, netns
        self._room = threading.Semaphore(MAX_BATCHES)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow, in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fib", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                follow(self._protocols, self._hear, self._netns)
            except Exception as error:  # noqa: BLE001 - whatever netlink says: the routes there are stay, and it is said
                problem = Degraded(_OBJECT, f"the kernel's routes can't be read: {error}", "partial")
                self._put(lambda problem=problem: self._driver.note_message(problem))  # type: ignore[misc]
                get_logger().error("the kernel's routes can't be read", error=str(error))
            pause.wait(AGAIN_S)

    def _hear(self, changes: list[Change]) -> None:
        """Runs in the thread."""
        self._room.acquire()
        self._put(lambda: self._apply(changes))

    def _apply(self, changes: list[Change]) -> None:
        self._room.release()
        self._driver.messages.pop(_OBJECT, None)
        apply(self._driver.store.fib, changes)


def apply(fib: Any, changes: Iterable[Change]) -> None:
    """Put changes into a store's ``fib``."""
    for prefix, route in changes:
        if route is None:
            fib.remove(prefix)
        else:
            fib.put(prefix, route)
