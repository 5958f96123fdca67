"""The embedded engine and DPDK's in one run: `python -m test.bench.engines [PCAP]`. Prints one JSON object.

* packets/s through our whole pipeline, the same frames into the same rows, one at a time as `Inject` does it, and without our server (the
  engine alone), by the machine's clock; and those of a capture, the file named or one made of 250 connections, all into a workload's port;
* entries/s for 10,000 entries in pre-built Writes of 1,000.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from scapy.utils import RawPcapReader

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


def rate(run: Callable[[], int], before: Callable[[], object] = lambda: None) -> float:
    """Things per second of processor time, the best of a few rounds."""
    rates = []
    for _ in range(ROUNDS):
        before()
        start = time.process_time()
        done = run()
        rates.append(done / (time.process_time() - start))
    return max(rates)


def packets(engine: str, captured: list[bytes]) -> dict[str, float]:
    """Packets/s of new connections, whose entries are learned, and of one that is there."""
    target = InProcessTarget(Options(engine=engine, real_time=True))
    with session(target.channel, artefacts.p4info(), config()) as made:
        _, port = made.allow_one()
        fresh = [tcp_frame(0x0A000001, 0x0A000002, sport) for sport in range(1024, 1024 + FRAMES)]
        figures = {}
        for name, frames in (("new", fresh), ("established", fresh[:1] * FRAMES)):
            forget = made.bench.clear_learned if name == "new" else lambda: None
            served = rate(lambda frames=frames: sum(1 for f in frames if made.bench.inject(port, f).outputs), forget)
            figures[f"{name}, through the service"] = served
            figures[f"{name}, engine alone"] = rate(lambda frames=frames: alone(target, port, frames), forget)
        figures["capture, engine alone"] = rate(lambda: alone(target, port, captured), made.bench.clear_learned)
    target.stop()
    return figures


def alone(target: InProcessTarget, port: int, frames: list[bytes]) -> int:
    """The frames through the machine itself; returns how many."""
    assert target.device.installed is not None
    run, now = target.device.installed.pipeline.machine.run, target.device.now()
    for frame in frames:
        run(frame, port, now)
    return len(frames)


def capture(path: str) -> list[bytes]:
    """The frames of a pcap file."""
    with RawPcapReader(path) as reader:
        return [frame for frame, _ in reader]


def made_capture() -> list[bytes]:
    """Connections one after the other: an opening and five segments each, and some that nothing allows."""
    sources = ((0x0A000001, port) if port % 10 else (0x0A000009, port) for port in range(2000, 2250))
    return [tcp_frame(source, 0x0A000002, port, 80) for source, port in sources for _ in range(6)]


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
    frames = capture(sys.argv[1]) if sys.argv[1:] else made_capture()
    found = {engine: {"packets/s": packets(engine, frames), "entries/s": {t: entries(engine, t) for t in TABLES}} for engine in ("embedded", "dpdk")}
    print(json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text))), indent=1))
