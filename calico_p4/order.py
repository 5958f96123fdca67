"""The order of writes: a level for each table and operation; a lower level is confirmed by the target before a higher one is sent.

A P4Runtime target may carry out the updates of one Write in any order, so what is referred to has to be there, in an earlier
Write, before what refers to it, and deletes go the other way. What must close before something else opens is none of this
table's business: the translator hands such changes over as transactions of their own.
"""

from typing import Final, NamedTuple

from datastore.tracker import Kind
from translator.stages import SIDES, STAGES


class Line(NamedTuple):
    """One line of the order: what is written on this level, and why not earlier."""

    tables: tuple[str, ...]
    reason: str


_IDENTITY: Final = tuple(f"{side}_identity_{shape}_{family}" for side in SIDES for shape in ("host", "net") for family in ("v4", "v6"))


def _stages(table: str) -> tuple[str, ...]:
    return tuple(f"{stage.name}.{table}" for stage in STAGES)


def _families(*tables: str) -> tuple[str, ...]:
    return tuple(f"{table}_{family}" for table in tables for family in ("v4", "v6"))


ORDER: Final = (
    Line(_families("host_rule"), "no endpoint stands behind them before they are there; they are named by nothing"),
    Line(_stages("rules"), "refers to nothing, and nothing refers to it yet: the rows of a new list"),
    Line(_stages("peer_class"), "names a list; a peer that is about to differ from the new default has its row before that default"),
    Line(_stages("self_class"), "names a variant and its default list, whose peers stand one level up"),
    Line(_stages("binding"), "names a chain with its variant and default list: here an edit of the default takes effect"),
    Line(_IDENTITY, "names a class of addresses: its peer and self rows are there before any packet carries it"),
    Line(("source_host_v4", "source_host_v6", "source_net_v4", "source_net_v6", "arp_answer", "nd_answer", "answer_port"),
         "an endpoint's own addresses count only when its policy is bound"),
    Line(("tunnel_local_v4", "tunnel_local_v6", "tunnel_source_v4", "tunnel_source_v6"),
         "where tunnels end, and who is behind which node: nothing comes out of one before its sender counts"),
    Line((*_families("cluster", "service_loop"), "dscp", "reject"), "closes, marks and answers, and is named by nothing"),
    Line(("next_hop",), "names the host endpoint of the interface it leaves by: its policy is bound"),
    Line(("tunnel", "tunnel_peer_v4", "tunnel_peer_v6"), "names a next hop; a peer counts when it is known who is behind it"),
    Line(_families("backend", "affinity_backend", "service_source", "masquerade_address"), "named by what is translated, two levels up"),
    Line(("connection_limit",), "by the endpoint's number, and before anything leads to it"),
    Line(("local_v4", "local_v6", "route_v4", "route_v6"), "leads packets to a next hop or tunnel, and to an endpoint whose policy is bound"),
    Line(_families("service", "floating", "masquerade"), "sends packets to backends and endpoints, under another address: routes to them are there"),
    Line(("port",), "opens the endpoint's own side, last of all that lets packets pass"),
    Line(("epoch",), "makes established flows be judged again: what they are judged by is there"),
)  # fmt: skip
"""Inserts and modifies from first to last; deletes from last to first, after all of them."""

_FORWARD: Final = {table: level for level, line in enumerate(ORDER) for table in line.tables}
LEVELS: Final = 2 * len(ORDER)


def of_level(number: int) -> tuple[tuple[str, ...], bool]:
    """Return the tables of a level, and whether it is one of deletes."""
    deletes = number >= len(ORDER)
    return ORDER[LEVELS - 1 - number if deletes else number].tables, deletes


def level(table: str, kind: Kind) -> int:
    """Return the level of an operation on a table, 0 first. Raises KeyError for a table that has no line: it needs one."""
    forward = _FORWARD[table]
    return LEVELS - 1 - forward if kind == "delete" else forward
