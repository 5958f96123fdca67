"""Generated streams as bytes through ``calico-p4 replay``, with packets between the frames: its JSON against the reference evaluator."""

import json
import os
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from calico_p4.replay import OK, Options, replay
from felix_proto.types import Payload
from test.support import gen_cluster, gen_packets, gen_stream
from test.support.compare import differences
from test.support.evaluator import judge
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.stream import save
from test.support.world import World

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
CLUSTERS, FLUSHES, PACKETS = 8, 5, 12


class Recorded:
    """A stream with the packets to send along it, and what should become of each."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        cluster = gen_cluster.cluster(rng)
        self.messages: list[Payload] = []
        self.packets: list[dict[str, Any]] = []
        self.expected: list[tuple[World, Sent]] = []
        messages, world = gen_stream.first_flush(rng, cluster)
        for _ in range(FLUSHES):
            self.messages += messages
            self._send(rng, world)
            gen_cluster.change(rng, cluster)
            messages = gen_stream.flush(rng, world, cluster)
            world = self._next(world, messages)

    def _next(self, world: World, messages: list[Payload]) -> World:
        after = World(*(dict(getattr(world, name)) for name in World.__dataclass_fields__))
        after.apply_all(messages)
        return after

    def _send(self, rng: Random, world: World) -> None:
        for _ in range(PACKETS):
            sent = gen_packets.packet(rng, world)
            where = sent.ingress if sent.ingress in ("host", "uplink") else f"interface:{sent.ingress}"
            self.packets.append({"raw": frame(sent.packet).hex(), "from": where, "after": len(self.messages)})
            self.expected.append((world, sent))


def test_generated_streams_replay(tmp_path: Path, told: list[str]) -> None:
    told.append(f"replay: CALICO_P4_SEED={SEED}")
    for seed in range(SEED, SEED + CLUSTERS):
        check(Recorded(seed), tmp_path, seed)
    told[-1] += f": {CLUSTERS} streams, {CLUSTERS * FLUSHES * PACKETS} packets, 0 differences"


def check(recorded: Recorded, folder: Path, seed: int) -> None:
    stream, packets = folder / f"{seed}.felixstream", folder / f"{seed}.json"
    save(stream, recorded.messages)
    packets.write_text(json.dumps(recorded.packets))
    outcome = replay(Options(str(stream), packets=str(packets)))
    assert outcome.status == OK, outcome.errors
    assert outcome.answer is not None and outcome.answer["frames"] == len(recorded.messages)
    for (world, sent), answered in zip(recorded.expected, outcome.answer["packets"], strict=True):
        found = list(differences(judge(world, sent.packet, sent.ingress), answered, world))
        assert not found, f"CALICO_P4_SEED={seed}: {sent}: {found}"
