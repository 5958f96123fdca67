"""Regions of the protocol-and-port space, and their expansion to ternary rows.

A packet's L4 facts are (family, protocol, l4_kind, source port, destination port, ICMP type, ICMP code). A *box* is a
product of one set per fact; a *region* is a tuple of boxes, meaning their union. Nothing here knows addresses or Calico.

``l4_kind`` (docs/design/house.md): 0 no ports by nature, 1 ports, 2 ICMP, 3 a fragment after the first. In a region the
kind ``FRAGMENT`` stands for fragments that are inside *whatever their ports are*; `possible_fragments` are those that
could be inside with some ports.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

Intervals = tuple[tuple[int, int], ...]
Ternary = tuple[int, int]

V4, V6, BOTH = 1, 2, 3
NO_PORTS, PORTS, ICMP, FRAGMENT = 1, 2, 4, 8
"""Bits of the set of kinds: 1 << l4_kind."""
ALL_KINDS = 15
ALL_BYTES = (1 << 256) - 1
ALL_PORTS: Intervals = ((0, 65535),)

TCP, UDP, SCTP, UDPLITE, ICMP4, ICMP6 = 6, 17, 132, 136, 1, 58
PORT_PROTOCOLS = (1 << TCP) | (1 << UDP) | (1 << SCTP)
"""Protocols that ports match when a rule names none (replay contract, "Decided")."""
CARRIES_PORTS = PORT_PROTOCOLS | (1 << UDPLITE)
CARRIES_TYPE = (1 << ICMP4) | (1 << ICMP6)


class Box(NamedTuple):
    """A product of sets: families (bits V4, V6), protocols (256-bit set), kinds (bits), ports (sorted disjoint closed
    intervals), ICMP types and codes (256-bit sets)."""

    families: int = BOTH
    protocols: int = ALL_BYTES
    kinds: int = ALL_KINDS
    src_ports: Intervals = ALL_PORTS
    dst_ports: Intervals = ALL_PORTS
    icmp_types: int = ALL_BYTES
    icmp_codes: int = ALL_BYTES


Region = tuple[Box, ...]
EVERYTHING = Box()


def normalise(intervals: list[tuple[int, int]]) -> Intervals:
    """Sorted, disjoint, maximal intervals with the same union."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return tuple(out)


def complement(intervals: Intervals) -> Intervals:
    """The ports outside ``intervals`` (sorted, disjoint)."""
    out = []
    start = 0
    for low, high in intervals:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= 65535:
        out.append((start, 65535))
    return tuple(out)


def _overlap(a: Intervals, b: Intervals) -> Intervals:
    if a is ALL_PORTS or a == b:
        return b
    if b is ALL_PORTS:
        return a
    if len(a) == len(b) == 1:
        low, high = max(a[0][0], b[0][0]), min(a[0][1], b[0][1])
        return ((low, high),) if low <= high else ()
    return _merge(a, b)


def _merge(a: Intervals, b: Intervals) -> Intervals:
    """Both lists walked side by side: a rule may have thousands of ranges."""
    out = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            out.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


def _possible_kinds(protocols: int) -> int:
    """Kinds that packets of these protocols can have: a TCP header too short for its ports does not parse."""
    kinds = FRAGMENT
    if protocols & CARRIES_PORTS:
        kinds |= PORTS
    if protocols & CARRIES_TYPE:
        kinds |= ICMP | NO_PORTS
    if protocols & ~(CARRIES_PORTS | CARRIES_TYPE):
        kinds |= NO_PORTS
    return kinds


def intersect_boxes(a: Box, b: Box) -> Box | None:
    """The common part of two boxes, or None where it is empty."""
    if a is EVERYTHING:
        return b
    if b is EVERYTHING:
        return a
    families = a[0] & b[0]
    protocols = a[1] & b[1]
    kinds = a[2] & b[2]
    if not (families and protocols and kinds):
        return None
    if kinds != ALL_KINDS and not kinds & _possible_kinds(protocols):
        return None
    src_ports = _overlap(a[3], b[3])
    dst_ports = _overlap(a[4], b[4])
    types = a[5] & b[5]
    codes = a[6] & b[6]
    if not (src_ports and dst_ports and types and codes):
        return None
    return Box(families, protocols, kinds, src_ports, dst_ports, types, codes)


def intersect(a: Region, b: Region) -> Region:
    """The common part of two regions."""
    found = (intersect_boxes(x, y) for x in a for y in b)
    return tuple(box for box in found if box is not None)


def covers(a: Box, b: Box) -> bool:
    """Whether ``a`` contains ``b``."""
    if b[0] & ~a[0] or b[1] & ~a[1] or b[2] & ~a[2] or b[5] & ~a[5] or b[6] & ~a[6]:
        return False
    return (a[3] == ALL_PORTS or _within(b[3], a[3])) and (a[4] == ALL_PORTS or _within(b[4], a[4]))


def _within(inner: Intervals, outer: Intervals) -> bool:
    if len(outer) == 1:
        return outer[0][0] <= inner[0][0] and inner[-1][1] <= outer[0][1]
    for first, last in inner:
        place = bisect_right(outer, (first, 65536)) - 1
        if place < 0 or outer[place][1] < last:
            return False
    return True


def is_wide(box: Box) -> bool:
    """Whether the box restricts neither ports nor ICMP fields."""
    return box[3] == ALL_PORTS and box[4] == ALL_PORTS and box[5] == ALL_BYTES and box[6] == ALL_BYTES


def possible_fragments(region: Region) -> Region:
    """The fragments that are not certainly inside the region, but would be with some ports or some ICMP type."""
    extra = {V4: 0, V6: 0}
    for box in region:
        if not box.kinds & FRAGMENT:
            for family, icmp in ((V4, 1 << ICMP4), (V6, 1 << ICMP6)):
                carriers = (CARRIES_PORTS if box.kinds & PORTS else 0) | (icmp if box.kinds & ICMP else 0)
                extra[family] |= box.protocols & carriers if box.families & family else 0
    if extra[V4] == extra[V6]:
        extra = {BOTH: extra[V4]}
    fragments = (Box(families, protocols, FRAGMENT) for families, protocols in extra.items() if protocols)
    return tuple(f for f in fragments if not any(is_wide(box) and covers(box, f) for box in region))


def byte_set(*values: int) -> int:
    """The 256-bit set of ``values`` (0..255 each)."""
    out = 0
    for value in values:
        out |= 1 << value
    return out


def ports_region(ports: dict[int, Intervals], side: str) -> Region:
    """Packets whose port on ``side`` ("src" or "dst") is in ``ports[protocol]``."""
    by_intervals: dict[Intervals, int] = {}
    for protocol, intervals in ports.items():
        by_intervals[intervals] = by_intervals.get(intervals, 0) | 1 << protocol
    return tuple(
        Box(protocols=protocols, kinds=PORTS, src_ports=intervals)
        if side == "src"
        else Box(protocols=protocols, kinds=PORTS, dst_ports=intervals)
        for intervals, protocols in sorted(by_intervals.items())
        if intervals
    )


def not_ports_region(ports: dict[int, Intervals], side: str) -> Region:
    """The complement of `ports_region`: negated ports hold for packets without ports. Fragments of a protocol named here
    are not certainly inside."""
    named = byte_set(*(p for p, intervals in ports.items() if intervals))
    rest = Box(protocols=ALL_BYTES & ~named)
    bare = Box(protocols=named, kinds=NO_PORTS | ICMP)
    outside = ports_region({p: complement(i) for p, i in ports.items() if i}, side)
    return (rest, *((bare,) if named & ~CARRIES_PORTS else ()), *outside) if named else (EVERYTHING,)


def icmp_region(icmp_type: int, code: int | None) -> Region:
    """ICMP (in IPv4) or ICMPv6 (in IPv6) packets of that type, and code if given."""
    codes = ALL_BYTES if code is None else 1 << code
    return (Box(kinds=ICMP, icmp_types=1 << icmp_type, icmp_codes=codes),)


def not_icmp_region(icmp_type: int, code: int | None) -> Region:
    """The complement of `icmp_region`; fragments of ICMP are not certainly inside."""
    other = Box(kinds=NO_PORTS | PORTS)
    fragments = (
        Box(protocols=ALL_BYTES & ~CARRIES_TYPE, kinds=FRAGMENT),
        Box(families=V4, protocols=1 << ICMP6, kinds=FRAGMENT),
        Box(families=V6, protocols=1 << ICMP4, kinds=FRAGMENT),
    )
    types = Box(kinds=ICMP, icmp_types=ALL_BYTES & ~(1 << icmp_type))
    codes = () if code is None else (Box(kinds=ICMP, icmp_types=1 << icmp_type, icmp_codes=ALL_BYTES & ~(1 << code)),)
    return (other, *fragments, types, *codes)


@lru_cache(maxsize=65536)
def prefixes(intervals: Intervals, width: int) -> tuple[Ternary, ...]:
    """The fewest (value, mask) prefixes of ``width`` bits whose union is ``intervals``."""
    full = (1 << width) - 1
    out = []
    for low, high in intervals:
        while low <= high:
            size = low & -low or 1 << width
            while size > high - low + 1:
                size >>= 1
            out.append((low, full & ~(size - 1)))
            low += size
    return tuple(out)


@lru_cache(maxsize=4096)
def byte_prefixes(values: int) -> tuple[Ternary, ...]:
    """The fewest prefixes that cover a 256-bit set."""
    return prefixes(normalise([(v, v) for v in range(256) if values >> v & 1]), 8)


_FAMILY = {V4: (4, 255), V6: (6, 255), BOTH: (0, 0)}


@lru_cache(maxsize=16)
def kind_ternaries(kinds: int) -> tuple[Ternary, ...]:
    """The fewest (value, mask) pairs over l4_kind (two bits used) that cover a set of kinds."""
    if kinds == ALL_KINDS:
        return ((0, 0),)
    wanted = {k for k in range(4) if kinds >> k & 1}
    out = []
    for value, mask in ((0, 253), (1, 253), (0, 254), (2, 254)):
        pair = {k for k in range(4) if k & mask & 3 == value}
        if pair <= wanted:
            out.append((value, mask & 255))
            wanted -= pair
    return tuple(out + [(k, 255) for k in sorted(wanted)])


def size(box: Box) -> int:
    """How many ternary keys `expand` gives."""
    kinds = 1 if box.kinds & (possible := _possible_kinds(box.protocols)) == possible else len(kind_ternaries(box.kinds))
    ports = len(prefixes(box.src_ports, 16)) * len(prefixes(box.dst_ports, 16))
    return kinds * ports * len(byte_prefixes(box.protocols)) * len(byte_prefixes(box.icmp_types)) * len(byte_prefixes(box.icmp_codes))


@lru_cache(maxsize=262144)
def expand(box: Box) -> tuple[tuple[Ternary, ...], ...]:
    """The ternary keys (ip_version, protocol, l4_kind, src_port, dst_port, icmp_type, icmp_code) that cover a box."""
    kinds = box.kinds
    possible = _possible_kinds(box.protocols)
    if kinds & possible == possible:
        kinds = ALL_KINDS
    return tuple(
        (_FAMILY[box.families], protocol, kind, src, dst, icmp_type, code)
        for protocol in byte_prefixes(box.protocols)
        for kind in kind_ternaries(kinds)
        for src in prefixes(box.src_ports, 16)
        for dst in prefixes(box.dst_ports, 16)
        for icmp_type in byte_prefixes(box.icmp_types)
        for code in byte_prefixes(box.icmp_codes)
    )
