"""Replaying a recording through the driver into a target, and packets at the places where they are due (replay contract, version 1)."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from calico_p4.bench import Bench, not_sent
from calico_p4.driver import Driver
from calico_p4.dump import write_dump
from calico_p4.files import BadFile, load_json
from calico_p4.kubernetes_file import Event, load_events
from calico_p4.p4runtime.errors import TargetError, raise_target_error
from calico_p4.packets import Packet, load_packets
from calico_p4.ports import load_ports
from calico_p4.settings import BadSettings, as_of_felix, laid_over
from calico_p4.switch import Switch, open_switch
from datastore.allocator import Allocator, AllocatorError
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import FrameError
from felix_proto.recordings import read_recording
from felix_proto.types import Message
from k8s_p4.rows import TABLES

FLUSH_FRAMES = 100
"""After InSync, changes are translated and pushed every so many frames: Felix's own flushes leave no mark in a recording."""
STATE_FILE = "allocator.sqlite"
OK, NOT_CONVERGED, UNUSABLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Options:
    """What ``calico-p4 replay`` was asked for; paths as given."""

    recording: str
    packets: str | None = None
    ports: str | None = None
    k8s: str | None = None
    target: str = "embedded"
    architecture: str = "pna"
    until: int | None = None
    dump: str | None = None
    state: str | None = None
    config: str | None = None
    flush: int = FLUSH_FRAMES


@dataclass(slots=True)
class Outcome:
    """What came of it: exit status, the contract's answer (None where nothing was replayed), and what to tell on standard error."""

    status: int = OK
    answer: dict[str, Any] | None = None
    errors: list[str] = field(default_factory=list)

    def fail(self, status: int, error: str) -> None:
        """Note an error; the highest status counts."""
        self.status = max(self.status, status)
        self.errors.append(error)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files beside the recording, read and checked."""

    packets: Sequence[Packet]
    ports: Sequence[Mapping[str, Any]]
    objects: Sequence[Event]
    config: Mapping[str, str]


def replay(options: Options, make: "Make | None" = None) -> Outcome:
    """Replay a recording, in a `Replay` or what ``make`` makes; never raises for what the contract gives an exit status."""
    outcome = Outcome()
    with ExitStack() as stack:
        try:
            inputs = load_inputs(options)
            allocator = open_allocator(options.state)
            stack.callback(allocator.close)
            switch = open_switch(options.target, architecture=options.architecture)
            stack.callback(switch.close)
            switch.prepare()
        except (BadFile, AllocatorError) as error:
            outcome.fail(UNUSABLE, str(error))
        except TargetError as error:
            outcome.fail(NOT_CONVERGED, f"target {options.target}: {error}")
        else:
            run = (make or Replay)(Driver(switch, allocator, inputs.ports), switch, inputs, options)
            _replay(options, inputs, switch, run, outcome)
    return outcome


def load_inputs(options: Options) -> Inputs:
    """Read the files that were given. Raises BadFile."""
    ports = load_ports(options.ports) if options.ports else []
    objects = load_events(options.k8s) if options.k8s else []
    config = _load_config(options.config) if options.config else {}
    return Inputs(load_packets(options.packets) if options.packets else [], ports, objects, config)


def _load_config(path: str) -> Mapping[str, str]:
    """Read a configuration file: Felix's names, and the driver's settings by theirs. Raises BadFile."""
    try:
        return as_of_felix(load_json(path, "config"))
    except BadSettings as error:
        raise BadFile(f"{path}: {error}") from error


def open_allocator(state: str | None) -> Allocator:
    """Return the allocator kept in the folder ``state``, which is made if need be; without one it forgets. Raises AllocatorError."""
    if state is None:
        return Allocator()
    try:
        Path(state).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AllocatorError(f"{state}: {error.strerror}") from error
    return Allocator(Path(state) / STATE_FILE)


def _replay(options: Options, inputs: Inputs, switch: Switch, run: "Replay", outcome: Outcome) -> None:
    if inputs.packets and switch.bench is None:
        outcome.fail(UNUSABLE, f"--packets: the target {options.target} takes no packets; only the embedded switch does")
        return
    try:
        run.frames()
        run.end()
    except (FrameError, DecodeError) as error:
        outcome.fail(UNUSABLE, f"{options.recording}: {error}")
    except OSError as error:
        outcome.fail(UNUSABLE, f"{options.recording}: {error.strerror or error}")
        return
    except TargetError as error:
        outcome.fail(NOT_CONVERGED, f"target {options.target}: {error}")
    run.finish(outcome)


class Replay:
    """One replay under way."""

    def __init__(self, driver: Driver, switch: Switch, inputs: Inputs, options: Options) -> None:
        self.driver = driver
        self._switch, self._options = switch, options
        self._decoder = Decoder()
        self._bench = Bench(driver, switch.bench) if switch.bench is not None else None
        self._waiting = deque(inputs.packets)
        self._objects = deque(inputs.objects)
        self._config = inputs.config
        self._answers: dict[int, dict[str, Any]] = {}
        self._packets = inputs.packets
        self._applied = 0
        kubernetes = driver.store.kubernetes
        kubernetes.configured = kubernetes.in_sync = options.k8s is not None
        self._flushed = 0

    def frames(self) -> None:
        """Apply the recording, sending the packets that are due between frames.

        Raises:
            FrameError, DecodeError: where the recording can't be read on; what came before is applied and pushed.
            TargetError: the target failed.
            OSError: the recording can't be opened.
        """
        self._kubernetes()
        self._send_due()
        try:
            for message in self._messages():
                self._take(message)
        except (FrameError, DecodeError):
            self.driver.rest()
            raise

    def _messages(self) -> Iterator[Message]:
        until = self._options.until
        if until == 0:
            return
        for frame in read_recording(self._options.recording):
            yield self._decoder.decode(frame)
            if frame.index + 1 == until:
                return

    def _take(self, message: Message) -> None:
        was_in_sync = self.driver.store.in_sync
        self.driver.apply(laid_over(message.payload, self._config))
        self._applied += 1
        self._kubernetes()
        if self.driver.store.in_sync and (not was_in_sync or self._applied - self._flushed >= self._options.flush):
            self._flush()
        self._send_due()

    def _flush(self) -> None:
        """Push what has changed."""
        self._flushed = self._applied
        self.driver.sync()

    def _kubernetes(self) -> None:
        """Tell of the Kubernetes objects whose place in the recording this is."""
        while self._objects and self._objects[0].after <= self._applied:
            self._objects.popleft().apply(self.driver.store.kubernetes)

    def _send_due(self) -> None:
        """Send the packets whose place in the recording this is."""
        if self._waiting and self._waiting[0].after == self._applied:
            self._settle()
            while self._waiting and self._waiting[0].after == self._applied:
                self._send(self._waiting.popleft())

    def _settle(self) -> None:
        self.driver.rest()
        if self._bench is not None:
            self._bench.settle()

    def _send(self, packet: Packet) -> None:
        assert self._bench is not None
        try:
            self._answers[packet.place] = self._bench.send(packet)
        except grpc.RpcError as error:
            raise raise_target_error(error, f"packet {packet.id!r}") from error

    def end(self) -> None:
        """Come to rest after the last frame, and send the packets that wait for the end. Raises TargetError."""
        self._settle()
        for packet in self._waiting:
            if packet.after is None:
                self._send(packet)

    def finish(self, outcome: Outcome) -> None:
        """Put the answer together, write the dump, and settle the exit status."""
        outcome.answer = self.answer()
        if self._options.dump is not None:
            try:
                write_dump(self._options.dump, self.driver)
            except OSError as error:
                outcome.fail(UNUSABLE, f"{self._options.dump}: {error.strerror}")
        if not self.driver.converged and not outcome.errors:
            outcome.fail(NOT_CONVERGED, f"not converged: {self.driver.tracker.pending_count()} rows are not on the target as wanted")
        if not self.driver.store.in_sync and self._options.until is None and not outcome.errors:
            outcome.fail(NOT_CONVERGED, f"{self._options.recording}: ended before InSync")

    def answer(self) -> dict[str, Any]:
        """Return the contract's answer for what has been done so far."""
        driver = self.driver
        entries = {table: number for table in sorted(TABLES) if (number := driver.tracker.actual.count(table))}
        return {
            "version": 1,
            "frames": self._applied,
            "in_sync": driver.store.in_sync,
            "generation": self._decoder.generation if self._applied else None,
            "converged": driver.converged,
            "entries": entries,
            "learned": self._learned(),
            "writes": driver.pusher.writes.as_dict(),
            "degraded": [entry.as_dict() for entry in driver.degraded()],
            "packets": [self._answers.get(place) or self._never(packet) for place, packet in self._by_place()],
        }

    def _by_place(self) -> Iterator[tuple[int, Packet]]:
        return iter(sorted((packet.place, packet) for packet in self._packets))

    def _never(self, packet: Packet) -> dict[str, Any]:
        when = "the end" if packet.after is None else f"frame {packet.after}"
        return not_sent(packet, f"due after {when}, and {self._applied} frames were applied")

    def _learned(self) -> dict[str, int]:
        if self._switch.flows is None:
            return {}
        with suppress(grpc.RpcError):
            counts = sorted((table.rpartition(".")[2], number) for table, number in self._switch.flows.learned_counts().items())
            return {table: number for table, number in counts if number}
        return {}


Make = Callable[[Driver, Switch, Inputs, Options], Replay]
