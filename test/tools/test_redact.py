"""Redaction: nothing is told, nothing is decided otherwise."""

import json
import re
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from click.testing import CliRunner

from calico_p4.cli.redact import command as redact
from calico_p4.tools.coverage import _messages
from calico_p4.tools.lint import lint
from calico_p4.tools.product import frames_of, state_of
from calico_p4.tools.pseudonyms import Addresses, Names
from calico_p4.tools.redact import Redactor
from calico_p4.tools.sample import Sampler
from calico_p4.tools.text import to_text
from calico_p4.tools.verdicts import compare, differences
from calico_p4.tools.wire import TO_DATAPLANE
from felix_proto import felixbackend_pb2 as pb
from felix_proto.recordings import read_recording
from test.support.shared import recording_path

RECORDINGS = ["quickstart.felixstream", "quickstart-v3.31.felixstream", "hostendpoints.felixstream", "churn.checkpoint-2.felixstream"]


def payloads_of(name: str) -> list[bytes]:
    return [frame.payload for frame in read_recording(recording_path(name))]


def redacted(payloads: list[bytes], key: bytes = b"key") -> tuple[Redactor, list[bytes]]:
    redactor = Redactor(key)
    redactor.collect(payloads)
    redactor.settle()
    return redactor, [redactor.redact(payload) for payload in payloads]


@pytest.mark.parametrize("name", RECORDINGS)
def test_2000_packets_are_decided_as_before(name: str):
    before = payloads_of(name)
    redactor, after = redacted(before)
    packets = Sampler(state_of(frames_of(before))).packets(2000)
    assert len(packets) == 2000
    assert differences(before, after, packets, [redactor.packet(packet) for packet in packets]) == []
    assert not list(lint(frames_of(after)))


def test_the_comparison_sees_a_difference():
    before = payloads_of("quickstart.felixstream")
    redactor, after = redacted(before)
    policies = [place for place, payload in enumerate(after) if b"GlobalNetworkPolicy" in payload and pb.ToDataplane.FromString(payload).WhichOneof("payload") == "active_policy_update"]
    for place in policies:
        message = pb.ToDataplane.FromString(after[place])
        for rule in (*message.active_policy_update.policy.inbound_rules, *message.active_policy_update.policy.outbound_rules):
            rule.action = {"allow": "deny", "deny": "allow"}.get(rule.action, rule.action)
        after[place] = message.SerializeToString()
    assert len(compare(before, after, redactor.packet, 300)) > 10


def test_names_and_addresses_of_the_original_are_gone():
    before = payloads_of("quickstart.felixstream")
    _, after = redacted(before)
    old, new = ("\n".join(map(to_text, payloads)) for payloads in (before, after))
    words = {"shop", "payments", "frontend", "backend", "cart", "coredns-1", "node-a", "zone-a", "quarantine", "block-threats", "platform", "partner"}
    words |= {"cali05207abe1dd", "2425f9526c504894acd7fdc578b735c9", "66:00:00:00:0a:04"}
    for word in words:
        assert word in old and not re.search(rf"\b{word}\b", new), word
    for text in re.findall(r"\b10\.244\.\d+\.\d+|2001:db8:[0-9a-f:]+|198\.51\.\d+\.\d+", old):
        assert not re.search(rf"{re.escape(text)}(?![0-9a-f:.])", new), text


def test_every_text_field_of_the_schema_has_a_treatment():
    redactor = Redactor(b"key")
    fields = {(message.name, field.name) for message in _messages(TO_DATAPLANE, set()) for field in message.fields if field.type == field.TYPE_STRING}
    fields -= {("ConfigEntry", "key"), ("ConfigEntry", "value")}  # treated together
    legacy = {("TierInfo", "ingress_policies"), ("TierInfo", "egress_policies")}
    assert set(redactor._treatments) == fields | legacy


def test_unknown_fields_are_left_out_and_counted():
    payload = pb.ToDataplane(ipset_remove=pb.IPSetRemove(id="s:x")).SerializeToString() + b"\x9a\x3f\x06secret"
    redactor, after = redacted([payload])
    assert b"secret" not in after[0] and redactor.dropped == {"ToDataplane.1011": 1}


def test_addresses_keep_their_common_prefixes_and_special_ranges_stay():
    addresses, random = Addresses(b"key"), Random(1)
    for bits in (32, 128):
        seen = [random.getrandbits(bits)]
        for _ in range(500):
            seen.append(random.choice(seen) ^ 1 << random.randrange(bits))
        mapped = {value: int.from_bytes(addresses.address(value.to_bytes(bits // 8))) for value in seen}
        assert len(set(mapped.values())) == len(set(seen))
        for _ in range(3000):
            one, other = random.choice(seen), random.choice(seen)
            assert (one ^ other).bit_length() == (mapped[one] ^ mapped[other]).bit_length()
    for text in ("127.0.0.1", "169.254.1.1", "224.0.0.5", "255.255.255.255", "0.0.0.0", "::1", "fe80::1", "ff02::1:ff00:1", "0.0.0.0/0"):
        assert addresses.text(text) == text
    assert addresses.text("10.1.2.3") != "10.1.2.3" and Addresses(b"other").text("10.1.2.3") != addresses.text("10.1.2.3")
    network = addresses.text("10.1.2.0/24")
    assert network.endswith(".0/24") and ip_address(addresses.text("10.1.2.3")).packed[:3] == ip_address(network[:-3]).packed[:3]


@pytest.mark.parametrize("before", ["::ffff:", "64:ff9b::"])
def test_an_ipv4_address_inside_an_ipv6_one_has_the_same_pseudonym(before: str):
    addresses = Addresses(b"key")
    alone = addresses.text("10.1.2.3")
    assert ip_address(addresses.text(f"{before}10.1.2.3")) == ip_address(before + alone) != ip_address(f"{before}10.1.2.3")
    assert addresses.text(f"{before}127.0.0.1") == str(ip_address(f"{before}127.0.0.1"))
    network = ip_network(addresses.text(f"{before}10.1.2.0/120"))
    assert ip_address(before + alone) in network and network.prefixlen == 120
    assert addresses.inside(f"to {before}10.1.2.3, port 1") == f"to {ip_address(before + alone)}, port 1"


def test_names_keep_their_order_because_the_lowest_id_owns_an_address():
    names = Names(b"key")
    spaces, pods = ["shop", "shop-a", "a", "b"], ["web", "web-1", "x", "web/1"]
    for category, group in (("namespace", spaces), ("pod", pods)):
        for name in group:
            names.get(category, name)
    names.settle()
    whole = [(f"{space}/{pod}", f"{names.get('namespace', space)}/{names.get('pod', pod)}") for space in spaces for pod in pods]
    assert [new for _, new in sorted(whole)] == sorted(new for _, new in whole)


def test_the_command(tmp_path):
    packets, changed, names = tmp_path / "packets.json", tmp_path / "changed.json", tmp_path / "names.json"
    packets.write_text(json.dumps([{"proto": "tcp", "src": "10.244.10.11", "dst": "10.244.10.13", "from": "workload:shop/frontend-1"}]))
    arguments = [str(recording_path(name)) for name in RECORDINGS[:2]] + ["-o", str(tmp_path / "out"), "--key", "k", "--map", str(names)]
    result = CliRunner().invoke(redact, [*arguments, "--packets", str(packets), "--packets-output", str(changed), "--check", "20"])
    assert (result.exit_code, result.output) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(RECORDINGS[:2])
    table = json.loads(names.read_text())
    assert json.loads(changed.read_text())[0]["from"] == f"workload:{table['namespace']['shop']}/{table['pod']['frontend-1']}"
    again = CliRunner().invoke(redact, [*arguments[:2], "-o", str(tmp_path / "again"), "--key", "k", "--check", "0"])
    assert again.exit_code == 0 and (tmp_path / "again" / RECORDINGS[0]).read_bytes() == (tmp_path / "out" / RECORDINGS[0]).read_bytes()


def test_what_cannot_be_redacted_is_named(tmp_path):
    packets = tmp_path / "packets.json"
    packets.write_text('[{"raw": "00"}]')
    arguments = [str(recording_path(RECORDINGS[0])), "-o", str(tmp_path / "out"), "--check", "0"]
    result = CliRunner().invoke(redact, [*arguments, "--packets", str(packets), "--packets-output", str(tmp_path / "p")])
    assert (result.exit_code, result.stderr) == (2, f"calico-p4 redact: {packets}: [0]: a raw packet can't be redacted\n")
    assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(redact, [str(tmp_path / "none"), "-o", str(tmp_path / "out")]).exit_code == 2
