"""The node's network interfaces as the kernel has them: state, MAC, addresses, neighbours, and the gateway behind each.

Fed with netlink messages (`netlink.Mirror`), tells by name what changes. Up means that it is switched on and has a carrier (IFF_UP and
IFF_RUNNING). Addresses and neighbours of the link's own scope (fe80::) lead nowhere and are left out, but for a gateway's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple

MAIN_TABLE = 254
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_FAMILIES = (2, 10)
_VALID = 0xDE
"""States of a neighbour whose MAC is known: reachable, stale, delay, probe, noarp, permanent (linux/neighbour.h)."""
_UNICAST = 1
_LINK = {"RTM_NEWLINK": True, "RTM_DELLINK": False}
_ADDRESS = {"RTM_NEWADDR": True, "RTM_DELADDR": False}
_NEIGHBOUR = {"RTM_NEWNEIGH": True, "RTM_DELNEIGH": False}
_ROUTE = {"RTM_NEWROUTE": True, "RTM_DELROUTE": False}


class Interface(NamedTuple):
    """An interface: ``kind`` is the kernel's word (veth, vxlan, bond; empty for hardware); ``addresses`` are CIDRs, ``neighbours`` (address,
    MAC); ``gateway`` is the MAC of the default router behind it, None if there is none or it is not known."""

    name: str
    ifindex: int
    kind: str = ""
    mac: int = 0
    up: bool = True
    addresses: tuple[str, ...] = ()
    neighbours: tuple[tuple[str, int], ...] = ()
    gateway: int | None = None


Change = tuple[str, Interface | None]
"""A name, and what has it; None: no interface any more."""


class Interfaces:
    """What the kernel told, by index."""

    def __init__(self) -> None:
        self._told: dict[str, Interface] = {}
        self._clear()

    def _clear(self) -> None:
        self._links: dict[int, Interface] = {}
        self._by_name: dict[str, int] = {}
        self._addresses: dict[int, set[str]] = {}
        self._neighbours: dict[int, dict[str, int]] = {}
        self._routers: dict[tuple[int, int], tuple[int, str]] = {}

    def start(self, messages: Sequence[Any]) -> Iterator[Change]:
        """Take in a list of everything; yields what differs from before."""
        self._clear()
        for message in messages:
            self._take(message)
        yield from self._differing({*self._told, *self._by_name})

    def follow(self, messages: Sequence[Any]) -> Iterator[Change]:
        """Take in events; yields what they change."""
        names: set[str] = set()
        for message in messages:
            names.update(self._take(message))
        yield from self._differing(names)

    def _differing(self, names: Iterable[str]) -> Iterator[Change]:
        for name in sorted(names):
            index = self._by_name.get(name)
            now = None if index is None else self._whole(self._links[index])
            if now != self._told.get(name):
                if now is None:
                    del self._told[name]
                else:
                    self._told[name] = now
                yield name, now

    def _whole(self, link: Interface) -> Interface:
        neighbours = self._neighbours.get(link.ifindex, {})
        routers = (address for _, (index, address) in sorted(self._routers.items()) if index == link.ifindex)
        gateway = next((neighbours[address] for address in routers if address in neighbours), None)
        known = tuple(sorted((address, mac) for address, mac in neighbours.items() if not ip_address(address).is_link_local))
        return link._replace(addresses=tuple(sorted(self._addresses.get(link.ifindex, ()))), neighbours=known, gateway=gateway)

    def _take(self, message: Any) -> Iterator[str]:
        """Take one message in; the names of the interfaces concerned."""
        event = message.get("event")
        if event in _LINK:
            return self._link(message, _LINK[event])
        if event in _ADDRESS:
            return self._address(message, _ADDRESS[event])
        if event in _NEIGHBOUR:
            return self._neighbour(message, _NEIGHBOUR[event])
        return self._route(message, _ROUTE[event]) if event in _ROUTE else iter(())

    def _name(self, index: int) -> Iterator[str]:
        if index in self._links:
            yield self._links[index].name

    def _link(self, message: Any, new: bool) -> Iterator[str]:
        if message["family"] != 0:  # a bridge's word on one of its ports: leaving the bridge is not the interface's end
            return iter(())
        index = message["index"]
        old = self._links.pop(index, None)
        if old is not None and self._by_name.get(old.name) == index:
            del self._by_name[old.name]
        if new:
            self._links[index] = link = _read_link(message)
            self._by_name[link.name] = index
        else:
            self._addresses.pop(index, None)
            self._neighbours.pop(index, None)
        names = {old.name} if old is not None else set()
        return iter(names | set(self._name(index)))

    def _address(self, message: Any, new: bool) -> Iterator[str]:
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if message["family"] not in _FAMILIES or not text or ip_address(text).is_link_local:
            return iter(())
        cidr = str(ip_interface(f"{text}/{message['prefixlen']}"))
        (set.add if new else set.discard)(self._addresses.setdefault(message["index"], set()), cidr)
        return self._name(message["index"])

    def _neighbour(self, message: Any, new: bool) -> Iterator[str]:
        address, mac = message.get_attr("NDA_DST"), mac_of(message.get_attr("NDA_LLADDR"))
        if message["family"] not in _FAMILIES or not address or ip_address(address).is_multicast:
            return iter(())
        there = self._neighbours.setdefault(message["ifindex"], {})
        if new and message["state"] & _VALID and mac:
            there[address] = mac
        else:
            there.pop(address, None)
        return self._name(message["ifindex"])

    def _route(self, message: Any, new: bool) -> Iterator[str]:
        """Only default routes say who the router is."""
        table = message.get_attr("RTA_TABLE") or message["table"]
        if message["dst_len"] or message["family"] not in _FAMILIES or table != MAIN_TABLE or message["type"] != _UNICAST:
            return iter(())
        hop = (message.get_attr("RTA_MULTIPATH") or [message])[0]
        index = message.get_attr("RTA_OIF") if hop is message else hop["oif"]
        router = index or 0, hop.get_attr("RTA_GATEWAY") or ""
        place = message["family"], message.get_attr("RTA_PRIORITY") or 0
        before = self._routers.get(place)
        if new:
            self._routers[place] = router
        elif before == router:
            del self._routers[place]
        concerned = {router[0], before[0] if before else 0}
        return (name for index in concerned for name in self._name(index))


def _read_link(message: Any) -> Interface:
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    up = message["flags"] & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING
    return Interface(message.get_attr("IFLA_IFNAME"), message["index"], kind, mac_of(message.get_attr("IFLA_ADDRESS")), up)


def mac_of(text: str | None) -> int:
    """Read a link-layer address, 0 for what is no MAC of six bytes."""
    digits = (text or "").replace(":", "")
    return int(digits, 16) if len(digits) == 12 else 0
