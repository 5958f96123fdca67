"""The counters of a switch, read over P4Runtime as any client would."""

from collections import Counter
from typing import Any, NamedTuple

from calico_p4.decisions import decision
from calico_p4.switch import DEVICE_ID
from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4r
from test.support.product import Product

STAGES = ("egress", "ingress")
FIRST_SLOT, WAY_SHIFT = 1024, 18


class Hit(NamedTuple):
    """One rule, or the end of a tier or of the profiles, in one stage: it decided, or it was passed."""

    stage: str
    action: str
    kind: str | None
    name: str | None
    rule_index: int | None
    decided: bool


def packets(product: Product, alias: str, size: int, first: int = 0) -> Counter[int]:
    """Return the packets counted at ``size`` indices of a counter, by its P4Info alias; those at 0 are left out."""
    (number,) = (c.preamble.id for c in artefacts.p4info().counters if c.preamble.alias == alias)
    request = p4r.ReadRequest(device_id=DEVICE_ID)
    for index in range(first, first + size):
        entry = request.entities.add().counter_entry
        entry.counter_id, entry.index.index = number, index
    entries = (e.counter_entry for answer in P4RuntimeStub(product.channel).Read(request) for e in answer.entities)
    return Counter({entry.index.index: entry.data.packet_count for entry in entries if entry.data.packet_count})


def hits_by_rule(product: Product, slots: int = 512) -> Counter[Hit]:
    """Return how often each rule decided and how often it was passed. Slots are numbered from 1,024 up, below are those of host rules, and
    ways to lists from 1: a small cluster has them all among the first."""
    total: Counter[Hit] = Counter()
    for stage in STAGES:
        for slot, count in packets(product, f"{stage}.hits", slots, FIRST_SLOT).items():
            for hit in hits(decision(stage, origin(product, stage, slot), None)):
                total[hit] += count
        for way, count in packets(product, f"{stage}.passes", slots, 1).items():
            for ref in origin(product, stage, way << WAY_SHIFT):
                (hit,) = hits(decision(stage, (ref,), None))
                total[hit._replace(decided=False)] += count
    return total


def origin(product: Product, stage: str, slot: int) -> Any:
    """Return what a slot stands for; it must be something."""
    found = product.driver.translator.slot_origin(stage, slot)
    assert found, f"{stage} slot {slot} counted packets and belongs to nothing"
    return found


def hits(entry: dict[str, Any]) -> list[Hit]:
    """The rules of an element of the replay contract's ``policy``: those passed and the one that decided."""
    return [_hit(each, False) for each in entry["passed"]] + [_hit(entry, True)]


def _hit(entry: dict[str, Any], decided: bool) -> Hit:
    name = entry["trigger"]["name"] if "trigger" in entry else entry["name"]
    return Hit(entry["stage"], entry["action"], entry["kind"], name, entry["rule_index"], decided)
