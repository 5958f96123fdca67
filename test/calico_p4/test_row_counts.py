"""How many rows an intent costs: the figures of the design, for every recording, so that no table grows unseen."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from datastore.intent import IntentStore
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from felix_proto.types import HostEndpoint, HostEndpointUpdate, InSync
from test.bench.__main__ import ROWS_PER_INTENT
from test.bench.stream import every_row, intents
from test.support.product import on_model
from test.support.shared import RECORDINGS, shared_recordings

LONG = bool(os.environ.get("CALICO_P4_LONG"))
LARGEST = "scale-xl.felixstream.gz"
NAMES = {path.name: path for path in (*sorted(RECORDINGS.glob("*.felixstream")), *shared_recordings()) if LONG or path.name != LARGEST}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_rows_of_an_intent(name: str) -> None:
    product = on_model()
    decoder = Decoder()
    product.flush([decoder.decode(frame).payload for frame in read_recording(NAMES[name])], rest=True)
    rows = list(every_row(product.driver))
    ratio = len(rows) / intents(product.driver.store)
    print(f"{name}: {ratio:.2f} rows an intent; {Counter(table for table, *_ in rows).most_common(8)}")
    assert rows and ratio <= ROWS_PER_INTENT.get(name, 3)


def test_what_counts_as_an_intent() -> None:
    store = IntentStore()
    store.apply(InSync())
    assert intents(store) == 0
    store.apply(HostEndpointUpdate("a", HostEndpoint("a", "eth0", expected_ipv4_addrs=("192.0.2.1",))))
    assert intents(store) == 2
