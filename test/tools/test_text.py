"""The text form: any bytes come back, text can be edited, and errors say where."""

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from calico_p4.cli.cat import command as cat
from calico_p4.cli.pack import command as pack
from calico_p4.tools.sequence import numbered
from calico_p4.tools.text import TextError, to_bytes, to_text
from calico_p4.tools.wire import FROM_DATAPLANE, VERBATIM, encode, parse, varint
from felix_proto import felixbackend_pb2 as pb
from felix_proto.encode import Encoder
from felix_proto.framing import iter_frames
from felix_proto.recordings import read_recording
from test.support.shared import recording_path

PAYLOADS = [frame.payload for frame in read_recording(recording_path("quickstart.felixstream"))]
LEGACY = [frame.payload for frame in read_recording(recording_path("quickstart-v3.31.felixstream"))]


@given(st.binary(max_size=60))
def test_any_bytes_come_back(data: bytes):
    assert to_bytes(to_text(data)) == data and "\n" not in to_text(data)


@given(st.data())
def test_a_damaged_message_comes_back(data: st.DataObject):
    payload = bytearray(data.draw(st.sampled_from(PAYLOADS + LEGACY)))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    assert to_bytes(to_text(bytes(payload))) == bytes(payload)


@given(st.binary(max_size=12), st.text(max_size=12))
def test_any_string_comes_back(data: bytes, text: str):
    for content in (data, text.encode(errors="replace")):
        payload = encode(parse(b"\x12" + varint(len(content) + 2) + b"\x0a" + varint(len(content)) + content))
        line = to_text(payload)
        assert to_bytes(line) == payload and line.isprintable()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("0a00", "in_sync {}"),
        ("", "{}"),
        ("7805", "sequence_number: 5"),
        ("788500", '@bytes: "788500"'),  # 5 in two bytes
        ("12031a01", '@bytes: "12031a01"'),  # cut short
        ("12031a0100", 'ipset_update { 3: "\\x00" }'),  # a string where the schema has a number
        ("9a3f03616263", '1011: "abc"'),
        ("9d3f01000000", "1011: 0x00000001"),
        ("993f0100000000000000", "1011: 0x0000000000000001"),
        ("120418021802", "ipset_update { type: NET type: NET }"),
        ("12021800", "ipset_update { type: IP }"),  # a default that was sent
        ("12021809", "ipset_update { type: 9 }"),
        ("120318ff00", 'ipset_update { @bytes: "18ff00" }'),
        ("5a042a027001", "workload_endpoint_update { endpoint { 14: 1 } }"),  # 3.30
        ("12050a03ff2022", 'ipset_update { id: "\\xff \\"" }'),
    ],
)
def test_spellings(data: str, text: str):
    assert to_text(bytes.fromhex(data)) == text
    assert to_bytes(text) == bytes.fromhex(data)


def test_names_of_older_releases_are_text():
    lines = [to_text(payload) for payload in LEGACY]
    assert any('ingress_policies: "security.block-threats"' in line for line in lines) and not any("@bytes" in line for line in lines)


def test_negative_numbers_are_spelled_in_ten_bytes():
    payload = pb.ToDataplane(active_profile_update=pb.ActiveProfileUpdate(profile=pb.Profile(inbound_rules=[pb.Rule(icmp_type=-1)])))
    line = to_text(payload.SerializeToString())
    assert "icmp_type: -1" in line and to_bytes(line) == payload.SerializeToString()


def test_text_can_be_edited():
    payload = to_bytes('ipset_update{id:"s:a"members:"10.0.0.1/32" members : "10.0.0.2/32" type:NET}sequence_number:7 # a remark')
    message = pb.ToDataplane.FromString(payload or b"")
    assert list(message.ipset_update.members) == ["10.0.0.1/32", "10.0.0.2/32"] and message.sequence_number == 7
    assert to_bytes("  # nothing but a remark") is None and to_bytes("") is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("ipset_update { it: 5 }", "column 16: IPSetUpdate has no field 'it'"),
        ("ipset_update { id: 5 }", "column 20: a string for id expected, found '5'"),
        ('sequence_number: "5"', "column 18: a number for sequence_number expected, found '\"5\"'"),
        ("ipset_update { type: NOT }", "column 22: a value of type expected, found 'NOT'"),
        ('ipset_update { id: "a" ', "column 20: '}' expected, found the end of the line"),
        ("in_sync {} }", "column 12: a field expected, found '}'"),
        ("in_sync", "column 1: ':' expected, found the end of the line"),
        ("sequence_number { }", "column 1: sequence_number is no message"),
        ("536870912: 5", "column 1: 536870912 is no field number"),
        ('@bytes: "0"', "column 9: a string of hexadecimal digits expected, found '\"0\"'"),
        ("sequence_number: 99999999999999999999", "column 18: a value of sequence_number expected, found '99999999999999999999'"),
        ("1011: 0x001", "column 7: a number or a string expected, found '0x001'"),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(line: str, error: str):
    with pytest.raises(TextError) as raised:
        to_bytes(line)
    assert str(raised.value) == error


def test_answers_of_a_driver():
    frame = next(iter_frames(_Once(Encoder().process_status("2026-01-01T00:00:00Z", 12.5))))
    line = to_text(frame.payload, FROM_DATAPLANE)
    assert line == 'process_status_update { iso_timestamp: "2026-01-01T00:00:00Z" uptime: 12.5 }'
    assert to_bytes(line, FROM_DATAPLANE) == frame.payload


class _Once:
    def __init__(self, data: bytes) -> None:
        self._data = [data]

    def read(self, size: int) -> bytes:
        return self._data.pop() if self._data else b""


def test_numbering_leaves_all_else_where_it_was():
    for payload in PAYLOADS[:20]:
        fields = parse(payload)
        assert encode(numbered(fields, pb.ToDataplane.FromString(payload).sequence_number)) == payload
        assert pb.ToDataplane.FromString(encode(numbered(fields, 300))).sequence_number == 300
    assert parse(b"\xff")[0].wire_type == VERBATIM


def test_edit_and_renumber(tmp_path):
    text, out = tmp_path / "text", tmp_path / "out"
    lines = CliRunner().invoke(cat, [str(recording_path("quickstart.felixstream")), "-n"]).stdout.splitlines()
    offset = list(read_recording(recording_path("quickstart.felixstream")))[5].offset
    assert lines[5].endswith(f"  # frame 5, byte {offset}")
    del lines[40:60]
    text.write_text("# edited\n\n" + "\n".join(lines))
    assert CliRunner().invoke(pack, [str(text), "--renumber", "-o", str(out)]).exit_code == 0
    frames = list(read_recording(out))
    assert [pb.ToDataplane.FromString(frame.payload).sequence_number for frame in frames] == list(range(126))
