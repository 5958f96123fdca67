"""Our program leans on nothing that p4c-dpdk compiles wrongly or that DPDK executes otherwise: what can be seen in the sources and in the
assembly, here; what only packets show, at the end and where `docs/targets.md` says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import k8s_p4
from k8s_p4 import artefacts
from k8s_p4.target import unpack_device_config
from k8s_p4.target.spec import Spec, parse
from test.support import facts
from test.support.facts import Complaints
from test.support.p4target import tcp_frame
from test.support.pipeline import FAR, NODE, POD1, POD2, Bench, number

_P4 = Path(k8s_p4.__file__).parent / "p4"
SOURCES = {str(path.relative_to(_P4)): facts.without_comments(path.read_text()) for path in _P4.rglob("*.p4") if "v1model" not in str(path)}
ASSEMBLY = unpack_device_config(artefacts.device_config()).spec
SPEC = parse(ASSEMBLY)
TOLD = frozenset(artefacts.manifest()["metadata"].values())

WRONG_TEXTS = [
    (facts.conditions, "if (m.a == 1 && m.b < 3) {"),
    (facts.conditions, "if (m.a == 1 &&\n   m.b > 3) {"),
    (facts.conditions, "if (m.a == 1 || m.b >= 3) {"),
    (facts.conditions, "if (m.a == 1 || m.b <= 3) {"),
    (facts.conditions, "if (m.a == 1 && !hdr.ipv4.isValid()) {"),
    (facts.conditions, "if (!hdr.ipv4.isValid() || m.a == 1) {"),
    (facts.conditions, "if (m.a == 1 && m.b == 1 || m.c == 1) {"),
    (facts.conditions, "if ((m.a == 1) && f(m.b)) {"),
    (facts.conditions, "bool x = m.a == 1 && m.b == 2;"),
    (facts.conditions, "if (1 < m.a) {"),
    (facts.parsers, "state a { transition reject; }"),
    (facts.parsers, "transition select(m.a) {\n 1: b;\n }"),
    (facts.words, "value_set<bit<16>>(4) ports;"),
    (facts.words, "InternetChecksum() sum;"),
    (facts.words, "action hit() {"),
]
RIGHT_TEXTS = ["if (m.a == 1 && m.b >= 3 && hdr.ipv4.isValid()) {", "if (m.a < 1 || m.b > 3) {", "if (m.a < 3) {", "transition select(m.a) {\n 1: b;\n default: accept; }"]

_DECLARED = """struct metadata_t {
	bit<32> port
	bit<32> one
	bit<32> two
	bit<128> wide
	bit<128> wider
	bit<8> octet
}
metadata instanceof metadata_t
struct ip_t {
	bit<8> ttl
	bit<16> sum
	bit<32> src
}
header ip instanceof ip_t
struct args_t {
	bit<32> a
	bit<32> b
}
action none args none {
	return
}
action kept args instanceof args_t {
	mov m.one t.a
	return
}
"""
_TABLE = "table x {\n\tkey {\n%s\n\t}\n\tactions {\n\t\tnone\n\t}\n\tdefault_action none args none\n\tsize 0x10\n}\n"
_APPLY = "apply {\n\trx m.port\n%s\n\ttx m.port\n}\n"
WRONG_SPECS = [
    (facts.learn_arguments, "", "\tlearn kept h.ip.src m.octet"),
    (facts.learn_arguments, "", "\tlearn kept m.two m.octet"),
    (facts.widths, "", "\tmov m.wide 0x1\n\tadd m.wide m.wider"),
    (facts.widths, "", "\tmov m.wide 0x0"),
    (facts.widths, "", "\tmov m.wide m.one"),
    (facts.widths, "", "\tL : jmpeq L m.wide m.wider"),
    (facts.checksums, "", "\tckadd h.ip.sum h.ip.ttl"),
    (facts.keys, _TABLE % "\t\th.ip.src exact\n\t\tm.one exact", ""),
    (facts.keys, _TABLE % "\t\th.ip.ttl exact\n\t\th.ip.src exact", ""),
    (facts.keys, _TABLE % "\t\tm.one exact\n\t\tm.wide exact", ""),
    (facts.keys, _TABLE % "\t\tm.one wildcard\n\t\tm.two lpm", ""),
    (facts.array_sizes, "regarray r size 0x18 initval 0\n", ""),
    (facts.early_drops, "action end args none {\n\tdrop\n\tregadd r 0x1 0x1\n\treturn\n}\n", ""),
]


@pytest.mark.parametrize("check", facts.ON_TEXT, ids=lambda check: check.__name__)
def test_the_sources(check: Callable[[str], Complaints]) -> None:
    assert len(SOURCES) > 20
    assert [f"{name}: {complaint}" for name, text in sorted(SOURCES.items()) for complaint in check(text)] == []


@pytest.mark.parametrize("check", facts.ON_SPEC, ids=lambda check: check.__name__)
def test_the_assembly(check: Callable[[Spec], Complaints]) -> None:
    assert list(check(SPEC)) == []


def test_no_write_is_lost() -> None:
    """The first of the miscompilations: uses of what a table's action sets become the constant from before it."""
    assert list(facts.lost_writes(SPEC, TOLD)) == []


@pytest.mark.parametrize("name", ["local_metadata_owner_reason", "local_metadata_dst_identity", "local_metadata_vni"])
def test_a_lost_write_is_seen(name: str) -> None:
    """Where reads of a field become a constant, as p4c does it."""
    assert f"bit<8> {name}" in ASSEMBLY or f"bit<32> {name}" in ASSEMBLY
    lines = ASSEMBLY.splitlines()
    spoilt = parse("\n".join(_without_reads(line, f"m.{name}") for line in lines) + "\n")
    complaints = list(facts.lost_writes(spoilt, TOLD))
    assert complaints and all(f"m.{name}, which nothing reads" in each for each in complaints)


def _without_reads(line: str, field: str) -> str:
    words = line.split(" ")
    if words[0].strip() in ("mov", "and", "add", "sub", "or", "xor"):
        return " ".join([*words[:2], *("0x0" if word == field else word for word in words[2:])])
    if field in words and words[0].strip().startswith("jmp"):
        return " ".join("0x0" if word == field else word for word in words)
    return line.replace(f"{field} ", "m.local_metadata_reason ") if line.startswith("\t\tm.") else line


@pytest.mark.parametrize(("check", "text"), WRONG_TEXTS, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_wrong_sources_are_seen(check: Callable[[str], Complaints], text: str) -> None:
    assert list(check(facts.without_comments(text + " // if (a && b < c)\n")))


@pytest.mark.parametrize("text", RIGHT_TEXTS)
def test_right_sources_are_not(text: str) -> None:
    assert [complaint for check in facts.ON_TEXT for complaint in check(text)] == []


@pytest.mark.parametrize(("check", "declared", "body"), WRONG_SPECS, ids=lambda value: "" if isinstance(value, str) else value.__name__)
def test_wrong_assembly_is_seen(check: Callable[[Spec], Complaints], declared: str, body: str) -> None:
    assert list(check(parse(_DECLARED + declared + _APPLY % body)))
    assert list(check(parse(_DECLARED + _APPLY % "\tlearn kept m.one m.octet\n\tmov m.wide m.wider"))) == []


def test_metadata_of_earlier_packets_change_nothing() -> None:
    """DPDK never clears metadata: a packet fares alike after a pattern and after whatever packet came before it."""
    clean, stale, rng = Bench(), Bench(poison=False), Random(9)
    noise = [tcp_frame(number(source), number(destination), 9, 9) for source, destination in ((POD1, NODE), (POD2, POD1), (POD1, FAR))]
    for at in range(150):
        source, destination = rng.choice(((POD1, POD2), (POD1, FAR), (POD1, NODE), (POD2, POD1), ("10.0.0.9", POD2)))
        frame = bytearray(tcp_frame(number(source), number(destination), 1000 + at, 80))
        for _ in range(rng.randrange(3)):
            frame[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
        port = rng.choice(("cali1", "cali2", "eth0", "host"))
        for _ in range(rng.randrange(3)):
            stale.send(rng.choice(("cali1", "eth0")), rng.choice(noise)[: rng.choice((10, 20, 40, 99))])
        one, other = clean.send(port, bytes(frame)), stale.send(port, bytes(frame))
        assert (one.reason, one.out, one.frame) == (other.reason, other.out, other.frame), (at, port, bytes(frame).hex())
    clean.close()
    stale.close()
