"""The worked example of docs/streams.md, run as a CI system would; and the plug-in for pytest by itself."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from test.support.shared import ROOT

DOCUMENT = (ROOT / "docs" / "streams.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository as the document has it, with calico-p4 and pytest on a path of its own."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "test").symlink_to(ROOT / "test")
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, module in (("calico-p4", "calico_p4"), ("pytest", "pytest")):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        program.chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    plugged = any(entry.value == "calico_p4.testing" for entry in entry_points(group="pytest11"))
    loaded = {} if plugged else {"PYTEST_PLUGINS": "calico_p4.testing"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return {**inherited, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **loaded}


def shell(script: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False)


def test_the_document_can_be_followed(folder: Path):
    (tests,) = blocks("python")
    (folder / "test_cluster.py").write_text(tests)
    for script in blocks("bash"):
        result = shell(script, folder)
        assert result.returncode == 0, f"{script}\n{result.stdout}\n{result.stderr}"
    assert ET.parse(folder / "replay.xml").getroot().get("failures") == "0"
    assert ET.parse(folder / "pytest.xml").getroot()[0].get("tests") == str(tests.count("def test_"))
    assert (folder / "test_small.py").is_file()


def test_the_job_fails_when_a_verdict_changes(folder: Path):
    job = next(block for block in blocks("bash") if "--junit replay.xml" in block).replace("--determinism", "").partition("\npytest")[0]
    assert shell(blocks("bash")[0], folder).returncode == 0
    verdicts = folder / "golden" / "quickstart.verdicts.txt"
    verdicts.write_text(verdicts.read_text().replace("deny", "allow", 1))
    assert shell(job, folder).returncode == 3


PLUGGED = """
import pytest

def test_golden(felix_stream, felix_golden):
    felix_golden(felix_stream("test/recordings/quickstart.felixstream", after=146), "quickstart.rows")

def test_unknown(felix_stream):
    with pytest.raises(Exception, match="frontend-1"):
        felix_stream("test/recordings/quickstart.felixstream").send("shop/frontend-9", "shop/backend-1")

def test_wrong(felix_stream):
    assert felix_stream("test/recordings/quickstart.felixstream").send("shop/frontend-1", "payments/api-1", dport=8443).allowed
"""


def test_the_plug_in(folder: Path):
    (folder / "test_plugged.py").write_text(PLUGGED)
    missing = shell("pytest test_plugged.py", folder)
    assert missing.returncode == 1 and "no golden file; --felix-update-golden writes it" in missing.stdout and "2 failed, 1 passed" in missing.stdout
    assert "1 failed, 2 passed" in shell("pytest --felix-update-golden test_plugged.py", folder).stdout
    golden = folder / "quickstart.rows"
    lines = golden.read_text().splitlines()
    assert "1 failed, 2 passed" in shell("pytest test_plugged.py", folder).stdout
    golden.write_text("\n".join(lines[1:]))
    differing = shell("pytest test_plugged.py -k golden", folder)
    assert differing.returncode == 1 and f"+ {lines[0]}" in differing.stdout and "1 rows differ" in differing.stdout
