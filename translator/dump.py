"""Rows as text with every allocated number replaced by a name of what it stands for (replay contract, ``--dump``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from .stages import SIDES, STAGES, StageSpec

Resolver = Callable[[int], str]

Fields = tuple[tuple[str, str], ...]
"""(field name, kind of value), in the order of docs/design/house.md."""

_LOCAL: Mapping[str, Fields] = {
    "to_workload": (("endpoint", "endpoint"), ("next_hop", "next_hop"), ("incarnation", "hidden")),
    "to_workload_closed": (("endpoint", "endpoint"), ("reason", "int"), ("incarnation", "hidden")),
    "to_host": (("next_hop", "next_hop"), ("from_workload", "int")),
}
_ROUTE: Mapping[str, Fields] = {"to_uplink": (("next_hop", "next_hop"),), "to_tunnel": (("tunnel", "tunnel"),), "blackhole": ()}
_TUNNEL: Fields = (("next_hop", "next_hop"), ("host_endpoint", "endpoint"))
_VXLAN: Fields = (("sum", "int"), ("vni", "int"), ("src_mac", "mac"), ("dst_mac", "mac"))
_SERVICE: Mapping[str, Fields] = {
    "to_service": (("inside", "group"), ("inside_mask", "int"), ("outside", "group"), ("outside_mask", "int"), ("flags", "int"))
}
_SOURCE: Mapping[str, Fields] = {"source_ok": ()}
_HOST_RULE: Fields = (("kind", "int"), ("protocol", "int"), ("port", "int"))
_HOST_SLOT: Fields = (("slot", "host_rule.slot"),)
_RULE_KEY: Fields = (
    ("list", "list"),
    ("ip_version", "int"),
    ("protocol", "int"),
    ("l4_kind", "int"),
    ("src_port", "int"),
    ("dst_port", "int"),
    ("icmp_type", "int"),
    ("icmp_code", "int"),
    ("priority", "int"),
)

_TABLES: dict[str, tuple[Fields, Mapping[str, Fields]]] = {
    "port": (
        (("ingress_port", "port"),),
        {
            "workload": (("endpoint", "endpoint"), ("flags", "int"), ("host_endpoint", "endpoint"), ("incarnation", "hidden")),
            "workload_closed": (("endpoint", "endpoint"), ("reason", "int")),
            "host": (),
            "uplink": (("host_endpoint", "endpoint"),),
            "tunnel_device": (("host_endpoint", "endpoint"),),
        },
    ),
    "epoch": ((("ip_version", "int"),), {"policy_is": (("epoch", "hidden"),)}),
    "dscp": ((("endpoint", "endpoint"),), {"mark": (("dscp", "int"),)}),
    "connection_limit": ((("owner", "limited"),), {"at_most": (("slots", "int"), ("mask", "int"))}),
    "arp_answer": ((("target", "v4"),), {"arp_reply": (("mac", "mac"),)}),
    "nd_answer": ((("target", "v6"),), {"nd_reply": (("mac", "mac"),)}),
    "reject": ((("reason", "int"),), {"port_unreachable": (), "tcp_reset": ()}),
    "answer_port": ((("ingress_port", "port"),), {"send_back": (("port", "port"),)}),
    "next_hop": (
        (("next_hop", "next_hop"),),
        {"send": (("port", "port"), ("src_mac", "mac"), ("dst_mac", "mac"), ("host_endpoint", "endpoint"))},
    ),
    "tunnel": (
        (("tunnel", "tunnel"),),
        {
            "vxlan_v4": (*_TUNNEL, ("src", "v4"), ("dst", "v4"), *_VXLAN),
            "vxlan_v6": (*_TUNNEL, ("src", "v6"), ("dst", "v6"), *_VXLAN),
            "ipip": (*_TUNNEL, ("src", "v4"), ("dst", "v4"), ("sum", "int")),
        },
    ),
}
for _v in ("v4", "v6"):
    _TABLES[f"tunnel_local_{_v}"] = (("kind", "int"), ("address", _v)), {"terminate": (("port", "port"), ("vni", "int"))}
    _TABLES[f"tunnel_peer_{_v}"] = (("kind", "int"), ("address", _v)), {"from_peer": (("node", "node"),)}
    _TABLES[f"tunnel_source_{_v}"] = (("prefix", _v),), {"behind": (("node", "node"),)}
    _TABLES[f"source_host_{_v}"] = (("endpoint", "endpoint"), ("address", _v)), _SOURCE
    _TABLES[f"source_net_{_v}"] = (("endpoint", "endpoint"), ("prefix", _v)), _SOURCE
    _TABLES[f"host_rule_{_v}"] = (*_HOST_RULE, ("prefix", _v)), {"failsafe": _HOST_SLOT, "tunnelled": _HOST_SLOT}
    _TABLES[f"local_{_v}"] = (("address", _v),), _LOCAL
    _TABLES[f"route_{_v}"] = (("prefix", _v),), _ROUTE
    _address: Fields = (("address", _v),) if _v == "v4" else (("address", _v), ("high", "hidden"), ("low", "hidden"))
    _source: Fields = (("source", _v),) if _v == "v4" else (("source", _v), ("source_high", "hidden"), ("source_low", "hidden"))
    _ports: Fields = (("first_port", "int"), ("mask", "int"))
    _TABLES[f"service_{_v}"] = (("address", _v), ("protocol", "int"), ("port", "int")), _SERVICE
    _TABLES[f"service_source_{_v}"] = (("group", "group"), ("prefix", _v)), {"source_in_range": ()}
    _bucket: Fields = (*_address, ("port", "int"))
    _buckets = tuple((f"{name}_{place}", kind) for place in range(4) for name, kind in _bucket)
    _TABLES[f"backend_{_v}"] = (("group", "group"), ("row", "int")), {f"to_backends_{_v}": _buckets}
    _TABLES[f"affinity_backend_{_v}"] = (("group", "group"), ("address", _v), ("port", "int")), {"still_there": ()}
    _TABLES[f"floating_{_v}"] = (("address", _v),), {f"to_internal_{_v}": (*_address, *_source)}
    _TABLES[f"cluster_{_v}"] = (("prefix", _v),), {"in_cluster": ()}
    _TABLES[f"service_loop_{_v}"] = (("prefix", _v),), {"loops": ()}
    _TABLES[f"masquerade_{_v}"] = (("prefix", _v),), {"pool": (("flags", "int"),)}
    _TABLES[f"masquerade_address_{_v}"] = (("to", "int"), ("candidate", "int")), {f"masquerade_as_{_v}": (*_address, *_ports)}
    for _side in SIDES:
        _identity: Mapping[str, Fields] = {"set_identity": (("identity", f"{_side}_identity"),)}
        _TABLES[f"{_side}_identity_host_{_v}"] = (("address", _v),), _identity
        _TABLES[f"{_side}_identity_net_{_v}"] = (("prefix", _v),), _identity


def _stage_fields(spec: StageSpec, table: str) -> tuple[Fields, Mapping[str, Fields]]:
    stage, own, peer = spec.name, spec.own, spec.peer
    chain, variant, listed = (("chain", f"{stage}.chain"), ("variant", f"{stage}.variant"), ("list", f"{stage}.list"))
    slot: Fields = (("slot", f"{stage}.slot"),)
    if table == "binding":
        return (("endpoint", "endpoint"),), {"bind": (chain, variant, listed), "bind_host": (chain, variant, listed)}
    if table == "self_class":
        return (chain, ("identity", f"{own}_identity")), {"set_variant": (variant, listed)}
    if table == "peer_class":
        return (variant, ("identity", f"{peer}_identity")), {"set_list": (listed,)}
    return (("list", f"{stage}.list"), *_RULE_KEY[1:]), {"allow": slot, "deny": slot, "pass_on": slot}


for _spec in STAGES:
    for _table in ("binding", "self_class", "peer_class", "rules"):
        _TABLES[f"{_spec.name}.{_table}"] = _stage_fields(_spec, _table)


def known_tables() -> frozenset[str]:
    """Every table whose rows have a text."""
    return frozenset(_TABLES)


class Canonical:
    """Writes rows as lines; ``resolvers`` turn an allocated number of a kind into its name."""

    def __init__(self, resolvers: Mapping[str, Resolver]) -> None:
        self._resolvers = resolvers

    def line(self, table: str, key: tuple[Any, ...], value: tuple[Any, ...]) -> str:
        """One row. Raises KeyError for a table or action that has no spelling here."""
        key_fields, actions = _TABLES[table]
        action, *params = value
        shown = [self._field(*field, item) for field, item in zip(key_fields, key, strict=True)]
        given = [self._field(*field, item) for field, item in zip(actions[action], params, strict=True)]
        return f"{table} {' '.join(filter(None, shown))} -> {action}({', '.join(given)})"

    def _field(self, name: str, kind: str, item: Any) -> str:
        if isinstance(item, tuple):
            return self._pair(name, kind, item)
        return f"{name}={self._value(kind, item)}"

    def _pair(self, name: str, kind: str, item: tuple[int, int]) -> str:
        number, second = item
        if kind in ("v4", "v6"):
            return f"{name}={self._value(kind, number)}/{second}"
        if not second:
            return ""
        if kind != "int":
            return f"{name}={self._value(kind, number)}"
        return f"{name}={number}&{second:#x}"

    def _value(self, kind: str, number: int) -> str:
        if kind == "int":
            return str(number)
        if kind == "hidden":  # incarnations and epochs, which say nothing but that something is new
            return "*"
        if kind == "v4":
            return str(IPv4Address(number))
        if kind == "v6":
            return str(IPv6Address(number))
        if kind == "mac":
            return number.to_bytes(6, "big").hex(":")
        return self._resolvers[kind](number) if number or kind not in ("endpoint", "group") else "none"
