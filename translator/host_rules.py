"""Rules of host endpoints that no policy object holds: failsafe ports, and tunnelled traffic between known hosts.

Made as rules of the wire, so that one compiler serves them and policies. Both stand at the head of chains (contract 3.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from felix_proto.types import PolicyID, PortRange, Rule

from .addresses import parse_address
from .config import flag, own_node
from .errors import Untranslatable
from .failsafe import INBOUND, OUTBOUND, FailsafePort, failsafe_ports

Owner = tuple[str, PolicyID | str]
Named = tuple[str, Rule]

FAILSAFE: Owner = ("failsafe", "ports")
FAILSAFE_UNTRACKED: Owner = ("failsafe", "ports and replies")
"""Before flows are looked up a reply is not known as one: it passes by its source port."""
TUNNELS: Owner = ("tunnel", "hosts")

VXLAN_PORT, WIREGUARD_PORT, WIREGUARD_PORT_V6 = 4789, 51820, 51821
"""Defaults of VXLANPort, WireguardListeningPort and WireguardListeningPortV6 (felix/config/config_params.go)."""


class HostRules(NamedTuple):
    """Rules with what each is called, in both directions."""

    kind: Literal["failsafe", "tunnel"]
    inbound: tuple[Named, ...]
    outbound: tuple[Named, ...]


class HostRulesStore(Protocol):
    """What is read of `datastore.intent.IntentStore`."""

    @property
    def config(self) -> Mapping[str, str]: ...
    @property
    def host_metadata(self) -> Mapping[str, Any]: ...
    @property
    def vteps(self) -> Mapping[str, Any]: ...
    @property
    def encapsulation(self) -> Any: ...


def host_rules(owner: Owner, store: HostRulesStore) -> HostRules:
    """The rules behind a key."""
    if owner == TUNNELS:
        return _tunnels(store)
    inbound, outbound = (failsafe_ports(store.config, name)[0] for name in (INBOUND, OUTBOUND))
    rules = HostRules("failsafe", tuple(_failsafe(inbound, "src")), tuple(_failsafe(outbound, "dst")))
    if owner == FAILSAFE:
        return rules
    replies_in, replies_out = _replies(outbound, "src"), _replies(inbound, "dst")
    return rules._replace(inbound=(*rules.inbound, *replies_in), outbound=(*rules.outbound, *replies_out))


def changed_host_rules(dirty: Any) -> set[Owner]:
    """Which of these rules a batch of changes may have changed."""
    changed = {FAILSAFE, FAILSAFE_UNTRACKED, TUNNELS} if dirty.config else set()
    return changed | ({TUNNELS} if dirty.hosts or dirty.vteps or dirty.encapsulation else set())


def _failsafe(ports: Iterable[FailsafePort], far: str) -> Iterator[Named]:
    for each in ports:
        yield each.text, _rule(each.protocol, each.port, "dst", far, (each.net,) if each.net else ())


def _replies(ports: Iterable[FailsafePort], far: str) -> Iterator[Named]:
    for each in ports:
        yield f"reply {each.text}", _rule(each.protocol, each.port, "src", far, (each.net,) if each.net else ())


def _rule(protocol: str | int, port: int | None, port_side: str, far: str, nets: tuple[str, ...]) -> Rule:
    """Let a protocol and port pass, of the given side; ``nets`` hold the far side's address."""
    fields: dict[str, Any] = {"action": "allow", "protocol": protocol, f"{far}_net": nets}
    if port is not None:
        fields[f"{port_side}_ports"] = (PortRange(port, port),)
    return Rule(**fields)


def _tunnels(store: HostRulesStore) -> HostRules:
    """Between known hosts: VXLAN, IPIP and WireGuard where they are on, by the family of the outer packet."""
    found = [(kind, protocol, port, nets) for kind, protocol, port, nets in _kinds(store) if nets]
    inbound = tuple((kind, _rule(protocol, port, "dst", "src", nets)) for kind, protocol, port, nets in found)
    outbound = tuple((kind, _rule(protocol, port, "dst", "dst", nets)) for kind, protocol, port, nets in found)
    return HostRules("tunnel", inbound, outbound)


def _kinds(store: HostRulesStore) -> Iterator[tuple[str, str | int, int | None, tuple[str, ...]]]:
    v4, v6 = known_hosts(store)
    modes = store.encapsulation
    vxlan = _port(store.config, "VXLANPort", VXLAN_PORT)
    if modes is not None and modes.vxlan_enabled:
        yield "vxlan", "udp", vxlan, v4
    if modes is not None and modes.vxlan_enabled_v6:
        yield "vxlan-v6", "udp", vxlan, v6
    if modes is not None and modes.ipip_enabled:
        yield "ipip", 4, None, v4
    if flag(store.config, "WireguardEnabled"):
        yield "wireguard", "udp", _port(store.config, "WireguardListeningPort", WIREGUARD_PORT), v4
    if flag(store.config, "WireguardEnabledV6"):
        yield "wireguard-v6", "udp", _port(store.config, "WireguardListeningPortV6", WIREGUARD_PORT_V6), v6


def known_hosts(store: HostRulesStore) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses of all other nodes (HostMetadata, and the underlay addresses of VTEPs) as CIDRs, IPv4 and IPv6, sorted."""
    own = own_node(store.config)
    texts = {text for node, host in store.host_metadata.items() if node != own for text in (host.ipv4_addr, host.ipv6_addr)}
    texts |= {text for node, vtep in store.vteps.items() if node != own for text in (vtep.parent_device_ip, vtep.parent_device_ipv6)}
    addresses = {address for text in texts if text and (address := _readable(text.partition("/")[0]))}
    v4, v6 = (sorted(a for a in addresses if (":" in a) == is_six) for is_six in (False, True))
    return tuple(f"{a}/32" for a in v4), tuple(f"{a}/128" for a in v6)


def _readable(address: str) -> str | None:
    """What can't be read is nobody's address; the port inventory, which reads the same fields, names it."""
    try:
        parse_address(address)
    except Untranslatable:
        return None
    return address


def _port(config: Mapping[str, str], name: str, default: int) -> int:
    value = config.get(name, "").strip()
    return int(value) if value.isascii() and value.isdigit() and int(value) <= 65535 else default
