"""Deliberately wrong translators: each has one mistake that somebody might really make. The suite must catch every one.

A mistake of understanding is made by handing the real translator a message that says what the mistaken one would read; a mistake of
spelling by changing the rows that come out of it. ``python -m test.support.mutants`` tells which are caught, after how many packets.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from felix_proto import types as felix
from felix_proto.types import IPSetType, PolicyID, PortRange, Rule
from test.support.product import Product, on_model
from test.support.trial import WORKLOADS, Failure, Play, Shape, Tally, trial

Read = Callable[[felix.Payload], felix.Payload | None]
Spell = Callable[[str, Any, Any], tuple[str, Any, Any] | None]


class _Misreading(Product):
    """A product whose driver is told what ``read`` makes of each message; None: nothing."""

    read: Read

    def flush(self, payloads: Iterable[felix.Payload], rest: bool = False) -> None:
        """As ``Product.flush``."""
        super().flush([read for payload in payloads if (read := self.read(payload)) is not None], rest)


class _Misspelling:
    """A translator whose rows come out as ``spell`` has them; None: not at all."""

    def __init__(self, translator: Any, spell: Spell) -> None:
        self._translator, self._spell = translator, spell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._translator, name)

    def translate(self, *args: Any) -> Iterator[list[Any]]:
        """As ``Translator.translate``."""
        yield from self._misspelt(self._translator.translate(*args))

    def rest(self) -> Iterator[list[Any]]:
        """As ``Translator.rest``."""
        yield from self._misspelt(self._translator.rest())

    def _misspelt(self, transactions: Iterable[Any]) -> Iterator[list[Any]]:
        for changes in transactions:
            yield [spelt for change in changes if (spelt := self._spell(*change)) is not None]


class Mutant(NamedTuple):
    """A wrong translator, as something that makes a product with it."""

    name: str
    make: Callable[[], Product]


def misreading(name: str, fresh: Callable[[], Read], right: Callable[[], Product] = on_model) -> Mutant:
    """A product that reads wrongly. ``fresh`` makes the reader, for one may remember what it has read; ``right`` the product."""

    def make() -> Product:
        product = right()
        product.__class__ = _Misreading
        product.read = fresh()  # type: ignore[attr-defined]
        return product

    return Mutant(name, make)


def misspelling(name: str, spell: Spell, right: Callable[[], Product] = on_model) -> Mutant:
    """A product whose rows are wrong."""

    def make() -> Product:
        product = right()
        product.driver.translator = _Misspelling(product.driver.translator, spell)  # type: ignore[assignment]
        return product

    return Mutant(name, make)


# --- rules misread ---------------------------------------------------------------------------------------------------------------


def _owners(change: Callable[[Any], Any]) -> Callable[[], Read]:
    """A reader that changes policies and profiles."""

    def read(payload: felix.Payload) -> felix.Payload:
        match payload:
            case felix.ActivePolicyUpdate():
                return payload._replace(policy=change(payload.policy))
            case felix.ActiveProfileUpdate():
                return payload._replace(profile=change(payload.profile))
        return payload

    return lambda: read


def _rules(change: Callable[[Rule], Rule]) -> Callable[[], Read]:
    """A reader that changes every rule by itself."""

    def changed(owner: Any) -> Any:
        sides = ("inbound_rules", "outbound_rules")
        return owner._replace(**{side: tuple(change(rule) for rule in getattr(owner, side)) for side in sides})

    return _owners(changed)


def _dropped(*names: str) -> Callable[[], Read]:
    """Criteria of these names are not read."""
    return _rules(lambda rule: rule._replace(**{name: Rule._field_defaults[name] for name in names}))


def _action(old: str, new: str) -> Callable[[], Read]:
    return _rules(lambda rule: rule._replace(action=new) if rule.action == old else rule)


def _swapped(owner: Any) -> Any:
    return owner._replace(inbound_rules=owner.outbound_rules, outbound_rules=owner.inbound_rules)


def _without_rest_after_log(owner: Any) -> Any:
    """``log`` ends the evaluation of its policy, with an allow."""
    return owner._replace(**{side: _until_log(getattr(owner, side)) for side in ("inbound_rules", "outbound_rules")})


def _until_log(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(rule._replace(action="allow") if rule.action == "log" else rule for rule in rules)


def _off_by_one(rule: Rule) -> Rule:
    names = ("src_ports", "dst_ports", "not_src_ports", "not_dst_ports")
    return rule._replace(**{n: tuple(PortRange(r.first, max(r.first, r.last - 1)) for r in getattr(rule, n)) for n in names})


def _from_one(rule: Rule) -> Rule:
    """Port 0 taken for no port."""
    names = ("src_ports", "dst_ports", "not_src_ports", "not_dst_ports")
    return rule._replace(**{n: tuple(PortRange(max(r.first, 1), max(r.last, 1)) for r in getattr(rule, n)) for n in names})


def _no_code(rule: Rule) -> Rule:
    """ICMP codes are not looked at."""
    return rule._replace(**{n: (value[0], None) for n in ("icmp", "not_icmp") if (value := getattr(rule, n)) is not None})


def _any_of_sets(rule: Rule) -> Rule:
    """Of several set ids only the last one counts."""
    names = ("src_ip_set_ids", "dst_ip_set_ids", "dst_ip_port_set_ids")
    return rule._replace(**{n: getattr(rule, n)[-1:] for n in names})


def _ports_and_named(rule: Rule) -> Rule:
    """Where there are named ports, numeric ones are forgotten."""
    sides = ("src", "dst", "not_src", "not_dst")
    return rule._replace(**{f"{s}_ports": () for s in sides if getattr(rule, f"{s}_named_port_ip_set_ids")})


def _negated_for_both(rule: Rule) -> Rule:
    """A negated CIDR list of one family is taken to hold for all packets of the other."""
    other = {name: ("100::/128", "192.0.0.8/32") for name in ("not_src_net", "not_dst_net") if getattr(rule, name)}
    return rule._replace(**{name: getattr(rule, name) + extra for name, extra in other.items()})


def _positive_for_both(rule: Rule) -> Rule:
    """A CIDR list of one family is no constraint in the other."""
    more = {n: ("::/0",) if all(":" not in c for c in getattr(rule, n)) else () for n in ("src_net", "dst_net") if getattr(rule, n)}
    return rule._replace(**{name: getattr(rule, name) + extra for name, extra in more.items()})


# --- endpoints, policies and sets misread ----------------------------------------------------------------------------------------


def _endpoints(change: Callable[[felix.WorkloadEndpoint], felix.WorkloadEndpoint]) -> Callable[[], Read]:
    def read(payload: felix.Payload) -> felix.Payload:
        return payload._replace(endpoint=change(payload.endpoint)) if isinstance(payload, felix.WorkloadEndpointUpdate) else payload

    return lambda: read


def _tiers(change: Callable[[felix.TierInfo], felix.TierInfo]) -> Callable[[], Read]:
    return _endpoints(lambda endpoint: endpoint._replace(tiers=tuple(change(tier) for tier in endpoint.tiers)))


def _unstaged(payload: felix.Payload) -> felix.Payload:
    """Staged policies are enforced."""
    match payload:
        case felix.ActivePolicyUpdate():
            name = _live(payload.id)
            return felix.ActivePolicyUpdate(name, payload.policy._replace(id=name))
        case felix.ActivePolicyRemove():
            return felix.ActivePolicyRemove(_live(payload.id))
        case felix.WorkloadEndpointUpdate():
            return payload._replace(endpoint=payload.endpoint._replace(tiers=tuple(map(_live_tier, payload.endpoint.tiers))))
    return payload


def _live(policy: PolicyID) -> PolicyID:
    return policy._replace(kind=policy.kind.removeprefix("Staged"))


def _live_tier(tier: felix.TierInfo) -> felix.TierInfo:
    return tier._replace(ingress_policies=tuple(map(_live, tier.ingress_policies)), egress_policies=tuple(map(_live, tier.egress_policies)))


def _first_word_only(kinds: tuple[type, ...]) -> Callable[[], Read]:
    """Of these kinds only the first message about an object counts."""

    def fresh() -> Read:
        seen: set[Any] = set()

        def read(payload: felix.Payload) -> felix.Payload | None:
            if not isinstance(payload, kinds):
                return payload
            known = (type(payload), payload[0]) in seen
            seen.add((type(payload), payload[0]))
            return None if known else payload

        return read

    return fresh


def _deltas(change: Callable[[felix.IPSetDeltaUpdate], felix.IPSetDeltaUpdate]) -> Callable[[], Read]:
    return lambda: lambda payload: change(payload) if isinstance(payload, felix.IPSetDeltaUpdate) else payload


def _no_sctp(payload: felix.Payload) -> felix.Payload:
    """Members with SCTP are lost."""
    match payload:
        case felix.IPSetUpdate():
            return payload._replace(members=_without_sctp(payload.members))
        case felix.IPSetDeltaUpdate():
            added, removed = _without_sctp(payload.added_members), _without_sctp(payload.removed_members)
            return payload._replace(added_members=added, removed_members=removed)
    return payload


def _without_sctp(members: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(member for member in members if ",sctp:" not in member)


def _members_as_hosts(payload: felix.Payload) -> felix.Payload:
    """Prefixes in a set count for their first address only."""
    if isinstance(payload, felix.IPSetUpdate) and payload.type != IPSetType.IP_AND_PORT:
        hosts = {m.partition("/")[0] + ("/128" if ":" in m else "/32") if m.count("/") == 1 else m for m in payload.members}
        return payload._replace(members=tuple(hosts))
    return payload


# --- rows misspelt ---------------------------------------------------------------------------------------------------------------


def _without(*suffixes: str) -> Spell:
    return lambda table, key, value: None if table.endswith(suffixes) else (table, key, value)


def _upside_down(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
    """Smaller priorities win, as on DPDK."""
    return table, (*key[:-1], (1 << 20) - key[-1]) if table.endswith(".rules") else key, value


def _sides_swapped(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
    """Addresses of one side are looked up in the rows of the other."""
    if "_identity_" in table:
        return ("dst" if table.startswith("src") else "src") + table[3:], key, value
    return table, key, value


def _no_fragments(table: str, key: Any, value: Any) -> tuple[str, Any, Any] | None:
    """Rows for later fragments are left out."""
    return None if table.endswith(".rules") and key[3] == (3, 0xFF) else (table, key, value)


def _wrong_slot(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
    """Every decision is put down to the first slot."""
    return table, key, (value[0], 1) if table.endswith(".rules") and value is not None else value


def _no_deletes(table: str, key: Any, value: Any) -> tuple[str, Any, Any] | None:
    """Rows of peers and own sides stay when they should go."""
    return None if value is None and table.endswith("_class") else (table, key, value)


def _wide_ports(table: str, key: Any, value: Any) -> tuple[str, Any, Any]:
    """Port prefixes are one bit too short."""
    if not table.endswith(".rules"):
        return table, key, value
    fields = (_shorter(*field) if place in (4, 5) and field[1] not in (0, 0xFFFF) else field for place, field in enumerate(key[:-1]))
    return table, (*fields, key[-1]), value


def _shorter(value: int, mask: int) -> tuple[int, int]:
    shorter = mask & (mask - 1)
    return value & shorter, shorter


_ALL: tuple[Mutant, ...] = (
    misreading("directions are swapped", _owners(_swapped)),
    misreading("negated nets are dropped", _dropped("not_src_net", "not_dst_net")),
    misreading("negated sets are dropped", _dropped("not_src_ip_set_ids", "not_dst_ip_set_ids")),
    misreading("negated ports are dropped", _dropped("not_src_ports", "not_dst_ports")),
    misreading("negated named ports are dropped", _dropped("not_src_named_port_ip_set_ids", "not_dst_named_port_ip_set_ids")),
    misreading("not_protocol is dropped", _dropped("not_protocol")),
    misreading("not_icmp is dropped", _dropped("not_icmp")),
    misreading("ports are ignored", _dropped("src_ports", "dst_ports")),
    misreading("services are ignored", _dropped("dst_ip_port_set_ids")),
    misreading("ip_version is ignored", _dropped("ip_version")),
    misreading("OR for AND across sets", _rules(_any_of_sets)),
    misreading("named ports push numeric ones aside", _rules(_ports_and_named)),
    misreading("family filter of negated lists is missing", _rules(_negated_for_both)),
    misreading("family filter of positive lists is missing", _rules(_positive_for_both)),
    misreading("ICMP code is ignored", _rules(_no_code)),
    misreading("last port of a range is left out", _rules(_off_by_one)),
    misreading("port 0 is no port", _rules(_from_one)),
    misreading("log ends evaluation", _owners(_without_rest_after_log)),
    misreading("an empty action denies", _action("", "deny")),
    misreading("pass allows", _action("pass", "allow")),
    misreading("next-tier denies", _action("next-tier", "deny")),
    misreading("staged policies are enforced", lambda: _unstaged),
    misreading("an empty default action passes", _tiers(lambda tier: tier._replace(default_action=tier.default_action or "Pass"))),
    misreading("a default action of Pass denies", _tiers(lambda tier: tier._replace(default_action="Deny"))),
    misreading("the last policy of a tier is forgotten", _tiers(lambda tier: tier._replace(ingress_policies=tier.ingress_policies[:-1]))),
    misreading("tiers are taken in reverse", _endpoints(lambda endpoint: endpoint._replace(tiers=endpoint.tiers[::-1]))),
    misreading("profiles are taken in reverse", _endpoints(lambda endpoint: endpoint._replace(profile_ids=endpoint.profile_ids[::-1]))),
    misreading("every state is active", _endpoints(lambda endpoint: endpoint._replace(state="active"))),
    misreading("second addresses are forgotten", _endpoints(lambda endpoint: endpoint._replace(ipv4_nets=endpoint.ipv4_nets[:1]))),
    misreading("spoofing is never allowed", _endpoints(lambda endpoint: endpoint._replace(allow_spoofed_source_prefixes=()))),
    misreading("lists stay stale after an edit", _first_word_only((felix.ActivePolicyUpdate, felix.ActiveProfileUpdate))),
    misreading("bindings stay stale after an edit", _first_word_only((felix.WorkloadEndpointUpdate,))),
    misreading("removed members stay", _deltas(lambda delta: delta._replace(removed_members=()))),
    misreading("added members are missed", _deltas(lambda delta: delta._replace(added_members=()))),
    misreading("SCTP members are lost", lambda: _no_sctp),
    misreading("members count as hosts", lambda: _members_as_hosts),
    misspelling("priorities are upside down", _upside_down),
    misspelling("source and destination identities are mixed up", _sides_swapped),
    misspelling("IPv6 addresses have no identity", _without("identity_host_v6", "identity_net_v6")),
    misspelling("prefixes have no identity", _without("identity_net_v4", "identity_net_v6")),
    misspelling("the own side is never asked", _without("self_class")),
    misspelling("fragments are forgotten", _no_fragments),
    misspelling("decisions are put down to another rule", _wrong_slot),
    misspelling("rows that should go stay", _no_deletes),
    misspelling("port prefixes are one bit too short", _wide_ports),
)  # fmt: skip
MUTANTS = {mutant.name: mutant for mutant in _ALL}


def caught(mutant: Mutant, clusters: int = 60, first: int = 0, play: Play = WORKLOADS) -> tuple[Failure | None, Tally]:
    """Run trials until one catches the mutant; returns what it found, None if the mutant got through."""
    tally = Tally()
    for seed in range(first, first + clusters):
        try:
            trial(seed, mutant.make, Shape(play=play), tally, scratch=mutant.make)
        except Failure as failure:
            return failure, tally
    return None, tally


def main(mutants: Iterable[Mutant], play: Play = WORKLOADS) -> int:
    """Report on every mutant; returns the number that got through."""
    through = 0
    for mutant in mutants:
        failure, tally = caught(mutant, play=play)
        through += failure is None
        how = failure.found[0].partition(",")[0][:80] if failure else "NOT CAUGHT"
        print(f"{mutant.name:55} {tally.clusters + 1:3} clusters {tally.packets:6} packets  {how}")
    return through


if __name__ == "__main__":
    sys.exit(main(_ALL))
