"""The driver's state as numbers: what the loop notes for those who scrape."""

from collections import Counter
from collections.abc import Mapping

import grpc

from calico_p4.driver import Driver
from calico_p4.hits import flow_events
from calico_p4.inflow import Inflow
from calico_p4.metrics import Metrics
from calico_p4.p4runtime.errors import raise_target_error
from calico_p4.switch import Switch
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


def note_flows(metrics: Metrics, switch: Switch) -> None:
    """Note what became of flows; where somebody tells what was learned, also how many entries there are and ran out. Raises TargetError."""
    metrics.flows = {event.replace(" ", "_"): count for event, count in flow_events(switch.client).items()}
    if switch.flows is None:
        metrics.learned = metrics.expired = None
        return
    try:
        metrics.learned, metrics.expired = _short(switch.flows.learned_counts()), _short(switch.flows.learned_expired())
    except grpc.RpcError as error:
        raise raise_target_error(error, "LearnedCounts") from error


def _short(counts: Mapping[str, int]) -> dict[str, int]:
    """Tables by their own names."""
    return {name.rpartition(".")[2]: count for name, count in counts.items()}
