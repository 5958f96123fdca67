"""Settings: three places, which one counts, and what is not one."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from calico_p4 import felix
from calico_p4.cli.check import command
from calico_p4.first import FirstFrame
from calico_p4.p4runtime.tls import Tls
from calico_p4.settings import NAMES, BadSettings, Settings, gathered, settled
from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import encode_frame
from test.support.driven import WAIT_S, driver
from test.support.target import running_target


class Bytes:
    """A stream that comes in pieces."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data, self._piece = data, piece

    def read(self, size: int, /) -> bytes:
        size = min(size, self._piece)
        data, self._data = self._data[:size], self._data[size:]
        return data


def config_frame(**config: str) -> bytes:
    return encode_frame(pb.ToDataplane(config_update={"config": config}).SerializeToString())


def test_what_nobody_said_has_its_default():
    assert settled(gathered({})) == Settings()
    assert Settings().metrics.startswith("127.0.0.1:"), "HTTP is on loopback unless told otherwise"
    assert settled(gathered({"CALICO_P4_TARGET": "", "PATH": "/bin"})) == Settings()


def test_felix_counts_before_the_environment_and_that_before_the_file(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("target: unix:/file\nstate: /file\nrule_hits: true\n")
    environment = {"CALICO_P4_CONFIG": str(tmp_path / "c.yaml"), "CALICO_P4_STATE": "/environment", "CALICO_P4_ADMIN": "none"}
    found = settled(gathered(environment, {"p4admin": "unix:/felix", "p4_log_level": "debug", "p4loglevel": "debug", "LogSeverityScreen": "Info"}))
    assert (found.target, found.state, found.admin, found.log_level, found.rule_hits) == ("unix:/file", "/environment", "unix:/felix", "debug", "true")


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_its_name_in_each_place(name: str, tmp_path: Path):
    of = {"log_level": "debug", "log_format": "json", "rule_hits": "true", "foreign_pipeline": "replace", "foreign_entries": "delete",
          "established_connections": "reevaluate", "architecture": "v1model"}  # fmt: skip
    value = of.get(name, "x")
    (tmp_path / "c.json").write_text(json.dumps({name: value}))
    for said in (
        gathered({f"CALICO_P4_{name.upper()}": value}), gathered({}, {f"p4{name.replace('_', '')}": value}), gathered({}, {f"p4_{name}": value}),
        gathered({}, None, str(tmp_path / "c.json")),
    ):  # fmt: skip
        assert [(each.name, each.value) for each in said] == [(name, value)]


@pytest.mark.parametrize(
    ("environment", "config", "file", "told"),
    [
        ({"CALICO_P4_TARGTE": "x"}, {}, "", "environment: CALICO_P4_TARGTE is no setting; did you mean target?"),
        ({}, {"p4logllevel": "x"}, "", "Felix: p4logllevel is no setting; did you mean log_level?"),
        ({}, {}, "tragets: x", "c.yaml: tragets is no setting; did you mean target?"),
        ({}, {}, "zzz: x", "c.yaml: zzz is no setting; there are target, "),
        ({}, {}, "[1, 2]", "c.yaml: not a list of names with values"),
        ({}, {}, "target: [1]", "c.yaml: target: not a text"),
        ({}, {}, "target: 'x", "c.yaml: while scanning"),
        ({"CALICO_P4_LOG_LEVEL": "loud"}, {}, "", "environment: CALICO_P4_LOG_LEVEL: 'loud' is none of debug, info"),
        ({"CALICO_P4_TLS_CERT": "x"}, {}, "", "tls_cert and tls_key go together"),
        ({"CALICO_P4_TLS_CERT": "x", "CALICO_P4_TLS_KEY": "x"}, {}, "", "tls_cert without tls_ca"),
    ],
)
def test_what_can_not_be_meant_is_named_with_its_place(environment: dict, config: dict, file: str, told: str, tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text(file or "{}")
    with pytest.raises(BadSettings) as raised:
        settled(gathered(environment, config, str(path)))
    assert told in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(BadSettings, match="nothing.yaml"):
        gathered({}, None, str(tmp_path / "nothing.yaml"))


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_the_first_frame_is_looked_at_and_not_lost(piece: int):
    data = config_frame(p4target="x") + encode_frame(b"rest")
    first = FirstFrame(Bytes(data, piece))
    assert first.config() == {"p4target": "x"}
    read = b""
    while part := first.read(7):
        read += part
    assert read == data


@pytest.mark.parametrize("data", [b"", b"\1", b"\xff" * 8, encode_frame(b"\xff\xff"), encode_frame(b"")[:8] + b"x", config_frame()[:-1]])
def test_a_beginning_that_makes_no_sense_is_left_to_whoever_reads_it(data: bytes):
    first = FirstFrame(Bytes(data, 3))
    assert first.config() == {}
    read = b""
    while part := first.read(7):
        read += part
    assert read == data


def test_nothing_is_waited_for_that_a_damaged_header_promises():
    class Waits(Bytes):
        def read(self, size: int, /) -> bytes:
            return super().read(size) or pytest.fail("Felix says nothing more, and the driver would wait for ever")

    assert FirstFrame(Waits(b"\xff" * 8, 8)).config() == {}


@pytest.mark.parametrize("changed", [{}, {"foreign_pipeline": "replace", "foreign_entries": "delete", "rule_hits": "true", "kubernetes": "in-cluster", "fib": "bird"}])
def test_each_setting_gets_to_whom_it_concerns(changed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    made: dict[str, Any] = {}

    class Recorder:
        def __init__(self, target: str, allocator: Any, ports: Any, send: Any, **options: Any) -> None:
            made.update(options, target=target, live=self)
            self.driver = SimpleNamespace(delete_foreign=False)

        def run(self, frames: Any) -> int:
            return 7

    monkeypatch.setattr(felix, "Live", Recorder)
    monkeypatch.setattr(felix, "open_switch", lambda target, tls, architecture: (target, tls, architecture))
    settings = Settings(target="unix:/x", state=str(tmp_path), admin="none", metrics="none", **changed)
    assert felix.drive(settings, [], io.BytesIO(), lambda said: None) == 7
    assert (made["target"], made["opener"]("t")) == ("unix:/x", ("t", None, "pna"))
    told = [made["replace_pipeline"], made["live"].driver.delete_foreign, made["rule_hits"], made["kubernetes"], made["fib"]]
    assert told == ([True, True, True, "in-cluster", "bird"] if changed else [False, False, False, None, None])
    assert felix.drive(replace(settings, tls_ca="ca", tls_cert="cert", tls_key="key", tls_name="name", state=str(tmp_path / "again")), [], io.BytesIO(), lambda said: None) == 7
    assert made["opener"]("t") == ("t", Tls("ca", "cert", "key", "name"), "pna")


def test_felix_names_the_target(tmp_path: Path):
    with running_target(tmp_path) as address, driver(tmp_path, f"unix:{tmp_path}/nobody") as felix:
        felix.send(config_frame(p4target=address))
        felix.until(lambda: "connected" in felix.log() and address in felix.log())


def test_a_misspelt_setting_of_felix_ends_the_driver(tmp_path: Path):
    with driver(tmp_path, "embedded") as felix:
        felix.send(config_frame(p4tragets="x"))
        assert felix.process.wait(WAIT_S) == 1
        assert "p4tragets is no setting; did you mean target?" in felix.log()


def test_check_explains_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("CALICO_P4_")]:  # the tests' own
        monkeypatch.delenv(name)
    (tmp_path / "c.yaml").write_text("state: /var/lib/x\n")
    runner = CliRunner()
    shown = runner.invoke(command, ["--settings", str(tmp_path / "c.yaml"), "-o", "json"], env={"CALICO_P4_TARGET": "unix:/t"})
    found = {each["setting"]: (each["value"], each["from"]) for each in json.loads(shown.output)}
    assert shown.exit_code == 0 and found.keys() == set(NAMES)
    assert found["target"] == ("unix:/t", "environment") and found["state"] == ("/var/lib/x", str(tmp_path / "c.yaml")) and found["admin"][1] == "default"
    (tmp_path / "c.yaml").write_text("stat: x\n")
    wrong = runner.invoke(command, ["--settings", str(tmp_path / "c.yaml")])
    assert wrong.exit_code == 2 and "stat is no setting; did you mean state?" in wrong.output


def test_rules_that_are_none_are_found_by_who_checks():
    with pytest.raises(BadSettings, match="interfaces: 'eth0' is no rule"):
        settled(gathered({"CALICO_P4_INTERFACES": "eth0"}))
    assert settled(gathered({"CALICO_P4_INTERFACES": "eth0=uplink"})).interfaces == "eth0=uplink"
