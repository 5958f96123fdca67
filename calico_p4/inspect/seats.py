"""Who is judged at a stage of a packet's way: a workload endpoint, or a host endpoint with the tiers that the stage asks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from calico_p4.bench import HOST_SECTIONS
from calico_p4.inspect.scene import Scene
from felix_proto import types as felix

_NODE = 2
"""Metadata `from` and `to`: the node itself."""


class Seat(NamedTuple):
    """An endpoint at one stage, in one direction. ``section`` is the field of the endpoint that holds the stage's tiers."""

    endpoint: felix.WorkloadEndpoint | felix.HostEndpoint
    direction: str
    section: str = "tiers"

    @property
    def name(self) -> str:
        """What the endpoint is called in changes: the id of a workload endpoint with slashes, or "HostEndpoint ID"."""
        return f"HostEndpoint {self.endpoint.id}" if isinstance(self.endpoint, felix.HostEndpoint) else "/".join(self.endpoint.id)

    @property
    def tiers(self) -> tuple[felix.TierInfo, ...]:
        """The tiers that the stage asks."""
        found: tuple[felix.TierInfo, ...] = getattr(self.endpoint, self.section)
        return found

    @property
    def profile_ids(self) -> tuple[str, ...]:
        """The profiles that are asked after them."""
        return self.endpoint.profile_ids if self.section == "tiers" else ()

    def live(self, tier: felix.TierInfo) -> tuple[felix.PolicyID, ...]:
        """The policies of a tier that count here."""
        policies = tier.ingress_policies if self.direction == "ingress" else tier.egress_policies
        return tuple(policy for policy in policies if not policy.staged)

    def update(self, tiers: tuple[felix.TierInfo, ...]) -> felix.Payload:
        """The message that gives the endpoint other tiers here."""
        if isinstance(self.endpoint, felix.HostEndpoint):
            fields: dict[str, Any] = {self.section: tiers}
            return felix.HostEndpointUpdate(self.endpoint.id, self.endpoint._replace(**fields))
        return felix.WorkloadEndpointUpdate(self.endpoint.id, self.endpoint._replace(tiers=tiers))


def seat_of(scene: Scene, stage: str, ends: Mapping[str, felix.WorkloadEndpointID | None], metadata: Mapping[str, int]) -> Seat | None:
    """Return who is judged at a stage, by the contract's name for it; ``metadata`` is what the switch told of the packet."""
    if stage in ("egress", "ingress"):
        key = ends.get(stage)
        workload = scene.store.endpoints.get(key) if key is not None else None
        return Seat(workload, stage) if workload is not None else None
    leaving = stage == "forward_egress" or (stage in ("host", "untracked") and metadata["from"] == _NODE)
    known = scene.translator.host_endpoint(metadata["out_endpoint" if leaving else "in_endpoint"])
    endpoint = scene.store.host_endpoints.get(known or "")
    section = HOST_SECTIONS.get(stage.partition("_")[0], "tiers")
    return Seat(endpoint, "egress" if leaving else "ingress", section) if endpoint is not None else None
