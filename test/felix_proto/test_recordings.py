"""Recorded streams of all releases decode completely, and into what their summaries, made by Felix's own schema, say."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from felix_proto import types as t
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from test.support.shared import RECORDINGS, shared_recordings

COPIES = sorted(path for path in RECORDINGS.glob("*.felixstream") if (RECORDINGS / f"{path.stem}.summary.json").exists())
ALL = {path.name: path for path in [*shared_recordings(), *COPIES]}
# The one name in the summaries that does not follow from the type's.
_FIELD_NAMES = {
    "i_p_set": "ipset", "v_x_l_a_n_tunnel_endpoint": "vtep", "host_metadata_v4_v6": "host_metadata_v4v6", "i_p_a_m": "ipam",
    "global_b_g_p_config": "global_bgp_config",
}  # fmt: skip


def test_copies_are_there() -> None:
    assert len(COPIES) >= 5


def field_name(payload: t.Payload) -> str:
    """Return the name of the envelope's field that carries a payload, from the type's name: IPSetUpdate -> ipset_update."""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(payload).__name__).removeprefix("_")
    for mangled, real in _FIELD_NAMES.items():
        name = name.replace(mangled, real)
    return name


@pytest.mark.parametrize("name", sorted(ALL))
def test_recording_decodes_into_what_its_summary_says(name: str) -> None:
    path = ALL[name]
    summary = json.loads((path.parent / (name.split(".felixstream")[0] + ".summary.json")).read_text())
    decoder = Decoder()
    frames = list(read_recording(path))
    messages = [decoder.decode(frame) for frame in frames]
    payloads = [message.payload for message in messages]
    assert len(frames) == summary["frames"]
    assert sum(len(frame.payload) + 8 for frame in frames) == summary["bytes"]
    assert max(len(frame.payload) for frame in frames) == summary["largest_frame"]
    assert [message.sequence_number for message in messages] == list(range(len(frames)))
    assert [i for i, payload in enumerate(payloads) if isinstance(payload, t.InSync)] == [summary["in_sync_frame"]]
    assert Counter(map(field_name, payloads)) == summary["messages"]
    assert not decoder.unknown_messages
    assert not decoder.unknown_fields
    assert decoder.generation == next((f"3.{minor}" for minor in (31, 32) if f"v3.{minor}" in name), "3.34")
    compare_content(payloads, summary)


def compare_content(payloads: list[t.Payload], summary: dict[str, Any]) -> None:
    """Compare the counts of what is inside the messages."""
    policies = [p for p in payloads if isinstance(p, t.ActivePolicyUpdate)]
    sets = [p for p in payloads if isinstance(p, t.IPSetUpdate)]
    rules = [rule for p in policies for rule in p.policy.inbound_rules + p.policy.outbound_rules]
    assert Counter(p.id.kind or "-" for p in policies) == summary.get("policy_kinds", {})
    assert Counter(p.policy.tier for p in policies) == summary.get("policy_tiers", {})
    assert Counter(rule.action for rule in rules) == summary.get("rule_actions", {})
    assert Counter(t.IPSetType(p.type).name for p in sets) == summary.get("ipset_types", {})
    assert Counter(p.id.split(":")[0] for p in sets) == summary.get("ipset_id_prefixes", {})
    assert max((len(p.members) for p in sets), default=0) == summary.get("largest_ipset_in_update", 0)
    assert Counter(str(p.types) for p in payloads if isinstance(p, t.RouteUpdate)) == summary.get("route_types", {})


@pytest.mark.parametrize("name", sorted(ALL))
def test_policies_arrive_before_the_endpoints_that_name_them_under_the_same_id(name: str) -> None:
    decoder, known = Decoder(), set()
    for frame in read_recording(ALL[name]):
        payload = decoder.decode(frame).payload
        if isinstance(payload, t.ActivePolicyUpdate):
            known.add(payload.id)
        elif isinstance(payload, t.WorkloadEndpointUpdate | t.HostEndpointUpdate):
            assert policies_of(payload.endpoint) <= known


def policies_of(endpoint: t.WorkloadEndpoint | t.HostEndpoint) -> set[t.PolicyID]:
    """Return all policies that an endpoint names."""
    lists = [endpoint.tiers]
    if isinstance(endpoint, t.HostEndpoint):
        lists += [endpoint.untracked_tiers, endpoint.pre_dnat_tiers, endpoint.forward_tiers]
    return {policy for tiers in lists for tier in tiers for policy in tier.ingress_policies + tier.egress_policies}


def test_staged_policies_are_told_apart_in_each_generation() -> None:
    for name in ("quickstart", "quickstart-v3.31", "quickstart-v3.32"):
        decoder = Decoder()
        payloads = [decoder.decode(frame).payload for frame in read_recording(Path(RECORDINGS, f"{name}.felixstream"))]
        staged = {p.id.name.rpartition(".")[2] for p in payloads if isinstance(p, t.ActivePolicyUpdate) and p.id.staged}
        assert staged == {"staged-lockdown", "staged-k8s", "staged-cart"}, name
