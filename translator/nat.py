"""Rows of `masquerade_address_*`: the addresses and ports that masqueraded flows leave under (k8s_p4/p4/core/masquerade.p4).

By where a flow goes, as Linux's MASQUERADE takes the address of the interface it leaves by: to the network that of the first uplink, into
a tunnel that of its device; to a workload or to the node itself the node's own. What is missing is the node's own address (HostMetadata).
Into a tunnel and to the node only services lead masqueraded flows: behind tunnels are pools, which are inside for NAT outgoing. Without a
source of services there are no rows for these.
NATOutgoingAddress is instead of the uplink's, in its family.

Ports: NATPortRange, else 1024 to 29999, below the node ports and what the node's own programs take when they don't care. A port is a
hash, masked, so a candidate has a window of a power of two of them; the two windows, from the lowest port up and from the highest down,
together have every port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .addresses import is_v6, parse_address, value_of
from .claims import Change, Claims, Row
from .config import own_node
from .errors import Untranslatable
from .inventory import Ports, PortsWatch, RouteDirty, RouteStore

CANDIDATES = 2
"""Rows; each is tried four times (masquerade.p4)."""
TO_WORKLOAD, TO_HOST, TO_NETWORK, TO_TUNNEL = 1, 2, 3, 4
DEFAULT_PORTS = (1024, 29999)


class NatPart:
    """Owner of the tables `masquerade_address_v4` and `masquerade_address_v6`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._watch = PortsWatch()

    def update(self, store: RouteStore, dirty: RouteDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        if self._watch.changed(ports) or dirty.config or dirty.hosts or dirty.vteps or dirty.kubernetes.source:
            self._claims.set((), dict(_rows(store, ports)))
        return self._claims.changes()


def _rows(store: RouteStore, ports: Ports) -> Iterator[tuple[Row, tuple[Any, ...]]]:
    windows = port_windows(store.config.get("NATPortRange", ""))
    for v6 in (False, True):
        family = "v6" if v6 else "v4"
        for to, texts in _addresses(store, ports).items():
            address = next(_of_family(texts, v6), None)
            for candidate, (first, mask) in enumerate(windows) if address is not None else ():
                yield (f"masquerade_address_{family}", (to, candidate)), (f"masquerade_as_{family}", *_parts(address, v6), first, mask)


def _addresses(store: RouteStore, ports: Ports) -> dict[int, list[str]]:
    """The addresses that may be used by where a flow goes, the best first."""
    of = {kind: [address for port in ports.of_kind(kind) for address in port.addresses] for kind in ("uplink", "tunnel")}
    node = own_node(store.config)
    own = _texts(store.host_metadata.get(node)) + of["uplink"]
    network = [store.config.get("NATOutgoingAddress", ""), *of["uplink"], *own]
    outgoing = {TO_WORKLOAD: own, TO_NETWORK: network}
    if not store.kubernetes.configured:
        return outgoing
    return outgoing | {TO_HOST: own, TO_TUNNEL: _texts(store.vteps.get(node)) + of["tunnel"] + own}


def _texts(known: Any) -> list[str]:
    return [] if known is None else [known.ipv4_addr, known.ipv6_addr]


def _of_family(texts: Iterable[str], v6: bool) -> Iterator[int]:
    for text in filter(None, texts):
        try:
            address = parse_address(text.partition("/")[0])
        except Untranslatable:
            continue
        if is_v6(address) == v6:
            yield value_of(address)


def _parts(address: int | None, v6: bool) -> tuple[int, ...]:
    assert address is not None
    return (address, address >> 64, address & (1 << 64) - 1) if v6 else (address,)


def port_windows(text: str) -> list[tuple[int, int]]:
    """(first port, mask) of each candidate, for a range as Felix writes it, "MIN:MAX"; what is none means the default."""
    low, high = _range(text)
    mask = (1 << (high - low + 1).bit_length() - 1) - 1
    return [(high - mask if candidate % 2 else low, mask) for candidate in range(CANDIDATES)]


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.strip().partition(":")
    if low.isascii() and low.isdigit() and (not high or high.isascii() and high.isdigit()):
        first, last = int(low), int(high or low)
        if 0 < first <= last <= 0xFFFF:
            return first, last
    return DEFAULT_PORTS
