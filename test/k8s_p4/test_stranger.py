"""A P4Runtime client that has never heard of us: finsy, as published, in an environment of its own.

It pins an older protobuf and brings its own stubs, so it can't live in ours. Skipped where that environment can't be made.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from k8s_p4.target import serve
from test.support import mini
from test.support.p4target import Session, ours

FINSY = "finsy==0.30.0"
CLIENT = Path(__file__).parent / "data" / "finsy_client.py"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment that has finsy."""
    folder = tmp_path_factory.mktemp("finsy")
    found = str(folder / "bin" / "python")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=120)
        subprocess.run([found, "-m", "pip", "install", "-q", "--only-binary=:all:", FINSY], check=True, capture_output=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"no environment with {FINSY} can be made here: {error}")
    return found


@pytest.fixture
def server() -> Iterator[str]:
    running = serve("127.0.0.1:0")
    yield running.address
    running.stop()


def visit(python: str, address: str, table: str, field: str, action: str, params: dict[str, int], counter: str) -> dict[str, Any]:
    """What finsy saw."""
    command = [python, str(CLIENT), address, table, field, action, json.dumps(params), counter]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def check(seen: dict[str, Any], session: Session) -> None:
    assert seen["tables"] == sorted(t.preamble.name for t in session.p4info.tables)
    assert len(seen["before"]) == len(session.entries()) > 0
    assert seen["after"] == seen["before"] and len(seen["during"]) == len([e for e in seen["before"] if e["table"] == seen["one"]["table"]]) + 1
    assert seen["one"] in seen["during"] and seen["one"] not in seen["before"]
    assert seen["duplicate"] == "ALREADY_EXISTS"
    assert seen["primary"] is True


def test_finsy_on_the_mini_program(python: str, server: str) -> None:
    with grpc.insecure_channel(server) as channel, mini.over(channel) as session:
        mini.open_all(session)
        session.close()
        seen = visit(python, server, "ports", "input_port", "enter", {"zone": 9}, "slots")
        check(seen, session)
        assert seen["counters"] == 20
        assert {k: seen["during"][0][k] for k in ("table", "match", "priority")} == {"table": "ports", "match": {"input_port": "1"}, "priority": 0}


def test_finsy_on_our_pipeline(python: str, server: str) -> None:
    with grpc.insecure_channel(server) as channel, ours(channel) as session:
        session.allow_one()
        session.close()
        params = {"endpoint": 7, "flags": 0, "host_endpoint": 0, "incarnation": 8}
        seen = visit(python, server, "port", "ingress_port", "workload", params, "drops")
        check(seen, session)
        assert seen["counters"] == session.find("counters", "drops").size
