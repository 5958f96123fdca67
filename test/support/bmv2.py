"""BMv2 as a judge: simple_switch_grpc in a network namespace of its own, packets through veth pairs, and a connection to it.

The binary is the one that CALICO_P4_BMV2 names. Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from calico_p4.learning import Learning
from calico_p4.p4runtime.client import open_channel
from calico_p4.p4runtime.errors import TargetError
from calico_p4.switch import Switch, connect, pipeline_cookie
from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r
from k8s_p4.rows import TABLES
from k8s_p4.schema import METERS
from test.support import bmv2_clock
from test.support.bmv2_bench import Bmv2Bench, Hearing
from test.support.bmv2_told import Told
from test.support.namespaces import no_namespaces
from test.support.target import MAKES, SERVES, address_in

VARIABLE = "CALICO_P4_BMV2"
PORTS = 40
DROP_PORT = PORTS + 1
"""Where a program that tells sends what it drops."""
WAIT_S = 60.0
_TABLE_SIZE = int(os.environ.get("CALICO_P4_BMV2_TABLES") or 1 << 14)
_CLONE_NEWNET, _ETH_P_ALL = 0x40000000, 3
CPU_PORT = 510


def missing() -> str:
    """What is not there to run it, "" if all is."""
    if not os.access(os.environ.get(VARIABLE, ""), os.X_OK):
        return "no bmv2"
    return no_namespaces()


@cache
def told() -> Told:
    """What the program can be made to tell."""
    return Told(artefacts.device_config(artefacts.V1MODEL))


@cache
def small(program: bytes, tables: int = _TABLE_SIZE) -> bytes:
    """The program with small tables: BMv2 makes room for all entries at the start, two gigabytes."""
    content = json.loads(program)
    for pipeline in content["pipelines"]:
        for table in pipeline["tables"]:
            table["max_size"] = min(table["max_size"], tables)
    return json.dumps(content).encode()


class Namespace:
    """A network namespace with veth pairs ``pN`` (the switch's end) and ``tN`` (ours), and a socket on each of ours."""

    def __init__(self, ports: int = DROP_PORT) -> None:
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
    """A running simple_switch_grpc without a program, with a socket in ``folder`` or one of its own. Its time of day stands still but for who sets
    it, or is the machine's."""

    def __init__(self, folder: Path | None = None, ports: int = DROP_PORT, real_time: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.clock = None if real_time or bmv2_clock.missing() else bmv2_clock.Clock(Path(self._folder.name))
        self.namespace = Namespace(ports)
        self.current: Switch | None = None
        """Who connected last."""
        self.program = b""
        """What a connection that swept it put there last."""
        self.counted: set[tuple[str, int]] = set()
        """Where something was counted: counters outlive the entries."""
        self.address = address_in(folder or Path(self._folder.name))
        self.start()

    def start(self) -> None:
        """Start the process; it has no program and no entries."""
        self.program = b""
        with contextlib.suppress(FileNotFoundError):
            Path(self.address.removeprefix("unix:")).unlink()
        interfaces = [word for n in range(1, len(self.namespace.sockets) + 1) for word in ("-i", f"{n}@p{n}")]
        clock = ["env", *self.clock.environment()] if self.clock else []
        command = ["ip", "netns", "exec", self.namespace.name, *clock, os.environ[VARIABLE], "--no-p4", "--device-id", "1", *interfaces, "--",
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
    the program asks for. ``plain``: the program is not made to tell, so nothing is known of packets but those that leave."""

    def __init__(self, bmv2: Bmv2, sweep: bool = False, full: bool = False, plain: bool = False) -> None:
        channel = open_channel(bmv2.address, WAIT_S)
        super().__init__(channel, channel.close, architecture="v1model")
        self._bmv2, self._sweep, self._full, self._plain = bmv2, sweep, full, plain
        if bmv2.current is not None:  # of a test that failed: a switch has one primary
            bmv2.current.close()
        bmv2.current = self

    def close(self) -> None:
        """As `Switch.close`; the switch is free for others."""
        super().close()
        if self._bmv2.current is self:
            self._bmv2.current = None

    def prepare(self, replace_pipeline: bool = False) -> None:
        """As `Switch.prepare`."""
        super().prepare(replace_pipeline)
        if self._sweep:
            self._load()
            self._delete_all()
            self.fresh = True

    def _load(self) -> None:
        """Put the program there once more if a test has changed it, or the one before had."""
        info, config = self.program()
        if self._bmv2.program != config:
            self.client.set_pipeline(info, config, pipeline_cookie())
            self._bmv2.program = config
            self._bmv2.counted.clear()

    def _delete_all(self) -> None:
        """Take away rows, what was learned, and meters."""
        assert self.learning is not None
        self.learning.forget()
        there = list(self.client.read_tables([table.id for table in TABLES.values()]))
        for entry in there:
            entry.ClearField("action")
        for at in range(0, len(there), 1000):
            assert not any(self.client.write_entities(p4r.Update.DELETE, there[at : at + 1000]))
        limits = [(number, index, None) for number, _size in METERS.values() for index in self.client.read_meters(number)]
        assert not any(self.client.write_meters(limits))

    def p4info(self) -> Any:
        """With what the program tells the driver, and us."""
        return super().p4info() if self._plain else _telling_p4info()

    def program(self) -> tuple[Any, bytes]:
        """The program, with small tables unless the full ones are asked for."""
        info, config = super().program()
        config = config if self._full else small(config)
        return info, config if self._plain else _telling(config)

    def _learner(self) -> Learning:
        return Hearing(self.client, self.p4info())

    def _find_bench(self) -> None:
        self.bench = None

    def _learn(self) -> None:
        super()._learn()
        if not self._plain:
            self.bench = Bmv2Bench(self._bmv2.namespace.sockets, self._bmv2.counted, self, told(), self._bmv2.clock)  # type: ignore[assignment]


@cache
def _telling(program: bytes) -> bytes:
    return told().program(program, DROP_PORT)


@cache
def _telling_p4info() -> Any:
    return told().p4info(artefacts.p4info(artefacts.V1MODEL))


@contextlib.contextmanager
def running() -> Iterator[Bmv2]:
    """One switch in place of all embedded ones made meanwhile, one after the other; those that are served have a process each."""
    made = Bmv2()
    MAKES.append(lambda: Bmv2Switch(made, sweep=True))
    SERVES.append(("v1model", served))
    try:
        yield made
    finally:
        SERVES.pop()
        MAKES.pop()
        made.close()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a switch without ports as `served_switch` makes it."""
    with served_switch(folder, 0) as made:
        yield made.address


@contextlib.contextmanager
def served_switch(folder: Path, ports: int) -> Iterator[Bmv2]:
    """A switch without entries on a unix socket in ``folder``, its tables small unless a driver is quicker; it tells nothing of its packets."""
    made = Bmv2(folder, ports, real_time=True)
    try:
        install_small(made.address)
        yield made
    finally:
        made.close()


def install_small(address: str) -> None:
    """Put the program with small tables on a switch that has none, unless somebody else is about to put it there."""
    switch = connect(address, WAIT_S, architecture="v1model")
    info, config = switch.program()
    try:
        with contextlib.suppress(TargetError):  # the other's election id, or that it is primary
            switch.client.arbitrate()
            switch.client.set_pipeline(info, small(config), pipeline_cookie())
    finally:
        switch.close()
