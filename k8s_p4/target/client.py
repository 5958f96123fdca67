"""A client of the embedded target's own service, in plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from k8s_p4 import p4rt
from k8s_p4.target import embedded_pb2 as pb

METHODS = p4rt.methods_of(pb.DESCRIPTOR.services_by_name["EmbeddedTarget"])


@dataclass(frozen=True, slots=True)
class LookedUp:
    """One table look-up of a trace. Names are P4Info's; values are ints in P4Info's order; priority 0 where there is none."""

    table: str
    key: dict[str, int]
    hit: bool
    action: str
    params: dict[str, int]
    priority: int


@dataclass(frozen=True, slots=True)
class Injected:
    """What became of a frame.

    Attributes:
        outputs: (port number, frame) in order; empty if dropped.
        dropped: nothing left.
        outcome: SENT, DROPPED (by the program), SHORT_FRAME (the parser asked for bytes that are not there: reason `parse`), NO_PORT
            (sent to a port that does not exist) or LOOP.
        metadata: at the end, by the name of the field in the P4 source (`reason`, `egress_slot`) for user metadata, by the assembly's
            name (`pna_main_input_metadata_input_port`) for the rest.
        trace: the look-ups in order, if asked for.
    """

    outputs: tuple[tuple[int, bytes], ...]
    dropped: bool
    outcome: str
    metadata: dict[str, int]
    trace: tuple[LookedUp, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Learned:
    """One live learned entry. Values as in `LookedUp`."""

    table: str
    key: dict[str, int]
    action: str
    params: dict[str, int]
    expires_in_seconds: float
    age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A frame that went through the switch: when (seconds of its clock), in by which port, and what became of it."""

    seconds: float
    port: int
    frame: bytes
    result: Injected


class Watching:
    """A running Watch call. Iterating yields `Watched`, and an int where so many frames were lost; failures are `grpc.RpcError`."""

    def __init__(self, call: Any) -> None:
        """Returns once the switch watches."""
        self._call = call
        next(call)

    def __iter__(self) -> Iterator[Watched | int]:
        for message in self._call:
            if message.lost:
                yield message.lost
            else:
                yield Watched(message.seconds, message.port, message.frame, _injected(message.result))

    def cancel(self) -> None:
        """End it, from any thread; whoever iterates gets CANCELLED."""
        self._call.cancel()


def _injected(answer: Any) -> Injected:
    return Injected(
        outputs=tuple((out.port, out.frame) for out in answer.outputs),
        dropped=answer.dropped,
        outcome=pb.Outcome.Name(answer.outcome),
        metadata={name: int.from_bytes(value, "big") for name, value in answer.metadata.items()},
        trace=tuple(LookedUp(t.table, _ints(t.key), t.hit, t.action, _ints(t.params), t.priority) for t in answer.trace),
    )


def _ints(fields: Any) -> dict[str, int]:
    return {f.name: int.from_bytes(f.value, "big") for f in fields}


def _add_fields(fields: Any, values: dict[str, int]) -> None:
    for name, value in values.items():
        fields.add(name=name, value=value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))


class EmbeddedClient:
    """Calls the EmbeddedTarget service over a channel; failures are `grpc.RpcError`."""

    def __init__(self, channel: Any, timeout_s: float = 30.0) -> None:
        self._call = {name: p4rt.stub_callable(channel, method) for name, method in METHODS.items()}
        self._timeout_s = timeout_s

    def _do(self, method: str, request: Any) -> Any:
        return self._call[method](request, timeout=self._timeout_s)

    def ensure_port(self, name: str, bind: bool = False) -> int:
        """Return the number of the port of that name, made if there is none; `bind` attaches the Linux interface of that name."""
        number: int = self._do("EnsurePort", pb.EnsurePortRequest(name=name, bind=bind)).number
        return number

    def ports(self) -> dict[str, int]:
        """Return all ports, name to number."""
        return {port.name: port.number for port in self._do("ListPorts", pb.ListPortsRequest()).ports}

    def describe(self) -> dict[str, str]:
        """Return what the target does in a way of its own, for people."""
        return dict(self._do("Describe", pb.DescribeRequest()).features)

    def inject(self, port: int, frame: bytes, at_seconds: float | None = None, trace: bool = False) -> Injected:
        """Send a frame into a port at a virtual time (default: now)."""
        return _injected(self._do("Inject", pb.InjectRequest(port=port, frame=frame, at_seconds=at_seconds, trace=trace)))

    def watch(self, dropped_only: bool = False, queue: int = 0) -> Watching:
        """Watch every frame from now on, or only those of which nothing leaves; ``queue`` of them may wait (0: the switch's choice)."""
        return Watching(self._call["Watch"](pb.WatchRequest(dropped_only=dropped_only, queue=queue)))  # it has no end, so no timeout

    def set_time(self, seconds: float) -> None:
        """Move the virtual clock forward."""
        self._do("SetTime", pb.SetTimeRequest(seconds=seconds))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        seconds: float = self._do("GetTime", pb.GetTimeRequest()).seconds
        return seconds

    def clear_learned(self, *tables: str) -> int:
        """Forget the learned entries of these tables (P4Info names; none: all); return how many."""
        cleared: int = self._do("ClearLearned", pb.ClearLearnedRequest(tables=tables)).cleared
        return cleared

    def forget_learned(self, entries: Iterable[Learned]) -> int:
        """Forget these entries, by table and key; return how many were there."""
        request = pb.ForgetLearnedRequest()
        for entry in entries:
            _add_fields(request.entries.add(table=entry.table).key, entry.key)
        forgotten: int = self._do("ForgetLearned", request).forgotten
        return forgotten

    def restore_learned(self, entries: Iterable[Learned]) -> int:
        """Learn these entries of another switch, with the time they have left; return how many found room."""
        request = pb.RestoreLearnedRequest()
        for entry in entries:
            message = request.entries.add(table=entry.table, action=entry.action, expires_in_seconds=entry.expires_in_seconds)
            _add_fields(message.key, entry.key)
            _add_fields(message.params, entry.params)
        restored: int = self._do("RestoreLearned", request).restored
        return restored

    def learned_counts(self) -> dict[str, int]:
        """Return the number of live entries of every table that learns."""
        return dict(self._do("LearnedCounts", pb.LearnedCountsRequest()).counts)

    def learned_expired(self) -> dict[str, int]:
        """Return, for every table that learns, how many entries ran out since it was cleared last."""
        return dict(self._do("LearnedCounts", pb.LearnedCountsRequest()).expired)

    def learned(self, *tables: str) -> list[Learned]:
        """Return the live entries of these tables (none: all)."""
        answer = self._do("ListLearned", pb.ListLearnedRequest(tables=tables))
        return [Learned(e.table, _ints(e.key), e.action, _ints(e.params), e.expires_in_seconds, e.age_seconds) for e in answer.entries]
