"""What others of this machine can't do to the driver, and what its own code never does."""

import ast
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_p4.admin.server import AdminServer
from k8s_p4.target import serve
from test.support.shared import ROOT

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def reached_by_nobody(path: Path) -> int:
    """Connect as another user; returns the errno, 0 where that works."""
    child = os.fork()
    if not child:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as other:
                os._exit(other.connect_ex(str(path)))
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("kind", ["admin", "target"])
def test_sockets_refuse_other_users(kind: str, open_folder: Path) -> None:
    path = open_folder / "socket"
    server = AdminServer(f"unix:{path}", lambda name, arguments: None) if kind == "admin" else serve(f"unix:{path}")
    try:
        assert reached_by_nobody(path) == 13, "EACCES"
        path.chmod(0o666)
        assert reached_by_nobody(path) == 0, "else this test shows nothing"
    finally:
        server.stop()


UNSAFE = {"subprocess", "pickle", "marshal", "shelve", "pty", "popen2"}
CALLS = {"system", "popen", "spawnl", "spawnv", "posix_spawn", "unsafe_load", "full_load"}
TOOLS = {
    "calico_p4/ci/determinism.py": "replays twice",
    "calico_p4/tools/symptoms.py": "bisect --run",
    "k8s_p4/compile.py": "p4c",
    "k8s_p4/compile_v1model.py": "p4c",
    "k8s_p4/p4rt.py": "made anew as a module, by a developer",
    "k8s_p4/target/dpdk/build.py": "the C compiler, for the DPDK engine",
}
"""What starts programs, because that is what it is asked for; the driver uses none of it."""


def test_nothing_shells_out_or_unpickles() -> None:
    found = {}
    for package in ("calico_p4", "felix_proto", "datastore", "translator", "k8s_p4"):
        for path in (ROOT / package).rglob("*.py"):
            if unsafe := set(unsafe_in(ast.parse(path.read_text()))):
                found[str(path.relative_to(ROOT))] = unsafe
    assert found.keys() <= TOOLS.keys(), found


def unsafe_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from {name.name for name in node.names} & UNSAFE
        elif isinstance(node, ast.ImportFrom):
            yield from {node.module or ""} & UNSAFE
        elif isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield node.attr
        elif isinstance(node, ast.Attribute) and node.attr == "load" and isinstance(node.value, ast.Name) and node.value.id == "yaml":
            yield "yaml.load"


def test_what_is_unsafe_is_seen() -> None:
    text = "import pickle\nfrom subprocess import run\nos.system('x')\nyaml.load(f)\nyaml.safe_load(f)\n"
    assert sorted(unsafe_in(ast.parse(text))) == ["pickle", "subprocess", "system", "yaml.load"]
