"""A switch that takes everything and does nothing: what is left is the driver's own time."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from calico_p4.push import Meanwhile
from datastore.tracker import Op
from k8s_p4.p4rt import METHODS, p4r
from k8s_p4.rows import TABLES

_MAX = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class _Null(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


class NullSwitch:
    """Stands in for `calico_p4.switch.Switch`: rows are encoded as they always are and sent to a null gRPC server."""

    bench = client = flows = None

    def __init__(self) -> None:
        self.fresh = True
        self.foreign: dict[str, Any] = {}
        self.rows: dict[str, dict[Any, Any]] = {}
        """What a read-back finds."""
        self._server = grpc.server(ThreadPoolExecutor(2), (_Null(),), options=_MAX)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_MAX)
        self._write = self._channel.unary_unary(METHODS["Write"].path, request_serializer=None, response_deserializer=None)
        self._head = p4r.WriteRequest(device_id=1, election_id=p4r.Uint128(low=1)).SerializeToString()

    def write(self, ops: Sequence[Op], updates: Sequence[bytes], meanwhile: Meanwhile | None) -> list[str | None]:
        request = self._head + b"".join(updates)
        if meanwhile is None:
            self._write(request)
        else:
            call = self._write.future(request)
            meanwhile()
            call.result()
        return [None] * len(ops)

    def read(self, table: str) -> dict[Any, Any]:
        return self.rows.get(table, {})

    def write_plainly(self, rows: Iterable[tuple[str, Any, Any]], batch: int = 1000) -> None:
        """The floor: the same rows built with plain protobuf and sent in batches of the same size."""
        request = p4r.WriteRequest(device_id=1)
        for count, (table, key, value) in enumerate(rows, 1):
            update = request.updates.add(type=p4r.Update.INSERT)
            _fill(update.entity.table_entry, TABLES[table], key, value)
            if count % batch == 0:
                self._write(request.SerializeToString())
                request = p4r.WriteRequest(device_id=1)
        self._write(request.SerializeToString())

    def close(self) -> None:
        self._channel.close()
        self._server.stop(None)


def _fill(entry: Any, table: Any, key: Any, value: Any) -> None:
    """Build an entry attribute by attribute, as a client with no tricks would."""
    entry.table_id = table.id
    for field, item in zip(table.fields, key, strict=False):
        if isinstance(item, tuple) and not item[1]:
            continue
        match = entry.match.add()
        match.field_id = field.id
        if field.kind == "exact":
            match.exact.value = _bytes(item)
        elif field.kind == "lpm":
            match.lpm.value, match.lpm.prefix_len = _bytes(item[0]), item[1]
        else:
            match.ternary.value, match.ternary.mask = _bytes(item[0]), _bytes(item[1])
    if table.ternary:
        entry.priority = key[-1]
    schema = table.actions[value[0]]
    action = entry.action.action
    action.action_id = schema.id
    for field, item in zip(schema.params, value[1:], strict=True):
        param = action.params.add()
        param.param_id, param.value = field.id, _bytes(item)


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
