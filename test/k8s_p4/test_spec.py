"""Reading the assembly: what is malformed is refused with its line."""

import pytest

from k8s_p4.target.errors import LoadError
from k8s_p4.target.spec import parse
from test.support import mini

BASE = """struct m_t {
	bit<32> port
}
metadata instanceof m_t
"""
END = """apply {
	rx m.port
	tx m.port
}
"""


def test_the_mini_program() -> None:
    spec = parse(mini.text("spec"))
    assert list(spec.tables) == ["init", "ports", "acl", "protocols", "counted", "flow", "zoned", "routes"]
    assert spec.tables["flow"].learner and spec.tables["flow"].timeouts == [10, 30, 60]
    assert spec.tables["acl"].default_args == (("slot", 0),) and not spec.tables["acl"].default_const
    assert spec.tables["zoned"].keys == [("m.local_metadata_zone", "exact"), ("m.key_dst", "lpm")]
    assert [(a.name, a.in_entries, a.as_default) for a in spec.tables["flow"].actions] == [
        ("flow_hit", True, False),
        ("flow_miss", False, True),
    ]
    long = "local_metadata_the_class_of_this_packet_by_zone_and_destination_prefix"
    assert spec.old_names == {long: "local_metadata_the_class_of_this_packet_by_0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selector s {\n}\n", "line 5: 'selector' is not supported here"),
        ("extobj x instanceof y\n", "line 5: 'extobj' is not supported"),
        ("struct s_t {\n\tbit<12> x\n}\n", "line 6: a width of 12 bits is not a multiple of 8"),
        ("struct s_t {\n\tint<8> x\n}\n", "line 6: 'int<8>' is not"),
        ("struct s_t {\n\tvarbit<8> x\n\tbit<8> y\n}\n", "only the last field"),
        ("struct m_t {\n}\n", "'m_t' is declared twice"),
        ("header h instanceof nothing\n", "no struct 'nothing'"),
        ("header h of m_t\n", "expected 'header ... instanceof ...'"),
        ("header h;import instanceof m_t\n", "is not a name"),
        ("action a(){} args none {\n}\n", "is not a name"),
        ("regarray r size 0x0 initval 0x0\n", "has no elements"),
        ("regarray r size 0x1\n", "expected"),
        ("table t {\n\tkey {\n\t\tm.port range\n\t}\n}\n", "line 7: unknown match type 'range'"),
        ("table t {\n\tactions {\n\t\ta @whenever\n\t}\n}\n", "unknown annotation"),
        ("table t {\n\tdefault_action a args x 0x1 y\n}\n", "malformed 'default_action"),
        ("table t {\n\tsize 0x1\n}\n", "line 5: table t has no default action"),
        ("table t {\n\tpragma x\n}\n", "is not supported in a table"),
        ("learner l {\n\tkey {\n\t\tm.port\n\t}\n\tdefault_action a args none\n}\n", "no timeouts"),
        ("regarray r size 99999999999999999999 initval 0\n", "does not fit 64 bits"),
    ],
)
def test_refusals_name_the_line(text: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse(BASE + text + END)


@pytest.mark.parametrize("text", [BASE, END, ""])
def test_a_program_needs_metadata_and_an_apply_block(text: str) -> None:
    with pytest.raises(LoadError, match="no apply block or no metadata"):
        parse(text)


def test_comments_and_labels() -> None:
    spec = parse(BASE + "# one\n// two\n" + END.replace("rx m.port", "ONE : TWO : rx m.port ; three\n\tLAST :"))
    assert [(i.op, i.args, i.labels) for i in spec.apply] == [("rx", ("m.port",), ("ONE", "TWO")), ("tx", ("m.port",), ("LAST",))]


def test_a_block_that_is_not_closed() -> None:
    with pytest.raises(LoadError, match="line 5: block 'struct s_t {' is not closed"):
        parse(BASE + "struct s_t {\n\tbit<8> x\n")
