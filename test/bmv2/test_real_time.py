"""Flows on BMv2 as a driver has it: the program as it is, the machine's time, timeouts of a few seconds; what the driver lists and forgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet

from calico_p4 import told
from calico_p4.inspect.flows import clear, flow_counts, flows
from test.bmv2.test_told import Plain
from test.support import bmv2
from test.support.pipeline import Bench
from test.support.talk import ONE, TWO, Party, Talk, deny

_GONE = bmv2.missing()
pytestmark = pytest.mark.skipif(bool(_GONE), reason=_GONE or "-")
WAIT_S = 60.0
SECONDS = (1, 4, 3, 5, 6, 600, 5, 5)
"""In place of 10, 30, 60, 120, 300 and 43,200."""


@pytest.fixture(name="plain")
def _plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plain]:
    monkeypatch.setattr(told, "SECONDS", SECONDS)
    with bmv2.running():
        bench = Bench()
        deny(bench, TWO, "egress")
        made = bmv2.Bmv2(real_time=True)
        try:
            yield Plain(made, bench)
        finally:
            made.close()


def say(plain: Plain, src: Party, dst: Party, l4: Packet, passes: bool = True) -> None:
    """Send a packet, and see whether it comes out."""
    port = 1 if src is ONE else 2
    number, frame = plain.sent(port, bytes(Talk(None, 4).packet(src, dst, l4)), passes)  # type: ignore[arg-type]  # frames alone
    assert (frame[12:14] == b"\x08\x00" and number == 3 - port) if passes else frame[12:14] == b"\x08\x06"


def listed(plain: Plain, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(each[name] for name in fields) for each in flows(scene(plain))]


def scene(plain: Plain) -> Any:
    return SimpleNamespace(switch=plain.switch)


def there(plain: Plain) -> int:
    """Entries that the switch itself has, of all tables that are learned for."""
    assert plain.switch.learning is not None
    return len(list(plain.switch.client.read_tables(table.preamble.id for table in plain.switch.learning.tables.values())))


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_is_silent_runs_out(plain: Plain) -> None:
    say(plain, ONE, TWO, UDP(sport=1000, dport=53))
    say(plain, TWO, ONE, UDP(sport=53, dport=1000))
    assert listed(plain, "src", "dst", "state", "learned") == [("10.0.0.1:1000", "10.0.0.2:53", "open", ["back", "forth"])] and there(plain) == 2
    until(lambda: there(plain) == 0)
    until(lambda: listed(plain) == [])
    say(plain, TWO, ONE, UDP(sport=53, dport=1000), passes=False)
    counts = {each["event"]: each["flows"] for each in flow_counts(scene(plain))}
    assert (counts["learned"], counts["live halves"], counts["expired halves"]) == (1, 0, 2)


def test_what_speaks_lives_on(plain: Plain) -> None:
    """For three times its timeout; a machine that stalls for nearly so long proves nothing, and is asked again."""
    for _ in range(20):
        say(plain, ONE, TWO, UDP(sport=1000, dport=53))
        start = last = time.monotonic()
        gap = 0.0
        while last < start + 3 * SECONDS[1]:
            time.sleep(0.2)
            say(plain, ONE, TWO, UDP(sport=1000, dport=53))
            last, gap = time.monotonic(), max(gap, time.monotonic() - last)
        if gap < SECONDS[1] - 2:
            break
    assert gap < SECONDS[1] - 2, "the machine stalls"
    assert listed(plain, "state") == [("open",)] and plain.switch.learning is not None and plain.switch.learning.learned == 2


def test_what_was_closed_is_over_soon(plain: Plain) -> None:
    for src, dst, flags in ((ONE, TWO, "S"), (TWO, ONE, "SA"), (ONE, TWO, "A"), (ONE, TWO, "F")):
        ports = (1000, 80) if src is ONE else (80, 1000)
        say(plain, src, dst, TCP(sport=ports[0], dport=ports[1], flags=flags))
    assert listed(plain, "protocol", "state") == [("tcp", "closing")] and there(plain) == 4
    until(lambda: there(plain) == 0)  # long before an open connection would
    say(plain, TWO, ONE, TCP(sport=80, dport=1000, flags="A"), passes=False)


def test_what_is_cleared_is_forgotten(plain: Plain) -> None:
    for sport in (1000, 1001):
        say(plain, ONE, TWO, TCP(sport=sport, dport=80, flags="S"))
        say(plain, TWO, ONE, TCP(sport=80, dport=sport, flags="SA"))
    assert clear(scene(plain), "192.0.2.1") == {"flows": 0} and there(plain) == 4
    assert clear(scene(plain), "10.0.0.1") == {"flows": 2} and there(plain) == 0
    say(plain, TWO, ONE, TCP(sport=80, dport=1000, flags="A"), passes=False)
