"""BMv2 behind a connection that faults can get at: `faulty_target.py` over a real switch, which really dies and comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import grpc

from calico_p4.p4runtime.client import open_channel
from calico_p4.switch import Switch
from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r
from k8s_p4.schema import COUNTERS
from test.support.bmv2 import WAIT_S, Bmv2, small
from test.support.bmv2_bench import received
from test.support.faulty_target import Clock, FaultyTarget, answered
from test.support.gen_packets import Sent
from test.support.lives import numbered_ports


class SmallSwitch(Switch):
    """A connection whose program has small tables."""

    def program(self) -> tuple[Any, bytes]:
        """As `Switch.program`."""
        info, config = super().program()
        return info, small(config)


class Bmv2FaultyTarget(FaultyTarget):
    """As `FaultyTarget`."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._made = Bmv2(ports=len(numbered_ports()), real_time=True)
        self._numbers = {port["name"]: port["number"] for port in numbered_ports()} | {"uplink": 2}
        self._reader: Any = None
        self._last = p4r.WriteRequest(device_id=1)
        super().__init__(clock, seed)

    def start_over(self) -> None:
        """As `FaultyTarget.start_over`."""
        self.cut()
        if self._reader is not None:
            self._reader.close()
        self._made.kill()
        self._made.start()
        self._reader = self.client()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._reader.close()
        self._made.close()

    def inner(self) -> Any:
        """As `FaultyTarget.inner`."""
        return open_channel(self._made.address, WAIT_S)

    def switch(self, channel: Any) -> Switch:
        """As `FaultyTarget.switch`."""
        return SmallSwitch(channel, channel.close, architecture="v1model")

    @property
    def installed(self) -> bool:
        """As `FaultyTarget.installed`."""
        return self._reader.pipeline_cookie() is not None

    def other_program(self) -> tuple[Any, bytes]:
        """As `FaultyTarget.other_program`; ours under another name, for it takes none that it can't load."""
        return artefacts.p4info(artefacts.V1MODEL), small(artefacts.device_config(artefacts.V1MODEL))

    def _write(self, request: bytes, inner: Any) -> Any:
        self._last = p4r.WriteRequest.FromString(request)
        return super()._write(request, inner)

    def behind(self, updates: Sequence[Any]) -> None:
        """As `FaultyTarget.behind`; with the election id that the switch takes Writes of."""
        request = p4r.WriteRequest(device_id=1, election_id=self._last.election_id, updates=updates)
        with contextlib.suppress(grpc.RpcError):
            self._reader._write(request.SerializeToString())

    def passing(self, packets: Sequence[tuple[Sent, bytes]]) -> tuple[int, list[Sent]]:
        """As `FaultyTarget.passing`: all of them at once, until all are counted as dropped."""
        if not self.installed:
            return 0, []
        sent = [(self._numbers[one.ingress], data, one) for one, data in packets if one.ingress in self._numbers and not answered(one)]
        before, left, end = self._drops(), [], time.monotonic() + WAIT_S
        for number, data, _ in sent:
            self._made.namespace.sockets[number - 1].send(data)
        while not left and self._drops() - before < len(sent):
            assert time.monotonic() < end, "neither left nor was dropped"
            left = received(self._made.namespace.sockets, 0.002)
        return len(sent), [one for _, _, one in sent] if left else []

    def _drops(self) -> int:
        number, size = COUNTERS["drops"][:2]
        return sum(self._reader.read_counters(number, range(size)).values())
