"""Each life of an endpoint has a number of its own, also over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from datastore.allocator import Allocator
from felix_proto.types import WorkloadEndpointRemove
from test.support.reach import Node, endpoint, endpoint_id
from translator.incarnations import Incarnations

WEB = "shop/web"


def of_port(node: Node) -> int:
    """The incarnation in the one port row of a workload; that of its address must be the same."""
    (port,) = (value[-1] for value in node.rows["port"].values() if value[0] == "workload")
    assert {value[-1] for value in node.rows["local_v4"].values() if value[0] == "to_workload"} == {port}
    return port


def test_an_endpoint_that_stays_keeps_its_number() -> None:
    node = Node()
    node.apply(endpoint(WEB, nets=["10.0.0.5/32"]))
    before = of_port(node)
    node.apply(endpoint(WEB, nets=["10.0.0.5/32", "10.0.0.6/32"]))
    assert of_port(node) == before


@pytest.mark.parametrize("together", [True, False], ids=["in one flush", "in two"])
def test_removed_and_back_is_another_life(together: bool) -> None:
    node = Node()
    there = endpoint(WEB, nets=["10.0.0.5/32"])
    node.apply(there)
    before = of_port(node)
    gone = WorkloadEndpointRemove(endpoint_id(WEB))
    if together:
        node.apply(gone, there)
    else:
        node.apply(gone)
        node.apply(there)
    assert of_port(node) != before


def test_no_number_comes_twice() -> None:
    numbers = Incarnations(Allocator())
    seen = []
    for life in range(50):
        seen.append(numbers.get(f"web {life % 3}"))
        numbers.end(f"web {life % 3}")
    assert len(set(seen)) == 50


def test_a_restart_finds_the_numbers_and_never_gives_old_ones(tmp_path: Path) -> None:
    allocator = Allocator(tmp_path / "ids")
    first = Incarnations(allocator)
    web, db = first.get("web"), first.get("db")
    first.end("db")
    allocator.close()
    second = Incarnations(Allocator(tmp_path / "ids"))
    assert second.get("web") == web
    assert second.get("db") not in (web, db)


def test_what_is_gone_at_a_restart_had_its_life(tmp_path: Path) -> None:
    allocator = Allocator(tmp_path / "ids")
    first = Incarnations(allocator)
    before = first.get("web")
    allocator.close()
    second = Incarnations(Allocator(tmp_path / "ids"))
    second.end_all_but({"db"})
    assert second.get("web") != before


def test_without_memory_all_are_new() -> None:
    """By chance two starts are equal once in 2,147,483,648."""
    assert Incarnations(Allocator()).get("web") != Incarnations(Allocator()).get("web")


def test_the_last_number_is_followed_by_the_first() -> None:
    allocator = Allocator()
    allocator.get("incarnation", f"next {(1 << 32) - 1}")
    numbers = Incarnations(allocator)
    assert [numbers.get("a"), numbers.get("b")] == [(1 << 32) - 1, 1]
