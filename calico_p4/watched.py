"""What the kernel's interfaces make of the port inventory: descriptions of ports, in the form of a ports file.

Rules (`port_rules`) say which interfaces are ports and of what kind. What Felix asks for by name, an endpoint's interface, is there if the
kernel has it, and is absent if not; the kernel's own word on an uplink or host interface makes the port. A tunnel's device that the stream
calls for is a port with or without an interface, since the switch itself takes tunnels apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface
from typing import Any

from calico_p4.interfaces import Interface
from calico_p4.port_rules import Rule, rule_for

Described = Mapping[str, Any]
OWN_KINDS = ("host", "uplink", "tunnel")
"""Ports for which the kernel's interface is enough."""


class Watched:
    """The kernel's interfaces by name, and what rules say of them."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._interfaces: dict[str, Interface] = {}
        self.kinds = {rule.kind for rule in rules}
        """Kinds of which the rules make ports: the default ones are not wanted."""
        self.problems: dict[str, str] = {}
        """Interfaces that can't be ports, and why."""
        self.known = False
        """Whether the kernel has told all interfaces once."""

    def follow(self, changes: Mapping[str, Interface | None]) -> None:
        """Take in changes by name."""
        self.known = True
        for name, interface in changes.items():
            if interface is None:
                self._interfaces.pop(name, None)
            else:
                self._interfaces[name] = interface

    def described(self, name: str, wanted: Described | None, addresses: tuple[str, ...] = ()) -> Described | None:
        """Describe the port of that name, None if there is none. ``wanted`` is what the stream makes of it, ``addresses`` the workload's own."""
        interface, rule = self._interfaces.get(name), rule_for(self._rules, name)
        self.problems.pop(name, None)
        if interface is None:
            return wanted if wanted is not None and wanted["kind"] not in (*self.kinds - {"tunnel"}, "workload") else None
        if rule.kind == "none" or (wanted is None and rule.kind not in OWN_KINDS):
            return None
        if rule.kind in OWN_KINDS:
            known = wanted if wanted is not None and wanted["kind"] == rule.kind else {}
            return self._numbered(rule, interface, {**known, **_own(interface, rule.kind, known)})
        if wanted is None or wanted["kind"] != "workload":
            return wanted
        mac = wanted.get("mac") or next((text_of(mac) for address, mac in interface.neighbours if address in addresses), "")
        return self._numbered(rule, interface, {**wanted, "mac": mac, "state": _state(interface)})

    def _numbered(self, rule: Rule, interface: Interface, described: dict[str, Any]) -> Described | None:
        """Add the number that the rule says; a port that can have none is not there."""
        try:
            number = rule.number_of(interface)
        except ValueError as error:
            self.problems[interface.name] = str(error)
            return None
        return described if number is None else {**described, "number": number}


def _own(interface: Interface, kind: str, known: Described) -> dict[str, Any]:
    """Describe an interface of the node itself; what the stream says of a tunnel's device (``known``) is kept."""
    described: dict[str, Any] = {"name": interface.name, "kind": kind, "state": _state(interface)}
    described["addresses"] = tuple(dict.fromkeys((*known.get("addresses", ()), *interface.addresses))) if kind == "tunnel" else interface.addresses
    if kind == "tunnel":
        return described
    if interface.mac:
        described["own_mac"] = text_of(interface.mac)
    if interface.gateway is not None:
        described["mac"] = text_of(interface.gateway)
    subnets = [ip_interface(cidr).network for cidr in interface.addresses]
    described["neighbours"] = {
        address: text_of(mac) for address, mac in interface.neighbours if any(ip_address(address) in subnet for subnet in subnets)
    }
    return described


def _state(interface: Interface) -> str:
    return "up" if interface.up else "down"


def text_of(mac: int) -> str:
    """Write a MAC address with colons."""
    return mac.to_bytes(6).hex(":")
