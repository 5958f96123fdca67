"""``get flows``, ``get flowcounts`` and ``clear flows``: what the switch has learned, both directions as one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from scapy.layers.inet import UDP

from calico_p4.cli import clear, get
from calico_p4.inspect.flows import clear as clear_flows
from calico_p4.inspect.flows import flow_counts, flows
from calico_p4.inspect.questions import answer
from calico_p4.inspect.suggest import Unknown
from k8s_p4.reasons import Reason
from test.support.nat import masquerade_as, pool, service
from test.support.pipeline import FAR, FAR_V6, NODE_V6, POD1, POD1_V6, POD2, POD2_V6, Bench
from test.support.talk import HOST, ONE, REMOTE, TWO, Party, Talk, deny
from test.support.target import ON_BMV2

VIP = Party("eth0", "10.96.0.10", "fd00:96::a")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def scene(bench: Bench) -> Any:
    return SimpleNamespace(switch=bench.switch)


def told(bench: Bench, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(item[field] for field in fields) for item in flows(scene(bench))]


def test_both_directions_are_one_flow(bench: Bench) -> None:
    talk = Talk(bench, 4)
    talk.handshake(ONE, TWO)
    talk.wait(10)
    assert talk.udp(ONE, REMOTE) == Reason.POLICY_ALLOW
    talk.wait(5)
    talk.learned()
    assert told(bench, "protocol", "src", "dst", "leaves", "state", "age", "expires") == [
        ("tcp", f"{POD1}:40000", f"{POD2}:80", "", "open", 15.0, 43200.0 if ON_BMV2 else 43185.0), ("udp", f"{POD1}:40000", f"{FAR}:53", "", "open", 5.0, 30.0 if ON_BMV2 else 25.0),  # who keeps flows for a target does not know when they were hit
    ]  # fmt: skip
    assert talk.tcp(TWO, ONE, "FA", 80, 40000) == Reason.ESTABLISHED
    assert told(bench, "protocol", "state") == [("tcp", "closing"), ("udp", "open")]
    bench.forget_learned("flow_v4", lambda name: name.startswith("forth"))
    assert told(bench, "protocol", "state", "learned") == [("tcp", "closing", ["back"]), ("udp", "one half", ["back"])]


def test_the_translation_is_shown(bench: Bench) -> None:
    talk = Talk(bench, 6)
    service(bench, VIP.v6, 80, [(POD2_V6, 8080)])
    pool(bench, "fd00::/64", 3)
    masquerade_as(bench, NODE_V6, first=20000, mask=0)
    assert talk.tcp(ONE, VIP, "S") == Reason.POLICY_ALLOW
    talk.wait(1)
    assert talk.echo(ONE, REMOTE, 77) == Reason.POLICY_ALLOW
    talk.learned()
    assert told(bench, "protocol", "src", "dst", "leaves") == [
        ("tcp", f"[{POD1_V6}]:40000", f"[{VIP.v6}]:80", f"[{POD1_V6}]:40000 -> [{POD2_V6}]:8080"),
        ("icmpv6", f"[{POD1_V6}] id 77", f"[{FAR_V6}]", f"[{NODE_V6}] id 20000 -> [{FAR_V6}]"),
    ]


def test_counts(bench: Bench) -> None:
    talk = Talk(bench, 4)
    bench.shrink("flow_v4", 1)
    for sport in (1, 2, 3):
        assert talk.udp(ONE, TWO, sport).allows
    counted = {item["event"]: item["flows"] for item in flow_counts(scene(bench))}
    assert counted == {"learned": 2, "clashed": 0, "refused": 1, "judged again": 0, "live halves": 4, "expired halves": 0}
    talk.wait(31)
    talk.learned()
    counted = {item["event"]: item["flows"] for item in flow_counts(scene(bench))}
    assert (counted["live halves"], counted["expired halves"]) == (0, 4)


def test_clear(bench: Bench) -> None:
    talk = Talk(bench, 4)
    for party, sport in ((TWO, 1), (REMOTE, 2), (HOST, 3)):
        assert talk.tcp(ONE, party, "S", sport).allows
    assert talk.tcp(ONE, TWO, "R", 1) == Reason.ESTABLISHED
    assert talk.learned() == {"flow_v4": 6, "closing_v4": 2}
    assert answer(scene(bench), "clear", {"address": POD2}) == {"flows": 1}
    assert talk.learned() == {"flow_v4": 4}, "with what is closing"
    deny(bench, ONE, "egress")
    assert talk.tcp(ONE, TWO, "A", 1) == Reason.POLICY, "judged as new"
    assert talk.tcp(ONE, REMOTE, "A", 2) == Reason.ESTABLISHED
    assert clear_flows(scene(bench)) == {"flows": 2}
    assert talk.learned() == {}
    assert bench.client.learned_expired()["MainControl.pipeline.flow.flow_v4"] == 0, "forgotten, not run out"


def test_by_the_address_behind_a_translation(bench: Bench) -> None:
    talk = Talk(bench, 4)
    service(bench, VIP.v4, 53, [(POD2, 5353)], protocol="udp")
    assert talk.udp(ONE, VIP).allows and talk.send(ONE, REMOTE, UDP(sport=5, dport=5)).reason.allows
    assert clear_flows(scene(bench), POD2) == {"flows": 1}
    assert told(bench, "dst") == [(f"{FAR}:5",)]


def test_mistakes(bench: Bench) -> None:
    with pytest.raises(Unknown, match="no address"):
        clear_flows(scene(bench), "nonsense")
    with pytest.raises(Unknown, match="does not tell"):
        list(flows(SimpleNamespace(switch=None)))
    result = CliRunner().invoke(clear.command, ["flows", "some.felixstream"])
    assert result.exit_code == 2 and "running driver" in result.output


def test_a_recording_has_no_flows_yet() -> None:
    from test.support.shared import recording_path

    result = CliRunner().invoke(get.command, ["flows", str(recording_path("quickstart.felixstream")), "-o", "json"])
    assert (result.exit_code, result.stdout.strip()) == (0, "[]"), result.output
