"""replay as a CI suite uses it: golden files, budgets, speed, determinism, and the reports that come of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from calico_p4.ci import determinism, measure
from calico_p4.ci.budget import parse_budget, percentiles
from calico_p4.ci.chart import ticks
from calico_p4.cli.replay import command as replay
from calico_p4.driver import Driver
from felix_proto import types as felix
from test.support.shared import ROOT, recording_path

QUICKSTART = str(recording_path("quickstart.felixstream"))
PACKETS = str(ROOT / "test" / "recordings" / "quickstart.packets.json")


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(replay, list(map(str, arguments)))


def report_of(tmp_path: Path, *arguments: Any, status: int = 0) -> dict[str, Any]:
    path = tmp_path / "report.json"
    result = run(*arguments, "--report", path)
    assert result.exit_code == status, result.output
    return json.loads(path.read_text())


def test_golden_files_are_written_compared_and_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    golden = tmp_path / "golden"
    options = (QUICKSTART, "--golden", golden, "--checkpoint", 100, "--packets", PACKETS)
    missing = run(*options)
    assert missing.exit_code == 3 and "no golden file; --update-golden writes it" in missing.stderr
    assert run(*options, "--update-golden").exit_code == 0
    assert {path.name for path in golden.iterdir()} == {f"quickstart.{name}" for name in ("in-sync.rows", "frame-100.rows", "end.rows", "verdicts.txt")}
    assert run(*options).exit_code == 0
    apply = Driver.apply

    def wrong(self: Driver, payload: felix.Payload) -> None:
        if isinstance(payload, felix.RouteUpdate) and payload.dst == "10.244.20.0/26":
            payload = payload._replace(dst="10.244.20.0/27")
        apply(self, payload)

    monkeypatch.setattr(Driver, "apply", wrong)
    differing = run(*options)
    assert differing.exit_code == 3
    assert "golden end: failed" in differing.stderr and "- route_v4 prefix=10.244.20.0/26" in differing.stderr
    assert "+ route_v4 prefix=10.244.20.0/27" in differing.stderr and "# Route 10.244.20.0/27" in differing.stderr
    assert run(*options, "--update-golden").exit_code == 0 and run(*options).exit_code == 0


def test_a_changed_verdict_is_a_difference(tmp_path: Path):
    options = (QUICKSTART, "--golden", tmp_path, "--packets", PACKETS)
    assert run(*options, "--update-golden").exit_code == 0
    verdicts = tmp_path / "quickstart.verdicts.txt"
    verdicts.write_text(verdicts.read_text().replace(": allow (policy)", ": deny (policy)", 1))
    result = run(*options)
    assert result.exit_code == 3 and "golden verdicts: failed" in result.stderr and "golden end" not in result.stderr


def test_budgets_fail_the_run(tmp_path: Path):
    report = report_of(tmp_path, recording_path("churn.felixstream"), "--until", 200, "--flush", 1, "--budget", "p99=30s",
                       "--budget", "WorkloadEndpointUpdate.max=1us", "--budget", "HostEndpointUpdate.max=1s", status=3)  # fmt: skip
    kept = {budget["budget"]: (budget["ok"], budget["measured_ms"] is None) for budget in report["budgets"]}
    assert kept == {"p99": (True, False), "WorkloadEndpointUpdate.max": (False, False), "HostEndpointUpdate.max": (False, True)}
    found = report["timing"]["latency_ms"]
    kinds = {kind: values["count"] for kind, values in found.items()}
    assert kinds.pop("all") == sum(kinds.values()) == 200 - 146
    assert all(values["p50"] <= values["p90"] <= values["p99"] <= values["max"] for values in found.values())


def test_latencies_are_those_that_were_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A driver that sleeps over IP sets is slow in IP sets, and in nothing else."""
    import time

    apply = Driver.apply

    def slow(self: Driver, payload: felix.Payload) -> None:
        if isinstance(payload, felix.IPSetDeltaUpdate):
            time.sleep(0.2)
        apply(self, payload)

    monkeypatch.setattr(Driver, "apply", slow)
    report = report_of(tmp_path, recording_path("churn.felixstream"), "--until", 160, "--flush", 1)
    found = report["timing"]["latency_ms"]
    assert found["IPSetDeltaUpdate"]["p50"] >= 200 > found["WorkloadEndpointUpdate"]["p50"]
    assert report["slowest"][0]["kind"] == "IPSetDeltaUpdate" and report["slowest"][0]["work_ms"] >= 200


class VirtualTime:
    """Time that passes only while one sleeps."""

    def __init__(self) -> None:
        self.now_ns = 10**9

    def perf_counter_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 10**9)


def test_real_speed_takes_as_long_as_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "time", VirtualTime())
    stream = tmp_path / "slow.felixstream"
    stream.write_bytes(Path(QUICKSTART).read_bytes())
    missing = run(stream, "--speed", "real")
    assert missing.exit_code == 2 and "slow.times" in missing.stderr
    (tmp_path / "slow.times").write_text("".join(f"{index}\t{1_000_000_000 + index * 10_000_000}\t1\n" for index in range(146)))
    assert report_of(tmp_path, stream, "--speed", "real")["timing"]["total_ms"] == pytest.approx(1450)
    assert report_of(tmp_path, stream, "--speed", "x5")["timing"]["total_ms"] == pytest.approx(290)
    (tmp_path / "slow.times").write_text("no numbers\n")
    assert run(stream, "--speed", "real").exit_code == 2


def test_determinism_sees_what_depends_on_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert report_of(tmp_path, QUICKSTART, "--determinism")["determinism"] == {"same": True, "differences": []}
    real = subprocess.run

    def unsteady(command: list[str], env: dict[str, str], **options: Any) -> Any:
        result = real(command, env=env, **options)
        result.stdout = result.stdout.replace('"frames": 146', f'"frames": {hash(env["PYTHONHASHSEED"])}')
        return result

    monkeypatch.setattr(determinism.subprocess, "run", unsteady)
    report = report_of(tmp_path, QUICKSTART, "--determinism", status=3)
    assert not report["determinism"]["same"] and report["determinism"]["differences"][0].startswith("frames: ")


def test_junit_has_a_case_for_each_check(tmp_path: Path):
    path = tmp_path / "junit.xml"
    result = run(QUICKSTART, "--golden", tmp_path / "none", "--budget", "insync=60s", "--junit", path)
    assert result.exit_code == 3
    suite = ET.parse(path).getroot()
    cases = {case.get("name"): case.find("failure") is not None for case in suite}
    assert cases == {"replay": False, "golden in-sync": True, "golden end": True, "budget insync": False}
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")


def test_a_replay_that_fails_is_a_failed_check(tmp_path: Path):
    cut = tmp_path / "cut"
    cut.write_bytes(Path(QUICKSTART).read_bytes()[:-5])
    report = report_of(tmp_path, cut, status=2)
    assert report["checks"][0] == {"name": "replay", "ok": False, "text": f"{cut}: {report['errors'][0].partition(': ')[2]}"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--budget", "p98=1ms"), "is no budget"),
        (("--budget", "p99=1"), "is no budget"),
        (("--budget", "Route.total=1ms"), "is no budget"),
        (("--speed", "fast"), "max, real or xN"),
        (("--speed", "x0"), "max, real or xN"),
        (("--update-golden",), "needs --golden"),
        (("--html", "/none/such/page.html"), "/none/such/page.html: No such file"),
    ],
)
def test_what_cannot_be_checked(options: tuple[str, ...], text: str):
    result = run(QUICKSTART, *options)
    assert result.exit_code == 2 and text in result.stderr


def test_the_answer_is_that_of_a_plain_replay(tmp_path: Path):
    plain, checked = run(QUICKSTART, "-o", "json", "--packets", PACKETS), run(QUICKSTART, "-o", "json", "--packets", PACKETS, "--report", tmp_path / "r")
    assert {**json.loads(plain.stdout), "writes": 0} == {**json.loads(checked.stdout), "writes": 0}


def test_progress_is_for_terminals_only():
    script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-m", "calico_p4", "replay", QUICKSTART]
    terminal = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    plain = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "frame 1: ConfigUpdate" in terminal.stdout and plain.stderr == ""


def test_percentiles_and_ticks():
    assert percentiles([5.0]) == {"p50": 5, "p90": 5, "p99": 5, "max": 5}
    assert percentiles(map(float, range(1, 101))) == {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    assert parse_budget("IPSetUpdate.p90=1.5s")[:] == ("IPSetUpdate", "p90", 1500.0)
    assert list(ticks(9.5)) == [0, 2, 4, 6, 8, 10] and list(ticks(0.03))[-1] >= 0.03
