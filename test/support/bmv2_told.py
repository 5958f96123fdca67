"""The program for BMv2, changed so that it tells the metadata of every packet: what the embedded target hands out with one.

The compiled JSON gets one more header, in front of every frame that leaves and behind the packet_in header of those that go to the driver.
What is dropped leaves by a port of its own. Nothing else of the program changes; `test/bmv2/test_told.py` sends packets through both.
"""

from __future__ import annotations

import json
from typing import Any

from k8s_p4 import artefacts
from k8s_p4.p4rt import p4i

HEADER = "told"
_ALSO = ("from", "to", "dst_endpoint", "src_identity", "dst_identity", "pre_dst_identity", "new_dst_v4", "new_dst_v6", "new_dst_port", "ip_version",
         "protocol", "l4_kind", "src_port", "dst_port", "icmp_type", "icmp_code", "tcp_flags", "src_v4", "src_v6", "dst_v4", "dst_v6")  # fmt: skip
"""Told beside what the manifest names."""
_SCALARS, _PREFIX = "scalars", "metadata_t."
_ANSWERS = 509
"""What leaves by this port goes round (`main_v1model.p4`)."""


class Told:
    """Names and widths of what is told, by a program in the compiler's JSON. Not everything: a packet may get some 300 octets longer."""

    def __init__(self, program: bytes) -> None:
        content = json.loads(program)
        (fields,) = (each["fields"] for each in content["header_types"] if each["name"] == "scalars_0")
        wanted = {_PREFIX + name for name in (*json.loads(artefacts.read(artefacts.MANIFEST))["metadata"], *_ALSO)}
        self.fields: list[tuple[str, int]] = [(name.removeprefix(_PREFIX), bits) for name, bits, *_ in fields if name in wanted]
        self.size = sum(bits for _, bits in self.fields) // 8
        """Octets of the header."""

    def read(self, frame: bytes) -> tuple[dict[str, int], bytes]:
        """What is told, and the frame behind it."""
        found, at = {}, 0
        for name, bits in self.fields:
            found[name] = int.from_bytes(frame[at : at + bits // 8])
            at += bits // 8
        return found, frame[at:]

    def program(self, program: bytes, drop_port: int) -> bytes:
        """The program that tells, and sends what it drops to a port."""
        content = json.loads(program)
        self._add_header(content)
        egress = next(each for each in content["pipelines"] if each["name"] == "egress")
        action = self._add_action(content)
        table = _table(1 + max(each["id"] for every in content["pipelines"] for each in every["tables"]), action)
        egress["tables"].append(table)
        egress["conditionals"].append(_condition(1 + max(each["id"] for every in content["pipelines"] for each in every["conditionals"]), egress["init_table"]))
        egress["init_table"] = f"is_{HEADER}"
        for each in content["actions"]:
            each["primitives"] = [_assign("standard_metadata", "egress_spec", _number(drop_port)) if done["op"] == "mark_to_drop" else done for done in each["primitives"]]
        return json.dumps(content).encode()

    def _add_header(self, content: Any) -> None:
        kind = 1 + max(each["id"] for each in content["header_types"])
        content["header_types"].append({"name": f"{HEADER}_t", "id": kind, "fields": [[name, bits, False] for name, bits in self.fields]})
        number = 1 + max(each["id"] for each in content["headers"])
        content["headers"].append({"name": HEADER, "id": number, "header_type": f"{HEADER}_t", "metadata": False, "pi_omit": True})
        order = content["deparsers"][0]["order"]
        order.insert(next(at for at, name in enumerate(order) if "packet_in" in name) + 1, HEADER)

    def _add_action(self, content: Any) -> int:
        number = 1 + max(each["id"] for each in content["actions"])
        done = [{"op": "add_header", "parameters": [{"type": "header", "value": HEADER}]}]
        done += [_assign(HEADER, name, {"type": "field", "value": [_SCALARS, _PREFIX + name]}) for name, _ in self.fields]
        content["actions"].append({"name": HEADER, "id": number, "runtime_data": [], "primitives": done})
        return number

    def p4info(self, there: Any) -> Any:
        """The P4Info of the program that tells: the packet_in header is longer."""
        made = p4i.P4Info()
        made.CopyFrom(there)
        (packet_in,) = (each for each in made.controller_packet_metadata if each.preamble.name == "packet_in")
        first = 1 + max(each.id for each in packet_in.metadata)
        for number, (name, bits) in enumerate(self.fields, first):
            packet_in.metadata.add(id=number, name=f"{HEADER}.{name}", bitwidth=bits)
        return made


def of_packet_in(told: dict[str, int]) -> dict[str, int]:
    """What is told, of the fields of a packet_in header."""
    return {name.removeprefix(f"{HEADER}."): value for name, value in told.items() if name.startswith(f"{HEADER}.")}


def _number(value: int) -> Any:
    return {"type": "hexstr", "value": f"{value:#06x}"}


def _assign(header: str, field: str, value: Any) -> Any:
    return {"op": "assign", "parameters": [{"type": "field", "value": [header, field]}, value]}


def _table(number: int, action: int) -> Any:
    return {
        "name": f"tbl_{HEADER}", "id": number, "key": [], "match_type": "exact", "type": "simple", "max_size": 1, "with_counters": False,
        "support_timeout": False, "direct_meters": None, "action_ids": [action], "actions": [HEADER], "base_default_next": None,
        "next_tables": {HEADER: None},
        "default_entry": {"action_id": action, "action_const": True, "action_data": [], "action_entry_const": True},
    }  # fmt: skip


def _condition(number: int, otherwise: str) -> Any:
    """What goes round is not told."""
    port = {"type": "field", "value": ["standard_metadata", "egress_port"]}
    return {"name": f"is_{HEADER}", "id": number, "true_next": otherwise, "false_next": f"tbl_{HEADER}",
            "expression": {"type": "expression", "value": {"op": "==", "left": port, "right": _number(_ANSWERS)}}}  # fmt: skip
