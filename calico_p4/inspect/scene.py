"""A moment that can be asked about: a driver with its intent and its rows, and what its target really holds.

A recording becomes one by being replayed into an embedded switch of its own; a running driver is one already. Whatever is asked of
the target's entries is answered from what was read back over P4Runtime, never from what the driver wanted to be there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from calico_p4.bench import Bench
from calico_p4.driver import Driver
from calico_p4.hits import drops, rejects
from calico_p4.inspect.objects import History
from calico_p4.kubernetes_file import Event
from calico_p4.names import Places
from calico_p4.p4runtime.errors import TargetError, TargetLost
from calico_p4.packets import Packet
from calico_p4.ports import PortInventory
from calico_p4.push import BATCH
from calico_p4.switch import Switch, embedded
from datastore.allocator import Allocator
from datastore.intent import IntentStore
from datastore.tracker import Op
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from k8s_p4.rows import TABLES
from k8s_p4.target import InProcessTarget, Learned

Rows = dict[Any, Any]


class Scene:
    """One moment. Everything is worked out when it is first asked for, and then stays as it was."""

    def __init__(self, driver: Driver, switch: Switch | None, history: History, source: str, frames: int, generation: str | None) -> None:
        """``switch`` is where the entries are; ``frames`` how many frames were applied; ``source`` says to people what this is."""
        self.driver, self.switch, self.history = driver, switch, history
        self.source, self.frames, self.generation = source, frames, generation
        self.extra_ports: Sequence[Mapping[str, Any]] = ()
        self._rows: dict[str, Rows] = {}
        self._glass: Switch | None = None

    @property
    def store(self) -> IntentStore:
        """What Felix said."""
        return self.driver.store

    @property
    def translator(self) -> Any:
        """What it means."""
        return self.driver.translator

    @property
    def ports(self) -> PortInventory:
        """The ports by name."""
        return self.driver.ports

    @cached_property
    def places(self) -> Places:
        """Who is where."""
        return Places(self.driver.store, self.driver.ports)

    def rows(self, table: str) -> Rows:
        """Return the rows of a table that are on the target, read back once; while it is lost, as last known. Raises TargetError."""
        if table not in self._rows:
            self._rows[table] = self.switch.read(table) if self.switch is not None else self.driver.tracker.actual.rows(table)
        return self._rows[table]

    def all_rows(self) -> Mapping[str, Rows]:
        """Return the rows of every table."""
        return {table: self.rows(table) for table in TABLES}

    def desired(self, table: str) -> Mapping[Any, Any]:
        """Return the rows that the driver wants in a table."""
        return self.driver.tracker.desired.rows(table)

    def hits(self) -> Counter[Any]:
        """Return the packets counted for each (stage, path of rules) since the target started. Raises TargetError."""
        return self.driver.hits.totals(self.switch.client, self.translator) if self.switch is not None else Counter()

    def drops(self) -> dict[int, int]:
        """Return the packets dropped by reason. Raises TargetError."""
        return drops(self.switch.client) if self.switch is not None else {}

    def rejects(self) -> dict[int, int]:
        """Return what became of answers to denied packets. Raises TargetError."""
        return rejects(self.switch.client) if self.switch is not None else {}

    @cached_property
    def learned(self) -> list[Learned]:
        """What the switch had learned when this was first asked for; nothing of one that does not tell."""
        return self.switch.flows.learned() if self.switch is not None and self.switch.flows is not None else []

    def glass(self) -> Switch:
        """Return a switch with the target's ports and the entries read back, through which packets can be sent without a trace.

        Raises:
            TargetError: the target can't be read.
        """
        if self.switch is None:
            raise TargetLost("the target is lost, so its entries can't be read back")
        if self._glass is None:
            self._glass = switch_with({port.name: port.number for port in self.ports.all()}, self.all_rows())
        return self._glass

    def close(self) -> None:
        """Let go of the switches that are this scene's own."""
        if self._glass is not None:
            self._glass.close()
            self._glass = None


class Replayed(Scene):
    """The moment after the first frames of a recording, at rest. Its switch is nobody else's, so packets can be sent through it."""

    def glass(self) -> Switch:
        """Return the switch itself."""
        assert self.switch is not None
        return self.switch

    def close(self) -> None:
        """End the switch."""
        if self.switch is not None:
            self.switch.close()


def send_all(scene: Scene, packets: Sequence[Packet]) -> None:
    """Send packets of the replay contract through a scene's switch, for their counts; ``after`` does not matter."""
    bench = Bench(scene.driver, scene.glass().bench)  # type: ignore[arg-type]
    for packet in packets:
        bench.send(packet)


def switch_with(ports: Mapping[str, int], rows: Mapping[str, Rows]) -> Switch:
    """Make a switch in this process with ports of these numbers and these rows."""
    target = InProcessTarget()
    target.device.ports.update(ports)
    target.device.port_names.update({number: name for name, number in ports.items()})
    switch = Switch(target.channel, target.stop)
    switch.prepare()
    ops = [Op("insert", table, key, value) for table, there in rows.items() for key, value in there.items()]
    for start in range(0, len(ops), BATCH):
        refused = [error for error in switch.write(ops[start : start + BATCH]) if error]
        if refused:
            raise TargetError(f"a copy of the target does not take its entries: {refused[0]}")
    return switch


def replayed(
    recording: str, at: int | None = None, ports: Sequence[Mapping[str, Any]] = (), objects: Sequence[Event] | None = None
) -> Replayed:
    """Replay a recording up to the moment when ``at`` frames (None: all) have been applied and pushed.

    ``objects`` are Kubernetes', in the order in which they come; None: services are not configured.

    Raises:
        OSError: it can't be opened.
        FrameError, DecodeError: it can't be read; with frame and byte offset.
        TargetError: the embedded switch refused something.
    """
    switch = embedded()
    switch.prepare()
    driver, history, decoder = Driver(switch, Allocator(), ports), History(), Decoder()
    frames = 0
    for frame in read_recording(recording) if at != 0 else ():
        payload = decoder.decode(frame).payload
        history.note(frame.index, payload)
        driver.apply(payload)
        frames = frame.index + 1
        if frames == at:
            break
    kubernetes = driver.store.kubernetes
    kubernetes.configured = kubernetes.in_sync = objects is not None
    for event in objects or ():
        if event.after <= frames:
            event.apply(kubernetes)
    driver.rest()
    scene = Replayed(driver, switch, history, recording, frames, decoder.generation if frames else None)
    scene.extra_ports = ports
    return scene

