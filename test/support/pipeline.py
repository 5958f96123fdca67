"""The pipeline on the embedded target with rows written by hand: two workloads, the host, an uplink.

Everything is allowed by policy unless a test says otherwise: both endpoints have binding rows in both directions whose list has one
rule, `allow` with slot 1 (egress) or 2 (ingress).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from calico_p4.switch import Switch, embedded
from datastore.tracker import Op
from k8s_p4.p4rt import P4RuntimeStub, p4r
from k8s_p4.reasons import Reason
from k8s_p4.rows import TABLES
from k8s_p4.schema import COUNTERS
from k8s_p4.target import Injected, InProcessTarget, Options
from k8s_p4.target.learner import Learner
from test.support.target import MAKES, new_switch

MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY_V4, GATEWAY_V6 = "169.254.1.1", "fe80::ecee:eeff:feee:eeee"
POD1, POD2, NODE, FAR = "10.0.0.1", "10.0.0.2", "192.0.2.11", "198.51.100.9"
POD1_V6, POD2_V6, NODE_V6, FAR_V6 = "fd00::1", "fd00::2", "2001:db8::11", "2001:db8:9::9"
MACS = {"cali1": "02:00:00:00:00:01", "cali2": "02:00:00:00:00:02", "host": "02:00:00:00:00:10", "eth0": "02:00:00:00:00:20"}
EGRESS_SLOT, INGRESS_SLOT = 1, 2
HOOKS = ("untracked_ingress", "untracked_egress", "pre_dnat", "forward_ingress", "forward_egress")
"""Policy stages that only host endpoints have."""
FREE = (0, 0)
FULL = {8: 0xFF, 16: 0xFFFF, 32: 0xFFFFFFFF}


def number(address: str) -> int:
    """An address as a number."""
    return int(ip_address(address))


def mac(text: str) -> int:
    """A MAC address as a number."""
    return int(text.replace(":", ""), 16)


def family(address: str) -> str:
    """v4 or v6."""
    return "v6" if ":" in address else "v4"


def prefix(cidr: str) -> tuple[int, int]:
    """A prefix as an LPM key."""
    net = ip_network(cidr)
    return int(net.network_address), net.prefixlen


def rule(list_number: int, priority: int = 1, **fields: int | tuple[int, int]) -> tuple[Any, ...]:
    """Key of a rule row; a plain number is matched as a whole."""
    key: list[Any] = []
    for field in TABLES["egress.rules"].fields:
        wanted = fields.pop(field.name, list_number if field.name == "list" else FREE)
        key.append((wanted, FULL[field.bits]) if isinstance(wanted, int) else wanted)
    assert not fields, f"no such fields: {fields}"
    return (*key, priority)


@dataclass
class Outcome:
    """What became of a packet: `out` names the port it left by, "" if it did not."""

    injected: Injected
    reason: Reason
    out: str
    frame: bytes

    @property
    def slots(self) -> tuple[int, int]:
        """Slots of the egress and the ingress rule that decided, 0 for none."""
        return self.injected.metadata["egress_slot"], self.injected.metadata["ingress_slot"]


class Bench:
    """A switch with the standard rows; `row` and `delete` change them, `send` sends a frame."""

    def __init__(self, poison: bool = True) -> None:
        self._target: InProcessTarget | None = None
        if MAKES[-1] is embedded:
            self._target = target = InProcessTarget(Options(poison=poison))
            self.switch = Switch(target.channel, target.stop)
        else:
            self.switch = new_switch()
        self.switch.prepare()
        self._stub = P4RuntimeStub(self.switch.channel)
        assert self.switch.bench is not None
        self.client = self.switch.bench
        self.ports = {name: self.client.ensure_port(name) for name in MACS}
        self._names = {number: name for name, number in self.ports.items()}
        self.rows: dict[tuple[str, Any], tuple[Any, ...]] = {}
        for table, key, value in self._standard_rows():
            self.row(table, key, value)

    def close(self) -> None:
        """End the switch."""
        self.switch.close()

    def shrink(self, table: str, buckets: int) -> None:
        """Give a table that learns fewer buckets, a power of two, of four keys each."""
        self._learner(table).resize(buckets)

    def forget_learned(self, table: str, chosen: Callable[[str], bool]) -> None:
        """Take entries out of a table that learns, by the name of their action."""
        there = self.client.learned(*(name for name in self.client.learned_counts() if name.endswith(f".{table}")))
        assert self.client.forget_learned([each for each in there if chosen(each.action.rpartition(".")[2])])

    def _learner(self, table: str) -> Learner:
        if self._target is None:
            pytest.skip("tables that learn are the embedded target's")
        assert self._target.device.installed is not None
        tables = self._target.device.installed.pipeline.tables.values()
        (learner,) = (schema.state.learner for schema in tables if schema.name.endswith(f".{table}"))
        assert learner is not None
        return learner

    def row(self, table: str, key: tuple[Any, ...], value: tuple[Any, ...]) -> None:
        """Insert or modify a row."""
        kind = "modify" if (table, key) in self.rows else "insert"
        self._write(Op(kind, table, key, value))  # type: ignore[arg-type]  # one of the two
        self.rows[table, key] = value

    def delete(self, table: str, *key: Any) -> None:
        """Delete a row."""
        self._write(Op("delete", table, key, None))
        del self.rows[table, key]

    def _write(self, op: Op) -> None:
        (error,) = self.switch.write([op])
        assert error is None, error

    def send(self, port: str, frame: bytes, keep: bool = False, at: float | None = None) -> Outcome:
        """Send a frame into a port, and check that what left, left once and by a port that exists.

        ``keep``: flows that were learned count; otherwise they are forgotten first. ``at``: virtual time in seconds.
        """
        if not keep:
            self.client.clear_learned()
        injected = self.client.inject(self.ports[port], bytes(frame), at_seconds=at)
        assert injected.outcome in ("SENT", "DROPPED", "SHORT_FRAME"), injected.outcome
        assert len(injected.outputs) == (injected.outcome == "SENT")
        out, data = (self._names[injected.outputs[0][0]], injected.outputs[0][1]) if injected.outputs else ("", b"")
        reason = Reason.PARSE if injected.outcome == "SHORT_FRAME" else Reason(injected.metadata["reason"])
        return Outcome(injected, reason, out, data)

    def counter(self, name: str, index: int) -> int:
        """Packets counted so far at one index."""
        request = p4r.ReadRequest(device_id=1)
        request.entities.add().counter_entry.counter_id = COUNTERS[name][0]
        request.entities[0].counter_entry.index.index = index
        answers = [entity for answer in self._stub.Read(request) for entity in answer.entities]
        (entity,) = answers
        count: int = entity.counter_entry.data.packet_count
        return count

    def _standard_rows(self) -> Iterable[tuple[str, tuple[Any, ...], tuple[Any, ...]]]:
        yield from self._workload(1, "cali1", POD1, POD1_V6)
        yield from self._workload(2, "cali2", POD2, POD2_V6)
        yield "port", (self.ports["host"],), ("host",)
        yield "port", (self.ports["eth0"],), ("uplink", 0)
        yield "arp_answer", (number(GATEWAY_V4),), ("arp_reply", mac(MAC))
        yield "nd_answer", (number(GATEWAY_V6),), ("nd_reply", mac(MAC))
        for hop, port in ((10, "host"), (20, "eth0")):
            yield "next_hop", (hop,), ("send", self.ports[port], mac(MAC), mac(MACS[port]), 0)
        for own in (NODE, NODE_V6):
            yield f"local_{family(own)}", (number(own),), ("to_host", 10, 1)
            yield f"route_{family(own)}", ((0, 0),), ("to_uplink", 20)
        for stage, slot in (("egress", EGRESS_SLOT), ("ingress", INGRESS_SLOT)):
            yield f"{stage}.rules", rule(1), ("allow", slot)

    def _workload(self, endpoint: int, port: str, *addresses: str) -> Iterable[tuple[str, tuple[Any, ...], tuple[Any, ...]]]:
        yield "port", (self.ports[port],), ("workload", endpoint, 0, 0, 100 + endpoint)
        yield "answer_port", (self.ports[port],), ("send_back", self.ports[port])
        yield "next_hop", (endpoint,), ("send", self.ports[port], mac(MAC), mac(MACS[port]), 0)
        for address in addresses:
            yield f"source_host_{family(address)}", (endpoint, number(address)), ("source_ok",)
            yield f"local_{family(address)}", (number(address),), ("to_workload", endpoint, endpoint, 100 + endpoint)
        for stage in ("egress", "ingress"):
            yield f"{stage}.binding", (endpoint,), ("bind", endpoint, endpoint, 1)
