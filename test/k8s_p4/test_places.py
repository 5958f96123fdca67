"""Places of metadata within DPDK's reach: what must stand side by side does, what lives at the same time has places of its own."""

import pytest

from k8s_p4 import artefacts
from k8s_p4.target import unpack_device_config
from k8s_p4.target.dpdk.places import BOUND, Layout, layout
from k8s_p4.target.errors import LoadError
from k8s_p4.target.spec import Spec, parse

PROGRAM = parse(unpack_device_config(artefacts.device_config()).spec)
PADDING = "".join(f"\tbit<64> local_metadata_padding_{number}\n" for number in range(BOUND // 8))


def spec(fields: str, body: str, more: str = "") -> Spec:
    return parse(f"struct metadata_t {{\n\tbit<32> port\n{fields}{PADDING}}}\nmetadata instanceof metadata_t\n{more}\napply {{\n\trx m.port\n{body}\n\ttx m.port\n}}\n")


def sizes(found: Layout) -> list[int]:
    return [sum(bits for _, bits in fields) // 8 for fields in (found.metadata, *found.scratch.values())]


def test_what_fits_stays_as_it_is() -> None:
    small = parse("struct m_t {\n\tbit<32> port\n\tbit<8> a\n}\nmetadata instanceof m_t\napply {\n\trx m.port\n\tmov m.a 1\n\ttx m.port\n}\n")
    found = layout(small)
    assert (found.metadata, found.scratch, found.shared) == ([("port", 32), ("a", 8)], {}, set())


def test_the_program_fits() -> None:
    found = layout(PROGRAM)
    assert all(size <= BOUND for size in sizes(found)) and len(PROGRAM.headers) + len(found.scratch) <= 64
    assert set(found.places) == {field.name for field in PROGRAM.structs[PROGRAM.metadata].fields}
    bits = {(header, name): width for header, fields in (("", found.metadata), *found.scratch.items()) for name, width in fields}
    for field in PROGRAM.structs[PROGRAM.metadata].fields:
        assert bits[found.places[field.name].header, found.places[field.name].name] == field.bits
    own = [place for name, place in found.places.items() if name not in found.shared]
    assert len(own) == len(set(own)) and not {found.places[name] for name in found.shared} & set(own)
    assert not any(name.startswith("local_metadata_") for name in found.shared)


def test_what_belongs_together_stands_together() -> None:
    found, order = layout(PROGRAM), [field.name for field in PROGRAM.structs[PROGRAM.metadata].fields]
    at = {(header, name): place for header, fields in (("", found.metadata), *found.scratch.items()) for place, (name, _) in enumerate(fields)}
    checked = 0
    for table in PROGRAM.tables.values():
        keys = [key[2:] for key, _ in table.keys if key.startswith("m.")]
        assert len({found.places[key].header for key in keys}) <= 1
        if len(keys) > 1 and (table.learner or {match for _, match in table.keys} == {"exact"}):
            run = sorted(keys, key=order.index)
            places = [at[found.places[key].header, found.places[key].name] for key in run]
            assert places == list(range(places[0], places[0] + len(run)))
            checked += 1
    assert checked > 20
    for instruction in (i for body in (PROGRAM.apply, *(a.body for a in PROGRAM.actions.values())) for i in body):
        if instruction.op in ("hash", "learn", "rx", "rearm", "recircid"):
            assert not any(found.places[operand[2:]].header for operand in instruction.args if operand.startswith("m.")), instruction


def test_temporaries_take_turns() -> None:
    fields = "".join(f"\tbit<32> tmp_{name}\n" for name in "abcd")
    found = layout(spec(fields, "\tmov m.tmp_a 1\n\tadd m.port m.tmp_a\n\tmov m.tmp_b 2\n\tadd m.port m.tmp_b\n\tmov m.tmp_c 3\n\tmov m.tmp_d m.tmp_c"))
    assert found.shared == {"tmp_a", "tmp_b", "tmp_c", "tmp_d"}
    assert found.places["tmp_a"] == found.places["tmp_b"]
    assert found.places["tmp_c"] != found.places["tmp_d"], "one is read while the other is written"


@pytest.mark.parametrize(
    "body",
    ["\tadd m.port m.tmp_a\n\tmov m.tmp_a 1", "\tmov m.tmp_a 1\n\tjmpeq L m.port 1\n\tadd m.port m.tmp_a\n\tL : add m.port 1", "\tmov m.tmp_a m.tmp_a"],
    ids=["read first", "another run", "from itself"],
)
def test_what_may_live_longer_has_its_own(body: str) -> None:
    assert layout(spec("\tbit<32> tmp_a\n", body)).shared == set()


def test_an_action_s_temporaries_live_where_it_is_run() -> None:
    more = """
action f args none {
	mov m.tmp_a 1
	mov m.tmp_b m.tmp_a
	return
}
table one {
	actions {
		f
	}
	default_action f args none const
	size 0x1
}
"""
    fields = "".join(f"\tbit<32> tmp_{name}\n" for name in "abcd")
    found = layout(spec(fields, "\tmov m.tmp_c 1\n\ttable one\n\tadd m.port m.tmp_c\n\tmov m.tmp_d 1\n\tadd m.port m.tmp_d", more))
    places = found.places
    assert places["tmp_a"] != places["tmp_b"] and places["tmp_c"] not in (places["tmp_a"], places["tmp_b"])
    assert places["tmp_d"] in (places["tmp_a"], places["tmp_b"], places["tmp_c"])


def test_too_much_for_metadata() -> None:
    """Frames are taken by fields that nothing but metadata may hold."""
    fields = "".join(f"\tbit<64> local_metadata_kept_{number}\n" for number in range(40))
    body = "\n".join(f"\thash crc32 m.port m.local_metadata_kept_{number} m.local_metadata_kept_{number}" for number in range(40))
    with pytest.raises(LoadError, match="324 bytes: DPDK reaches 256"):
        layout(spec(fields, body))
