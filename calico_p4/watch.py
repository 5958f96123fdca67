"""The driver's state as numbers: what the loop notes for those who scrape."""

from collections import Counter

from calico_p4.driver import Driver
from calico_p4.inflow import Inflow
from calico_p4.metrics import Metrics
from k8s_p4.rows import TABLES


def note(metrics: Metrics, driver: Driver, inflow: Inflow, connected: bool, generation: str) -> None:
    """Note everything but what is counted as it happens."""
    tracker = driver.tracker
    metrics.skipped, metrics.generation = driver.messages_skipped, generation
    metrics.queue, metrics.pending = inflow.waiting, tracker.pending_count()
    metrics.writes = driver.pusher.writes.as_dict()
    metrics.entries = {name: tracker.actual.count(name) for name in TABLES}
    metrics.wanted = {name: len(tracker.desired.rows(name)) for name in TABLES}
    metrics.refused = Counter(table for table, _ in tracker.errors())
    metrics.note_degraded(driver.degraded())
    metrics.in_sync = driver.store.in_sync
    metrics.state = "connected" if connected else "foreign_pipeline" if driver.closed else "lost"
    metrics.ready = connected and driver.confirmed
