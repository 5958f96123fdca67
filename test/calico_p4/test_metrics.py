"""Metrics, probes, the dashboard that shows them, and log lines that say where they are."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from calico_p4 import felix as felix_module
from calico_p4.degraded import Degraded
from calico_p4.http import Http
from calico_p4.live import ALIVE_S, Live
from calico_p4.metrics import Metrics, general
from calico_p4.watch import note_flows
from datastore.allocator import Allocator
from felix_proto.framing import Frame, encode_frame
from k8s_p4.rows import TABLES
from test.support.driven import WAIT_S, Felix, driver, frames
from test.support.fault_run import Run, stream
from test.support.faults import Full
from test.support.faulty_target import Clock, FaultyTarget
from test.support.pipeline import Bench as Pipeline
from test.support.shared import ROOT, recording_path
from test.support.talk import ONE, REMOTE, TWO, Talk
from test.support.target import running_target, unused_port

PORT = re.compile(r"127\.0\.0\.1:\d+")


def get(address: str, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return every sample by name and values of its labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.fixture
def felix(tmp_path: Path) -> Iterator[tuple[Felix, str, str]]:
    """A driver on a target, where its metrics are, and where the target is."""
    metrics = f"127.0.0.1:{unused_port()}"
    with running_target(tmp_path) as target, driver(tmp_path, target, CALICO_P4_METRICS=metrics, CALICO_P4_RULE_HITS="true", CALICO_P4_LOG_FORMAT="json") as felix:
        yield felix, metrics, target


def test_a_driver_is_watched_from_its_start_to_its_readiness(felix: tuple[Felix, str, str]):
    process, metrics, _ = felix
    stream = frames("quickstart")
    process.send(b"".join(stream[:-1]))
    process.until(lambda: "connected" in process.log())
    assert get(metrics, "/livez") == (200, "ok\n") and get(metrics, "/readyz")[0] == 503
    process.send(stream[-1] + encode_frame(b"\xff\xff"))
    process.until(lambda: get(metrics, "/readyz")[0] == 200)
    process.until(lambda: values(get(metrics, "/metrics")[1])["calico_p4_messages_skipped_total"][()] == 1)
    process.until(lambda: "calico_p4_rule_hits_total" in values(get(metrics, "/metrics")[1]))  # counters are read in a turn of their own
    found = values(get(metrics, "/metrics")[1])
    assert found["calico_p4_messages_total"]["WorkloadEndpointUpdate",] == 8 and found["calico_p4_in_sync"][()] == 1
    assert found["calico_p4_target_state"]["connected",] == 1 and found["calico_p4_target_state"]["lost",] == 0
    assert found["calico_p4_entries"]["ingress.binding",] == 8 == found["calico_p4_entries_wanted"]["ingress.binding",]
    assert found["calico_p4_table_capacity"]["ingress.rules",] == TABLES["ingress.rules"].size
    assert found["calico_p4_rows_written_total"]["inserted",] == sum(found["calico_p4_entries"].values())
    assert found["calico_p4_write_seconds_count"][()] >= found["calico_p4_write_requests_total"][()] > 1
    assert found["calico_p4_flows_total"]["learned",] == 0 == found["calico_p4_learned_entries"]["flow_v4",]
    assert found["calico_p4_pending_rows"][()] == 0 and found["calico_p4_apply_seconds_count"][()] >= 1
    assert any("KubernetesNetworkPolicy" in name for name in found["calico_p4_rule_hits_total"])
    assert get(metrics, "/nothing")[0] == 404


def test_every_log_line_says_where_it_is(felix: tuple[Felix, str, str]):
    process, _, _ = felix
    process.send(b"".join(frames("quickstart")) + encode_frame(b"\xff\xff"))
    process.until(lambda: "frame not decoded" in process.log() and "read back" in process.log())
    lines = [json.loads(line) for line in process.log().rpartition("\n")[0].splitlines()]
    assert all({"timestamp", "level", "event"} <= line.keys() for line in lines)
    (bad,) = (line for line in lines if line["event"] == "frame not decoded")
    assert bad["frame"] == 146 and bad["level"] == "error"
    read = next(line for line in lines if line["event"] == "read back")
    assert 0 <= read["sequence_number"] <= 145 and read["frame"] >= 145


def test_a_lost_target_shows_and_a_driver_that_stands_still_is_not_alive():
    clock, metrics = Clock(), Metrics()
    target = FaultyTarget(clock, 1)
    live = Live("faulty", Allocator(), (), lambda said: None, clock=clock, opener=target.open, metrics=metrics)
    live.work(clock())
    assert metrics.state == "connected" and not metrics.ready and live.alive()
    target.cut()
    target.reachable = False
    for _ in range(3):
        clock.advance(15.0)
        live.work(clock())
    assert metrics.state == "lost" and live.alive()
    assert values(metrics.text().decode())["calico_p4_degraded_objects"]["pending", "faulty"] == 1
    clock.advance(ALIVE_S + 1)
    assert not live.alive()


def test_what_is_refused_pending_and_waiting_shows():
    run, metrics = Run(1), Metrics()
    run.live.metrics = metrics
    run.target.start(Full(Random(1), "ingress.rules", lasts_s=60.0))
    for each, _ in stream("quickstart"):
        run.live.take(each)
    run.live._inflow.put(Frame(0, 0, bytes(99)))
    run.clock.advance(2.0)
    run.live.work(run.clock())
    wanted = metrics.wanted["ingress.rules"]
    assert metrics.ready and metrics.queue == (1, 99)
    assert metrics.refused["ingress.rules"] == wanted > 0 == metrics.entries["ingress.rules"] and metrics.pending >= wanted
    run.live._inflow.get()
    for _ in range(8):
        run.clock.advance(40.0)
        run.work()
    assert metrics.queue == (0, 0) and metrics.pending == 0 == metrics.refused["ingress.rules"] and metrics.entries["ingress.rules"] == wanted


def test_who_has_lost_the_target_or_not_yet_found_it_is_not_ready():
    run, metrics = Run(1), Metrics()
    run.live.metrics = metrics
    run.target.reachable = False
    for each, _ in stream("quickstart"):
        run.live.take(each)
    for reachable in (False, True, False):
        run.target.reachable = reachable
        if not reachable:
            run.target.cut()
        for _ in range(6):
            run.clock.advance(40.0)
            run.live.work(run.clock())
        assert metrics.in_sync and metrics.ready == reachable and metrics.state == ("connected" if reachable else "lost")


@pytest.mark.parametrize("well", [False, True])
def test_probes_say_what_is_wrong(well: bool):
    metrics = Metrics()
    metrics.ready = well
    server = felix_module._serve("127.0.0.1:0", SimpleNamespace(alive=lambda: well), metrics)
    try:
        assert get(server.address, "/livez") == ((200, "ok\n") if well else (503, "the loop stands still\n"))
        assert get(server.address, "/readyz") == ((200, "ok\n") if well else (503, "the snapshot is not confirmed by the target\n"))
    finally:
        server.stop()


def test_reasons_are_told_apart_without_their_particulars():
    assert general("egress.rules ((1, 2), 3): RESOURCE_EXHAUSTED: table full") == "egress.rules"
    assert general("not a CIDR: '10.0.0.0/33'") == "not a CIDR"
    assert general("10.0.0.1") == "other"
    metrics = Metrics()
    metrics.note_degraded(Degraded(f"Frame {n}", f"word{'x' * n} rest", "partial") for n in range(500))
    assert len(metrics.degraded) <= 50


def test_names_of_all_metrics_are_documented_and_the_dashboard_asks_for_no_other():
    metrics = Metrics()
    metrics.rules = {}
    names = {family.name for family in text_string_to_metric_families(metrics.text().decode())}
    documented = set(re.findall(r"^\| `(calico_p4_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    samples = {name for family in text_string_to_metric_families(metrics.text().decode()) for name in (family.name, f"{family.name}_total", f"{family.name}_bucket",
               f"{family.name}_count", f"{family.name}_sum")}  # fmt: skip
    assert {re.sub("_total$", "", name) for name in documented} == names
    dashboard = json.loads((ROOT / "docs/grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for expr in asked for name in re.findall(r"calico_p4_\w+", expr)}
    assert used and used <= samples
    assert {re.sub("_(total|bucket|count|sum)$", "", name) for name in used} >= names - {"calico_p4_felix_info", "calico_p4_in_sync", "calico_p4_table_capacity"}


def test_http_listens_where_it_is_told_and_nowhere_else():
    with pytest.raises(ValueError, match="no HOST:PORT"):
        Http("9095", {})
    server = Http("127.0.0.1:0", {"/x": lambda: (200, "text/plain", b"y")})
    try:
        assert server._server.server_address[0] == "127.0.0.1" and get(server.address, "/x") == (200, "y")
        with pytest.raises(OSError):
            Http(server.address, {})
    finally:
        server.stop()


def test_every_kind_of_message_has_its_count(tmp_path: Path):
    recording_path("churn.felixstream")
    clock, metrics = Clock(), Metrics()
    live = Live("faulty", Allocator(), (), lambda said: None, clock=clock, opener=FaultyTarget(clock, 1).open, metrics=metrics)
    for frame, _ in stream("churn"):
        live.take(frame)
    assert metrics.messages.total() == len(stream("churn")) and metrics.messages["IPSetDeltaUpdate"] > 100


def test_flows_are_counted() -> None:
    """As the pipeline counts them, and as the switch has learned them."""
    bench = Pipeline()
    try:
        talk, metrics = Talk(bench, 4), Metrics()
        talk.handshake(ONE, TWO)
        assert talk.udp(ONE, REMOTE, 1).allows and talk.udp(ONE, REMOTE, 2).allows
        talk.wait(31)
        bench.client.set_time(talk.now)
        note_flows(metrics, bench.switch)
        found = values(metrics.text().decode())
        assert found["calico_p4_flows_total"] == {("learned",): 3, ("clashed",): 0, ("refused",): 0, ("judged_again",): 0}
        assert found["calico_p4_learned_entries"]["flow_v4",] == 2 and found["calico_p4_learned_entries"]["flow_v6",] == 0
        assert found["calico_p4_learned_expired_total"]["flow_v4",] == 4
        bench.switch.bench = None
        note_flows(metrics, bench.switch)
        assert "calico_p4_learned" not in metrics.text().decode() and "calico_p4_flows_total" in metrics.text().decode()
    finally:
        bench.close()
