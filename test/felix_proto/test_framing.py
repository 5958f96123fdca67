"""Frames: any cut of a stream gives the same frames, and anything else a FrameError at the right byte."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from felix_proto.framing import Frame, FrameError, FrameParser, encode_frame, iter_frames
from felix_proto.recordings import RecordingWriter, read_recording
from test.support.shared import recording_path

PAYLOADS = st.lists(st.binary(max_size=40), max_size=8)


class Drip:
    """A stream that returns what was asked for in pieces of given sizes, as a pipe does."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._stream = io.BytesIO(data)
        self._sizes = sizes

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, self._sizes.pop(0) if self._sizes else size))


def stream_of(payloads: list[bytes]) -> bytes:
    return b"".join(map(encode_frame, payloads))


@given(PAYLOADS, st.lists(st.integers(1, 20), max_size=60))
def test_frames_are_the_same_however_the_stream_is_cut(payloads: list[bytes], sizes: list[int]) -> None:
    frames = list(iter_frames(Drip(stream_of(payloads), sizes)))
    assert [frame.payload for frame in frames] == payloads
    assert [frame.index for frame in frames] == list(range(len(payloads)))
    assert [frame.offset for frame in frames] == [len(stream_of(payloads[:i])) for i in range(len(payloads))]


@given(PAYLOADS.filter(bool), st.data())
def test_a_truncated_stream_gives_its_whole_frames_and_then_the_offset_of_the_cut_one(payloads: list[bytes], data: st.DataObject) -> None:
    whole = stream_of(payloads)
    cut = data.draw(st.integers(0, len(whole) - 1))
    ends = [len(stream_of(payloads[:i])) for i in range(len(payloads) + 1)]
    complete = max(i for i, end in enumerate(ends) if end <= cut)
    frames: list[Frame] = []
    if cut in ends:
        frames += iter_frames(io.BytesIO(whole[:cut]))
    else:
        with pytest.raises(FrameError) as raised:
            frames.extend(iter_frames(io.BytesIO(whole[:cut])))
        assert (raised.value.offset, raised.value.frame) == (ends[complete], complete)
        assert f"byte {ends[complete]}, frame {complete}: the stream ends after" in str(raised.value)
    assert [frame.payload for frame in frames] == payloads[:complete]


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_a_frame_error(data: bytes) -> None:
    frames: list[Frame] = []
    try:
        frames.extend(iter_frames(io.BytesIO(data), max_length=64))
    except FrameError as error:
        assert error.offset == len(stream_of([frame.payload for frame in frames])) <= len(data)
    else:
        assert stream_of([frame.payload for frame in frames]) == data


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (1, "byte 0, frame 0: the stream ends after 1 of the 8 bytes of this frame's length"),
        (7, "byte 0, frame 0: the stream ends after 7 of the 8 bytes of this frame's length"),
        (8, "byte 0, frame 0: the stream ends after 0 of the 3 bytes of this frame"),
        (10, "byte 0, frame 0: the stream ends after 2 of the 3 bytes of this frame"),
    ],
)
def test_what_is_said_of_a_truncated_stream(length: int, text: str) -> None:
    with pytest.raises(FrameError) as raised:
        list(iter_frames(io.BytesIO(encode_frame(b"abc")[:length])))
    assert str(raised.value) == text


def test_an_absurd_length_is_refused_before_its_bytes_are_there() -> None:
    good = encode_frame(b"abc")
    parser = FrameParser(max_length=1000)
    assert [frame.payload for frame in parser.feed(good)] == [b"abc"]
    with pytest.raises(FrameError, match=r"byte 11, frame 1: length of 1001 bytes, more than 1000") as raised:
        list(parser.feed((1001).to_bytes(8, "little")))
    assert raised.value.offset == 11


def test_a_length_just_allowed_passes() -> None:
    assert [f.payload for f in iter_frames(io.BytesIO(encode_frame(b"x" * 1000)), max_length=1000)] == [b"x" * 1000]


def test_frames_come_before_the_rest_of_the_stream_is_there() -> None:
    parser = FrameParser()
    data = stream_of([b"one", b"two"])
    assert [f.payload for f in parser.feed(data[:-1])] == [b"one"]
    assert parser.offset == 11
    assert [f.payload for f in parser.feed(data[-1:])] == [b"two"]
    parser.close()


def test_a_parser_keeps_no_more_than_the_frame_it_waits_for() -> None:
    parser = FrameParser()
    for _ in range(1000):
        assert len(list(parser.feed(encode_frame(b"x" * 1000) + b"\x01"[:0]))) == 1
    assert len(parser._buffer) == 0


@pytest.mark.parametrize("compressed", [False, True])
def test_recording_round_trip(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.recording"
    payloads = [b"", b"a", b"b" * 70_000]
    with (gzip.open(path, "wb") if compressed else path.open("wb")) as file:
        writer = RecordingWriter(file)  # type: ignore[arg-type]
        for payload in payloads:
            writer.write(payload)
    assert [frame.payload for frame in read_recording(path)] == payloads


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(stream_of([b"x", b"y"])))))
    assert [frame.payload for frame in read_recording("-")] == [b"x", b"y"]


def test_truncated_gzip_is_a_frame_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(recording_path("quickstart.felixstream").read_bytes())[:-500])
    frames: list[Frame] = []
    with pytest.raises(FrameError, match="cannot be decompressed") as raised:
        frames.extend(read_recording(path))
    assert frames
    assert raised.value.offset == frames[-1].offset + 8 + len(frames[-1].payload)


def test_damaged_gzip_is_a_frame_error(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(recording_path("quickstart.felixstream").read_bytes()))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "damaged.gz"
    path.write_bytes(data)
    with pytest.raises(FrameError):
        list(read_recording(path))


def test_reading_is_lazy() -> None:
    frames = read_recording(recording_path("quickstart.felixstream"))
    assert next(frames).index == 0


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_recording(tmp_path / "absent"))
