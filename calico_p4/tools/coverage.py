"""What a stream exercises: kinds of messages, fields, rule fields and actions, kinds of IP sets, tables and actions of the pipeline.

Everything that could be exercised is counted, at 0 if it was not, so that a suite of streams can be seen to leave nothing out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor

from calico_p4.driver import Driver
from calico_p4.replay import FLUSH_FRAMES
from calico_p4.switch import embedded
from calico_p4.tools.product import quiet
from calico_p4.tools.wire import TO_DATAPLANE, VERBATIM, Field, inner, parse
from datastore.allocator import Allocator
from felix_proto.decode import Decoder
from felix_proto.framing import Frame
from felix_proto.types import IPSetType, IPSetUpdate
from k8s_p4.rows import TABLES

SECTIONS = ("messages", "fields", "rule_fields", "rule_actions", "set_kinds", "tables")
_ACTIONS = ("allow", "deny", "log", "next-tier")
"""Actions that Felix sends (contract 3.4)."""
Counts = dict[str, int]


class Coverage:
    """Counts by section, of any number of streams."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {section: Counter() for section in SECTIONS}
        self.unknown: Counter[str] = Counter()
        """Fields that the schema does not have, as "Message.number"; bytes that are no field of any, as "Message.bytes"."""

    def add(self, frames: Iterable[Frame]) -> None:
        """Count a stream. Raises FrameError and DecodeError, as reading does."""
        tables = _Tables()
        decoder = Decoder()
        for frame in frames:
            payload = decoder.decode(frame).payload
            self._message(parse(frame.payload), TO_DATAPLANE)
            if isinstance(payload, IPSetUpdate):
                self.counts["set_kinds"][_set_kind(payload.id, payload.type)] += 1
            tables.apply(payload)
        self.counts["tables"].update(tables.finish())

    def _message(self, fields: Iterable[Field], message: Descriptor) -> None:
        for field in fields:
            if field.descriptor is None:
                self.unknown[f"{message.name}.{'bytes' if field.wire_type == VERBATIM else field.number}"] += 1
                continue
            if isinstance(field.value, tuple):
                self._message(field.value, inner(field.descriptor))
            if message is not TO_DATAPLANE:
                self._field(field, message)
            elif isinstance(field.value, tuple):
                self.counts["messages"][inner(field.descriptor).name] += 1

    def _field(self, field: Field, message: Descriptor) -> None:
        if message.name == "Rule":
            self.counts["rule_fields"][field.name] += 1
            if field.name == "action":
                self.counts["rule_actions"][field.value.decode(errors="replace")] += 1
        else:
            self.counts["fields"][f"{message.name}.{field.name}"] += 1

    def as_dict(self) -> dict[str, Counts]:
        """Return all counts by section and name, sorted; what was not exercised is 0."""
        possible = _possible()
        counts = {section: {**dict.fromkeys(possible[section], 0), **self.counts[section]} for section in SECTIONS}
        return {**{section: dict(sorted(names.items())) for section, names in counts.items()}, "unknown": dict(sorted(self.unknown.items()))}


def _possible() -> dict[str, Iterable[str]]:
    """Return everything that there is to be exercised."""
    messages = list(_messages(TO_DATAPLANE, set()))
    rule = next(message for message in messages if message.name == "Rule")
    return {
        "messages": [inner(field).name for field in TO_DATAPLANE.oneofs_by_name["payload"].fields],
        "fields": [f"{message.name}.{field.name}" for message in messages if message is not rule for field in message.fields],
        "rule_fields": [field.name for field in rule.fields],
        "rule_actions": _ACTIONS,
        "set_kinds": [kind.name for kind in IPSetType],
        "tables": [f"{table.name} {action}" for table in TABLES.values() for action in table.actions],
    }


def _messages(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    """Yield the messages inside a message, each once; entries of maps as well."""
    for field in message.fields:
        below = field.message_type
        if below is not None and below.full_name not in seen:
            seen.add(below.full_name)
            yield below
            yield from _messages(below, seen)


def _set_kind(set_id: str, kind: int) -> str:
    """Return a set's type; where its id tells more, with that: "NET svcnoport"."""
    name = IPSetType(kind).name if kind in list(IPSetType) else str(kind)
    prefix = set_id.partition(":")[0]
    return name if prefix in ("s", "n", set_id) else f"{name} {prefix}"


class _Tables:
    """Rows that a stream puts into the pipeline at any time, by table and action."""

    def __init__(self) -> None:
        quiet()
        self._switch = embedded()
        self._switch.prepare()
        self._driver = Driver(self._switch, Allocator())
        self._seen: Counter[str] = Counter()
        self._known: set[tuple[str, Any]] = set()
        self._waiting = 0

    def apply(self, payload: Any) -> None:
        """Take in a message; rows are looked at as often as ``replay`` pushes them."""
        before = self._driver.store.in_sync
        self._driver.apply(payload)
        self._waiting += 1
        if self._driver.store.in_sync and (not before or self._waiting >= FLUSH_FRAMES):
            self._waiting = 0
            self._driver.sync()
            self._look()

    def _look(self) -> None:
        desired = self._driver.tracker.desired
        for table in desired.tables():
            rows: Any = desired.rows(table)
            for key, value in rows.items():
                row = (table, (key, value))
                if row not in self._known:
                    self._known.add(row)
                    self._seen[f"{table} {value[0]}"] += 1

    def finish(self) -> Counter[str]:
        """Return how many rows each table and action had, of rows that were there together or one after the other."""
        self._driver.rest()
        self._look()
        self._switch.close()
        return self._seen
