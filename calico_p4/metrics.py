"""What the driver tells about itself in numbers: Prometheus metrics, in its text format.

Counts and gauges are read from the driver's state when they are asked for; the scrape never waits for the driver's loop, and what is
worked out over many rows (degraded objects, entries) is what the loop noted last.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from k8s_p4.rows import TABLES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STATES = ("connected", "lost", "foreign_pipeline")
RULE_LABELS = ("stage", "action", "kind", "namespace", "name", "tier", "rule_index")
REASONS = 50
"""Different reasons that are told apart; a bad stream could make them up."""

Rule = tuple[str, ...]
disable_created_metrics()  # type: ignore[no-untyped-call]  # one more line for each histogram, of use to nobody here


class Metrics:
    """The numbers of one driver. Whoever runs it sets the attributes; names and meanings are in docs/metrics.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.apply = Histogram("calico_p4_apply_seconds", "Translating and pushing one batch of changes.", buckets=SECONDS, registry=self.registry)
        self.write = Histogram("calico_p4_write_seconds", "One Write of the target.", buckets=SECONDS, registry=self.registry)
        self.messages: Counter[str] = Counter()
        self.skipped = 0
        self.generation = ""
        self.in_sync = self.ready = False
        self.state = "lost"
        self.queue = (0, 0)
        self.pending = 0
        self.writes: dict[str, int] = {}
        self.entries: dict[str, int] = {}
        self.wanted: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.flows: dict[str, int] = {}
        self.learned: dict[str, int] | None = {}
        self.expired: dict[str, int] | None = {}
        """Entries of the tables that learn; None: the target does not tell."""
        self.degraded: Counter[tuple[str, str]] = Counter()
        self.rules: dict[Rule, int] | None = None
        """None: nobody wants them."""
        self.registry.register(self)  # a collector by its shape

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def note_degraded(self, entries: Iterable[Any]) -> None:
        """Count what is degraded by effect and reason, the particulars of each reason left out."""
        found = Counter((entry.effect, general(entry.reason)) for entry in entries)
        self.degraded = Counter(dict(found.most_common(REASONS)))

    def collect(self) -> Iterator[Metric]:
        """Yield what is read off the attributes."""
        yield _counter("calico_p4_messages", "Messages from Felix, by kind.", ("kind",), {(kind,): n for kind, n in self.messages.copy().items()})
        yield _counter("calico_p4_messages_skipped", "Messages that could not be used.", (), {(): self.skipped})
        operations = {(name,): self.writes.get(name, 0) for name in ("inserted", "modified", "deleted")}
        yield _counter("calico_p4_rows_written", "Rows that the target confirmed, by operation.", ("operation",), operations)
        yield _counter("calico_p4_write_requests", "Writes sent.", (), {(): self.writes.get("requests", 0)})
        yield _gauge("calico_p4_in_sync", "Whether Felix's snapshot is complete.", (), {(): float(self.in_sync)})
        yield _gauge("calico_p4_ready", "Whether the snapshot is applied and the target confirmed it.", (), {(): float(self.ready)})
        yield _gauge("calico_p4_target_state", "1 for the state the target is in.", ("state",), {(s,): float(s == self.state) for s in STATES})
        yield _gauge("calico_p4_felix_info", "The release of Felix, as its stream shows it.", ("generation",), {(self.generation,): 1.0})
        yield _gauge("calico_p4_queue_frames", "Frames read and not yet taken in.", (), {(): self.queue[0]})
        yield _gauge("calico_p4_queue_bytes", "Bytes of these frames.", (), {(): self.queue[1]})
        yield _gauge("calico_p4_pending_rows", "Rows that are not on the target as wanted.", (), {(): self.pending})
        yield from self._tables()
        yield from self._flows()
        labelled = {key: float(count) for key, count in self.degraded.copy().items()}
        yield _gauge("calico_p4_degraded_objects", "Objects that do not work as intended.", ("effect", "reason"), labelled)
        if self.rules is not None:
            yield _counter("calico_p4_rule_hits", "Packets that a rule decided or passed on.", RULE_LABELS, dict(self.rules))

    def _tables(self) -> Iterator[Metric]:
        yield _gauge("calico_p4_entries", "Entries on the target.", ("table",), _by_table(self.entries))
        yield _gauge("calico_p4_entries_wanted", "Entries that the intent asks for: the forecast.", ("table",), _by_table(self.wanted))
        yield _gauge("calico_p4_table_capacity", "Entries that a table has room for.", ("table",), {(name,): table.size for name, table in TABLES.items()})
        yield _gauge("calico_p4_refused_rows", "Rows that the target refused.", ("table",), _by_table(self.refused))


    def _flows(self) -> Iterator[Metric]:
        events = {(event,): count for event, count in self.flows.items()}
        yield _counter("calico_p4_flows", "What became of flows, as the pipeline counts them.", ("event",), events)
        if self.learned is not None and self.expired is not None:
            yield _gauge("calico_p4_learned_entries", "Live entries of tables that learn.", ("table",), {(name,): n for name, n in self.learned.items()})
            yield _counter("calico_p4_learned_expired", "Entries of these tables that ran out.", ("table",), {(name,): n for name, n in self.expired.items()})


def general(reason: str) -> str:
    """Return a reason without its particulars: what comes before names, numbers and texts of the stream."""
    words = []
    for word in reason.split():
        if any(c.isdigit() or c in "'\"/([{" for c in word):
            break
        words.append(word.rstrip(":,;"))
        if word.endswith((":", ";")):
            break
    return " ".join(words)[:60] or "other"


def rule_totals(counted: Counter[Any]) -> dict[Rule, int]:
    """Return packets by rule, from counts by (stage, path)."""
    found: Counter[Rule] = Counter()
    for (stage, path), count in counted.items():
        for ref in filter(None, path):
            owner = ref.owner if isinstance(ref.owner, tuple) else ("", "", ref.owner or "")
            found[(stage, ref.action, owner[0] or ref.kind, owner[1], owner[2], ref.tier, "" if ref.rule_index is None else str(ref.rule_index))] += count
    return dict(found)


def _by_table(counts: dict[str, int]) -> dict[Rule, float]:
    return {(name,): counts.get(name, 0) for name in TABLES}


def _counter(name: str, text: str, labels: Iterable[str], values: dict[Any, Any]) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, labels: Iterable[str], values: dict[Any, Any]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(key, value)
    return family
