"""The embedded engine and DPDK's in one run: `python -m test.bench.engines`. Prints one JSON object.

* packets/s through our whole pipeline, the same frames into the same rows, one at a time as `Inject` does it, and without our server (the
  engine alone);
* entries/s for 10,000 entries in pre-built Writes of 1,000.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r
from k8s_p4.target import InProcessTarget, Options, pack_device_config, unpack_device_config
from test.bench.bench_target import BATCH, rows_of
from test.support.judge import small
from test.support.p4target import Session, session, tcp_frame

ENTRIES, FRAMES, ROUNDS = 10_000, 500, 3
TABLES = ("src_identity_host_v4", "egress.rules")


def config() -> bytes:
    """Our program with small tables where it learns: their memory is no subject here."""
    full = unpack_device_config(artefacts.device_config())
    return pack_device_config(small(full.spec), full.context, full.entries)


def rate(run: Callable[[], int]) -> float:
    """Things per second, the best of a few rounds."""
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = run()
        rates.append(done / (time.perf_counter() - start))
    return max(rates)


def packets(engine: str) -> dict[str, float]:
    """Packets/s of new connections, whose entries are learned, and of one that is there."""
    target = InProcessTarget(Options(engine=engine))
    with session(target.channel, artefacts.p4info(), config()) as made:
        _, port = made.allow_one()
        fresh = [tcp_frame(0x0A000001, 0x0A000002, sport) for sport in range(1024, 1024 + FRAMES)]
        figures = {}
        for name, frames in (("new", fresh), ("established", fresh[:1] * FRAMES)):
            figures[f"{name}, through the service"] = rate(lambda frames=frames: sum(1 for f in frames if made.bench.inject(port, f).outputs))
            figures[f"{name}, engine alone"] = rate(lambda frames=frames: alone(target, port, frames))
    target.stop()
    return figures


def alone(target: InProcessTarget, port: int, frames: list[bytes]) -> int:
    """The frames through the machine itself."""
    assert target.device.installed is not None
    run, now = target.device.installed.pipeline.machine.run, target.device.now()
    return sum(run(frame, port, now).outcome == 1 for frame in frames)


def entries(engine: str, table: str) -> float:
    """Entries/s that a plain loop of pre-built Writes gets confirmed, the table empty before."""
    rows = [rows_of(table, row) for row in range(ENTRIES)]
    spent = []
    for _ in range(ROUNDS):
        target = InProcessTarget(Options(engine=engine))
        with session(target.channel, artefacts.p4info(), config()) as made:
            requests = prepared(made, table, rows)
            start = time.perf_counter()
            for request in requests:
                made.stub.Write(request)
            spent.append(time.perf_counter() - start)
        target.stop()
    return ENTRIES / min(spent)


def prepared(made: Session, table: str, rows: list[Any]) -> list[Any]:
    """Writes that insert the rows."""
    requests = []
    for at in range(0, ENTRIES, BATCH):
        request = made.write_request()
        for key, value in rows[at : at + BATCH]:
            made.fill(request.updates.add(type=p4r.Update.INSERT).entity.table_entry, table, key, value)
        requests.append(request)
    return requests


if __name__ == "__main__":
    found = {engine: {"packets/s": packets(engine), "entries/s": {t: entries(engine, t) for t in TABLES}} for engine in ("embedded", "dpdk")}
    print(json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text))), indent=1))
