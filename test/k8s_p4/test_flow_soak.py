"""Many packets of many flows that come and go: none is lost before its time, and memory is flat.

``CALICO_P4_FLOW_SOAK`` says how many packets (default 20,000; the long run: 1,000,000), with a flow for each twenty of them at a time.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random

from k8s_p4.reasons import Reason
from k8s_p4.target.learner import Learner
from test.k8s_p4.test_masquerade_load import checksum
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


def resident_kb() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


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
            sizes.append(resident_kb())
            entries.append(sum(bench.client.learned_counts().values()))
    took = time.process_time() - begin
    print(f"\n{PACKETS} packets, {FLOWS} flows at a time, {dict(told)}: {took:.0f} s CPU, entries {entries[5]} to {entries[-1]}, "
          f"{sizes[5]} to {sizes[-1]} kB resident (seed {SEED})")  # fmt: skip
    assert bench.counter("flows", 2) == 0
    assert 2 * FLOWS <= entries[-1] <= 2.2 * FLOWS
    assert sizes[-1] < 1.05 * sizes[5] + 2000, sizes


def test_what_ran_out_is_swept() -> None:
    """Though nothing falls into its bucket again, for which a switch in hardware would wait."""
    learner = Learner(1 << 16, [10, 30], lambda key: key.to_bytes(8, "big"))
    for key in range(20000):
        learner.lookup(key, key * 10**9)
        assert learner.learn((None, (), 0, 0, None, None), 0, key * 10**9)  # type: ignore[arg-type]  # an entry in shape only
    assert len(learner._entries) < 40 and len(learner._buckets) < 40 and len(learner._order) < 40
    now = 20000 * 10**9
    assert learner.expired(now) == 20000 - sum(1 for _ in learner.live(now))
    assert learner.lookup(19999, now) is not None and learner.lookup(19000, now) is None
