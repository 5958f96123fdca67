"""Unmodified P4Runtime clients of other people, each in an environment of its own, on our switch as our driver left it.

The environments are made with pip, once, in the folder named by CALICO_P4_CLIENTS (else a temporary one); where that is not possible the
tests are skipped, and say why.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from calico_p4.replay import Options, replay
from k8s_p4 import artefacts
from k8s_p4.target import serve
from test.support.shared import ROOT, recording_path
from test.support.target import unused_port

CLIENTS = {"finsy_client.py": "finsy>=0.30,<0.31", "shell_client.py": "p4runtime-shell>=0.0.5,<0.1"}


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("CALICO_P4_CLIENTS") or tmp_path_factory.mktemp("clients"))


def python_with(environments: Path, requirement: str) -> Path:
    """Return an interpreter that has a package, which may not agree with the versions we use ourselves."""
    folder = environments / requirement.partition(">")[0]
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        command = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode:
            pytest.skip(f"pip can't install {requirement}: {result.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_a_strangers_client_reads_everything_and_writes_and_deletes_one(client: str, environments: Path, tmp_path: Path):
    python = python_with(environments, CLIENTS[client])
    server = serve(f"127.0.0.1:{unused_port()}")
    options = Options(str(recording_path("quickstart.felixstream")), target=server.address, state=str(tmp_path / "state"))
    try:
        ours = replay(options).answer
        script = ROOT / "test" / "support" / "clients" / client
        result = subprocess.run([python, script, server.address], capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout.splitlines()[-1])
        after = replay(options)
    finally:
        server.stop()
    assert answer["entries"] == sum(ours["entries"].values())
    assert len(answer["tables"]) == len(artefacts.p4info().tables)
    assert (answer["during"], answer["after"]) == (answer["before"] + 1, answer["before"])
    assert "ALREADY_EXISTS" in answer["duplicate"]
    assert (after.status, after.answer["writes"]["requests"]) == (0, 0), "the driver takes over again, and finds all as it left it"
