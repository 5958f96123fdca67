"""Writing and reading one table's entries, with the refusals of the P4Runtime specification (sections 9.1 and 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from k8s_p4.p4rt import p4r
from k8s_p4.target.entries import action_decoder, encode, explain_action, fill_action, key_decoder
from k8s_p4.target.errors import denied, exists, full, invalid, not_found
from k8s_p4.target.match import Entry, Identity
from k8s_p4.target.schema import CounterSchema, TableSchema
from k8s_p4.target.wire import action_reader, key_reader


class TableWriter:
    """One P4 table behind P4Runtime."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self._match = schema.state.match
        self._key: Callable[[Any], Identity] = key_decoder(schema)
        self._action = action_decoder(schema)
        self._size = schema.size
        self._wire_key, self._wire_action = key_reader(schema), action_reader(schema)
        # Only a table whose entries are written and carry nothing else can be written the short way.
        self._quick = schema.fields and not (schema.learns or schema.const_entries or schema.direct_counter)
        self._closed = schema.learns or schema.const_entries or not schema.fields

    def quick_insert(self, entry: Any) -> bool:
        """Insert a loose TableEntry (`wire`) if it is a plain one; False if not, and then nothing is changed."""
        if not self._quick or _unusual(entry):
            return False
        identity = self._wire_key(entry)
        decoded = self._wire_action(entry.action)
        match = self._match
        if identity is None or decoded is None or match.get(identity) is not None or len(match) >= self._size:
            return False
        action, params = decoded
        match.put(identity, (action.function, params, self.schema.state.take_id(), entry.priority, action, _extra(entry)))
        return True

    def quick_delete(self, entry: Any) -> bool:
        """Delete likewise."""
        identity = None if not self._quick or entry.is_default_action else self._wire_key(entry)
        old = None if identity is None else self._match.get(identity)
        if old is None:
            return False
        self._match.remove(identity)
        self.schema.state.give_id(old[2])
        return True

    def insert(self, entry: Any) -> None:
        """Insert a TableEntry; raises Refused."""
        if self._closed or _unusual(entry):
            self._check_insert(entry)
        self.put(entry)

    def put(self, entry: Any) -> None:
        """Insert without asking whether the table is constant."""
        identity = self._key(entry)
        action, params = self._action(entry.action)
        match = self._match
        if match.get(identity) is not None:
            raise exists(f"table {self.schema.name}: there is such an entry")
        if len(match) >= self._size:
            raise full(f"table {self.schema.name}: full, {self._size} entries")
        state = self.schema.state
        number = state.take_id()
        match.put(identity, (action.function, params, number, entry.priority, action, _extra(entry)))
        if self.schema.direct_counter is not None:
            set_counter(self.schema.direct_counter, number, entry.counter_data)

    def modify(self, entry: Any) -> None:
        """Modify the entry of the same match and priority, or the default entry; raises Refused."""
        self._check_writable(entry)
        if entry.is_default_action:
            self._modify_default(entry)
            return
        if self.schema.const_entries and entry.HasField("action"):
            raise denied(f"table {self.schema.name}: const entries")
        identity = self._key(entry)
        old = self._match.get(identity)
        if old is None:
            raise not_found(f"table {self.schema.name}: no such entry")
        if entry.HasField("action"):
            action, params = self._action(entry.action)
            self._match.put(identity, (action.function, params, old[2], old[3], action, _extra(entry)))
        if self.schema.direct_counter is not None and entry.HasField("counter_data"):
            set_counter(self.schema.direct_counter, old[2], entry.counter_data)

    def delete(self, entry: Any) -> None:
        """Delete the entry of that match and priority; everything else in the message is ignored. Raises Refused."""
        if entry.is_default_action:
            raise invalid(f"table {self.schema.name}: the default entry can't be deleted")
        if self._closed:
            self._check_closed()
        identity = self._key(entry)
        old = self._match.get(identity)
        if old is None:
            raise not_found(f"table {self.schema.name}: no such entry")
        self._match.remove(identity)
        self.schema.state.give_id(old[2])

    def _check_insert(self, entry: Any) -> None:
        if entry.is_default_action:
            raise invalid(f"table {self.schema.name}: the default entry can only be modified")
        self._check_writable(entry)
        self._check_closed()

    def _check_closed(self) -> None:
        name = self.schema.name
        if self.schema.learns:
            raise denied(f"table {name}: its entries are learned by the data plane")
        if not self.schema.fields:
            raise invalid(f"table {name}: it has no key, so no entries")
        if self.schema.const_entries:
            raise denied(f"table {name}: const entries")

    def _check_writable(self, entry: Any) -> None:
        """What no write may have, whatever its type."""
        name = self.schema.name
        if entry.is_const:
            raise invalid(f"table {name}: is_const can't be set by a client")
        if entry.idle_timeout_ns or entry.HasField("time_since_last_hit"):
            raise invalid(f"table {name}: no idle timeouts here")
        if entry.HasField("meter_config") or entry.HasField("meter_counter_data"):
            raise invalid(f"table {name}: no direct meter")
        if entry.HasField("counter_data") and self.schema.direct_counter is None:
            raise invalid(f"table {name}: no direct counter")
        if self.schema.learns and not entry.is_default_action:
            self._check_closed()

    def _modify_default(self, entry: Any) -> None:
        schema = self.schema
        if len(entry.match) or entry.priority:
            raise invalid(f"table {schema.name}: the default entry has no match and no priority")
        if schema.const_default:
            raise denied(f"table {schema.name}: const default action")
        if not entry.HasField("action"):
            schema.state.default[0] = schema.state.initial_default
            return
        action, params = explain_action(schema, entry.action, schema.default_actions)
        schema.state.default[0] = (action.function, params, 0, 0, action, _extra(entry))

    def read(self, query: Any) -> Iterator[Any]:
        """The entries a TableEntry in a ReadRequest asks for, as TableEntry messages (section 9.1.4); raises Refused.

        A table that learns has none here: what the data plane learned is listed by our own service.
        """
        if query.is_default_action:
            return iter((self._default_message(query),))
        # The selection is made at once, the messages when they are asked for: entries are never changed in place.
        return (self._message(identity, entry, query) for identity, entry in self._selected(query) if _passes(query, entry))

    def _selected(self, query: Any) -> list[tuple[Identity, Entry]]:
        if not len(query.match):
            return list(self._match.items())
        if self.schema.prioritized and not query.priority:
            raise invalid(f"table {self.schema.name}: a query by match needs the priority as well")
        identity = self._key(query)
        entry = self._match.get(identity)
        return [] if entry is None else [(identity, entry)]

    def _message(self, identity: Identity, entry: Entry, query: Any) -> Any:
        message = encode(self.schema, identity, entry)
        if query.HasField("counter_data") and self.schema.direct_counter is not None:
            fill_counter(self.schema.direct_counter, entry[2], message.counter_data)
        return message

    def _default_message(self, query: Any) -> Any:
        entry = self.schema.state.default[0]
        message = p4r.TableEntry(table_id=self.schema.id, is_default_action=True, is_const=self.schema.const_default)
        fill_action(message.action.action, entry)
        if entry[5]:
            message.controller_metadata, message.metadata = entry[5]
        if query.HasField("counter_data") and self.schema.direct_counter is not None:
            fill_counter(self.schema.direct_counter, 0, message.counter_data)
        return message

    def identity(self, entry: Any) -> Identity:
        """What identifies an entry (`match.Identity`); raises Refused."""
        return self._key(entry)

    def entry_number(self, entry: Any) -> int:
        """The number by which direct counters know an entry; 0 for the default entry. Raises Refused (NOT_FOUND)."""
        if entry.is_default_action:
            return 0
        found = self._match.get(self._key(entry))
        if found is None:
            raise not_found(f"table {self.schema.name}: no such entry")
        number: int = found[2]
        return number


def _unusual(entry: Any) -> bool:
    """Whether an insert has anything beside match, action, priority and metadata."""
    return bool(
        entry.is_default_action
        or entry.idle_timeout_ns
        or entry.is_const
        or entry.HasField("counter_data")
        or entry.HasField("meter_config")
        or entry.HasField("meter_counter_data")
        or entry.HasField("time_since_last_hit")
    )


def _extra(entry: Any) -> tuple[int, bytes] | None:
    cookie, metadata = entry.controller_metadata, entry.metadata
    return (cookie, metadata) if cookie or metadata else None


def _passes(query: Any, entry: Entry) -> bool:
    cookie, metadata = entry[5] or (0, b"")
    return (
        (not query.priority or query.priority == entry[3])
        and (not query.controller_metadata or query.controller_metadata == cookie)
        and (not query.metadata or query.metadata == metadata)
        and (not query.action.action.action_id or query.action.action.action_id == entry[4].p4_id)
    )


def set_counter(counter: CounterSchema, index: int, data: Any) -> None:
    """Set one element from a CounterData (unset: zero)."""
    if counter.packets is not None:
        counter.packets[index] = data.packet_count
    if counter.octets is not None:
        counter.octets[index] = data.byte_count


def fill_counter(counter: CounterSchema, index: int, data: Any) -> None:
    """Write one element into a CounterData; the message is present even where both counts are 0."""
    data.SetInParent()
    if counter.packets is not None:
        data.packet_count = counter.packets[index]
    if counter.octets is not None:
        data.byte_count = counter.octets[index]
