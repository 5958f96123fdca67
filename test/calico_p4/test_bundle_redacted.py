"""Redacted bundles: nothing of the original is in any member, and questions have the same answers under other names."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calico_p4.cli import main
from felix_proto import felixbackend_pb2 as pb
from felix_proto.recordings import read_recording
from test.support.shared import ROOT, recording_path

RECORDING = recording_path("quickstart.felixstream")
SERVICE = {"kind": "Service", "metadata": {"namespace": "shop", "name": "till", "creationTimestamp": "2019-03-04T05:06:07Z"},
           "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.50", "externalIPs": ["203.0.113.77"], "loadBalancerSourceRanges": ["192.0.2.64/26"],
                    "ports": [{"name": "backstage", "protocol": "TCP", "port": 80, "nodePort": 30080}]},
           "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.78"}]}}}  # fmt: skip
SLICE = {"kind": "EndpointSlice", "addressType": "IPv4",
         "metadata": {"namespace": "shop", "name": "till-x7", "labels": {"kubernetes.io/service-name": "till"}},
         "ports": [{"name": "backstage", "protocol": "TCP", "port": 9090}],
         "endpoints": [{"addresses": ["10.244.10.13"], "nodeName": "node-a", "hints": {"forZones": [{"name": "rack-17"}]}}]}  # fmt: skip
NODE = {"kind": "Node", "metadata": {"name": "node-a", "labels": {"topology.kubernetes.io/zone": "rack-17"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.201"}]}}  # fmt: skip
PORTS = [{"name": "eth7", "kind": "uplink", "mac": "a0:b1:c2:d3:e4:f5", "own_mac": "a0:b1:c2:d3:e4:f6", "addresses": ["192.0.2.201/24"],
          "neighbours": {"192.0.2.254": "a0:b1:c2:d3:e4:f7"}}]  # fmt: skip
BESIDE = {"till", "till-x7", "backstage", "rack-17", "2019-03-04T05:06:07Z", *re.findall("a0:b1[0-9a-f:]+", json.dumps(PORTS))}
WORDS = (  # of Felix, Calico and Kubernetes, of these answers, and names that every cluster has
    "Auto Deny Disabled Drop Enabled GET HEAD None Pass TCP UDP Tunnel Workload active all allow deny log config cross-subnet default dev false global has "
    "icmp icmpv6 info kdd k8s kns ksa pcns pcsa kubernetes linux name namespace next-tier none not sctp tcp udp tier true svc svcnoport zone services "
    "hostname topology node-role control-plane metadata org orchestrator projectcalico kube-node-lease kube-public kube-system ClusterIP LoadBalancer "
    "GlobalNetworkPolicy KubernetesNetworkPolicy NetworkPolicy StagedGlobalNetworkPolicy StagedKubernetesNetworkPolicy StagedNetworkPolicy eth0 fd00"
)
KEPT = set(re.findall(r"\S+", WORDS)) | {key for frame in read_recording(RECORDING) for key in pb.ToDataplane.FromString(frame.payload).config_update.config}
WHOLE = {ip_address("128.0.0.0"), ip_address("fd00::")}
"""The other half of all addresses, and the local ones of IPv6 (RFC 4193), whose first seven bits stay."""
ADDRESS = re.compile(r"(?<![\w.:])(?:\d+(?:\.\d+){3}|[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*)(?![\w.:])")


def ask(*arguments: Any) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make whole.zip, redacted.zip and names.json of a recording with objects and ports beside it."""
    folder = tmp_path_factory.mktemp("redacted")
    (folder / "k8s.jsonl").write_text("".join(json.dumps({"type": "ADDED", "object": item}) + "\n" for item in (SERVICE, SLICE, NODE)))
    (folder / "ports.json").write_text(json.dumps(PORTS))
    beside = ("--k8s", folder / "k8s.jsonl", "--ports", folder / "ports.json")
    ask("bundle", RECORDING, *beside, "-f", folder / "whole.zip")
    ask("bundle", RECORDING, *beside, "-f", folder / "redacted.zip", "--redact", "--key", "k", "--map", folder / "names.json")
    return folder


def text_of(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "\n".join(name + "\n" + archive.read(name).decode(errors="replace") for name in archive.namelist())


def strings(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        for each in value.items() if hasattr(value, "items") else value if field.is_repeated else (value,):
            for part in each if isinstance(each, tuple) else (each,):
                if isinstance(part, str):
                    yield part
                elif hasattr(part, "ListFields"):
                    yield from strings(part)


def words() -> set[str]:
    found = {text for frame in read_recording(RECORDING) for text in strings(pb.ToDataplane.FromString(frame.payload))}
    return {word for text in found for word in re.split(r"[/.:'\"() =&|{},]+", text) if word} | BESIDE


def test_no_word_of_the_original_is_left(folder: Path):
    old = {word for word in words() if len(word) > 2 and re.search("[A-Za-z]", word)} - KEPT
    whole, changed = (set(re.findall(r"[\w-]+|\d{4}-[\w:-]+Z|[0-9a-f]{2}(?::[0-9a-f]{2}){5}", text_of(folder / name))) for name in ("whole.zip", "redacted.zip"))
    assert {"shop", "payments", "frontend-1", "node-a", "quarantine", "block-threats", "cali05207abe1dd", "till-x7", "backstage", "rack-17"} <= old & whole
    assert len(old & whole) > 100 and not old & changed


def addresses(text: str) -> set[str]:
    """Addresses that tell something: those of special ranges and of whole families stay."""
    found = set()
    for match in ADDRESS.findall(text):
        try:
            parsed = ip_address(match)
        except ValueError:
            continue
        if not (parsed.is_link_local or parsed.is_multicast or parsed.is_loopback or int(parsed) < 2**24 or parsed in WHOLE):
            found.add(str(parsed))
    return found


def test_no_address_of_the_original_is_left(folder: Path):
    old, new = (text_of(folder / name) for name in ("whole.zip", "redacted.zip"))
    assert {"10.244.10.11", "10.96.0.50", "203.0.113.77", "203.0.113.78", "192.0.2.64", "192.0.2.201", "192.0.2.254"} <= addresses(old)
    assert len(addresses(old)) > 60
    assert addresses(old) & addresses(new) == set()
    for name in ("rows.json", "numbers.json"):  # there they are numbers
        there, here = (set(re.findall(r"\d{9,}", zipfile.ZipFile(folder / which).read(name).decode())) for which in ("whole.zip", "redacted.zip"))
        numbers = {str(int(ip_address(address))) for address in addresses(old)}
        assert (name != "rows.json" or numbers & there) and not numbers & here


def test_the_manifest_says_what_was_made_anew(folder: Path):
    with zipfile.ZipFile(folder / "redacted.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["redacted"] and manifest["source"] == "redacted" and "not read back" in manifest["remade"]


def pseudonyms(folder: Path) -> Any:
    table = json.loads((folder / "names.json").read_text())
    return lambda pod: "/".join(table[kind][name] for kind, name in zip(("namespace", "pod"), pod.split("/"), strict=True))


@pytest.mark.parametrize("dport", [9090, 5432])
def test_every_pair_is_decided_as_before_by_the_same_rules(folder: Path, dport: int):
    new = pseudonyms(folder)

    def verdicts(name: str) -> list[dict[str, Any]]:
        return json.loads(ask("trace", folder / name, "--all", "--dport", dport, "-o", "json"))["pairs"]

    def told(pair: dict[str, Any]) -> Any:
        return pair["verdict"], pair["reason"], [(each["stage"], each["action"], each["kind"], each["policy_index"], each["rule_index"]) for each in pair["policy"]]

    before = {(new(pair["from"]), new(pair["to"])): told(pair) for pair in verdicts("whole.zip")}
    assert before == {(pair["from"], pair["to"]): told(pair) for pair in verdicts("redacted.zip")}
    assert {verdict for verdict, *_ in before.values()} == {"allow", "deny"}


def test_a_service_leads_to_the_same_backend(folder: Path):
    new, table = pseudonyms(folder), json.loads((folder / "names.json").read_text())
    service = f"svc/{table['namespace']['shop']}/{table['service']['till']}"
    answer = json.loads(ask("trace", folder / "redacted.zip", "--from", new("shop/frontend-1"), "--to", service, "-o", "json"))
    assert (answer["verdict"], answer["out"], answer["packet"]["dport"]) == ("allow", f"workload:{new('shop/backend-1')}", 9090)


@pytest.mark.parametrize("kind", ["endpoints", "policies", "ipsets", "services", "routes", "nodes", "pools", "ports", "config", "degraded"])
def test_as_much_is_there_as_before_with_the_frames_that_spoke_of_it(folder: Path, kind: str):
    before, after = (json.loads(ask("get", kind, folder / name, "-o", "json")) for name in ("whole.zip", "redacted.zip"))
    assert len(before) == len(after) and sorted(str(item.get("frame")) for item in before) == sorted(str(item.get("frame")) for item in after)


def test_the_history_is_that_of_the_original(folder: Path):
    frames = [{frame for *_, frame in json.loads(zipfile.ZipFile(folder / name).read("history.json"))} for name in ("whole.zip", "redacted.zip")]
    assert len(frames[1]) > 50 and frames[1] <= frames[0]


def test_options_of_redaction_need_it(tmp_path: Path):
    result = CliRunner().invoke(main, ["bundle", str(RECORDING), "-f", str(tmp_path / "x"), "--key", "k"])
    assert result.exit_code == 2 and "go with --redact" in result.stderr and not (tmp_path / "x").exists()


@pytest.mark.parametrize("more", [(), ("--redact",)])
def test_a_bundle_wants_what_is_there_where_sets_have_another_order(tmp_path: Path, more: tuple[str, ...]):
    """Every number that rows refer to is in it; else a reader would give out its own, in the order in which its sets come."""
    for seed, command in (("1", ("bundle", str(RECORDING), "-f", "a.zip", *more)), ("2", ("check", "a.zip"))):
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        result = subprocess.run([sys.executable, "-m", "calico_p4", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
