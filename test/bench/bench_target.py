"""How fast the embedded target is, as ratios to what this machine does with plain protobuf and gRPC: `python -m test.bench.bench_target`.

* entries/s it accepts through P4Runtime, against a null gRPC server that takes the same serialized batches, and against building such
  entries by attribute;
* packets/s through our whole pipeline, against building entries.

Prints one JSON object. Batches are 1,000 updates; every figure is the best of a few rounds, because what disturbs only ever slows.
"""

import gc
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from k8s_p4 import p4rt
from k8s_p4.p4rt import p4r
from k8s_p4.target import EmbeddedClient, InProcessTarget, serve
from test.support.p4target import Session, ours

BATCH, BATCHES, ROUNDS = 1000, 50, 3
_ANY_PORT = ("grpc.so_reuseport", 0)


def best(run: Callable[[], int]) -> float:
    """Things per second: the best of a few rounds of a function that returns how many it did."""
    rates = []
    for _ in range(ROUNDS):
        gc.collect()
        start = time.perf_counter()
        done = run()
        rates.append(done / (time.perf_counter() - start))
    return max(rates)


def build_entries() -> int:
    """Build entries of three keys by attribute, as a client with no tricks would."""
    for number in range(BATCH * 20):
        entry = p4r.TableEntry()
        entry.table_id = 7
        for field in (1, 2, 3):
            match = entry.match.add()
            match.field_id = field
            match.exact.value = number.to_bytes(4, "big")
        action = entry.action.action
        action.action_id = 9
        param = action.params.add()
        param.param_id = 1
        param.value = b"\x05"
    return BATCH * 20


def batches(session: Session, table: str) -> list[bytes]:
    """Serialized Writes that insert rows of a table of our pipeline."""
    made = []
    for batch in range(BATCHES):
        request = session.write_request()
        for row in range(batch * BATCH, (batch + 1) * BATCH):
            session.fill(request.updates.add(type=p4r.Update.INSERT).entity.table_entry, table, *rows_of(table, row))
        made.append(request.SerializeToString())
    return made


def rows_of(table: str, row: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The row-th (key, value) for a table: as the translator makes them, some 25 rules to a list."""
    if table.endswith(".rules"):
        listed = (row // 25 + 1, 0xFFFFFFFF)
        port = (0x1000 + row % 25 * 16, 0xFFF0)
        return (listed, (4, 0xFF), (6, 0xFF), (1, 0xFF), None, port, None, None, 1000 - row % 25), ("allow", row + 1)
    if table.endswith("peer_class"):
        return (row // 40 + 1, row % 40 + 1), ("set_list", row)
    return (0x0A000000 + row,), ("set_identity", row % 500 + 1)


class _Null(grpc.GenericRpcHandler):
    """Takes anything, looks at nothing."""

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def _raw_calls(channel: Any) -> Callable[[bytes], Any]:
    return channel.unary_unary(p4rt.METHODS["Write"].path, request_serializer=None, response_deserializer=None)


def null_server(requests: list[bytes]) -> float:
    """Entries/s that a server which does nothing takes."""
    server = grpc.server(ThreadPoolExecutor(4), (_Null(),), options=(("grpc.max_receive_message_length", -1), _ANY_PORT))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        write = _raw_calls(channel)
        rate = best(lambda: sum(BATCH for request in requests if write(request) is not None))
    server.stop(None)
    return rate


def target_over_socket(table: str, requests: list[bytes]) -> float:
    """Entries/s that the embedded target takes into one table, fresh each round."""
    rates = []
    for _ in range(ROUNDS):
        server = serve("127.0.0.1:0")
        with grpc.insecure_channel(server.address) as channel, ours(channel):
            write = _raw_calls(channel)
            start = time.perf_counter()
            for request in requests:
                write(request)
            rates.append(len(requests) * BATCH / (time.perf_counter() - start))
        server.stop()
    return max(rates)


def packets() -> dict[str, float]:
    """Packets/s through our pipeline: the device alone, and with the Inject call in one process."""
    target = InProcessTarget()
    with ours(target.channel) as session:
        frame, port = session.allow_one()
        bench = EmbeddedClient(target.channel)
        answer = bench.inject(port, frame)
        if answer.dropped:
            raise RuntimeError(f"the packet to measure with does not get through: {answer}")

        def device() -> int:
            for _ in range(3000):
                target.device.inject(port, frame)
            return 3000

        def calls() -> int:
            for _ in range(1000):
                bench.inject(port, frame)
            return 1000

        figures = {"device": best(device), "inject": best(calls)}
    target.stop()
    return figures


def measure() -> dict[str, Any]:
    """All figures."""
    building = best(build_entries)
    target = InProcessTarget()
    with ours(target.channel) as session:
        requests = {table: batches(session, table) for table in ("src_identity_host_v4", "egress.peer_class", "egress.rules")}
    null = null_server(requests["egress.peer_class"])
    accepted = {table: target_over_socket(table, made) for table, made in requests.items()}
    through = packets()
    return {
        "build_entries_per_s": round(building),
        "null_server_entries_per_s": round(null),
        "target_entries_per_s": {table: round(rate) for table, rate in accepted.items()},
        "target_to_null_server": {table: round(rate / null, 4) for table, rate in accepted.items()},
        "target_to_building": {table: round(rate / building, 3) for table, rate in accepted.items()},
        "packets_per_s": {kind: round(rate) for kind, rate in through.items()},
        # 3,000 packets/s where one core builds 240,000 entries/s is 0.0125.
        "packets_to_building": {kind: round(rate / building, 4) for kind, rate in through.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
