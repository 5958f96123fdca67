"""The target: connecting to it, putting the pipeline on it, writing and reading rows.

Either a switch made in this process or a server at an address. What only the embedded target can do (virtual ports, packets,
virtual time) goes through its own service, ``bench``; a server without it is used for its tables alone.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import grpc

from calico_p4.kept import Flows, Kept
from calico_p4.learning import Learning, needed
from calico_p4.p4runtime.client import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Client, encode_update, open_channel, update_head
from calico_p4.p4runtime.errors import TargetError, TargetLost, raise_target_error
from calico_p4.p4runtime.tls import Tls
from calico_p4.ports import Numbers
from datastore.tracker import Op
from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r
from k8s_p4.rows import TABLES, RowError
from k8s_p4.target import EmbeddedClient, InProcessTarget

DEVICE_ID = 1
ARCHITECTURES = ("pna", "v1model")
"""Whose program a target runs: it can't be found out by trying, for simple_switch_grpc refuses every program after one that it could not load."""
HANDOVER_S = 1.0
FOREIGN_BATCH = 1000
"""Deletions in one Write."""


class PipelineMismatch(TargetError):
    """The target runs another pipeline; it is not replaced unasked, for that would clear every entry on it."""


def mismatch(there: int) -> PipelineMismatch:
    """Return the error for a target with another cookie than ours."""
    return PipelineMismatch(f"the target runs another pipeline (cookie {there:#x}, ours is {pipeline_cookie():#x})")


class Foreign(NamedTuple):
    """An entry (p4.v1.TableEntry) of one of our tables that is no row of ours, and what is wrong with it."""

    entry: Any
    problem: str

    def deletion(self) -> bytes:
        """Return the update that deletes it, in wire form."""
        key = p4r.TableEntry(table_id=self.entry.table_id, match=self.entry.match, priority=self.entry.priority)
        return encode_update("delete", key.SerializeToString())


class Switch:
    """A connected target that runs our pipeline, with us as primary."""

    def __init__(self, channel: Any, close: Callable[[], None], device_id: int = DEVICE_ID, architecture: str = ARCHITECTURES[0]) -> None:
        """``channel`` is grpc's or the in-process one; ``close`` ends whatever is behind it. ``architecture``: whose program it is given."""
        self._close = close
        self._main = f"main_{architecture}"
        self.channel = channel
        self.client = Client(channel, device_id)
        self.bench: EmbeddedClient | None = EmbeddedClient(channel, timeout_s=ANSWER_TIMEOUT_S)
        self.fresh = False
        """Whether the pipeline was put there just now, so that there is nothing to read back."""
        self.foreign: dict[str, list[Foreign]] = {}
        """By table what was read there and is no row of ours; such entries are left alone."""
        self.learning: Learning | None = None
        """Learns flows, where the target's tables do not."""
        self.renewed: Callable[[], bool] = lambda: False
        """Tells whether the certificates of this connection have been renewed since."""

    def prepare(self, replace_pipeline: bool = False) -> None:
        """Become primary, and put the pipeline there if there is none.

        Raises:
            PipelineMismatch: another pipeline is there, and ``replace_pipeline`` is not set.
            TargetError: (or a subclass) whatever else went wrong.
        """
        self._arbitrate()
        there = self.client.pipeline_cookie()
        if there is not None and there != pipeline_cookie() and not replace_pipeline:
            raise mismatch(there)
        if there != pipeline_cookie():
            self.client.set_pipeline(*self.program(), pipeline_cookie())
            self.fresh = True
        self._find_bench()
        self._learn()

    def _learn(self) -> None:
        """Learn for the target, if its pipeline asks for it."""
        if needed(self.p4info()):
            if self.learning is not None:
                self.learning.close()
            self.learning = self._learner()
            self.learning.start()

    def _learner(self) -> Learning:
        return Learning(self.client, self.p4info())

    @property
    def flows(self) -> Flows | None:
        """Who tells what was learned: the target, or the driver that learns for it; None if nobody does."""
        return self.bench if self.bench is not None else Kept(self.learning) if self.learning is not None else None

    def p4info(self) -> Any:
        """Return the P4Info of the program that the target is given."""
        return artefacts.p4info(self._main)

    def program(self) -> tuple[Any, bytes]:
        """Return the P4Info and the device config that a target without a pipeline is given."""
        return self.p4info(), artefacts.device_config(self._main)

    def check_pipeline(self) -> None:
        """Ask the target whether it still runs our pipeline.

        Raises:
            PipelineMismatch: it runs another one.
            TargetError: (or a subclass) it has none, does not answer, or our certificates were renewed and ask for a new connection.
        """
        if self.renewed():
            raise TargetLost("the certificates were renewed")
        there = self.client.pipeline_cookie()
        if there is None:
            raise TargetError("the target has no pipeline any more")
        if there != pipeline_cookie():
            raise mismatch(there)

    def _arbitrate(self) -> None:
        """Become primary; whoever was it until a moment ago may still be on its way out."""
        end_s = time.monotonic() + HANDOVER_S
        while True:
            try:
                return self.client.arbitrate()
            except TargetLost:
                raise
            except TargetError:
                if time.monotonic() > end_s:
                    raise
            time.sleep(HANDOVER_S / 20)

    def _find_bench(self) -> None:
        try:
            if self.bench is not None:
                self.bench.ports()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise raise_target_error(error, "ListPorts") from error
            self.bench = None

    def write(self, ops: Sequence[Op], updates: Sequence[bytes] | None = None, meanwhile: Callable[[], None] | None = None) -> list[str | None]:
        """Send the ops as one Write; returns None or the server's error text for each. ``updates`` are the ops, if they are ``encoded``
        already; ``meanwhile`` and exceptions as in Client.write."""
        self.client.check()
        return self.client.write(encoded(ops) if updates is None else updates, meanwhile)

    def read(self, table: str) -> dict[Any, Any]:
        """Return the rows of a table that are on the target; what can't be a row of it goes to ``foreign``. Raises TargetError."""
        codec, rows, foreign = TABLES[table], {}, []
        for entry in self.client.read_tables([codec.id]):
            try:
                key, value = codec.decode(entry)
                rows[key] = value
            except RowError as error:
                foreign.append(Foreign(entry, str(error)))
        self.foreign.pop(table, None)
        if foreign:
            self.foreign[table] = foreign
        return rows

    def delete_foreign(self) -> None:
        """Delete the entries that are no rows of ours, those last read. What the target does not delete stays listed. Raises TargetError."""
        every = [(table, each) for table, found in self.foreign.items() for each in found]
        left = defaultdict(list)
        for start in range(0, len(every), FOREIGN_BATCH):
            batch = every[start : start + FOREIGN_BATCH]
            for (table, each), refusal in zip(batch, self.client.write([each.deletion() for _, each in batch]), strict=True):
                if refusal is not None:
                    left[table].append(Foreign(each.entry, f"{each.problem}; not deleted: {refusal}"))
        self.foreign = dict(left)

    def close(self) -> None:
        """Leave; the entries stay on a target that lives elsewhere."""
        if self.learning is not None:
            self.learning.close()
        self.client.close()
        self._close()


def encoded(ops: Sequence[Op]) -> list[bytes]:
    """Return the updates in wire form. Raises RowError for an op that is none of a row."""
    updates = []
    for kind, table, key, value in ops:
        codec: Any = TABLES[table]
        entry = codec.wire_key(key) if value is None else codec.wire(key, value)
        updates.append(update_head(kind, len(entry)) + entry)
    return updates


@cache
def pipeline_cookie() -> int:
    """Return the number by which our pipeline is recognised on a target: 64 bits of the digest of its artefacts."""
    return int.from_bytes(hashlib.blake2b(artefacts.read(artefacts.MANIFEST), digest_size=8).digest())


class TargetPorts:
    """Port numbers as the embedded target gives them: by name, the same as long as the target runs."""

    def __init__(self, bench: EmbeddedClient) -> None:
        self._bench = bench

    def get(self, kind: str, meaning: str) -> int:
        """Return the number of the port named ``meaning``, made if there is none. Raises TargetError."""
        try:
            return self._bench.ensure_port(meaning)
        except grpc.RpcError as error:
            raise raise_target_error(error, f"port {meaning}") from error

    def release(self, kind: str, meaning: str) -> None:
        """Nothing: a virtual port stays where it is, and a packet into it is dropped as from an unknown port."""


def port_numbers(switch: Switch | None, otherwise: Numbers) -> Numbers:
    """Return who numbers the ports: the target where it is our own, else the allocator."""
    return otherwise if switch is None or switch.bench is None else TargetPorts(switch.bench)


def embedded() -> Switch:
    """Make a fresh switch in this process."""
    target = InProcessTarget()
    return Switch(target.channel, target.stop)


def connect(address: str, timeout_s: float = CONNECT_TIMEOUT_S, tls: Tls | None = None, architecture: str = ARCHITECTURES[0]) -> Switch:
    """Connect to ``unix:PATH`` or ``HOST:PORT``. Raises TargetLost if nothing answers there within ``timeout_s`` seconds."""
    stamp = tls.stamp() if tls is not None else ()
    channel = open_channel(address, timeout_s, tls)
    switch = Switch(channel, channel.close, architecture=architecture)
    if tls is not None:
        switch.renewed = lambda: tls.stamp() != stamp
    return switch


def open_switch(target: str, tls: Tls | None = None, architecture: str = ARCHITECTURES[0]) -> Switch:
    """Return the switch that ``--target`` names: ``embedded``, ``unix:PATH`` or ``HOST:PORT``; not yet prepared."""
    return embedded() if target == "embedded" else connect(target, tls=tls, architecture=architecture)


