"""What must become of packets between parties when flows are kept and translated: policy on the first packet, and a table with times.

Written from what is asked for, with nothing of the pipeline: a flow is one object with the tuple of its first packet, that tuple
translated, a time it runs out, and whether it is closing. Policy is a set of (party, direction) that deny everything.

What the node is free to choose (a backend, a port to masquerade by) is taken from what was seen to leave, if it is one of the choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SYN, ACK, FIN, RST = "S", "A", "F", "R"
ANSWERS = {"request": "reply", "reply": "request"}


class Said(NamedTuple):
    """A packet: ``what`` is tcp, udp, sctp, request or reply; ports, or the identifier of an echo in both."""

    src: str
    dst: str
    what: str
    sport: int
    dport: int
    flags: str = ""

    def turned(self) -> Said:
        """What answers it."""
        return Said(self.dst, self.src, ANSWERS.get(self.what, self.what), self.dport, self.sport)

    def tuple(self) -> Said:
        """It without flags."""
        return self._replace(flags="")


@dataclass
class Flow:
    """One conversation: its first packet as it came and as it left."""

    first: Said
    left: Said
    runs_out: float
    lasts: float
    closing_until: float = -1.0
    judged: int = 0

    def direction(self, said: Said) -> int:
        """1: as the first packet, 2: the other way, 0: another flow's. To oneself, from a port to that port, is its own answer."""
        if said.tuple() == self.left.turned():
            return 2
        return 1 if said.tuple() == self.first else 0


@dataclass
class Nat:
    """How new flows are translated. ``services``: (party, what, port) to (party, port) of backends; ``floating``: party to whose it is;
    ``pool``: who is masqueraded as ``node`` towards who is in none, and through a service to oneself; ``ports``: by which ports."""

    services: dict[tuple[str, str, int], list[tuple[str, int]]] = field(default_factory=dict)
    floating: dict[str, str] = field(default_factory=dict)
    pool: frozenset[str] = frozenset()
    node: str = ""
    ports: range = range(0)


@dataclass
class FlowModel:
    """The node: ``denied`` holds (party, "egress" or "ingress"). ``epoch`` counts policies, where a flow lives on only if the present one
    has accepted it: whoever began it must have spoken under it; 0 where a flow that was accepted once lives on."""

    denied: set[tuple[str, str]] = field(default_factory=set)
    epoch: int = 0
    nat: Nat = field(default_factory=Nat)
    flows: list[Flow] = field(default_factory=list)

    def say(self, said: Said, now: float, seen: Said | None = None) -> tuple[str, Said | None]:
        """("established", "denied", "no_port", "clash", or "new" for what policy let pass; what leaves). ``seen``: what was seen to leave."""
        self.flows = [flow for flow in self.flows if flow.runs_out > now]
        flow, direction = next(((f, d) for f in self.flows if (d := f.direction(said))), (None, 0))
        opens = SYN in said.flags and ACK not in said.flags and FIN not in said.flags and RST not in said.flags
        if flow is None:
            return self._begins(said, now, seen)
        leaves = (flow.left if direction == 1 else flow.first.turned())._replace(flags=said.flags)
        closing = flow.closing_until > now
        reopens = opens and closing
        judged = flow.judged == self.epoch and not reopens
        if not judged and self._denied(said.src, leaves.dst):
            return "denied", None
        if reopens or direction == 1:
            flow.judged = self.epoch
        if reopens:
            flow.closing_until, flow.runs_out = now + 10, now + 120
        else:
            self._goes_on(flow, direction, said, now, closing)
        return "established" if judged else "new", leaves

    def _begins(self, said: Said, now: float, seen: Said | None) -> tuple[str, Said | None]:
        lonely = said.what == "reply" or RST in said.flags
        left = self._to(said, seen)
        if left.dst != said.dst and lonely:
            return "no_port", None
        if self._denied(said.src, left.dst):
            return "denied", None
        from_node = self._masqueraded(said, left)
        if from_node and lonely:
            return "no_port", None
        if from_node:
            ports = [said.sport] if said.what == "sctp" else list(self.nat.ports)
            tries = [self._from(left, port) for port in ports]
            free = [each for each in tries if self._free(each)]
            left = next((each for each in free if seen is not None and each.tuple() == seen.tuple()), free[0] if free else left)
            if not free:
                return "no_port", None
        elif left.src == left.dst and left.dst != said.dst:
            left = left._replace(src=said.dst)  # through its own floating address
        if not lonely and not self._free(left):
            return "clash", None
        if not lonely:
            self.flows.append(Flow(said.tuple(), left.tuple(), now + (120 if said.what == "tcp" else 30), 30, judged=self.epoch))
        return "new", left

    def _denied(self, src: str, dst: str) -> bool:
        return (src, "egress") in self.denied or (dst, "ingress") in self.denied and src != self.nat.node  # the node may speak to its own

    def _to(self, said: Said, seen: Said | None) -> Said:
        if said.dst in self.nat.floating:
            return said._replace(dst=self.nat.floating[said.dst])
        backends = self.nat.services.get((said.dst, said.what, said.dport), [(said.dst, said.dport)])
        chosen = next(((dst, port) for dst, port in backends if seen is not None and (seen.dst, seen.dport) == (dst, port)), backends[0])
        return said._replace(dst=chosen[0], dport=chosen[1])

    def _masqueraded(self, said: Said, left: Said) -> bool:
        if left.src == left.dst and said.dst != left.dst:
            return said.dst not in self.nat.floating
        return left.src in self.nat.pool and left.dst not in self.nat.pool and left.dst != self.nat.node

    def _from(self, left: Said, port: int) -> Said:
        echo = left.what in ANSWERS
        return left._replace(src=self.nat.node, sport=port, dport=port if echo else left.dport)

    def _free(self, left: Said) -> bool:
        answer = left.tuple().turned()
        return not any(flow.direction(answer) for flow in self.flows)

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
