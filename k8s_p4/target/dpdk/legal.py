"""An assembly as DPDK understands it, as it is packaged. What comes out is an assembly again, and any other executor agrees with it.

* `regadd ARRAY INDEX VALUE` or `regwr` with two numbers is done to the first array of the program, whatever ARRAY is
  (instr_regadd_translate in DPDK's lib/pipeline/rte_swx_pipeline.c forgets to store which): the index goes through a field of our own.
* So does the length of a `meter`, which DPDK does not take as a number, and p4c writes as one.
* `tx` looks an array of ports up without a check of its length: every frame leaves by port 0, and the caller reads the port that was meant
  from metadata (`Legal.port`).
* Metadata that an offset of eight bits does not reach are put elsewhere (`places`).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from k8s_p4.target.dpdk.places import Layout, Place, layout
from k8s_p4.target.errors import LoadError
from k8s_p4.target.spec import Spec, parse

INDEX: Final = "legal_index"
SCRATCH: Final = "legal_scratch"
"""How the names of scratch headers begin."""
_NUMBER = r"(0x[0-9A-Fa-f]+|\d+)"
_TWO_NUMBERS = re.compile(rf"\b(regadd|regwr) (\w+) {_NUMBER} {_NUMBER}$", re.MULTILINE)
_LENGTH = re.compile(rf"\bmeter (\w+) (\S+) {_NUMBER} ", re.MULTILINE)
_RX = re.compile(r"^.*\brx m\.\w+$", re.MULTILINE)
_TX = re.compile(r"\btx m\.(\w+)$", re.MULTILINE)
_FIELD = re.compile(r"\bm\.(\w+)")


class Legal(NamedTuple):
    """The assembly, where it keeps each metadata field of the original, and the field with the port that `tx` means, if it is one."""

    text: str
    spec: Spec
    layout: Layout
    port: str


def legalise(text: str, spec: Spec) -> Legal:
    """Rewrite an assembly; `spec` is `text`, parsed.

    Raises:
        LoadError: what has to lie in metadata does not fit there; or there are several `tx`, by different fields.
    """
    text = _instructions(text, spec)
    ports = set(_TX.findall(text))
    if len(ports) > 1:
        raise LoadError(f"pipeline.spec: frames are sent by several fields ({', '.join(sorted(ports))}): DPDK is given one")
    placed = layout(parse(text), SCRATCH)
    text = _placed(_TX.sub("tx 0", text) if ports else text, spec.metadata, placed)
    return Legal(text, parse(text), placed, *ports or ("",))


def _instructions(text: str, spec: Spec) -> str:
    """With the instructions rewritten that DPDK misunderstands, and a metadata field more."""
    lines = text.splitlines()
    lines.insert(lines.index("}", spec.structs[spec.metadata].line - 1), f"\tbit<32> {INDEX}")
    body = _TWO_NUMBERS.sub(rf"mov m.{INDEX} \g<3>\n\t\g<1> \g<2> m.{INDEX} \g<4>", "\n".join(lines) + "\n")
    return _LENGTH.sub(rf"mov m.{INDEX} \g<3>\n\tmeter \g<1> \g<2> m.{INDEX} ", body)


def _placed(text: str, metadata: str, layout: Layout) -> str:
    """With every metadata field in its place, and scratch headers that are valid from the start."""

    def operand(match: re.Match[str]) -> str:
        place: Place = layout.places[match[1]]
        return f"h.{place.header}.{place.name}" if place.header else f"m.{place.name}"

    text = _FIELD.sub(operand, text)
    text = re.sub(rf"^struct {metadata} {{\n.*?^}}\n", lambda _: _struct(metadata, layout.metadata), text, flags=re.MULTILINE | re.DOTALL)
    headers = "".join(_struct(f"{name}_t", fields) + f"header {name} instanceof {name}_t\n" for name, fields in layout.scratch.items())
    text = re.sub(r"^(?=metadata instanceof)", lambda _: headers, text, flags=re.MULTILINE)
    return _RX.sub(lambda match: "\n".join([match[0], *(f"\tvalidate h.{name}" for name in layout.scratch)]), text, count=1)


def _struct(name: str, fields: list[tuple[str, int]]) -> str:
    return "\n".join([f"struct {name} {{", *(f"\tbit<{bits}> {field}" for field, bits in fields), "}\n"])
