"""``get`` and ``describe`` on a recording, and the command line as a whole."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from calico_p4.cli import main
from calico_p4.replay import Options, replay
from test.support.cpu import cpu_seconds
from test.support.shared import recording_path

QUICKSTART = str(recording_path("quickstart.felixstream"))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stderr


def test_endpoints():
    table = run("get", "endpoints", QUICKSTART).splitlines()
    assert table[0].split() == ["NAMESPACE", "NAME", "INTERFACE", "IPS", "STATE"] and len(table) == 9
    (web,) = [line.split() for line in table if "frontend-1" in line]
    assert web == ["shop", "frontend-1", "cali387996caa80", "10.244.10.11,fd00:10:244:a::b", "Realized"]
    items = json.loads(run("get", "endpoints", QUICKSTART, "-o", "json"))
    assert items == yaml.safe_load(run("get", "endpoints", QUICKSTART, "-o", "yaml"))
    frontend = next(item for item in items if item["name"] == "frontend-1")
    assert (frontend["tiers"], frontend["policies"], frontend["rules"]) == (3, 9, 23)
    assert run("get", "endpoints", QUICKSTART, "-n", "payments", "-o", "name").split() == ["payments/api-1", "payments/db-1"]


def test_policies():
    items = json.loads(run("get", "policies", QUICKSTART, "-o", "json"))
    by_name = {(item["kind"], item["namespace"], item["name"]): item for item in items}
    assert by_name["NetworkPolicy", "shop", "default.services"]["endpoints"] == 2
    assert by_name["StagedNetworkPolicy", "shop", "default.staged-cart"]["state"] == "staged"
    assert by_name["Profile", "", "kns.shop"]["endpoints"] == 5
    assert "KubernetesNetworkPolicy payments/db-allow" in run("get", "policies", QUICKSTART, "-o", "name").splitlines()


def test_policies_of_older_releases_have_no_kind_on_the_wire():
    names = run("get", "policies", str(recording_path("quickstart-v3.31.felixstream")), "-o", "name")
    assert "Policy shop/default.services" in names.splitlines()


def test_ip_sets():
    items = json.loads(run("get", "ipsets", QUICKSTART, "-o", "json"))
    threats = next(item for item in items if item["id"] == "s:z-7M_vYvRxJNaD_DoAmeQ3brKPhCvPBUT6Y_eg")
    assert (threats["type"], threats["members"], threats["policies"]) == ("NET", 4, 1)
    assert threats["content"] == ["192.0.2.200/32", "198.18.0.0/24", "198.18.7.0/24", "2001:db8:bad::/48"]


def test_entries_are_the_rows_of_the_dump_with_their_owners(tmp_path: Path):
    replay(Options(QUICKSTART, dump=str(tmp_path / "dump")))
    assert run("get", "entries", QUICKSTART) == (tmp_path / "dump").read_text()
    lines = run("get", "entries", QUICKSTART, "--table", "ingress.binding", "-o", "wide").splitlines()
    assert len(lines) == 8 and all(line.split()[0] == "ingress.binding" and "# WorkloadEndpoint k8s/" in line for line in lines)
    items = json.loads(run("get", "entries", QUICKSTART, "--table", "port", "-o", "json"))
    assert {item["key"] for item in items} >= {"ingress_port=eth0", "ingress_port=host"}


def test_tables_with_their_use():
    answer = replay(Options(QUICKSTART)).answer
    items = json.loads(run("get", "tables", QUICKSTART, "-o", "json"))
    assert {item["name"]: item["entries"] for item in items if item["entries"]} == answer["entries"]
    assert all(item["size"] > 0 and item["owner"].startswith("translator.") for item in items)


def test_until_shows_an_earlier_state():
    assert run("get", "endpoints", str(recording_path("churn.felixstream")), "-o", "name") == ""
    assert "shop/frontend-1" in run("get", "endpoints", str(recording_path("churn.felixstream")), "--until", "353", "-o", "name").split()


def test_an_endpoint_described():
    text = run("describe", "endpoint", "shop/frontend-1", QUICKSTART)
    for line in (
        "Id:         k8s/shop/frontend-1/eth0",
        "Addresses:  10.244.10.11/32, fd00:10:244:a::b/128",
        "  Tier platform (at its end: Deny)",
        "      1 allow ip_version=4 protocol=icmp icmp=8",
        "      2 allow protocol=tcp src_net=203.0.113.0/24 dst_ports=8080,8443 not_src_net=203.0.113.128/25",
        "      0 allow protocol=tcp dst_ports=9000-9200 dst_ip_set_ids=s:s0Iqn0xyuY9eVgaXbj5cuYIDEPAC-pHmjWqvOg",
        "  Profile kns.shop",
    ):
        assert line in text.splitlines()
    assert "staged" not in text
    assert "egress.binding endpoint=k8s/shop/frontend-1/eth0" in text


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["get", "endpoints", "none.felixstream"], 2, "calico-p4: none.felixstream: No such file or directory"),
        (["get", "pods", QUICKSTART], 2, "'pods' is not one of"),
        (["get", "entries", QUICKSTART, "--table", "prot"], 1, "no table 'prot'; did you mean port?"),
        (["describe", "endpoint", "shop/nobody", QUICKSTART], 1, "no endpoint 'shop/nobody'; there are: kube-system/coredns-1"),
        (["--log-level", "loud", "replay", QUICKSTART], 2, "'loud' is no log level"),
        (["replay"], 2, "Missing argument 'RECORDING'"),
        (["nothing"], 2, "No such command"),
    ],
)
def test_mistakes_are_told(arguments: list[str], status: int, error: str):
    found = fail(*arguments)
    assert found[0] == status and error in found[1]


def test_a_damaged_recording_is_named(tmp_path: Path):
    (tmp_path / "bad").write_bytes(b"\xff" * 20)
    status, error = fail("get", "endpoints", str(tmp_path / "bad"))
    assert status == 2 and "bad: byte 0, frame 0: " in error


def test_help_comes_soon():
    assert cpu_seconds("-m", "calico_p4", "--help") < 12 * cpu_seconds("-c", "pass"), "design: 6 times; twice that on a busy machine"
