"""Packets: the file, the order of sending, the frames built, and what is read off a frame."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_p4.files import BadFile
from calico_p4.frames import Fields, parse
from calico_p4.packets import CannotBuild, build, complete, load_packets, plan

V4 = {"src": "10.0.0.1", "dst": "10.0.0.2"}
V6 = {"src": "fd00::1", "dst": "fd00::2"}
SOURCE = "02:00:00:00:00:01"


def sent(fields: dict, original: Fields | None = None) -> Fields:
    """What can be read off the frame that is made of these fields."""
    frame = build(complete(fields, original), 0x020000000001)
    assert frame[:12].hex() == "eeeeeeeeeeee020000000001"
    parsed = parse(frame)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"proto": "tcp", **V4}, Fields(6, "10.0.0.1", "10.0.0.2", 40000, 80, None, None, 64, 0)),
        ({"proto": "udp", **V6, "sport": 0, "dport": 65535, "ttl": 1}, Fields(17, "fd00::1", "fd00::2", 0, 65535, None, None, 1, 0)),
        ({"proto": "sctp", **V4, "dport": 9}, Fields(132, "10.0.0.1", "10.0.0.2", 40000, 9, None, None, 64, 0)),
        ({"proto": "udplite", **V6}, Fields(136, "fd00::1", "fd00::2", 40000, 80, None, None, 64, 0)),
        ({"proto": "icmp", **V4}, Fields(1, "10.0.0.1", "10.0.0.2", None, None, 8, 0, 64, 0)),
        ({"proto": "icmp", **V4, "icmp_type": 3, "icmp_code": 1}, Fields(1, "10.0.0.1", "10.0.0.2", None, None, 3, 1, 64, 0)),
        ({"proto": "icmpv6", **V6}, Fields(58, "fd00::1", "fd00::2", None, None, 128, 0, 64, 0)),
        ({"proto": "icmpv6", **V6, "icmp_type": 135}, Fields(58, "fd00::1", "fd00::2", None, None, 135, 0, 64, 0)),
        ({"proto": "icmpv6", **V4}, Fields(58, "10.0.0.1", "10.0.0.2", None, None, None, None, 64, 0)),
        ({"proto": "icmp", **V6}, Fields(1, "fd00::1", "fd00::2", None, None, None, None, 64, 0)),
        ({"proto": 253, **V4}, Fields(253, "10.0.0.1", "10.0.0.2", None, None, None, None, 64, 0)),
    ],
)
def test_what_is_asked_for_is_what_is_sent(fields: dict, expected: Fields):
    assert sent(fields) == expected


def test_a_reply_is_the_packet_as_it_left_reversed():
    left = Fields(6, "10.0.0.1", "10.0.0.2", 40000, 80, None, None, 63, 0)
    assert sent({"reply_to": "a"}, left) == Fields(6, "10.0.0.2", "10.0.0.1", 80, 40000, None, None, 64, 0)
    assert sent({"dport": 7}, left).dport == 7
    echo = Fields(58, "fd00::1", "fd00::2", None, None, 128, 0, 63, 0)
    assert sent({}, echo) == Fields(58, "fd00::2", "fd00::1", None, None, 129, 0, 64, 0)
    assert sent({}, echo._replace(proto=1, icmp_type=8, src="10.0.0.1", dst="10.0.0.2")).icmp_type == 0


@pytest.mark.parametrize("fields", [{"proto": 6, "src": "10.0.0.1", "dst": "fd00::1"}, {"proto": 6, "src": "10.0.0", "dst": "10.0.0.1"}])
def test_what_can_not_be_built(fields: dict):
    with pytest.raises(CannotBuild):
        complete(fields)


def test_fragments_options_and_extension_headers_are_read_over():
    from scapy.layers.inet import IP, TCP, IPOption_NOP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
    from scapy.layers.l2 import Ether

    options = Ether(src=SOURCE, dst=SOURCE) / IP(**V4, options=[IPOption_NOP()] * 4, tos=0xB8) / TCP(sport=1, dport=2)
    assert parse(bytes(options)) == Fields(6, "10.0.0.1", "10.0.0.2", 1, 2, None, None, 64, 46)
    later = Ether(src=SOURCE, dst=SOURCE) / IP(**V4, frag=3, proto=6) / TCP(sport=1, dport=2)
    assert parse(bytes(later)).sport is None
    headers = Ether(src=SOURCE, dst=SOURCE) / IPv6(**V6, tc=0xB8) / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment() / TCP(sport=1, dport=2)
    assert parse(bytes(headers)) == Fields(6, "fd00::1", "fd00::2", 1, 2, None, None, 64, 46)
    later6 = Ether(src=SOURCE, dst=SOURCE) / IPv6(**V6) / IPv6ExtHdrFragment(offset=9, nh=6) / TCP(sport=1, dport=2)
    assert parse(bytes(later6))[:4] == (6, "fd00::1", "fd00::2", None)


@given(st.binary(max_size=90))
def test_no_frame_is_too_odd_to_be_read(tail: bytes):
    for ether_type in (b"\x08\x00", b"\x86\xdd", b"\x08\x06"):
        parse(bytes(12) + ether_type + tail)
    parse(tail)


def test_the_order_of_sending():
    items = [{"id": "end", "at": 9}, {"id": "b", "after": 5, "at": 2}, {"id": "a", "after": 2}, {"id": "c", "after": 5}]
    assert [(p.id, p.at) for p in plan(items)] == [("a", 0.0), ("b", 2.0), ("c", 2.0), ("end", 9.0)]


def test_time_must_not_run_backwards():
    with pytest.raises(BadFile, match=r"packets: \[0\]: at 1 is before 2, the time of the packet sent before it"):
        plan([{"after": 5, "at": 1}, {"after": 2, "at": 2}])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[{]", "byte 2: Expecting property name"),
        ('{"a": 1}', r"\$: {'a': 1} is not of type 'array'"),
        ('[{"raw": "00"}, {"raw": "0"}]', r"\$\[1\].raw"),
        ('[{"proto": "tcp", "src": "a"}]', r"\$\[0\]"),
        ('[{"proto": "tpc", "src": "a", "dst": "b"}]', r"\$\[0\].proto"),
        ('[{"raw": "00", "dport": 5}]', r"\$\[0\]"),
        ('[{"raw": "00", "id": 1}, {"raw": "00", "id": 1}]', r"\[1\]: id 1 is already that of \[0\]"),
        ('[{"raw": "00"}, {"raw": "00", "id": 0}]', r"\[1\]: id 0 is already that of \[0\]"),
        ('[{"raw": "00", "after": -1}]', r"\$\[0\].after"),
        ('[{"raw": "00", "from": "worklaod:a/b"}]', r"\$\[0\].from"),
    ],
)
def test_a_bad_packet_file_is_named_with_the_place(tmp_path, content: str, error: str):
    path = tmp_path / "packets.json"
    path.write_text(content)
    with pytest.raises(BadFile, match=rf"packets\.json: {error}"):
        load_packets(str(path))


def test_unreadable_files(tmp_path):
    with pytest.raises(BadFile, match="No such file"):
        load_packets(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_bytes(b"[\xff]")
    with pytest.raises(BadFile, match="byte 1: not UTF-8"):
        load_packets(str(tmp_path / "bad.json"))


def test_a_packet_by_every_way_the_contract_has(tmp_path):
    items = [
        {"id": 1.5, "raw": "00", "from": "host", "at": 1, "after": 0, "flow": "keep"},
        {"proto": 253, **V4, "from": "workload:shop/web-1", "payload": "aabb", "tcp_flags": "SA", "ttl": 0},
        {"reply_to": 1.5, "from": "interface:eth1"},
    ]
    (tmp_path / "p.json").write_text(json.dumps(items))
    assert [p.place for p in load_packets(str(tmp_path / "p.json"))] == [0, 1, 2]
