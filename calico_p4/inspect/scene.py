"""A moment that can be asked about: a driver with its intent and its rows, and what its target really holds.

A recording becomes one by being replayed into an embedded switch of its own; a running driver is one already. Whatever is asked of
the target's entries is answered from what was read back over P4Runtime, never from what the driver wanted to be there.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from calico_p4.driver import Driver
from calico_p4.inspect.objects import History
from calico_p4.names import Places
from calico_p4.ports import PortInventory
from calico_p4.switch import Switch, embedded
from datastore.allocator import Allocator
from datastore.intent import IntentStore
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from k8s_p4.rows import TABLES

Rows = dict[Any, Any]


class Scene:
    """One moment. Everything is worked out when it is first asked for, and then stays as it was."""

    def __init__(self, driver: Driver, switch: Switch | None, history: History, source: str, frames: int, generation: str | None) -> None:
        """``switch`` is where the entries are; ``frames`` how many frames were applied; ``source`` says to people what this is."""
        self.driver, self.switch, self.history = driver, switch, history
        self.source, self.frames, self.generation = source, frames, generation
        self._rows: dict[str, Rows] = {}

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
        """Return the rows of a table that are on the target, read back once. Raises TargetError."""
        if table not in self._rows:
            self._rows[table] = self.switch.read(table) if self.switch is not None else {}
        return self._rows[table]

    def all_rows(self) -> Mapping[str, Rows]:
        """Return the rows of every table."""
        return {table: self.rows(table) for table in TABLES}

    def desired(self, table: str) -> Mapping[Any, Any]:
        """Return the rows that the driver wants in a table."""
        return self.driver.tracker.desired.rows(table)

    def close(self) -> None:
        """Let go of the target, where it is this scene's own."""


class Replayed(Scene):
    """The moment after the first frames of a recording, at rest."""

    def close(self) -> None:
        """End the switch."""
        if self.switch is not None:
            self.switch.close()


def replayed(recording: str, at: int | None = None, ports: Sequence[Mapping[str, Any]] = ()) -> Replayed:
    """Replay a recording up to the moment when ``at`` frames (None: all) have been applied and pushed.

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
    driver.rest()
    return Replayed(driver, switch, history, recording, frames, decoder.generation if frames else None)


def bench_of(scene: Scene) -> Any:
    """Return the packet service of a scene's own switch, None where it has none."""
    with suppress(AttributeError):
        return scene.switch.bench  # type: ignore[union-attr]
    return None
