"""Frames on their way from Felix to the driver: a reader's thread, and a queue that is bounded in number and in bytes.

When the queue is full the reader stops reading, the pipe fills, and Felix waits: it coalesces what it has to say meanwhile
(felix contract 1.5), so a slow target costs time and no memory. Questions go through the same queue, so that each is answered between
two frames.
"""

import threading
from collections import deque
from collections.abc import Callable

from felix_proto.framing import ByteStream, Frame, FrameError, iter_frames

MAX_FRAMES = 1024
MAX_BYTES = 32 << 20
"""Of all frames that wait; a single frame that is larger waits alone."""

Work = Callable[[], None]
End = FrameError | OSError | None
"""How a stream ended; None: where it should."""


class Inflow:
    """What waits to be taken in by the driver's one loop."""

    def __init__(self, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._items: deque[Frame | Work] = deque()
        self._changed = threading.Condition()
        self._frames = self._bytes = 0
        self._ended = False
        self.end: End = None
        """Why nothing more comes, once ``ended``."""

    def start(self, stream: ByteStream) -> None:
        """Read a stream from now on, in a thread."""
        threading.Thread(target=self._read, args=(stream,), name="felix-reader", daemon=True).start()

    def _read(self, stream: ByteStream) -> None:
        try:
            for frame in iter_frames(stream):
                self.put(frame)
        except (FrameError, OSError) as error:
            self.end = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def put(self, frame: Frame) -> None:
        """Add a frame; waits while the queue is full."""
        with self._changed:
            self._changed.wait_for(lambda: self._room_for(len(frame.payload)))
            self._items.append(frame)
            self._frames += 1
            self._bytes += len(frame.payload)
            self._changed.notify_all()

    def _room_for(self, size: int) -> bool:
        return not self._frames or (self._frames < self._max_frames and self._bytes + size <= self._max_bytes)

    def put_work(self, work: Work) -> None:
        """Add something to do after what waits already."""
        with self._changed:
            self._items.append(work)
            self._changed.notify_all()

    def get(self, timeout_s: float = 0.0) -> Frame | Work | None:
        """Take the next item; None if there is none within the time, or ever again (``ended``)."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            if isinstance(item, Frame):
                self._frames -= 1
                self._bytes -= len(item.payload)
                self._changed.notify_all()
            return item

    @property
    def ended(self) -> bool:
        """Whether everything was taken and nothing more comes."""
        return self._ended and not self._items

    @property
    def waiting(self) -> tuple[int, int]:
        """How many frames wait, and their bytes."""
        return self._frames, self._bytes
