"""Questions about services: of a recording with the objects of Kubernetes beside it, and of a bundle made of that."""

import json
import shutil
from typing import Any

import pytest
from click.testing import CliRunner

from calico_p4.cli import main
from test.support.shared import recording_path

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "backend"},
           "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.50", "clusterIPs": ["10.96.0.50"],
                    "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 9090}]}}  # fmt: skip
SLICE = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
         "metadata": {"namespace": "shop", "name": "backend-x", "labels": {"kubernetes.io/service-name": "backend"}},
         "ports": [{"name": "http", "protocol": "TCP", "port": 9090}],
         "endpoints": [{"addresses": ["10.244.10.13"], "nodeName": "node-a", "conditions": {"ready": True}}]}  # fmt: skip
TO_SERVICE = ("--from", "shop/frontend-1", "--to", "svc/shop/backend")


def ask(*arguments: Any) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """Return arguments that name a recording with its objects, and a bundle of it."""
    folder = tmp_path_factory.mktemp("services")
    recording, bundle = folder / "cluster.felixstream", folder / "cluster.zip"
    shutil.copy(recording_path("quickstart.felixstream"), recording)
    events = ({"type": "ADDED", "object": item} for item in (SERVICE, SLICE))
    objects = folder / "cluster.k8s.jsonl"
    objects.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    assert ask("bundle", recording, "-f", bundle, "--k8s", objects)[0] == 0
    return [(recording, "--k8s", objects), (bundle,)]


@pytest.mark.parametrize("which", [0, 1])
def test_entries_of_a_service(sources: list[tuple[Any, ...]], which: int):
    status, text, _ = ask("get", "entries", *sources[which], "--service", "shop/backend", "-o", "json")
    found = json.loads(text)
    assert status == 0 and {"service_v4"} <= {item["table"] for item in found}
    assert all("Service shop/backend" in item["objects"] for item in found)
    assert any("10.96.0.50" in item["key"] for item in found)


@pytest.mark.parametrize("which", [0, 1])
def test_a_packet_to_a_service_is_followed_to_its_backend(sources: list[tuple[Any, ...]], which: int):
    status, text, _ = ask("trace", *sources[which], *TO_SERVICE, "--verify", "-o", "json")
    answer = json.loads(text)
    assert (status, answer["verdict"], answer["out"]) == (0, "allow", "workload:shop/backend-1")
    assert answer["packet"]["dst"] == "10.244.10.13" and answer["packet"]["dport"] == 9090
    assert any("Service shop/backend" in step["objects"] for step in answer["steps"])
    assert answer["verified"]["differences"] == []


def test_the_bundle_wants_what_is_there(sources: list[tuple[Any, ...]]):
    assert ask("diff", "desired", "actual", "--source", *sources[1])[0] == 0


def test_names_that_nothing_has(sources: list[tuple[Any, ...]]):
    status, _, error = ask("trace", *sources[0], "--from", "shop/frontend-1", "--to", "svc/shop/backand")
    assert status == 1 and "shop/backend" in error
    status, _, error = ask("get", "entries", recording_path("quickstart.felixstream"), "--service", "shop/backend")
    assert status == 1 and "nothing is known of services here" in error
