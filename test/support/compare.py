"""What the product answered against what the reference evaluator says: every difference, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from felix_proto.types import WorkloadEndpointID
from test.support.chain import Hit
from test.support.evaluator import EITHER, Answer, Stage
from test.support.world import World

CLOSED = frozenset(("degraded", "endpoint_down"))
"""A closed endpoint may be found closed before or after the other end's policy was asked."""
POLICY_DENIES = frozenset(("policy", "default_deny", "fragment"))


def differences(answer: Answer, answered: Mapping[str, Any], world: World) -> Iterator[str]:
    """Yield how an answer of the replay contract differs from what it should be; nothing if it is right.

    Where several stages would drop the packet, each of their reasons is right, and the policy list goes with the reason given.
    A fragment's deciding rule is compared only where its hidden ports leave no choice.
    """
    if answered["verdict"] == "error" and answer.reason == "unknown_port":
        return  # there is no such port to send it into
    if answer.verdict != EITHER and answered["verdict"] != answer.verdict:
        yield f"verdict {answered['verdict']} ({answered['reason']}), not {answer.verdict} ({answer.reason})"
        return
    certain = all(stage.certain for stage in answer.policy)
    if not _reason_fits(answer, answered["reason"], certain):
        yield f"reason {answered['reason']}, not {'/'.join(sorted(answer.reasons))}"
    if answered["verdict"] == "allow" and _place(answer.out, world) != answered["out"]:
        yield f"out {answered['out']}, not {_place(answer.out, world)}"
    if certain and answered["reason"] == answer.reason and answer.reason not in CLOSED:
        yield from _policy_differences(answer, answered["policy"])


def _reason_fits(answer: Answer, reason: str, certain: bool) -> bool:
    return reason in answer.reasons or (not certain and reason in POLICY_DENIES)


def _place(out: str | WorkloadEndpointID | None, world: World) -> str | None:
    """The contract's name of where a packet leaves: the long form where a pod has several endpoints, or is none of Kubernetes."""
    if not isinstance(out, WorkloadEndpointID):
        return out
    siblings = [name for name in world.endpoints if name[:2] == out[:2]]
    return f"workload:{out.workload_id}" if out.orchestrator_id == "k8s" and len(siblings) == 1 else "workload:" + "/".join(out)


def _policy_differences(answer: Answer, found: list[dict[str, Any]]) -> Iterator[str]:
    expected = [_element(stage) for stage in answer.policy]
    if len(found) != len(expected):
        yield f"policy {found}, not {expected}"
        return
    for want, got in zip(expected, found, strict=True):
        yield from (f"policy: {name} is {got.get(name)!r}, not {value!r}, in {got}" for name, value in want.items() if got.get(name) != value)


def _element(stage: Stage) -> dict[str, Any]:
    """An element of the contract's ``policy`` list."""
    hit, passed = stage.decision
    return {**_rule(stage.stage, hit), "passed": [_rule(stage.stage, p) for p in passed], **_trigger(hit)}


def _trigger(hit: Hit) -> dict[str, Any]:
    if hit.trigger is None:
        return {}
    policy = hit.trigger
    name = {"kind": policy.kind or None, "namespace": policy.namespace if policy.kind else None, "name": policy.name, "tier": hit.tier}
    return {"trigger": name}


def _rule(stage: str, hit: Hit) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "stage": stage, "action": hit.action, "kind": hit.kind, "namespace": hit.namespace, "name": hit.name, "tier": hit.tier,
        "policy_index": hit.policy_index, "rule_index": hit.rule_index, "rule_id": hit.rule_id,
    }  # fmt: skip
    return fields
