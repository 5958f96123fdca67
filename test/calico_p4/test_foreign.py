"""Entries in our tables that are no rows of ours: reported, left alone unless we are told otherwise, and never the end of the driver."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.rpc import code_pb2

from calico_p4.p4runtime.client import Client
from k8s_p4.p4rt import p4r
from k8s_p4.rows import TABLES
from test.support.fault_run import Run, stream
from test.support.faulty_target import Fault, FaultyTarget, Forward, carry_out

NAME = "quickstart"
Entry = Any


def strange(table: str, key: tuple[Any, ...]) -> Entry:
    """An entry whose action nobody knows."""
    entry = TABLES[table].encode(key, next((name, *[1] * len(action.params)) for name, action in TABLES[table].actions.items()))
    entry.action.action.action_id = 4711
    return entry


def identity(entry: Entry) -> bytes:
    return p4r.TableEntry(table_id=entry.table_id, match=entry.match, priority=entry.priority).SerializeToString()


class Strangers(Fault):
    """The target has entries that no driver of ours has written: they are read back, in the way of their keys, and can be deleted."""

    lasts_s = 1e9

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
        self.there = {identity(entry): entry for entry in entries}
        self.deleted = 0
        read = Client.read_tables

        def reading(client: Client, ids: Any) -> Iterator[Entry]:
            wanted = list(ids)
            yield from (entry for entry in self.there.values() if entry.table_id in wanted)
            yield from read(client, wanted)

        monkeypatch.setattr(Client, "read_tables", reading)

    def write(self, target: FaultyTarget, request: Any, forward: Forward) -> Any:
        there = p4r.Error(canonical_code=code_pb2.ALREADY_EXISTS, message="there")
        rest, refusals = p4r.WriteRequest(), {}
        for update in request.updates:
            name = identity(update.entity.table_entry)
            if update.type == p4r.Update.DELETE and self.there.pop(name, None) is not None:
                self.deleted += 1
                continue
            rest.updates.add().CopyFrom(update)
            if name in self.there:
                refusals[len(rest.updates) - 1] = there
        rest.device_id, rest.election_id.CopyFrom(request.election_id)
        rest.device_id = request.device_id
        return carry_out(rest, forward, refusals)


def fed() -> Run:
    """A driver whose target holds what is wanted."""
    run = Run(1)
    for each, payload in stream(NAME):
        run.live.take(each)
        run.world.apply(payload)
    passing(run, 2.0)
    assert run.settled
    return run


def passing(run: Run, seconds: float) -> None:
    for _ in range(8):
        run.clock.advance(seconds)
        run.work()


def read_back(run: Run, strangers: Strangers) -> None:
    """Let the strangers come while the driver is not connected."""
    run.target.start(strangers)
    run.target.cut()
    passing(run, 20.0)


def other_keys() -> list[Entry]:
    """Entries under keys that nobody uses."""
    wide = strange("next_hop", (4000,))
    wide.action.action.action_id = TABLES["next_hop"].actions["send"].id
    wide.action.action.params[0].value = b"\1" * 9
    return [strange("port", (4000,)), strange("ingress.rules", (*[(0, 0)] * 8, 4000)), strange("ingress.rules", (*[(0, 0)] * 8, 4001)), wide]


def listed(run: Run) -> dict[str, str]:
    return {entry.object: entry.reason for entry in run.driver.degraded() if entry.object.startswith("Table ")}


def test_they_are_reported_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run, strangers = fed(), Strangers(monkeypatch, *other_keys())
    found = dict(strangers.there)
    read_back(run, strangers)
    assert listed(run) == {
        "Table ingress.rules": "2 foreign entries are left alone: ingress.rules: unknown action 0x00001267",
        "Table next_hop": "1 foreign entries are left alone: next_hop: port: 18519084246547628289 is no value of 32 bits",
        "Table port": "1 foreign entries are left alone: port: unknown action 0x00001267",
    }
    assert run.settled and strangers.deleted == 0 and len(strangers.there) == 4
    assert run.on_target() == run.wanted()
    strangers.there.clear()
    assert run.on_target() == run.wanted() and not listed(run), "a table that is read again"
    strangers.there.update(found)
    run.target.cut()
    passing(run, 20.0)
    assert len(listed(run)) == 3
    strangers.there.clear()
    run.target.cut()
    passing(run, 20.0)
    assert run.settled and not listed(run), "the next read-back does not find them any more"


def test_they_are_deleted_where_we_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    run, strangers = fed(), Strangers(monkeypatch, *other_keys())
    run.driver.delete_foreign = True
    read_back(run, strangers)
    assert run.settled and not listed(run) and strangers.deleted == 4 and not strangers.there
    assert run.on_target() == run.wanted()


def test_one_in_the_way_of_a_row_closes_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fed()
    key = next(iter(run.wanted()["ingress.rules"]))
    strangers = Strangers(monkeypatch, strange("ingress.rules", key))
    run.target.behind([p4r.Update(type=p4r.Update.DELETE, entity=p4r.Entity(table_entry=TABLES["ingress.rules"].encode(key, ("deny", 1))))])
    read_back(run, strangers)
    assert not run.driver.converged and ("ingress.rules", key) in run.driver.tracker.errors()
    assert any(entry.effect == "closed" for entry in run.driver.degraded()) and listed(run)
    strangers.there.clear()
    passing(run, 60.0)
    assert run.settled and run.on_target() == run.wanted()
