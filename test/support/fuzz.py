"""Bad streams: frames of recordings changed at random, through the driver's own loop, into a switch that takes everything.

Bytes are changed blindly, and fields knowingly: texts that should be addresses, numbers at their limits, lists grown, emptied and
shuffled, messages twice, out of order and under other names. Sessions are short, as a broken stream would be restarted; each has a
driver of its own.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from calico_p4.live import Live
from calico_p4.p4runtime.client import Client
from calico_p4.push import Meanwhile
from datastore.allocator import Allocator
from datastore.tracker import Op
from felix_proto import felixbackend_pb2
from felix_proto.framing import Frame, FrameError, FrameParser, encode_frame
from felix_proto.recordings import read_recording
from test.support.faulty_target import Clock
from test.support.shared import recording_path

pb: Any = felixbackend_pb2
NAMES = ("quickstart", "churn", "hostendpoints", "quickstart-v3.31", "quickstart-v3.32")
SLOW_S = 20.0
"""One step that takes more CPU time hangs. (A step is what follows at most some hundred frames; a machine may stand still, too.)"""
TEXTS = ("", "0.0.0.0/0", "::/0", "10.0.0.1", "10.0.0.1/33", "10.0.0.300/8", "10.244.10.11/32", "fd00::1/128", "fd00::1%eth0", "10.0.0.1,tcp:80", "10.0.0.1,tcp:99999",
         "10.0.0.1,icmp:1", ",:", "tcp", "x" * 300, "\0", "é中", "../../etc", "*", "default", "none", "cali1", "pass", "Deny", "eth0", "host", "-1")  # fmt: skip
NUMBERS = (0, 1, -1, 2, 4, 6, 17, 58, 255, 256, 65535, 65536, 1 << 31, -(1 << 31), (1 << 32) - 1, 1 << 63, (1 << 64) - 1)


class Swallow:
    """A switch that takes whatever can be encoded, and has nothing on it."""

    bench = flows = None
    fresh = True

    def __init__(self) -> None:
        self.client = self
        self.foreign: dict[str, Any] = {}
        self.written = 0

    def prepare(self, replace_pipeline: bool = False) -> None: ...
    def check(self) -> None: ...
    def check_pipeline(self) -> None: ...
    def close(self) -> None: ...

    def write(self, ops: Sequence[Op], updates: Sequence[bytes], meanwhile: Meanwhile | None) -> list[str | None]:
        self.written += sum(map(len, updates))
        return [None] * len(ops)

    def read(self, table: str) -> dict[Any, Any]:
        return {}

    def read_counters(self, *_: Any) -> dict[int, int]:
        return {}

    def read_meters(self, *_: Any) -> dict[int, Any]:
        return {}

    def write_meters(self, wanted: Any) -> list[str | None]:
        unbound: Any = Client.write_meters  # so that what can't be encoded fails as it would with a real switch
        written: list[str | None] = unbound(self, wanted)
        return written

    def _written(self, request: Any) -> list[str | None]:
        self.written += len(request.SerializeToString())
        return [None] * len(request.updates)

    def clear_counters(self, counter: int, numbers: Sequence[int]) -> list[str | None]:
        return [None] * len(numbers)


def corrupt(rng: random.Random, payload: bytes, other: bytes) -> bytes:
    """Change some bytes, blindly."""
    data = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(data))
        match rng.randrange(6):
            case 0 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 1 if place < len(data):
                data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del data[place : place + rng.randint(1, 8)]
            case 3:
                data[place:place] = rng.randbytes(rng.randint(1, 6))
            case 4:
                start = rng.randint(0, len(other))
                data[place:place] = other[start : start + rng.randint(0, 40)]
            case _:
                data = data[:place]
    return bytes(data)


def twist(rng: random.Random, payload: bytes) -> bytes:
    """Change some fields, knowingly. A payload that is no message stays as it is."""
    message = pb.ToDataplane()
    try:
        message.ParseFromString(payload)
    except Exception:  # noqa: BLE001 - whatever protobuf raises for what was corrupted before
        return payload
    for _ in range(rng.randint(1, 3)):
        _twist(rng, message, 0)
    data: bytes = message.SerializeToString()
    return data


def _twist(rng: random.Random, message: Any, depth: int) -> None:
    there = message.ListFields()
    if not there or rng.random() < 0.1:
        _put(rng, message, rng.choice(message.DESCRIPTOR.fields)) if message.DESCRIPTOR.fields else None
        return
    field, value = rng.choice(there)
    entry = field.message_type is not None and field.message_type.GetOptions().map_entry
    if field.message_type is None or entry or rng.random() < 0.1:
        _put(rng, message, field)
    elif field.is_repeated:
        _twist(rng, rng.choice(value), depth + 1)
    else:
        _twist(rng, value, depth + 1)


def _put(rng: random.Random, message: Any, field: Any) -> None:
    """Set, grow, shuffle or clear one field."""
    if field.message_type is not None:
        if rng.random() < 0.5:
            message.ClearField(field.name)
        elif not field.is_repeated:
            getattr(message, field.name).SetInParent()
        elif not field.message_type.GetOptions().map_entry:
            getattr(message, field.name).add()
        return
    value: Any = rng.choice(TEXTS) if field.cpp_type == field.CPPTYPE_STRING else _number(rng, field)
    if field.type == field.TYPE_BYTES:
        value = rng.randbytes(rng.randint(0, 20))
    if not field.is_repeated:
        setattr(message, field.name, value)
        return
    items = getattr(message, field.name)
    items.extend([value] * rng.choice((1, 1, 2)))
    shuffled = rng.sample(list(items), len(items))
    del items[:]
    items.extend(shuffled[: rng.choice((len(shuffled), len(shuffled), rng.randint(0, 5)))])


def _number(rng: random.Random, field: Any) -> Any:
    if field.cpp_type == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice((0.0, -1.0, 1e308, float("inf"), float("nan")))
    bits = 64 if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else 32
    number = rng.choice(NUMBERS) & (1 << bits) - 1
    signed = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_ENUM)
    return number - (1 << bits) if signed and number >> bits - 1 else number


@dataclass
class Tally:
    """What a run of the fuzzer saw."""

    frames: int = 0
    mutated: int = 0
    skipped: int = 0
    streams: int = 0
    broken: int = 0
    slowest_s: float = 0.0
    written: int = 0


class Fuzzer:
    """Sessions of bad streams, one after the other."""

    def __init__(self, seed: int) -> None:
        self._recordings = [[frame.payload for frame in read_recording(recording_path(f"{name}.felixstream"))] for name in NAMES]
        self._seed = seed
        self.tally = Tally()

    def session(self) -> None:
        """One stream, from its first frame to its end."""
        self._seed += 1
        rng, clock, switch = random.Random(self._seed), Clock(), Swallow()
        said: list[bytes] = []
        opener: Any = lambda _: switch
        live = Live("swallow", Allocator(), (), said.append, clock=clock, opener=opener, rng=rng)
        for frames in self._flushes(rng):
            self.tally.frames += len(frames)
            self._step(live, frames, clock, rng)
        self.tally.skipped += live.driver.messages_skipped
        self.tally.written += switch.written
        check_said(said)

    def _step(self, live: Live, frames: list[Frame], clock: Clock, rng: random.Random) -> None:
        start = time.process_time()
        for frame in frames:
            live.take(frame)
        clock.advance(rng.choice((0.01, 0.5, 3.0)))
        live.work(clock())
        live.driver.degraded()
        took = time.process_time() - start
        self.tally.slowest_s = max(self.tally.slowest_s, took)
        assert took < SLOW_S, f"seed {self._seed}: {len(frames)} frames took {took:.1f} s"

    def _flushes(self, rng: random.Random) -> Iterator[list[Frame]]:
        """Frames that come together, through the parser of the wire, until the stream can't be read on."""
        self.tally.streams += 1
        parser = FrameParser()
        payloads = self._payloads(rng)
        while chunk := [payload for _, payload in zip(range(rng.choice((1, 20, 200, 400))), payloads, strict=False)]:
            data = b"".join(map(encode_frame, chunk))
            if rng.random() < 0.005:
                data = corrupt(rng, data, data)  # lengths as well
            frames: list[Frame] = []
            try:
                frames.extend(parser.feed(data))
            except FrameError:
                self.tally.broken += 1
                yield frames
                return
            yield frames

    def _payloads(self, rng: random.Random) -> Iterator[bytes]:
        recording = rng.choice(self._recordings)
        rate, shuffled = rng.choice((0.02, 0.2, 0.9)), rng.random() < 0.3
        order = rng.sample(recording, len(recording)) if shuffled else recording
        for payload in order:
            while rng.random() < rate:
                changed = twist(rng, payload) if rng.random() < 0.6 else corrupt(rng, payload, rng.choice(recording))
                self.tally.mutated += 1
                yield changed
            if rng.random() > 0.02:
                yield payload


def check_said(said: Sequence[bytes]) -> None:
    """What goes to Felix is whole frames of known messages, whatever came from it."""
    parser = FrameParser()
    for frame in parser.feed(b"".join(said)):
        assert pb.FromDataplane.FromString(frame.payload).WhichOneof("payload") is not None
    parser.close()
