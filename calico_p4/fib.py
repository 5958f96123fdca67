"""The kernel's routes that a BGP daemon fills, for clusters whose Felix sends no routes (contract 4.1).

Read over netlink: the main table's routes of chosen protocols (numbers as in /etc/iproute2/rt_protos), first all of them, then changes.
Of several routes to one prefix the one with the lowest metric counts, of several next hops the first. Overrun by events (or cut off from
them), it reads everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from calico_p4 import netlink
from calico_p4.driver import Driver
from datastore.fib import FibRoute

PROTOCOLS = {"redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "zebra": 11, "bird": 12, "dhcp": 16, "bgp": 186, "isis": 187, "ospf": 188}
MAIN_TABLE = 254
_UNICAST, _DROPS = 1, (6, 7, 8)  # blackhole, unreachable, prohibit
_NEW, _GONE = "RTM_NEWROUTE", "RTM_DELROUTE"
_ANY = {2: "0.0.0.0", 10: "::"}
_OBJECT = "Fib"

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

    def start(self, messages: Sequence[Any]) -> Iterator[Change]:
        """Take in a dump of everything, interfaces first; yields what differs from before."""
        self.links(messages)
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


class LiveFib(netlink.Follower):
    """Feeds a driver's store with the kernel's routes."""

    def __init__(self, protocols: str, driver: Driver, put: Callable[[Callable[[], None]], None], netns: str | None = None) -> None:
        """``put`` has something done by the driver's own loop; ``netns``: see `netlink.Follower`. Raises ValueError: unknown protocol, or the
        extra is not installed."""
        if find_spec("pyroute2") is None:
            raise ValueError("CALICO_P4_FIB needs the extra: pip install 'calico-p4[netlink]'")
        lists = [(netlink.LINKS, netlink.ANY), (netlink.ROUTES, netlink.V4), (netlink.ROUTES, netlink.V6)]
        groups = netlink.LINK_GROUP | netlink.ROUTE_GROUPS
        mirror = Fib(protocols_of(protocols))
        super().__init__(_OBJECT, groups, lists, mirror, lambda changes: apply(driver.store.fib, changes.items()), driver, put, netns)


def apply(fib: Any, changes: Iterable[Change]) -> None:
    """Put changes into a store's ``fib``."""
    for prefix, route in changes:
        if route is None:
            fib.remove(prefix)
        else:
            fib.put(prefix, route)
