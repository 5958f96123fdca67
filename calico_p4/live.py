"""The driver under a running Felix: when to translate, when to rest, what to do when the target is lost.

A thread reads frames into a bounded queue; when that is full, Felix waits, and coalesces what it has to say. The main loop applies what is
in the queue and translates when it is empty, or when the first unpushed change has waited ``MAX_DELAY_S``. After ``HOLD_OFF_S`` of
quiet the driver rests: what nothing uses any more is deleted only then, for sets and policies come back within milliseconds.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from calico_p4.degraded import Degraded
from calico_p4.driver import Driver
from calico_p4.inspect.objects import History
from calico_p4.log import get_logger
from calico_p4.p4runtime.errors import TargetError
from calico_p4.status import StatusReporter
from calico_p4.switch import Switch, open_switch
from datastore.allocator import Allocator
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import ByteStream, Frame, FrameError, iter_frames
from translator.names import endpoint_name, host_endpoint_name

QUEUE_FRAMES = 1024
ANSWER_S = 110.0
"""How long a question may wait for its turn and be worked on."""
MAX_DELAY_S = 0.1
HOLD_OFF_S = 1.0
LOOK_S = 1.0
"""How often to see whether the target is still there while there is nothing to write."""
RETRY_FIRST_S, RETRY_LAST_S = 0.5, 30.0
_END = None

Work = Callable[[], None]
Item = Frame | FrameError | OSError | Work | None


class Backoff:
    """Times of the next try: half a second after the first failure, then twice as long, up to half a minute."""

    def __init__(self) -> None:
        self._wait_s = RETRY_FIRST_S

    def next(self, now_s: float) -> float:
        """Return when to try again."""
        due_s, self._wait_s = now_s + self._wait_s, min(self._wait_s * 2, RETRY_LAST_S)
        return due_s

    def reset(self) -> None:
        """Start over: it worked."""
        self._wait_s = RETRY_FIRST_S


class Live:
    """One run of the driver, from the first frame to the end of the stream."""

    def __init__(self, target: str, allocator: Allocator, ports: Sequence[Mapping[str, Any]], send: Callable[[bytes], Any]) -> None:
        """``send`` writes a frame to Felix."""
        self._target, self._send = target, send
        self._frames: queue.Queue[Item] = queue.Queue(QUEUE_FRAMES)
        self._decoder = Decoder()
        self._log = get_logger()
        self._status = StatusReporter(time.monotonic())
        self._driver = Driver(None, allocator, ports)
        self._ports = ports
        self.history = History()
        """Which frame spoke of each object last."""
        self._applied = 0
        self._switch: Switch | None = None
        self._dirty_since_s: float | None = None
        self._rest_due_s: float | None = None
        self._connect_due_s = 0.0
        self._connect_again, self._retry = Backoff(), Backoff()

    def run(self, stream: ByteStream) -> int:
        """Follow the stream to its end; returns the exit status: 0 at the end of the stream, 1 where it can't be read on."""
        threading.Thread(target=self._read, args=(stream,), name="felix-reader", daemon=True).start()
        while True:
            self._work(time.monotonic())
            try:
                item = self._frames.get(timeout=self._wait_s(time.monotonic()))
            except queue.Empty:
                continue
            while item is not _END and not isinstance(item, Exception):
                self._apply(item) if isinstance(item, Frame) else item()
                if self._overdue() or self._frames.empty():
                    break
                item = self._frames.get()
            if item is _END or isinstance(item, Exception):
                return self._end(item)

    def _read(self, stream: ByteStream) -> None:
        """Runs in the reader's thread."""
        try:
            for frame in iter_frames(stream):
                self._frames.put(frame)
            self._frames.put(_END)
        except (FrameError, OSError) as error:
            self._frames.put(error)

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Answer a question of `calico_p4.inspect.questions`, from any thread: it is worked out between two frames.

        Raises what the question raises, and TimeoutError.
        """
        answered: Future[Any] = Future()

        def work() -> None:
            scene = self._scene()
            try:
                answered.set_result(answer(scene, question, arguments))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for whoever asked
                answered.set_exception(error)
            finally:
                scene.close()

        from calico_p4.inspect.questions import answer

        self._frames.put(work, timeout=ANSWER_S)
        return answered.result(timeout=ANSWER_S)

    def _scene(self) -> Any:
        from calico_p4.inspect.scene import Scene

        scene = Scene(self._driver, self._switch, self.history, f"the driver of {self._target}", self._applied, self._decoder.generation)
        scene.extra_ports = self._ports
        return scene

    def _apply(self, frame: Frame) -> None:
        self._applied = frame.index + 1
        try:
            payload = self._decoder.decode(frame).payload
            self.history.note(frame.index, payload)
            self._driver.apply(payload)
        except DecodeError as error:
            self._log.error("frame not decoded", frame=error.frame, offset=error.offset, reason=error.reason)
            lost = Degraded(f"Frame {error.frame}", f"byte {error.offset}: {error.reason}", "partial")
            self._driver.messages[lost.object] = lost
        if self._dirty_since_s is None:
            self._dirty_since_s = time.monotonic()

    def _overdue(self) -> bool:
        return self._dirty_since_s is not None and time.monotonic() - self._dirty_since_s > MAX_DELAY_S

    def _wait_s(self, now_s: float) -> float:
        """Return how long nothing has to be done."""
        due = [self._status.heartbeat_due_s, now_s + LOOK_S]
        if self._switch is None:
            due.append(self._connect_due_s)
        elif self._rest_due_s is not None:
            due.append(self._rest_due_s)
        return max(0.0, min(due) - now_s)

    def _work(self, now_s: float) -> None:
        """Do what is due."""
        if (beat := self._status.heartbeat(now_s)) is not None:
            self._send(beat)
        try:
            if self._switch is None and now_s >= self._connect_due_s:
                self._connect()
            if self._switch is not None:
                self._switch.client.check()
                self._sync(now_s)
        except TargetError as error:
            self._disconnect()
            self._connect_due_s = self._connect_again.next(time.monotonic())
            self._log.error("target lost", target=self._target, error=str(error))

    def _connect(self) -> None:
        switch = open_switch(self._target)
        try:
            switch.prepare()
        except TargetError:
            switch.close()
            raise
        self._log.info("connected", target=self._target, fresh=switch.fresh)
        self._switch = switch
        self._driver.attach(switch)
        self._connect_again.reset()

    def _disconnect(self) -> None:
        if self._switch is not None:
            self._switch.close()
            self._switch = None

    def _sync(self, now_s: float) -> None:
        if self._dirty_since_s is not None:
            self._dirty_since_s = None
            self._driver.sync()
            self._rest_due_s = now_s + HOLD_OFF_S
            self._retry.reset()
        elif self._rest_due_s is not None and now_s >= self._rest_due_s:
            self._driver.rest()
            self._rest_due_s = None if self._driver.converged else self._retry.next(now_s)
        self._tell()

    def _tell(self) -> None:
        """Report the endpoints whose rows are confirmed, or can't be."""
        driver = self._driver
        if not driver.store.in_sync:
            return
        bad = {entry.object for entry in driver.degraded() if entry.effect != "partial"}
        broken = {key for key in driver.store.endpoints if endpoint_name(key) in bad} if bad else set()
        for frame in self._status.endpoints(driver.store.endpoints, driver.changed_endpoints, broken):
            self._send(frame)
        driver.changed_endpoints.clear()
        hosts = driver.store.host_endpoints
        for frame in self._status.host_endpoints(hosts, {key for key in hosts if host_endpoint_name(key) in bad}):
            self._send(frame)

    def _end(self, item: Exception | None) -> int:
        if item is None:
            self._log.info("Felix closed the stream")
            return 0
        self._log.error("the stream can't be read on", error=str(item))
        return 1
