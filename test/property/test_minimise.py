"""The minimiser: does it get down to what matters, and stop?"""

from random import Random

from felix_proto import types as felix
from felix_proto.types import Rule
from test.support import gen_cluster, gen_stream
from test.support.minimise import minimise, subset


def test_subset_keeps_what_matters_in_order() -> None:
    assert subset(range(100), lambda some: {13, 77} <= set(some)) == [13, 77]


def test_message_is_stripped_to_the_criterion_that_matters() -> None:
    def has_negated_ports(some: list[felix.Payload]) -> bool:
        policies = [m.policy for m in some if isinstance(m, felix.ActivePolicyUpdate)]
        return any(rule.not_dst_ports for policy in policies for rule in (*policy.inbound_rules, *policy.outbound_rules))

    drawn = next(seed for seed in range(100) if has_negated_ports(_snapshot(seed)))
    (only,) = minimise(_snapshot(drawn), has_negated_ports)
    assert isinstance(only, felix.ActivePolicyUpdate)
    (rule,) = only.policy.inbound_rules + only.policy.outbound_rules
    assert rule._replace(action="", rule_id="") == Rule(not_dst_ports=rule.not_dst_ports[:1])


def _snapshot(seed: int) -> list[felix.Payload]:
    rng = Random(seed)
    return gen_stream.first_flush(rng, gen_cluster.cluster(rng))[0]


def test_tries_are_bounded() -> None:
    calls = []

    def always(some: list[felix.Payload]) -> bool:
        calls.append(len(some))
        return len(some) > 3

    minimise(_snapshot(3), always, tries=20)
    assert len(calls) <= 20
