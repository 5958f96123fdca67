"""Packets between any two Writes: while an edit is carried out, each chain must answer as before or as after it, never otherwise.

The model of a switch shuffles the updates of every Write and calls back after each. A batch of messages that changes IP sets has
legitimate states more: the new sets under the old policies, which is what Felix itself sends first; and those sets known on one side
of the packet only, for its two addresses change their identity in two tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from felix_proto import types as felix
from test.support.chain import bound, chain_flaws, chain_of, decide
from test.support.evaluator import address_owner, interface_owner, judge
from test.support.flaws import NET_SETS, PORT_SETS
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.model_target import ModelTarget
from test.support.product import Product
from test.support.world import SetContent, World
from translator.names import endpoint_meaning

SETS = (felix.IPSetUpdate, felix.IPSetDeltaUpdate, felix.IPSetRemove)
EVERYTHING = frozenset(("allow", "deny"))


class Ask(NamedTuple):
    """One chain asked about one packet, and the actions it may answer while an edit is under way."""

    endpoint: felix.WorkloadEndpointID
    stage: str
    sent: Sent
    allowed: frozenset[str]


class Third(AssertionError):
    """A verdict that is neither the old nor the new one."""


@dataclass
class Worlds:
    """The states between which a flush leads: before, with the new sets only, after."""

    states: tuple[World, ...]

    def verdicts(self, stage: str, endpoint: felix.WorkloadEndpointID, sent: Sent) -> frozenset[str]:
        """What a chain may answer in any of the states."""
        return frozenset().union(*(chain_verdicts(world, stage, endpoint, sent) for world in self.states))

    def path(self, sent: Sent) -> frozenset[str]:
        """What may become of the packet as a whole in any of the states."""
        found = (judge(world, sent.packet, sent.ingress).verdict for world in self.states)
        return frozenset().union(*(EVERYTHING if verdict == "either" else frozenset((verdict,)) for verdict in found))


def worlds(before: World, messages: Sequence[felix.Payload]) -> Worlds:
    """Return the states that a flush leads through."""
    between, after = _copy(before), _copy(before)
    changes = [message for message in messages if isinstance(message, SETS[:2])]
    between.apply_all(changes)
    after.apply_all(messages)
    one_sided = (_one_sided(before, between.ip_sets, side) for side in ("src", "dst")) if changes else ()
    return Worlds((before, between, *one_sided, after))


def _one_sided(before: World, sets: dict[str, SetContent], side: str) -> World:
    """The old state, but one side of its rules asks the new sets; they are known there under names of their own."""
    world = _copy(before)
    world.ip_sets |= {f"new {name}": content for name, content in sets.items()}
    world.policies = {name: _asking_new(owner, sets, side) for name, owner in world.policies.items()}
    world.profiles = {name: _asking_new(owner, sets, side) for name, owner in world.profiles.items()}
    return world


def _asking_new(owner: Any, sets: dict[str, SetContent], side: str) -> Any:
    names = [name for name in NET_SETS + PORT_SETS if side in name]

    def changed(rule: felix.Rule) -> felix.Rule:
        return rule._replace(**{n: tuple(f"new {i}" if i in sets else i for i in getattr(rule, n)) for n in names})

    return owner._replace(**{s: tuple(map(changed, getattr(owner, s))) for s in ("inbound_rules", "outbound_rules")})


def _copy(world: World) -> World:
    return World(*(dict(getattr(world, name)) for name in World.__dataclass_fields__))


def chain_verdicts(world: World, stage: str, endpoint: felix.WorkloadEndpointID, sent: Sent) -> frozenset[str]:
    """What one direction of an endpoint may answer in a state; what is not there, or cannot be translated, denies."""
    known = world.endpoints.get(endpoint)
    if known is None or next(chain_flaws(world, known, stage), None) is not None:
        return frozenset(("deny",))
    chain = chain_of(world, known, stage)
    decision, unsure = decide(chain, sent.packet, world.ip_sets)
    if not unsure:
        return frozenset((decision.hit.action,))
    room = bound(chain, sent.packet, world.ip_sets)
    return EVERYTHING if room.most and not room.least else frozenset(("allow" if room.most else "deny",))


def asks(states: Worlds, sent: Sequence[Sent]) -> Iterator[Ask]:
    """Yield what to ask the chains concerned by some packets, where both ends of a flush know the endpoint."""
    before, after = states.states[0], states.states[-1]
    for one in sent:
        for stage, address in (("egress", one.packet.src), ("ingress", one.packet.dst)):
            owner = address_owner(before, address)
            if owner is not None and after.endpoints.get(owner.id) is not None and _same_place(owner, after.endpoints[owner.id]):
                yield Ask(owner.id, stage, one, states.verdicts(stage, owner.id, one))


def _same_place(old: felix.WorkloadEndpoint, new: felix.WorkloadEndpoint) -> bool:
    """Own addresses decide which own identity a chain is asked with: an endpoint that moves is another one."""
    return all(getattr(old, name) == getattr(new, name) for name in ("name", "state", "ipv4_nets", "ipv6_nets", "allow_spoofed_source_prefixes"))


def paths(states: Worlds, sent: Sequence[Sent]) -> Iterator[tuple[Sent, frozenset[str]]]:
    """Yield the packets whose path has the same ends before and after, with what may become of them meanwhile.

    From one local endpoint to another that is the old or the new verdict, even where sets change. Elsewhere a packet meets one chain,
    whose answers are `asks`'s business.
    """
    before, after = states.states[0], states.states[-1]
    moving = before.ip_sets != states.states[1].ip_sets
    for one in sent:
        ends = [
            (interface_owner(before, one.ingress), interface_owner(after, one.ingress)),
            (address_owner(before, one.packet.dst), address_owner(after, one.packet.dst)),
        ]
        stay = all(old and new and old.id == new.id and _same_place(old, new) for old, new in ends)
        if stay:
            yield one, Worlds((before, after)).path(one)
        elif not moving and all((old is None and new is None) or (old and new and old.id == new.id and _same_place(old, new)) for old, new in ends):
            yield one, states.path(one)


def probed_flush(product: Product, before: World, messages: Sequence[felix.Payload], sent: Sequence[Sent], rest: bool) -> int:
    """Flush with probes between the Writes; returns how many answers were looked at. Raises Third."""
    target = product.switch
    assert isinstance(target, ModelTarget)
    states = worlds(before, messages)
    questions, whole = list(asks(states, sent)), list(paths(states, sent))
    count = 0

    def look() -> None:
        nonlocal count
        count += len(questions) + len(whole)
        for question in questions:
            _ask(product, target, question)
        for one, allowed in whole:
            _send(target, one, allowed)

    target.on_write = look
    try:
        product.flush(messages, rest)
    finally:
        target.on_write = _nothing
    return count


def _nothing() -> None:
    return None


def _ask(product: Product, target: ModelTarget, question: Ask) -> None:
    number = product.driver._allocator.find("endpoint", endpoint_meaning(question.endpoint))
    action = target.switch.policy(question.stage, number or 0, question.sent.packet).action
    if action not in question.allowed:
        raise Third(f"{question.stage} of {'/'.join(question.endpoint)}: {action}, though before and after {set(question.allowed)}: {question.sent}")


def _send(target: ModelTarget, sent: Sent, allowed: frozenset[str]) -> None:
    """The whole path never allows what neither state allows: closing goes before opening."""
    name = {"uplink": "eth0", "host": "host"}.get(sent.ingress, sent.ingress)
    port = target.bench.ports().get(name)
    if port is not None and "allow" not in allowed and target.bench.inject(port, frame(sent.packet)).outputs:
        raise Third(f"whole path: allow, though neither before nor after: {sent}")
