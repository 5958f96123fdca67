"""The counters of a switch, read over P4Runtime as any client would."""

from collections import Counter
from typing import Any

from calico_p4.decisions import decision
from calico_p4.switch import DEVICE_ID
from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4r
from test.support.product import Product

STAGES = ("egress", "ingress")
Path = tuple[Any, ...]


def packets(product: Product, alias: str, size: int) -> Counter[int]:
    """Return the packets counted at each of the first ``size`` indices of a counter, by its P4Info alias; those at 0 are left out."""
    (number,) = (c.preamble.id for c in artefacts.p4info().counters if c.preamble.alias == alias)
    request = p4r.ReadRequest(device_id=DEVICE_ID)
    for index in range(size):
        entry = request.entities.add().counter_entry
        entry.counter_id, entry.index.index = number, index
    entries = (e.counter_entry for answer in P4RuntimeStub(product.channel).Read(request) for e in answer.entities)
    return Counter({entry.index.index: entry.data.packet_count for entry in entries if entry.data.packet_count})


def hits_by_path(product: Product, slots: int = 512) -> Counter[Path]:
    """Return the packets counted for each path. Slots are numbered from 1 up, so a small cluster has them all among the first."""
    total: Counter[Path] = Counter()
    for stage in STAGES:
        for slot, count in packets(product, f"{stage}.hits", slots).items():
            origin = product.driver.translator.slot_origin(stage, slot)
            assert origin is not None, f"{stage} slot {slot} counted {count} packets and belongs to nothing"
            total[path_of(decision(stage, origin, None))] += count
    return total


def path_of(entry: dict[str, Any]) -> Path:
    """The path of an element of the replay contract's ``policy``: stage, then action, name and rule of all that was met, and ended it."""
    hits = [*entry["passed"], entry]
    return (entry["stage"], *((h["action"], h["kind"], h["trigger"]["name"] if "trigger" in h else h["name"], h["rule_index"]) for h in hits))
