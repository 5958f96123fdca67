"""Packets between any two Writes while host endpoints are edited: what is denied before and after is never let through in between.

Every state that the messages lead through one by one counts as before or after. Left out are flushes that change sets, addresses of
workloads, or the interface of a host endpoint: those are several rows in several tables. ``CALICO_P4_SEED`` and ``CALICO_P4_CLUSTERS``
as for test_policy.py.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from random import Random
from typing import Any

from felix_proto import types as felix
from test.property.test_policy import CLUSTERS, SEED
from test.support import gen_stream
from test.support.frames import frame
from test.support.gen_hosts import HOSTS
from test.support.gen_packets import Sent
from test.support.host_judge import PORTS, judge
from test.support.model_target import ModelTarget
from test.support.product import Product, on_model
from test.support.world import World


def copied(world: World) -> World:
    return World(**{each.name: copy(getattr(world, each.name)) for each in fields(World)})


def states(before: World, messages: Sequence[felix.Payload]) -> list[World]:
    found = [before]
    for message in messages:
        found.append(copied(found[-1]))
        found[-1].apply(message)
    return found


def places(world: World) -> Any:
    """All that makes an edit one of several tables, of those that are there."""
    hosts = {key: (host.name, host.expected_ipv4_addrs, host.expected_ipv6_addrs) for key, host in world.host_endpoints.items()}
    pods = {key: (pod.name, pod.state, pod.ipv4_nets, pod.ipv6_nets, pod.allow_spoofed_source_prefixes) for key, pod in world.endpoints.items()}
    return hosts, pods


def stays(before: World, after: World) -> bool:
    (hosts, pods), (hosts_after, pods_after) = places(before), places(after)
    return before.ip_sets == after.ip_sets and pods == pods_after and all(hosts_after.get(key, place) == place for key, place in hosts.items())


def probed(product: Product, denied: Sequence[Sent], messages: Sequence[felix.Payload], rest: bool) -> int:
    """Flush, with every one of the packets sent after every Write; returns how many were."""
    target, count = product.switch, 0
    assert isinstance(target, ModelTarget)

    def look() -> None:
        nonlocal count
        for sent in denied:
            port = target.bench.ports().get({"uplink": "eth0"}.get(sent.ingress, sent.ingress))
            if port is not None:
                count += 1
                assert not target.bench.inject(port, frame(sent.packet)).outputs, f"allowed, though neither before nor after: {sent}"

    target.on_write = look
    try:
        product.flush(messages, rest)
    finally:
        target.on_write = lambda: None
    return count


def test_nothing_opens_while_host_endpoints_are_edited(told: list[str]) -> None:
    looked = 0
    for seed in range(SEED, SEED + (CLUSTERS or 12)):
        rng = Random(seed)
        cluster, world = HOSTS.cluster(rng), World()
        messages, _ = gen_stream.first_flush(rng, cluster)
        world.apply_all(messages)
        product = on_model(seed, PORTS)
        product.flush(messages, rest=True)
        for _ in range(5):
            HOSTS.change(rng, cluster)
            messages = gen_stream.flush(rng, world, cluster)
            through = states(world, messages)
            drawn = [HOSTS.packet(rng, world) for _ in range(40)] if stays(world, through[-1]) else []
            denied = [sent for sent in drawn if all(judge(state, sent.packet, sent.ingress).verdict == "deny" for state in through)]
            looked += probed(product, denied, messages, rng.random() < 0.5)
            world = through[-1]
        product.close()
    told.append(f"probes of host endpoints: CALICO_P4_SEED={SEED}: {looked} packets between Writes, none let through")
    assert looked > 100
