"""Packets through the whole of it: where they enter, what becomes of them, and in which words that is told."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calico_p4.files import schema
from calico_p4.replay import Options, replay
from test.support.shared import RECORDINGS, recording_path
from test.support.target import running_embedded

FRONTEND, BACKEND, DNS, DEBUG = "10.244.10.11", "10.244.10.13", "10.244.10.31", "10.244.20.40"
FRONTEND6, BACKEND6 = "fd00:10:244:a::b", "fd00:10:244:a::d"
NODE = "192.0.2.11"
WEB = {"proto": "tcp", "src": FRONTEND, "dst": BACKEND, "dport": 9090}

# Read off the policies of the recording by hand (calico-p4 describe endpoint), not off the program's answers.
EXPECTED = {
    "frontend-1 > backend-1, tcp 9090": ("allow", ("default.services", 0), ("backend-from-frontend", 0)),
    "frontend-1 > backend-1, tcp 9090, v6": ("allow", ("frontend-egress-range", 0), ("backend-from-frontend", 0)),
    "frontend-1 > coredns-1, udp 53": ("allow", ("platform.dns", 0), ("dns-allow-all", 1)),
    "frontend-1 > coredns-1, udp 53, v6": ("allow", ("platform.dns", 0), ("dns-allow-all", 1)),
    "api-1 > db-1, tcp 5432": ("allow", ("api-ingress", 0), ("db-allow", 1)),
    "api-1 > db-1, sctp 5433, v6": ("allow", ("api-ingress", 1), ("db-allow", 0)),
    "db-1 > internet, tcp 443": ("allow", ("default.pass-through", 2)),
    "internet > frontend-1, tcp 8080": ("allow", ("frontend-public", 0)),
    "internet > frontend-1, tcp 8080, v6": ("allow", ("frontend-public", 1)),
    "internet > db-1, ping, v6": ("deny", (None, None)),
    "threat > frontend-1, tcp 8080": ("deny", ("security.block-threats", 1)),
    "threat > frontend-1, tcp 8080, v6": ("deny", ("security.block-threats", 1)),
    "frontend-1 > threat, tcp 443, v6": ("deny", ("security.block-threats", 0)),
    "cart-1 > backend-1, tcp 9090": ("deny", (None, None)),
    "debug-1 (quarantined) > coredns-1, udp 53": ("deny", ("security.quarantine", 0)),
    "frontend-1 > api-1, tcp 8443": ("deny", (None, None)),
    "db-1 > internet, tcp 443, v6": ("deny", (None, None)),
    "debug-1 as frontend-1 > backend-1": ("deny",),
}


def send(tmp_path: Path, *packets: dict, name: str = "quickstart", ports: list | None = None, **options) -> list[dict]:
    """Replay a recording with packets; returns their answers."""
    (tmp_path / "packets.json").write_text(json.dumps(packets))
    if ports is not None:
        (tmp_path / "ports.json").write_text(json.dumps(ports))
        options["ports"] = str(tmp_path / "ports.json")
    outcome = replay(Options(str(recording_path(f"{name}.felixstream")), packets=str(tmp_path / "packets.json"), **options))
    assert (outcome.status, outcome.errors) == (0, [])
    Draft202012Validator(schema("answer")).validate(outcome.answer)
    return outcome.answer["packets"]


def test_the_packets_of_the_readme():
    answer = replay(Options(str(recording_path("quickstart.felixstream")), packets=str(RECORDINGS / "quickstart.packets.json"))).answer
    Draft202012Validator(schema("answer")).validate(answer)
    found = {p["id"]: (p["verdict"], *((rule["name"], rule["rule_index"]) for rule in p["policy"])) for p in answer["packets"]}
    assert found == EXPECTED


@pytest.mark.parametrize("name", ["quickstart-v3.32", "quickstart-v3.31"])
def test_other_releases_give_the_same_verdicts(name: str):
    packets = str(RECORDINGS / "quickstart.packets.json")
    answers = [replay(Options(str(recording_path(f"{n}.felixstream")), packets=packets)).answer["packets"] for n in ("quickstart", name)]
    for ours, other in zip(*answers, strict=True):
        assert {k: ours[k] for k in ("id", "verdict", "out", "reason", "packet")} == {k: other[k] for k in ("id", "verdict", "out", "reason", "packet")}
        places = [[(rule["stage"], rule["tier"], rule["policy_index"], rule["rule_index"]) for rule in answer["policy"]] for answer in (ours, other)]
        assert places[0] == places[1]
        if name == "quickstart-v3.31":
            assert all(rule["kind"] in (None, "EndOfTier", "EndOfProfiles", "Profile") and rule["namespace"] is None for rule in other["policy"])


def test_the_whole_of_one_answer(tmp_path: Path):
    (answer,) = send(tmp_path, {**WEB, "id": "x"})
    assert (answer["id"], answer["verdict"], answer["out"], answer["reason"]) == ("x", "allow", "workload:shop/backend-1", "policy")
    assert answer["packet"] == {
        "proto": 6, "src": FRONTEND, "dst": BACKEND, "sport": 40000, "dport": 9090, "icmp_type": None, "icmp_code": None, "ttl": 63, "dscp": 0,
    }  # fmt: skip
    assert answer["tunnel"] is None and answer["raw"][24:28] == "0800"
    egress, ingress = answer["policy"]
    assert {k: egress[k] for k in ("stage", "action", "kind", "namespace", "name", "tier", "policy_index", "rule_index")} == {
        "stage": "egress", "action": "allow", "kind": "NetworkPolicy", "namespace": "shop", "name": "default.services", "tier": "default",
        "policy_index": 0, "rule_index": 0,
    }  # fmt: skip
    assert [(rule["action"], rule["name"]) for rule in egress["passed"]] == [("pass", "security.block-threats"), ("pass", "platform.dns")]
    assert (ingress["stage"], ingress["kind"], ingress["policy_index"]) == ("ingress", "KubernetesNetworkPolicy", 0)


def test_the_end_of_a_tier_is_default_deny_and_names_its_trigger(tmp_path: Path):
    (answer,) = send(tmp_path, {**WEB, "dport": 9})
    (rule,) = answer["policy"]
    assert (answer["verdict"], answer["reason"], answer["out"], answer["packet"], answer["raw"]) == ("deny", "default_deny", None, None, None)
    assert (rule["kind"], rule["name"], rule["tier"], rule["trigger"]["name"]) == ("EndOfTier", None, "default", "default.services")


def test_a_reply_comes_back_from_where_the_packet_left(tmp_path: Path):
    original, reply, nothing = send(tmp_path, {**WEB, "id": "a"}, {"id": "b", "reply_to": "a"}, {"id": "c", "reply_to": "none"})
    assert original["verdict"] == "allow"
    assert [rule["stage"] for rule in reply["policy"]] == ["egress"], "judged as the backend's own, there being no flows yet"
    assert reply["reason"] == "default_deny"
    assert (nothing["verdict"], nothing["reason"]) == ("error", "no_original")


def test_a_packet_that_did_not_leave_has_no_reply(tmp_path: Path):
    _denied, reply = send(tmp_path, {**WEB, "id": "a", "dport": 9}, {"id": "b", "reply_to": "a"})
    assert (reply["verdict"], reply["reason"]) == ("error", "no_original")


def test_where_packets_enter(tmp_path: Path):
    to_frontend = {"proto": "tcp", "dst": FRONTEND, "dport": 8080}
    answers = send(
        tmp_path,
        {**to_frontend, "src": "203.0.113.5"},
        {**to_frontend, "src": NODE},
        {**to_frontend, "src": NODE, "from": "uplink"},
        {**WEB, "from": "workload:shop/frontend-1"},
        {**WEB, "from": "workload:k8s/shop/frontend-1/eth0"},
        {**WEB, "from": "interface:cali387996caa80"},
        {**WEB, "from": "workload:shop/debug-1"},
        {**WEB, "from": "workload:shop/nobody"},
        {**WEB, "from": "interface:nothing"},
    )
    assert [answer["reason"] for answer in answers] == [
        "policy", "host_to_workload", "policy", "policy", "policy", "policy", "spoofed", "not_sent", "not_sent",
    ]  # fmt: skip
    assert [rule["stage"] for rule in answers[0]["policy"]] == ["ingress"] and answers[1]["policy"] == []
    assert "there is no such port" in answers[7]["detail"]


def test_what_can_not_be_sent_does_not_change_the_exit_status(tmp_path: Path):
    mixed, nonsense, good = send(tmp_path, {**WEB, "dst": BACKEND6}, {**WEB, "src": "frontend"}, WEB)
    assert (mixed["reason"], nonsense["reason"], good["verdict"]) == ("not_sent", "not_sent", "allow")
    assert "two families" in mixed["detail"]


def test_raw_frames(tmp_path: Path):
    good, arp, short, empty = send(
        tmp_path,
        {"raw": frame(WEB)},
        {"raw": arp_request(), "from": "workload:shop/frontend-1"},
        {"raw": frame(WEB)[: 2 * 30], "from": "workload:shop/frontend-1"},
        {"raw": "", "from": "uplink"},
    )
    assert (good["verdict"], good["out"]) == ("allow", "workload:shop/backend-1")
    assert (arp["verdict"], arp["reason"], arp["out"], arp["raw"]) == ("deny", "neighbour", None, None)
    assert arp["answer"][24:28] == "0806" and "eeeeeeeeeeee" in arp["answer"]
    assert (short["verdict"], short["reason"]) == (empty["verdict"], empty["reason"]) == ("deny", "parse")


def frame(fields: dict) -> str:
    from calico_p4.packets import build, complete

    return build(complete(fields), 0x020000000001).hex()


def arp_request() -> str:
    from scapy.layers.l2 import ARP, Ether

    return bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / ARP(psrc=FRONTEND, pdst="169.254.1.1")).hex()


def test_before_in_sync_everything_is_closed(tmp_path: Path):
    answers = send(tmp_path, {**WEB, "after": 140}, {**WEB, "after": 145, "from": "workload:shop/frontend-1"}, {**WEB, "after": 146}, {**WEB, "after": 0, "from": "uplink"})
    assert [answer["verdict"] for answer in answers] == ["deny", "deny", "allow", "deny"]
    assert answers[1]["reason"] == "unknown_port"


def test_packets_between_frames_see_the_state_of_that_moment(tmp_path: Path):
    """Around churn checkpoints, and in any order of the list."""
    places = [1100, 146, 353, 188]
    mixed = send(tmp_path, *({**WEB, "id": after, "after": after} for after in places), name="churn")
    alone = [send(tmp_path, {**WEB, "id": after, "after": after}, name="churn", until=after)[0] for after in places]
    assert mixed == alone
    assert [answer["id"] for answer in mixed] == places


def test_a_file_of_ports_adds_uplinks_and_their_networks(tmp_path: Path):
    ports = [
        {"name": "ens1", "kind": "uplink", "mac": "02:00:00:00:01:01", "addresses": [f"{NODE}/24"]},
        {"name": "ens2", "kind": "uplink", "mac": "02:00:00:00:01:02", "addresses": ["198.51.100.1/24"]},
    ]
    packet = {"proto": "tcp", "src": NODE}
    far, near = send(tmp_path, {**packet, "dst": "203.0.113.9"}, {**packet, "dst": "198.51.100.9"}, ports=ports)
    assert (far["verdict"], far["out"]) == ("allow", "uplink")
    assert (near["verdict"], near["out"]) == ("allow", "interface:ens2")


def test_in_process_and_over_a_socket_packets_fare_the_same(tmp_path: Path):
    options = {"packets": str(RECORDINGS / "quickstart.packets.json")}
    recording = str(recording_path("quickstart.felixstream"))
    with running_embedded(tmp_path) as address:
        remote = replay(Options(recording, target=address, **options)).answer
    assert remote == replay(Options(recording, **options)).answer


def test_virtual_time_is_the_targets(tmp_path: Path):
    first, second = send(tmp_path, {**WEB, "at": 5}, {**WEB, "flow": "keep"})
    assert first["verdict"] == second["verdict"] == "allow"
