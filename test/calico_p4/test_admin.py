"""The admin API: a running driver answers over its socket as a recording of the same frames does."""

import json
import os
import socket as unix_socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calico_p4.admin import generate
from calico_p4.admin.client import AdminClient
from calico_p4.admin.server import AdminServer
from calico_p4.cli import main
from calico_p4.files import BadFile
from calico_p4.inspect.suggest import Unknown
from calico_p4.live import Live
from calico_p4.p4runtime.errors import TargetLost
from datastore.allocator import Allocator
from test.support.driven import WAIT_S
from test.support.shared import ROOT, recording_path

QUICKSTART = recording_path("quickstart.felixstream")


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a driver that has had all of the quickstart recording, and its stream still open."""
    reading, writing = os.pipe()
    live = Live("embedded", Allocator(), [], lambda frame: None)
    runner = threading.Thread(target=live.run, args=(os.fdopen(reading, "rb", buffering=0),), daemon=True)
    runner.start()
    os.write(writing, QUICKSTART.read_bytes())
    address = f"unix:{tmp_path_factory.mktemp('admin') / 'admin.sock'}"
    server = AdminServer(address, live.ask)
    settled(AdminClient(address))
    yield address
    server.stop()
    os.close(writing)
    runner.join(timeout=WAIT_S)


def settled(client: AdminClient) -> None:
    """Wait until the snapshot is on the target."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        checks = {check["check"]: check["ok"] for check in client.ask("check", {})}
        if checks["in sync"] and checks["converged"]:
            return
        threading.Event().wait(0.05)
    pytest.fail(f"the driver does not settle: {checks}")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("arguments", [
    ("get", "endpoints"), ("get", "policies"), ("get", "ipsets"), ("get", "entries"), ("get", "tables"), ("get", "degraded"), ("get", "routes"),
    ("get", "nodes"), ("get", "services"), ("get", "pools"), ("get", "config"), ("get", "rules"),
    ("describe", "policy", "payments/db-allow"), ("describe", "endpoint", "shop/frontend-1"),
])  # fmt: skip
def test_the_same_answers_as_offline(socket: str, arguments: tuple[str, ...]):
    assert json.loads(run(*arguments, socket, "-o", "json")) == json.loads(run(*arguments, str(QUICKSTART), "-o", "json"))


def test_a_trace_through_what_was_read_back_from_the_live_target(socket: str):
    arguments = ("--from", "shop/frontend-1", "--to", "payments/api-1", "--dport", "5432", "-o", "json")
    live, offline = (json.loads(run("trace", source, *arguments)) for source in (socket, str(QUICKSTART)))
    for answer in (live, offline):
        del answer["source"]
    assert live == offline and live["verdict"] == "deny" and live["steps"]


def test_a_trace_leaves_no_trace_on_the_target(socket: str):
    for _ in range(3):
        run("trace", socket, "--from", "shop/frontend-1", "--to", "shop/backend-1", "--dport", "9090")
    assert not any(rule["packets"] for rule in json.loads(run("get", "rules", socket, "-o", "json")))


def test_flows_of_the_live_target(socket: str):
    assert run("get", "flows", socket, "-o", "json").strip() == "[]"
    assert {item["event"]: item["flows"] for item in json.loads(run("get", "flowcounts", socket, "-o", "json"))}["learned"] == 0
    assert run("clear", "flows", socket) == "0 flows forgotten\n"


def test_only_the_owner_may_ask(socket: str):
    assert stat.S_IMODE(Path(socket.removeprefix("unix:")).stat().st_mode) == 0o600


def test_mistakes_come_back_as_what_they_are(socket: str):
    client = AdminClient(socket)
    with pytest.raises(Unknown, match="did you mean shop/frontend-2 or shop/frontend-1"):
        client.ask("trace", {"source": "shop/frontend-9", "to": "shop/backend-1"})
    with pytest.raises(BadFile, match="nonsense"):
        client.ask("nonsense", {})
    with pytest.raises(BadFile, match="colour"):
        client.ask("trace", {"colour": "red"})
    client.close()


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TargetLost, match="no driver answers"):
        AdminClient(f"unix:{tmp_path / 'none.sock'}")
    monkeypatch.setenv("CALICO_P4_ADMIN", f"unix:{tmp_path / 'none.sock'}")
    result = CliRunner().invoke(main, ["get", "endpoints"])
    assert result.exit_code == 3 and "no driver answers there; give a recording, a bundle or unix:PATH as SOURCE" in result.stderr


def test_what_is_in_the_way_is_not_removed(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="no socket"):
        AdminServer(f"unix:{tmp_path / 'file'}", lambda name, arguments: None)
    with pytest.raises(ValueError, match="unix:PATH only"):
        AdminServer("0.0.0.0:9", lambda name, arguments: None)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_socket_left_behind_is_taken_over(tmp_path: Path):
    address = f"unix:{tmp_path / 'admin.sock'}"

    def answers(name: str, arguments: Any) -> Any:
        return [name, arguments]

    with unix_socket.socket(unix_socket.AF_UNIX) as left_behind:  # as after kill -9
        left_behind.bind(address.removeprefix("unix:"))
    server = AdminServer(address, answers)
    assert AdminClient(address).ask("x", {"y": 1}) == ["x", {"y": 1}]
    with pytest.raises(OSError, match="another driver answers there"):
        AdminServer(address, answers)
    assert AdminClient(address).ask("x", {"y": 2}) == ["x", {"y": 2}]
    server.stop()


def test_the_generated_module_is_up_to_date():
    pytest.importorskip("grpc_tools", reason="no grpcio-tools: protoc is needed to generate the module anew")
    assert generate.generate() == (ROOT / generate.MODULE).read_text()
