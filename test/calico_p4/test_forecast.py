"""A table that will be full is named before the first Write that fills it, and no longer when it will not."""

from types import SimpleNamespace

import pytest

from k8s_p4.rows import TABLES
from test.support.fault_run import Run, stream

TABLE = "ingress.rules"


def forecast(run: Run) -> list[tuple[str, str, str]]:
    return [(entry.object, entry.reason, entry.effect) for entry in run.driver.degraded() if entry.object == f"Table {TABLE}"]


def work(run: Run) -> None:
    for _ in range(6):
        run.clock.advance(2.0)
        run.work()


def test_it_is_told_before_it_is_written_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, logged = stream("churn"), []
    run = Run(1)
    run.driver.forecast._log = SimpleNamespace(warning=lambda event, **fields: logged.append((event, fields["table"])))
    for each, payload in frames[:400]:
        run.live.take(each)
        run.world.apply(payload)
    size = TABLES[TABLE].size
    monkeypatch.setattr(TABLES[TABLE], "size", 3)
    seen: list[list[tuple[str, str, str]]] = []
    run.driver.before_write = lambda: seen.append(forecast(run))
    work(run)
    assert run.settled
    rows = len(run.wanted()[TABLE])
    told = [(f"Table {TABLE}", f"full: {rows} rows are wanted, and there is room for 3", "pending")]
    assert rows > 3 and seen[0] == told == forecast(run)
    assert logged == [("table will be full", TABLE)], "once, not with every change"
    monkeypatch.setattr(TABLES[TABLE], "size", size)
    for each, payload in frames[400:420]:
        run.live.take(each)
        run.world.apply(payload)
    work(run)
    assert run.settled and not forecast(run)


def test_it_follows_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(1)
    frames = stream("churn")
    for each, payload in frames:
        run.live.take(each)
        run.world.apply(payload)
        if run.driver.store.in_sync:
            break
    work(run)
    monkeypatch.setattr(TABLES[TABLE], "size", len(run.wanted()[TABLE]))
    assert not forecast(run)
    at_writes: list[tuple[bool, bool]] = []
    run.driver.before_write = lambda: at_writes.append((bool(forecast(run)), len(run.driver.tracker.desired.rows(TABLE)) > TABLES[TABLE].size))
    most = 0
    for place in range(147, 900, 40):
        for each, payload in frames[place : place + 40]:
            run.live.take(each)
            run.world.apply(payload)
        work(run)
        rows = len(run.wanted()[TABLE])
        most = max(most, rows)
        assert bool(forecast(run)) == (rows > TABLES[TABLE].size)
    assert most > TABLES[TABLE].size
    assert {(True, True), (False, False)} == set(at_writes), "it is known before each Write"
