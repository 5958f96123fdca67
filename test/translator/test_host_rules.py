"""Failsafe ports and known tunnels as rows: which there are, in what order they change, and what they are called."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from datastore.allocator import Allocator
from datastore.intent import IntentStore
from felix_proto.types import (
    ConfigUpdate,
    Encapsulation,
    HostEndpoint,
    HostEndpointRemove,
    HostEndpointUpdate,
    HostMetadataRemove,
    HostMetadataUpdate,
)
from translator.failsafe import INBOUND, OUTBOUND
from translator.host_rules import NAMED, HostRules, deciding_in
from translator.slots import FIRST_OF_STAGE, path_text

TCP, UDP = 6, 17
ENDPOINT = HostEndpointUpdate("a", HostEndpoint("a", "eth0"))
NONE = {INBOUND: "none", OUTBOUND: "none"}


def config(**values: str) -> ConfigUpdate:
    return ConfigUpdate(tuple(sorted({"FelixHostname": "node-a", **NONE, **values}.items())))


class State:
    """A store and the rows of host rules that follow it."""

    def __init__(self, *payloads: Any) -> None:
        self.store, self.part = IntentStore(), HostRules(Allocator(None))
        self.rows: dict[Any, Any] = {}
        self.apply(*payloads)

    def apply(self, *payloads: Any) -> tuple[list[Any], list[Any]]:
        for payload in payloads:
            self.store.apply(payload)
        written, taken = self.part.update(self.store, self.store.take_dirty())
        assert all(value is not None for *_, value in written) and all(value is None for *_, value in taken)
        for table, key, value in [*written, *taken]:
            self.rows[table, key] = value
        self.rows = {place: value for place, value in self.rows.items() if value is not None}
        return written, taken

    def named(self) -> dict[Any, tuple[str, str]]:
        """Action and owner by (kind, protocol, port, net)."""
        return {(*key[:3], _net(table, key[3])): (value[0], self.owner(value[1])) for (table, key), value in self.rows.items()}

    def owner(self, slot: int) -> str:
        path = self.part.slots.path(slot)
        assert path is not None
        return str(path[0].owner)


def _net(table: str, prefix: tuple[int, int]) -> str:
    from ipaddress import IPv4Address, IPv6Address

    value, length = prefix
    return f"{(IPv6Address if table.endswith('v6') else IPv4Address)(value)}/{length}"


def test_a_port_without_a_network_has_a_row_of_each_family() -> None:
    state = State(ENDPOINT, config(**{INBOUND: "tcp:22", OUTBOUND: "udp:53"}))
    inward, outward = ("failsafe", "tcp:22"), ("failsafe", "udp:53")
    assert state.named() == {(1, TCP, 22, "0.0.0.0/0"): inward, (1, TCP, 22, "::/0"): inward, (2, UDP, 53, "0.0.0.0/0"): outward, (2, UDP, 53, "::/0"): outward}


NETS = [
    ("narrow, then wide", "tcp:10.0.0.0/8:22,tcp:22", {"10.0.0.0/8": "tcp:10.0.0.0/8:22", "0.0.0.0/0": "tcp:22", "::/0": "tcp:22"}),
    ("wide, then narrow", "tcp:22,tcp:10.0.0.0/8:22", {"0.0.0.0/0": "tcp:22", "::/0": "tcp:22"}),
    ("between the two", "tcp:10.1.0.0/16:22,tcp:10.0.0.0/8:22,tcp:10.1.2.0/24:22", {"10.1.0.0/16": "tcp:10.1.0.0/16:22", "10.0.0.0/8": "tcp:10.0.0.0/8:22"}),
    ("the same twice", "tcp:10.0.0.0/8:22,tcp:10.9.9.9/8:22", {"10.0.0.0/8": "tcp:10.0.0.0/8:22"}),
    ("of one family", "tcp:[2001:db8::/32]:22", {"2001:db8::/32": "tcp:[2001:db8::/32]:22"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "nets"), [case[1:] for case in NETS], ids=[case[0] for case in NETS])
def test_of_entries_for_one_port_the_first_that_holds_decides(text: str, nets: dict[str, str]) -> None:
    found = State(ENDPOINT, config(**{INBOUND: text})).named()
    assert {net: owner for (_, _, _, net), (_, owner) in found.items()} == nets


def test_without_a_host_endpoint_there_are_none() -> None:
    state = State(config(**{INBOUND: "tcp:22"}))
    assert not state.rows
    written, taken = state.apply(ENDPOINT)
    assert len(written) == 2 and not taken
    written, taken = state.apply(HostEndpointRemove("a"))
    assert not written and len(taken) == 2 and not state.rows


def test_tunnels_are_those_of_other_nodes() -> None:
    nodes = [HostMetadataUpdate("node-a", "192.0.2.11/24", ""), HostMetadataUpdate("node-b", "192.0.2.12/24", "2001:db8::12/64")]
    modes = Encapsulation(True, True, True)
    state = State(ENDPOINT, config(VXLANPort="4000", WireguardEnabled="true"), *nodes, modes)
    assert state.named() == {
        (3, UDP, 4000, "192.0.2.12/32"): ("tunnelled", "vxlan"),
        (3, UDP, 4000, "2001:db8::12/128"): ("tunnelled", "vxlan-v6"),
        (3, 4, 0, "192.0.2.12/32"): ("tunnelled", "ipip"),
        (3, UDP, 51820, "192.0.2.12/32"): ("tunnelled", "wireguard"),
    }
    written, taken = state.apply(HostMetadataUpdate("node-c", "192.0.2.13/24", ""))
    assert len(written) == 3 and not taken, "a node more is a row for each kind"
    written, taken = state.apply(HostMetadataRemove("node-b"))
    assert not written and len(taken) == 4


def test_nothing_is_written_for_what_stays() -> None:
    state = State(ENDPOINT, config(**{INBOUND: "tcp:22,tcp:23"}))
    written, taken = state.apply(config(**{INBOUND: "tcp:22,tcp:24"}))
    assert [key[2] for _, key, _ in written] == [24, 24] and [key[2] for _, key, _ in taken] == [23, 23]
    assert state.apply(config(**{INBOUND: "tcp:22,tcp:24"})) == ([], [])


def test_an_incremental_change_is_what_scratch_would_be() -> None:
    lists = ("tcp:22", "tcp:10.0.0.0/8:22,tcp:22", "none", "tcp:22,udp:5,tcp:10.0.0.0/8:22")
    for order in permutations(lists):
        state = State(ENDPOINT)
        for text in order:
            state.apply(config(**{INBOUND: text}))
            state.part.slots.settle()
        assert state.named() == State(ENDPOINT, config(**{INBOUND: order[-1]})).named()


def test_slots_stay_below_those_of_stages_however_many_ports_there_are() -> None:
    def ports(first: int) -> str:
        return ",".join(f"tcp:{port}" for port in range(first, first + 2 * NAMED))

    state = State(ENDPOINT, config(**{INBOUND: ports(1), OUTBOUND: ports(1)}))
    state.apply(config(**{INBOUND: ports(30_000), OUTBOUND: ports(30_000)}))
    slots = {value[1] for value in state.rows.values()}
    assert len(state.rows) == 8 * NAMED and min(slots) > 0 and max(slots) < FIRST_OF_STAGE
    assert len(slots) == 2 * NAMED + 2 and "others" in {state.owner(slot) for slot in slots}


def test_what_goes_is_told_to_whoever_counts() -> None:
    state = State(ENDPOINT, config(**{INBOUND: "tcp:22"}))
    state.apply(config())
    (gone,) = state.part.slots.retired
    assert path_text(gone[1]) == "failsafe::tcp:22:ingress#0:allow"


def test_where_host_rules_decide() -> None:
    tunnel = State(ENDPOINT, config(), HostMetadataUpdate("node-b", "192.0.2.12/24", ""), Encapsulation(True, False, False))
    (ref,) = next(tunnel.part.slots.items())[1]
    assert set(deciding_in(ref)) == {"egress", "ingress"}
    inward = ref._replace(kind="failsafe", direction="ingress")
    assert set(deciding_in(inward)) == {"untracked_ingress", "untracked_egress", "pre_dnat", "ingress"}
    outward = ref._replace(kind="failsafe", direction="egress")
    assert set(deciding_in(outward)) == {"untracked_ingress", "untracked_egress", "egress"}
