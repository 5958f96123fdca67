"""Boxes that are mostly complement, as fewer rows: what they leave out first, decided by what follows, then all of it.

"deny tcp, not ports 80 and 443" takes 28 prefixes; "tcp to 80 and 443: as the rules after it say" and "deny tcp" take three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import l4
from .l4 import ALL_BYTES, ALL_PORTS, FRAGMENT, Box, Intervals


class Holed(NamedTuple):
    """A box, a wider one that takes fewer rows, and what the wider one has too much."""

    box: Box
    hull: Box
    hole: Box


class Split(NamedTuple):
    """The boxes of a region in an order that leaves its meaning alone when `Holed` ones are carried out as hole, then hull."""

    first: tuple[Box, ...]
    holed: tuple[Holed, ...]
    last: tuple[Box, ...]


def _bits_outside(values: int) -> int:
    return ALL_BYTES & ~values


def _byte_rows(values: int) -> int:
    return len(l4.byte_prefixes(values))


def _port_rows(ports: Intervals) -> int:
    return len(l4.prefixes(ports, 16))


_FIELDS: tuple[tuple[str, Any, Callable[[Any], Any], Callable[[Any], int]], ...] = (
    ("protocols", ALL_BYTES, _bits_outside, _byte_rows),
    ("src_ports", ALL_PORTS, l4.complement, _port_rows),
    ("dst_ports", ALL_PORTS, l4.complement, _port_rows),
    ("icmp_types", ALL_BYTES, _bits_outside, _byte_rows),
    ("icmp_codes", ALL_BYTES, _bits_outside, _byte_rows),
)
"""Fields of a box: all values, the values outside some, and how many prefixes some take."""


def split(boxes: Sequence[Box]) -> Split:
    """Find the boxes of a region that may be worth carrying out as hole and hull.

    A packet in the hole of one box must not be in another that comes later: those that overlap a hole come first, and a box that
    overlaps the hole of another holed one stays as it is.
    """
    holed: list[Holed] = []
    for box in boxes:
        found = _holed(box, boxes)
        if found and not any(_meet(found.hole, h.box) or _meet(h.hole, box) for h in holed):
            holed.append(found)
    rest = [box for box in boxes if all(h.box is not box for h in holed)]
    first = [box for box in rest if any(_meet(box, h.hole) for h in holed)] if holed else rest
    return Split(tuple(first), tuple(holed), tuple(box for box in rest if box not in first))


def _meet(a: Box, b: Box) -> bool:
    return l4.intersect_boxes(a, b) is not None


def _holed(box: Box, boxes: Sequence[Box]) -> Holed | None:
    saved, best = 0, None
    for field, full, outside, count in _FIELDS:
        value = getattr(box, field)
        if value != full:
            complement = outside(value)
            gain = count(value) - count(complement) - 1
            if gain > saved:
                saved, best = gain, Holed(box, box._replace(**{field: full}), box._replace(**{field: complement}))
    return best and best._replace(hull=_with_fragments(best.hull, boxes))


def _with_fragments(hull: Box, boxes: Sequence[Box]) -> Box:
    """The hull with the fragments that the region holds anyway: without ports one row serves both."""
    fragments = hull._replace(kinds=FRAGMENT)
    return hull._replace(kinds=hull.kinds | FRAGMENT) if any(l4.covers(box, fragments) for box in boxes) else hull
