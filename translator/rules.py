"""One Calico rule, compiled: which groups its addresses ask for, and which region of ports and protocols is left.

Source: felix.Rule; semantics in the field tables of the Calico contract (section 3.5) and the "Decided" list of the
replay contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from felix_proto.types import PolicyID, PortRange, Rule

from . import l4
from .addresses import is_v6, length_of, parse_cidr
from .errors import Untranslatable
from .groups import Group, Groups, NetsGroup, PortGroup, SetGroup
from .l4 import Box, Intervals, Region
from .protocols import protocol_number
from .stages import Direction, SideName, View

Action = Literal["allow", "deny", "pass", "log"]

_ACTIONS: dict[str, Action] = {
    "": "allow",
    "allow": "allow",
    "deny": "deny",
    "pass": "pass",
    "next-tier": "pass",
    "log": "log",
}


class Ref(NamedTuple):
    """What decided, or was passed on the way: a rule of a policy or profile, the end of a tier, or of the profiles.

    ``owner`` is the policy (for the end of a tier its first live policy, the trigger), the profile's name, or None after
    the profiles; ``rule_index`` the rule's place in its direction's list, None at an end.

    Host endpoints have more: a failsafe port (``owner`` is its text), tunnelled traffic between known hosts (``owner`` is the
    kind of tunnel, ``direction`` ""), the end of a chain that gives no verdict, and the deny of a chain that can't be translated.
    """

    kind: Literal["policy", "profile", "tier_end", "profiles_end", "failsafe", "tunnel", "chain_end", "closed"]
    direction: Direction | Literal[""]
    action: Action
    owner: PolicyID | str | None = None
    tier: str = ""
    rule_index: int | None = None
    rule_id: str = ""


class _PortTest(NamedTuple):
    """A criterion on ports that depends on which port groups the addresses are in."""

    side: str
    negated: bool
    fixed: dict[int, Intervals]
    named: tuple[tuple[bool, int, int, int], ...]


class Need(NamedTuple):
    """Groups (bits) that one side of a packet must all be in, and must not be in."""

    all_of: int = 0
    none_of: int = 0


class CompiledRule:
    """A rule of one direction: `region` gives what is left of it for addresses in given groups.

    ``self_mask`` and ``peer_mask`` are all bits it looks at on the endpoint's own side and on the other side.
    """

    __slots__ = ("_cache", "_families", "_tests", "action", "base", "held", "peer_mask", "ref", "self_mask")

    def __init__(
        self,
        action: Action,
        ref: Ref,
        base: Region,
        families: tuple[tuple[Need, Need] | None, tuple[Need, Need] | None],
        tests: tuple[_PortTest, ...],
        held: tuple[tuple[str, Group], ...],
    ) -> None:
        self.action, self.ref, self.base, self.held = action, ref, base, held
        self._families, self._tests = families, tests
        self._cache: dict[tuple[int, int, int], Region] = {}
        self.self_mask, self.peer_mask = self._masks()

    def _masks(self) -> tuple[int, int]:
        own = peer = 0
        for self_need, peer_need in filter(None, self._families):
            own |= self_need.all_of | self_need.none_of
            peer |= peer_need.all_of | peer_need.none_of
        for test in self._tests:
            for of_self, bit, _, _ in test.named:
                own |= bit if of_self else 0
                peer |= 0 if of_self else bit
        return own, peer

    def anchor(self) -> int:
        """Peer groups (bits), one of which at least an address must be in for the rule to match; 0: none needed."""
        out = 0
        for pair in filter(None, self._families):
            needed = pair[1].all_of
            if not needed:
                return self._named_anchor()
            out |= needed & -needed
        return out

    def _named_anchor(self) -> int:
        for test in self._tests:
            if not (test.negated or test.fixed) and not any(of_self for of_self, *_ in test.named):
                return sum({bit for _, bit, _, _ in test.named})
        return 0

    def region(self, own: int, peer: int) -> Region:
        """What the rule matches when the endpoint's own address is in the groups ``own`` and the other in ``peer``."""
        families = 0
        for bit, pair in zip((l4.V4, l4.V6), self._families, strict=True):
            if pair and _holds(pair[0], own) and _holds(pair[1], peer):
                families |= bit
        if not families:
            return ()
        key = (families, own & self.self_mask, peer & self.peer_mask) if self._tests else (families, 0, 0)
        region = self._cache.get(key)
        if region is None:
            region = l4.intersect(self.base, (Box(families=families),))
            for test in self._tests:
                region = l4.intersect(region, _port_region(test, own, peer))
            self._cache[key] = region
        return region


def _holds(need: Need, content: int) -> bool:
    return content & need.all_of == need.all_of and not content & need.none_of


def _port_region(test: _PortTest, own: int, peer: int) -> Region:
    ports: dict[int, list[tuple[int, int]]] = {p: list(i) for p, i in test.fixed.items()}
    for of_self, bit, protocol, port in test.named:
        if (own if of_self else peer) & bit:
            ports.setdefault(protocol, []).append((port, port))
    joined = {p: l4.normalise(i) for p, i in ports.items()}
    return (l4.not_ports_region if test.negated else l4.ports_region)(joined, test.side)


class _Compiler:
    """Compiles one rule; ``held`` collects the groups acquired, so that a failure can give them back."""

    def __init__(self, rule: Rule, view: View, groups: Groups, held: list[tuple[str, Group]]) -> None:
        self.rule, self.groups, self.held = rule, groups, held
        self.own_side = "src" if view.direction == "egress" else "dst"
        self.identities: dict[str, SideName] = dict(zip(("src", "dst"), view.sides, strict=True))
        self.families: list[bool] = [rule.ip_version in (0, 4), rule.ip_version in (0, 6)]
        self.needs: dict[str, list[list[int]]] = {s: [[0, 0], [0, 0]] for s in ("src", "dst")}
        self.tests: list[_PortTest] = []

    def compile(self, action: Action, ref: Ref) -> CompiledRule:
        base = self._protocols()
        for side in ("src", "dst"):
            self._sets(side)
            self._nets(side)
            self._ports(side, base[1])
        self._services()
        own, peer = self.own_side, "dst" if self.own_side == "src" else "src"
        families = tuple(
            (Need(*self.needs[own][f]), Need(*self.needs[peer][f])) if self.families[f] else None for f in (0, 1)
        )
        return CompiledRule(
            action, ref, base[0], (families[0], families[1]), tuple(self.tests), tuple(self.held)
        )

    def _protocols(self) -> tuple[Region, int]:
        """Region of the protocol and ICMP criteria, and the protocols that numeric ports of this rule speak of."""
        rule = self.rule
        if rule.ip_version not in (0, 4, 6):
            raise Untranslatable(f"ip_version: {rule.ip_version} is neither 0, 4 nor 6")
        region: Region = (l4.EVERYTHING,)
        carriers = l4.PORT_PROTOCOLS
        if rule.protocol is not None:
            flag = 1 << protocol_number(rule.protocol, "protocol")
            region = (Box(protocols=flag),)
            carriers = flag & l4.CARRIES_PORTS
        if rule.not_protocol is not None:
            outside = l4.ALL_BYTES & ~(1 << protocol_number(rule.not_protocol, "not_protocol"))
            region = l4.intersect(region, (Box(protocols=outside),))
        if rule.icmp is not None:
            region = l4.intersect(region, l4.icmp_region(*_icmp(rule.icmp, "icmp")))
        if rule.not_icmp is not None:
            region = l4.intersect(region, l4.not_icmp_region(*_icmp(rule.not_icmp, "not_icmp")))
        return region, carriers

    def _acquire(self, side: str, group: Group) -> int:
        identities = self.identities[side]
        bit = 1 << self.groups.acquire(identities, group)
        self.held.append((identities, group))
        return bit

    def _sets(self, side: str) -> None:
        for negated, field in ((0, f"{side}_ip_set_ids"), (1, f"not_{side}_ip_set_ids")):
            for set_id in getattr(self.rule, field):
                self.groups.check_set(set_id, False, field)
                bit = self._acquire(side, SetGroup(set_id))
                for family in self.needs[side]:
                    family[negated] |= bit

    def _nets(self, side: str) -> None:
        for negated, field in ((0, f"{side}_net"), (1, f"not_{side}_net")):
            cidrs = getattr(self.rule, field)
            if cidrs:
                self._net_list(side, negated, _parse_nets(cidrs, field))

    def _net_list(self, side: str, negated: int, places: set[int]) -> None:
        """Filter per family as Felix does: no CIDR of a family, or a negated catch-all, and the rule is not for it."""
        listed = [{p for p in places if is_v6(p) == bool(family)} for family in (0, 1)]
        everything = [any(length_of(p) == 0 for p in own) for own in listed]
        for family in (0, 1):
            if not listed[family] or (negated and everything[family]):
                self.families[family] = False
        wanted = [f for f in (0, 1) if listed[f] and not everything[f] and self.families[f]]
        if wanted:
            bit = self._acquire(side, NetsGroup(tuple(sorted(p for f in wanted for p in listed[f]))))
            for family in wanted:
                self.needs[side][family][negated] |= bit

    def _ports(self, side: str, carriers: int) -> None:
        for negated, prefix in ((False, ""), (True, "not_")):
            ranges = getattr(self.rule, f"{prefix}{side}_ports")
            field = f"{prefix}{side}_named_port_ip_set_ids"
            set_ids = getattr(self.rule, field)
            if ranges or set_ids:
                intervals = _intervals(ranges, f"{prefix}{side}_ports")
                fixed = {p: intervals for p in (l4.TCP, l4.UDP, l4.SCTP, l4.UDPLITE) if carriers >> p & 1 and intervals}
                named = tuple(t for set_id in set_ids for t in self._named(side, set_id, field))
                self.tests.append(_PortTest(side, negated, fixed, named))

    def _named(self, side: str, set_id: str, field: str) -> Iterable[tuple[bool, int, int, int]]:
        of_self = side == self.own_side
        for protocol, port in self.groups.ports_of(set_id, field):
            yield of_self, self._acquire(side, PortGroup(set_id, protocol, port)), protocol, port

    def _services(self) -> None:
        for set_id in self.rule.dst_ip_port_set_ids:
            named = tuple(self._named("dst", set_id, "dst_ip_port_set_ids"))
            self.tests.append(_PortTest("dst", False, {}, named))


def compile_rule(rule: Rule, ref: Callable[[Action], Ref], view: View, groups: Groups) -> CompiledRule:
    """Compile ``rule``; the groups it asks for are acquired (``held``), and given back if it raises Untranslatable."""
    held: list[tuple[str, Group]] = []
    try:
        action = _ACTIONS.get(rule.action.lower())
        if action is None:
            raise Untranslatable(f"action: unknown action {rule.action!r}")
        return _Compiler(rule, view, groups, held).compile(action, ref(action))
    except Untranslatable:
        for side, group in held:
            groups.release(side, group)
        raise


def set_ids(rule: Rule) -> set[str]:
    """Every IP set the rule names."""
    return {
        *rule.src_ip_set_ids,
        *rule.dst_ip_set_ids,
        *rule.not_src_ip_set_ids,
        *rule.not_dst_ip_set_ids,
        *rule.src_named_port_ip_set_ids,
        *rule.dst_named_port_ip_set_ids,
        *rule.not_src_named_port_ip_set_ids,
        *rule.not_dst_named_port_ip_set_ids,
        *rule.dst_ip_port_set_ids,
    }


def _parse_nets(cidrs: Iterable[str], field: str) -> set[int]:
    try:
        return {parse_cidr(cidr) for cidr in cidrs}
    except Untranslatable as error:
        raise Untranslatable(f"{field}: {error}") from None


def _icmp(icmp: tuple[int, int | None], field: str) -> tuple[int, int | None]:
    for number in icmp:
        if number is not None and not 0 <= number <= 255:
            raise Untranslatable(f"{field}: {number} is not in 0..255")
    return icmp


def _intervals(ranges: Iterable[PortRange], field: str) -> Intervals:
    for first, last in ranges:
        if not 0 <= first <= last <= 65535:
            raise Untranslatable(f"{field}: {first}-{last} is not a range of ports")
    return l4.normalise([(first, last) for first, last in ranges])
