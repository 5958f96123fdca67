"""Coverage: everything that could be exercised is listed, what was is counted."""

import json

from click.testing import CliRunner

from calico_p4.cli.coverage import command as coverage
from calico_p4.tools.coverage import Coverage
from felix_proto.framing import Frame
from felix_proto.types import Rule
from k8s_p4.rows import TABLES
from test.support.shared import recording_path

QUICKSTART = str(recording_path("quickstart.felixstream"))


def counts(*recordings: str) -> dict:
    result = CliRunner().invoke(coverage, [*recordings, "-o", "json"])
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_counts_are_those_of_the_recordings_summary():
    summary = json.loads(recording_path("quickstart.summary.json").read_text())
    kinds = summary["counts"] if "counts" in summary else next(value for value in summary.values() if isinstance(value, dict) and "in_sync" in value)
    found = {name: count for name, count in counts(QUICKSTART)["messages"].items() if count}
    assert sum(found.values()) == 146 and sorted(found.values()) == sorted(kinds.values())


def test_everything_there_is_is_listed():
    found = counts(QUICKSTART)
    fields = {"icmp_type", "icmp_type_code"} | set(Rule._fields) - {"icmp", "not_icmp"} | {"not_icmp_type", "not_icmp_type_code"}
    assert set(found["rule_fields"]) == fields
    assert {line.partition(" ")[0] for line in found["tables"]} == set(TABLES)
    assert found["rule_fields"]["http_match"] == 0 or found["rule_fields"]["src_net"] > 0
    assert found["set_kinds"]["NET"] > 0 and found["rule_actions"]["next-tier"] > 0 and found["tables"]["ingress.rules allow"] > 0


def test_rows_that_are_gone_at_the_end_count_too():
    found = counts(str(recording_path("churn.felixstream")))["tables"]
    assert found["local_v4 to_workload"] >= 10  # every local pod is torn down in the end


def test_unknown_fields_are_listed():
    found = Coverage()
    found.add([Frame(0, 0, b"\x0a\x00\x9a\x3f\x01x")])
    assert found.as_dict()["unknown"] == {"ToDataplane.1011": 1}


def test_a_floor_can_be_required():
    good = CliRunner().invoke(coverage, [QUICKSTART, "--require", "rule_fields:src_ip_set_ids"])
    bad = CliRunner().invoke(coverage, [QUICKSTART, "--require", "messages:WireguardEndpointUpdate"])
    wrong = CliRunner().invoke(coverage, [QUICKSTART, "--require", "messages:Nothing"])
    assert (good.exit_code, bad.exit_code, wrong.exit_code) == (0, 1, 2)
    assert bad.stderr == "calico-p4 coverage: not exercised: messages:WireguardEndpointUpdate\n"


def test_the_missing_ones_alone():
    result = CliRunner().invoke(coverage, [QUICKSTART, "--missing"])
    assert "  WireguardEndpointUpdate" in result.stdout and "  WorkloadEndpointUpdate" not in result.stdout
