"""A bench over BMv2: ports by name, packets through veth pairs, and what became of them.

What the switch does not tell of a packet (the metadata that the embedded target hands out) follows from counters: the reason of a drop, and the
slots that decided.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from calico_p4.switch import Switch
from k8s_p4.reasons import Reason
from k8s_p4.schema import COUNTERS
from k8s_p4.target import Injected

_WAIT_S = 60.0
_WAYS, _WAY_SHIFT = 64, 18
"""Ways to lists that are looked for, and where they stand in the slot that is told."""
_SHORTEST = 14
"""A link carries no frame without an Ethernet header."""
STAGES = tuple(name.removesuffix(".hits") for name in COUNTERS if name.endswith(".hits"))


class Bmv2Bench:
    """What a bench offers, over a switch that knows nothing of it: ports by name, and packets through it."""

    def __init__(self, sockets: Sequence[socket.socket], counted: set[tuple[str, int]], switch: Switch) -> None:
        """``sockets``: the packets' ends of the switch's ports, from 1 on; ``counted``: where something was counted before, by others."""
        self._sockets = sockets
        self._switch = switch
        self._ports: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self.rows: Callable[[str], Iterable[tuple[Any, Any]]] = lambda table: ()
        """Rows of a table as the driver believes them: which slots there are to be asked for."""
        self._counted = counted
        for counter, index in self._counted:  # by others before
            assert switch.client.clear_counters(COUNTERS[counter][0], [index]) == [None]
        self._counted.clear()

    def ports(self) -> dict[str, int]:
        """Numbers by name."""
        return dict(self._ports)

    def ensure_port(self, name: str) -> int:
        """The number of a port; that of its veth pair."""
        if name not in self._ports:
            number = len(self._ports) + 1
            if number > len(self._sockets):
                raise AssertionError(f"more than {len(self._sockets)} ports")
            self._ports[name], self._names[number] = number, name
        return self._ports[name]

    def clear_learned(self, *tables: str) -> int:
        """Forget all flows."""
        assert self._switch.learning is not None
        return self._switch.learning.forget()

    def learned(self, *tables: str) -> list[Any]:
        """Nothing is."""
        return []

    def forget_learned(self, entries: Iterable[Any]) -> int:
        """There is nothing to forget."""
        return 0

    def inject(self, port: int, frame: bytes, at_seconds: float | None = None, trace: bool = False) -> Injected:
        """Send a frame into a port and wait for what becomes of it."""
        slots = self._slots()
        before = {stage: self._hits(stage, numbers) for stage, numbers in slots.items()}
        if trace or at_seconds:
            pytest.skip("bmv2 tells no look-ups" if trace else "bmv2 has no virtual time")
        if len(frame) < _SHORTEST:
            return Injected((), True, "SHORT_FRAME", _Metadata())
        assert self._switch.learning is not None
        known = bool(self._switch.learning.entries())
        drops = self._drops()
        self._sockets[port - 1].send(frame)
        outputs, reason = self._wait(drops)
        metadata = {f"{stage}_slot": self._hit(stage, before.get(stage)) for stage in STAGES}
        leaves = outputs[0][0] if outputs else 0
        (came, _, first), (goes, endpoint, _) = self._behind(port), self._behind(leaves)
        metadata |= {"reason": reason, "from": came, "to": goes, "dst_endpoint": endpoint, "in_endpoint": first, "out_endpoint": self._interface(leaves)}
        if outputs:
            answer = leaves == port and came == 1 and not any(metadata[f"{stage}_slot"] for stage in STAGES)
            metadata["reason"] = Reason.NEIGHBOUR if answer else self._allowed(metadata, known)
            if metadata["reason"] == Reason.ESTABLISHED and _is_error(frame):
                metadata["reason"] = Reason.RELATED
        return Injected(tuple(outputs), not outputs, "SENT" if outputs else "DROPPED", _Metadata(metadata))

    def _drops(self) -> Counter[int]:
        """What was dropped so far, by reason; an answer to what is denied leaves, and is counted as well."""
        found = self._read("drops", range(COUNTERS["drops"][1]))
        self._counted |= {("drops", reason) for reason, count in found.items() if count}
        return found

    def _wait(self, drops: Counter[int]) -> tuple[list[tuple[int, bytes]], int]:
        """The frame that leaves, or the reason of the drop that was counted: exactly one of the two happens."""
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            if outputs := self._received(0.002):
                return outputs, 0
            if changed := self._drops() - drops:
                ((reason, count),) = changed.items()
                assert count == 1, f"{count} drops of one packet, reason {reason}"
                return self._received(0.0), reason
        raise AssertionError(f"{_WAIT_S:g} s and the packet neither left nor was counted as dropped")

    def _received(self, timeout: float) -> list[tuple[int, bytes]]:
        ready, _, _ = select.select(self._sockets, [], [], timeout)
        found = []
        for each in ready:
            frame, (interface, _protocol, kind, *_) = each.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                found.append((int(interface[1:]), frame))
        return found

    def _slots(self) -> dict[str, list[int]]:
        """The slots of each stage that has rules."""
        found = {stage: sorted({value[1] for _, value in self.rows(f"{stage}.rules")}) for stage in STAGES}
        return {stage: slots for stage, slots in found.items() if slots}

    def _hits(self, stage: str, slots: list[int]) -> Counter[tuple[str, int]]:
        """What a stage counted: by slot, and by the way to the list."""
        asked = {f"{stage}.hits": slots, f"{stage}.passes": list(range(1, _WAYS))}
        return Counter({(name, index): count for name, indices in asked.items() for index, count in self._read(name, indices).items()})

    def _hit(self, stage: str, before: Counter[tuple[str, int]] | None) -> int:
        """The slot that decided, with the way in its high part; 0 if the stage was not met."""
        if before is None:
            return 0
        hit = dict((self._hits(stage, self._slots()[stage]) - before).keys())
        self._counted |= set(hit.items())
        return hit.get(f"{stage}.hits", 0) | hit.get(f"{stage}.passes", 0) << _WAY_SHIFT

    def _read(self, counter: str, indices: Iterable[int]) -> Counter[int]:
        return Counter(self._switch.client.read_counters(COUNTERS[counter][0], indices))

    def _behind(self, port: int) -> tuple[int, int, int]:
        """What is behind a port: the metadata `from` or `to` (workload, host or uplink), the number of the endpoint, that of the host endpoint."""
        for (number,), (action, *params) in self.rows("port"):
            if number == port and action.startswith("workload"):
                return 1, params[0], params[2] if action == "workload" else 0
            if number == port:
                return (2, 0, 0) if action == "host" else (3, 0, params[0])
        return 0, 0, 0

    def _interface(self, port: int) -> int:
        """The number of the host endpoint of the interface that a packet left by."""
        return next((value[4] for _, value in self.rows("next_hop") if value[1] == port), 0)

    def _allowed(self, metadata: dict[str, int], known: bool) -> int:
        """Why a packet was let through; ``known``: there were flows, to one of which a packet that no policy judged must belong."""
        hit = [stage for stage in STAGES if metadata[f"{stage}_slot"]]
        if known and not hit:
            return Reason.ESTABLISHED
        if metadata["from"] == 2 and metadata["to"] == 1:
            return Reason.HOST_TO_WORKLOAD
        verdicts = {stage: {value[0] for _, value in self.rows(f"{stage}.rules") if value[1] == metadata[f"{stage}_slot"] & (1 << _WAY_SHIFT) - 1} for stage in hit}
        if any("allow" in verdicts[stage] for stage in hit if stage.startswith("untracked")):
            return Reason.UNTRACKED
        if not any("allow" in each for each in verdicts.values()):
            return Reason.NO_POLICY
        return Reason.ENDPOINT_ACTION_ALLOW if metadata["from"] == 1 and metadata["to"] == 2 else Reason.POLICY_ALLOW


def _is_error(frame: bytes) -> bool:
    """Whether a frame is an ICMP error."""
    if frame[12:14] == b"\x08\x00":
        return frame[23] == 1 and frame[14 + (frame[14] & 15) * 4] in (3, 4, 11, 12)
    return frame[20] == 58 and frame[54] in (1, 2, 3, 4)


class _Metadata(dict[str, int]):
    """What can be known; a test that asks for more is skipped."""

    def __missing__(self, name: str) -> int:
        pytest.skip(f"bmv2 does not tell {name}")
