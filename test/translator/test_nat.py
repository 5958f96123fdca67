"""Under which addresses and ports masqueraded flows leave: rows of small states, spelled out."""

from __future__ import annotations

from typing import Any

import pytest

from felix_proto.types import HostMetadataUpdate, VXLANTunnelEndpointUpdate
from test.support.reach import NODE, Node, config
from translator.nat import DEFAULT_PORTS, TO_HOST, TO_NETWORK, TO_TUNNEL, TO_WORKLOAD, port_windows

OUTGOING = (TO_WORKLOAD, TO_NETWORK)
EVERYWHERE = (*OUTGOING, TO_HOST, TO_TUNNEL)
METADATA = HostMetadataUpdate(NODE, "192.0.2.11/24", "2001:db8:1::11/64")


def addresses(node: Node, family: str = "v4") -> dict[int, set[int]]:
    """Where to -> the addresses of the candidates."""
    found: dict[int, set[int]] = {}
    for (to, _), value in node.rows.get(f"masquerade_address_{family}", {}).items():
        found.setdefault(to, set()).add(value[1])
    return found


def with_services(*payloads: Any) -> Node:
    """A node that has a source of services."""
    node = Node(*payloads)
    node.store.kubernetes.configured = True
    node.apply()
    return node


def test_to_the_node_and_into_tunnels_only_services_lead() -> None:
    node = Node(METADATA)
    assert addresses(node) == {to: {0xC000020B} for to in OUTGOING}
    node.store.kubernetes.configured = True
    node.apply()
    assert addresses(node) == {to: {0xC000020B} for to in EVERYWHERE}


def test_the_nodes_address_wherever_to() -> None:
    node = with_services(METADATA)
    assert addresses(node) == {to: {0xC000020B} for to in EVERYWHERE}
    six = 0x20010DB8000100000000000000000011
    assert addresses(node, "v6") == {to: {six} for to in EVERYWHERE}
    row = node.rows["masquerade_address_v6"][TO_NETWORK, 0]
    assert row[:4] == ("masquerade_as_v6", six, six >> 64, 0x11)
    node.apply(HostMetadataUpdate(NODE, "192.0.2.12/24", ""))
    assert addresses(node)[TO_NETWORK] == {0xC000020C}
    assert addresses(node, "v6") == {}


def test_a_family_without_an_address_has_no_rows() -> None:
    assert addresses(Node()) == addresses(Node(), "v6") == {}


def test_into_a_tunnel_its_own_address() -> None:
    node = with_services(METADATA, VXLANTunnelEndpointUpdate(NODE, "66:00:00:00:00:01", "10.244.0.1", "192.0.2.11"))
    assert addresses(node)[TO_TUNNEL] == {0x0AF40001}
    assert addresses(node)[TO_NETWORK] == {0xC000020B}


def test_outgoing_address_is_for_the_network_and_its_family() -> None:
    node = Node(METADATA, config(NATOutgoingAddress="203.0.113.9"))
    assert addresses(node)[TO_NETWORK] == {0xCB007109}
    assert addresses(node)[TO_WORKLOAD] == {0xC000020B}
    assert addresses(node, "v6")[TO_NETWORK] == {0x20010DB8000100000000000000000011}
    node.apply(config())
    assert addresses(node)[TO_NETWORK] == {0xC000020B}


@pytest.mark.parametrize("text, low, high", [("", *DEFAULT_PORTS), ("32768:65535", 32768, 65535), ("1:65535", 1, 65535), ("5000", 5000, 5000),
                                             ("100:228", 100, 228), ("0:7", *DEFAULT_PORTS), ("9:8", *DEFAULT_PORTS), ("a:b", *DEFAULT_PORTS),
                                             ("1:70000", *DEFAULT_PORTS)])  # fmt: skip
def test_windows_have_every_port_of_the_range_and_no_other(text: str, low: int, high: int) -> None:
    windows = port_windows(text)
    ports = {first + offset for first, mask in windows for offset in (0, mask)}
    covered: set[int] = set()
    for first, mask in windows:
        assert mask & (mask + 1) == 0
        covered.update(range(first, first + mask + 1))
    assert covered == set(range(low, high + 1))
    assert ports <= covered


def test_the_range_is_followed() -> None:
    node = Node(METADATA, config(NATPortRange="4000:4003"))
    assert node.rows["masquerade_address_v4"][TO_NETWORK, 1] == ("masquerade_as_v4", 0xC000020B, 4000, 3)
    before: dict[Any, Any] = dict(node.rows["masquerade_address_v4"])
    assert node.apply(METADATA) == []
    assert node.rows["masquerade_address_v4"] == before

