"""Calico's own policy cases, judged by the reference evaluator: the proof of the judge, before it judges anyone."""

import pytest

from felix_proto.types import IPSetType
from test.support import cases, scenario
from test.support.cases import Case
from test.support.chain import Hit
from test.support.evaluator import Answer, judge
from test.support.flaws import NET_SETS, PORT_SETS, rule_flaws
from test.support.packet import Packet, make
from test.support.rulematch import Match, match
from test.support.shared import have_shared, needs_shared
from test.support.world import SetContent, World

NET, IP_AND_PORT = IPSetType.NET, IPSetType.IP_AND_PORT
pytestmark = needs_shared
FILES = ("workload_policy", "tier_evaluation", "rule_hits")
ALL = [(name, case) for name in FILES for case in cases.load(name)] if have_shared() else []
ROWS = cases.load("match_rows") if have_shared() else []
CORPUS = cases.load("rule_corpus") if have_shared() else []


def run(case: Case, direction: scenario.Direction, data: Case) -> Answer:
    world = World()
    world.apply_all(scenario.messages(case, direction))
    return judge(world, cases.packet(data), direction.ingress)


def check(case: Case, data: Case) -> None:
    for direction in scenario.directions(case):
        answer = run(case, direction, data)
        verdict = cases.expected(data)
        assert verdict is None or answer.verdict == verdict, (direction.name, data, answer)
        if "hits" in data:
            assert hits(answer, direction) == [expected_hit(hit) for hit in data["hits"] if hit["at"] != "tier-end" or hit["action"] != "pass"]


def hits(answer: Answer, direction: scenario.Direction) -> list[tuple[object, ...]]:
    """What the packet met, in the terms of the collection; tiers passed at their end are not told by the evaluator."""
    (decision,) = (stage.decision for stage in answer.policy if stage.stage == direction.name)
    return [met(hit) for hit in (*decision.passed, decision.hit)]


def met(hit: Hit) -> tuple[object, ...]:
    return hit.action, hit.kind if hit.rule_index is None else "rule", hit.tier, hit.name, hit.rule_index


def expected_hit(hit: Case) -> tuple[object, ...]:
    kind = {"rule": "rule", "tier-end": "EndOfTier", "profile-end": "EndOfProfiles"}[hit["at"]]
    return hit["action"], kind, hit.get("tier"), hit.get("policy"), hit.get("index")


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{name}-{case['name']}" for name, case in ALL])
def test_case(name: str, case: Case) -> None:
    for data in case["packets"]:
        check(case, data)


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_row(row: Case) -> None:
    case = scenario.row_case(row)
    check(case, case["packets"][0])


@pytest.mark.parametrize("entry", CORPUS, ids=[entry["name"] for entry in CORPUS])
def test_corpus_rule_is_flawless(entry: Case) -> None:
    rule = cases.rule(entry["rule"])
    net_sets = {set_id: SetContent(NET, frozenset()) for name in NET_SETS for set_id in getattr(rule, name)}
    port_sets = {set_id: SetContent(IP_AND_PORT, frozenset()) for name in PORT_SETS for set_id in getattr(rule, name)}
    assert not list(rule_flaws(rule, net_sets | port_sets))
    if entry.get("matches_nothing"):
        assert all(match(rule, p, {}) is Match.NO for p in _probes(entry["ip_version"]))


def _probes(version: int) -> list[Packet]:
    pairs = {4: ("10.0.0.1", "11.0.0.1"), 6: ("feed::beef", "feed::1")}
    return [make(version, proto, *pairs[version]) for proto in (1, 6, 17, 58, 132, 253)]
