"""Which denials are told to the sender: rows of `reject` by Felix's configuration, over a history of it."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from k8s_p4.reasons import Reason
from test.support.reach import Node, config
from translator.rejects import METERS, filter_rejects

ALWAYS = {Reason.CONNECTION_LIMIT: "tcp_reset", Reason.NO_BACKEND: "port_unreachable"}
FILTER = dict.fromkeys((Reason.POLICY, Reason.ENCAPSULATED, Reason.ENDPOINT_DOWN), "port_unreachable")
LOOP = {Reason.SERVICE_LOOP: "port_unreachable"}


def rows(node: Node) -> dict[Reason, str]:
    return {Reason(key[0]): value[0] for key, value in node.rows["reject"].items()}


def test_what_is_always_told() -> None:
    assert rows(Node()) == ALWAYS


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_history_of_configurations(order: tuple[int, ...]) -> None:
    """Whatever was there before; a repeat changes nothing, and nothing is Degraded."""
    states = [({}, ALWAYS), ({"IptablesFilterDenyAction": "Reject"}, ALWAYS | FILTER), ({"ServiceLoopPrevention": "Reject"}, ALWAYS | LOOP),
              ({"NftablesFilterDenyAction": "REJECT", "ServiceLoopPrevention": "reject"}, ALWAYS | FILTER | LOOP)]  # fmt: skip
    node = Node()
    for index in order:
        values, expected = states[index]
        node.apply(config(**values))
        assert rows(node) == expected
        assert not node.degraded()
        assert not node.apply(config(**values))


@pytest.mark.parametrize(("mode", "iptables", "nftables"), list(product((None, "Auto", "Enabled", "Disabled"), ("Drop", "Reject"), ("Drop", "Reject"))))
def test_which_setting_counts(mode: str | None, iptables: str, nftables: str) -> None:
    values = {"IptablesFilterDenyAction": iptables, "NftablesFilterDenyAction": nftables} | ({} if mode is None else {"NFTablesMode": mode})
    wanted = {"Enabled": nftables == "Reject", "Disabled": iptables == "Reject"}.get(mode or "", "Reject" in (iptables, nftables))
    assert filter_rejects(values) == wanted


@pytest.mark.parametrize(("values", "wanted"), [({"FilterDenyAction": " Reject "}, True), ({"IptablesFilterDenyAction": "Accept"}, False), ({}, False)])
def test_words(values: dict[str, str], wanted: bool) -> None:
    assert filter_rejects(values) == wanted


def test_rates_are_there_without_any_endpoint() -> None:
    node = Node()
    assert node.reach.qos.meters == METERS
    node.apply(config(IptablesFilterDenyAction="Reject"))
    assert node.reach.qos.meters == METERS
