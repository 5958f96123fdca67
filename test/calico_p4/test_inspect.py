"""Questions about recordings and bundles: what they answer, how they fail, how soon, and that they fit the screen."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calico_p4.cli import main
from calico_p4.inspect import tablemap
from calico_p4.inspect.craft import Flow, frame
from calico_p4.inspect.scene import replayed
from calico_p4.inspect.snapshot import payloads_of, stream_of
from datastore.intent import IntentStore
from felix_proto.decode import Decoder
from felix_proto.framing import FrameParser
from test.support.cpu import cpu_seconds
from test.support.shared import ROOT, recording_path

QUICKSTART, CHURN = str(recording_path("quickstart.felixstream")), str(recording_path("churn.felixstream"))
PACKETS = str(ROOT / "test" / "recordings" / "quickstart.packets.json")
TABLE = ["--from", "shop/frontend-1", "--to", "payments/api-1", "--dport", "8443"]


def ask(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("bundle") / "all.zip")
    assert ask("bundle", QUICKSTART, "-f", path)[0] == 0
    return path


@pytest.mark.parametrize("arguments", [
    ("get", "endpoints"), ("get", "policies"), ("get", "entries"), ("get", "ipsets"), ("get", "entries", "--pod", "shop/cart-1"),
    ("describe", "ipset", "s:z-7M_vYvRxJNaD_DoAmeQ3brKPhCvPBUT6Y_eg"), ("trace", *TABLE), ("trace", "--all"), ("check",),
])  # fmt: skip
def test_a_bundle_answers_as_what_it_was_made_of(bundle: str, arguments: tuple[str, ...]):
    here, there = (ask(*arguments, source, "-o", "json") for source in (bundle, QUICKSTART))
    answers = [json.loads(text) for _, text, _ in (here, there)]
    for answer in answers:
        if isinstance(answer, dict):
            answer.pop("source", None)
    assert answers[0] == answers[1] and here[0] == there[0]


def test_a_bundle_holds_the_very_entries_of_the_target_and_not_what_should_be_there(tmp_path: Path):
    from calico_p4.inspect.bundle import contents, write_bundle

    scene = replayed(QUICKSTART)
    members = contents(scene)
    gone = members["rows.json"]["ingress.binding"].pop()
    write_bundle(str(tmp_path / "less.zip"), members)
    status, text, _ = ask("diff", "desired", "actual", "--source", str(tmp_path / "less.zip"), "-o", "json")
    removed = json.loads(text)["entries"]["removed"]
    assert status == 1 and len(removed) == 1 and removed[0]["table"] == "ingress.binding" and gone
    assert ask("check", str(tmp_path / "less.zip"))[0] == 1
    scene.close()


def test_the_snapshot_of_a_state_makes_the_same_state():
    scene, store, parser, decoder = replayed(CHURN), IntentStore(), FrameParser(), Decoder()
    for each in parser.feed(stream_of(payloads_of(scene.store))):
        store.apply(decoder.decode(each).payload)
    for name in ("config", "policies", "profiles", "endpoints", "host_endpoints", "routes", "vteps", "host_metadata", "pools", "services", "bgp"):
        assert dict(vars(store)[name]) == dict(vars(scene.store)[name]) if name != "bgp" else store.bgp == scene.store.bgp
    assert {name: known.members for name, known in store.ip_sets.items()} == {name: known.members for name, known in scene.store.ip_sets.items()}
    assert store.in_sync
    scene.close()


def test_entries_by_policy_name_only_what_the_policy_is_behind():
    items = json.loads(ask("get", "entries", QUICKSTART, "--policy", "payments/db-allow", "-o", "json")[1])
    rules = [item for item in items if item["table"] == "ingress.rules"]
    assert rules and all("KubernetesNetworkPolicy payments/db-allow" in item["objects"] for item in rules)
    everything = json.loads(ask("get", "entries", QUICKSTART, "-o", "json")[1])
    assert len(items) < len(everything) / 2 and len({item["id"] for item in everything}) == len(everything)


def test_each_entry_is_explained_by_its_id_and_by_its_text():
    items = json.loads(ask("get", "entries", QUICKSTART, "-o", "json")[1])
    for item in items[:: len(items) // 5]:
        by_id = json.loads(ask("explain", "entry", item["id"], QUICKSTART, "-o", "json")[1])
        by_text = json.loads(ask("explain", "entry", f"{item['table']} {item['key']}", QUICKSTART, "-o", "json")[1])
        assert by_id == by_text and by_id["wanted"] and by_id["owner"] == item["owner"]


def test_differences_between_moments_and_with_a_file(tmp_path: Path):
    assert ask("diff", f"{CHURN}@380", f"{CHURN}@380")[0] == 0
    status, text, _ = ask("diff", f"{CHURN}@360", f"{CHURN}@366", "-o", "json")
    answer = json.loads(text)
    assert status == 1 and {item["object"] for item in answer["objects"]["added"]} == {"Route 198.51.100.14/32"}
    (tmp_path / "golden").write_text(ask("get", "entries", QUICKSTART)[1])
    assert ask("diff", str(tmp_path / "golden"), "actual", "--source", QUICKSTART)[0] == 0
    lines = (tmp_path / "golden").read_text().splitlines()
    (tmp_path / "golden").write_text("\n".join(reversed(lines[1:])))
    assert ask("diff", str(tmp_path / "golden"), "actual", "--source", QUICKSTART)[0] == 1


def test_hits_and_drops_by_name():
    rules = json.loads(ask("top", "rules", QUICKSTART, "--packets", PACKETS, "-o", "json")[1])
    assert rules[0]["packets"] == max(rule["packets"] for rule in rules) > 1 and all(rule["policy"] for rule in rules)
    drops = json.loads(ask("top", "drops", QUICKSTART, "--packets", PACKETS, "-o", "json")[1])
    assert {item["reason"] for item in drops} >= {"policy", "spoofed"}


def test_a_packet_from_a_capture_is_the_packet_from_its_fields(tmp_path: Path):
    scene = replayed(QUICKSTART)
    port = scene.ports.get("cali387996caa80")
    assert port is not None
    raw = frame(Flow(6, "10.244.10.11", "10.244.10.13", dport=9090), port.mac)
    scene.close()
    head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    (tmp_path / "x.pcap").write_bytes(head + bytes(8) + len(raw).to_bytes(4, "little") * 2 + raw)
    fields = json.loads(ask("trace", QUICKSTART, "--from", "shop/frontend-1", "--to", "shop/backend-1", "--dport", "9090", "-o", "json")[1])
    for given in (raw.hex(), str(tmp_path / "x.pcap"), f"{tmp_path / 'x.pcap'}:0"):
        assert json.loads(ask("trace", QUICKSTART, "--packet", given, "-o", "json")[1]) == fields
    assert fields["verdict"] == "allow"
    assert ask("trace", QUICKSTART, "--packet", f"{tmp_path / 'x.pcap'}:1")[0] == 2


@pytest.mark.parametrize(("arguments", "status", "error"), [
    (["trace", QUICKSTART, "--from", "shop/frontend-9", "--to", "host"], 1, "did you mean shop/frontend-2 or shop/frontend-1"),
    (["trace", QUICKSTART, "--from", "shop/cart-1", "--to", "host", "--proto", "tpc"], 1, "no protocol 'tpc'; did you mean tcp"),
    (["trace", QUICKSTART], 1, "a packet needs --from and --to, or --packet"),
    (["trace", QUICKSTART, "--packet", "none.pcap"], 2, "none.pcap: No such file or directory"),
    (["trace", QUICKSTART, "--from", "shop/cart-1", "--to", "fd00::1"], 1, "have no addresses of one family in common"),
    (["get", "entries", QUICKSTART, "--policy", "payments/db-alow"], 1, "did you mean payments/db-allow"),
    (["get", "endpoints", QUICKSTART, "--policy", "x"], 2, "--policy is for get entries"),
    (["get", "endpoints", QUICKSTART, "--sort-by", "colour"], 2, "no field 'colour'; there are namespace"),
    (["get", "endpoints", QUICKSTART, "-w"], 2, "--watch is for a running driver"),
    (["explain", "entry", "ffffffffffffff", QUICKSTART], 1, "no entry 'ffffffffffffff'"),
    (["diff", "desired", "nothing", "--source", QUICKSTART], 2, "nothing: No such file or directory"),
    (["describe", "policy", "payments/db-alow", QUICKSTART], 1, "did you mean payments/db-allow"),
    (["describe", "ipset", "s:none", QUICKSTART], 1, "no IP set 's:none'"),
    (["capabilities", "unix:none.sock"], 3, "no P4Runtime server answers"),
    (["get", "endpoints", "unix:none.sock"], 3, "no driver answers there"),
    (["traec"], 2, "Did you mean trace"),
])  # fmt: skip
def test_mistakes_are_told_and_what_was_meant(arguments: list[str], status: int, error: str):
    found, _, text = ask(*arguments)
    assert found == status and error in text and "Traceback" not in text


def test_a_fault_of_the_program_is_one_line_unless_more_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("calico_p4.inspect.questions.answer", broken)
    status, _, text = ask("check", QUICKSTART)
    assert status == 70 and text == "calico-p4: a fault of this program: ZeroDivisionError: broken (--debug shows where)\n"
    assert isinstance(CliRunner().invoke(main, ["--debug", "check", QUICKSTART]).exception, ZeroDivisionError)


@pytest.mark.parametrize("kind", ["endpoints", "policies", "ipsets", "tables", "rules", "degraded", "routes", "nodes", "services", "pools", "ports", "config"])
def test_every_table_fits_the_screen(kind: str):
    for output in ("table", "wide"):
        lines = ask("get", kind, QUICKSTART, "-o", output)[1].splitlines()
        assert lines and max(map(len, lines)) <= 120


def test_answers_come_soon(bundle: str):
    start = cpu_seconds("-c", "pass")
    ratios = {name: cpu_seconds("-m", "calico_p4", *command) / start for name, command in (("--help", ["--help"]), ("get", ["get", "endpoints", bundle]))}
    assert all(ratio < 12 for ratio in ratios.values()), f"design: 6 times; twice that on a busy machine: {ratios}"


def test_get_on_a_bundle_loads_nothing_heavy(bundle: str):
    code = "import sys; from calico_p4.cli import main; main(['get', 'endpoints', sys.argv[1]], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code, bundle], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"grpc", "google.protobuf", "structlog", "translator", "k8s_p4", "scapy", "yaml", "jsonschema"}
    assert not heavy & set(result.stderr.split())


@pytest.mark.parametrize("path", list(tablemap.FILES))
def test_the_generated_documents_are_up_to_date(path: str):
    assert (ROOT / path).read_text() == tablemap.FILES[path](), "python -m calico_p4.inspect.tablemap writes them anew"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str):
    assert "_CALICO_P4_COMPLETE" in ask("completion", shell)[1]
