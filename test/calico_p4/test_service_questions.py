"""``get services`` and ``describe service`` of a recording with Kubernetes objects beside it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from calico_p4.cli import main
from test.support.service_scenarios import read
from test.support.shared import recording_path

QUICKSTART = str(recording_path("quickstart.felixstream"))


@pytest.fixture
def objects(tmp_path: Path) -> str:
    scenario = read("x | lb etp aff=60 ranges=198.51.100.0/24 born=1 ; ip=cluster2 ext=lb born=2 | a e ex f~ ; | ")
    lines = [json.dumps({"type": "ADDED", "object": item}) for item in scenario.objects]
    (tmp_path / "k8s").write_text("\n".join(lines))
    return str(tmp_path / "k8s")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_get_services(objects: str):
    items = {item["name"]: item for item in json.loads(run("get", "services", QUICKSTART, "--k8s", objects, "-o", "json"))}
    assert {name: (item["backends"], item["state"]) for name, item in items.items() if item["namespace"] == "shop" and name.startswith("web")} == {
        "web": (2, "Realized"),
        "web1": (0, "Degraded (partial)"),
    }
    assert items["web"]["external_ips"] == ["203.0.113.20"] and items["web"]["ports"] == ["80/TCP:30080"]
    assert items["frontend"]["state"] == "Unknown to Kubernetes"
    counted = run("get", "entries", QUICKSTART, "--k8s", objects, "-o", "json")
    assert items["web"]["entries"] == sum("Service shop/web" in each["objects"] for each in json.loads(counted))


def test_get_services_without_a_source():
    assert {item["state"] for item in json.loads(run("get", "services", QUICKSTART, "-o", "json"))} == {"Not configured"}


def test_describe_service(objects: str):
    lines = run("describe", "service", "shop/web", QUICKSTART, "--k8s", objects).splitlines()
    assert lines[:7] == [
        "Name:       shop/web",
        "Type:       LoadBalancer",
        "State:      Realized",
        "Policy:     internal Cluster, external Local",
        "Affinity:   client address, 60 s",
        "Sources:    198.51.100.0/24",
        "Port 80, TCP over IPv4:",
    ]
    assert "  ClusterIP 10.96.0.10 port 80: cluster; masqueraded from the node, the network" in lines
    assert "  LoadBalancer 203.0.113.20 port 80: from inside cluster, from outside local; masqueraded from the node; source ranges" in lines
    assert "  10.65.0.1 port 8080, node-a, ready: 2 of 4 buckets (cluster), 4 of 4 buckets (local)" in [line.replace("this node", "node-a") for line in lines]
    assert "  10.65.1.2 port 8080, node-b, terminating, serving: gets nothing" in lines
    degraded = run("describe", "service", "web1", QUICKSTART, "--k8s", objects)
    assert "Degraded:   203.0.113.20 port 80/TCP belongs to the older service shop/web" in degraded and "rejected" in degraded


def test_a_trace_through_a_service_names_it_and_no_miss_that_was_not_tried(tmp_path: Path):
    def traced(address: str, port: int) -> dict:
        objects = read("x | ip=cluster | a | ").objects
        objects[1]["endpoints"][0]["addresses"], objects[1]["ports"][0]["port"] = [address], port
        (tmp_path / "k8s").write_text("".join(json.dumps({"type": "ADDED", "object": item}) + "\n" for item in objects))
        return json.loads(run("trace", QUICKSTART, "--k8s", str(tmp_path / "k8s"), "--from", "payments/api-1", "--to", "10.96.0.10", "-o", "json"))

    allowed, denied = traced("10.244.10.22", 5432), traced("10.244.10.13", 1)
    assert (allowed["verdict"], allowed["out"], denied["verdict"], denied["reason"]) == ("allow", "workload:payments/db-1", "deny", "default_deny")
    for answer in (allowed, denied):
        (step,) = [step for step in answer["steps"] if step["table"] == "service_v4"]
        assert "Service shop/web" in json.dumps(step)
    assert denied["closest"] is None and denied["culprit"]


def test_a_service_that_nobody_knows(objects: str):
    result = CliRunner().invoke(main, ["describe", "service", "shop/wep", QUICKSTART, "--k8s", objects])
    assert result.exit_code == 1 and "shop/web" in result.output
