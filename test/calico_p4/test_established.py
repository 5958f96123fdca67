"""The setting ``established_connections``: what a change of policy, told by a stream, does to connections that stand already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_p4.driver import Driver
from calico_p4.replay import Options, replay
from calico_p4.settings import BadSettings, Settings, gathered, handed_on, settled
from calico_p4.switch import Switch
from datastore.allocator import Allocator
from felix_proto import types as felix
from felix_proto.types import Rule
from k8s_p4.target import InProcessTarget
from test.support.build import endpoint, gnp, policy, profile, tier
from test.support.stream import save

WEB, DB = (felix.WorkloadEndpointID("k8s", f"shop/{name}", "eth0") for name in ("web", "db"))
AGAIN = {"established_connections": "reevaluate"}
SHUT = policy(gnp("db"), [Rule("deny", protocol="tcp")], [Rule("deny")])
OPEN = policy(gnp("db"), [Rule("allow", protocol="tcp")], [Rule("deny")])
ELSEWHERE = felix.IPSetUpdate("s:other", ("192.0.2.77/32",), 2)


def stream(*config: tuple[str, str]) -> list[felix.Payload]:
    """Two pods; db takes TCP in and begins nothing."""
    pods = [endpoint(WEB, name="caliweb", ipv4_nets=("10.0.0.1/32",), profile_ids=("open",), tiers=()),
            endpoint(DB, name="calidb", ipv4_nets=("10.0.0.2/32",), profile_ids=("open",), tiers=(tier("default", [gnp("db")], [gnp("db")]),))]  # fmt: skip
    return [felix.ConfigUpdate(config), profile("open", [Rule("allow")], [Rule("allow")]), OPEN, *pods, felix.InSync()]


def recording(tmp_path: Path, *payloads: felix.Payload) -> str:
    path = tmp_path / "recording.felixstream"
    save(path, payloads)
    return str(path)


def packet(name: str, there: bool, flags: str, after: int) -> dict[str, Any]:
    src, dst, sport, dport = ("10.0.0.1", "10.0.0.2", 40000, 80) if there else ("10.0.0.2", "10.0.0.1", 80, 40000)
    return {"id": name, "proto": "tcp", "src": src, "dst": dst, "sport": sport, "dport": dport, "tcp_flags": flags, "after": after, "flow": "keep"}


def told(tmp_path: Path, payloads: list[felix.Payload], packets: list[dict[str, Any]], config: dict[str, str] | None) -> list[str]:
    """The packets' reasons."""
    (tmp_path / "packets.json").write_text(json.dumps(packets))
    (tmp_path / "config.json").write_text(json.dumps(config or {}))
    outcome = replay(Options(recording(tmp_path, *payloads), packets=str(tmp_path / "packets.json"), config=str(tmp_path / "config.json")))
    assert outcome.errors == [] and outcome.answer is not None
    return [each["reason"] for each in outcome.answer["packets"]]


@pytest.mark.parametrize("config", [{}, {"established_connections": "keep"}, AGAIN, {"p4establishedconnections": "reevaluate"}], ids=str)
def test_a_connection_under_another_policy(tmp_path: Path, config: dict[str, str]) -> None:
    before = stream()
    begun = [packet("syn", True, "S", len(before)), packet("synack", False, "SA", len(before))]
    after = [packet(name, there, "PA", len(before) + 1) for name, there in (("answer", False), ("more", True), ("answer2", False))]
    reasons = told(tmp_path, [*before, SHUT], [*begun, *after], config)
    assert reasons[:2] == ["policy", "established"]
    again = "reevaluate" in config.values()
    assert reasons[2:] == (["policy", "policy", "policy"] if again else ["established"] * 3)


def test_the_dump_knows_no_history(tmp_path: Path) -> None:
    """However often the policy was another one before."""
    lines = []
    for payloads in ([*stream(), SHUT, OPEN, SHUT], [SHUT if payload is OPEN else payload for payload in stream()]):
        (tmp_path / "config.json").write_text(json.dumps(AGAIN))
        dump = tmp_path / f"dump{len(lines)}"
        assert replay(Options(recording(tmp_path, *payloads), config=str(tmp_path / "config.json"), dump=str(dump), flush=1)).status == 0
        lines.append(dump.read_text().splitlines())
    assert lines[0] == lines[1] and "epoch ip_version=4 -> policy_is(epoch=*)" in lines[0]


def test_a_stream_may_say_so_itself(tmp_path: Path) -> None:
    before = stream(("p4established_connections", "reevaluate"))
    reasons = told(tmp_path, [*before, SHUT], [packet("syn", True, "S", len(before)), packet("more", True, "PA", len(before) + 1)], None)
    assert reasons == ["policy", "policy"]


def test_what_changes_no_verdict_judges_nobody_again(tmp_path: Path) -> None:
    """A route; and coming to rest, before every group of packets."""
    before = stream()
    route = felix.RouteUpdate(dst="198.51.100.0/24", types=felix.RouteType.CIDR_INFO)
    packets = [packet(f"{after} {there}", there, "S" if after == len(before) and there else "A", after)
               for after in range(len(before), len(before) + 3) for there in (True, False)]  # fmt: skip
    reasons = told(tmp_path, [*before, route, route._replace(dst="203.0.113.0/24")], packets, AGAIN)
    assert reasons == ["policy"] + ["established"] * 5


@pytest.mark.parametrize(("config", "error"), [
    ({"established_connections": "both"}, "established_connections: 'both' is none of keep, reevaluate"),
    ({"p4establishd_connections": "keep"}, "p4establishd_connections is no setting; did you mean established_connections?"),
], ids=["value", "name"])  # fmt: skip
def test_a_misspelt_setting_is_an_error(tmp_path: Path, config: dict[str, str], error: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    outcome = replay(Options(recording(tmp_path, *stream()), config=str(tmp_path / "config.json")))
    assert outcome.status == 2 and str(tmp_path / "config.json") in outcome.errors[0] and error in outcome.errors[0]


def test_wherever_it_is_said_the_translator_hears_it() -> None:
    assert handed_on(Settings()) == {}
    for said in (gathered({"CALICO_P4_ESTABLISHED_CONNECTIONS": "reevaluate"}), gathered({}, {"p4establishedconnections": "reevaluate"})):
        assert handed_on(settled(said)) == {"p4established_connections": "reevaluate"}
    with pytest.raises(BadSettings, match="none of keep, reevaluate"):
        gathered({"CALICO_P4_ESTABLISHED_CONNECTIONS": "yes"})


class Node:
    """A switch that outlives its drivers."""

    def __init__(self, folder: Path) -> None:
        self.target, self.folder = InProcessTarget(), folder
        self.switch = Switch(self.target.channel, lambda: None)
        self.switch.prepare()

    def drive(self, *payloads: felix.Payload) -> Driver:
        """One life of a driver, which ends without a word."""
        allocator = Allocator(self.folder / "ids")
        driver = Driver(self.switch, allocator)
        for payload in payloads:
            driver.apply(payload)
        driver.rest()
        allocator.flush()
        allocator.close()
        return driver

    def epoch(self) -> int:
        rows = self.switch.read("epoch")
        assert rows.keys() == {(4,), (6,)}
        return int(rows[4,][1])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.target.stop()


def test_a_restart_moves_the_number_only_if_policy_has_changed(node: Node) -> None:
    same = stream(("p4established_connections", "reevaluate"))
    node.drive(*same)
    number = node.epoch()
    writes = node.drive(*same).pusher.writes
    assert node.epoch() == number and (writes.inserted, writes.modified, writes.deleted) == (0, 0, 0)
    node.drive(*[SHUT if payload is OPEN else payload for payload in same])
    assert node.epoch() == number + 1
    node.drive(*stream())
    assert node.switch.read("epoch") == {}


def test_the_number_moves_once_a_flush_and_behind_the_rows(node: Node) -> None:
    """A flow that was judged by the old rows must not count as judged by the new ones."""
    driver = node.drive(*stream(("p4established_connections", "reevaluate")))
    number = node.epoch()
    tables: list[str] = []
    write = node.switch.write

    def noting(ops: Any, *rest: Any) -> Any:
        tables.extend(op.table for op in ops)
        return write(ops, *rest)

    node.switch.write = noting  # type: ignore[method-assign]
    driver = Driver(node.switch, Allocator(node.folder / "ids"))
    for payload in (*stream(("p4established_connections", "reevaluate")), ELSEWHERE):
        driver.apply(payload)
    driver.rest()
    tables.clear()
    driver.apply(SHUT)
    driver.sync()
    assert node.epoch() == number + 1
    assert tables.count("epoch") == 2 and tables[-2:] == ["epoch", "epoch"] and "ingress.rules" in tables
    driver.rest()
    assert node.epoch() == number + 1, "what nobody uses is swept without a new number"
