"""A long life: the ``churn`` recording over and over, its objects under new names every time, as a cluster goes through them in months."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from calico_p4.live import Live
from datastore.allocator import Allocator
from felix_proto import felixbackend_pb2
from felix_proto.framing import Frame
from test.support.fault_run import stream
from test.support.faulty_target import Clock
from test.support.fuzz import Swallow

pb: Any = felixbackend_pb2
SET_KINDS = ("s:", "n:", "svc:", "svcnoport:")
NAMES = {("PolicyID", "name"), ("ProfileID", "name"), ("WorkloadEndpointID", "workload_id"), ("WorkloadEndpoint", "name"), ("WorkloadEndpoint", "profile_ids"), ("HostEndpointID", "endpoint_id")}  # fmt: skip
"""What the recording takes away again in the end; services, nodes and the like stay, and so keep their names."""


def renamed(payload: bytes, suffix: str) -> bytes:
    """Return a message with its objects, and what refers to them, under other names."""
    message = pb.ToDataplane.FromString(payload)
    _rename(message, suffix)
    data: bytes = message.SerializeToString()
    return data


def _rename(message: Any, suffix: str) -> None:
    for field, value in message.ListFields():
        if field.cpp_type == field.CPPTYPE_STRING and field.type != field.TYPE_BYTES:
            named = (message.DESCRIPTOR.name, field.name) in NAMES
            if field.is_repeated:
                value[:] = [_name(text, suffix, named) for text in value]
            else:
                setattr(message, field.name, _name(value, suffix, named))
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                _rename(each, suffix)


def _name(text: str, suffix: str, named: bool) -> str:
    return text + suffix if named or text.startswith(SET_KINDS) else text


class Soak:
    """One driver that never ends. Every few frames it gets a moment to itself, now and then a quiet one."""

    def __init__(self, seed: int) -> None:
        self.rng, self.clock, self.switch = Random(seed), Clock(), Swallow()
        opener: Callable[[str], Any] = lambda _: self.switch
        self.live = Live("swallow", Allocator(), (), lambda said: None, clock=self.clock, opener=opener, rng=self.rng)
        self.frames = 0
        self.loops = 0

    def loop(self) -> None:
        """Go through the recording once, and rest."""
        for payload in self._payloads():
            self.live.take(Frame(self.frames, 0, payload))
            self.frames += 1
            if self.rng.random() < 0.1:
                self._work(self.rng.choice((0.02, 0.02, 2.0)))
        self.loops += 1
        for _ in range(4):
            self._work(3.0)

    def rows(self) -> int:
        """Return how many rows are wanted."""
        desired = self.live.driver.tracker.desired
        return sum(len(desired.rows(table)) for table in desired.tables())

    def _payloads(self) -> Iterator[bytes]:
        for each, payload in stream("churn"):
            kind = type(payload).__name__
            if self.loops and kind in ("InSync", "ConfigUpdate"):
                continue
            yield renamed(each.payload, f"-{self.loops}")

    def _work(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.live.work(self.clock())
