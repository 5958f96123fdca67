"""The node itself: its own addresses, and the subnets it is connected to."""

from __future__ import annotations

from collections.abc import Iterator

from .addresses import is_host, is_v6, length_of, parse_address, parse_cidr, value_of
from .config import own_node
from .errors import Untranslatable
from .inventory import Port, Ports, RouteStore

_OWN_KINDS = ("uplink", "host", "tunnel")


def own_addresses(store: RouteStore, ports: Ports) -> Iterator[int]:
    """Places of the node's own addresses: of its uplink, host and tunnel ports, its HostMetadata and its VTEP.

    What can't be read is nobody's address; the port inventory, which reads the same fields, names it.
    """
    for address in _address_texts(store, ports):
        try:
            yield parse_address(address.partition("/")[0])
        except Untranslatable:
            continue


def _address_texts(store: RouteStore, ports: Ports) -> Iterator[str]:
    for kind in _OWN_KINDS:
        for port in ports.of_kind(kind):
            yield from port.addresses
    node = own_node(store.config)
    for known in (store.host_metadata.get(node), store.vteps.get(node)):
        if known is not None:
            yield from (text for text in (known.ipv4_addr, known.ipv6_addr) if text)


class Subnets:
    """Which port leads where: connected subnets, and a default by the first uplink."""

    def __init__(self, ports: Ports) -> None:
        self.uplink = next(iter(ports.of_kind("uplink")), None)
        self.connected: dict[int, Port] = {}
        """Place of a subnet to its port; of several ports the first uplink has it."""
        for kind in _OWN_KINDS:
            for port in ports.of_kind(kind):
                for place in _subnets(port):
                    self.connected.setdefault(place, port)

    def port_to(self, place: int) -> Port | None:
        """The port of the longest connected subnet that holds an address, else the first uplink."""
        holding = [subnet for subnet in self.connected if _holds(subnet, place)]
        return self.connected[max(holding, key=length_of)] if holding else self.uplink


def _subnets(port: Port) -> Iterator[int]:
    for cidr in port.addresses:
        try:
            place = parse_cidr(cidr)
        except Untranslatable:
            continue
        if not is_host(place):
            yield place


def _holds(subnet: int, place: int) -> bool:
    shift = (128 if is_v6(subnet) else 32) - length_of(subnet)
    return is_v6(subnet) == is_v6(place) and value_of(subnet) >> shift == value_of(place) >> shift
