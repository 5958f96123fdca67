"""The driver under a running Felix: when to translate, when to rest, what to do when the target is lost.

Frames come through a bounded queue (``inflow.py``). The loop applies what is in the queue and translates when it is empty, or when the
first unpushed change has waited ``MAX_DELAY_S``. After ``HOLD_OFF_S`` of quiet the driver rests: what nothing uses any more is deleted
only then, for sets and policies come back within milliseconds.

``take`` and ``work`` are one step each and know no clock but the one that was given: tests drive them through years of faults.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from random import Random
from typing import Any

from calico_p4 import log, status, watch
from calico_p4.backoff import Backoff
from calico_p4.degraded import Degraded
from calico_p4.driver import Driver
from calico_p4.fib import LiveFib
from calico_p4.inflow import Inflow
from calico_p4.inspect.objects import History
from calico_p4.kubernetes.services import LiveServices
from calico_p4.live_interfaces import LiveInterfaces
from calico_p4.log import get_logger
from calico_p4.metrics import Metrics, rule_totals
from calico_p4.netlink import Follower
from calico_p4.p4runtime.errors import TargetError
from calico_p4.settings import laid_over
from calico_p4.switch import PipelineMismatch, Switch, open_switch
from datastore.allocator import Allocator
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import ByteStream, Frame

ANSWER_S = 110.0
"""How long a question may wait for its turn and be worked on."""
MAX_DELAY_S = 0.1
HOLD_OFF_S = 1.0
LOOK_S = 1.0
"""How often to see whether the stream channel still stands while there is nothing to write."""
NOTE_S = 1.0
"""How often the numbers are noted that cost a walk over what there is."""
FLOWS_S = 10.0
"""The same of what the target learned, where there may be hundreds of thousands."""
ALIVE_S = 150.0
ASK_S = 10.0
"""How often to ask the target for its pipeline's cookie while nothing else is said: a connection that is dead on one side only, and a
pipeline that somebody replaced, show in no other way."""


class Live:
    """One run of the driver, from the first frame to the end of the stream."""

    def __init__(
        self,
        target: str,
        allocator: Allocator,
        ports: Sequence[Mapping[str, Any]],
        send: Callable[[bytes], Any],
        *,
        kubernetes: str | None = None,
        fib: str | None = None,
        interfaces: str | None = None,
        netns: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        opener: Callable[[str], Switch] = open_switch,
        rng: Random | None = None,
        metrics: Metrics | None = None,
        replace_pipeline: bool = False,
        rule_hits: bool = False,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """``send`` writes a frame to Felix; ``kubernetes`` is where services come from (`kubernetes.client.configuration`), ``fib`` the protocols of
        kernel routes to mirror (`fib.protocols_of`), ``interfaces`` the rules by which the kernel's are ports (`port_rules`), ``config`` what is laid over Felix's configuration. ``netns``, ``clock`` (seconds), ``opener`` (of a switch by its address) and ``rng`` are for tests."""
        self._target, self._send, self._clock, self._open = target, send, clock, opener
        self._inflow = Inflow()
        self._replace_pipeline, self._rule_hits = replace_pipeline, rule_hits
        self._decoder, self._config = Decoder(), config or {}
        self._log = get_logger()
        self._status = status.StatusReporter(clock())
        self.driver = Driver(None, allocator, ports)
        self.driver.before_write = self._beat
        self.metrics = metrics
        if metrics is not None:
            self.driver.written = metrics.write.observe
        self._alive_s, self._noted_s, self._flows_noted_s = clock(), 0.0, -FLOWS_S
        self._ports = ports
        self.history = History()
        """Which frame spoke of each object last."""
        self._services = LiveServices(kubernetes, self.driver, self._change) if kubernetes is not None else None
        self._kernel: list[Follower] = []
        if fib is not None:
            self._kernel.append(LiveFib(fib, self.driver, self._change, netns))
        if interfaces is not None:
            self._kernel.append(LiveInterfaces(interfaces, self.driver, self._change, netns))
        self._applied = self._moment = 0
        self._switch: Switch | None = None
        self._dirty_since_s: float | None = None
        self._rest_due_s: float | None = None
        self._connect_due_s = self._ask_due_s = 0.0
        self._connect_again, self._retry = Backoff(rng), Backoff(rng)

    def run(self, stream: ByteStream) -> int:
        """Follow the stream to its end; returns the exit status: 0 at the end of the stream, 1 where it can't be read on."""
        self._inflow.start(stream)
        while not self._inflow.ended:
            now_s = self._clock()
            self.work(now_s)
            item = self._inflow.get(self.wait_s(now_s))
            while item is not None:
                self.take(item) if isinstance(item, Frame) else item()
                item = None if self._overdue() else self._inflow.get()
        return self._end()

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Answer a question of `calico_p4.inspect.questions`, from any thread: it is worked out between two frames.

        Raises what the question raises, and TimeoutError.
        """
        from calico_p4.inspect.questions import answer

        def work() -> Any:
            with closing(self._scene()) as scene:
                return answer(scene, question, arguments)

        return self._in_turn(work)

    def watch(self, arguments: Mapping[str, Any]) -> Any:
        """Begin to watch the packets through the switch, from any thread; returns a `monitor.Monitor`, and raises as it says."""
        from calico_p4.monitor import Describer, monitor

        return monitor(lambda pod: Describer(self.driver, self._switch, lambda: self._moment, pod), self._in_turn, arguments)

    def _in_turn(self, work: Callable[[], Any]) -> Any:
        """Do something between two frames, from any thread. Raises what it raises, and TimeoutError."""
        done: Future[Any] = Future()

        def working() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for whoever asked
                done.set_exception(error)

        self._inflow.put_work(working)
        return done.result(timeout=ANSWER_S)

    def _scene(self) -> Any:
        from calico_p4.inspect.scene import Scene

        scene = Scene(self.driver, self._switch, self.history, f"the driver of {self._target}", self._applied, self._decoder.generation)
        scene.extra_ports = self.driver.ports.as_file() if self.driver.ports.watching else self._ports
        return scene

    def take(self, frame: Frame) -> None:
        """Take one frame in; nothing is written yet."""
        self._applied = frame.index + 1
        log.at(frame.index)
        try:
            message = self._decoder.decode(frame)
            payload = laid_over(message.payload, self._config)
            log.at(frame.index, message.sequence_number)
            self.history.note(frame.index, payload)
            if self.metrics is not None:
                self.metrics.messages[type(payload).__name__] += 1
            self.driver.apply(payload)
        except DecodeError as error:
            self._log.error("frame not decoded", frame=error.frame, offset=error.offset, reason=error.reason)
            self.driver.note_message(Degraded(f"Frame {error.frame}", f"byte {error.offset}: {error.reason}", "partial"))
        if self._services is not None:
            self._services.start()
        for follower in self._kernel:
            follower.start()
        self._note_dirty()

    def _change(self, work: Callable[[], None]) -> None:
        """Let the loop do what changes the store; from any thread."""

        def changing() -> None:
            work()
            self._note_dirty()

        self._inflow.put_work(changing)

    def _note_dirty(self) -> None:
        self._moment += 1
        if self._dirty_since_s is None:
            self._dirty_since_s = self._clock()

    def _overdue(self) -> bool:
        return self._dirty_since_s is not None and self._clock() - self._dirty_since_s > MAX_DELAY_S

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing has to be done."""
        due = [self._status.heartbeat_due_s, now_s + LOOK_S]
        if self._switch is None:
            due.append(self._connect_due_s)
        elif self._rest_due_s is not None:
            due.append(self._rest_due_s)
        return max(0.0, min(due) - now_s)

    def work(self, now_s: float) -> None:
        """Do what is due."""
        self._beat()
        try:
            if self._switch is None and now_s >= self._connect_due_s:
                self._connect()
            if self._switch is not None:
                self._look(self._switch, now_s)
                self._sync(now_s)
        except TargetError as error:
            self._disconnect(error)
        for told in status.told(self._status, self.driver, self._switch is not None):
            self._send(told)
        if self.metrics is not None and now_s >= self._noted_s + NOTE_S:
            self._noted_s = now_s
            watch.note(self.metrics, self.driver, self._inflow, self._switch is not None, self._decoder.generation)
            if self._switch is not None and now_s >= self._flows_noted_s + FLOWS_S:
                self._flows_noted_s = now_s
                self._count_flows(self.metrics, self._switch)
            if self._rule_hits and self._switch is not None:
                self._count_rules(self.metrics, self._switch)

    def _count_flows(self, metrics: Metrics, switch: Switch) -> None:
        try:
            watch.note_flows(metrics, switch)
        except TargetError as error:
            self._disconnect(error)

    def _count_rules(self, metrics: Metrics, switch: Switch) -> None:
        try:
            metrics.rules = rule_totals(self.driver.hits.totals(switch.client, self.driver.translator))
        except TargetError as error:
            self._disconnect(error)

    def alive(self) -> bool:
        """Whether the loop went round lately, from any thread. A Write may take a minute before it is given up."""
        return self._clock() - self._alive_s < ALIVE_S

    def _beat(self) -> None:
        self._alive_s = self._clock()
        if (beat := self._status.heartbeat(self._clock())) is not None:
            self._send(beat)

    def _look(self, switch: Switch, now_s: float) -> None:
        """See whether the target is what it was. Raises TargetError."""
        switch.client.check()
        if now_s >= self._ask_due_s:
            switch.check_pipeline()
            self._ask_due_s = self._clock() + ASK_S

    def _connect(self) -> None:
        switch = self._open(self._target)
        try:
            switch.prepare(self._replace_pipeline)
        except TargetError:
            switch.close()
            raise
        self._log.info("connected", target=self._target, fresh=switch.fresh)
        self._switch = switch
        self._ask_due_s = self._clock() + ASK_S
        self.driver.attach(switch)
        self._moment += 1
        self.driver.trouble = None
        self._connect_again.reset()
        self._rest_due_s = self._clock() + HOLD_OFF_S

    def _disconnect(self, error: TargetError) -> None:
        if self._switch is not None:
            self._switch.close()
            self._switch = None
        self._connect_due_s = self._connect_again.next(self._clock())
        closed = isinstance(error, PipelineMismatch)
        self.driver.trouble = Degraded(f"Target {self._target}", str(error), "closed" if closed else "pending")
        self._log.error("target lost", target=self._target, error=str(error))

    def _sync(self, now_s: float) -> None:
        if self._dirty_since_s is not None:
            self._dirty_since_s = None
            start_s = self._clock()
            self.driver.sync()
            self._moment += 1
            if self.metrics is not None:
                self.metrics.apply.observe(self._clock() - start_s)
            if self._services is not None:
                self._services.tell()
            self._rest_due_s = now_s + HOLD_OFF_S
            self._retry.reset()
        elif self._rest_due_s is not None and now_s >= self._rest_due_s:
            self.driver.rest()
            self._rest_due_s = None if self.driver.converged else self._retry.next(self._clock())

    def _end(self) -> int:
        if self._inflow.end is None:
            self._log.info("Felix closed the stream")
            return 0
        self._log.error("the stream can't be read on", error=str(self._inflow.end))
        return 1
