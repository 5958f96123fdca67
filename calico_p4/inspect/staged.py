"""What would become of a packet if staged policies were enforced, beside what does."""

from collections.abc import Iterator
from typing import Any

from calico_p4.inspect.lab import Lab, policies_of, world_of
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.trace import Answer, Probe, describe
from felix_proto import types as felix

_STAGED = "Staged"
Renamed = dict[felix.PolicyID, felix.PolicyID]


def staged_verdict(scene: Scene, sent: Probe, ends: dict[str, felix.WorkloadEndpointID | None]) -> Answer | None:
    """Return verdict, reason and policy of the packet with every staged policy of its endpoints enforced, in its place in its tier.

    None where none of the endpoints has a staged policy in the direction concerned.
    """
    endpoints = {stage: scene.store.endpoints[key] for stage, key in ends.items() if key is not None}
    staged = {key for stage, endpoint in endpoints.items() for key in _staged_in(endpoint, stage)}
    if not staged:
        return None
    names = {key: _live_name(key) for endpoint in endpoints.values() for key in policies_of(endpoint) if key.staged}
    answer = _send(scene, sent, list({endpoint.id: endpoint for endpoint in endpoints.values()}.values()), names)
    back = {(new.kind or None, new.name): old for old, new in names.items()}
    told = {name: answer[name] for name in ("verdict", "reason", "out")}
    return told | {"policy": [_renamed(entry, back) for entry in answer["policy"]], "staged": sorted("/".join(filter(None, key)) for key in staged)}


def _staged_in(endpoint: felix.WorkloadEndpoint, stage: str) -> Iterator[felix.PolicyID]:
    for tier in endpoint.tiers:
        yield from (key for key in (tier.ingress_policies if stage == "ingress" else tier.egress_policies) if key.staged)


def _live_name(key: felix.PolicyID) -> felix.PolicyID:
    """A name that is not staged and that nobody else has."""
    if key.kind:
        return key._replace(kind=key.kind.removeprefix(_STAGED), name=f"{key.name} (staged)")
    return key._replace(name=key.name.replace("staged:", "") + " (staged)")


def _send(scene: Scene, sent: Probe, endpoints: list[felix.WorkloadEndpoint], names: Renamed) -> Answer:
    fields = describe(sent)
    world = world_of(scene, endpoints, [fields[side] for side in ("src", "dst") if side in fields])
    lab = Lab((_enforced(payload, names) for payload in world), scene.extra_ports)
    try:
        return lab.send(sent)
    finally:
        lab.close()


def _enforced(payload: Any, names: Renamed) -> Any:
    """A message with the staged policies in it made live ones."""
    if isinstance(payload, felix.ActivePolicyUpdate) and payload.id in names:
        return felix.ActivePolicyUpdate(names[payload.id], payload.policy._replace(id=names[payload.id]))
    if isinstance(payload, felix.WorkloadEndpointUpdate):
        tiers = tuple(_enforced_tier(tier, names) for tier in payload.endpoint.tiers)
        return payload._replace(endpoint=payload.endpoint._replace(tiers=tiers))
    return payload


def _enforced_tier(tier: felix.TierInfo, names: Renamed) -> felix.TierInfo:
    ingress, egress = (tuple(names.get(key, key) for key in keys) for keys in (tier.ingress_policies, tier.egress_policies))
    return tier._replace(ingress_policies=ingress, egress_policies=egress)


def _renamed(entry: Any, back: dict[Any, felix.PolicyID]) -> Any:
    """An element of ``policy`` with the names that people know."""
    if isinstance(entry, list):
        return [_renamed(each, back) for each in entry]
    if not isinstance(entry, dict):
        return entry
    told = {name: _renamed(value, back) for name, value in entry.items()}
    old = back.get((entry.get("kind"), entry.get("name")))
    return told | {"kind": old.kind or None, "name": old.name} if old is not None else told
