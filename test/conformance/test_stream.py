"""Values back to bytes and into values again, over recordings and generated streams."""

import io
from random import Random

import pytest

from felix_proto.decode import Decoder
from felix_proto.framing import iter_frames
from felix_proto.recordings import read_recording
from felix_proto.types import Payload
from test.support import gen_cluster, gen_stream
from test.support.shared import recording_path
from test.support.stream import stream
from test.support.world import World


def decoded(data: bytes) -> list[Payload]:
    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in iter_frames(io.BytesIO(data))]


@pytest.mark.parametrize("name", ["quickstart", "hostendpoints", "churn"])
def test_recording_survives(name: str) -> None:
    decoder = Decoder()
    payloads = [decoder.decode(frame).payload for frame in read_recording(recording_path(f"{name}.felixstream"))]
    assert decoded(stream(payloads)) == payloads


@pytest.mark.parametrize("seed", range(20))
def test_generated_stream_survives(seed: int) -> None:
    rng = Random(seed)
    cluster = gen_cluster.cluster(rng)
    messages, world = gen_stream.first_flush(rng, cluster)
    for _ in range(10):
        gen_cluster.change(rng, cluster)
        more = gen_stream.flush(rng, world, cluster)
        world.apply_all(more)
        messages += more
    survived = decoded(stream(messages))
    assert survived == messages
    again = World()
    again.apply_all(survived)
    assert (again.policies, again.endpoints, again.ip_sets) == (world.policies, world.endpoints, world.ip_sets)
