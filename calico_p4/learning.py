"""Learning for a target whose tables do not: packets come to the driver, entries are written, packets go back.

A thread of its own, because a packet waits meanwhile and the driver may be busy with policy; the tables are nobody else's. Whether a target needs
this is read from its P4Info: its packet_in header, and tables that tell of entries nothing has hit for a while.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from calico_p4.log import get_logger
from calico_p4.p4runtime.client import Client
from calico_p4.p4runtime.errors import TargetError, misjudged
from calico_p4.told import Wish, seconds, wishes
from k8s_p4.p4rt import p4i, p4r
from k8s_p4.target.entries import canonical

PORT: Final = "ingress_port"
WAITING: Final = 1024
"""Packets that may wait: whoever sends more gets them dropped, as by any full queue."""
_FLOW, _SLOT = "flow_", "connection_slot"
_FAMILIES: Final = ("_v4", "_v6")

Key = tuple[str, tuple[int, ...]]


class Entry(NamedTuple):
    """An entry that we wrote: its action by name, its parameters, and the number of its timeout."""

    action: str
    params: Mapping[str, int]
    timeout: int


class Refused(Exception):
    """What a packet asked for is not to be had: it is dropped."""


def needed(p4info: Any) -> bool:
    """Whether a pipeline asks the driver to learn for it."""
    told = any(header.preamble.name == "packet_in" for header in p4info.controller_packet_metadata)
    return told and any(table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL for table in p4info.tables)


class Learning:
    """Learns for one target until it is closed or the target is lost."""

    def __init__(self, client: Client, p4info: Any) -> None:
        self._client = client
        self.tables = {table.preamble.alias: table for table in p4info.tables if table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL}
        """The tables that are learned for, as P4Info has them, by alias."""
        self._by_id = {table.preamble.id: alias for alias, table in self.tables.items()}
        actions = {action.preamble.id: action for action in p4info.actions}
        self._actions = {(alias, _short(actions[ref.id])): actions[ref.id] for alias, table in self.tables.items() for ref in table.action_refs}
        headers = {header.preamble.name: {each.id: each.name for each in header.metadata} for header in p4info.controller_packet_metadata}
        self._told, self._out = headers["packet_in"], {name: number for number, name in headers["packet_out"].items()}
        self._entries: dict[Key, Entry] = {}
        self._since: dict[Key, float] = {}
        self._slots: dict[Key, tuple[Key, ...]] = {}
        self._holders: dict[Key, frozenset[Key]] = {}
        self.now: Callable[[], float] = time.monotonic
        """Seconds by which entries get old."""
        self._log = get_logger()
        self._closed = False
        self.dropped = 0
        """Packets that did not go back: too many at once, a slot or a port that another took meanwhile, or a Write that failed."""
        self.learned = 0
        self.expired: Counter[str] = Counter()
        """Entries that ran out, by table."""
        self.refused = 0
        """Entries for which there was no room. Their packets go back: they were accepted, and so will the next ones be, one by one."""
        self._warned: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Find out what an earlier run left there, and begin. Raises TargetError."""
        self._read(self._by_id)
        threading.Thread(target=self._run, name="learning", daemon=True).start()

    def _read(self, ids: Iterable[int]) -> None:
        """Believe of these tables what is there."""
        aliases = {self._by_id[number] for number in ids}
        there = dict(map(self._decoded, self._client.read_tables(ids)))
        self._entries = {key: entry for key, entry in self._entries.items() if key[0] not in aliases}
        self._note(there)

    def close(self) -> None:
        """End; the entries stay."""
        self._closed = True
        self._client.packet_in.put(None)

    def entries(self) -> dict[Key, Entry]:
        """What is learned at the moment, by table and key."""
        return dict(self._entries)

    def forget(self, keys: Iterable[Key] | None = None) -> int:
        """Delete entries, all by default; returns how many there were. Raises TargetError."""
        chosen = [key for key in dict.fromkeys(self.entries() if keys is None else keys) if key in self._entries]
        for at in range(0, len(chosen), WAITING):
            self._client.write_entities(p4r.Update.DELETE, [self._message(key) for key in chosen[at : at + WAITING]])
        for key in chosen:
            self._entries.pop(key, None)
            self._since.pop(key, None)
        if free := self._freed(chosen):
            self.forget(free)
        return len(chosen)

    def _hold(self, changes: Mapping[Key, Entry]) -> None:
        """Note which flow took which slots. Whoever looks for a slot prolongs those that are taken, so they would never run out."""
        halves = frozenset(key for key in changes if key[0].startswith(_FLOW))
        slots = tuple(key for key in changes if key[0] == _SLOT and key not in self._entries)
        if halves and slots:
            self._slots.update(dict.fromkeys(halves, slots))
            self._holders.update(dict.fromkeys(slots, halves))

    def _freed(self, gone: Iterable[Key]) -> list[Key]:
        """The slots of flows of which nothing is left."""
        asked = {slot for key in gone for slot in self._slots.pop(key, ())} & self._holders.keys()
        free = [slot for slot in asked if not self._holders[slot] & self._entries.keys()]
        for slot in free:
            del self._holders[slot]
        return free

    def over(self, keys: Iterable[Key]) -> list[Key]:
        """Those of these entries that nothing has hit for their time, by the target's clock; all, if it does not tell. Raises TargetError."""
        asked = [self._message(key) for key in keys if key in self._entries]
        for each in asked:
            each.time_since_last_hit.SetInParent()
        return [self._decoded(entry)[0] for entry in self._client.read_entries(asked) if _is_over(entry)]

    def age_s(self, key: Key) -> float:
        """How long we have known an entry, in seconds; one that an earlier run left, since we found it."""
        return self.now() - self._since.get(key, self.now())

    def _note(self, entries: Mapping[Key, Entry]) -> None:
        """Believe that these are there."""
        self._entries.update(entries)
        self._since.update({key: self.now() for key in entries if key not in self._since})

    # --- the thread

    def _run(self) -> None:
        while (item := self._client.packet_in.get()) is not None:
            try:
                if item.DESCRIPTOR.name == "IdleTimeoutNotification":
                    self._expire(item)
                else:
                    self._take(item)
            except TargetError as error:
                self.dropped += 1
                self._log.warning("not learned", error=str(error))
            except ValueError:  # gRPC's for a channel that we have closed meanwhile
                if not self._closed:
                    raise
                return

    def _take(self, packet: Any) -> None:
        if self._client.packet_in.qsize() > WAITING:
            self.dropped += 1
            return
        told = {self._told[each.metadata_id]: int.from_bytes(each.value) for each in packet.metadata}
        try:
            self.learn(told)
        except Refused:
            self.dropped += 1
            return
        port = told[PORT]
        self._client.packet_out(packet.payload, {self._out[PORT]: canonical(port)})

    def learn(self, told: Mapping[str, int]) -> None:
        """Write what a packet asks for. Raises Refused, TargetError."""
        changes: dict[Key, Entry] = {}
        for wish in wishes(told):
            self._grant(wish, changes)
        self._hold(changes)
        there = changes.keys() & self._entries.keys()
        for kind, keys in ((p4r.Update.INSERT, changes.keys() - there), (p4r.Update.MODIFY, there)):
            due = {key: entry for key, entry in changes.items() if key in keys}
            errors = self._client.write_entities(kind, [self._message(key, entry) for key, entry in due.items()])
            done = {key: entry for (key, entry), error in zip(due.items(), errors, strict=True) if error is None}
            self._note(done)
            self.learned += len(done) if kind == p4r.Update.INSERT else 0
            self._see_to([(key[0], error) for key, error in zip(due, errors, strict=True) if error is not None])

    def _see_to(self, errors: Sequence[tuple[str, str]]) -> None:
        """What to do about updates that were not carried out, by table: a full one is none of the packet's fault.

        Which error that is can't be gone by: PI, in front of BMv2, says UNKNOWN. So only what speaks of a wrong belief keeps the packet back.
        """
        wrong = [(alias, error) for alias, error in errors if misjudged(error)]
        self.refused += len(errors) - len(wrong)
        for alias, error in {*errors} - {*wrong} - self._warned:
            self._log.warning("entry refused, flows are judged packet by packet", table=alias, error=error)
            self._warned.add((alias, error))
        if wrong:
            self._read({self.tables[alias].preamble.id for alias, _ in wrong})
            raise TargetError(", ".join(map(": ".join, wrong)))

    def _grant(self, wish: Wish, changes: dict[Key, Entry]) -> None:
        key = self._key(wish.table, wish.key)
        there = changes.get(key) or self._entries.get(key)
        if there is None and wish.action:
            changes[key] = Entry(self._named(wish), wish.params, wish.timeout)
        elif there is not None and wish.action and there.params != wish.params:
            if not wish.replaces:
                raise Refused(f"{wish.table}: another flow's")
            changes[key] = Entry(self._named(wish), wish.params, wish.timeout)
        elif there is not None and wish.action == "slot_taken" and changes:  # nothing new to write: the packet is that flow's own
            raise Refused("another flow took the slot")
        elif there is not None and not wish.action and there.timeout != wish.timeout:
            changes[key] = there._replace(timeout=wish.timeout)

    @staticmethod
    def _named(wish: Wish) -> str:
        return wish.action + (wish.table[-3:] if wish.table.endswith(_FAMILIES) else "")

    def _expire(self, notification: Any) -> None:
        """Delete what nothing has hit for its time. One may be told of several times, or have been hit, or learned anew, since it was."""
        told = {entry.SerializeToString(): entry for entry in notification.table_entry}
        gone = self.over(dict.fromkeys(key for key, _ in map(self._decoded, told.values())))
        self.forget(gone)
        self.expired.update(alias for alias, _ in gone)

    # --- messages

    def _key(self, table: str, fields: Mapping[str, int]) -> Key:
        return table, tuple(fields[field.name] for field in self.tables[table].match_fields)

    def _message(self, key: Key, entry: Entry | None = None) -> Any:
        table = self.tables[key[0]]
        message = p4r.TableEntry(table_id=table.preamble.id)
        for field, value in zip(table.match_fields, key[1], strict=True):
            message.match.add(field_id=field.id).exact.value = canonical(value)
        if entry is not None:
            action = self._actions[key[0], entry.action]
            message.action.action.action_id = action.preamble.id
            for param in action.params:
                value = entry.timeout if param.name == "timeout" else entry.params[param.name]
                message.action.action.params.add(param_id=param.id, value=canonical(value))
            message.idle_timeout_ns = seconds(key[0], entry.timeout) * 10**9
        return message

    def _decoded(self, message: Any) -> tuple[Key, Entry]:
        alias = self._by_id[message.table_id]
        fields = {match.field_id: int.from_bytes(match.exact.value) for match in message.match}
        key = alias, tuple(fields[field.id] for field in self.tables[alias].match_fields)
        return key, self._of_action(alias, message.action.action)

    def _of_action(self, alias: str, message: Any) -> Entry:
        """The entry of an action as it was read; an expired one may come without."""
        for action in (each for (table, _), each in self._actions.items() if table == alias and each.preamble.id == message.action_id):
            names = {param.id: param.name for param in action.params}
            params = {names[each.param_id]: int.from_bytes(each.value) for each in message.params}
            return Entry(_short(action), params, params.pop("timeout"))
        return Entry("", {}, 0)


def _is_over(entry: Any) -> bool:
    """Of an entry as it was read. Of the time that is left BMv2 tells the last 4.3 s (2^32 ns), but is right in that none is left."""
    return not entry.HasField("time_since_last_hit") or entry.time_since_last_hit.elapsed_ns >= entry.idle_timeout_ns


def _short(action: Any) -> str:
    name: str = action.preamble.name
    return name.rpartition(".")[2]

