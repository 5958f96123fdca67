"""A driver's lives: what a fresh Felix tells each of them, the states its stream leads through, and who may speak to whom all the time."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest

from felix_proto import types as felix
from felix_proto.framing import encode_frame
from test.support import gen_packets
from test.support.driven import Felix
from test.support.evaluator import ALLOW, DENY, judge
from test.support.fault_run import stream
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.packet import TCP, make
from test.support.probes import worlds
from test.support.world import World

NAME, FIRST, LAST = "churn", 146, 900
"""A recording, from its InSync to where it takes the endpoints of the connection away."""


def states_at() -> list[World]:
    """The state after each frame, the first being none."""
    found, world = [World()], World()
    for _, payload in stream(NAME)[:LAST]:
        world = World(*(dict(getattr(world, name)) for name in World.__dataclass_fields__))
        world.apply(payload)
        found.append(world)
    return found


def fresh_felix(place: int) -> bytes:
    """What a Felix that starts now would say: all that was said, none of it provisional."""
    said = [(each, payload) for each, payload in stream(NAME)[:place] if not isinstance(payload, felix.InSync)]
    in_sync = next(each for each, payload in stream(NAME) if isinstance(payload, felix.InSync))
    return b"".join(encode_frame(each.payload) for each in [*(each for each, _ in said), in_sync])


def numbered_ports() -> list[dict[str, Any]]:
    """A ports file with a number for every interface there ever is: 1 is the node, 2 the uplink."""
    workloads = {payload.endpoint.name for _, payload in stream(NAME) if isinstance(payload, felix.WorkloadEndpointUpdate)}
    kinds = [("host", "host"), ("eth0", "uplink"), *((name, "workload") for name in sorted(workloads))]
    return [{"name": name, "kind": kind, "number": number} for number, (name, kind) in enumerate(kinds, 1)]


def settled(process: Felix, endpoints: int) -> None:
    """Wait until all endpoints are told to be there, and what is deleted late is deleted."""
    process.until(lambda: len(process.statuses()) == endpoints)
    time.sleep(1.3)  # the hold-off of what is deleted


def barred(rng: Random, states: list[World], messages: list[Any]) -> list[tuple[Sent, bytes]]:
    """Packets that none of these states allows, nor one of those that a flush of the messages leads through."""
    every = [*states, *worlds(states[0], messages).states]
    drawn = [gen_packets.packet(rng, rng.choice(states)) for _ in range(60)]
    denied = [one for one in drawn if all(judge(world, one.packet, one.ingress).verdict == DENY for world in every)]
    return [(one, frame(one.packet)) for one in denied if one.packet.icmp_type != 135]


def talkers(states: list[World]) -> tuple[Sent, Sent]:
    """A packet there and one back between two endpoints that are there all the time, and of which one may open a connection to the other now."""
    alive = [key for key, each in states[FIRST].endpoints.items() if all(_same(world.endpoints.get(key), each) for world in states[FIRST:])]
    for one in alive:
        for other in alive:
            a, b = (states[FIRST].endpoints[key] for key in (one, other))
            for port in (80, 443, 8080, 8443, 5432, 6379, 9090):
                src, dst = (each.ipv4_nets[0].partition("/")[0] for each in (a, b))
                there = Sent(make(4, TCP, src, dst, sport=51000, dport=port), a.name)
                if one != other and judge(states[FIRST], there.packet, a.name).verdict == ALLOW:
                    return there, Sent(make(4, TCP, dst, src, sport=port, dport=51000), b.name)
    pytest.fail("no two endpoints that talk")


def _same(now: Any, then: Any) -> bool:
    return now is not None and (now.name, now.state, now.ipv4_nets) == (then.name, then.state, then.ipv4_nets)
