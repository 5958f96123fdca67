"""An assembly made to fit DPDK means what it meant: executed by the embedded engine, either form does the same to every packet."""

import re
from random import Random

import pytest

from k8s_p4 import artefacts
from k8s_p4.target import InProcessTarget, pack_device_config, unpack_device_config
from k8s_p4.target.dpdk.legal import SPILL, legalise
from k8s_p4.target.errors import LoadError
from k8s_p4.target.operands import Scope
from k8s_p4.target.spec import parse
from test.support.p4target import session

CONFIG = unpack_device_config(artefacts.device_config())
LEGAL = legalise(CONFIG.spec, parse(CONFIG.spec))


def test_every_field_is_within_reach() -> None:
    """Operands have a byte offset of eight bits (struct instr_operand)."""
    scope = Scope(parse(LEGAL.text))
    assert sum(f.bits for f in parse(CONFIG.spec).structs["metadata_t"].fields) > 256 * 8, "the program fits as it is: nothing is shown"
    for name, (space, _, _, _, offset) in scope._refs.items():
        assert offset < 256 * 8 or space == "t", name
    assert all(header.size <= 255 for name, header in scope.headers.items() if name.startswith(SPILL))


def test_the_same_is_done_to_packets() -> None:
    answers = []
    for config in (artefacts.device_config(), pack_device_config(LEGAL.text, CONFIG.context, CONFIG.entries)):
        target, rng = InProcessTarget(), Random(7)
        with session(target.channel, artefacts.p4info(), config) as made:
            frame, port = made.allow_one()
            found = []
            for _ in range(200):
                damaged = bytearray(frame)
                damaged[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
                found.append(made.bench.inject(port, rng.choice((frame, bytes(damaged)))).outputs)
        target.stop()
        answers.append(found)
    assert answers[0] == answers[1]
    assert 20 < sum(bool(outputs) for outputs in answers[0]) < 200


def spec(fields: str, body: str, table: str = "") -> str:
    return f"""
struct metadata_t {{
	bit<32> port
{fields}
}}
metadata instanceof metadata_t
regarray first size 4 initval 0
regarray second size 4 initval 0
{table}
apply {{
	rx m.port
{body}
	tx m.port
}}
"""


FIELDS = "\n".join(f"\tbit<64> f{n}" for n in range(64))


def test_two_numbers_go_through_a_field() -> None:
    text = spec("", "\tregadd second 0x1 1\n\tLABEL :\tregwr second 2 0x3\n\tregadd second m.port 1")
    legal = legalise(text, parse(text)).text
    assert re.findall(r"(?:regadd|regwr) .*", legal) == [
        "regadd second m.legal_index 1", "regwr second m.legal_index 0x3", "regadd second m.port 1",
    ]  # fmt: skip
    assert "LABEL :\tmov m.legal_index 2" in legal


def test_what_a_hash_takes_stays_together_in_metadata() -> None:
    text = spec(FIELDS, "\thash crc32 m.f1 m.f40 m.f43\n\tmov m.f50 m.f2")
    legal = legalise(text, parse(text))
    names = [field.name for field in parse(legal.text).structs["metadata_t"].fields]
    at = names.index("f40")
    assert names[at : at + 4] == ["f40", "f41", "f42", "f43"]
    assert {"port", "f1"} <= set(names)
    assert "m.f50" in legal.names


def test_a_key_stays_together() -> None:
    table = "action a args none {\n\treturn\n}\ntable t {\n\tkey {\n\t\tm.f60 exact\n\t\tm.f62 exact\n\t}\n\tactions {\n\t\ta\n\t}\n\tdefault_action a args none\n\tsize 4\n}"
    text = spec(FIELDS, "\ttable t", table)
    legal = legalise(text, parse(text))
    (moved,) = {legal.names[f"m.f{n}"].rpartition(".")[0] for n in (60, 61, 62)}
    assert moved.startswith(f"h.{SPILL}")
    refs = [Scope(parse(legal.text)).field(0, legal.names[f"m.f{n}"]).offset for n in (60, 61, 62)]
    assert refs == [refs[0], refs[0] + 64, refs[0] + 128]


def test_too_much_that_must_be_metadata() -> None:
    text = spec(FIELDS, "\thash crc32 m.f1 m.f2 m.f40")
    with pytest.raises(LoadError, match=r"bytes have to be metadata, DPDK reaches 256"):
        legalise(text, parse(text))
