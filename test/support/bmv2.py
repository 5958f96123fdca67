"""BMv2 as a judge: simple_switch_grpc in a network namespace of its own, packets through veth pairs, and a bench over both.

The binary is the one that CALICO_P4_BMV2 names. Needs root and iproute2. What the switch does not tell of a packet (the metadata that the
embedded target hands out) follows from counters: the reason of a drop, and the slots that decided.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_p4.driver import Driver
from calico_p4.p4runtime.client import open_channel
from calico_p4.switch import Switch
from k8s_p4.p4rt import p4r
from k8s_p4.reasons import Reason
from k8s_p4.rows import TABLES
from k8s_p4.schema import COUNTERS
from k8s_p4.target import Injected
from test.support.namespaces import no_namespaces
from test.support.target import MAKES

VARIABLE = "CALICO_P4_BMV2"
PORTS = 40
WAIT_S = 60.0
_TABLE_SIZE = 1 << 14
_COUNTER_SIZE = 1 << 12
_CLONE_NEWNET, _ETH_P_ALL = 0x40000000, 3
CPU_PORT = 510
_WAYS, _WAY_SHIFT = 64, 18
"""Ways to lists that are looked for, and where they stand in the slot that is told."""
_SHORTEST = 14
"""A link carries no frame without an Ethernet header."""
STAGES = tuple(name.removesuffix(".hits") for name in COUNTERS if name.endswith(".hits"))


def missing() -> str:
    """What is not there to run it, "" if all is."""
    if not os.access(os.environ.get(VARIABLE, ""), os.X_OK):
        return "no bmv2"
    return no_namespaces()


def small(program: bytes, tables: int = _TABLE_SIZE, counters: int = _COUNTER_SIZE) -> bytes:
    """The program with small tables and counters: BMv2 makes room for all of them at the start, two gigabytes."""
    content = json.loads(program)
    for pipeline in content["pipelines"]:
        for table in pipeline["tables"]:
            table["max_size"] = min(table["max_size"], tables)
    for counter in content["counter_arrays"]:
        counter["size"] = min(counter["size"], counters)
    return json.dumps(content).encode()


class Namespace:
    """A network namespace with veth pairs ``pN`` (the switch's end) and ``tN`` (ours), and a socket on each of ours."""

    def __init__(self, ports: int = PORTS) -> None:
        self.name = f"bmv2-{uuid.uuid4().hex[:8]}"
        _ip("netns", "add", self.name)
        try:
            self.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
            lines = [f"link add p{n} type veth peer name t{n}\nlink set p{n} mtu 9000 up\nlink set t{n} mtu 9000 up\n" for n in range(1, ports + 1)]
            subprocess.run(["ip", "-n", self.name, "-batch", "-"], input="".join(lines).encode(), check=True, capture_output=True)
            self.sockets = self._inside(lambda: [_socket(f"t{n}") for n in range(1, ports + 1)])
        except BaseException:
            _ip("netns", "del", self.name)
            raise

    def run(self, *command: str) -> None:
        """Run a command inside."""
        subprocess.run(["ip", "netns", "exec", self.name, *command], check=True, capture_output=True)

    def _inside(self, work: Callable[[], list[socket.socket]]) -> list[socket.socket]:
        """What ``work`` returns from a thread that is inside: a namespace is a thread's."""
        found: list[list[socket.socket]] = []

        def enter() -> None:
            with Path(f"/run/netns/{self.name}").open("rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                    return
            found.append(work())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not found:
            raise OSError(f"network namespace {self.name} can't be entered")
        return found[0]

    def close(self) -> None:
        """Close the sockets and remove it."""
        for each in self.sockets:
            each.close()
        _ip("netns", "del", self.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _socket(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    made.bind((interface, 0))
    made.setblocking(False)
    return made


class Bmv2:
    """A running simple_switch_grpc without a program."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.namespace = Namespace()
        self.current: Switch | None = None
        """Who connected last."""
        self.counted: set[tuple[str, int]] = set()
        """Where something was counted: counters outlive the entries."""
        self.address = f"unix:{self._folder.name}/switch.sock"
        self.start()

    def start(self) -> None:
        """Start the process; it has no program and no entries."""
        with contextlib.suppress(FileNotFoundError):
            Path(self._folder.name, "switch.sock").unlink()
        interfaces = [word for n in range(1, len(self.namespace.sockets) + 1) for word in ("-i", f"{n}@p{n}")]
        command = ["ip", "netns", "exec", self.namespace.name, os.environ[VARIABLE], "--no-p4", "--device-id", "1", *interfaces, "--",
                   "--grpc-server-addr", self.address, "--cpu-port", str(CPU_PORT)]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        open_channel(self.address, WAIT_S).close()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait(timeout=WAIT_S)

    def close(self) -> None:
        """End everything."""
        self.kill()
        self.namespace.close()
        self._folder.cleanup()


class Bmv2Switch(Switch):
    """A connection to it, with a bench. ``sweep``: what is there is deleted, as if the switch were a new one. ``full``: tables as large as
    the program asks for."""

    def __init__(self, bmv2: Bmv2, sweep: bool = False, full: bool = False) -> None:
        channel = open_channel(bmv2.address, WAIT_S)
        super().__init__(channel, channel.close, architecture="v1model")
        self._bmv2, self._sweep, self._full = bmv2, sweep, full
        if bmv2.current is not None:  # of a test that failed: a switch has one primary
            bmv2.current.close()
        bmv2.current = self

    def prepare(self, replace_pipeline: bool = False) -> None:
        """As `Switch.prepare`."""
        super().prepare(replace_pipeline)
        if self._sweep:
            assert self.learning is not None
            self.learning.forget()
            there = list(self.client.read_tables([table.id for table in TABLES.values()]))
            for entry in there:
                entry.ClearField("action")
            for at in range(0, len(there), 1000):
                assert not any(self.client.write_entities(p4r.Update.DELETE, there[at : at + 1000]))
            self.fresh = True

    def program(self) -> tuple[Any, bytes]:
        """The program, with small tables unless the full ones are asked for."""
        info, config = super().program()
        return info, config if self._full else small(config)

    def _find_bench(self) -> None:
        self.bench = Bmv2Bench(self._bmv2, self)  # type: ignore[assignment]  # it has what a driver and packets need

    def driven_by(self, driver: Driver) -> None:
        """Take the rows that the bench goes by from this driver."""
        bench: Any = self.bench
        bench.rows = lambda table: driver.tracker.actual.rows(table).items()


class Bmv2Bench:
    """What a bench offers, over a switch that knows nothing of it: ports by name, and packets through it."""

    def __init__(self, bmv2: Bmv2, switch: Switch) -> None:
        self._sockets = bmv2.namespace.sockets
        self._switch = switch
        self._ports: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self.rows: Callable[[str], Iterable[tuple[Any, Any]]] = lambda table: ()
        """Rows of a table as the driver believes them: which slots there are to be asked for."""
        self._counted = bmv2.counted
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
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if outputs := self._received(0.002):
                return outputs, 0
            if changed := self._drops() - drops:
                ((reason, count),) = changed.items()
                assert count == 1, f"{count} drops of one packet, reason {reason}"
                return self._received(0.0), reason
        raise AssertionError(f"{WAIT_S:g} s and the packet neither left nor was counted as dropped")

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


@contextlib.contextmanager
def running() -> Iterator[Bmv2]:
    """One switch in place of all embedded ones made meanwhile, one after the other."""
    made = Bmv2()
    MAKES.append(lambda: Bmv2Switch(made, sweep=True))
    try:
        yield made
    finally:
        MAKES.pop()
        made.close()
