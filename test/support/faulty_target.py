"""A P4Runtime server that misbehaves: the real embedded target behind a connection that faults can get at, on virtual time.

``FaultyTarget.open`` stands in the place of ``calico_p4.switch.open_switch``. Requests and answers are the serialized messages that would
go over a socket. The updates of every Write are carried out in a shuffled order; ``after_write`` is called after each.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, status_pb2

from calico_p4.p4runtime.client import Client
from calico_p4.p4runtime.errors import TargetLost
from calico_p4.switch import Switch
from k8s_p4.p4rt import p4r
from k8s_p4.target import EmbeddedClient, InProcessTarget, Options, wire
from k8s_p4.target.inprocess import InProcessChannel, InProcessError, UnaryCallable, all_handlers
from test.support import mini
from test.support.gen_packets import Sent

Forward = Callable[[Any], Any]
WRITE = "/p4.v1.P4Runtime/Write"


def answered(one: Sent) -> bool:
    """Neighbour solicitations are answered by the switch."""
    return one.packet.icmp_type == 135 and one.packet.version == 6


class Clock:
    """Time in seconds that goes on only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class Fault:
    """Something that goes wrong from one moment on, for some seconds. The base class is a target that works."""

    lasts_s = 20.0

    def begin(self, target: "FaultyTarget") -> None:
        """It starts, between two frames."""

    def write(self, target: "FaultyTarget", request: Any, forward: Forward) -> Any:
        """A Write while it lasts; ``forward`` carries a request out."""
        return forward(request)

    def end(self, target: "FaultyTarget") -> None:
        """It is over."""


class FaultyTarget:
    """The target, its connections, and the fault that is on."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock, self._seed = clock, seed
        self.reachable, self.hangs = True, False
        self.after_write: Callable[[], None] = lambda: None
        self.fault: Fault | None = None
        self._until_s = 0.0
        self._channels: list[_Channel] = []
        self.start_over()

    def start_over(self) -> None:
        """A new process: empty, without a pipeline, and all connections gone."""
        self.cut()
        self._seed += 1
        self.device = InProcessTarget(Options(shuffle_seed=self._seed)).device
        self.handlers = all_handlers(self.device)
        self.bench = EmbeddedClient(InProcessChannel(self.handlers))

    def inner(self) -> Any:
        """A connection of its own, which no fault gets at."""
        return InProcessChannel(self.handlers)

    def client(self) -> Client:
        """Another controller."""
        return Client(self.inner(), 1)

    def switch(self, channel: Any) -> Switch:
        """The product's own end of a connection."""
        return Switch(channel, channel.close)

    @property
    def installed(self) -> bool:
        """Whether there is a pipeline."""
        return self.device.installed is not None

    def other_program(self) -> tuple[Any, bytes]:
        """P4Info and config of a pipeline that is none of ours."""
        return mini.p4info(), mini.device_config()

    def passing(self, packets: Sequence[tuple[Sent, bytes]]) -> tuple[int, list[Sent]]:
        """Send packets, each the first of its flow; returns how many there is a port for, and those that leave."""
        device = self.device  # not by the bench's messages, which take longer than the packet itself
        if device.installed is None:
            return 0, []
        learners = [schema.state.learner for schema in device.learners([]) if schema.state.learner is not None]
        sent, left = 0, []
        for one, data in packets:
            port = device.ports.get({"uplink": "eth0"}.get(one.ingress, one.ingress))
            if port is not None:
                sent += 1
                for learner in learners:
                    learner.clear()
                left += [one] if device.inject(port, data).outputs else []
        return sent, left

    def cut(self) -> None:
        """Break all connections; what is on the switch stays."""
        for channel in self._channels:
            channel.cut()
        self._channels = []

    def start(self, fault: Fault) -> None:
        """Let a fault begin now."""
        self.fault, self._until_s = fault, self.clock() + fault.lasts_s
        fault.begin(self)

    def tick(self) -> None:
        """End the fault if its time has come."""
        if self.fault is not None and self.clock() >= self._until_s:
            fault, self.fault = self.fault, None
            fault.end(self)

    def open(self, name: str) -> Switch:
        """Connect. Raises TargetLost while nothing answers."""
        self.tick()
        if not self.reachable or self.hangs:
            self.clock.advance(4.0 if self.hangs else 0.0)
            raise TargetLost(f"{name}: no P4Runtime server answers there")
        channel = _Channel(self)
        self._channels.append(channel)
        return self.switch(channel)

    def call(self, channel: "_Channel", path: str, inner: Forward, request: Any, timeout_s: float | None) -> Any:
        """A call of the driver's."""
        self.tick()
        if self.hangs:
            self.clock.advance(timeout_s or 60.0)
            raise InProcessError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ())
        channel.check()
        if path != WRITE:
            return inner(request)
        try:
            return self._write(request, inner)
        finally:
            self.after_write()

    def _write(self, request: bytes, inner: Forward) -> Any:
        if self.fault is None:
            return inner(request)
        return self.fault.write(self, p4r.WriteRequest.FromString(request), lambda parsed: inner(parsed.SerializeToString()))

    def behind(self, updates: Sequence[Any]) -> None:
        """Write some updates as nobody's client: whatever fails, fails."""
        if self.device.installed is not None:
            request = p4r.WriteRequest(updates=updates).SerializeToString()
            self.device.write(wire.WriteRequest.FromString(request).updates)


class _Channel:
    """One connection."""

    def __init__(self, target: FaultyTarget) -> None:
        self._target, self._inner = target, target.inner()
        self._gone = False

    def cut(self) -> None:
        self._gone = True
        self._inner.close()

    close = cut

    def check(self) -> None:
        if self._gone:
            raise InProcessError(grpc.StatusCode.UNAVAILABLE, "Socket closed", ())

    def _call(self, kind: str, path: str, *codecs: Any) -> Callable[..., Any]:
        inner = getattr(self._inner, kind)(path, *codecs)

        def call(request: Any, timeout: float | None = None, **_: Any) -> Any:
            return self._target.call(self, path, inner, request, timeout)

        return call

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Any]:
        return UnaryCallable(self._call("unary_unary", path, request_serializer, response_deserializer))

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Any]:
        return self._call("unary_stream", path, request_serializer, response_deserializer)

    def stream_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Any]:
        return self._inner.stream_stream(path, request_serializer, response_deserializer)


def part(request: Any, updates: Sequence[Any]) -> Any:
    """Return a request with only some of its updates."""
    some = p4r.WriteRequest()
    some.CopyFrom(request)
    del some.updates[:]
    some.updates.extend(updates)
    return some


def details_of(error: grpc.RpcError, count: int) -> list[Any]:
    """Return the p4.v1.Error of each update of a failed Write."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    found = [p4r.Error() for _ in range(count)]
    for detail, packed in zip(found, status.details, strict=True):
        packed.Unpack(detail)
    return found


def write_failure(errors: Sequence[Any]) -> InProcessError:
    """Return the failure of a Write with these p4.v1.Errors."""
    status = status_pb2.Status(code=code_pb2.UNKNOWN, message="Write failure.")
    for error in errors:
        packed = any_pb2.Any()
        packed.Pack(error)
        status.details.append(packed)
    return InProcessError(grpc.StatusCode.UNKNOWN, "Write failure.", (("grpc-status-details-bin", status.SerializeToString()),))


def carry_out(request: Any, forward: Forward, refusals: dict[int, Any]) -> Any:
    """Carry out a Write, but for the updates that ``refusals`` gives an error for."""
    rest = [update for place, update in enumerate(request.updates) if place not in refusals]
    errors = [p4r.Error() for _ in rest]
    response = p4r.WriteResponse()
    try:
        if rest:
            response = forward(part(request, rest))
    except grpc.RpcError as error:
        errors = details_of(error, len(rest))
    if not refusals and not any(error.canonical_code for error in errors):
        return response
    mixed: Iterator[Any] = iter(errors)
    raise write_failure([refusals[place] if place in refusals else next(mixed) for place in range(len(request.updates))])
