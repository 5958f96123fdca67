"""The generator of clusters, message sequences and packets: is it legal, and does it reach every corner that it is meant to reach?"""

from collections import Counter
from random import Random

import pytest

from felix_proto import types as felix
from felix_proto.types import Rule
from test.support import gen_cluster, gen_packets, gen_stream, legal
from test.support.build import B, endpoint, gnp, policy, sets, tier
from test.support.evaluator import Answer, judge
from test.support.gen_values import FIELDS
from test.support.packet import Packet
from test.support.world import World

CLUSTERS, FLUSHES, PACKETS = 60, 6, 40
REASONS = {
    "allow policy", "allow no_policy", "allow host_to_workload", "allow endpoint_action", "deny policy", "deny default_deny",
    "deny endpoint_down", "deny spoofed", "deny degraded", "deny unknown_port", "deny encapsulated", "deny fragment", "deny ttl",
    "deny endpoint_action",
}  # fmt: skip
MESSAGES = {
    felix.IPSetUpdate, felix.IPSetDeltaUpdate, felix.IPSetRemove, felix.ActivePolicyUpdate, felix.ActivePolicyRemove,
    felix.ActiveProfileUpdate, felix.ActiveProfileRemove, felix.WorkloadEndpointUpdate, felix.WorkloadEndpointRemove,
}  # fmt: skip


class Coverage:
    """What a run met: verdicts with reasons, fields of the rules that were met, actions by kind of owner, shapes of packets."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.fields: Counter[str] = Counter()
        self.actions: Counter[tuple[str, bool]] = Counter()
        self.messages: Counter[type] = Counter()
        self.packets: Counter[str] = Counter()

    def note(self, world: World, packet: Packet, answer: Answer) -> None:
        self.outcomes[f"{answer.verdict} {answer.reason}"] += 1
        self.packets.update(name for name in ("fragment", "options") if getattr(packet, name))
        self.packets[f"v{packet.version} {packet.proto}"] += 1
        for stage in answer.policy:
            for hit in (*stage.decision.passed, stage.decision.hit):
                self.actions[hit.action, hit.kind == "Profile"] += 1
                if hit.rule_id:
                    self._note_rule(rules_of(world)[hit.rule_id])

    def _note_rule(self, rule: Rule) -> None:
        self.fields.update(name for name in FIELDS if getattr(rule, name) != getattr(Rule(), name))


def rules_of(world: World) -> dict[str, Rule]:
    owners = (*world.policies.values(), *world.profiles.values())
    return {rule.rule_id: rule for owner in owners for rule in (*owner.inbound_rules, *owner.outbound_rules)}


def run(seed: int, coverage: Coverage) -> None:
    rng = Random(seed)
    cluster = gen_cluster.cluster(rng)
    messages, world = gen_stream.first_flush(rng, cluster)
    legal.check(World(), messages)
    for _ in range(FLUSHES):
        for _ in range(PACKETS):
            sent = gen_packets.packet(rng, world)
            coverage.note(world, sent.packet, judge(world, sent.packet, sent.ingress))
        gen_cluster.change(rng, cluster)
        messages = gen_stream.flush(rng, world, cluster)
        coverage.messages.update(map(type, messages))
        legal.check(world, messages)


@pytest.fixture(scope="module")
def coverage() -> Coverage:
    met = Coverage()
    for seed in range(CLUSTERS):
        run(seed, met)
    return met


def test_every_field_is_met_by_a_packet(coverage: Coverage) -> None:
    assert set(coverage.fields) == set(FIELDS)


def test_every_outcome_comes_up(coverage: Coverage) -> None:
    assert set(coverage.outcomes) >= REASONS
    allowed = sum(n for outcome, n in coverage.outcomes.items() if outcome.startswith("allow"))
    assert allowed > coverage.outcomes.total() / 6, "a generator that is nearly always denied proves little"


def test_every_action_is_met_in_policies_and_profiles(coverage: Coverage) -> None:
    assert set(coverage.actions) == {(a, p) for a in ("allow", "deny", "pass", "log") for p in (False, True)}


def test_every_message_kind_is_sent(coverage: Coverage) -> None:
    assert set(coverage.messages) == MESSAGES


def test_every_shape_of_packet_is_sent(coverage: Coverage) -> None:
    shapes = {f"v{version} {proto}" for version in (4, 6) for proto in (1, 4, 6, 17, 58, 132, 136, 253)}
    assert set(coverage.packets) >= shapes | {"fragment", "options"}


def test_a_seed_repeats() -> None:
    first, second = (gen_stream.first_flush(Random(7), gen_cluster.cluster(Random(7))) for _ in range(2))
    assert first == second
    assert first != gen_stream.first_flush(Random(7), gen_cluster.cluster(Random(8)))


S = felix.IPSetUpdate("s", ("10.0.0.0/8",), 2)
NAMES = policy(gnp("a"), (Rule(src_ip_set_ids=("s",)),))
USES = endpoint(B, tiers=(tier("t", (gnp("a"),)),))
ILLEGAL = {
    "policy before its set": (NAMES,),
    "endpoint before its policy": (S, USES),
    "endpoint before its profile": (endpoint(B, profile_ids=("p",)),),
    "delta to an unknown set": (felix.IPSetDeltaUpdate("s"),),
    "added twice": (S, felix.IPSetDeltaUpdate("s", ("10.0.0.0/8",))),
    "removed without being there": (S, felix.IPSetDeltaUpdate("s", (), ("11.0.0.0/8",))),
    "set removed while named": (S, NAMES, felix.IPSetRemove("s")),
    "policy removed while used": (S, NAMES, USES, felix.ActivePolicyRemove(gnp("a"))),
    "endpoint removed twice": (endpoint(B), felix.WorkloadEndpointRemove(B), felix.WorkloadEndpointRemove(B)),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_checker_has_teeth(name: str) -> None:
    with pytest.raises(legal.IllegalError):
        legal.check(World(), ILLEGAL[name])


def test_checker_takes_what_is_legal() -> None:
    state = World()
    removes = (felix.WorkloadEndpointRemove(B), felix.ActivePolicyRemove(gnp("a")), felix.IPSetRemove("s"))
    legal.check(state, (*sets({"s": ("10.0.0.0/8",)}), NAMES, USES, *removes))
    assert not (state.endpoints or state.policies or state.ip_sets)
