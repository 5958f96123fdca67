"""Flows and affinities that outlived what they lead to: which learned entries are to be forgotten.

UDP has no end, so a client that goes on sending would reach a backend that is gone for ever, or a service's address without ever reaching the
service that was made since (kubernetes.io: kube-proxy drops its conntrack entries for the same reason). TCP and SCTP connections end by
themselves, and are left alone. Compared is what the switch holds with what services are now, so nothing depends on having seen the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeVar

UDP = 17
Frontend = tuple[bool, int, int]
"""(IPv6, address, port) where a UDP service can be reached."""
Where = tuple[int, int]
"""(address, port)."""


class Learned(Protocol):
    """A learned entry as the embedded target lists it: names of P4Info, values as ints."""

    @property
    def table(self) -> str: ...
    @property
    def key(self) -> Mapping[str, int]: ...
    @property
    def action(self) -> str: ...
    @property
    def params(self) -> Mapping[str, int]: ...


L = TypeVar("L", bound=Learned)


class Suspects(NamedTuple):
    """What changed so that flows may be stale.

    `frontends`: UDP frontends, with the backends that still serve; None where there is no service any more, so that only translated flows are
    stale. `groups`: groups whose clients are remembered, with their backends now.
    """

    frontends: dict[Frontend, frozenset[Where] | None]
    groups: dict[int, frozenset[Where]]

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.frontends or self.groups)


def stale(entries: Iterable[L], suspects: Suspects) -> Iterator[L]:
    """Yield the entries to forget: of a stale flow both halves."""
    entries = list(entries)
    answers = {_tuple(entry.key): entry for entry in entries if _is(entry, "flow", "back")}
    for entry in entries:
        if _is(entry, "affinity") and _affinity_gone(entry, suspects.groups):
            yield entry
        elif _is(entry, "flow", "forth") and entry.key["protocol"] == UDP and _flow_gone(entry, suspects.frontends):
            yield entry
            params = entry.params
            answer = answers.get((params["dst"], params["dst_port"], params["src"], params["src_port"], UDP))
            if answer is not None:
                yield answer


def _is(entry: Learned, table: str, action: str = "") -> bool:
    return entry.table.rpartition(".")[2].startswith(f"{table}_v") and entry.action.rpartition(".")[2].startswith(action)


def _tuple(key: Mapping[str, int]) -> tuple[int, ...]:
    return key["src"], key["src_port"], key["dst"], key["dst_port"], key["protocol"]


def _affinity_gone(entry: Learned, groups: Mapping[int, frozenset[Where]]) -> bool:
    there = groups.get(entry.key["group"])
    return there is not None and (entry.params["address"], entry.params["port"]) not in there


def _flow_gone(entry: Learned, frontends: Mapping[Frontend, frozenset[Where] | None]) -> bool:
    asked = entry.key["dst"], entry.key["dst_port"]
    frontend = entry.table.endswith("v6"), *asked
    if frontend not in frontends:
        return False
    serving, reached = frontends[frontend], (entry.params["dst"], entry.params["dst_port"])
    return reached != asked if serving is None else reached not in serving
