"""Rules of host endpoints that no policy closes: failsafe ports, and tunnelled traffic between known hosts (contract 3.8).

Rows of `host_rule_v4` and `host_rule_v6`, shared by all stages of all host endpoints; there are none where there is no host endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, Protocol

from .addresses import is_v6, length_of, overlap, parse_address, parse_cidr, value_of
from .config import flag, own_node
from .errors import Untranslatable
from .failsafe import INBOUND, OUTBOUND, FailsafePort, failsafe_ports
from .numbers import Names
from .protocols import NUMBERS
from .rule_lists import Change
from .rules import Ref
from .slots import Slots
from .stages import STAGES, Direction

KIND_INBOUND, KIND_OUTBOUND, KIND_TUNNEL = 1, 2, 3
"""The key `kind` (k8s_p4/p4/core/host_rules.p4)."""

VXLAN_PORT, WIREGUARD_PORT, WIREGUARD_PORT_V6 = 4789, 51820, 51821
"""Defaults of VXLANPort, WireguardListeningPort and WireguardListeningPortV6 (felix/config/config_params.go)."""

IPIP, UDP = 4, NUMBERS["udp"]
ANYWHERE = ("0.0.0.0/0", "::/0")
NAMED = 250
"""Entries of a list of failsafe ports that have a name and a counter each; any others share one (see `slots.FIRST_OF_STAGE`)."""

Place = tuple[str, tuple[int, int, int, tuple[int, int]]]
"""Table and key of a row."""


class Store(Protocol):
    """What is read of `datastore.intent.IntentStore`."""

    @property
    def config(self) -> Mapping[str, str]: ...
    @property
    def host_endpoints(self) -> Mapping[str, Any]: ...
    @property
    def host_metadata(self) -> Mapping[str, Any]: ...
    @property
    def vteps(self) -> Mapping[str, Any]: ...
    @property
    def encapsulation(self) -> Any: ...


class Dirty(Protocol):
    """What is read of a batch of changes."""

    @property
    def config(self) -> bool: ...
    @property
    def host_endpoints(self) -> AbstractSet[str]: ...
    @property
    def hosts(self) -> Any: ...
    @property
    def vteps(self) -> Any: ...
    @property
    def encapsulation(self) -> Any: ...


class HostRule(NamedTuple):
    """One rule: the action of its row, and what it is called."""

    action: str
    ref: Ref


class HostRules:
    """The rows as they stand, and their slots, which are valid in every stage that stands behind host rules."""

    def __init__(self, names: Names) -> None:
        self.slots = Slots("host_rule", names, first=1)
        self._rules: dict[Place, HostRule] = {}

    def update(self, store: Store, dirty: Dirty) -> tuple[list[Change], list[Change]]:
        """Follow a batch of changes: the rows that are new or changed, to be written before any policy, and those that go, after it.
        So what was let through before and is let through afterwards is let through in between, whatever else moves."""
        if not (dirty.config or dirty.host_endpoints or dirty.hosts or dirty.vteps or dirty.encapsulation):
            return [], []
        wanted = dict(_rules(store)) if store.host_endpoints else {}
        new = {place: rule for place, rule in wanted.items() if self._rules.get(place) != rule}
        gone = {place: rule for place, rule in self._rules.items() if wanted.get(place) != rule}
        self._rules = wanted
        written = [(*place, (rule.action, self.slots.acquire((rule.ref,)))) for place, rule in new.items()]
        for rule in gone.values():
            self.slots.release((rule.ref,))
        return written, [(*place, None) for place in gone if place not in wanted]


def deciding_in(ref: Ref) -> Iterator[str]:
    """The stages in which a host rule can decide: back from a failsafe port only before flows are looked up, tunnels in normal policy."""
    failsafe = ref.kind == "failsafe"
    for spec in STAGES:
        normal = spec.name in ("egress", "ingress") and (not failsafe or spec.direction == ref.direction)
        before = failsafe and (spec.name.startswith("untracked") or (spec.name == "pre_dnat" and ref.direction == "ingress"))
        if normal or before:
            yield spec.name


def _rules(store: Store) -> Iterator[tuple[Place, HostRule]]:
    yield from _failsafes(KIND_INBOUND, "ingress", failsafe_ports(store.config, INBOUND)[0])
    yield from _failsafes(KIND_OUTBOUND, "egress", failsafe_ports(store.config, OUTBOUND)[0])
    for number, (name, protocol, port, addresses) in enumerate(_tunnels(store)):
        rule = HostRule("tunnelled", Ref("tunnel", "", "allow", name, "", number))
        yield from ((_place(KIND_TUNNEL, protocol, port, address), rule) for address in addresses)


def _failsafes(kind: int, direction: Direction, ports: Iterable[FailsafePort]) -> Iterator[tuple[Place, HostRule]]:
    """The first entry that holds decides: a later one inside its network has no row, a wider one is the shorter prefix."""
    earlier: dict[tuple[str, int], list[int]] = {}
    for number, each in enumerate(ports):
        ref = Ref("failsafe", direction, "allow", *((each.text, "", number) if number < NAMED else ("others",)))
        known = earlier.setdefault((each.protocol, each.port), [])
        for where in map(parse_cidr, (each.net,) if each.net else ANYWHERE):
            if not any(overlap(where, other) and length_of(other) <= length_of(where) for other in known):
                known.append(where)
                yield _place(kind, NUMBERS[each.protocol], each.port, where), HostRule("failsafe", ref)


def _place(kind: int, protocol: int, port: int, where: int) -> Place:
    return f"host_rule_{'v6' if is_v6(where) else 'v4'}", (kind, protocol, port, (value_of(where), length_of(where)))


def _tunnels(store: Store) -> Iterator[tuple[str, int, int, list[int]]]:
    """Between known hosts: VXLAN, IPIP and WireGuard where they are on, by the family of the outer packet."""
    v4, v6 = known_hosts(store)
    modes = store.encapsulation
    vxlan = _port(store.config, "VXLANPort", VXLAN_PORT)
    if modes is not None and modes.vxlan_enabled:
        yield "vxlan", UDP, vxlan, v4
    if modes is not None and modes.vxlan_enabled_v6:
        yield "vxlan-v6", UDP, vxlan, v6
    if modes is not None and modes.ipip_enabled:
        yield "ipip", IPIP, 0, v4
    if flag(store.config, "WireguardEnabled"):
        yield "wireguard", UDP, _port(store.config, "WireguardListeningPort", WIREGUARD_PORT), v4
    if flag(store.config, "WireguardEnabledV6"):
        yield "wireguard-v6", UDP, _port(store.config, "WireguardListeningPortV6", WIREGUARD_PORT_V6), v6


def known_hosts(store: Store) -> tuple[list[int], list[int]]:
    """Addresses of all other nodes (HostMetadata, and the underlay addresses of VTEPs) as `addresses` has them, IPv4 and IPv6."""
    own = own_node(store.config)
    texts = {text for node, host in store.host_metadata.items() if node != own for text in (host.ipv4_addr, host.ipv6_addr)}
    texts |= {text for node, vtep in store.vteps.items() if node != own for text in (vtep.parent_device_ip, vtep.parent_device_ipv6)}
    addresses = sorted({address for text in texts if text and (address := _readable(text.partition("/")[0])) is not None})
    return [each for each in addresses if not is_v6(each)], [each for each in addresses if is_v6(each)]


def _readable(address: str) -> int | None:
    """What can't be read is nobody's address; the port inventory, which reads the same fields, names it."""
    try:
        return parse_address(address)
    except Untranslatable:
        return None


def _port(config: Mapping[str, str], name: str, default: int) -> int:
    value = config.get(name, "").strip()
    return int(value) if value.isascii() and value.isdigit() and int(value) <= 65535 else default
