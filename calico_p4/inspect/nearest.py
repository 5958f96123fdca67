"""The nearest miss of a default deny: one single change after which the packet passes, tried out before it is named."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from calico_p4.frames import ICMP, ICMPV6, WITH_PORTS, parse
from calico_p4.inspect.changes import Change, RuleAt, owner_fields, passing_tier, without_policy
from calico_p4.inspect.craft import Flow, frame
from calico_p4.inspect.criteria import Case, failures
from calico_p4.inspect.lab import Lab, world_of
from calico_p4.inspect.objects import policy_object, profile_object
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.seats import Seat
from calico_p4.inspect.trace import Answer, Probe
from felix_proto import types as felix

TRIES = 100
"""Changes tried for one packet; the order puts what is likely first."""
_RANK = {"dport": 0, "member": 0, "proto": 1, "icmp_type": 1, "icmp_code": 1, "sport": 2, "rule": 3, "tier": 4, "policy": 4}
_POLICY = ("policy", "default_deny")
Candidate = tuple[Change, RuleAt | None]


def nearest_miss(scene: Scene, sent: Probe, answer: Answer, ends: dict[str, felix.WorkloadEndpointID | None], seat: Seat | None) -> Answer | None:
    """Return the single change that lets a packet pass that was denied by default, None if nothing was found.

    ``ends``: the packet's workload endpoints; ``seat``: who denied it. The result has ``flips`` (the packet passes then; if no single change does that:
    False, and the change only takes it past this tier, to be denied elsewhere), ``change`` (see `changes`), ``text``, of the rule that
    would match then ``policy`` or ``profile``, ``tier``, ``direction``, ``rule_index``, ``rule_id``, and ``after``: what becomes of it.
    """
    flow = sent.flow or flow_of(sent.frame)
    if seat is None or flow is None or _to_a_service(scene, flow):
        return None
    lab = _lab(scene, ends, flow)
    try:
        if _same(lab.send(sent), answer):
            return _try_all(lab, sent, flow, list(_candidates(scene, seat, answer["policy"][-1]["tier"], flow)))
    finally:
        lab.close()
    return None


def flow_of(raw: bytes) -> Flow | None:
    """Return the flow that a frame is the first packet of, None if it is no whole IP packet, or a fragment after the first."""
    fields = parse(raw)
    if fields is None or (fields.proto in WITH_PORTS and fields.sport is None):
        return None
    if fields.proto == (ICMPV6 if ":" in fields.src else ICMP) and fields.icmp_type is None:
        return None
    given = {name: value for name in Flow._fields if (value := getattr(fields, name)) is not None}
    return Flow(**given)


def _to_a_service(scene: Scene, flow: Flow) -> bool:
    """Policy sees the backend and not this flow, and the lab has no services: nothing that was tried there would say anything."""
    address = ip_address(flow.dst)
    return scene.translator.services.owner(f"service_v{address.version}", (int(address), flow.proto, flow.dport)) is not None


def _lab(scene: Scene, ends: dict[str, felix.WorkloadEndpointID | None], flow: Flow) -> Lab:
    keys = {key for key in ends.values() if key is not None}
    return Lab(world_of(scene, (scene.store.endpoints[key] for key in sorted(keys)), (flow.src, flow.dst)), scene.extra_ports)


def _same(lab: Answer, real: Answer) -> bool:
    """Whether the small world is like the real one, as far as this packet can tell."""
    return (lab["verdict"], lab["reason"], lab["policy"]) == (real["verdict"], real["reason"], real["policy"])


def _candidates(scene: Scene, seat: Seat, tier: str | None, flow: Flow) -> Iterator[Candidate]:
    """Yield what to try, likely things first: rules one criterion short, those of the tier that denied before others."""
    found: list[tuple[tuple[int, ...], Candidate]] = []
    for order, at in enumerate(_rules(scene, seat)):
        short = failures(Case(at, flow, scene.store))
        if at.rule.action.lower() in ("", "allow", "pass", "next-tier") and len(short) == 1:
            found += [((_rank(change), at.tier != (tier or ""), order), (change, at)) for change in short[0]]
    yield from (candidate for _, candidate in sorted(found, key=lambda item: item[0]))
    if tier is not None:
        yield from _last_resorts(seat, tier)


def _rank(change: Change) -> int:
    return _RANK[change.data["field"] if change.data["kind"] == "packet" else change.data["kind"]]


def _rules(scene: Scene, seat: Seat) -> Iterator[RuleAt]:
    """Yield the rules of one direction in the order of evaluation, staged ones left out."""
    way, name = seat.direction, "inbound_rules" if seat.direction == "ingress" else "outbound_rules"
    for tier in seat.tiers:
        for policy in seat.live(tier):
            known = scene.store.policies.get(policy)
            yield from (RuleAt(policy, tier.name, way, index, rule) for index, rule in enumerate(getattr(known, name, ())))
    for profile in seat.profile_ids:
        yield from (RuleAt(profile, "", way, index, rule) for index, rule in enumerate(getattr(scene.store.profiles.get(profile), name, ())))


def _last_resorts(seat: Seat, tier: str) -> Iterator[Candidate]:
    """No rule is near: the only policy of the tier might not select the endpoint, or the tier might pass."""
    for each in seat.tiers:
        policies = seat.live(each)
        if each.name == tier and len(policies) == 1:
            yield without_policy(seat, policies[0], str(policy_object(policies[0]))), None
    yield passing_tier(seat, tier), None


def _try_all(lab: Lab, sent: Probe, flow: Flow, candidates: list[Candidate]) -> Answer | None:
    first, last = candidates[: TRIES - 2], candidates[-2:]
    denied_by, further = lab.send(sent)["policy"][-1], None
    for change, at in [*first, *(each for each in last if each not in first)]:
        after = _try(lab, sent, change)
        if after["verdict"] == "allow":
            return _told(change, at, after)
        if further is None and after["policy"] and after["policy"][-1] != denied_by and after["reason"] in _POLICY:
            further = _told(change, at, after)
    return further


def _try(lab: Lab, sent: Probe, change: Change) -> Answer:
    if change.flow is not None:
        mac = int.from_bytes(sent.frame[6:12])
        return lab.send(Probe(frame(change.flow, mac), sent.entry, change.flow))
    lab.apply(change.do)
    try:
        return lab.send(sent)
    finally:
        lab.apply(change.undo)


def _told(change: Change, at: RuleAt | None, after: Answer) -> Answer:
    flips = after["verdict"] == "allow"
    told: dict[str, Any] = {"flips": flips, "change": dict(change.data), "after": {name: after[name] for name in ("verdict", "reason", "out", "policy")}}
    if at is None:
        return told | {"text": f"it would pass if {change.text}"}
    name = profile_object(at.owner) if isinstance(at.owner, str) else policy_object(at.owner)
    place = {"tier": at.tier or None, "direction": at.direction, "rule_index": at.place, "rule_id": at.rule.rule_id}
    return told | owner_fields(at.owner) | place | {"text": f"rule {at.place} of {name} would match if {change.text}"}
