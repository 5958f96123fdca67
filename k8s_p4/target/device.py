"""The switch behind both services: its pipeline, ports, clock and the one lock that guards them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from google.protobuf import text_format

from k8s_p4.p4rt import p4r
from k8s_p4.target.config import unpack_device_config
from k8s_p4.target.errors import LoadError, Refused, full, invalid, not_found, not_ready, unimplemented
from k8s_p4.target.match import Identity
from k8s_p4.target.options import Options
from k8s_p4.target.packet_io import PacketIo
from k8s_p4.target.resources import Resources
from k8s_p4.target.runtime import NO_PORT, SENT, Packet
from k8s_p4.target.schema import Pipeline, TableSchema, build_pipeline
from k8s_p4.target.tables import TableWriter
from k8s_p4.target.wire import full_update

CPU_PORT = 0xFFFFFFFD  # P4Runtime's SDN_PORT_CPU (section 6.4.6)
_HIGHEST_PORT = 0xFFFFFF00
SECOND = 10**9
INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE


class Installed:
    """A pipeline that is in use, and what was given to make it."""

    def __init__(self, config: Any, pipeline: Pipeline) -> None:
        self.config = config  # p4.v1.ForwardingPipelineConfig
        self.pipeline = pipeline
        self.writers = {schema.id: TableWriter(schema) for schema in pipeline.tables.values()}
        self.resources = Resources(pipeline, self.writers)
        self.packet_io = PacketIo(pipeline.p4info)


def install(config: Any, options: Options) -> Installed:
    """Make a pipeline of a ForwardingPipelineConfig.

    Raises:
        LoadError: it can't be realized.
    """
    parts = unpack_device_config(config.p4_device_config)
    installed = Installed(config, build_pipeline(parts.spec, parts.context, config.p4info, options))
    if parts.entries:
        _install_const_entries(installed, parts.entries)
    return installed


def _install_const_entries(installed: Installed, text: str) -> None:
    try:
        for update in text_format.Parse(text, p4r.WriteRequest()).updates:
            entry = update.entity.table_entry
            installed.writers[entry.table_id].put(entry)
    except (text_format.ParseError, KeyError, Refused) as error:
        raise LoadError(f"entries.txtpb: {error}") from None


class Sent(NamedTuple):
    """What became of a frame: the packet's state and what left, as (port, frame)."""

    packet: Packet
    outputs: list[tuple[int, bytes]]


class Device:
    """One switch. Every public method takes the lock; times are seconds outside, ns inside."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lock = threading.RLock()
        self.installed: Installed | None = None
        self.ports: dict[str, int] = {}
        self.port_names: dict[int, str] = {}
        self.on_packet_in: Callable[[Any], None] = lambda response: None
        self.on_output: dict[int, Callable[[bytes], None]] = {}
        self.watchers: list[Callable[[int, bytes, Sent], None]] = []
        self._now = 0
        self._random = None if options.shuffle_seed is None else random.Random(options.shuffle_seed)

    def running(self) -> Installed:
        """The pipeline in use; raises Refused (FAILED_PRECONDITION) without one."""
        if self.installed is None:
            raise not_ready("no forwarding pipeline has been set")
        return self.installed

    def clear(self) -> None:
        """Have no pipeline any more: what it took is free, though a call that has not noticed its end may still know the switch."""
        with self.lock:
            self.installed = None

    # time

    def now(self) -> int:
        """The time in ns: virtual, or the machine's since it was switched on."""
        return time.monotonic_ns() if self.options.real_time else self._now

    def set_time(self, seconds: float) -> None:
        """Move virtual time on; raises Refused if that is backwards."""
        moment = round(seconds * SECOND)
        with self.lock:
            if self.options.real_time:
                raise not_ready("this target's clock runs by itself")
            if moment < self._now:
                raise invalid(f"time can't run backwards: {seconds} s after {self._now / SECOND} s")
            self._now = moment

    # ports

    def ensure_port(self, name: str) -> int:
        """The number of the port of that name, made if there is none; raises Refused for an empty name."""
        if not name:
            raise invalid("a port needs a name")
        with self.lock:
            if name not in self.ports:
                number = len(self.ports) + 1
                if number > _HIGHEST_PORT:
                    raise invalid("too many ports")
                self.ports[name] = number
                self.port_names[number] = name
            return self.ports[name]

    # frames

    def inject(self, port: int, frame: bytes, at_seconds: float | None = None, trace: bool = False) -> Sent:
        """One frame into a port; raises Refused: no pipeline, no such port, or time backwards."""
        with self.lock:
            installed = self.running()
            if port not in self.port_names and port != CPU_PORT:
                raise not_found(f"no port {port}")
            if at_seconds is not None:
                self.set_time(at_seconds)
            packet = installed.pipeline.machine.run(frame, port, self.now(), trace)
            sent = Sent(packet, self._deliver(installed, packet))
            for watcher in self.watchers:
                watcher(port, frame, sent)
            return sent

    def _deliver(self, installed: Installed, packet: Packet) -> list[tuple[int, bytes]]:
        if packet.outcome != SENT:
            return []
        port, frame = packet.port_out, packet.sent_frame()
        if port == CPU_PORT:
            self.on_packet_in(installed.packet_io.packet_in(frame))
        elif port not in self.port_names:
            packet.outcome = NO_PORT
            return []
        elif port in self.on_output:
            self.on_output[port](frame)
        return [(port, frame)]

    def packet_out(self, message: Any) -> None:
        """A p4.v1.PacketOut from the primary; raises Refused."""
        with self.lock:
            self.inject(CPU_PORT, self.running().packet_io.packet_out(message))

    # writing and reading

    def write(self, updates: Any) -> list[Refused | None]:
        """Apply the updates of one Write (loose ones, see `wire`), in any order; what was refused by place, None where all went well."""
        with self.lock:
            installed = self.running()
            results: list[Refused | None] = [None] * len(updates)
            order: Any = range(len(updates))
            if self._random is not None:
                order = self._random.sample(order, len(order))
            for at in order:
                try:
                    self._quick_update(installed, updates[at])
                except Refused as refused:
                    results[at] = refused
            if refusals := installed.pipeline.machine.settle():
                _blame(installed, updates, results, refusals)
            return results

    def _quick_update(self, installed: Installed, update: Any) -> None:
        entry = update.entity.table_entry
        writer = installed.writers.get(entry.table_id)
        if writer is not None and update.type == INSERT and writer.quick_insert(entry):
            return
        if writer is not None and update.type == DELETE and writer.quick_delete(entry):
            return
        self._update(installed, full_update(update))

    def _update(self, installed: Installed, update: Any) -> None:
        entry = update.entity.table_entry
        writer = installed.writers.get(entry.table_id)
        if writer is None:
            self._other_update(installed, update)
        elif update.type == INSERT:
            writer.insert(entry)
        elif update.type == DELETE:
            writer.delete(entry)
        elif update.type == MODIFY:
            writer.modify(entry)
        else:
            raise invalid(f"update type {update.type}")

    def _other_update(self, installed: Installed, update: Any) -> None:
        kind = update.entity.WhichOneof("entity")
        if kind is None:
            raise invalid("an update without an entity")
        if kind == "table_entry":
            raise invalid(f"no table {update.entity.table_entry.table_id}")
        installed.resources.write(kind, update, self.now())

    def read(self, entity: Any) -> Iterator[Any]:
        """The p4.v1.Entity messages one query selects; raises Refused, at the latest while it is iterated."""
        with self.lock:
            installed = self.running()
            kind = entity.WhichOneof("entity")
            if kind is None:
                raise invalid("a query without an entity")
            if kind != "table_entry":
                return installed.resources.read(kind, getattr(entity, kind))
            return self._read_entries(installed, entity.table_entry)

    def _read_entries(self, installed: Installed, query: Any) -> Iterator[Any]:
        if query.table_id:
            if query.table_id not in installed.writers:
                raise invalid(f"no table {query.table_id}")
            parts = [installed.writers[query.table_id].read(query)]
        else:
            if len(query.match) or query.priority:
                raise invalid("a query over all tables can't filter by match or priority")
            parts = [writer.read(query) for writer in installed.writers.values()]
        return (p4r.Entity(table_entry=entry) for part in parts for entry in part)

    # the pipeline

    def set_pipeline(self, action: int, config: Any) -> None:
        """A SetForwardingPipelineConfig (section 14); raises Refused."""
        request = p4r.SetForwardingPipelineConfigRequest
        if action in (request.VERIFY_AND_SAVE, request.COMMIT):
            raise unimplemented("saving a config to commit it later is not supported: VERIFY_AND_COMMIT")
        if action not in (request.VERIFY, request.VERIFY_AND_COMMIT, request.RECONCILE_AND_COMMIT):
            raise invalid(f"action {action}")
        if config is None:
            raise invalid("no config")
        with self.lock:
            try:
                fresh = install(config, self.options)
            except LoadError as error:
                raise invalid(str(error)) from None
            if action == request.RECONCILE_AND_COMMIT and self.installed is not None:
                _carry_over(self.installed, fresh)
            if action != request.VERIFY:
                self.installed = fresh

    def learners(self, names: list[str]) -> list[TableSchema]:
        """The tables that learn, those of these P4Info names or all; raises Refused for one that does not."""
        found = {s.name: s for s in self.running().pipeline.tables.values() if s.learns}
        for name in names:
            if name not in found:
                raise not_found(f"no table {name!r} that learns")
        return [found[name] for name in names or found]


def _blame(installed: Installed, updates: Any, results: list[Refused | None], refusals: dict[str, set[Identity]]) -> None:
    """Refuse the updates whose entries the machine could not keep."""
    for at, update in enumerate(updates):
        writer = installed.writers.get(update.entity.table_entry.table_id)
        refused = refusals.get(writer.schema.state.spec.name) if writer is not None else None
        if writer is not None and refused and results[at] is None and writer.identity(full_update(update).entity.table_entry) in refused:
            results[at] = full(f"table {writer.schema.name}: the data plane refuses the entry")


def _carry_over(old: Installed, fresh: Installed) -> None:
    """Entries, default entries, counters and meters of the old pipeline into the new one, by P4Info id; learned entries are lost.

    Raises:
        Refused: INVALID_ARGUMENT if the new pipeline does not take them.
    """
    try:
        for number, writer in old.writers.items():
            if not writer.schema.const_entries:
                for entry in writer.read(p4r.TableEntry()):
                    fresh.writers[number].insert(entry)
            if not writer.schema.const_default:
                for entry in writer.read(p4r.TableEntry(is_default_action=True)):
                    fresh.writers[number].modify(entry)
    except (Refused, KeyError) as error:
        raise invalid(f"the entries can't be carried over: {error}") from None
    for name, cells in old.pipeline.machine.registers.items():
        kept = fresh.pipeline.machine.registers.get(name)
        if kept is not None and len(kept) == len(cells) and not any(s.direct_counter for s in fresh.pipeline.tables.values()):
            kept[:] = cells
    for name, array in old.pipeline.machine.meters.items():
        if name in fresh.pipeline.machine.meters:
            fresh.pipeline.machine.meters[name].meters.update(array.meters)
