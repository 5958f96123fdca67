"""The ways a target goes wrong (see ``faulty_target.py``), by name in ``FAULTS``. Each is drawn with a random generator of its own."""

from collections.abc import Callable
from random import Random
from typing import Any

import grpc
from google.rpc import code_pb2

from k8s_p4.p4rt import p4r
from k8s_p4.rows import TABLES
from k8s_p4.target.inprocess import InProcessError
from test.support.faulty_target import Fault, FaultyTarget, Forward, carry_out, part

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
FULL_TABLES = ("ingress.rules", "egress.rules", "ingress.peer_class", "egress.peer_class", "ingress.binding", "src_identity_host_v4",
               "dst_identity_host_v4", "src_identity_net_v4", "local_v4", "next_hop", "port", "source_host_v4")  # fmt: skip


class Absent(Fault):
    """Not there, or not any more: all connections break, and none is taken. What is on the switch stays."""

    def __init__(self, rng: Random) -> None:
        self.lasts_s = rng.uniform(1, 90)

    def begin(self, target: FaultyTarget) -> None:
        target.reachable = False
        target.cut()

    def end(self, target: FaultyTarget) -> None:
        target.reachable = True


class DiesMidBatch(Fault):
    """Dies when a part of a Write is carried out."""

    lasts_s = 60.0

    def __init__(self, rng: Random) -> None:
        self._rng, self._died = rng, False

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        if self._died:
            return forward(request)
        self._died = True
        done = self._rng.sample(range(len(request.updates)), self._rng.randint(0, len(request.updates)))
        target.behind([request.updates[place] for place in done])
        self._die(target)
        raise InProcessError(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer", ())

    def _die(self, target: FaultyTarget) -> None:
        target.cut()


class ComesBackEmpty(DiesMidBatch):
    """Dies in the middle of a Write, and another process takes its place at once."""

    def _die(self, target: FaultyTarget) -> None:
        target.start_over()


class OtherPipeline(Fault):
    """A stranger's switch stands in its place for a while, then an empty one."""

    lasts_s = 75.0

    def __init__(self, rng: Random) -> None:
        pass

    def begin(self, target: FaultyTarget) -> None:
        target.start_over()
        stranger = target.client()
        stranger.arbitrate()
        stranger.set_pipeline(*target.other_program(), 4711)
        stranger.close()

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        raise AssertionError("written to a pipeline that is not ours")

    def end(self, target: FaultyTarget) -> None:
        target.start_over()


class Usurper(Fault):
    """Another controller with a larger election id is primary, takes some rows away that let packets pass, and leaves."""

    def __init__(self, rng: Random) -> None:
        self.lasts_s, self._rng = rng.uniform(2, 60), rng

    def begin(self, target: FaultyTarget) -> None:
        self._other = target.client()
        self._other._stand(1 << 64)
        self._other.arbitrate()
        if target.installed:
            for table in ("port", "next_hop"):
                self._take_one(table)

    def _take_one(self, table: str) -> None:
        there = list(self._other.read_tables([TABLES[table].id]))
        if there:
            request = p4r.WriteRequest()
            update = request.updates.add(type=DELETE)
            update.entity.table_entry.CopyFrom(self._rng.choice(there))
            assert self._other.write([request.SerializeToString()]) == [None]

    def end(self, target: FaultyTarget) -> None:
        self._other.close()


class Full(Fault):
    """A table takes no further row for a while."""

    def __init__(self, rng: Random, table: str | None = None, lasts_s: float | None = None) -> None:
        self.lasts_s = rng.uniform(1, 120) if lasts_s is None else lasts_s
        self.table = table or rng.choice(FULL_TABLES)

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        full = p4r.Error(canonical_code=code_pb2.RESOURCE_EXHAUSTED, message="table full")
        number = TABLES[self.table].id
        inserts = [place for place, u in enumerate(request.updates) if u.type == INSERT and u.entity.table_entry.table_id == number]
        return carry_out(request, forward, dict.fromkeys(inserts, full))


class FullForGood(Full):
    """A table takes no further row, ever."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng, lasts_s=1e9)


class Inserted(Fault):
    """Rows that the next Writes insert are there already: the same, or rules that deny."""

    def __init__(self, rng: Random) -> None:
        self._rng, self._left = rng, 3

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        inserts = [update for update in request.updates if update.type == INSERT]
        if inserts and self._left:
            self._left -= 1
            target.behind([self._other(update) for update in self._rng.sample(inserts, min(len(inserts), 3))])
        return forward(request)

    def _other(self, update: Any) -> Any:
        changed = p4r.Update()
        changed.CopyFrom(update)
        entry = changed.entity.table_entry
        for stage in ("ingress", "egress"):
            if entry.table_id == TABLES[f"{stage}.rules"].id:
                key, value = TABLES[f"{stage}.rules"].decode(entry)
                entry.CopyFrom(TABLES[f"{stage}.rules"].encode(key, ("deny", value[1])))
        return changed


class Deleted(Fault):
    """Rows that the next Writes delete or bind anew are gone already."""

    _BOUND = tuple(TABLES[f"{stage}.binding"].id for stage in ("ingress", "egress"))

    def __init__(self, rng: Random) -> None:
        self._rng, self._left = rng, 3

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        there = [u for u in request.updates if u.type == DELETE or (u.type == MODIFY and u.entity.table_entry.table_id in self._BOUND)]
        if there and self._left:
            self._left -= 1
            gone = [p4r.Update(type=DELETE, entity=update.entity) for update in self._rng.sample(there, min(len(there), 3))]
            target.behind(gone)
        return forward(request)


class Vague(Fault):
    """Some Writes are carried out in part, and fail with UNKNOWN and no details."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        if self._rng.random() < 0.5:
            return forward(request)
        done = self._rng.sample(range(len(request.updates)), self._rng.randint(0, len(request.updates)))
        target.behind([request.updates[place] for place in done])
        raise InProcessError(grpc.StatusCode.UNKNOWN, "Stream removed", ())


class Poisoned(Fault):
    """Every Write that holds one certain update fails as a whole, for no reason given."""

    lasts_s = 100.0

    def __init__(self, rng: Random) -> None:
        self._rng, self._poison = rng, b""

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        keys = [self._key(update) for update in request.updates if update.type == INSERT]
        if keys and not self._poison:
            self._poison = self._rng.choice(keys)
        if self._poison in keys:
            raise InProcessError(grpc.StatusCode.UNKNOWN, "", ())
        return forward(part(request, request.updates))

    def _key(self, update: Any) -> bytes:
        entry = update.entity.table_entry
        return p4r.TableEntry(table_id=entry.table_id, match=entry.match, priority=entry.priority).SerializeToString()


class Slow(Fault):
    """Every Write takes ten seconds."""

    lasts_s = 300.0

    def __init__(self, rng: Random) -> None:
        pass

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        target.clock.advance(10.0)
        return forward(request)


class HalfOpen(Fault):
    """Nothing is answered any more, and no connection is seen to break."""

    lasts_s = 70.0

    def __init__(self, rng: Random) -> None:
        pass

    def begin(self, target: FaultyTarget) -> None:
        target.hangs = True

    def end(self, target: FaultyTarget) -> None:
        target.hangs = False
        target.cut()


FAULTS: dict[str, Callable[[Random], Fault]] = {
    "absent": Absent,
    "dies in the middle of a batch": DiesMidBatch,
    "comes back empty": ComesBackEmpty,
    "comes back with another pipeline": OtherPipeline,
    "another controller for a while": Usurper,
    "RESOURCE_EXHAUSTED for a while": Full,
    "RESOURCE_EXHAUSTED for good": FullForGood,
    "ALREADY_EXISTS": Inserted,
    "NOT_FOUND": Deleted,
    "UNKNOWN without details": Vague,
    "one update poisons every batch": Poisoned,
    "ten seconds a Write": Slow,
    "half open": HalfOpen,
}
