"""Deliberately wrong translators of host endpoints: each has one mistake that somebody might really make.

``python -m test.support.host_mutants`` tells which are caught, after how many packets.
"""

import re
import sys
from collections.abc import Callable
from typing import Any

from felix_proto import types as felix
from felix_proto.types import HostEndpoint
from test.support import mutants
from test.support.gen_hosts import HOSTS
from test.support.host_judge import PORTS
from test.support.mutants import Mutant, Read, Spell
from test.support.product import Product, on_model

_FAILSAFE = ("FailsafeInboundHostPorts", "FailsafeOutboundHostPorts")
_OTHER = {1: 2, 2: 1, 3: 3}
"""Kinds of host rules: inbound, outbound, tunnel."""


def right() -> Product:
    """Return the product that is not wrong, at a node with several interfaces."""
    return on_model(ports=PORTS)


def _reading(name: str, read: Read) -> Mutant:
    return mutants.misreading(name, lambda: read, right)


def _spelling(name: str, spell: Spell) -> Mutant:
    return mutants.misspelling(name, spell, right)


def _endpoints(change: Callable[[HostEndpoint], HostEndpoint]) -> Read:
    return lambda payload: payload._replace(endpoint=change(payload.endpoint)) if isinstance(payload, felix.HostEndpointUpdate) else payload


def _without(section: str) -> Read:
    return _endpoints(lambda endpoint: endpoint._replace(**{section: ()}))


def _configured(change: Callable[[str | None], str | None]) -> Read:
    """The lists of failsafe ports as the mistaken reader has them; None: not set."""

    def read(payload: felix.Payload) -> felix.Payload:
        if not isinstance(payload, felix.ConfigUpdate):
            return payload
        values = dict(payload.config)
        changed = {name: change(values.pop(name, None)) for name in _FAILSAFE}
        return payload._replace(config=tuple(sorted({**values, **{name: value for name, value in changed.items() if value is not None}}.items())))

    return read


def _no_peers(payload: felix.Payload) -> felix.Payload | None:
    return None if isinstance(payload, felix.HostMetadataUpdate) and payload.hostname == "node-b" else payload


def _not_sent(payload: felix.Payload) -> felix.Payload | None:
    return None if isinstance(payload, felix.HostEndpointUpdate | felix.HostEndpointRemove) else payload


def _action(old: str, new: str) -> Spell:
    def spell(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
        return table, key, (new, value[1]) if value is not None and value[0] == old else value

    return spell


def _nowhere(*actions: str) -> Spell:
    """Rows of these actions name no host endpoint, which is the last but one parameter of `workload` and the last of others."""

    def spell(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
        if value is None or value[0] not in actions:
            return table, key, value
        return table, key, (*value[:3], 0, value[4]) if value[0] == "workload" else (*value[:-1], 0)

    return spell


def _host_rules(change: Callable[[Any], Any]) -> Spell:
    """Keys of host rules are others; None: there are none."""

    def spell(table: str, key: Any, value: Any) -> tuple[str, Any, Any] | None:
        if not table.startswith("host_rule"):
            return table, key, value
        return None if (changed := change(key)) is None else (table, changed, value)

    return spell


def _bare(*stages: str) -> Spell:
    """These stages do not stand behind host rules."""

    def spell(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
        bound = value is not None and value[0] == "bind_host" and table.partition(".")[0] in stages
        return table, key, ("bind", *value[1:]) if bound else value

    return spell


_ALL: tuple[Mutant, ...] = (
    _reading("host endpoints are ignored", _not_sent),
    _reading("normal policy is left out", _without("tiers")),
    _reading("forward policy is left out", _without("forward_tiers")),
    _reading("pre-DNAT policy is left out", _without("pre_dnat_tiers")),
    _reading("untracked policy is left out", _without("untracked_tiers")),
    _reading("profiles are left out", _without("profile_ids")),
    _reading("normal policy governs what is forwarded", _endpoints(lambda endpoint: endpoint._replace(forward_tiers=endpoint.tiers))),
    _reading("expected addresses are not looked at", _endpoints(lambda e: e._replace(expected_ipv4_addrs=(), expected_ipv6_addrs=()))),
    _reading("a name leaves expected addresses their say", _endpoints(lambda e: e if e.name == "*" else e._replace(name=""))),
    _reading("all interfaces are none", _endpoints(lambda endpoint: endpoint._replace(name=endpoint.name.replace("*", "none")))),
    _reading("failsafe ports are the defaults, whatever is set", _configured(lambda value: None)),
    _reading("there are no failsafe ports unless some are set", _configured(lambda value: value or "none")),
    _reading("failsafe nets are not looked at", _configured(lambda value: value and re.sub(r":[0-9.\[][^,]*[/\]][^,]*:", ":", value))),
    _reading("other nodes are not known", _no_peers),
    _spelling("the end of a chain denies", _action("pass_on", "deny")),
    _spelling("the end of a chain allows, and so excuses", _action("pass_on", "allow")),
    _spelling("failsafe ports are tunnels", _action("failsafe", "tunnelled")),
    _spelling("tunnels are failsafe ports", _action("tunnelled", "failsafe")),
    _spelling("failsafe ports are none", _host_rules(lambda key: key if key[0] == 3 else None)),
    _spelling("failsafe ports of one direction are those of the other", _host_rules(lambda key: (_OTHER[key[0]], *key[1:]))),
    _spelling("known hosts are asked for another port", _host_rules(lambda key: (*key[:2], key[2] + (key[0] == 3), key[3]))),
    _spelling("untracked policy closes failsafe ports", _bare("untracked_ingress", "untracked_egress")),
    _spelling("pre-DNAT policy closes failsafe ports", _bare("pre_dnat")),
    _spelling("normal policy closes failsafe ports", _bare("ingress", "egress")),
    _spelling("before translation no address has an identity", lambda t, k, v: None if t.startswith("pre_dst") else (t, k, v)),
    _spelling("host endpoints are not asked on the way out", _nowhere("send")),
    _spelling("host endpoints are not asked on the way in", _nowhere("uplink")),
    _spelling("what workloads send meets no host endpoint", _nowhere("workload")),
)  # fmt: skip
MUTANTS = {mutant.name: mutant for mutant in _ALL}


if __name__ == "__main__":
    sys.exit(mutants.main(_ALL, HOSTS))
