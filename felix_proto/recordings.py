"""Recordings: the bytes that Felix wrote, in a file, compressed with gzip or not."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from felix_proto.framing import MAX_LENGTH, ByteStream, Frame, encode_frame, iter_frames

STDIN = "-"
# RFC 1952, 2.3.1: ID1, ID2 and CM. As the low bytes of a length they would be a first frame of 559,903 bytes or that plus a
# multiple of 16 MiB; the first frame holds Felix's configuration, some hundred bytes.
_GZIP_MAGIC = b"\x1f\x8b\x08"


@contextmanager
def open_recording(path: str | Path) -> Iterator[ByteStream]:
    """Open a recording for reading; "-" is standard input. Gzip is recognised by its magic number, not by the file's name.

    Raises OSError if the file can't be opened.
    """
    with _open(path) as file:
        if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
            with gzip.open(file) as stream:
                yield cast("BinaryIO", stream)
        else:
            yield file


@contextmanager
def _open(path: str | Path) -> Iterator[BufferedReader]:
    if str(path) != STDIN:
        with open(path, "rb") as file:
            yield file
    elif isinstance(sys.stdin.buffer, BufferedReader):
        yield sys.stdin.buffer
    else:  # what a test put in the place of standard input
        yield BufferedReader(cast("RawIOBase", sys.stdin.buffer))


def read_recording(path: str | Path, max_length: int = MAX_LENGTH) -> Iterator[Frame]:
    """Yield the frames of a recording one by one. FrameError: see iter_frames; offsets count decompressed bytes."""
    with open_recording(path) as stream:
        yield from iter_frames(stream, max_length)


class RecordingWriter:
    """Writes frames as Felix would, to a file that is open for writing bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, payload: bytes) -> None:
        """Append a frame with ``payload``."""
        self._file.write(encode_frame(payload))
