"""Calico's own cases of host endpoints as packets through the embedded target, those included that a service translates on their way."""

import pytest

from datastore.kubernetes_objects import read_object
from test.support import cases, host_case
from test.support.census import Census
from test.support.gen_packets import Sent
from test.support.host_case import Run
from test.support.product import Answered, on_embedded
from test.support.shared import have_shared, needs_shared

pytestmark = needs_shared
FILES = ("host_policy", "untracked_policy")
ALL = [(name, run) for name in FILES for case in (cases.load(name) if have_shared() else []) for run in host_case.runs(case)]


def together(runs: list[tuple[str, Run]]) -> dict[str, list[Run]]:
    """Packets that meet the very same node, by a name for it."""
    found: dict[str, list[Run]] = {}
    for name, run in runs:
        ends = [run.node_address or "forwarded", *([run.workload_address] if run.on_workload else [])]
        translated = [f"{run.sent['dst']} is {run.packet['dst']}"] if run.sent != run.packet else []
        found.setdefault("-".join((name, run.case["name"], run.direction, *ends, *translated)), []).append(run)
    return found


NODES = together(ALL)


@pytest.mark.parametrize("node", NODES)
def test_node(node: str, census: Census) -> None:
    runs = NODES[node]
    assert len({str((host_case.ports(run), host_case.messages(run), host_case.services(run))) for run in runs}) == 1
    product = on_embedded(host_case.ports(runs[0]))
    try:
        objects = product.driver.store.kubernetes
        objects.configured = objects.in_sync = True
        for value in filter(None, map(read_object, host_case.services(runs[0]))):
            objects.put(value)
        product.flush(host_case.messages(runs[0]), rest=True)
        assert product.driver.degraded() == []
        for run in runs:
            answer = product.send(Sent(cases.packet(run.sent), run.source))
            census.sent[node.partition("-")[0], run.direction] += 1
            judge(run, answer)
    finally:
        product.close()


def judge(run: Run, answer: Answered) -> None:
    """``no_match`` goes on as if the policy were not there, to the normal policy where the node sends: that denies, having no rules."""
    if "untracked_tiers" not in run.case:
        assert answer["verdict"] == run.packet["expect"], answer
        left = answer["packet"]
        assert left is None or (left["dst"], left["dport"]) == (run.packet["dst"], run.packet.get("dport")), "translated as the case has it"
        return
    no_match = ("deny", "default_deny") if run.from_host else ("allow", "no_policy")
    expected = {"allow": ("allow", "untracked"), "deny": ("deny", "policy"), "no_match": no_match}[run.packet["expect"]]
    assert (answer["verdict"], answer["reason"]) == expected, answer


def test_every_realisable_packet_is_sent() -> None:
    for name, realisable in (("host_policy", 57), ("untracked_policy", 6)):
        packets = [(case["name"], place) for case in cases.load(name) for place, packet in enumerate(case["packets"]) if "unrealisable" not in packet]
        assert len(packets) == realisable
        met = {(run.case["name"], run.place) for file, run in ALL if file == name}
        assert met == set(packets)
