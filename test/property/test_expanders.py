"""One state, many ways to it: every variant of a recording, or of a generated stream, must end in the same dump.

``each_alone`` over long recordings is left to the long run: ``CALICO_P4_LONG=1 pytest test/property/test_expanders.py``.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import pytest

from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from felix_proto.types import Payload
from test.support import expand, gen_cluster, gen_stream
from test.support.product import dump_of, on_model
from test.support.shared import recording_path, shared_recordings
from test.support.trial import dump_differences
from test.support.world import World

LONG = bool(os.environ.get("CALICO_P4_LONG"))
SMALL = ["quickstart.felixstream", "quickstart-v3.31.felixstream", "quickstart-v3.32.felixstream", "churn.checkpoint-2.felixstream"]
NAMES = [path.name for path in shared_recordings() if "scale-xl" not in path.name] if LONG else SMALL
OTHERS = [variant for variant in expand.VARIANTS if variant is not expand.as_is]


@cache
def recorded(name: str) -> list[Payload]:
    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in read_recording(Path(recording_path(name)))]


def dump_after(flushes: expand.Flushes, seed: int = 0) -> list[str]:
    product = on_model(seed)
    for messages in flushes:
        product.flush(messages)
    product.flush((), rest=True)
    product.flush((), rest=True)
    return dump_of(product)


@cache
def baseline(name: str) -> list[str]:
    return dump_after(expand.as_is(recorded(name), Random(0)))


def check(expected: Sequence[str], flushes: expand.Flushes, seed: int) -> None:
    found = dump_differences(dump_after(flushes, seed), expected)
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", OTHERS, ids=lambda variant: variant.__name__)
def test_recording(name: str, variant: expand.Variant) -> None:
    assert baseline(name)
    check(baseline(name), variant(recorded(name), Random(1)), seed=1)


@pytest.mark.parametrize("variant", OTHERS, ids=lambda variant: variant.__name__)
def test_generated(variant: expand.Variant) -> None:
    for seed in range(100 if LONG else 12):
        messages = generated(seed)
        check(dump_after([messages]), variant(messages, Random(seed)), seed)


def generated(seed: int) -> list[Payload]:
    rng = Random(seed)
    cluster = gen_cluster.cluster(rng)
    messages, world = gen_stream.first_flush(rng, cluster)
    for _ in range(6):
        gen_cluster.change(rng, cluster)
        more = gen_stream.flush(rng, world, cluster)
        world.apply_all(more)
        messages += more
    return messages


def test_variants_lead_to_the_same_world() -> None:
    """The variants themselves, judged without a product: a variant that changed the state would prove nothing."""
    for seed in range(20):
        messages = generated(seed)
        for variant in expand.VARIANTS:
            assert world_after([messages]) == world_after(variant(messages, Random(seed))), variant.__name__


def world_after(flushes: expand.Flushes) -> World:
    world = World()
    for messages in flushes:
        world.apply_all(messages)
    return world
