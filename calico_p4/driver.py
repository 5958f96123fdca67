"""The driver: intent in, rows on the target out. No threads, no clock, no files: whoever feeds it decides when.

    apply(payload)   record what Felix says
    sync()           translate what changed and push it; nothing before InSync
    rest()           let the hold-offs run out: delete what nothing uses any more, try again what was refused

At InSync the target is read back: rows that are there as wanted stay untouched, missing ones are added, and only then are stale
ones deleted. Afterwards every batch of changes becomes transactions, pushed one after the other.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc

from calico_p4.degraded import Degraded, from_translator
from calico_p4.forecast import Forecast
from calico_p4.hits import Hits
from calico_p4.log import get_logger
from calico_p4.memory import give_back
from calico_p4.meters import Meters
from calico_p4.p4runtime.errors import TargetError, TargetLost, raise_target_error
from calico_p4.ports import PortInventory
from calico_p4.push import Meanwhile, Pusher, Writes
from calico_p4.switch import Switch, encoded, port_numbers
from datastore.allocator import Allocator
from datastore.dirty import Dirty, MemberDelta
from datastore.intent import IntentError, IntentStore
from datastore.tracker import Change, Op, Tracker
from felix_proto.types import Payload, WorkloadEndpointID
from k8s_p4.rows import TABLES
from translator import Translator
from translator.epoch import VERDICTS, verdicts
from translator.service_flows import stale
from translator.services import TABLES as SERVICE_TABLES
from translator.stages import BY_NAME

KEPT_MESSAGES = 100
_DIRECTIONS = ("ingress", "egress")
LEARNERS = tuple(f"MainControl.pipeline.{table}_{family}" for table in ("flow.flow", "nat.affinity") for family in ("v4", "v6"))
"""P4Info names of the tables that learn where a packet to a service goes."""


class Driver:
    """One node's driver, from its empty state to whatever the messages make of it."""

    def __init__(self, switch: Switch | None, allocator: Allocator, extra_ports: Sequence[Mapping[str, Any]] = ()) -> None:
        """``switch`` must be prepared; None: there is none yet, `attach` brings it. ``extra_ports``: see PortInventory."""
        self.store = IntentStore()
        self.tracker = Tracker()
        self.translator = Translator(allocator)
        self.ports = PortInventory(port_numbers(switch, allocator), extra_ports)
        self.pusher = self._new_pusher()
        self.forecast = Forecast()
        self.hits = Hits()
        self.meters = Meters()
        self.messages: dict[str, Degraded] = {}
        """Messages that made no sense, by their object: the last ones; ``messages_skipped`` counts all."""
        self.messages_skipped = 0
        self.trouble: Degraded | None = None
        """What is wrong with the target as a whole, None if nothing is; set by whoever connects to it."""
        self.around: Sequence[Degraded] = ()
        """What is wrong around the driver; set by whoever runs it."""
        self.before_write: Callable[[], None] = _nothing
        """Called before every Write: what must not wait for a slow target is done here."""
        self.written: Callable[[float], None] = _ignore
        """Called after every Write with the seconds it took."""
        self.delete_foreign = False
        """Whether entries of our tables that can't be rows of ours are deleted at a read-back, or reported only."""
        self.changed_endpoints: set[WorkloadEndpointID] = set()
        """Endpoints that changed since whoever reports on them last cleared this."""
        self._connection, self._allocator = switch, allocator
        self._ids_known = not allocator.empty
        self._translated = self._resynced = self._untrimmed = False
        self._lost_track = False
        self._unread: frozenset[str] = frozenset()
        self._log = get_logger()

    def apply(self, payload: Payload) -> None:
        """Record one message. One that makes no sense changes nothing, and is listed as Degraded."""
        try:
            self.store.apply(payload)
        except IntentError as error:
            self._log.error("message not applied", kind=error.kind, object=str(error.id), reason=error.reason)
            self.note_message(Degraded(f"{error.kind} {error.id}", error.reason, "partial"))

    def note_message(self, entry: Degraded) -> None:
        """List a message that could not be used. A stream may be bad without end, so only the last ones are kept."""
        self.messages_skipped += 1
        self.messages.pop(entry.object, None)
        self.messages[entry.object] = entry
        if len(self.messages) > KEPT_MESSAGES:
            del self.messages[next(iter(self.messages))]

    def sync(self) -> None:
        """Translate and push what changed since the last call. Nothing before InSync, or before the ports are known, but the ports: packets can
        come in there.

        Raises:
            TargetError: (or a subclass) the target is lost or not ours; what was not confirmed stays pending.
        """
        if not self.store.in_sync or not self.ports.known:
            self._refresh_all_ports()
            return
        dirty = self.store.take_dirty()
        if self._lost_track:
            self._start_over(dirty)
        elif dirty or self.ports.moved or not self._translated:
            self._translate(dirty)

    def _start_over(self, dirty: Dirty) -> None:
        """Translate the whole intent anew, and compare it with the target as at InSync."""
        self.changed_endpoints |= dirty.endpoints  # those that are gone are in no map any more
        self.translator, self.tracker = Translator(self._allocator), Tracker()
        self.pusher = self._new_pusher(self.pusher.writes)
        self._resynced = self._translated = False
        self._translate(everything(self.store))

    def _translate(self, dirty: Dirty) -> None:
        self.changed_endpoints |= dirty.endpoints
        self._lost_track = True
        if self._translated:
            self.ports.refresh(self.store, dirty)  # asks the target for numbers, and can fail
        else:
            self._refresh_all_ports()
        self._lost_track = False
        self._translated = True
        self.changed_endpoints |= self.ports.concerned
        self.ports.concerned.clear()
        self._read_late()
        self._carry_out(self.translator.translate(self.store, dirty, self.ports))
        self.ports.forget_removed()
        self._set_meters()
        self._forget_stale()

    def _set_meters(self) -> None:
        if self._resynced:
            self.meters.push(self._switch.client, self.translator.meters)

    def _refresh_all_ports(self) -> None:
        """What came and went before anything was translated is in no map any more, and dirty to nobody but the ports."""
        known = everything(self.store)
        known.endpoints |= self.ports.endpoints()
        self.ports.refresh(self.store, known)

    def rest(self) -> None:
        """Come to rest: as if nothing had happened for a while. Exceptions as in ``sync``."""
        self.sync()
        if not self._resynced:
            if self._translated:
                self.read_back()
            return
        self.hits.harvest(self._switch.client, self.translator)  # before the numbers of unused slots are given out again
        self._carry_out(self.translator.rest(), neutral=True)
        if self.tracker.pending_count():
            self._converge()
        self._set_meters()
        self._forget_stale()
        if self._untrimmed:
            give_back()
            self._untrimmed = False

    def read_back(self) -> None:
        """Take what the target holds for the actual rows, and push the difference: at InSync, and after losing the target."""
        rows_there = 0
        self._unread = frozenset() if self.store.kubernetes.known else frozenset(SERVICE_TABLES)
        for table in (name for name in TABLES if name not in self._unread):
            rows = self._switch.read(table) if not self._switch.fresh else {}
            self.tracker.actual.replace(table, rows)
            rows_there += len(rows)
        self._log.info("read back", rows=rows_there, pending=self.tracker.pending_count())
        if self.delete_foreign and self._switch.foreign:
            self._switch.delete_foreign()
        if not self._ids_known and rows_there and self.tracker.pending_count():
            self.pusher.close_all()
        self.meters.forget(empty=self._switch.fresh)
        fresh, self._switch.fresh = self._switch.fresh, False
        self._ids_known = True
        self._converge(fresh)
        self._resynced = self._untrimmed = True
        self._set_meters()

    def _converge(self, fresh: bool = False) -> None:
        """Push all that is pending; where flows are judged again, they are if verdicts were among it. ``fresh``: there are no flows yet."""
        due = 0 if fresh else self._verdicts_due()
        if due:
            self.translator.epoch.prepare()
            self._allocator.flush()
        self.pusher.converge()
        if due and self._verdicts_due() < due:
            self.pusher.push(self.tracker.desired.apply(self.translator.epoch.move()))

    def _verdicts_due(self) -> int:
        """Count the pending writes that verdicts go by; 0 where nobody asks."""
        if not self.translator.epoch.judges_again:
            return 0
        return sum(1 for table in VERDICTS for _ in self.tracker.pending_in(table))

    def _read_late(self) -> None:
        """Compare the tables of services when what they should hold is known: until then what an earlier run left there works on."""
        if not self._resynced or not self._unread or not self.store.kubernetes.known:
            return
        for table in self._unread:
            self.tracker.actual.replace(table, self._switch.read(table))
        self._unread = frozenset()

    def _forget_stale(self) -> None:
        """Let the switch forget flows to backends that are gone, once the rows that new flows go by are there."""
        flows = self._switch.flows
        if flows is None or not (suspects := self.translator.services.suspects()):
            return
        try:
            gone = list(stale(flows.learned(*LEARNERS), suspects))
            if gone:
                self._log.info("stale flows forgotten", entries=flows.forget_learned(gone))
        except grpc.RpcError as error:
            raise raise_target_error(error, "ForgetLearned") from error

    def attach(self, switch: Switch) -> None:
        """Go on with another connection, after the old one was lost: the target may hold anything, or be another process.

        Exceptions as in ``sync``.
        """
        self._connection = switch
        self._resynced = False
        if self.ports.renumber(port_numbers(switch, self._allocator)) and self._translated:
            self._lost_track = True
        self.rest()

    def numbers(self) -> list[tuple[str, str, int]]:
        """Return (kind, meaning, number) for all numbers that were given out; rows refer to them."""
        return [(kind, meaning, number) for kind in self._allocator.kinds() for meaning, number in self._allocator.items(kind)]

    @property
    def _switch(self) -> Switch:
        if self._connection is None:
            raise TargetLost("not connected")
        return self._connection

    def _new_pusher(self, writes: Writes | None = None) -> Pusher:
        return Pusher(self.tracker, self._write, writes, read=self._read, encode=encoded)

    def _write(self, ops: Sequence[Op], updates: Sequence[bytes], meanwhile: Meanwhile | None) -> list[str | None]:
        self.before_write()
        start_s = time.perf_counter()
        results = self._switch.write(ops, updates, meanwhile)
        self.written(time.perf_counter() - start_s)
        return results

    def _read(self, table: str) -> Mapping[Any, Any]:
        return self._switch.read(table)

    def _carry_out(self, transactions: Iterable[Sequence[Change]], neutral: bool = False) -> None:
        """Push transactions in order; the first ones of all are compared with the target as a whole. ``neutral``: they change no verdict."""
        if not self._resynced:
            for changes in transactions:
                self.tracker.desired.load(changes)
            self.forecast.look(self.tracker.desired)
            self._allocator.flush()  # before the rows: a number on the target must not be forgotten
            self.read_back()
            return
        transactions = list(transactions)
        if not neutral and any(map(verdicts, transactions)):
            self.translator.epoch.prepare()
            transactions.append(self.translator.epoch.move())
        self._allocator.flush()
        waiting = iter(transactions)
        try:
            for changes in waiting:
                touched = self.tracker.desired.apply(changes)
                self.forecast.look(self.tracker.desired)
                self.pusher.push(touched)
            self.pusher.reconsider()
        except TargetError:
            for changes in waiting:  # they are wanted nevertheless, and will be written when the target is back
                self.tracker.desired.apply(changes)
            raise

    @property
    def closed(self) -> bool:
        """Whether the target as a whole lets nothing through that we know of: it runs a pipeline that is not ours."""
        return self.trouble is not None and self.trouble.effect == "closed"

    @property
    def confirmed(self) -> bool:
        """Whether the whole snapshot was brought to the target, which confirmed it, or refused what is listed as Degraded."""
        return self.store.in_sync and self._resynced

    @property
    def converged(self) -> bool:
        """Whether the target holds what is wanted."""
        return not self.tracker.pending_count() and not (self._resynced and any(self.meters.differing(self.translator.meters)))

    def degraded(self) -> list[Degraded]:
        """Return everything that does not work as intended, sorted."""
        found = {from_translator(entry) for entry in self.translator.degraded.values()}
        found.update(self.messages.values())
        if self.trouble is not None:
            found.add(self.trouble)
        found.update(self.around)
        found.update(self._foreign())
        found.update(self.forecast.degraded())
        found.update(Degraded(f"Port {name}", problem, "partial" if self.ports.get(name) else "closed") for name, problem in self.ports.problems.items())
        if not self.ports.known:
            found.add(Degraded("Interfaces", "the kernel has not told them yet: the target is left as it is", "pending"))
        if not self.store.kubernetes.known:
            found.add(Degraded("Kubernetes API", "has not told all services yet: they are as they were", "partial"))
        found.update(self._refused())
        return sorted(found)

    def _foreign(self) -> Iterable[Degraded]:
        """Tables that hold what nobody here has written: it may decide packets, and its key may be in the way of ours."""
        for table, entries in self._connection.foreign.items() if self._connection is not None else ():
            yield Degraded(f"Table {table}", f"{len(entries)} foreign entries are left alone: {entries[0].problem}", "partial")

    def _refused(self) -> Iterable[Degraded]:
        """Rows that the target refused, by the object that asked for them, and the endpoints closed because of it."""
        for (table, key), error in self.tracker.errors().items():
            value = self.tracker.desired.rows(table).get(key)
            yield Degraded(self.translator.origin(table, key, value), f"{table} {key}: {error}", "pending")
        for (name, number), error in self.meters.refused.items():
            direction = next((each for each in _DIRECTIONS if name.startswith(each)), "both")
            yield Degraded(self.translator.metered(name, number), f"meter {name}: {error}", "partial", direction)
        for table, key in self.pusher.closed:
            value = self.tracker.desired.rows(table).get(key)
            stage = table.partition(".")[0]
            reason = f"the target refused a row that its {stage} policy depends on"
            yield Degraded(self.translator.origin(table, key, value), reason, "closed", BY_NAME[stage].direction)


def _nothing() -> None:
    return None


def _ignore(_seconds: float) -> None:
    return None


def everything(store: IntentStore) -> Dirty:
    """Return what is dirty for somebody who knows nothing yet of what the store holds."""
    return Dirty(
        ip_sets={key: MemberDelta(set(ip_set.members), set()) for key, ip_set in store.ip_sets.items()},
        policies=set(store.policies),
        profiles=set(store.profiles),
        endpoints=set(store.endpoints),
        host_endpoints=set(store.host_endpoints),
        routes=set(store.routes),
        vteps=set(store.vteps),
        hosts=set(store.host_metadata),
        pools=set(store.pools),
        services=set(store.services),
        service_accounts=set(store.service_accounts),
        namespaces=set(store.namespaces),
        wireguard=set(store.wireguard),
        kubernetes=store.kubernetes.everything(),
        fib=set(store.fib),
        config=True,
        bgp=True,
        encapsulation=True,
    )
