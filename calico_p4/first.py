"""The first frame of a stream, looked at before the stream is read: it holds Felix's configuration, and in it settings of ours."""

from collections.abc import Mapping

from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import HEADER_LENGTH, MAX_LENGTH, ByteStream, Frame
from felix_proto.types import ConfigUpdate


class FirstFrame:
    """A stream whose beginning can be looked at; ``read`` then gives everything from the start."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self._ahead = stream, b""

    def config(self) -> Mapping[str, str]:
        """Wait for the first frame and return its configuration; nothing if it has none, or is none: whoever reads the stream says so."""
        if not self._look(HEADER_LENGTH):
            return {}
        length = int.from_bytes(self._ahead[:HEADER_LENGTH], "little")
        if length > MAX_LENGTH or not self._look(HEADER_LENGTH + length):
            return {}
        try:
            payload = Decoder().decode(Frame(0, 0, self._ahead[HEADER_LENGTH : HEADER_LENGTH + length])).payload
        except DecodeError:
            return {}
        return dict(payload.config) if isinstance(payload, ConfigUpdate) else {}

    def _look(self, size: int) -> bool:
        """Read ahead to this many bytes; tells whether the stream has them."""
        while len(self._ahead) < size:
            data = self._stream.read(min(1 << 16, size - len(self._ahead)))
            if not data:
                return False
            self._ahead += data
        return True

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._stream.read(size) or b""
