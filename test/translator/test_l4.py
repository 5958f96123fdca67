"""Regions against a literal reading: a packet is inside or it is not."""

from hypothesis import given
from hypothesis import strategies as st

from translator import l4
from translator.l4 import Box, Region

EDGES = st.sampled_from([0, 1, 79, 80, 81, 1023, 1024, 65534, 65535])
PROTOCOLS = st.sampled_from([1, 6, 17, 58, 132, 136, 253])


def kind_of(family: int, protocol: int, fragment: bool) -> int:
    if fragment:
        return 3
    if protocol in (6, 17, 132, 136):
        return 1
    return 2 if (family, protocol) in ((4, 1), (6, 58)) else 0


@st.composite
def packets(draw):
    family = draw(st.sampled_from([4, 6]))
    protocol = draw(PROTOCOLS)
    kind = kind_of(family, protocol, draw(st.booleans()))
    ports = (draw(EDGES), draw(EDGES)) if kind == 1 else (0, 0)
    icmp = (draw(st.sampled_from([0, 3, 8, 255])), draw(st.sampled_from([0, 1, 255]))) if kind == 2 else (0, 0)
    return family, protocol, kind, *ports, *icmp


@st.composite
def intervals(draw):
    pairs = draw(st.lists(st.tuples(EDGES, EDGES), min_size=1, max_size=3))
    return l4.normalise([(min(p), max(p)) for p in pairs])


def inside(box: Box, packet) -> bool:
    family, protocol, kind, sport, dport, icmp_type, code = packet
    within = all(any(low <= port <= high for low, high in ranges) for port, ranges in ((sport, box.src_ports), (dport, box.dst_ports)))
    return bool(
        box.families >> (family == 6) & 1
        and box.protocols >> protocol & 1
        and box.kinds >> kind & 1
        and within
        and box.icmp_types >> icmp_type & 1
        and box.icmp_codes >> code & 1
    )


def in_region(region: Region, packet) -> bool:
    return any(inside(box, packet) for box in region)


def hit(keys, packet) -> bool:
    return any(all(field & mask == value for field, (value, mask) in zip(packet, key, strict=True)) for key in keys)


@given(intervals())
def test_prefixes_cover_exactly_the_intervals(ranges):
    found = l4.prefixes(ranges, 16)
    for port in {p for low, high in ranges for p in (low - 1, low, high, high + 1)} & set(range(65536)):
        assert any(port & mask == value for value, mask in found) == any(low <= port <= high for low, high in ranges)


@given(intervals())
def test_complement_is_disjoint_and_complete(ranges):
    both = l4.normalise([*ranges, *l4.complement(ranges)])
    assert both == l4.ALL_PORTS
    assert sum(h - low + 1 for low, h in ranges) + sum(h - low + 1 for low, h in l4.complement(ranges)) == 65536


@given(st.dictionaries(st.sampled_from([6, 17, 132, 136]), intervals()), st.sampled_from(["src", "dst"]), packets())
def test_ports_and_their_negation(ports, side, packet):
    _, protocol, kind, sport, dport, _, _ = packet
    port = sport if side == "src" else dport
    matches = kind == 1 and any(low <= port <= high for low, high in ports.get(protocol, ()))
    unknown = kind == 3 and protocol in ports
    assert in_region(l4.ports_region(ports, side), packet) == matches
    assert in_region(l4.not_ports_region(ports, side), packet) == (not matches and not unknown)


@given(st.sampled_from([0, 3, 8]), st.sampled_from([None, 0, 1]), packets())
def test_icmp_and_its_negation(icmp_type, code, packet):
    family, protocol, kind, _, _, packet_type, packet_code = packet
    matches = kind == 2 and packet_type == icmp_type and code in (None, packet_code)
    unknown = kind == 3 and (family, protocol) in ((4, 1), (6, 58))
    assert in_region(l4.icmp_region(icmp_type, code), packet) == matches
    assert in_region(l4.not_icmp_region(icmp_type, code), packet) == (not matches and not unknown)


@st.composite
def regions(draw):
    out: Region = (Box(families=draw(st.sampled_from([1, 2, 3]))),)
    if draw(st.booleans()):
        out = l4.intersect(out, (Box(protocols=1 << draw(PROTOCOLS)),))
    if draw(st.booleans()):
        out = l4.intersect(out, (Box(protocols=l4.ALL_BYTES & ~(1 << draw(PROTOCOLS))),))
    if draw(st.booleans()):
        make = draw(st.sampled_from([l4.ports_region, l4.not_ports_region]))
        out = l4.intersect(out, make({6: draw(intervals()), 17: draw(intervals())}, draw(st.sampled_from(["src", "dst"]))))
    if draw(st.booleans()):
        make = draw(st.sampled_from([l4.icmp_region, l4.not_icmp_region]))
        out = l4.intersect(out, make(draw(st.sampled_from([0, 3, 8])), draw(st.sampled_from([None, 0, 1]))))
    return out


@given(regions(), regions(), packets())
def test_intersection_is_both(a, b, packet):
    assert in_region(l4.intersect(a, b), packet) == (in_region(a, packet) and in_region(b, packet))


@given(regions(), packets())
def test_expansion_hits_exactly_the_packets_of_the_region(region, packet):
    keys = [key for box in region for key in l4.expand(box)]
    assert hit(keys, packet) == in_region(region, packet)


@given(regions(), packets())
def test_possible_fragments_are_those_inside_with_some_ports(region, packet):
    family, protocol, kind, *_ = packet
    possible = in_region(l4.possible_fragments(region), packet)
    if kind != 3:
        assert not possible
    elif not in_region(region, packet):
        kind = kind_of(family, protocol, False)
        could = any(box.families >> (family == 6) & 1 and box.protocols >> protocol & 1 and box.kinds >> kind & 1 for box in region)
        assert possible == (could and kind > 0)
