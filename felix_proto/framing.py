"""Frames: an 8-byte little-endian length, then that many bytes of one protobuf message; both directions (contract 1.3)."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

HEADER_LENGTH = 8
MAX_LENGTH = 1 << 28
"""Longest frame accepted, in bytes. The largest IP set that Felix allows (1,048,576 members) takes less than a quarter of it."""

_CHUNK = 1 << 18
# What a compressed stream raises that is cut short or broken: for a reader of frames just another way to end early.
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)


class ByteStream(Protocol):
    """What frames can be read from."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most ``size`` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its index from 0, the offset of its first byte (that of the length) in the stream, and what it carries."""

    index: int
    offset: int
    payload: bytes


class FrameError(ValueError):
    """The stream is no sequence of frames. ``offset``: where the frame begins that can't be read; ``frame``: its index."""

    def __init__(self, offset: int, reason: str, frame: int = 0) -> None:
        super().__init__(f"byte {offset}, frame {frame}: {reason}")
        self.offset = offset
        self.reason = reason
        self.frame = frame


class FrameParser:
    """Cuts a stream that comes in pieces of any size into frames. Holds no more than one frame and one piece."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._max_length = max_length
        self._buffer = bytearray()
        self._index = 0
        self._offset = 0

    @property
    def offset(self) -> int:
        """Where the frame begins that comes next, in bytes from the start of the stream."""
        return self._offset

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take the next bytes of the stream and yield the frames they complete; to be exhausted before the next call."""
        self._buffer += data
        start = 0
        try:
            while (end := self._end_of_frame(start)) is not None:
                with memoryview(self._buffer) as view:
                    payload = bytes(view[start + HEADER_LENGTH : end])
                frame = Frame(self._index, self._offset, payload)
                self._index += 1
                self._offset += end - start
                start = end
                yield frame
        finally:
            del self._buffer[:start]

    def _end_of_frame(self, start: int) -> int | None:
        """Return where the frame at ``start`` of the buffer ends, None while it is not there as a whole."""
        body = start + HEADER_LENGTH
        if len(self._buffer) < body:
            return None
        length = int.from_bytes(self._buffer[start:body], "little")
        if length > self._max_length:
            raise self._error(f"length of {length} bytes, more than {self._max_length}: not a Felix stream, or damaged here")
        return body + length if len(self._buffer) >= body + length else None

    def close(self, cause: str = "the stream ends") -> None:
        """Tell that nothing more comes; FrameError if that is in the middle of a frame."""
        have = len(self._buffer)
        if have >= HEADER_LENGTH:
            length = int.from_bytes(self._buffer[:HEADER_LENGTH], "little")
            raise self._error(f"{cause} after {have - HEADER_LENGTH} of the {length} bytes of this frame")
        if have:
            raise self._error(f"{cause} after {have} of the {HEADER_LENGTH} bytes of this frame's length")

    def broken(self, error: Exception) -> FrameError:
        """Return the error for a stream that could not be read on."""
        return self._error(f"cannot be decompressed: {error}")

    def _error(self, reason: str) -> FrameError:
        return FrameError(self._offset, reason, self._index)


def iter_frames(stream: ByteStream, max_length: int = MAX_LENGTH) -> Iterator[Frame]:
    """Yield the frames of a blocking stream until its end, each as soon as it is complete.

    Raises FrameError at a stream that ends inside a frame, claims a longer frame than ``max_length`` bytes, or is compressed data
    that is damaged. Frames before that have been yielded.
    """
    parser = FrameParser(max_length)
    # A buffered reader's read() waits until all it was asked for is there, read1() does not.
    read = getattr(stream, "read1", stream.read)
    while data := _read(read, parser):
        yield from parser.feed(data)
    parser.close()


def _read(read: Callable[[int], bytes | None], parser: FrameParser) -> bytes:
    try:
        return read(_CHUNK) or b""
    except _BROKEN as error:
        raise parser.broken(error) from error


def encode_frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length before it, ready to be written."""
    return len(payload).to_bytes(HEADER_LENGTH, "little") + payload
