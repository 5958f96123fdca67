"""Hit counters by rule: exact for every packet, across edits, while slots go out of use and are given to others."""

from collections import Counter
from random import Random, SystemRandom
from typing import Any

from calico_p4.hits import drops
from test.support import gen_cluster, gen_packets, gen_stream
from test.support.product import Product, on_embedded
from test.support.world import World

SEED = SystemRandom().randrange(1 << 32)


def told(entry: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what an element of an answer's ``policy`` says of rules: those passed, and the one that decided; comparable with `rules_of`."""
    hits = [*entry["passed"], entry]
    return [(entry["stage"], h is entry, h["action"], (h.get("trigger") or h)["name"], h["rule_index"], h["rule_id"] or "") for h in hits]


def rules_of(stage: str, path: Any) -> list[tuple[Any, ...]]:
    decided = path[-1]
    return [(stage, ref is decided, ref.action, getattr(ref.owner, "name", ref.owner), ref.rule_index, ref.rule_id) for ref in path if ref]


def counted(product: Product) -> Counter[Any]:
    totals = product.driver.hits.totals(product.switch.client, product.driver.translator)
    found: Counter[Any] = Counter()
    for (stage, path), count in totals.items():
        found.update(dict.fromkeys(rules_of(stage, path), count))
    return +found


def test_every_packet_is_counted_under_the_rules_it_met_whatever_is_edited_meanwhile() -> None:
    print("seed", SEED)
    reused = 0
    for seed in range(SEED, SEED + 6):
        reused += check(Random(seed))
    assert reused, "no slot number ever came to stand for another path: the test tests nothing"


def check(rng: Random) -> int:
    product, world, cluster = on_embedded(), World(), gen_cluster.cluster(rng)
    expected: Counter[Any] = Counter()
    dropped = 0
    meanings: dict[tuple[str, int], set[Any]] = {}
    messages, _ = gen_stream.first_flush(rng, cluster)
    for _ in range(12):
        world.apply_all(messages)
        product.flush(messages, rest=rng.random() < 0.8)
        for stage, number, path in product.driver.translator.slots():
            meanings.setdefault((stage, number), set()).add(path)
        for _ in range(25):
            sent = gen_packets.packet(rng, world)
            answer = product.send(sent)
            expected.update(rule for entry in answer["policy"] for rule in told(entry))
            dropped += answer["verdict"] == "deny"
        assert counted(product) == expected
        gen_cluster.change(rng, cluster)
        gen_cluster.edit_policy(rng, cluster)
        messages = gen_stream.flush(rng, world, cluster)
    assert sum(drops(product.switch.client).values()) == dropped
    product.close()
    return sum(len(paths) > 1 for paths in meanings.values())

