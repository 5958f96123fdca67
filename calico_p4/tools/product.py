"""The driver over a stream in memory: what the tools ask when they must know what a stream does.

This is ``calico-p4 replay`` itself with other ends: frames from a list instead of a file, answers instead of text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import structlog

from calico_p4.degraded import Degraded
from calico_p4.driver import Driver, everything
from calico_p4.dump import dump_lines
from calico_p4.inspect.snapshot import payloads_of
from calico_p4.kubernetes_file import Event
from calico_p4.log import configure
from calico_p4.packets import Packet as Sent
from calico_p4.packets import plan
from calico_p4.ports import PortInventory
from calico_p4.replay import Inputs, Options, Replay
from calico_p4.settings import laid_over
from calico_p4.switch import embedded
from datastore.allocator import Allocator
from datastore.intent import IntentError, IntentStore
from felix_proto.decode import Decoder
from felix_proto.framing import HEADER_LENGTH, Frame
from felix_proto.types import ConfigUpdate, Message
from translator import Translator

Packet = Mapping[str, Any]
Port = Mapping[str, Any]


class Beside(NamedTuple):
    """What a replay is given beside the stream: ``--ports``, ``--k8s`` (None: there is no source of Kubernetes objects) and ``--config``."""

    ports: Sequence[Port] = ()
    objects: Sequence[Event] | None = None
    config: Mapping[str, str] = {}

    def after(self, frames: int) -> "Beside":
        """Return the same, with what was told of objects by then told before the first frame, and nothing later."""
        if self.objects is None:
            return self
        last = {event.key: event for event in self.objects if event.after <= frames}
        return self._replace(objects=[event._replace(after=0) for event in last.values()])

    def tell(self, store: IntentStore) -> None:
        """Tell a store that has seen a stream and nothing else."""
        if self.config:
            store.apply(laid_over(ConfigUpdate(tuple(store.config.items())), self.config))
        store.kubernetes.configured = store.kubernetes.in_sync = self.objects is not None
        for event in self.objects or ():
            event.apply(store.kubernetes)


NOTHING: Final = Beside()


def frames_of(payloads: Sequence[bytes]) -> list[Frame]:
    """Return payloads as the frames of a stream of their own."""
    frames, offset = [], 0
    for index, payload in enumerate(payloads):
        frames.append(Frame(index, offset, payload))
        offset += HEADER_LENGTH + len(payload)
    return frames


class Run(Replay):
    """A replay of frames that are in memory."""

    def __init__(self, frames: Sequence[Frame | Message], packets: Sequence[Packet], beside: Beside, switch: Any) -> None:
        inputs = Inputs(plan(packets), beside.ports, beside.objects or [], beside.config)
        options = Options("frames in memory", k8s=None if beside.objects is None else "objects in memory")
        super().__init__(Driver(switch, Allocator(), beside.ports), switch, inputs, options)
        self.all_frames, self._beside = frames, beside

    def _messages(self) -> Iterator[Message]:
        return (item if isinstance(item, Message) else self._decoder.decode(item) for item in self.all_frames)

    def send(self, packet: Sent) -> dict[str, Any]:
        """Send a packet now, and return the contract's answer."""
        assert self._bench is not None  # the embedded switch has one
        return self._bench.send(packet)

    def packets(self) -> list[dict[str, Any]]:
        """Return the answers to the packets, in the order given."""
        answers: list[dict[str, Any]] = self.answer()["packets"]
        return answers

    def rows(self) -> list[str]:
        """Return the dump of the replay contract."""
        return dump_lines(self.driver)

    def owned_rows(self) -> dict[str, str]:
        """Return the lines of the dump, each with the object that asks for the row."""
        desired: Any = self.driver.tracker.desired
        translator = self.driver.translator
        rows = [(table, key, value) for table in desired.tables() for key, value in desired.rows(table).items()]
        return dict(sorted(zip(translator.canonical_lines(rows), (translator.origin(*row) for row in rows), strict=True)))

    def rows_from_scratch(self) -> list[str]:
        """Return the dump that a driver would have which met the present state in one go."""
        return scratch_lines(self.driver.store, self._beside.ports)

    def degraded(self) -> list[Degraded]:
        """Return what does not work as intended."""
        return self.driver.degraded()


@contextmanager
def replayed(frames: Sequence[Frame | Message], packets: Sequence[Packet] = (), beside: Beside = NOTHING) -> Iterator[Run]:
    """Replay frames into a fresh embedded switch, and send packets where they are due.

    Raises DecodeError and TargetError as ``Replay.frames``, and BadFile for packets that can't be put in order.
    """
    quiet()
    switch = embedded()
    try:
        switch.prepare()
        run = Run(frames, packets, beside, switch)
        run.frames()
        run.end()
        yield run
    finally:
        switch.close()


def quiet() -> None:
    """Keep the driver's log to warnings, unless whoever uses us has set it up."""
    if not structlog.is_configured():
        configure("error")


def state_of(frames: Iterable[Frame]) -> IntentStore:
    """Return what a stream adds up to. Raises DecodeError."""
    store, decoder = IntentStore(), Decoder()
    for frame in frames:
        try:
            store.apply(decoder.decode(frame).payload)
        except IntentError:
            continue  # the driver passes over it, too
    return store


def snapshot_of(store: IntentStore) -> list[Message]:
    """Return the messages with which a new Felix would tell a state."""
    return [Message(number, number, payload) for number, payload in enumerate(payloads_of(store))]


def scratch_lines(store: IntentStore, extra_ports: Sequence[Port] = ()) -> list[str]:
    """Return the dump of a state, translated from nothing."""
    ports = PortInventory(Allocator(), extra_ports)
    ports.refresh(store, everything(store))
    translator = Translator(Allocator())
    rows: dict[tuple[str, Any], Any] = {}
    for changes in translator.translate(store, everything(store), ports):
        rows.update({(table, key): value for table, key, value in changes})
    for changes in translator.rest():
        rows.update({(table, key): value for table, key, value in changes})
    return sorted(set(translator.canonical_lines((table, key, value) for (table, key), value in rows.items() if value is not None)))
