"""The embedded target's own service (embedded.proto): ports, frames, virtual time, what was learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s_p4.target import embedded_pb2 as pb
from k8s_p4.target.device import SECOND, Device, Sent
from k8s_p4.target.engines import FEATURES
from k8s_p4.target.entries import canonical
from k8s_p4.target.errors import full, invalid, unimplemented
from k8s_p4.target.interfaces import Interfaces
from k8s_p4.target.match import Entry
from k8s_p4.target.runtime import SENT
from k8s_p4.target.schema import TableSchema
from k8s_p4.target.watching import FRAMES, MOST_FRAMES, MOST_WATCHERS, WatchQueue


class BenchServicer:
    """One function per method, (request, context)."""

    def __init__(self, device: Device, interfaces: Interfaces | None = None) -> None:
        """`interfaces` binds ports to Linux interfaces, where that is wanted."""
        self._device = device
        self._interfaces = interfaces

    def EnsurePort(self, request: Any, context: Any) -> Any:
        """The port of that name."""
        number = self._device.ensure_port(request.name)
        if request.bind:
            if self._interfaces is None:
                raise unimplemented("this target binds no ports to interfaces: it runs on virtual time")
            self._interfaces.bind(number, request.name)
        return self._port(request.name, number)

    def _port(self, name: str, number: int) -> Any:
        return pb.Port(name=name, number=number, bound=number in self._device.on_output)

    def ListPorts(self, request: Any, context: Any) -> Any:
        """All ports by number."""
        ports = sorted(self._device.ports.items(), key=lambda port: port[1])
        return pb.ListPortsResponse(ports=[self._port(name, number) for name, number in ports])

    def Describe(self, request: Any, context: Any) -> Any:
        """What this target does in a way of its own."""
        options = self._device.options
        clock = "the machine's" if options.real_time else "virtual: it stands still but for who sets it"
        return pb.DescribeResponse(features={**FEATURES[options.engine], "clock": clock})

    def Inject(self, request: Any, context: Any) -> Any:
        """One frame through the pipeline."""
        at = request.at_seconds if request.HasField("at_seconds") else None
        with self._device.lock:
            sent = self._device.inject(request.port, request.frame, at, request.trace)
            return self._answer(sent)

    def _answer(self, sent: Sent) -> Any:
        packet = sent.packet
        answer = pb.InjectResponse(dropped=packet.outcome != SENT, outcome=packet.outcome)  # type: ignore[arg-type]  # same numbers
        for port, frame in sent.outputs:
            answer.outputs.add(port=port, frame=frame)
        pipeline = self._device.running().pipeline
        for index, name, size in pipeline.machine.told_metadata:
            answer.metadata[name] = packet.metadata[index].to_bytes(size, "big")
        for index, key, entry in packet.trace or ():
            self._lookup(answer.trace.add(), pipeline.by_state.get(pipeline.machine.table_list[index].spec.name), index, key, entry)
        return answer

    def _lookup(self, message: Any, schema: TableSchema | None, index: int, key: int, entry: Entry) -> None:
        state = self._device.running().pipeline.machine.table_list[index]
        message.table = schema.name if schema else state.spec.name
        message.hit = entry[2] != 0
        _fill(message, schema, state.unpack(key), entry)
        message.priority = entry[3]

    def SetTime(self, request: Any, context: Any) -> Any:
        """Move virtual time on."""
        self._device.set_time(request.seconds)
        return self.GetTime(request, context)

    def GetTime(self, request: Any, context: Any) -> Any:
        """The time in seconds."""
        return pb.Time(seconds=self._device.now() / SECOND)

    def ClearLearned(self, request: Any, context: Any) -> Any:
        """Forget learned entries."""
        with self._device.lock:
            learners = [schema.state.learner for schema in self._device.learners(list(request.tables))]
            return pb.ClearLearnedResponse(cleared=sum(learner.clear() for learner in learners if learner is not None))

    def ForgetLearned(self, request: Any, context: Any) -> Any:
        """Forget single learned entries."""
        with self._device.lock:
            schemas = {schema.name: schema for schema in self._device.learners(sorted({entry.table for entry in request.entries}))}
            wanted = [(schemas[entry.table], _key(schemas[entry.table], entry)) for entry in request.entries]
            return pb.ForgetLearnedResponse(forgotten=sum(_forget(schema, key, self._device.now()) for schema, key in wanted))

    def RestoreLearned(self, request: Any, context: Any) -> Any:
        """Learn entries of another switch."""
        with self._device.lock:
            schemas = {schema.name: schema for schema in self._device.learners(sorted({entry.table for entry in request.entries}))}
            wanted = [(schemas[entry.table], _key(schemas[entry.table], entry), entry) for entry in request.entries]
            return pb.RestoreLearnedResponse(restored=sum(_restore(schema, key, entry, self._device.now()) for schema, key, entry in wanted))

    def LearnedCounts(self, request: Any, context: Any) -> Any:
        """Live entries by table."""
        with self._device.lock:
            now = self._device.now()
            learners = {schema.name: schema.state.learner for schema in self._device.learners([]) if schema.state.learner is not None}
            counts = {name: sum(1 for _ in learner.live(now)) for name, learner in learners.items()}
            return pb.LearnedCountsResponse(counts=counts, expired={name: learner.expired(now) for name, learner in learners.items()})

    def ListLearned(self, request: Any, context: Any) -> Any:
        """The live entries."""
        answer = pb.ListLearnedResponse()
        with self._device.lock:
            now = self._device.now()
            for schema in self._device.learners(list(request.tables)):
                for learned in schema.state.learner.live(now) if schema.state.learner is not None else ():
                    age, left = ((now - learned.since) / SECOND, (learned.expires - now) / SECOND)
                    message = answer.entries.add(table=schema.name, expires_in_seconds=left, age_seconds=age)
                    _fill(message, schema, schema.state.unpack(learned.key), learned.entry)
        return answer

    def Watch(self, request: Any, context: Any) -> Iterator[Any]:
        """Frames through the switch, as they come."""
        if request.queue > MOST_FRAMES:
            raise invalid(f"a queue of {request.queue} frames: at most {MOST_FRAMES}")
        waiting = WatchQueue(request.queue or FRAMES)

        def watcher(port: int, frame: bytes, sent: Sent) -> None:
            if not request.dropped_only or not sent.outputs:
                waiting.offer(lambda: self._watched(port, frame, sent))

        self._add(watcher)
        try:
            if not context.add_callback(waiting.close):
                return  # cancelled meanwhile
            yield pb.Watched()
            for item in waiting:
                yield pb.Watched(lost=item) if isinstance(item, int) else item
        finally:
            with self._device.lock:
                self._device.watchers.remove(watcher)

    def _add(self, watcher: Any) -> None:
        with self._device.lock:
            if len(self._device.watchers) >= MOST_WATCHERS:
                raise full(f"{MOST_WATCHERS} watch already")
            self._device.watchers.append(watcher)

    def _watched(self, port: int, frame: bytes, sent: Sent) -> Any:
        answer = self._answer(sent)
        del answer.trace[:]
        return pb.Watched(seconds=sent.packet.now / SECOND, port=port, frame=frame, result=answer)


def _key(schema: TableSchema, entry: Any) -> int:
    """The packed key of an entry as ListLearned gives it; raises Refused."""
    given = {field.name: int.from_bytes(field.value, "big") for field in entry.key}
    if given.keys() != {field.name for field in schema.fields}:
        raise invalid(f"table {schema.name}: the key has the fields {', '.join(field.name for field in schema.fields)}")
    try:
        return schema.state.pack([given[field.name] for field in schema.fields])
    except ValueError as error:
        raise invalid(f"table {schema.name}: {error}") from error


def _forget(schema: TableSchema, key: int, now: int) -> bool:
    learner = schema.state.learner
    if learner is None or learner.lookup(key, now) is None:
        return False
    learner.forget()
    return True


def _restore(schema: TableSchema, key: int, entry: Any, now: int) -> bool:
    learner = schema.state.learner
    action = next((each for each in schema.actions.values() if each.p4_name == entry.action), None)
    given = {field.name: int.from_bytes(field.value, "big") for field in entry.params}
    if learner is None or action is None or given.keys() != set(action.param_names):
        raise invalid(f"table {schema.name}: no action {entry.action}({', '.join(given)})")
    params = tuple(given[name] for name in action.param_names)
    return learner.restore(key, (action.function, params, 0, 0, action, None), int(entry.expires_in_seconds * SECOND), now)


def _fill(message: Any, schema: TableSchema | None, values: list[int], entry: Entry) -> None:
    """Key, action and parameters, by P4Info's names; the assembly's for what P4Info does not have."""
    for at, value in enumerate(values):
        name = schema.fields[at].name if schema else str(at)
        message.key.add(name=name, value=canonical(value))
    action = entry[4]
    message.action = action.p4_name
    for name, value in zip(action.param_names, entry[1], strict=True):
        message.params.add(name=name, value=canonical(value))
