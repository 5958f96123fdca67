"""Every command in the documents is run, every link followed. Commands stand in fenced blocks marked ``sh``."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from test.support.shared import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETUP = ("python3 -m venv .venv", ".venv/bin/pip install")
"""Steps that have been done where this test runs: they made the environment it runs in."""
SUITE = ".venv/bin/tox"
"""The suite itself, of which this test is a part."""


def blocks(path: Path, language: str = "sh") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    return [(path.name, line) for path in DOCUMENTS for block in blocks(path) for line in block.splitlines() if line.strip()]


def steps(command: str) -> list[str]:
    """What of a command is left to run here."""
    return [step for step in command.split(" && ") if not step.startswith(SETUP) and step != SUITE]


def run(step: str, folder: Path) -> subprocess.CompletedProcess:
    program, *arguments = shlex.split(step)
    assert program == ".venv/bin/calico-p4", f"a document tells to run {program}"
    (folder / "test").symlink_to(ROOT / "test")
    command = [sys.executable, "-m", "calico_p4", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False, env={"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(("document", "command"), commands())
def test_a_command_does_what_the_document_says(document: str, command: str, tmp_path: Path):
    for step in steps(command):
        result = run(step, tmp_path)
        assert (result.returncode, result.stderr) == (0, ""), step
        assert len(result.stdout.splitlines()) > 5


def test_every_command_is_found():
    assert len(commands()) >= 9 and all(steps(command) or SUITE in command for _, command in commands())


def test_the_gate_runs_the_readmes_second_command():
    assert blocks(ROOT / "README.md")[1].strip() in (ROOT / ".ci" / "run").read_text()


def test_the_first_command_shows_entries_and_telling_packets(tmp_path: Path):
    (step,) = steps(blocks(ROOT / "README.md")[0].strip())
    text = run(step, tmp_path).stdout
    entries, _, rest = text.partition("\nPackets\n")
    assert re.search(r"^ingress\.rules +\d{2,}$", entries, re.MULTILINE)
    assert len(re.findall(r"^\S.* +(allow|deny) +\S", rest, re.MULTILINE)) >= 12


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_are_there(document: Path):
    names = set(re.findall(r"`((?:[a-z0-9_.-]+/)+[a-zA-Z0-9_.-]*)`", document.read_text()))
    ours = {name for name in names if name.partition("/")[0] in {path.name for path in ROOT.iterdir()}}
    assert all((ROOT / name).exists() for name in ours), sorted(ours)


def test_names_of_this_machine_are_in_no_document():
    assert not [path for path in DOCUMENTS if re.search(r"(?<![\w.])/(work|tmp|opt|home)/", path.read_text())]
