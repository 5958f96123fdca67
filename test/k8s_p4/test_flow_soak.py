"""Many packets of many flows that come and go: none is lost before its time, and memory is flat.

``CALICO_P4_FLOW_SOAK`` says how many packets (default 20,000; the long run: 1,000,000), with a flow for each twenty of them at a time.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random
from typing import Any

from k8s_p4.reasons import Reason
from k8s_p4.target.learner import SECOND, Learner
from test.k8s_p4.test_masquerade_load import checksum
from test.support.memory import resident_mib
from test.support.pipeline import FAR, POD1, Bench, number

SEED = int(os.environ.get("CALICO_P4_SEED", "0")) or Random().randrange(1 << 32)
PACKETS = int(os.environ.get("CALICO_P4_FLOW_SOAK", "20000"))
FLOWS = PACKETS // 20


def udp(src: int, dst: int, sport: int, dport: int) -> bytes:
    """A frame with a datagram without data or checksum."""
    addresses = src.to_bytes(4, "big") + dst.to_bytes(4, "big")
    ip = bytes((0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17))
    l4 = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + b"\0\x08\0\0"
    return b"\xee" * 6 + b"\x02" * 6 + b"\x08\0" + ip + checksum(ip + b"\0\0" + addresses) + addresses + l4


def test_a_long_time_with_many_flows(bench: Bench) -> None:
    """Each flow speaks every 25 s, one way or the other; one in a hundred is left alone from then on and replaced by another."""
    rng, pod, far = Random(SEED), number(POD1), number(FAR)
    cali, eth0 = bench.ports["cali1"], bench.ports["eth0"]
    flows, fresh = list(range(FLOWS)), FLOWS
    seconds, step = 0.0, 25 / FLOWS
    told: Counter[str] = Counter()
    sizes: list[int] = []
    entries: list[int] = []
    begin = time.process_time()
    for count in range(PACKETS):
        place = count % FLOWS
        new = count < FLOWS
        if not new and rng.random() < 0.01:
            flows[place], fresh, new = fresh, fresh + 1, True
        sport, dport = 1024 + flows[place] % 60000, 1 + flows[place] // 60000
        back = not new and rng.random() < 0.5
        frame = udp(far, pod, dport, sport) if back else udp(pod, far, sport, dport)
        answer = bench.client.inject(eth0 if back else cali, frame, at_seconds=seconds)
        reason = Reason(answer.metadata["reason"])
        assert reason == (Reason.POLICY_ALLOW if new else Reason.ESTABLISHED), f"packet {count}, flow {flows[place]} (seed {SEED})"
        told["new" if new else "established"] += 1
        seconds += step
        if count % (PACKETS // 20) == 0:
            sizes.append(round(resident_mib() * 1024))
            entries.append(sum(bench.client.learned_counts().values()))
            # It is taken out when something is learned, which is every few seconds where flows are few.
            assert held(bench._learner("flow_v4"))[0] <= 1.001 * entries[-1] + 40, "what ran out takes no room"
    took = time.process_time() - begin
    print(f"\n{PACKETS} packets, {FLOWS} flows at a time, {dict(told)}: {took:.0f} s CPU, entries {entries[5]} to {entries[-1]}, "
          f"{sizes[5]} to {sizes[-1]} kB resident (seed {SEED})")  # fmt: skip
    assert bench.counter("flows", 2) == 0
    assert 2 * FLOWS <= entries[-1] <= 2.2 * FLOWS
    assert sizes[-1] < 1.02 * sizes[6] + 1500, f"more than a dictionary that doubles once: {sizes}"


def held(learner: Learner) -> tuple[int, int, int]:
    """Entries, buckets, and places where entries are to be looked at, that take memory."""
    return len(learner._entries), len(learner._buckets), sum(map(len, learner._due.values()))


def test_memory_is_that_of_what_lives() -> None:
    """Entries that come and go beside many that stay, and are prolonged: none takes room for longer than a second after its time."""
    learner = Learner(1 << 16, [10, 43200, 120], lambda key: key.to_bytes(8, "big"))
    entry: Any = (None, (), 0, 0, None, None)
    for key in range(3000):
        learner.lookup(key, 0)
        assert learner.learn(entry, 1 + key % 2, 0)
    for key in range(3000, 40000):
        now = (key - 3000) * SECOND // 100
        learner.lookup(key % 3000, now)
        learner.rearm(now)
        learner.lookup(key, now)
        assert learner.learn(entry, 0, now)
        entries, buckets, places = held(learner)
        assert buckets <= entries == places <= 3000 + 1102, "ten seconds of new ones, and the one before"


def test_a_shorter_timeout_counts_soon() -> None:
    """As of a connection that is closed: it was to live for half a day."""
    learner = Learner(1 << 10, [10, 43200], lambda key: key.to_bytes(8, "big"))
    entry: Any = (None, (), 0, 0, None, None)
    for key in range(1000, 1100):
        learner.lookup(key, 0)
        learner.learn(entry, 1, 0)
        learner.rearm_new(0, 0)
    learner.lookup(1, 61 * SECOND)
    learner.learn(entry, 0, 61 * SECOND)
    assert held(learner) == (1, 1, 1)


def test_what_is_learned_anew_at_another_place_leaves_nothing_behind() -> None:
    learner = Learner(1, [10, 20], lambda key: key.to_bytes(8, "big"))
    entry: Any = (None, (), 0, 0, None, None)
    for key, timeout in ((1, 0), (2, 1)):
        learner.lookup(key, 0)
        learner.learn(entry, timeout, 0)
    learner.lookup(2, 25 * SECOND)
    assert learner.learn(entry, 0, 25 * SECOND)
    learner.lookup(3, 40 * SECOND)
    assert learner.learn(entry, 0, 40 * SECOND) and held(learner) == (1, 1, 1)
    assert [each is not None for each in learner._buckets[0]].count(True) == 1


def test_what_ran_out_is_swept() -> None:
    """Though nothing falls into its bucket again, for which a switch in hardware would wait."""
    learner = Learner(1 << 16, [10, 30], lambda key: key.to_bytes(8, "big"))
    entry: Any = (None, (), 0, 0, None, None)
    for key in range(20000):
        learner.lookup(key, key * SECOND)
        assert learner.learn(entry, 0, key * SECOND)
    assert max(held(learner)) < 40
    now = 20000 * SECOND
    assert learner.expired(now) == 20000 - sum(1 for _ in learner.live(now))
    assert learner.lookup(19999, now) is not None and learner.lookup(19000, now) is None
