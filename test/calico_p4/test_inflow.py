"""The queue between Felix and the loop: bounded, in order, and never in the way of the end."""

import io
import threading
import time
from collections.abc import Callable

import pytest

from calico_p4.inflow import Inflow
from felix_proto.framing import Frame, FrameError, encode_frame


class Endless:
    """A Felix that has always more to say."""

    def __init__(self, size: int) -> None:
        self._frame, self.given = encode_frame(bytes(size)), 0

    def read(self, size: int) -> bytes:
        self.given += 1
        return self._frame


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def drain(inflow: Inflow) -> list:
    found = []
    while not inflow.ended:
        if (item := inflow.get(1.0)) is not None:
            found.append(item)
    return found


def test_frames_come_in_order_and_then_the_end():
    inflow = Inflow()
    inflow.start(io.BytesIO(b"".join(encode_frame(bytes([n])) for n in range(5))))
    assert [item.payload for item in drain(inflow)] == [bytes([n]) for n in range(5)]
    assert inflow.end is None


def test_a_stream_that_is_cut_ends_with_the_error_after_its_last_frame():
    inflow = Inflow()
    inflow.start(io.BytesIO(encode_frame(b"x") + b"\x05\0"))
    assert [item.payload for item in drain(inflow)] == [b"x"]
    assert isinstance(inflow.end, FrameError) and inflow.end.offset == 9


@pytest.mark.parametrize(("size", "most_frames", "most_bytes"), [(10, 8, 1 << 20), (1000, 1 << 20, 5000), (9000, 1 << 20, 5000)])
def test_a_full_queue_makes_felix_wait(size: int, most_frames: int, most_bytes: int):
    felix, inflow = Endless(size), Inflow(most_frames, most_bytes)
    inflow.start(felix)
    bound = max(1, min(most_frames, most_bytes // size))
    until(lambda: inflow.waiting == (bound, bound * size) and felix.given == bound + 1)
    inflow.get()
    until(lambda: inflow.waiting[0] == bound and felix.given == bound + 2)
    time.sleep(0.05)
    assert inflow.waiting == (bound, bound * size) and felix.given == bound + 2, "no further"


def test_a_question_goes_in_though_the_queue_is_full_and_keeps_its_place():
    inflow, asked = Inflow(max_frames=2), []
    inflow.start(Endless(1))
    until(lambda: inflow.waiting[0] == 2)
    inflow.put_work(lambda: asked.append("now"))
    assert isinstance(inflow.get(), Frame) and isinstance(inflow.get(), Frame)
    item = inflow.get()
    assert not isinstance(item, Frame) and item is not None
    item()
    assert asked == ["now"]


def test_waiting_for_nothing_takes_as_long_as_was_said():
    inflow, start = Inflow(), time.monotonic()
    threading.Timer(0.02, inflow.put, [Frame(0, 0, b"")]).start()
    assert inflow.get(0.0) is None and inflow.get(120.0) is not None and time.monotonic() - start < 60.0
