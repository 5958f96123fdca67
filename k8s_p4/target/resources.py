"""Indexed and direct counters and meters over P4Runtime (sections 9.3 to 9.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s_p4.p4rt import p4r
from k8s_p4.target.errors import invalid, out_of_range, unimplemented
from k8s_p4.target.externs import Meter
from k8s_p4.target.schema import CounterSchema, MeterSchema, Pipeline
from k8s_p4.target.tables import TableWriter, fill_counter, set_counter


class Resources:
    """The counters and meters of a pipeline."""

    def __init__(self, pipeline: Pipeline, writers: dict[int, TableWriter]) -> None:
        self._counters = pipeline.counters
        self._meters = pipeline.meters
        self._writers = writers

    def write(self, kind: str, update: Any, now: int) -> None:
        """One update of a counter or meter entity; raises Refused."""
        if update.type != p4r.Update.MODIFY:
            raise invalid(f"{kind}: only MODIFY is possible")
        entity = getattr(update.entity, kind)
        if kind == "counter_entry":
            self._write_counter(entity)
        elif kind == "meter_entry":
            self._write_meter(entity, now)
        elif kind == "direct_counter_entry":
            self._write_direct(entity)
        else:
            raise unimplemented(f"{kind}: not on this target")

    def read(self, kind: str, entity: Any) -> Iterator[Any]:
        """The p4.v1.Entity messages that a query for a counter or meter selects; raises Refused."""
        if kind == "counter_entry":
            return self._read_counters(entity)
        if kind == "meter_entry":
            return self._read_meters(entity)
        if kind == "direct_counter_entry":
            return self._read_direct(entity)
        raise unimplemented(f"{kind}: not on this target")

    def _write_counter(self, entity: Any) -> None:
        counter = _known(self._counters, entity.counter_id, "counter")
        if not entity.HasField("data"):
            return
        for index in _indices(entity, counter):
            set_counter(counter, index, entity.data)

    def _read_counters(self, entity: Any) -> Iterator[Any]:
        chosen = [_known(self._counters, entity.counter_id, "counter")] if entity.counter_id else list(self._counters.values())
        for counter in chosen:
            for index in _indices(entity, counter) if entity.counter_id else range(counter.size):
                answer = p4r.Entity()
                answer.counter_entry.counter_id = counter.id
                answer.counter_entry.index.index = index
                fill_counter(counter, index, answer.counter_entry.data)
                yield answer

    def _write_direct(self, entity: Any) -> None:
        writer = self._direct(entity)
        number = writer.entry_number(entity.table_entry)
        if entity.HasField("data") and writer.schema.direct_counter is not None:
            set_counter(writer.schema.direct_counter, number, entity.data)

    def _direct(self, entity: Any) -> TableWriter:
        writer = self._writers.get(entity.table_entry.table_id)
        if writer is None:
            raise invalid(f"direct counter: no table {entity.table_entry.table_id}")
        if writer.schema.direct_counter is None:
            raise invalid(f"direct counter: table {writer.schema.name} has none")
        return writer

    def _read_direct(self, entity: Any) -> Iterator[Any]:
        query = entity.table_entry
        writers = [self._direct(entity)] if query.table_id else [w for w in self._writers.values() if w.schema.direct_counter is not None]
        if len(query.match):
            writers[0].entry_number(query)  # NOT_FOUND, where a table's own query finds nothing
        asked = p4r.TableEntry()
        asked.CopyFrom(query)
        asked.counter_data.SetInParent()
        for writer in writers:
            for entry in writer.read(asked):
                answer = p4r.Entity()
                answer.direct_counter_entry.data.CopyFrom(entry.counter_data)
                for field in ("counter_data", "action"):
                    entry.ClearField(field)
                answer.direct_counter_entry.table_entry.CopyFrom(entry)
                yield answer

    def _write_meter(self, entity: Any, now: int) -> None:
        meter = _known(self._meters, entity.meter_id, "meter")
        if entity.HasField("counter_data"):
            raise unimplemented(f"meter {meter.name}: no counters by colour over P4Runtime")
        config = entity.config
        if config.eburst or min(config.cir, config.cburst, config.pir, config.pburst) < 0:
            raise invalid(f"meter {meter.name}: eburst set, or a negative rate or burst")
        if config.pir < config.cir:
            raise invalid(f"meter {meter.name}: pir {config.pir} is below cir {config.cir}")
        for index in _indices(entity, meter):
            if entity.HasField("config"):
                meter.meters.meters[index] = Meter(config.cir, config.cburst, config.pir, config.pburst, now)
            else:
                meter.meters.meters.pop(index, None)

    def _read_meters(self, entity: Any) -> Iterator[Any]:
        chosen = [_known(self._meters, entity.meter_id, "meter")] if entity.meter_id else list(self._meters.values())
        for meter in chosen:
            for index in _indices(entity, meter) if entity.meter_id else range(meter.size):
                answer = p4r.Entity()
                answer.meter_entry.meter_id = meter.id
                answer.meter_entry.index.index = index
                held = meter.meters.meters.get(index)
                if held is not None:
                    config = answer.meter_entry.config
                    config.cir, config.cburst, config.pir, config.pburst = held.cir, held.cbs, held.pir, held.pbs
                yield answer


def _known(where: dict[int, Any], number: int, what: str) -> Any:
    if number not in where:
        raise invalid(f"no {what} {number}")
    return where[number]


def _indices(entity: Any, array: CounterSchema | MeterSchema) -> range:
    """The element asked for, or all of them."""
    if not entity.HasField("index"):
        return range(array.size)
    index = entity.index.index
    if index < 0:
        raise invalid(f"{array.name}: index {index}")
    if index >= array.size:
        raise out_of_range(f"{array.name}: index {index}, size {array.size}")
    return range(index, index + 1)
