"""What must become of packets between parties when flows are kept: policy on the first packet, and a table with times.

Written from what is asked for, with nothing of the pipeline: a flow is one object with both its tuples, a time it runs out, and whether it
is closing. Policy is a set of (party, direction) that deny everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SYN, ACK, FIN, RST = "S", "A", "F", "R"


class Said(NamedTuple):
    """A packet: ``what`` is tcp, udp, sctp, request or reply; ports, or the identifier of an echo in both."""

    src: str
    dst: str
    what: str
    sport: int
    dport: int
    flags: str = ""


@dataclass
class Flow:
    """One conversation, by the parties and ports of its first packet."""

    first: Said
    runs_out: float
    lasts: float
    closing_until: float = -1.0

    def direction(self, said: Said) -> int:
        """1: as the first packet, 2: the other way, 0: another flow's. To oneself, from a port to that port, is its own answer."""
        answers = {"request": "reply"}.get(self.first.what, self.first.what)
        turned = (self.first.dst, self.first.src, self.first.dport, self.first.sport)
        if (said.what, said.src, said.dst, said.sport, said.dport) == (answers, *turned):
            return 2
        return 1 if said[:5] == self.first[:5] else 0


@dataclass
class FlowModel:
    """The node: ``local`` parties are governed by policy, the others by none; ``denied`` holds (party, "egress" or "ingress")."""

    local: frozenset[str]
    denied: set[tuple[str, str]] = field(default_factory=set)
    flows: list[Flow] = field(default_factory=list)

    def say(self, said: Said, now: float) -> str:
        """"established", "denied", or "new" for what policy let pass."""
        self.flows = [flow for flow in self.flows if flow.runs_out > now]
        flow, direction = next(((f, d) for f in self.flows if (d := f.direction(said))), (None, 0))
        opens = SYN in said.flags and ACK not in said.flags and FIN not in said.flags and RST not in said.flags
        closing = flow is not None and flow.closing_until > now
        if flow is not None and not (opens and closing):
            self._goes_on(flow, direction, said, now, closing)
            return "established"
        if any(way in self.denied for way in ((said.src, "egress"), (said.dst, "ingress"))):
            return "denied"
        if flow is not None:
            flow.closing_until = now + 10
            flow.runs_out = now + 120
        elif said.what != "reply" and RST not in said.flags:
            self.flows.append(Flow(said, now + (120 if said.what == "tcp" else 30), 30))
        return "new"

    def _goes_on(self, flow: Flow, direction: int, said: Said, now: float, closing: bool) -> None:
        if said.what == "tcp":
            if FIN in said.flags or RST in said.flags:
                flow.runs_out, flow.closing_until = now + 120, now + 60
            elif closing and SYN not in said.flags:
                return
            else:
                flow.runs_out = now + (120 if SYN in said.flags and not closing else 43200)
            return
        if direction == 2:
            flow.lasts = {"udp": 120, "sctp": 300}.get(said.what, flow.lasts)
        flow.runs_out = now + flow.lasts
