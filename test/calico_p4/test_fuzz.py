"""Bad streams end in a clear error or a skipped, counted message: never in a hang, a crash or growth.

``CALICO_P4_FUZZ_SECONDS`` (default 60) says how long; ``CALICO_P4_FUZZ_FRAMES`` how many mutated frames instead (the long run: 10,000,000);
``CALICO_P4_SEED`` repeats a run.
"""

import gc
import logging
import os
import time
from random import SystemRandom

import pytest
import structlog

from calico_p4 import log
from felix_proto.decode import Decoder
from felix_proto.framing import Frame
from test.support.fuzz import Fuzzer
from test.support.memory import resident_mib

SEED = int(os.environ.get("CALICO_P4_SEED") or SystemRandom().randrange(1 << 32))
SECONDS = float(os.environ.get("CALICO_P4_FUZZ_SECONDS") or 60)
FRAMES = int(os.environ.get("CALICO_P4_FUZZ_FRAMES") or 0)
GROWTH = 1.1
"""Memory at the end against memory after the first tenth: sessions differ in size, and the interpreter keeps what the largest needed."""


@pytest.fixture
def quiet():
    """Errors are expected by the thousand."""
    before = structlog.get_config()
    log.configure("critical")
    yield
    structlog.configure(**before)
    logging.disable(logging.NOTSET)


def test_no_stream_makes_the_driver_crash_hang_or_grow(quiet, record_property):
    fuzzer, start, baseline = Fuzzer(SEED), time.monotonic(), 0.0
    while True:
        done = fuzzer.tally.mutated / FRAMES if FRAMES else (time.monotonic() - start) / SECONDS
        if done >= 0.1 and not baseline:
            gc.collect()
            baseline = resident_mib()
        if done >= 1:
            break
        try:
            fuzzer.session()
        except Exception as error:
            raise AssertionError(f"CALICO_P4_SEED={fuzzer._seed - 1}: {type(error).__name__}: {error}") from error
    gc.collect()
    tally = fuzzer.tally
    print(f"{tally}, {time.monotonic() - start:.0f} s, {baseline:.1f} MiB after a tenth, {resident_mib():.1f} MiB at the end, seed {SEED}")
    assert tally.mutated > 1000 and tally.skipped > 0 and tally.broken + tally.streams > 1 and tally.written > 0
    assert resident_mib() < GROWTH * baseline


def test_counts_of_what_is_unknown_are_bounded():
    decoder = Decoder()
    for number in range(40_000, 60_000):
        tag = number << 3
        varint = bytes((tag & 127 | 128, tag >> 7 & 127 | 128, tag >> 14))
        decoder.decode(Frame(0, 0, varint + b"\0"))
        decoder.decode(Frame(0, 0, b"\x12\x05\x0a\x03abc" + varint + b"\0"))
    assert len(decoder.unknown_messages) < 2000 and len(decoder.unknown_fields) < 2000
    assert decoder.unknown_messages.total() == 20_000 == decoder.unknown_fields.total()
