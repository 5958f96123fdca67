"""Failsafe ports: what no host policy may close (Calico contract 3.8).

FailsafeInboundHostPorts and FailsafeOutboundHostPorts hold a list of PROTOCOL:PORT, PROTOCOL:NET:PORT (an IPv6 net in brackets) or
PORT, which is TCP, separated by commas; "none" is no port. ConfigUpdate carries them only where they are set, so the defaults are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .addresses import parse_cidr
from .errors import Untranslatable

INBOUND, OUTBOUND = "FailsafeInboundHostPorts", "FailsafeOutboundHostPorts"

DEFAULTS: Mapping[str, str] = {
    INBOUND: "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
    OUTBOUND: "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
}
"""Calico's defaults (felix/config/config_params.go, contract 3.8): SSH in, DNS out, and both ways DHCP (68 at the client, 67 at the
server), BGP, etcd (2379, 2380, once 6666, 6667), Typha (5473) and the API server (6443)."""

_PROTOCOLS = ("tcp", "udp", "sctp")


class FailsafePort(NamedTuple):
    """One port; `net` is the far side's CIDR, "" for any; `text` as configured."""

    protocol: str
    port: int
    net: str
    text: str


def failsafe_ports(config: Mapping[str, str], name: str) -> tuple[tuple[FailsafePort, ...], str | None]:
    """The ports of one of the two parameters, and what is wrong with it: then they are the defaults, as Felix has it for a value
    that it can't read, for an administrator who is locked out can't mend it."""
    value = config.get(name, "").strip() or DEFAULTS[name]
    if value.lower() == "none":
        return (), None
    try:
        return parse_ports(value), None
    except Untranslatable as error:
        return parse_ports(DEFAULTS[name]), str(error)


def parse_ports(value: str) -> tuple[FailsafePort, ...]:
    """Read a list of ports. Raises Untranslatable with the entry that is none."""
    return tuple(_parse(entry.strip()) for entry in value.split(",") if entry.strip())


def _parse(entry: str) -> FailsafePort:
    head, separator, port = entry.rpartition(":")
    protocol, colon, net = head.partition(":")
    if net.startswith("[") and net.endswith("]"):
        net = net[1:-1]
    if not (port.isascii() and port.isdigit() and int(port) <= 65535) or (separator and not head) or (colon and not net):
        raise Untranslatable(f"{entry!r} is not PROTOCOL:PORT, PROTOCOL:NET:PORT or PORT")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise Untranslatable(f"{entry!r}: the protocol is none of {', '.join(_PROTOCOLS)}")
    return FailsafePort(protocol, int(port), _net(entry, net), entry)


def _net(entry: str, net: str) -> str:
    """The net as a CIDR, a single address with its whole length; "" for none."""
    if not net:
        return ""
    cidr = net if "/" in net else f"{net}/{128 if ':' in net else 32}"
    try:
        parse_cidr(cidr)
    except Untranslatable as error:
        raise Untranslatable(f"{entry!r}: {error}") from None
    return cidr
