"""What an installed package has to have beside its modules, and how the settings hold together."""

import configparser
from importlib.metadata import distributions, entry_points
from pathlib import Path

import pytest

from test.support.shared import ROOT

NEEDED = [
    "calico_p4/schemas/answer.json",
    "calico_p4/schemas/packets.json",
    "calico_p4/py.typed",
    "felix_proto/felixbackend.proto",
    "k8s_p4/artefacts/main_pna.spec",
    "k8s_p4/artefacts/main_pna.context.json",
    "k8s_p4/artefacts/main_v1model.json",
    "k8s_p4/artefacts/main_v1model.p4info.pb",
    "k8s_p4/artefacts/manifest.json",
    "k8s_p4/p4/core/policy.p4",
    "k8s_p4/p4/main_pna.p4",
    "k8s_p4/target/embedded.proto",
]


@pytest.fixture(scope="module")
def installed() -> set[str]:
    for found in distributions(name="calico-p4"):
        names = {str(path) for path in found.files or ()}
        if any(name.endswith(".dist-info/RECORD") for name in names):  # not what a build left in the checkout
            return names
    pytest.skip("calico-p4 is not installed here; the tests run from the checkout")


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_is_installed(name: str, installed: set[str]):
    assert (ROOT / name).is_file()
    assert name in installed or any("__editable__" in path for path in installed)


def test_every_module_and_data_file_is_installed(installed: set[str]):
    if any("__editable__" in path for path in installed):
        pytest.skip("installed as editable: nothing was copied")
    packages = ("calico_p4", "datastore", "felix_proto", "k8s_p4", "translator")
    ours = {str(path.relative_to(ROOT)) for package in packages for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in str(path)}
    assert not ours - installed


def test_both_programs_are_installed(installed: set[str]):
    names = {entry.name: entry.value for entry in entry_points(group="console_scripts")}
    assert names["calico-p4"] == "calico_p4.cli:main" and names["calico-p4-driver"] == "calico_p4.felix:main"


def test_no_dependency_is_pinned_to_one_version():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lines = [settings["options"]["install_requires"], *settings["options.extras_require"].values()]
    wanted = [line.strip() for text in lines for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert wanted and not [line for line in wanted if "==" in line or not (">=" in line or line.startswith("scapy"))]


def test_the_build_file_says_how_to_build_and_nothing_of_the_project():
    text = Path(ROOT / "pyproject.toml").read_text()
    assert "[build-system]" in text and "[project]" not in text
