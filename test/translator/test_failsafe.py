"""Failsafe ports: how they are written, the defaults, and the rules that come of them."""

from __future__ import annotations

import pytest

from translator.errors import Untranslatable
from translator.failsafe import INBOUND, OUTBOUND, FailsafePort, failsafe_ports, parse_ports

WRITTEN = [
    ("tcp:22", [("tcp", 22, "")]),
    ("22", [("tcp", 22, "")]),
    ("UDP:68", [("udp", 68, "")]),
    ("sctp:5000", [("sctp", 5000, "")]),
    ("tcp:192.0.2.0/24:22", [("tcp", 22, "192.0.2.0/24")]),
    ("tcp:192.0.2.7:22", [("tcp", 22, "192.0.2.7/32")]),
    ("tcp:[2001:db8:a::/64]:22", [("tcp", 22, "2001:db8:a::/64")]),
    ("tcp:[2001:db8::1]:22", [("tcp", 22, "2001:db8::1/128")]),
    (" tcp:1 , udp:2,", [("tcp", 1, ""), ("udp", 2, "")]),
    ("tcp:192.0.2.0/24:22,udp:68,tcp:6443,tcp:[2001:db8:a::/64]:22",
     [("tcp", 22, "192.0.2.0/24"), ("udp", 68, ""), ("tcp", 6443, ""), ("tcp", 22, "2001:db8:a::/64")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ports"), WRITTEN)
def test_what_is_read(text: str, ports: list[tuple[str, int, str]]) -> None:
    assert [port[:3] for port in parse_ports(text)] == ports


@pytest.mark.parametrize("text", ["tcp:", "tcp", ":22", "icmp:22", "tcp:65536", "tcp:-1", "tcp:192.0.2.0/33:22", "tcp::22", "tcp:[2001:db8::1:22", "tcp:²"])
def test_what_is_not_is_named(text: str) -> None:
    with pytest.raises(Untranslatable) as error:
        parse_ports(f"tcp:22,{text}")
    assert repr(text) in str(error.value)


def test_one_bad_entry_leaves_the_defaults() -> None:
    ports, problem = failsafe_ports({INBOUND: "tcp:1,bad"}, INBOUND)
    assert problem is not None and "'bad'" in problem
    assert ports == failsafe_ports({}, INBOUND)[0]


@pytest.mark.parametrize("name", [INBOUND, OUTBOUND])
def test_none_empties_them(name: str) -> None:
    assert failsafe_ports({name: "none"}, name) == ((), None)
    assert failsafe_ports({name: "None"}, name) == ((), None)
    assert failsafe_ports({name: ""}, name) == failsafe_ports({}, name)


def test_the_defaults_are_those_of_the_contract() -> None:
    both = {("tcp", port) for port in (179, 2379, 2380, 5473, 6443, 6666, 6667)}
    inbound, outbound = (failsafe_ports({}, name)[0] for name in (INBOUND, OUTBOUND))
    assert {port[:2] for port in inbound} == both | {("tcp", 22), ("udp", 68)}
    assert {port[:2] for port in outbound} == both | {("udp", 53), ("udp", 67)}
    assert all(isinstance(port, FailsafePort) and not port.net for port in (*inbound, *outbound))
