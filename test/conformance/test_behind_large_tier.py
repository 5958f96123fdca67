"""Calico's workload cases once more, behind a tier of 250 policies of 50 rules each that ends in a pass: no verdict may change.

The rules are TCP from a set that holds none of the packets' addresses, to ports 1 to 1 + n mod 8000, some with 2,000 ranges more, their
actions in turn (quirk 11 of the collection). A sample of cases; all of them with ``CALICO_P4_LONG=1``.
"""

import os

import pytest

from felix_proto import types as felix
from felix_proto.types import PolicyID, PortRange, Rule
from test.support import cases, scenario
from test.support.cases import Case
from test.support.gen_packets import Sent
from test.support.product import Product, on_embedded
from test.support.scenario import ENDPOINT, Direction
from test.support.shared import have_shared, needs_shared

pytestmark = needs_shared
POLICIES, RULES, RANGES = 250, 50, 2000
ACTIONS = ("allow", "deny", "next-tier")
CASES = cases.load("workload_policy") if have_shared() else []
LONG = bool(os.environ.get("CALICO_P4_LONG"))
RUNS = [(case, direction) for case in CASES for direction in scenario.directions(case)][:: 1 if LONG else 29]


def large_policy(number: int) -> felix.Policy:
    name = PolicyID("GlobalNetworkPolicy", "", f"large.p{number}")
    rules = [large_rule(number * RULES + n) for n in range(RULES)]
    if number == POLICIES - 1:
        rules.append(Rule("pass", rule_id="large-end"))
    return felix.Policy(name, tier="large", inbound_rules=tuple(rules), outbound_rules=tuple(rules))


def large_rule(n: int) -> Rule:
    ports = [PortRange(1, 1 + n % 8000)]
    if n % 1000 == 0:
        ports += [PortRange(first, first + 1) for first in range(10000, 10000 + 5 * RANGES, 5)]
    return Rule(ACTIONS[n % len(ACTIONS)], protocol="tcp", src_ip_set_ids=("s:nobody",), dst_ports=tuple(ports), rule_id=f"large-{n}")


def behind(messages: list[felix.Payload], large: list[felix.Policy]) -> list[felix.Payload]:
    """Put the large tier before those of the endpoint."""
    names = tuple(policy.id for policy in large)
    tier = felix.TierInfo("large", names, names, "Deny")
    endpoint = next(m for m in messages if isinstance(m, felix.WorkloadEndpointUpdate)).endpoint
    wrapped = felix.WorkloadEndpointUpdate(ENDPOINT, endpoint._replace(tiers=(tier, *endpoint.tiers)))
    nobody = felix.IPSetUpdate("s:nobody", ("203.0.113.77/32", "2001:db8:77::77/128"), felix.IPSetType.NET)
    return [nobody, *(felix.ActivePolicyUpdate(p.id, p) for p in large), *(wrapped if isinstance(m, felix.WorkloadEndpointUpdate) else m for m in messages)]


@pytest.fixture(scope="module")
def large() -> list[felix.Policy]:
    return [large_policy(number) for number in range(POLICIES)]


@pytest.mark.parametrize(("case", "direction"), RUNS, ids=[f"{d.name}-{c['name']}" for c, d in RUNS])
def test_case_behind_large_tier(case: Case, direction: Direction, large: list[felix.Policy]) -> None:
    product = on_embedded()
    try:
        product.flush(behind(scenario.messages(case, direction), large), rest=True)
        assert product.driver.degraded() == []
        judge(product, case, direction)
    finally:
        product.close()


def judge(product: Product, case: Case, direction: Direction) -> None:
    for data in case["packets"]:
        if cases.expected(data) is not None:
            answer = product.send(Sent(cases.packet(data), direction.ingress))
            assert answer["verdict"] == cases.expected(data), (data, answer)
            (decision,) = (entry for entry in answer["policy"] if entry["stage"] == direction.name)
            assert [hit["rule_id"] for hit in decision["passed"]][:1] == ["large-end"], "it went through the large tier"
