"""The policy stages of the pipeline, in the order that a packet meets them (k8s_p4/p4/core/pipeline.p4)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Direction = Literal["ingress", "egress"]
SideName = Literal["src", "dst", "pre_dst"]
Sides = tuple[SideName, SideName]
"""Which identities a stage reads for a packet's source and destination."""


class StageSpec(NamedTuple):
    """One stage: whose direction it decides, and the identities it reads for source and destination.

    The endpoint's own side is the source on egress, the destination on ingress. Stages with the same direction and sides use the
    same compiled policies (`view`).
    """

    name: str
    direction: Direction
    sides: Sides

    @property
    def own(self) -> SideName:
        """The identities of the endpoint's own side."""
        return self.sides[0 if self.direction == "egress" else 1]

    @property
    def peer(self) -> SideName:
        """The identities of the other side."""
        return self.sides[1 if self.direction == "egress" else 0]

    @property
    def view(self) -> View:
        """What policies are compiled for."""
        return View(self.direction, self.sides)


class View(NamedTuple):
    """A direction, and the identities that a policy's source and destination criteria ask about."""

    direction: Direction
    sides: Sides


BEFORE_TRANSLATION: Sides = ("src", "pre_dst")
AFTER_TRANSLATION: Sides = ("src", "dst")

STAGES: tuple[StageSpec, ...] = (
    StageSpec("untracked_ingress", "ingress", BEFORE_TRANSLATION),
    StageSpec("untracked_egress", "egress", BEFORE_TRANSLATION),
    StageSpec("pre_dnat", "ingress", BEFORE_TRANSLATION),
    StageSpec("forward_ingress", "ingress", AFTER_TRANSLATION),
    StageSpec("egress", "egress", AFTER_TRANSLATION),
    StageSpec("ingress", "ingress", AFTER_TRANSLATION),
    StageSpec("forward_egress", "egress", AFTER_TRANSLATION),
)
BY_NAME = {spec.name: spec for spec in STAGES}
VIEWS = tuple(dict.fromkeys(spec.view for spec in STAGES))
SIDES: tuple[SideName, ...] = ("src", "dst", "pre_dst")
EGRESS, INGRESS = BY_NAME["egress"].view, BY_NAME["ingress"].view
"""What workload policy is compiled for."""
