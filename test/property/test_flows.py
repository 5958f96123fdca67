"""Random conversations, changes of policy and passing time: what the pipeline says of each packet is what the model of flows says."""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.sctp import SCTP

from k8s_p4.reasons import Reason
from test.support.flow_model import FlowModel, Said
from test.support.pipeline import Bench
from test.support.talk import ONE, REMOTE, TWO, Talk, allow, deny

PARTIES = {"one": ONE, "two": TWO, "far": REMOTE}
SEED = int(os.environ.get("CALICO_P4_SEED", "0")) or Random().randrange(1 << 32)
STEPS = int(os.environ.get("CALICO_P4_FLOW_STEPS", "3000"))
FLAGS = ("S", "S", "SA", "A", "A", "PA", "FA", "F", "R", "RA")
PASSES = (0, 0, 0, 0.5, 5, 9.5, 10.5, 29.5, 30.5, 59.5, 60.5, 119.5, 120.5, 299.5, 300.5, 43199.5, 43200.5)


def said(rng: Random, before: list[Said]) -> Said:
    """A packet, most often one that belongs to what was said before."""
    if before and rng.random() < 0.8:
        last = rng.choice(before[-4:])
        flags = rng.choice(FLAGS) if last.what == "tcp" else ""
        if rng.random() < 0.5:
            return last._replace(flags=flags)
        what = {"request": "reply", "reply": "request"}.get(last.what, last.what) if rng.random() < 0.9 else last.what
        return Said(last.dst, last.src, what, last.dport, last.sport, flags)
    src, dst = rng.choice([("one", "two"), ("two", "one"), ("one", "far"), ("far", "one"), ("two", "far"), ("one", "one")])
    what = rng.choice(("tcp", "tcp", "tcp", "udp", "sctp", "request", "reply"))
    sport, dport = rng.choice((1000, 2000)), rng.choice((1000, 80))
    if what in ("request", "reply"):
        dport = sport
    return Said(src, dst, what, sport, dport, rng.choice(FLAGS) if what == "tcp" else "")


def layer(talk: Talk, packet: Said) -> Any:
    """The packet above IP."""
    if packet.what in ("request", "reply"):
        return talk.echo_layer(packet.sport, packet.what == "reply")
    if packet.what == "tcp":
        return TCP(sport=packet.sport, dport=packet.dport, flags=packet.flags)
    return (UDP if packet.what == "udp" else SCTP)(sport=packet.sport, dport=packet.dport)


def verdict(reason: Reason) -> str:
    """In the model's words."""
    if reason == Reason.ESTABLISHED:
        return "established"
    return {Reason.POLICY: "denied", Reason.POLICY_ALLOW: "new"}[reason]


def change_policy(rng: Random, bench: Bench, model: FlowModel) -> None:
    """Turn one direction of one workload around."""
    way = (rng.choice(("one", "two")), rng.choice(("egress", "ingress")))
    model.denied ^= {way}
    (deny if way in model.denied else allow)(bench, PARTIES[way[0]], way[1])


@pytest.mark.parametrize("version", [4, 6], ids=["v4", "v6"])
def test_random_conversations(version: int) -> None:
    rng = Random(SEED * 10 + version)
    bench = Bench()
    talk, model, told = Talk(bench, version), FlowModel(frozenset(("one", "two"))), Counter[str]()
    before: list[Said] = []
    for step in range(STEPS):
        if rng.random() < 0.1:
            change_policy(rng, bench, model)
        talk.wait(rng.choice(PASSES))
        packet = said(rng, before)
        before.append(packet)
        expected = model.say(packet, talk.now)
        got = verdict(talk.send(PARTIES[packet.src], PARTIES[packet.dst], layer(talk, packet)).reason)
        told[expected] += 1
        assert got == expected, f"CALICO_P4_SEED={SEED}, step {step} at {talk.now} s: {packet}, after {before[-6:-1]}"
    bench.close()
    assert min(told[word] for word in ("new", "denied", "established")) > STEPS // 20, told
