"""Traces of generated packets through generated clusters, against the reference evaluator: verdict, policy, rule; nearest misses.

The long run, 100,000 traced packets and 500 nearest misses:

    CALICO_P4_TRACES=100000 CALICO_P4_MISSES=500 python -m pytest test/property/test_trace.py -s
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from random import Random, SystemRandom
from typing import Any

from calico_p4.inspect.asking import culprit
from calico_p4.inspect.nearest import nearest_miss
from calico_p4.inspect.objects import History
from calico_p4.inspect.scene import Replayed
from calico_p4.inspect.staged import staged_verdict
from calico_p4.inspect.trace import Probe, Tracer
from calico_p4.inspect.verify import disagreements, second_opinion
from k8s_p4.rows import TABLES
from test.support import gen_cluster, gen_packets, gen_stream
from test.support.compare import differences
from test.support.evaluator import HOST, UPLINK, judge
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.product import Product, on_embedded
from test.support.whatif import carried_out, with_staged_enforced
from test.support.world import World

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
TRACES = int(os.environ.get("CALICO_P4_TRACES") or 1000)
MISSES = int(os.environ.get("CALICO_P4_MISSES") or 25)
VERIFIED = 1000


def probe_of(sent: Sent) -> Probe:
    return Probe(frame(sent.packet), sent.ingress if sent.ingress in (HOST, UPLINK) else f"interface:{sent.ingress}")


def scene_of(product: Product) -> Replayed:
    return Replayed(product.driver, product.switch, History(), "generated", 0, None)


def clusters(seed: int) -> Iterator[tuple[Random, World, Product]]:
    """Yield cluster after cluster, each through a first flush and one of changes."""
    while True:
        rng = Random(seed)
        product, world, cluster = on_embedded(), World(), gen_cluster.cluster(rng)
        messages, _ = gen_stream.first_flush(rng, cluster)
        world.apply_all(messages)
        product.flush(messages, rest=True)
        for _ in range(rng.randint(0, 3)):
            gen_cluster.change(rng, cluster)
        messages = gen_stream.flush(rng, world, cluster)
        world.apply_all(messages)
        product.flush(messages)
        try:
            yield rng, world, product
        finally:
            product.close()
        seed += 1


def test_a_trace_agrees_with_the_evaluator_and_with_the_entries(told: list[str]) -> None:
    """Every step was found among the entries read back, with the action that ran: `Tracer` raises where it is not so."""
    traced, steps = 0, Counter[str]()
    told.append(f"traces: CALICO_P4_SEED={SEED}")
    for rng, world, product in clusters(SEED):
        tracer = Tracer(scene_of(product))
        for _ in range(50):
            sent = gen_packets.packet(rng, world)
            answer = tracer.trace(probe_of(sent))
            wrong = list(differences(judge(world, sent.packet, sent.ingress), answer, world))
            assert not wrong, (sent, wrong)
            steps.update(f"{step['table']} {step['result']}" for step in answer["steps"])
            assert all((step["origin"] is not None) == (step["result"] == "hit") for step in answer["steps"] if step["table"] in TABLES)
            traced += 1
        if traced >= TRACES:
            break
    told[-1] += f": {traced} packets, {steps.total()} steps, 0 differences"
    assert {f"{stage}.rules hit" for stage in ("ingress", "egress")} <= steps.keys()


def test_the_nearest_miss_of_a_default_deny_really_flips_the_verdict(told: list[str]) -> None:
    kinds, denies = Counter[str](), 0
    told.append(f"nearest misses: CALICO_P4_SEED={SEED}")
    for rng, world, product in clusters(SEED):
        scene = scene_of(product)
        tracer = Tracer(scene)
        for _ in range(25):
            sent = gen_packets.packet(rng, world)
            answer = tracer.send(probe_of(sent))
            if answer["reason"] == "default_deny":
                denies += 1
                kinds[check_miss(scene, tracer, world, sent, answer)] += 1
        if kinds.total() - kinds["none"] - kinds["further"] >= MISSES:
            break
    told[-1] += f": {denies} default denies, {dict(kinds.most_common())}"
    assert kinds["member"] + kinds["packet"] + kinds["rule"]


def check_miss(scene: Replayed, tracer: Tracer, world: World, sent: Sent, answer: dict[str, Any]) -> str:
    """Carry the named change out where the reference evaluator judges; returns its kind."""
    assert culprit(answer)["stage"] == answer["policy"][-1]["stage"]
    probe = probe_of(sent)
    ends = tracer.ends(probe)
    miss = nearest_miss(scene, probe, answer, ends, tracer.seat(answer, ends))
    if miss is None:
        return "none"
    changed, again = carried_out(world, sent, json.loads(json.dumps(miss["change"]), object_hook=_tuples))
    verdict = judge(changed, again.packet, again.ingress).verdict
    assert (verdict == "allow") == miss["flips"], (sent, miss, verdict)
    return str(miss["change"]["kind"]) if miss["flips"] else "further"


def _tuples(item: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists back to the tuples of the wire's values."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}


def test_staged_policies_get_the_verdict_that_they_would_have_if_they_were_enforced(told: list[str]) -> None:
    compared, other = 0, 0
    told.append(f"staged policies: CALICO_P4_SEED={SEED}")
    for rng, world, product in clusters(SEED):
        scene = scene_of(product)
        tracer = Tracer(scene)
        for _ in range(20):
            sent = gen_packets.packet(rng, world)
            if sent.packet.fragment or tracer.send(probe_of(sent))["reason"] not in ("policy", "default_deny"):
                continue
            staged = staged_verdict(scene, probe_of(sent), tracer.ends(probe_of(sent)))
            if staged is not None:
                wanted = judge(with_staged_enforced(world), sent.packet, sent.ingress)
                if wanted.reason in ("policy", "default_deny"):
                    compared += 1
                    other += staged["verdict"] != judge(world, sent.packet, sent.ingress).verdict
                    assert (staged["verdict"], staged["reason"]) == (wanted.verdict, wanted.reason), (sent, staged, wanted)
        if compared >= 40 and other:
            break
    told[-1] += f": {compared} packets, {other} with another verdict, 0 differences"


def test_a_second_switch_agrees(told: list[str]) -> None:
    compared = 0
    told.append(f"second switch: CALICO_P4_SEED={SEED}")
    for rng, world, product in clusters(SEED):
        scene = scene_of(product)
        with second_opinion(scene) as other:
            packets = [probe_of(gen_packets.packet(rng, world)) for _ in range(100)]
            assert disagreements(Tracer(scene), other, packets) == []
            compared += len(packets)
        if compared >= VERIFIED:
            break
    told[-1] += f": {compared} packets, 0 differences"
