"""The conformance collection as Felix messages: rules, policies, profiles and sets of its JSON files in the wire's values."""

import json
from typing import Any

from felix_proto import types as felix
from test.support.packet import Packet
from test.support.shared import shared_path

Case = dict[str, Any]
_VERSIONS = {"IPV4": 4, "IPV6": 6, "ANY": 0}
_SET_TYPES = {"NET": felix.IPSetType.NET, "IP_AND_PORT": felix.IPSetType.IP_AND_PORT}
_PORT_LISTS = ("src_ports", "not_src_ports", "dst_ports", "not_dst_ports")
_STRING_LISTS = (
    "src_net", "not_src_net", "dst_net", "not_dst_net", "src_ip_set_ids", "not_src_ip_set_ids", "dst_ip_set_ids",
    "not_dst_ip_set_ids", "src_named_port_ip_set_ids", "not_src_named_port_ip_set_ids", "dst_named_port_ip_set_ids",
    "not_dst_named_port_ip_set_ids", "dst_ip_port_set_ids",
)  # fmt: skip


def load(name: str) -> list[Case]:
    """Return the cases of one file, e.g. ``workload_policy``."""
    with shared_path("conformance", f"{name}.json").open() as file:
        cases: list[Case] = json.load(file)
    return cases


def rule(data: Case, **override: Any) -> felix.Rule:
    """Return a rule from its JSON form (field names of the .proto file). A key that is not understood is a KeyError."""
    known = {"action", "rule_id"} & data.keys()
    fields: dict[str, Any] = {key: data[key] for key in known}
    for key, value in data.items():
        if key not in known:
            fields.update(_field(key, value))
    return felix.Rule(**(fields | override))


def _field(key: str, value: Any) -> dict[str, Any]:
    if key in _STRING_LISTS:
        return {key: tuple(value)}
    if key in _PORT_LISTS:
        return {key: tuple(felix.PortRange(r.get("first", 0), r.get("last", 0)) for r in value)}
    if key in ("protocol", "not_protocol"):
        return {key: value.get("name", value.get("number"))}
    if key == "ip_version":
        return {key: _VERSIONS[value]}
    if key == "metadata":
        return {key: tuple(sorted(value["annotations"].items()))}
    return {_ICMP[key]: (value["type"], value["code"]) if key.endswith("_code") else (value, None)}


_ICMP = {"icmp_type": "icmp", "icmp_type_code": "icmp", "not_icmp_type": "not_icmp", "not_icmp_type_code": "not_icmp"}


def ip_set(set_id: str, data: Case) -> felix.IPSetUpdate:
    """Return an IP set as the message that brings it."""
    return felix.IPSetUpdate(set_id, tuple(data["members"]), _SET_TYPES[data["type"]])


def packet(data: Case) -> Packet:
    """Return a packet of a case."""
    names = ("proto", "src", "dst", "sport", "dport", "icmp_type", "icmp_code")
    return Packet(data["ip_version"], **{name: data[name] for name in names if name in data})


def expected(data: Case) -> str | None:
    """Return the verdict a packet of a case must get, or None if no such packet can meet the policy."""
    if "unrealisable" in data:
        return data.get("expect_on_wire")
    return str(data["expect"])


def policy_id(data: Case) -> felix.PolicyID:
    """Return a policy id from its JSON form."""
    return felix.PolicyID(data["kind"], data["namespace"], data["name"])
