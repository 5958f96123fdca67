"""What a change costs with 5,000 routes to 1,000 nodes: rows written by kind of change, and time. ``pytest -s`` prints the figures."""

from __future__ import annotations

import time
from typing import Any

import pytest

from felix_proto.types import Encapsulation, HostMetadataUpdate, IPPoolType, RouteType, RouteUpdate, VXLANTunnelEndpointUpdate
from test.support.reach import NODE, Node

NODES, BLOCKS = 1000, 5
MODES = {"vxlan": IPPoolType.VXLAN, "ipip": IPPoolType.IPIP, "plain": IPPoolType.NO_ENCAP}


def address(number: int, moved: bool = False) -> str:
    return f"192.{168 if not moved else 169}.{number // 250}.{number % 250 + 1}"


def name(number: int) -> str:
    return NODE if number == 0 else f"node-{number}"


def metadata(number: int, moved: bool = False) -> HostMetadataUpdate:
    return HostMetadataUpdate(name(number), f"{address(number, moved)}/16")


def vtep(number: int, mac: int = 0, moved: bool = False) -> VXLANTunnelEndpointUpdate:
    inner = f"66:{mac:02x}:00:00:{number >> 8:02x}:{number & 255:02x}"
    return VXLANTunnelEndpointUpdate(name(number), inner, f"10.{number >> 8}.{number & 255}.0", address(number, moved))


def route(number: int, block: int, mode: str, moved: bool = False) -> RouteUpdate:
    kind = RouteType.LOCAL_WORKLOAD if number == 0 else RouteType.REMOTE_WORKLOAD
    dst = f"10.{number >> 8}.{number & 255}.{block * 32}/27"
    return RouteUpdate(dst, int(kind), int(MODES[mode]), name(number), address(number, moved))


def routes(number: int, mode: str, moved: bool = False) -> list[RouteUpdate]:
    return [route(number, block, mode, moved) for block in range(BLOCKS)]


def crowd(mode: str) -> Node:
    made = Node(Encapsulation(ipip_enabled=mode == "ipip"), *(metadata(number) for number in range(NODES)))
    made.apply(*(vtep(number) for number in range(NODES) if mode == "vxlan"))
    made.apply(*(each for number in range(NODES) for each in routes(number, mode)))
    return made


def changes(mode: str) -> dict[str, list[Any]]:
    found = {
        "every route sent again": [each for number in range(NODES) for each in routes(number, mode)],
        "a route comes": [RouteUpdate("10.200.0.0/26", 1, int(MODES[mode]), name(7), address(7))],
        "a route goes to another node": [route(7, 0, mode)._replace(dst_node_name=name(8), dst_node_ip=address(8))],
        "a node's address": [*routes(9, mode, moved=True), *([vtep(9, moved=True)] if mode == "vxlan" else []), metadata(9, moved=True)],
    }
    if mode == "vxlan":
        found["a VTEP's MAC"] = [vtep(10, mac=1)]
        found["this node's own VTEP's MAC"] = [vtep(0, mac=1)]
        found["a VTEP comes"] = [vtep(NODES + 1)]
    return found


BOUNDS = {"every route sent again": 0, "a route comes": 2, "a route goes to another node": 2, "a node's address": 6, "a VTEP's MAC": 1, "this node's own VTEP's MAC": NODES, "a VTEP comes": 2}
"""None depends on the number of routes; this node's own VTEP is an end of every tunnel."""


@pytest.mark.parametrize("mode", MODES)
def test_rows_for_each_kind_of_change(mode: str) -> None:
    made = crowd(mode)
    counted = {table: len(rows) for table, rows in made.rows.items() if rows}
    print(f"\n{mode}: {NODES} nodes, {NODES * BLOCKS} routes; rows: {counted}")
    found = {}
    for kind, payloads in changes(mode).items():
        start = time.perf_counter()
        found[kind] = len(made.apply(*payloads))
        print(f"  {kind:30} {found[kind]:5} rows {1000 * (time.perf_counter() - start):8.2f} ms")
    for kind, rows in found.items():
        assert rows <= BOUNDS[kind], kind


def test_a_pools_mode_is_a_row_a_route() -> None:
    made = crowd("vxlan")
    start = time.perf_counter()
    rows = len(made.apply(*(each for number in range(NODES) for each in routes(number, "plain"))))
    print(f"\na pool from VXLAN to none: {rows} rows for {NODES * BLOCKS} routes {1000 * (time.perf_counter() - start):.0f} ms")
    routed = BLOCKS * (NODES - 1)
    assert routed <= rows <= routed + 2 * NODES, "every route, and the ways of both kinds"
