"""The import arrows of docs/design/house.md: data flows one way, and imports never go back."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from test.support.shared import ROOT

OURS = ("felix_proto", "datastore", "translator", "k8s_p4", "calico_p4")
ALLOWED = {
    "felix_proto": set(),
    "datastore": {"felix_proto"},
    "translator": {"felix_proto", "datastore", "k8s_p4.rows", "k8s_p4.reasons"},
    "k8s_p4": set(),
    "calico_p4": {"felix_proto", "datastore", "translator", "k8s_p4"},
}
NO_IO = {"asyncio", "grpc", "time", "datetime", "socket", "subprocess", "threading", "os", "pathlib", "io", "sqlite3", "random"}
PURE = {"translator": NO_IO, "felix_proto": {"grpc", "asyncio", "time", "socket"}, "datastore": NO_IO - {"sqlite3", "pathlib"}}
HARMLESS = {"socket.AF_INET", "socket.AF_INET6", "socket.inet_ntop", "socket.inet_pton"}
"""Conversions of text that happen to live in a module of IO."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Yield the full names of what a module imports."""
    tree = ast.parse(path.read_text(), str(path))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("package", OURS)
def test_imports_of_ours_follow_the_arrows(package: str):
    assert modules(package), f"no modules in {package}"
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imports(path)
        if name.partition(".")[0] in OURS and not inside(name, ALLOWED[package] | {package})
    ]
    assert not wrong


@pytest.mark.parametrize("package", PURE)
def test_who_does_no_io_imports_nothing_for_it(package: str):
    allowed_files = {"generate.py", "recordings.py"}  # a generator is a tool of its own; recordings are files
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        if path.name not in allowed_files
        for name in imports(path)
        if inside(name, PURE[package]) and name not in HARMLESS
    ]
    assert not wrong


def test_no_product_module_imports_tests_or_what_is_only_for_them():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in OURS
        for path in modules(package)
        for name in imports(path)
        if inside(name, {"test", "pytest", "hypothesis", "grpc_tools"}) and path.name not in ("generate.py", "compile.py", "testing.py")
    ]
    assert not wrong


def test_scapy_is_never_imported_at_module_level():
    wrong = [str(path) for package in OURS for path in modules(package) if any(inside(n, {"scapy"}) for n in imports(path, True))]
    assert not wrong


def test_the_command_line_starts_without_what_its_commands_need():
    heavy = {"grpc", "google.protobuf", "translator", "k8s_p4", "scapy", "jsonschema", "yaml", "structlog"}
    wrong = [name for name in imports(ROOT / "calico_p4" / "cli" / "__init__.py", True) if inside(name, heavy)]
    assert not wrong


def test_the_check_itself_sees_a_forbidden_import(tmp_path: Path):
    path = tmp_path / "bad.py"
    path.write_text("import grpc\nfrom calico_p4.driver import Driver\ndef f():\n    from scapy.all import IP\n")
    assert list(imports(path)) == ["grpc", "calico_p4.driver.Driver", "scapy.all.IP"]
    assert list(imports(path, True)) == ["grpc", "calico_p4.driver.Driver"]
    assert inside("calico_p4.driver.Driver", {"calico_p4"}) and not inside("calico_p4x", {"calico_p4"})
    assert sys.version_info >= (3, 11)
