"""Calico's own policy cases as packets through the embedded target: verdicts, and the rules met on the way.

A case without a direction is run twice: as ingress policy of the endpoint that owns the destination, and as egress policy of the one
that owns the source.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from k8s_p4.reasons import Reason
from test.support import cases, scenario
from test.support.cases import Case
from test.support.census import Census
from test.support.counters import hits, hits_by_rule, packets
from test.support.gen_packets import Sent
from test.support.product import Product, on_embedded, on_model
from test.support.scenario import Direction
from test.support.shared import have_shared, needs_shared
from test.support.trial import Make

pytestmark = needs_shared
FILES = ("workload_policy", "tier_evaluation", "rule_hits")
RUNS = [
    pytest.param(name, case, direction, id=f"{name}-{direction.name}-{case['name']}")
    for name in FILES
    for case in (cases.load(name) if have_shared() else [])
    for direction in scenario.directions(case)
]
ROWS = [
    pytest.param(row, direction, id=f"{direction.name}-{row['name']}")
    for row in (cases.load("match_rows") if have_shared() else [])
    for direction in (scenario.INGRESS, scenario.EGRESS)
]
CORPUS = cases.load("rule_corpus") if have_shared() else []
ACTIONS = ("", "allow", "deny", "next-tier", "pass", "log")
REALISABLE = {"workload_policy": 523, "tier_evaluation": 17, "rule_hits": 13}


@contextmanager
def product_for(case: Case, direction: Direction, make: Make = on_embedded) -> Iterator[Product]:
    product = make()
    try:
        product.flush(scenario.messages(case, direction), rest=True)
        assert product.driver.degraded() == []
        yield product
    finally:
        product.close()


def check(name: str, case: Case, direction: Direction, census: Census) -> None:
    answers: list[dict[str, Any]] = []
    with product_for(case, direction) as product:
        for place, data in enumerate(case["packets"]):
            if "unrealisable" in data:
                census.unrealisable[name, case["name"], place] = data["unrealisable"]
            if cases.expected(data) is not None:
                answer = product.send(Sent(cases.packet(data), direction.ingress))
                census.sent[name, direction.name] += 1
                judge(answer, data, direction)
                answers.append(answer)
        check_counters(product, answers)


def check_counters(product: Product, answers: list[dict[str, Any]]) -> None:
    """Every decision is counted once, under the very rules that were reported; every drop once, under its reason."""
    reported = Counter(hit for answer in answers for entry in answer["policy"] for hit in hits(entry))
    assert hits_by_rule(product) == reported
    assert packets(product, "drops", len(Reason)) == Counter({int(Reason.POLICY): n for n in [sum(a["verdict"] == "deny" for a in answers)] if n})


def judge(answer: dict[str, Any], data: Case, direction: Direction) -> None:
    assert answer["verdict"] == cases.expected(data), (data, answer)
    assert answer["reason"] in ("policy", "default_deny"), (data, answer)
    if "hits" in data:
        expected = [expected_hit(hit) for hit in data["hits"] if hit["at"] != "tier-end" or hit["action"] != "pass"]
        assert met(answer, direction) == expected, (data, answer)


def met(answer: dict[str, Any], direction: Direction) -> list[tuple[object, ...]]:
    """The rules met and the end that decided; tiers passed at their end are not told by the product."""
    (decision,) = (entry for entry in answer["policy"] if entry["stage"] == direction.name)
    hits = [*decision["passed"], decision]
    return [(h["action"], h["kind"] if h["rule_index"] is None else "rule", h["tier"], h["name"], h["rule_index"], h["rule_id"]) for h in hits]


def expected_hit(hit: Case) -> tuple[object, ...]:
    kind = {"rule": "rule", "tier-end": "EndOfTier", "profile-end": "EndOfProfiles"}[hit["at"]]
    rule_id = hit.get("rule_id", "" if kind == "rule" else None)
    return hit["action"], kind, hit.get("tier"), hit.get("policy"), hit.get("index"), rule_id


@pytest.mark.parametrize(("name", "case", "direction"), RUNS)
def test_case(name: str, case: Case, direction: Direction, census: Census) -> None:
    check(name, case, direction, census)


@pytest.mark.parametrize(("row", "direction"), ROWS)
def test_row(row: Case, direction: Direction, census: Census) -> None:
    check("match_rows", scenario.row_case(row), direction, census)


@pytest.mark.parametrize("entry", CORPUS, ids=[entry["name"] for entry in CORPUS])
def test_corpus_translates(entry: Case) -> None:
    """Translation alone, so the model of a switch will do."""
    for action in ACTIONS:
        for direction in (scenario.INGRESS, scenario.EGRESS):
            with product_for(scenario.corpus_case(entry, action), direction, on_model) as product:
                assert product.driver.converged


def test_every_packet_of_the_collection_is_run() -> None:
    """What is left out must say why: this fails if the collection grows packets that are skipped for another reason."""
    for name, expected in REALISABLE.items():
        packets = [packet for case in cases.load(name) for packet in case["packets"]]
        assert sum(cases.expected(packet) is not None for packet in packets) == expected
        assert all("unrealisable" in packet for packet in packets if cases.expected(packet) is None)
