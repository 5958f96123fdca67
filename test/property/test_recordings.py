"""Real streams: at quiescence after every message the dump equals that of a translation from scratch.

A run samples messages after InSync (before it nothing is written, which is checked too). The long run looks after every one, of
every recording: ``CALICO_P4_LONG=1 python -m pytest test/property/test_recordings.py``.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from felix_proto.types import InSync, Payload
from test.support.accumulate import Accumulator
from test.support.product import Product, dump_of, on_model
from test.support.shared import recording_path, shared_recordings
from test.support.trial import dump_differences

LONG = bool(os.environ.get("CALICO_P4_LONG"))
SAMPLED = ("churn.felixstream", "floating-qos.felixstream", "quickstart.felixstream", "quickstart-v3.31.felixstream", "quickstart-v3.32.felixstream")
NAMES = [path.name for path in shared_recordings()] if LONG else list(SAMPLED)
SAMPLES = 25


def payloads(name: str) -> list[Payload]:
    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in read_recording(Path(recording_path(name)))]


def scratch_dump(live: Accumulator, seed: int) -> list[str]:
    product = on_model(seed)
    product.flush(live.snapshot(Random(seed)), rest=True)
    return dump_of(product)


def looked_at(stream: Sequence[Payload]) -> set[int]:
    """Return the places after which to look: all of them in the long run, else some, the last included."""
    start = next(place for place, payload in enumerate(stream) if isinstance(payload, InSync))
    after = range(start, len(stream))
    return set(after) if LONG else {start, len(stream) - 1, *Random(0).sample(after, min(len(after), SAMPLES))}


@pytest.mark.parametrize("name", NAMES)
def test_dump_at_rest_is_that_of_scratch(name: str) -> None:
    stream = payloads(name)
    places, live, product = looked_at(stream), Accumulator(), on_model()
    for place, payload in enumerate(stream):
        live.apply(payload)
        product.flush([payload], rest=place in places)
        if place in places:
            check(product, live, place, payload)
        elif not live.in_sync:
            assert not any(product.switch.switch.tables.values()), "rows before InSync"


def check(product: Product, live: Accumulator, place: int, payload: Payload) -> None:
    product.flush((), rest=True)
    expected, found = scratch_dump(live, place), dump_of(product)
    assert expected == found, "\n".join((f"after message {place}, {payload}", *dump_differences(found, expected)[:20]))
    assert found
