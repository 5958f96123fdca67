"""Packets to send: the contract's packet file, and the frames made of it (by scapy, imported only here and only then)."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from calico_p4.files import BadFile, load_list
from calico_p4.frames import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, WITH_PORTS, Fields

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6, "sctp": SCTP, "udplite": UDPLITE}
SWITCH_MAC = "ee:ee:ee:ee:ee:ee"
"""What workloads have in their ARP cache for everything: Calico's own choice."""
DEFAULTS: Mapping[str, Any] = {"sport": 40000, "dport": 80, "icmp_code": 0, "tcp_flags": "S", "ttl": 64, "payload": ""}
_ECHO_REQUEST = {ICMP: 8, ICMPV6: 128}
_ECHO_REPLY = {(ICMP, 8): 0, (ICMP, 0): 8, (ICMPV6, 128): 129, (ICMPV6, 129): 128}


class Packet(NamedTuple):
    """One packet of the file, in its ``place`` in the list; ``fields`` are as given, without defaults."""

    place: int
    id: str | int | float
    after: int | None
    at: float
    fields: Mapping[str, Any]


class CannotBuild(ValueError):
    """A packet that can't be made: unknown address, families mixed."""


def load_packets(path: str) -> list[Packet]:
    """Read a packet file; returns the packets in the order of sending.

    Raises:
        BadFile: no JSON, not the schema, two packets with one id, or ``at`` decreases in the order of sending; with the list index.
    """
    return plan(load_list(path, "packets"), path)


def plan(items: Sequence[Mapping[str, Any]], path: str = "packets") -> list[Packet]:
    """Put packets into the order of sending, (``after``, list index), and give each its time. Raises BadFile as ``load_packets``."""
    seen: dict[str | int | float, int] = {}
    for index, item in enumerate(items):
        first = seen.setdefault(item.get("id", index), index)
        if first != index:
            raise BadFile(f"{path}: [{index}]: id {item.get('id', index)!r} is already that of [{first}]")
    order = sorted(range(len(items)), key=lambda index: (items[index].get("after", float("inf")), index))
    return _timed(items, order, path)


def _timed(items: Sequence[Mapping[str, Any]], order: Sequence[int], path: str) -> list[Packet]:
    packets, now = [], 0.0
    for index in order:
        item = items[index]
        at = float(item.get("at", now))
        if at < now:
            raise BadFile(f"{path}: [{index}]: at {at:g} is before {now:g}, the time of the packet sent before it")
        packets.append(Packet(index, item.get("id", index), item.get("after"), at, item))
        now = at
    return packets


def complete(given: Mapping[str, Any], original: Fields | None = None) -> dict[str, Any]:
    """Return a packet's fields with nothing left open: those of ``original`` reversed, if there is one, then the defaults.

    Raises:
        CannotBuild: an address that is none, or two families.
    """
    fields = {**DEFAULTS, **(_reversed(original) if original else {}), **given}
    proto = fields["proto"]
    fields["proto"] = PROTOCOLS.get(proto, proto)
    fields.setdefault("icmp_type", _ECHO_REQUEST.get(fields["proto"], 0))
    try:
        versions = {ip_address(fields[side]).version for side in ("src", "dst")}
    except ValueError as error:
        raise CannotBuild(str(error)) from error
    if len(versions) > 1:
        raise CannotBuild(f"{fields['src']} and {fields['dst']} are of two families")
    return fields


def _reversed(left: Fields) -> dict[str, Any]:
    """Return the fields of the answer to a packet as it left."""
    turned = {"proto": left.proto, "src": left.dst, "dst": left.src, "sport": left.dport, "dport": left.sport, "icmp_code": left.icmp_code}
    turned["icmp_type"] = _ECHO_REPLY.get((left.proto, left.icmp_type or 0), left.icmp_type)
    return {name: value for name, value in turned.items() if value is not None}


def build(fields: Mapping[str, Any], src_mac: int, dst_mac: str = SWITCH_MAC) -> bytes:
    """Return the Ethernet frame of a packet whose fields are complete."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    ether = Ether(src=src_mac.to_bytes(6).hex(":"), dst=dst_mac)
    proto, ttl = fields["proto"], fields["ttl"]
    if ip_address(fields["src"]).version == 4:
        network = IP(src=fields["src"], dst=fields["dst"], ttl=ttl, proto=proto)
    else:
        network = IPv6(src=fields["src"], dst=fields["dst"], hlim=ttl, nh=proto)
    frame: bytes = bytes(ether / network / _transport(fields))
    return frame


def _transport(fields: Mapping[str, Any]) -> Any:
    """Return scapy's layers above IP."""
    from scapy.layers.inet import ICMP as IcmpLayer
    from scapy.layers.inet import TCP as TcpLayer
    from scapy.layers.inet import UDP as UdpLayer
    from scapy.layers.inet6 import ICMPv6Unknown
    from scapy.layers.sctp import SCTP as SctpLayer
    from scapy.packet import Raw

    payload, proto = Raw(bytes.fromhex(fields["payload"])), fields["proto"]
    ports = {"sport": fields["sport"], "dport": fields["dport"]} if proto in WITH_PORTS else {}
    if proto == TCP:
        return TcpLayer(**ports, flags=fields["tcp_flags"]) / payload
    if proto in (UDP, UDPLITE):  # UDPLite has UDP's header; the length field is its checksum coverage, and all of it is covered
        return UdpLayer(**ports) / payload
    if proto == SCTP:
        return SctpLayer(**ports) / payload
    if proto == ICMP:
        return IcmpLayer(type=fields["icmp_type"], code=fields["icmp_code"], id=1, seq=1) / payload
    if proto == ICMPV6:
        echo = b"\x00\x01\x00\x01" if fields["icmp_type"] in (128, 129) else bytes(4)
        return ICMPv6Unknown(type=fields["icmp_type"], code=fields["icmp_code"], msgbody=echo + bytes(payload))
    return payload
