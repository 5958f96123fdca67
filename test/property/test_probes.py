"""Edits are atomic for each chain, and across the two chains of a path closing goes before opening: packets between any two Writes.

``CALICO_P4_SEED`` and ``CALICO_P4_CLUSTERS`` as for test_policy.py.
"""

import os
import time
from random import Random, SystemRandom

import pytest

from calico_p4.push import BATCH
from felix_proto import types as felix
from felix_proto.types import Rule
from test.support import gen_cluster, gen_packets, gen_stream
from test.support.build import A, B, endpoint, gnp, policy, profile, sets, tier, world
from test.support.evaluator import judge
from test.support.gen_packets import Sent
from test.support.packet import TCP, UDP, make
from test.support.probes import Third, probed_flush
from test.support.product import on_model
from test.support.scenario import CONFIG, HOST
from test.support.world import World

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
CLUSTERS = int(os.environ.get("CALICO_P4_CLUSTERS") or 0)
BUDGET_SECONDS = 15.0


def probe_cluster(seed: int, only: tuple[object, ...] = gen_cluster.CHANGES) -> int:
    """Probe the flushes of one generated cluster; returns how many answers were looked at."""
    rng = Random(seed)
    cluster = gen_cluster.cluster(rng)
    product, state = on_model(seed), World()
    messages, _ = gen_stream.first_flush(rng, cluster)
    product.flush(messages)
    state.apply_all(messages)
    looked = 0
    for _ in range(6):
        for _ in range(rng.randint(1, 2)):
            rng.choice(only)(rng, cluster)  # type: ignore[operator]
        messages = gen_stream.flush(rng, state, cluster)
        sent = [gen_packets.packet(rng, state) for _ in range(30)]
        looked += probed_flush(product, state, messages, sent, rest=rng.random() < 0.7)
        state.apply_all(messages)
    return looked


def test_generated_edits(told: list[str]) -> None:
    told.append(f"probes: CALICO_P4_SEED={SEED}")
    start, clusters, looked = time.monotonic(), 0, 0
    while clusters < CLUSTERS if CLUSTERS else clusters < 10 or time.monotonic() - start < BUDGET_SECONDS:
        try:
            looked += probe_cluster(SEED + clusters)
        except Third as third:
            pytest.fail(f"CALICO_P4_SEED={SEED + clusters}: {third}", pytrace=False)
        clusters += 1
    told[-1] += f": {clusters} clusters, {looked} answers between Writes, none but the old and the new"
    assert looked > 1000


ALLOW, DENY = Rule("allow"), Rule("deny")
A_TO_B = Sent(make(4, TCP, "10.0.0.1", "10.0.0.2"), "calia")
TCP_FROM = [Sent(make(4, proto, f"198.51.100.{n}", "10.0.0.2", dport=port), "uplink") for n in range(4) for proto in (TCP, UDP) for port in (80, 443)]


def run(first: list[felix.Payload], edit: list[felix.Payload], sent: list[Sent], batch: int = BATCH) -> int:
    looked = 0
    for seed in range(20):
        product, state = on_model(seed), world(*first)
        product.driver.pusher._batch = batch
        product.flush([CONFIG, HOST, *first, felix.InSync()])
        looked += probed_flush(product, state, edit, sent, rest=True)
        state.apply_all(edit)
        for one in sent:
            assert (product.send(one)["verdict"]) == judge(state, one.packet, one.ingress).verdict
    return looked


def one_tier(policy_id: felix.PolicyID, direction: str = "ingress") -> tuple[felix.TierInfo, ...]:
    return (tier("t", **{direction: (policy_id,)}),)


def test_default_moves_while_an_exception_comes_and_another_goes() -> None:
    """All others were denied and are allowed; one peer was allowed and stays so, one is denied from now on."""
    members = sets({"s:one": ("198.51.100.1/32",), "s:two": ("198.51.100.2/32",)})
    name = gnp("t.p")
    before = policy(name, (Rule("allow", src_ip_set_ids=("s:one",)), DENY))
    after = policy(name, (Rule("deny", src_ip_set_ids=("s:two",)), ALLOW))
    assert run([*members, before, endpoint(B, tiers=one_tier(name))], [after], TCP_FROM) > 100


def test_ports_move_under_an_exception() -> None:
    members = sets({"s:one": ("198.51.100.1/32", "198.51.100.2/32")})
    name = gnp("t.p")
    web = Rule("allow", protocol="tcp", dst_ports=(felix.PortRange(80, 80),))
    before = policy(name, (Rule("allow", src_ip_set_ids=("s:one",)), web))
    after = policy(name, (Rule("deny", src_net=("198.51.100.2/32",)), Rule("allow", protocol="udp"), web))
    assert run([*members, before, endpoint(B, tiers=one_tier(name))], [after], TCP_FROM) > 100


def test_one_end_closes_before_the_other_opens() -> None:
    """Egress of A opens while ingress of B closes: at no time does a packet pass."""
    out, into = gnp("t.out"), gnp("t.in")
    first = [
        policy(out, (), (DENY,)), policy(into, (ALLOW,), ()),
        endpoint(A, tiers=one_tier(out, "egress")), endpoint(B, tiers=one_tier(into)),
    ]  # fmt: skip
    edit = [policy(out, (), (ALLOW,)), policy(into, (DENY,), ())]
    assert run(first, edit, [A_TO_B]) > 0
    assert run(first, edit[::-1], [A_TO_B]) > 0
    back = [policy(out, (), (DENY,)), policy(into, (ALLOW,), ())]
    assert run([*edit, *first[2:]], back, [A_TO_B]) > 0


def test_one_policy_on_both_ends_turns_over() -> None:
    """The same edit opens egress of both endpoints and closes ingress of both."""
    name = gnp("t.p")
    tiers = (tier("t", (name,), (name,)),)
    first = [policy(name, (ALLOW,), (DENY,)), endpoint(A, tiers=tiers), endpoint(B, tiers=tiers)]
    assert run(first, [policy(name, (DENY,), (ALLOW,))], [A_TO_B]) > 0


def test_a_chain_stops_asking_about_its_own_side() -> None:
    """One of two addresses may send before and after: by a variant of its own, then by the one that is left."""
    name = gnp("t.p")
    before = policy(name, (), (Rule("allow", src_net=("10.0.0.8/32",)), Rule("deny", dst_net=("198.51.100.1/32",)), ALLOW))
    two = endpoint(A, ipv4_nets=("10.0.0.1/32", "10.0.0.8/32"), tiers=one_tier(name, "egress"))
    sent = [Sent(make(4, TCP, f"10.0.0.{own}", f"198.51.100.{n}"), "calia") for own in (1, 8) for n in (1, 2)]
    assert run([before, two], [policy(name, (), (ALLOW,))], sent) > 100


def test_members_that_close_one_end_and_open_the_other() -> None:
    """B leaves the set that A may send to while A joins the set that B may hear: at no time does a packet pass."""
    out, into = gnp("t.out"), gnp("t.in")
    first = [
        *sets({"s:to": ("10.0.0.2/32", "10.0.0.9/32"), "s:from": ("10.0.0.9/32",)}),
        policy(out, (), (Rule("allow", dst_ip_set_ids=("s:to",)),)), policy(into, (Rule("allow", src_ip_set_ids=("s:from",)),)),
        endpoint(A, tiers=one_tier(out, "egress")), endpoint(B, tiers=one_tier(into)),
    ]  # fmt: skip
    edit = [felix.IPSetDeltaUpdate("s:to", (), ("10.0.0.2/32",)), felix.IPSetDeltaUpdate("s:from", ("10.0.0.1/32",), ())]
    assert run(first, edit, [A_TO_B]) > 0
    wide = [felix.IPSetUpdate("s:to", ("10.0.0.9/32",), felix.IPSetType.NET), felix.IPSetDeltaUpdate("s:from", ("10.0.0.0/24",), ())]
    assert run(first, wide, [A_TO_B]) > 0


def test_a_member_closes_one_end_while_an_edit_opens_the_other() -> None:
    out, into = gnp("t.out"), gnp("t.in")
    first = [
        *sets({"s:to": ("10.0.0.2/32", "10.0.0.9/32"), "s:from": ("10.0.0.9/32",)}),
        policy(out, (), (DENY,)), policy(into, (Rule("deny", src_ip_set_ids=("s:from",)), ALLOW)),
        endpoint(A, tiers=one_tier(out, "egress")), endpoint(B, tiers=one_tier(into)),
    ]  # fmt: skip
    edit = [policy(out, (), (ALLOW,)), felix.IPSetDeltaUpdate("s:from", ("10.0.0.1/32",), ())]
    assert run(first, edit, [A_TO_B]) > 0
    there = [policy(out, (), (ALLOW,)), felix.IPSetDeltaUpdate("s:from", ("10.0.0.1/32",), ())]
    back = [policy(out, (), (DENY,)), felix.IPSetDeltaUpdate("s:from", (), ("10.0.0.1/32",))]
    assert run([*first, *there], back, [A_TO_B]) > 0


def test_two_members_that_are_denied_together_and_allowed_alone() -> None:
    """Neither end is in the set, then both are; a packet from or to one member alone would pass, between any two updates."""
    name = gnp("t.p")
    rules = (Rule("deny", src_ip_set_ids=("s:x",), dst_ip_set_ids=("s:x",)), Rule("allow", src_ip_set_ids=("s:x",)), Rule("allow", dst_ip_set_ids=("s:x",)))
    first = [*sets({"s:x": ("10.0.0.9/32",)}), policy(name, rules, (ALLOW,)), profile("open", (ALLOW,), (ALLOW,))]
    first += [endpoint(A, profile_ids=("open",)), endpoint(B, tiers=one_tier(name), profile_ids=("open",))]
    edit = [felix.IPSetDeltaUpdate("s:x", ("10.0.0.1/32", "10.0.0.2/32"), ())]
    assert run(first, edit, [A_TO_B], batch=1) > 0


def test_an_endpoint_goes_to_another_chain_while_a_member_opens_the_other_end() -> None:
    """A gets the policy that C has already, which denies, and joins the set that B may hear: at no time does a packet pass."""
    free, strict, into = gnp("t.free"), gnp("t.strict"), gnp("t.in")
    c, d = (felix.WorkloadEndpointID("k8s", f"ns/{name}", "eth0") for name in "cd")
    others = [
        endpoint(each, name=f"cali{number}", ipv4_nets=(f"10.0.0.{number}/32",), ipv6_nets=(), tiers=one_tier(name, "egress"))
        for each, number, name in ((c, 3, strict), (d, 4, free))
    ]
    first = [
        *sets({"s:from": ("10.0.0.9/32",)}), policy(free, (), (ALLOW,)), policy(strict, (), (DENY,)),
        policy(into, (Rule("allow", src_ip_set_ids=("s:from",)),)),
        *others, endpoint(A, tiers=one_tier(free, "egress")), endpoint(B, tiers=one_tier(into)),
    ]  # fmt: skip
    edit = [felix.IPSetDeltaUpdate("s:from", ("10.0.0.1/32",), ()), endpoint(A, tiers=one_tier(strict, "egress"))]
    assert run(first, edit, [A_TO_B]) > 0
    turned = [policy(into, (ALLOW,)), endpoint(A, tiers=one_tier(strict, "egress"))]
    assert run(first, turned, [A_TO_B]) > 0


def test_a_member_moves_from_an_allowed_set_to_a_denied_one() -> None:
    members = sets({"s:in": ("198.51.100.1/32", "198.51.100.2/32"), "s:out": ("198.51.100.3/32",)})
    name = gnp("t.p")
    rules = (Rule("deny", src_ip_set_ids=("s:out",)), Rule("allow", src_ip_set_ids=("s:in",)))
    edit = [
        felix.IPSetDeltaUpdate("s:in", ("198.51.100.3/32",), ("198.51.100.1/32",)),
        felix.IPSetDeltaUpdate("s:out", ("198.51.100.1/32",), ("198.51.100.3/32",)),
    ]
    assert run([*members, policy(name, rules), endpoint(B, tiers=one_tier(name))], edit, TCP_FROM) > 30


def test_a_third_verdict_is_noticed() -> None:
    """The probes themselves: a driver that takes the binding away for a moment is found out."""
    name = gnp("t.p")
    product, state = on_model(), world(policy(name, (ALLOW,)), endpoint(B, tiers=one_tier(name)))
    first = [CONFIG, HOST, policy(name, (ALLOW,)), endpoint(B, tiers=one_tier(name)), felix.InSync()]
    product.flush(first)
    push = product.driver.pusher.push

    def clumsy(rows: object) -> None:
        product.driver.pusher.close_all()
        push(rows)  # type: ignore[arg-type]

    product.driver.pusher.push = clumsy  # type: ignore[method-assign]
    with pytest.raises(Third):
        probed_flush(product, state, [policy(name, (ALLOW, DENY))], TCP_FROM, rest=False)
