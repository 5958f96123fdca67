"""Every instruction of the assembly, run on one packet; the expectations are DPDK's semantics worked out by hand."""

from typing import Any

import pytest

from k8s_p4.target.errors import LoadError
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import DROPPED, LOOP, SENT, SHORT_FRAME, Machine, Packet
from k8s_p4.target.spec import parse

PROGRAM = """
struct a_t {{
	bit<8> b8
	bit<16> b16
	bit<32> b32
	bit<48> b48
	bit<64> b64
	bit<128> b128
}}
struct sum_t {{
	bit<16> sum
}}
struct opt_t {{
	bit<8> kind
	bit<8> len
	varbit<80> rest
}}
struct arg_t {{
	bit<32> one
	bit<64> two
}}
struct meta_t {{
	bit<32> port
	bit<32> out
	bit<8> m8
	bit<16> m16
	bit<32> m32
	bit<64> m64
	bit<128> m128
	bit<32> n32
	bit<8> n8
	bit<32> took
}}
metadata instanceof meta_t
header a instanceof a_t
header b instanceof a_t
header s instanceof sum_t
header o instanceof opt_t
regarray reg size 0x5 initval 0x7
metarray met size 0x2
action NoAction args none {{
	return
}}
action act args instanceof arg_t {{
{action}
	return
}}
action other args none {{
	return
}}
table t {{
	actions {{
		act
		other
	}}
	default_action act args one 0x11223344 two 0xAABBCCDDEEFF0011
	size 0x1
}}
table e {{
	key {{
		m.m8 exact
	}}
	actions {{
		other
		NoAction
	}}
	default_action NoAction args none
	size 0x10
}}
apply {{
	rx m.port
	extract h.a
	mov m.out 0x1
	mov m.took 0x0
{body}
	jmp FINISH
	TAKEN : mov m.took 0x1
	FINISH : emit h.a
	emit h.b
	emit h.s
	emit h.o
	tx m.out
}}
"""
A = {
    "b8": 0xF1,
    "b16": 0x1234,
    "b32": 0x89ABCDEF,
    "b48": 0x0102030405F6,
    "b64": 0xFEDCBA9876543210,
    "b128": 0x000102030405060708090A0B0C0D0E0F,
}
WIDTHS = {"b8": 8, "b16": 16, "b32": 32, "b48": 48, "b64": 64, "b128": 128}
REST = bytes(range(0x40, 0x60))


def frame_of(fields: dict[str, int]) -> bytes:
    return b"".join(fields[name].to_bytes(bits // 8, "big") for name, bits in WIDTHS.items())


def machine(body: str = "", action: str = "", **options: Any) -> Machine:
    lines = "\n".join("\t" + line for line in body.splitlines())
    return Machine(parse(PROGRAM.format(body=lines, action=action)), Options(**options))


def run(body: str = "", action: str = "", frame: bytes | None = None, now: int = 0) -> tuple[Packet, dict[str, int], dict[str, int]]:
    """(packet, metadata by name, fields of header a as it left)."""
    made = machine(body, action)
    packet = made.run(frame_of(A) + REST if frame is None else frame, 9, now)
    metadata = {name: value for (name, _), value in zip(made.metadata_fields, packet.metadata, strict=True)}
    fields: dict[str, int] = {}
    at = 0
    for name, bits in WIDTHS.items():
        fields[name] = int.from_bytes(packet.sent_frame()[at : at + bits // 8], "big")
        at += bits // 8
    return packet, metadata, fields


def value_after(body: str, what: str) -> int:
    """The value of "m.x" or "h.a.x" after the body."""
    _, metadata, fields = run(body)
    return metadata[what[2:]] if what.startswith("m.") else fields[what.removeprefix("h.a.")]


@pytest.mark.parametrize(
    ("body", "what", "expected"),
    [
        # mov: by value, cut or extended with zeros
        ("mov m.m16 0x12345", "m.m16", 0x2345),
        ("mov m.m8 h.a.b32", "m.m8", 0xEF),
        ("mov m.m64 h.a.b16", "m.m64", 0x1234),
        ("mov h.a.b16 h.a.b64", "h.a.b16", 0x3210),
        ("mov h.a.b64 h.a.b8", "h.a.b64", 0xF1),
        ("mov m.m32 h.a.b48\nmov h.a.b16 m.m32", "h.a.b16", 0x05F6),
        ("mov h.a.b48 0x112233445566", "h.a.b48", 0x112233445566),
        ("mov m.m128 h.a.b128", "m.m128", A["b128"]),
        ("mov m.m128 h.a.b64", "m.m128", A["b64"]),
        ("mov h.a.b64 m.m128", "h.a.b64", 0xA5A5A5A5A5A5A5A5),
        ("mov h.a.b32 h.a.b128", "h.a.b32", 0x0C0D0E0F),
        ("mov m.n32 0x5\nmov m.m32 m.n32", "m.m32", 5),
        # movh: the upper half of 128 bits
        ("movh h.a.b64 h.a.b128", "h.a.b64", 0x0001020304050607),
        ("movh h.a.b128 h.a.b64", "h.a.b128", 0xFEDCBA9876543210_08090A0B0C0D0E0F),
        ("mov m.m128 h.a.b128\nmovh m.m128 h.a.b64", "m.m128", 0xFEDCBA9876543210_08090A0B0C0D0E0F),
        # arithmetic wraps at the destination's width
        ("mov m.m8 0xFE\nadd m.m8 0x3", "m.m8", 1),
        ("add h.a.b8 0xFF", "h.a.b8", 0xF0),
        ("mov m.m16 0x1\nadd m.m16 h.a.b32", "m.m16", 0xCDF0),
        ("add h.a.b48 h.a.b64", "h.a.b48", (0x0102030405F6 + 0xFEDCBA9876543210) % 2**48),
        ("mov m.m32 0x5\nadd h.a.b32 m.m32", "h.a.b32", 0x89ABCDF4),
        ("mov m.m8 0x2\nsub m.m8 0x3", "m.m8", 0xFF),
        ("sub h.a.b16 h.a.b8", "h.a.b16", 0x1234 - 0xF1),
        ("mov m.m64 0x1\nsub m.m64 h.a.b32", "m.m64", (1 - 0x89ABCDEF) % 2**64),
        ("and h.a.b32 0xFF00FF", "h.a.b32", 0x00AB00EF),
        ("mov m.m64 0xFFFFFFFFFFFFFFFF\nand m.m64 h.a.b8", "m.m64", 0xF1),
        ("and h.a.b8 h.a.b64", "h.a.b8", 0xF1 & 0x10),
        ("mov m.m8 0x1\nor m.m8 0x110", "m.m8", 0x11),
        ("or h.a.b8 h.a.b32", "h.a.b8", 0xF1 | 0xEF),
        ("or h.a.b32 h.a.b8", "h.a.b32", 0x89ABCDEF | 0xF1),
        ("xor h.a.b16 0xFFFFF", "h.a.b16", 0x1234 ^ 0xFFFF),
        ("mov m.m8 0xF\nxor m.m8 h.a.b16", "m.m8", 0xF ^ 0x34),
        ("xor h.a.b48 h.a.b64", "h.a.b48", 0x0102030405F6 ^ 0xBA9876543210),
        ("mov m.m16 0x8001\nshl m.m16 0x4", "m.m16", 0x10),
        ("shl h.a.b8 0x1", "h.a.b8", 0xE2),
        ("mov m.n32 0x8\nshr h.a.b32 m.n32", "h.a.b32", 0x89ABCD),
        ("mov m.m64 0x100\nshr m.m64 0x44", "m.m64", 0x10),
        ("mov m.m64 0x1\nshl m.m64 0x40", "m.m64", 1),
        ("mov m.m16 0x3\nshl m.m32 0x0\nmov m.m32 0x1\nshl m.m32 m.m16", "m.m32", 8),
        # registers: 64 bits each, the index wraps at the next power of two (8)
        ("regrd m.m64 reg 0x0", "m.m64", 7),
        ("regwr reg 0x1 0xFFFFFFFFFFFFFFFF\nregadd reg 0x9 0x3\nregrd m.m64 reg 0x1", "m.m64", 2),
        ("regwr reg h.a.b16 h.a.b64\nregrd m.m8 reg 0x4", "m.m8", 0x10),
        ("mov m.m32 0x2\nregwr reg m.m32 m.m32\nregadd reg 0x2 h.a.b8\nregrd h.a.b16 reg 0xA", "h.a.b16", 2 + 0xF1),
        ("regprefetch reg 0x0\nmetprefetch met 0x0\nmov m.m8 0x4", "m.m8", 4),
        # a meter without a configuration marks everything green
        ("meter met 0x0 h.a.b64 0x2 m.m32", "m.m32", 0),
        # the first pass
        ("recircid m.m32", "m.m32", 0),
    ],
)
def test_values(body: str, what: str, expected: int) -> None:
    assert value_after(body, what) == expected


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("jmpeq TAKEN h.a.b8 0xF1", True),
        ("jmpeq TAKEN h.a.b8 0x1F1", True),  # a literal beside a header field is cut to its width
        ("jmpeq TAKEN h.a.b8 0xF2", False),
        ("jmpeq TAKEN m.out 0x1", True),
        ("jmpeq TAKEN m.out 0x100000001", False),  # beside metadata it is not
        ("jmpeq TAKEN m.port m.out", False),
        ("jmpneq TAKEN h.a.b16 0x1234", False),
        ("jmpneq TAKEN h.a.b16 h.a.b8", True),
        ("jmplt TAKEN h.a.b8 h.a.b16", True),
        ("jmplt TAKEN h.a.b8 0xF1", False),
        ("jmplt TAKEN m.port 0xFFFFFFFF", True),  # unsigned
        ("jmpgt TAKEN h.a.b64 m.port", True),
        ("jmpgt TAKEN m.port 0x9", False),
        ("jmpv TAKEN h.a", True),
        ("jmpv TAKEN h.b", False),
        ("jmpnv TAKEN h.b", True),
        ("validate h.b\njmpnv TAKEN h.b", False),
        ("invalidate h.a\njmpv TAKEN h.a", False),
        ("mov m.m8 0x1\ntable e\njmph TAKEN", False),
        ("mov m.m8 0x1\ntable e\njmpnh TAKEN", True),
        ("mov m.m8 0x1\ntable e\njmpa TAKEN NoAction", True),
        ("mov m.m8 0x1\ntable e\njmpna TAKEN NoAction", False),
        ("mov m.m8 0x1\ntable e\njmpa TAKEN other", False),
        ("table t\njmpa TAKEN act", True),
        ("jmp TAKEN", True),
    ],
)
def test_jumps(condition: str, taken: bool) -> None:
    _, metadata, _ = run(condition)
    assert metadata["took"] == int(taken)


def test_a_hit_is_told_from_a_miss() -> None:
    made = machine("mov m.m8 0x5\ntable e\nentryid m.n32\njmph TAKEN")
    other = made.actions["other"]
    made.tables["e"].match.put(5, (other.function, (), 4, 0, other, None))
    names = [name for name, _ in made.metadata_fields]
    packet = made.run(frame_of(A), 9, 0)
    assert (packet.metadata[names.index("took")], packet.metadata[names.index("n32")]) == (1, 4)
    made.tables["e"].match.remove(5)
    packet = made.run(frame_of(A), 9, 0)
    assert (packet.metadata[names.index("took")], packet.metadata[names.index("n32")]) == (0, 0)


def test_what_is_emitted_leaves_in_that_order_and_then_the_rest() -> None:
    packet, _, _ = run()
    assert packet.outcome == SENT and packet.port_out == 1
    assert packet.sent_frame() == frame_of(A) + REST
    packet, _, _ = run("extract h.b\ninvalidate h.a")
    # b was extracted from the rest and is emitted, a is gone
    assert packet.sent_frame() == run("")[0].sent_frame()[len(frame_of(A)) :]
    packet, _, _ = run("extract h.s\ninvalidate h.s")
    assert packet.sent_frame() == frame_of(A) + REST[2:], "extracted but not emitted bytes are gone"


def test_lookahead_takes_nothing_from_the_frame() -> None:
    packet, metadata, _ = run("lookahead h.s\nmov m.m16 h.s.sum\nextract h.s")
    assert metadata["m16"] == 0x4041 and packet.sent_frame() == frame_of(A) + REST


def test_varbit_fields_take_the_bytes_they_are_told() -> None:
    packet, metadata, _ = run("mov m.n32 0x3\nextract h.o m.n32\nmov m.m8 h.o.len\nextract h.s\nmov m.m16 h.s.sum\ninvalidate h.s")
    assert (metadata["m8"], metadata["m16"]) == (0x41, 0x4546)
    assert packet.sent_frame() == frame_of(A) + REST[:5] + REST[7:]


@pytest.mark.parametrize(
    ("body", "needed"),
    [("extract h.b", 37), ("extract h.s\nextract h.s", 4), ("lookahead h.b", 37), ("mov m.n32 0xA\nextract h.o m.n32", 12)],
)
def test_a_frame_that_is_too_short_is_refused_and_not_read_beyond_its_end(body: str, needed: int) -> None:
    assert run(body, frame=frame_of(A) + bytes(needed))[0].outcome == SENT
    assert run(body, frame=frame_of(A) + bytes(needed - 1))[0].outcome == SHORT_FRAME


def test_drop_is_immediate_in_the_program_and_in_an_action() -> None:
    packet, metadata, _ = run("mov m.m8 0x1\ndrop\nmov m.m8 0x2")
    assert (packet.outcome, metadata["m8"]) == (DROPPED, 1)
    packet, metadata, _ = run("mov m.m8 0x1\ntable t\nmov m.m8 0x2", action="\tmov m.m8 0x3\n\tdrop\n\tmov m.m8 0x4")
    assert (packet.outcome, metadata["m8"]) == (DROPPED, 3)


def test_an_action_sees_its_arguments_and_may_branch() -> None:
    action = """
	mov m.m32 t.one
	mov h.a.b64 t.two
	jmpeq ONE t.one 0x11223344
	mov m.m8 0x1
	jmp END
	ONE : mov m.m8 0x2
	jmpgt END m.port 0x8
	mov m.m8 0x3
	END : add m.m8 0x10"""
    _, metadata, fields = run("table t", action=action)
    assert (metadata["m32"], fields["b64"], metadata["m8"]) == (0x11223344, 0xAABBCCDDEEFF0011, 0x12)


def test_metadata_is_never_cleared_and_poisoned_by_default() -> None:
    body = "jmpeq WRITE m.port 0x1\njmp FINISH\nWRITE : mov m.m32 0x77"
    for poison, expected in ((True, 0xA5A5A5A5), (False, 0x77)):
        made = machine(body, poison=poison)
        made.run(frame_of(A), 1, 0)
        packet = made.run(frame_of(A), 2, 0)
        assert packet.metadata[[name for name, _ in made.metadata_fields].index("m32")] == expected


def test_validate_gives_stale_bytes_and_leaves_a_valid_header_alone() -> None:
    assert value_after("validate h.a", "h.a.b16") == 0x1234
    packet, _, _ = run("validate h.s")
    assert packet.sent_frame() == frame_of(A) + b"\xa5\xa5" + REST


def test_checksums() -> None:
    # 0x4000 is what the packet claims: RFC 1624 by hand
    start = "validate h.s\nmov h.s.sum 0x4000\n"
    packet, _, _ = run(start + "ckadd h.s.sum h.a.b16")
    assert packet.sent_frame()[-len(REST) - 2 : -len(REST)] == (~(~0x4000 + 0x1234) & 0xFFFF).to_bytes(2, "big")
    packet, _, _ = run(start + "ckadd h.s.sum h.a.b16\ncksub h.s.sum h.a.b16")
    assert packet.sent_frame()[-len(REST) - 2 : -len(REST)] == b"\x40\x00"
    # one byte counts as the upper half of a word: as DPDK does, not as P4 means it
    packet, _, _ = run(start + "ckadd h.s.sum h.a.b8")
    assert packet.sent_frame()[-len(REST) - 2 : -len(REST)] == (~((~0x4000 & 0xFFFF) + 0xF100 - 0xFFFF) & 0xFFFF).to_bytes(2, "big")


def test_a_header_s_checksum_leaves_out_what_is_no_full_word() -> None:
    packet, _, _ = run("validate h.s\nmov h.s.sum 0x0\nckadd h.s.sum h.a")
    data = frame_of(A)[: len(frame_of(A)) & ~3]
    total = 0xFFFF + sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert int.from_bytes(packet.sent_frame()[-len(REST) - 2 : -len(REST)], "big") == ~total & 0xFFFF
    assert len(frame_of(A)) % 4 != 0, "or the test says nothing"


def test_hashes_see_metadata_as_it_lies_in_memory() -> None:
    from k8s_p4.target.externs import crc32, jhash

    _, metadata, _ = run("mov m.m8 0x12\nmov m.m16 0x3456\nmov m.m32 0x0\nhash crc32 m.n32 m.m8 m.m16\nhash jhash m.m64 h.a.b16 h.a.b48")
    assert metadata["n32"] == crc32(bytes.fromhex("125634"))
    assert metadata["m64"] == jhash(frame_of(A)[1:13])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("frobnicate m.m8", "line 75: unknown instruction 'frobnicate'"),
        ("mirror m.m8 m.m8", "mirroring is not supported"),
        ("extern e.x.y", "extern objects"),
        ("mov m.m8", "mov takes 2 operands, not 1"),
        ("mov m.nothing 0x1", "no field 'm.nothing'"),
        ("mov m.m128 0x1", "a literal can't be moved into 128 bits"),
        ("mov m.m128 m.m32", "the narrow field must be a header's"),
        ("mov m.m8 zz", "no field 'zz'"),
        ("mov m.m8 0xZZ", "is not a number"),
        ("add m.m128 0x1", "m.m128 has 128 bits, more than 64"),
        ("movh m.m64 h.a.b128", "movh moves"),
        ("jmpeq NOWHERE m.m8 0x1", "no label 'NOWHERE'"),
        ("jmpeq TAKEN 0x1 0x1", "no field '0x1'"),
        ("jmpeq TAKEN h.a.b128 0x1", "more than 64"),
        ("extract h.nothing", "no header"),
        ("extract h.a m.n32", "has no varbit field"),
        ("extract h.o", "has a varbit field"),
        ("regrd m.m8 nothing 0x0", "no register array"),
        ("meter nothing 0x0 0x0 0x0 m.m8", "no meter array"),
        ("table nothing", "no table"),
        ("learn act m.m32 m.m8", "learn can only stand in an action"),
        ("hash md5 m.m32 m.m8 m.m8", "no hash function"),
        ("hash crc32 m.m32 m.m16 m.m8", "is no run of fields"),
        ("ckadd m.m16 h.a.b16", "is not a header field of 16 bits"),
        ("tx m.nothing", "no field"),
    ],
)
def test_what_is_unknown_or_malformed_is_refused_at_load(body: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        machine(body)


def test_dead_code_is_checked_too() -> None:
    with pytest.raises(LoadError, match="unknown instruction"):
        machine("jmp FINISH\nfrobnicate m.m8")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("\textract h.s", "extract can't stand in an action"),
        ("\tmov t.one 0x1", "arguments can't be written"),
        ("\tBACK : mov m.m8 0x1\n\tjmp BACK", "backwards inside an action"),
    ],
)
def test_what_an_action_can_t_have(action: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        machine("table t", action=action)


def test_a_program_that_does_not_end_is_stopped() -> None:
    packet, _, _ = run("AGAIN : mov m.m8 0x1\njmp AGAIN")
    assert packet.outcome == LOOP


def test_a_loop_that_takes_bytes_ends_with_the_frame() -> None:
    packet, _, _ = run("AGAIN : extract h.s\njmp AGAIN")
    assert packet.outcome == SHORT_FRAME


def test_recirculation_starts_again_with_what_was_sent_and_keeps_metadata() -> None:
    body = "recircid m.m8\njmpgt DONE m.m8 0x2\nadd h.a.b8 0x1\nadd m.port 0x5\nrecirculate\nDONE : mov m.m16 m.port"
    packet, metadata, fields = run(body)
    assert (packet.outcome, fields["b8"]) == (SENT, 0xF1 + 3)
    assert (metadata["m8"], metadata["m16"]) == (3, 9 + 3 * 5), "the port is written once, not at every pass"
    packet, _, _ = run("recirculate\ndrop")
    assert packet.outcome == DROPPED
    packet, _, _ = run("recirculate")
    assert packet.outcome == LOOP
