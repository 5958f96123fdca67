"""Random conversations, changes of policy and passing time: what the pipeline says of each packet, and what it makes of it, is what the
model of flows says. Once without translation, once with a service, floating addresses and masquerade by four ports; and that once more with
established flows judged again when policy changes."""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP

from k8s_p4.reasons import Reason
from test.support.flow_model import ANSWERS, FlowModel, Nat, Said
from test.support.nat import TO_UPLINK, TO_WORKLOAD, floating, masquerade_as, pool, service, wrong_checksums
from test.support.pipeline import Bench, Outcome, number
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, allow, deny

VIP, FLOATING = Party("eth0", "10.96.0.10", "fd96::a"), Party("eth0", "192.0.2.200", "2001:db8::200")
PARTIES = {"one": ONE, "two": TWO, "far": REMOTE, "node": HOST, "vip": VIP, "fip": FLOATING}
SEED = int(os.environ.get("CALICO_P4_SEED", "0")) or Random().randrange(1 << 32)
STEPS = int(os.environ.get("CALICO_P4_FLOW_STEPS", "1200"))
FLAGS = ("S", "S", "SA", "A", "A", "PA", "FA", "F", "R", "RA")
PASSES = (0, 0, 0, 0.5, 5, 9.5, 10.5, 29.5, 30.5, 59.5, 60.5, 119.5, 120.5, 299.5, 300.5, 43199.5, 43200.5)
PLAIN = [("one", "two"), ("two", "one"), ("one", "far"), ("far", "one"), ("two", "far"), ("one", "one")]
TRANSLATED = [*PLAIN, ("one", "vip"), ("two", "vip"), ("far", "vip"), ("node", "vip"), ("one", "fip"), ("far", "fip"), ("two", "fip"),
              ("far", "node"), ("one", "node"), ("node", "far"), ("one", "far"), ("two", "far")]  # fmt: skip
NAT = Nat(services={("vip", what, 80): [("one", 8080), ("two", 8080)] for what in ("tcp", "udp")} | {("vip", "sctp", 80): [("two", 80)]},
          floating={"fip": "one"}, pool=frozenset(("one", "two")), node="node", ports=range(5000, 5004))  # fmt: skip


def said(rng: Random, before: list[Said], pairs: list[tuple[str, str]]) -> Said:
    """A packet, most often one that belongs to what was said before."""
    if before and rng.random() < 0.8:
        last = rng.choice(before[-6:])
        flags = rng.choice(FLAGS) if last.what == "tcp" else ""
        if rng.random() < 0.5:
            return last._replace(flags=flags)
        what = ANSWERS.get(last.what, last.what) if rng.random() < 0.9 else last.what
        if (last.dst, last.src) in TRANSLATED or last.dst in ("one", "two", "far", "node"):
            return Said(last.dst, last.src, what, last.dport, last.sport, flags)
    src, dst = rng.choice(pairs)
    what = rng.choice(("tcp", "tcp", "tcp", "udp", "sctp", "request", "reply"))
    sport, dport = rng.choice((1000, 2000, 5001)), rng.choice((1000, 80, 8080))
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
    words = {Reason.ESTABLISHED: "established", Reason.POLICY: "denied", Reason.NO_PORT: "no_port", Reason.FLOW_CLASH: "clash"}
    return words[reason] if reason in words else "new" if reason.allows else str(reason)


def leaves(outcome: Outcome, packet: Said, version: int) -> Said | None:
    """What left, in the model's words; its checksums looked at."""
    if not outcome.out:
        return None
    assert not wrong_checksums(outcome.frame)
    frame = Ether(outcome.frame)
    ip = frame[IP if version == 4 else IPv6]
    names = {party.address(version): name for name, party in PARTIES.items()}
    l4 = next(ip[kind] for kind in (TCP, UDP, SCTP, ICMP, ICMPv6EchoRequest, ICMPv6EchoReply) if kind in ip)
    ports = (l4.id, l4.id) if packet.what in ("request", "reply") else (l4.sport, l4.dport)
    return Said(names[ip.src], names[ip.dst], packet.what, *ports, packet.flags)


def chosen(outcome: Outcome, packet: Said, version: int) -> Said | None:
    """Where a packet would have gone that was dropped: which backend was chosen can't be seen otherwise."""
    names = {number(party.address(version)): name for name, party in PARTIES.items()}
    metadata = outcome.injected.metadata
    dst = names.get(metadata[f"new_dst_v{version}"])
    return packet._replace(dst=dst, dport=metadata["new_dst_port"]) if dst else None


def change_policy(rng: Random, bench: Bench, model: FlowModel) -> None:
    """Turn one direction of one workload around; now and then none, and the policy has another number all the same."""
    if model.epoch:
        change_epoch(bench, model)
        if rng.random() < 0.3:
            return
    way = (rng.choice(("one", "two")), rng.choice(("egress", "ingress")))
    model.denied ^= {way}
    (deny if way in model.denied else allow)(bench, PARTIES[way[0]], way[1])


def change_epoch(bench: Bench, model: FlowModel) -> None:
    """Another number for the policy."""
    model.epoch += 1
    for family in (4, 6):
        bench.row("epoch", (family,), ("policy_is", model.epoch))


def translate(bench: Bench, version: int) -> None:
    """The rows of NAT."""
    at = {name: party.address(version) for name, party in PARTIES.items()}
    for group, ((vip, what, port), backends) in enumerate(NAT.services.items(), 1):
        service(bench, at[vip], port, [(at[name], target) for name, target in backends], group=group, protocol=what)
    floating(bench, at["fip"], at["one"])
    pool(bench, "10.0.0.0/24" if version == 4 else "fd00::/64", 3)
    for to in (TO_WORKLOAD, TO_UPLINK):
        masquerade_as(bench, at["node"], to, first=NAT.ports.start, mask=len(NAT.ports) - 1)


@pytest.mark.parametrize("version", [4, 6], ids=["v4", "v6"])
@pytest.mark.parametrize(("nat", "again"), [(Nat(), False), (NAT, False), (NAT, True)], ids=["plain", "translated", "judged_again"])
def test_random_conversations(version: int, nat: Nat, again: bool) -> None:
    told = converse(version, nat, STEPS, again)
    words = ("new", "denied", "established", "no_port", "clash") if nat.pool else ("new", "denied", "established")
    assert all(told[word] for word in words), told


def converse(version: int, nat: Nat, steps: int, again: bool) -> Counter[str]:
    """Random conversations against the model; returns what was said how often. ``again``: established flows are judged again."""
    rng = Random(SEED * 10 + version)
    bench = Bench()
    talk, model, told = Talk(bench, version), FlowModel(nat=nat), Counter[str]()
    if nat.pool:
        translate(bench, version)
    if again:
        change_epoch(bench, model)
    before: list[Said] = []
    for step in range(steps):
        if rng.random() < 0.1:
            change_policy(rng, bench, model)
        talk.wait(rng.choice(PASSES))
        packet = said(rng, before, TRANSLATED if nat.pool else PLAIN)
        outcome = talk.send(PARTIES[packet.src], PARTIES[packet.dst], layer(talk, packet))
        seen = leaves(outcome, packet, version)
        expected = model.say(packet, talk.now, seen or chosen(outcome, packet, version))
        told[expected[0]] += 1
        assert (verdict(outcome.reason), seen) == expected, f"CALICO_P4_SEED={SEED}, step {step} at {talk.now} s: {packet}, after {before[-6:]}"
        before += [packet] if seen is None else [packet, seen]
    bench.close()
    return told
