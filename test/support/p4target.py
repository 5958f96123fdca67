"""A small P4Runtime client for tests of the embedded target: entries by P4Info's names, values as ints."""

import contextlib
import queue
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.rpc import status_pb2

from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4i, p4r
from k8s_p4.target import EmbeddedClient

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
Key = tuple[Any, ...]
Value = tuple[Any, ...]


def canonical(value: int) -> bytes:
    """The shortest byte string."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def update_codes(error: grpc.RpcError) -> list[tuple[int, str]]:
    """(canonical code, message) of each update, from the details of a failed Write or Read."""
    found = []
    for name, data in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(data).details:
                each = p4r.Error()
                if not detail.Unpack(each):
                    raise AssertionError(f"a detail that is no p4.v1.Error: {detail}")
                found.append((each.canonical_code, each.message))
    return found


class Session:
    """A controller with a stream. Tables and actions by alias, or by full name."""

    def __init__(self, channel: Any, election_id: int = 1, device_id: int = 1) -> None:
        self.stub = P4RuntimeStub(channel)
        self.bench = EmbeddedClient(channel)
        self.device_id = device_id
        self.election_id = p4r.Uint128(high=election_id >> 64, low=election_id & (1 << 64) - 1)
        self.p4info: Any = p4i.P4Info()
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.stream: Any = None

    def send(self, request: Any) -> None:
        """A StreamMessageRequest."""
        self._requests.put(request)

    def arbitrate(self) -> Any:
        """Open the stream, send an arbitration update and return the answer."""
        self.stream = self.stub.StreamChannel(iter(self._requests.get, None))
        self.send_arbitration()
        return next(self.stream)

    def send_arbitration(self, election_id: int | None = None) -> None:
        """Another arbitration update on the open stream."""
        if election_id is not None:
            self.election_id = p4r.Uint128(high=election_id >> 64, low=election_id & (1 << 64) - 1)
        update = p4r.MasterArbitrationUpdate(device_id=self.device_id, election_id=self.election_id)
        self.send(p4r.StreamMessageRequest(arbitration=update))

    def close(self) -> None:
        """End the stream."""
        self._requests.put(None)
        if self.stream is not None:
            self.stream.cancel()

    def set_pipeline(self, p4info: Any, device_config: bytes, action: int = 3, cookie: int | None = None) -> None:
        """VERIFY_AND_COMMIT by default."""
        request = p4r.SetForwardingPipelineConfigRequest(device_id=self.device_id, election_id=self.election_id, action=action)
        request.config.p4info.CopyFrom(p4info)
        request.config.p4_device_config = device_config
        if cookie is not None:
            request.config.cookie.cookie = cookie
        self.stub.SetForwardingPipelineConfig(request)
        self.p4info = p4info

    def find(self, kind: str, name: str) -> Any:
        """The P4Info object of that alias or name."""
        for each in getattr(self.p4info, kind):
            if name in (each.preamble.alias, each.preamble.name) or each.preamble.name.endswith("." + name):
                return each
        raise KeyError(f"P4Info has no {name} among its {kind}")

    def table_id(self, name: str) -> int:
        """A table's id."""
        number: int = self.find("tables", name).preamble.id
        return number

    def write_request(self) -> Any:
        """An empty Write of ours."""
        return p4r.WriteRequest(device_id=self.device_id, election_id=self.election_id)

    def fill(self, entry: Any, table: str, key: Key, value: Value | None) -> Any:
        """Fill a TableEntry from a row: exact `int`, LPM `(value, length)`, ternary `(value, mask)` or None for don't care; a ternary
        table's key ends with the priority. `value` is (action, *params), or None for no action."""
        info = self.find("tables", table)
        entry.table_id = info.preamble.id
        for field, item in zip(info.match_fields, key, strict=False):
            if item is not None:
                fill_match(entry.match.add(field_id=field.id), field.match_type, item)
        if len(key) > len(info.match_fields):
            entry.priority = key[-1]
        if value is not None:
            self.fill_action(entry.action.action, info, value)
        return entry

    def fill_action(self, message: Any, table: Any, value: Value) -> None:
        """Fill an Action; among actions of one name the table's own."""
        own = {ref.id for ref in table.action_refs}
        action = next(a for a in self.p4info.actions if a.preamble.id in own and a.preamble.name.rpartition(".")[2] == value[0])
        message.action_id = action.preamble.id
        for param, number in zip(action.params, value[1:], strict=True):
            message.params.add(param_id=param.id, value=canonical(number))

    def entry(self, table: str, key: Key, value: Value | None = None, **fields: Any) -> Any:
        """A TableEntry; further fields as given."""
        return self.fill(p4r.TableEntry(**fields), table, key, value)

    def write(self, *updates: tuple[int, Any]) -> None:
        """One Write of (type, TableEntry or Entity)."""
        request = self.write_request()
        for kind, thing in updates:
            update = request.updates.add(type=kind)
            if thing.DESCRIPTOR.name == "TableEntry":
                update.entity.table_entry.CopyFrom(thing)
            else:
                update.entity.CopyFrom(thing)
        self.stub.Write(request)

    def insert(self, table: str, key: Key, value: Value) -> None:
        """Insert one row."""
        self.write((INSERT, self.entry(table, key, value)))

    def refusals(self, *updates: tuple[int, Any]) -> list[tuple[int, str]]:
        """The codes and messages of a Write that must fail."""
        try:
            self.write(*updates)
        except grpc.RpcError as error:
            return update_codes(error)
        raise AssertionError("the Write was accepted")

    def read(self, *queries: Any) -> list[Any]:
        """The entities that the queries (TableEntry or Entity) select."""
        request = p4r.ReadRequest(device_id=self.device_id)
        for query in queries:
            if query.DESCRIPTOR.name == "TableEntry":
                request.entities.add().table_entry.CopyFrom(query)
            else:
                request.entities.add().CopyFrom(query)
        return [entity for response in self.stub.Read(request) for entity in response.entities]

    def entries(self, table: str | None = None, **fields: Any) -> list[Any]:
        """The TableEntries of a table, or of all."""
        query = p4r.TableEntry(table_id=self.table_id(table) if table else 0, **fields)
        return [entity.table_entry for entity in self.read(query)]

    def allow_one(self) -> tuple[bytes, int]:
        """On our pipeline: two workloads and what lets a TCP packet from the first to the second; (that frame, its port)."""
        one, two = self.bench.ensure_port("cali1"), self.bench.ensure_port("cali2")
        addresses = (0x0A000001, 0x0A000002)
        rows: list[tuple[str, Key, Value]] = []
        for endpoint, (port, address) in enumerate(zip((one, two), addresses, strict=True), 1):
            rows += [
                ("port", (port,), ("workload", endpoint, 0, 0, 100 + endpoint)),
                ("source_host_v4", (endpoint, address), ("source_ok",)),
                ("local_v4", (address,), ("to_workload", endpoint, endpoint, 100 + endpoint)),
                ("next_hop", (endpoint,), ("send", port, 0xEEEEEEEEEEEE, 0x020000000000 + endpoint, 0)),
            ]
            for stage in ("egress", "ingress"):
                rows.append((f"{stage}.binding", (endpoint,), ("bind", endpoint, endpoint, endpoint)))
        for stage in ("egress", "ingress"):
            for at in range(20):
                key = tuple((n, (1 << bits) - 1) for n, bits in ((1, 32), (4, 8), (6, 8), (1, 8)))
                rows.append((f"{stage}.rules", (*key, None, (0x2000 + at, 0xFFFF), None, None, 100 - at), ("deny", at + 1)))
                key = tuple((n, (1 << bits) - 1) for n, bits in ((2, 32), (4, 8), (6, 8), (1, 8)))
                rows.append((f"{stage}.rules", (*key, None, (0x2000 + at, 0xFFFF), None, None, 100 - at), ("deny", at + 1)))
            for listed in (1, 2):
                rows.append((f"{stage}.rules", ((listed, 0xFFFFFFFF), *[None] * 7, 1), ("allow", 30)))
        self.write(*((INSERT, self.entry(*row)) for row in rows))
        return tcp_frame(*addresses), one


def meter(session: Session, rate: int, burst: int, index: int = 1) -> tuple[int, Any]:
    """The update that sets the meter of the packets that an endpoint sends; rates in packets per second."""
    entity = p4r.Entity()
    entity.meter_entry.meter_id = session.find("meters", "egress_packets").preamble.id
    entity.meter_entry.index.index = index
    config = entity.meter_entry.config
    config.cir, config.pir, config.cburst, config.pburst = rate, rate, burst, burst
    return MODIFY, entity


def fill_match(match: Any, kind: int, item: Any) -> None:
    """Fill a FieldMatch."""
    if kind == p4i.MatchField.EXACT:
        match.exact.value = canonical(item)
    elif kind == p4i.MatchField.OPTIONAL:
        match.optional.value = canonical(item)
    elif kind == p4i.MatchField.LPM:
        match.lpm.value, match.lpm.prefix_len = canonical(item[0]), item[1]
    else:
        match.ternary.value, match.ternary.mask = canonical(item[0]), canonical(item[1])


def tcp_frame(source: int, destination: int, sport: int = 40000, dport: int = 80) -> bytes:
    """An Ethernet frame with a TCP SYN over IPv4; the checksum of the IPv4 header is right."""
    head = bytes.fromhex("450000280001000040060000")
    addresses = source.to_bytes(4, "big") + destination.to_bytes(4, "big")
    total = sum(int.from_bytes((head + addresses)[at : at + 2], "big") for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    ipv4 = head[:10] + (~total & 0xFFFF).to_bytes(2, "big") + addresses
    tcp = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + b"\x50\x02\xff\xff" + bytes(4)
    return bytes.fromhex("eeeeeeeeeeee020000000001") + b"\x08\x00" + ipv4 + tcp


@contextlib.contextmanager
def ours(channel: Any, election_id: int = 1) -> Iterator[Session]:
    """A session that has put our pipeline on the target."""
    with session(channel, artefacts.p4info(), artefacts.device_config(), election_id) as made:
        yield made


@contextlib.contextmanager
def session(channel: Any, p4info: Any, device_config: bytes, election_id: int = 1) -> Iterator[Session]:
    """A session that is primary and has put a pipeline on the target."""
    made = Session(channel, election_id)
    made.arbitrate()
    made.set_pipeline(p4info, device_config)
    try:
        yield made
    finally:
        made.close()


def rows(entries: Iterable[Any]) -> set[bytes]:
    """Entries as a set, to compare with another."""
    return {entry.SerializeToString(deterministic=True) for entry in entries}
