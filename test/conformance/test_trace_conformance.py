"""Every packet of the collection, traced: the answer is the one that the suite judges, and every step is an entry on the target."""

import pytest

from calico_p4.inspect.objects import History
from calico_p4.inspect.scene import Replayed
from calico_p4.inspect.trace import Probe, Tracer
from test.conformance.test_product_conformance import ROWS, RUNS, product_for
from test.support import cases, scenario
from test.support.cases import Case
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.product import Product, on_embedded
from test.support.shared import needs_shared

pytestmark = needs_shared
EXTRA = {"id", "sent", "steps", "flow", "rejected"}


@pytest.mark.parametrize(("name", "case", "direction"), RUNS)
def test_a_case_traced(name: str, case: Case, direction: scenario.Direction) -> None:
    with product_for(case, direction, on_embedded) as product:
        trace_all(product, case, direction)


@pytest.mark.parametrize(("row", "direction"), ROWS)
def test_a_row_traced(row: Case, direction: scenario.Direction) -> None:
    case = scenario.row_case(row)
    with product_for(case, direction, on_embedded) as product:
        trace_all(product, case, direction)


def trace_all(product: Product, case: Case, direction: scenario.Direction) -> None:
    tracer = Tracer(Replayed(product.driver, product.switch, History(), "conformance", 0, None))
    for data in case["packets"]:
        if cases.expected(data) is not None:
            sent = Sent(cases.packet(data), direction.ingress)
            where = direction.ingress if direction.ingress in ("host", "uplink") else f"interface:{direction.ingress}"
            traced, answer = tracer.trace(Probe(frame(sent.packet), where)), product.send(sent)
            assert {k: v for k, v in traced.items() if k not in EXTRA} == {k: v for k, v in answer.items() if k not in EXTRA}
            assert traced["verdict"] == cases.expected(data)
            decided = [step for step in traced["steps"] if step["table"].endswith(".rules")]
            assert len(decided) == len(answer["policy"]) and all(step["entry"] for step in decided)
