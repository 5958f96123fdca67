"""The driver's client against a plain loop: `python -m test.bench.pushing [ENGINE ...]`.

Entries/s for 10,000 entries over a socket into a target of its own process, empty before: by the driver's pusher, from rows in its tracker
to confirmed entries, and by a loop that sends the same Writes, built before. They take turns, and the best of some rounds is taken of each,
because what disturbs only ever slows. Prints one JSON object. ENGINE may be bmv2, where CALICO_P4_BMV2 names it.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from calico_p4.p4runtime.client import open_channel
from calico_p4.push import BATCH, Pusher
from calico_p4.switch import DEVICE_ID, Switch, _update, encoded, pipeline_cookie
from datastore.tracker import Op, Tracker
from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4r
from test.bench.bench_target import rows_of
from test.bench.engines import ENTRIES, TABLES, config
from test.support import bmv2

ROUNDS = 10


@contextlib.contextmanager
def target(engine: str) -> Iterator[Switch]:
    """A target of its own process, and a client that is primary."""
    if engine == "bmv2":
        with bmv2.running() as made:
            switch = bmv2.Bmv2Switch(made, sweep=True)
            yield switch
            switch.close()
        return
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/target.sock"
        command = [sys.executable, "-m", "calico_p4", "target", "--engine", engine, "--listen", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == f"listening on {address}\n"
            channel = open_channel(address)
            switch = Switch(channel, channel.close)
            switch.client.arbitrate()
            yield switch
            switch.close()
            process.terminate()


def push(switch: Switch, rows: Sequence[Any]) -> float:
    """Seconds of the driver's pusher."""
    tracker = Tracker()
    tracker.desired.load(rows)
    pusher = Pusher(tracker, switch.write, encode=encoded)
    start = time.perf_counter()
    pusher.push_all()
    spent = time.perf_counter() - start
    assert pusher.writes.inserted == len(rows) and not tracker.pending_count()
    return spent


def loop(switch: Switch, requests: Sequence[Any]) -> float:
    """Seconds of a loop over Writes that are there."""
    stub = P4RuntimeStub(switch.channel)
    start = time.perf_counter()
    for request in requests:
        stub.Write(request)
    return time.perf_counter() - start


def emptied(switch: Switch, run: Callable[[Switch], float]) -> float:
    """What a run takes on a pipeline without entries."""
    if isinstance(switch, bmv2.Bmv2Switch):
        switch.prepare()
    else:
        switch.client.set_pipeline(artefacts.p4info(), config(), pipeline_cookie())
    return run(switch)


def measured(engine: str, table: str) -> dict[str, float]:
    """Entries/s of both, and the ratio."""
    rows = [(table, *rows_of(table, row)) for row in range(ENTRIES)]
    rows = [(name, tuple((0, 0) if part is None else part for part in key), value) for name, key, value in rows]
    updates = [_update(Op("insert", *row)) for row in rows]
    head = p4r.WriteRequest(device_id=DEVICE_ID, election_id=p4r.Uint128(low=1)).SerializeToString()
    requests = [p4r.WriteRequest.FromString(head + b"".join(updates[at : at + BATCH])) for at in range(0, ENTRIES, BATCH)]
    with target(engine) as switch:
        runs = [partial(push, rows=rows), partial(loop, requests=requests)]
        spent: dict[int, list[float]] = {0: [], 1: []}
        for turn in range(2 * ROUNDS):
            which = (turn + turn // 2) % 2  # each of them first as often as second
            spent[which].append(emptied(switch, runs[which]))
    ours, plain = (min(each) for each in spent.values())
    return {"driver": round(ENTRIES / ours), "plain loop": round(ENTRIES / plain), "ratio": round(plain / ours, 2)}


if __name__ == "__main__":
    print(json.dumps({engine: {table: measured(engine, table) for table in TABLES} for engine in sys.argv[1:] or ("embedded", "dpdk")}, indent=1))
