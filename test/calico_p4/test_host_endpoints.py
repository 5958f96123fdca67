"""Host endpoints through the whole program: the recordings of both releases, and a node that denies all but failsafe ports."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from calico_p4.cli import main
from calico_p4.replay import Options, replay
from felix_proto import types as felix
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from test.support.shared import RECORDINGS, recording_path
from test.support.stream import save
from translator.stages import STAGES

PORTS = RECORDINGS / "hostendpoints.ports.json"
RELEASES = ["hostendpoints", "hostendpoints-v3.32"]
DENY = felix.PolicyID("GlobalNetworkPolicy", "", "lockdown.deny-all")
LOCKDOWN = felix.TierInfo("lockdown", (DENY,), (DENY,), "Pass")
NODE, PEER, CLIENT = ("192.0.2.11", "2001:db8:a::11"), ("192.0.2.12", "2001:db8:a::12"), ("203.0.113.9", "2001:db8:f::9")
ALL_SECTIONS = ("tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers")


def run(recording: Path, packets: list[dict[str, Any]], folder: Path, ports: Path | None = PORTS) -> dict[str, Any]:
    """The answer of a replay; its packets by id."""
    path = folder / "packets.json"
    path.write_text(json.dumps(packets))
    outcome = replay(Options(str(recording), packets=str(path), ports=None if ports is None else str(ports)))
    assert (outcome.status, outcome.errors) == (0, []) and outcome.answer is not None
    return outcome.answer | {"packets": {packet["id"]: packet for packet in outcome.answer["packets"]}}


def locked_down(payloads: list[felix.Payload], sections: tuple[str, ...]) -> list[felix.Payload]:
    """A stream whose host endpoints have a policy that denies all, and no other, in some sections."""
    rules = (felix.Rule("deny", rule_id="none"),)
    policy = felix.ActivePolicyUpdate(DENY, felix.Policy(DENY, tier="lockdown", inbound_rules=rules, outbound_rules=rules))
    tiers = {section: (LOCKDOWN._replace(egress_policies=()) if section == "pre_dnat_tiers" else LOCKDOWN,) for section in sections}
    found: list[felix.Payload] = []
    for payload in payloads:
        if isinstance(payload, felix.HostEndpointUpdate):
            bare = payload.endpoint._replace(**dict.fromkeys(ALL_SECTIONS, ()))
            found += [policy, felix.HostEndpointUpdate(payload.id, bare._replace(**tiers))]
        else:
            found.append(payload)
    return found


def recorded(name: str) -> list[felix.Payload]:
    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in read_recording(str(recording_path(f"{name}.felixstream")))]


@pytest.mark.parametrize("name", RELEASES)
def test_with_their_interfaces_no_host_endpoint_is_degraded(name: str, tmp_path: Path) -> None:
    answer = run(recording_path(f"{name}.felixstream"), [], tmp_path)
    assert answer["converged"] and not [entry for entry in answer["degraded"] if "ost" in entry["object"].partition(" ")[0]]
    without = run(recording_path(f"{name}.felixstream"), [], tmp_path, ports=None)
    assert [entry["object"] for entry in without["degraded"] if entry["effect"] == "pending"] == ["HostEndpoint node-a-mgmt"]


RECORDED = [
    ("management by its expected address", {"src": "10.99.0.7", "dst": "10.99.0.11", "dport": 80, "from": "interface:eth1"},
     "deny", "default_deny", [("host", "deny", "EndOfTier", None)]),
    ("a port that pre-DNAT policy allows", {"src": CLIENT[0], "dst": NODE[0], "dport": 22}, "allow", "policy",
     [("pre_dnat", "allow", "GlobalNetworkPolicy", "default.prednat-guard")]),
    ("to a failsafe port", {"src": CLIENT[0], "dst": NODE[0], "dport": 6443}, "allow", "failsafe", []),
    ("from the node to a failsafe port", {"src": NODE[0], "dst": PEER[0], "dport": 6443}, "allow", "failsafe", []),
]  # fmt: skip


@pytest.mark.parametrize("name", RELEASES)
def test_what_the_recorded_policies_decide(name: str, tmp_path: Path) -> None:
    answer = run(recording_path(f"{name}.felixstream"), [{"id": key, "proto": "tcp", **fields} for key, fields, *_ in RECORDED], tmp_path)
    for key, _, verdict, reason, policy in RECORDED:
        got = answer["packets"][key]
        assert (got["verdict"], got["reason"]) == (verdict, reason), got
        assert [(met["stage"], met["action"], met["kind"], met["name"]) for met in got["policy"]] == policy


@pytest.mark.parametrize("sections", [("tiers",), ALL_SECTIONS], ids=["normal", "all stages"])
@pytest.mark.parametrize("name", RELEASES)
def test_failsafe_ports_of_the_configuration_hold_under_a_policy_that_denies_all(name: str, sections: tuple[str, ...], tmp_path: Path) -> None:
    """FailsafeInboundHostPorts has 22 from 192.0.2.0/24 and 2001:db8:a::/64; FailsafeOutboundHostPorts 6443 to 192.0.2.0/24."""
    save(tmp_path / "stream", locked_down(recorded(name), sections))
    ssh = {(far, v): {"id": f"ssh from {far} {v}", "proto": "tcp", "src": source[v], "dst": NODE[v], "dport": 22}
           for far, source in (("near", PEER), ("far", CLIENT)) for v in (0, 1)}  # fmt: skip
    out = {"id": "api", "proto": "tcp", "src": NODE[0], "dst": PEER[0], "dport": 6443}
    packets = [*ssh.values(), out, out | {"id": "api far away", "dst": CLIENT[0]}, out | {"id": "ssh out", "dport": 22}]
    got = {key: (packet["verdict"], packet["reason"]) for key, packet in run(tmp_path / "stream", packets, tmp_path)["packets"].items()}
    passes, denied = ("allow", "failsafe"), ("deny", "policy")
    assert got == {
        "ssh from near 0": passes, "ssh from near 1": passes, "ssh from far 0": denied, "ssh from far 1": denied,
        "api": passes, "api far away": denied, "ssh out": denied,
    }  # fmt: skip


# --- the defaults ----------------------------------------------------------------------------------------------------------------

SERVICES = {"BGP": ("tcp", 179), "etcd": ("tcp", 2379), "etcd peers": ("tcp", 2380), "Typha": ("tcp", 5473), "API server": ("tcp", 6443),
            "etcd of old": ("tcp", 6666), "etcd peers of old": ("tcp", 6667)}  # fmt: skip
ONE_WAY = {"SSH in": ("tcp", 22, "in"), "DNS out": ("udp", 53, "out"), "DHCP out": ("udp", 67, "out"), "DHCP in": ("udp", 68, "in")}
BOTH = {f"{name} {way}": (proto, port, way) for name, (proto, port) in SERVICES.items() for way in ("in", "out")}
OTHERS = {"SSH out": ("tcp", 22, "out"), "DNS in": ("udp", 53, "in"), "HTTP in": ("tcp", 80, "in"), "HTTP out": ("tcp", 80, "out"),
          "SSH over UDP": ("udp", 22, "in"), "VXLAN from a stranger": ("udp", 4789, "in")}  # fmt: skip


def bare_node(sections: tuple[str, ...]) -> list[felix.Payload]:
    """A node whose one host endpoint denies all; nothing is said of failsafe ports."""
    endpoint = felix.HostEndpointUpdate("node", felix.HostEndpoint("node", "eth0"))
    start = [felix.ConfigUpdate((("FelixHostname", "node-a"),)), felix.HostMetadataUpdate("node-a", f"{NODE[0]}/24", f"{NODE[1]}/64")]
    return locked_down([*start, endpoint, felix.InSync()], sections)


def there_and_back(name: str, proto: str, port: int, way: str, v: int) -> list[dict[str, Any]]:
    src, dst = (CLIENT[v], NODE[v]) if way == "in" else (NODE[v], CLIENT[v])
    there = {"id": name, "proto": proto, "src": src, "dst": dst, "sport": 68 if port == 67 else 40000, "dport": port}
    return [there, {"id": f"{name}, back", "reply_to": name, "proto": proto, "tcp_flags": "SA", "flow": "keep"}]


@pytest.mark.parametrize("v", [0, 1], ids=["v4", "v6"])
@pytest.mark.parametrize("sections", [("tiers",), ALL_SECTIONS], ids=["normal", "all stages"])
def test_nobody_is_locked_out_by_a_policy_that_denies_all(sections: tuple[str, ...], v: int, tmp_path: Path) -> None:
    save(tmp_path / "stream", bare_node(sections))
    packets = [packet for name, case in (BOTH | ONE_WAY).items() for packet in there_and_back(name, *case, v)]
    closed = [there_and_back(name, *case, v)[0] for name, case in OTHERS.items()]
    got = run(tmp_path / "stream", packets + closed, tmp_path, ports=None)["packets"]
    for name in BOTH | ONE_WAY:
        assert (got[name]["verdict"], got[name]["reason"]) == ("allow", "failsafe"), name
        assert (got[f"{name}, back"]["verdict"], got[f"{name}, back"]["reason"]) == ("allow", "established"), name
    assert {name: got[name]["verdict"] for name in OTHERS} == dict.fromkeys(OTHERS, "deny")


def test_an_address_is_got_by_dhcp_before_there_is_one(tmp_path: Path) -> None:
    save(tmp_path / "stream", bare_node(ALL_SECTIONS))
    ask = {"id": "discover", "proto": "udp", "src": "0.0.0.0", "dst": "255.255.255.255", "sport": 68, "dport": 67, "from": "host"}
    offer = {"id": "offer", "proto": "udp", "src": "192.0.2.1", "dst": NODE[0], "sport": 67, "dport": 68}
    got = run(tmp_path / "stream", [ask, offer], tmp_path, ports=None)["packets"]
    assert {name: packet["verdict"] for name, packet in got.items()} == {"discover": "allow", "offer": "allow"}


def test_failsafe_ports_open_nothing_that_is_forwarded(tmp_path: Path) -> None:
    save(tmp_path / "stream", bare_node(("forward_tiers",)))
    got = run(tmp_path / "stream", [{"id": 1, "proto": "tcp", "src": CLIENT[0], "dst": "198.51.100.7", "dport": 22}], tmp_path, ports=None)
    assert (got["packets"][1]["verdict"], got["packets"][1]["reason"]) == ("deny", "policy")


def test_a_policy_that_cannot_be_translated_closes_and_leaves_failsafe_ports(tmp_path: Path) -> None:
    broken = [payload for payload in bare_node(("tiers",)) if not isinstance(payload, felix.ActivePolicyUpdate)]
    save(tmp_path / "stream", broken)
    packets = [{"id": port, "proto": "tcp", "src": CLIENT[0], "dst": NODE[0], "dport": port} for port in (22, 80)]
    answer = run(tmp_path / "stream", packets, tmp_path, ports=None)
    assert (answer["packets"][22]["verdict"], answer["packets"][22]["reason"]) == ("allow", "failsafe")
    assert (answer["packets"][80]["verdict"], answer["packets"][80]["reason"]) == ("deny", "degraded")
    entries = [entry for entry in answer["degraded"] if entry["object"] == "HostEndpoint node"]
    assert {(entry["effect"], entry["direction"]) for entry in entries} == {("closed", "ingress"), ("closed", "egress")}
    assert all("lockdown.deny-all was never sent" in entry["reason"] for entry in entries)


# --- questions -------------------------------------------------------------------------------------------------------------------


def asked(*words: str) -> str:
    result = CliRunner().invoke(main, [*words, str(recording_path("hostendpoints.felixstream")), "--ports", str(PORTS)])
    assert result.exit_code == 0, result.output
    return str(result.output)


def test_get_tells_where_host_endpoints_stand() -> None:
    items = json.loads(asked("get", "hostendpoints", "-o", "json"))
    found = {item["name"]: item["stands_at"] for item in (items["items"] if isinstance(items, dict) else items)}
    assert found == {"node-a-auto-hep": ["vxlan.calico", "workload interfaces"], "node-a-eth0": ["eth0"], "node-a-mgmt": ["eth1"]}


def test_describe_tells_stages_and_entries() -> None:
    text = asked("describe", "hostendpoint", "node-a-eth0")
    assert "Stands at:  eth0" in text and "Failsafe ports: tcp:192.0.2.0/24:22, udp:68" in text
    for title in ("Untracked ingress:", "Pre-DNAT ingress:", "Forward egress:", "Normal ingress:", "End: no verdict", "End of profiles: deny"):
        assert title in text
    entries = text.partition("Entries:")[2]
    for table in ("port", "next_hop", *(f"{stage.name}.binding" for stage in STAGES)):
        assert f"\n  {table} " in entries, table
    assert "ignored: it stands for all interfaces" in asked("describe", "hostendpoint", "node-a-auto-hep")


TRACED = [
    (("--from", "interface:eth0", "--packet"), "198.51.100.77", NODE[0], 8080, "host", "host-ingress"),
    (("--from", "interface:eth0", "--packet"), "203.0.113.9", "192.0.2.77", 25, "forward_egress", "host-egress"),
]


@pytest.mark.parametrize(("words", "src", "dst", "dport", "stage", "policy"), TRACED, ids=["to the node", "forwarded"])
def test_trace_names_the_stage_and_the_nearest_miss(words: tuple[str, ...], src: str, dst: str, dport: int, stage: str, policy: str) -> None:
    frame = bytes(Ether(src="02:00:00:00:00:01", dst="ee:ee:ee:ee:ee:ee") / IP(src=src, dst=dst) / TCP(sport=40000, dport=dport, flags="S"))
    answer = json.loads(asked("trace", *words, frame.hex(), "-o", "json"))
    decided = answer["policy"][-1]
    assert (answer["verdict"], answer["reason"], decided["stage"]) == ("deny", "default_deny", stage)
    assert policy in decided["trigger"]["name"] and answer["culprit"]["stage"] == stage
    assert answer["closest"]["flips"] and policy in answer["closest"]["policy"]["name"]
    asked_of = [step for step in answer["steps"] if step["table"].endswith(".binding")]
    assert [step["table"].partition(".")[0] for step in asked_of][:2] == ["untracked_ingress", "pre_dnat"]
    assert all("HostEndpoint node-a-eth0" in step["objects"] for step in asked_of)


def test_trace_names_a_failsafe_port() -> None:
    frame = bytes(Ether(src="02:00:00:00:00:01", dst="ee:ee:ee:ee:ee:ee") / IP(src=CLIENT[0], dst=NODE[0]) / TCP(sport=40000, dport=6443))
    answer = json.loads(asked("trace", "--from", "interface:eth0", "--packet", frame.hex(), "-o", "json"))
    assert (answer["verdict"], answer["reason"], answer["policy"]) == ("allow", "failsafe", [])
    of_policy = [step for step in answer["steps"] if step["table"].startswith(("host_rule", "ingress."))]
    assert [(step["table"], step["origin"]) for step in of_policy[-2:-1]] == [("host_rule_v4", "failsafe tcp:6443 (ingress)")]
    assert of_policy[-1]["table"] == "ingress.binding" and of_policy[-1]["action"].startswith("bind_host")
