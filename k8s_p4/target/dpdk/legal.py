"""An assembly as DPDK understands it: three instructions are written otherwise.

`regadd ARRAY INDEX VALUE` or `regwr` with two numbers is done to the first array of the program, whatever ARRAY is
(instr_regadd_translate in DPDK's lib/pipeline/rte_swx_pipeline.c forgets to store which): the index goes through a field of our own.
So does the length of a `meter`, which DPDK does not take as a number, and p4c writes as one.
"""

from __future__ import annotations

import re

from k8s_p4.target.spec import Spec

INDEX = "legal_index"
_NUMBER = r"(0x[0-9A-Fa-f]+|\d+)"
_TWO_NUMBERS = re.compile(rf"\b(regadd|regwr) (\w+) {_NUMBER} {_NUMBER}$", re.MULTILINE)
_LENGTH = re.compile(rf"\bmeter (\w+) (\S+) {_NUMBER} ", re.MULTILINE)


def legalise(text: str, spec: Spec) -> str:
    """The assembly with those instructions rewritten, and a metadata field more; `spec` is `text`, parsed."""
    lines = text.splitlines()
    lines.insert(lines.index("}", spec.structs[spec.metadata].line - 1), f"\tbit<32> {INDEX}")
    body = _TWO_NUMBERS.sub(rf"mov m.{INDEX} \g<3>\n\t\g<1> \g<2> m.{INDEX} \g<4>", "\n".join(lines) + "\n")
    return _LENGTH.sub(rf"mov m.{INDEX} \g<3>\n\tmeter \g<1> \g<2> m.{INDEX} ", body)
