"""The driver's client against a plain loop: `python -m test.bench.pushing [ENGINE ...]`.

Entries/s for 10,000 entries over a socket into a target of its own process, empty before: by the driver's pusher, from rows in its tracker
to confirmed entries, and by a loop that sends the same bytes in the same Writes. They take turns, and of each stretch, from one Write to the
next, the best of some rounds is taken, because what disturbs only ever slows. Prints one JSON object. ENGINE may be bmv2, where CALICO_P4_BMV2
names it. CALICO_P4_BENCH_SECONDS says for how long rounds go on, of which a busy machine needs more.

The target and who writes have a core each, if there are two: where others keep all cores busy, Linux wakes a target on the core of who
wrote to it, and one waits for the other. CALICO_P4_BENCH_CORES=shared leaves that to Linux.
"""

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from calico_p4.p4runtime.client import open_channel
from calico_p4.push import BATCH, Pusher
from calico_p4.switch import DEVICE_ID, Switch, encoded, pipeline_cookie
from datastore.tracker import Op, Tracker
from k8s_p4 import artefacts
from k8s_p4.p4rt import METHODS, p4r
from test.bench.bench_target import rows_of
from test.bench.engines import ENTRIES, TABLES, config
from test.support import bmv2

ROUNDS, SECONDS = 5, float(os.environ.get("CALICO_P4_BENCH_SECONDS") or 15)
"""So many rounds at least, for so long at least."""
CORES = sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def target(engine: str) -> Iterator[Switch]:
    """A target of its own process, and a client that is primary."""
    if engine == "bmv2":
        with bmv2.running() as made:
            switch = bmv2.Bmv2Switch(made, sweep=True)
            apart(made.process.pid)
            yield switch
            switch.close()
        return
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/target.sock"
        command = [sys.executable, "-m", "calico_p4", "target", "--engine", engine, "--listen", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None and process.stdout.readline() == f"listening on {address}\n"
                channel = open_channel(address)
                switch = Switch(channel, channel.close)
                switch.client.arbitrate()
                apart(process.pid)
                yield switch
                switch.close()
            finally:
                process.terminate()


def apart(target: int) -> None:
    """Give this process and the target's a core each."""
    if len(CORES) > 1 and os.environ.get("CALICO_P4_BENCH_CORES") != "shared":
        for process, core in (("self", CORES[0]), (str(target), CORES[-1])):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.sched_setaffinity(int(thread.name), {core})


def push(switch: Switch, rows: Sequence[Any]) -> list[float]:
    """When the driver's pusher begins, each time it sends a Write, and when it is done."""
    tracker = Tracker()
    tracker.desired.load(rows)

    def write(*sent: Any) -> list[str | None]:
        times.append(time.perf_counter())
        return switch.write(*sent)

    pusher = Pusher(tracker, write, encode=encoded)
    times = [time.perf_counter()]
    pusher.push_all()
    times.append(time.perf_counter())
    assert pusher.writes.inserted == len(rows) and not tracker.pending_count()
    return times


def loop(switch: Switch, requests: Sequence[bytes]) -> list[float]:
    """The same of a loop over Writes that are there."""
    write = switch.channel.unary_unary(METHODS["Write"].path, request_serializer=bytes, response_deserializer=p4r.WriteResponse.FromString)
    times = [time.perf_counter()]
    for request in requests:
        times.append(time.perf_counter())
        write(request)
    return [*times, time.perf_counter()]


def emptied(switch: Switch, run: Callable[[Switch], list[float]]) -> list[float]:
    """The seconds of a run's stretches, on a pipeline without entries."""
    if isinstance(switch, bmv2.Bmv2Switch):
        switch.prepare()
    else:
        switch.client.set_pipeline(artefacts.p4info(), config(), pipeline_cookie())
    gc.collect()
    return [after - before for before, after in pairwise(run(switch))]


def measured(engine: str, table: str) -> dict[str, float]:
    """Entries/s of both, and the ratio."""
    rows = [(table, *rows_of(table, row)) for row in range(ENTRIES)]
    rows = [(name, tuple((0, 0) if part is None else part for part in key), value) for name, key, value in rows]
    updates = encoded([Op("insert", *row) for row in rows])
    head = p4r.WriteRequest(device_id=DEVICE_ID, election_id=p4r.Uint128(low=1)).SerializeToString()
    requests = [head + b"".join(updates[at : at + BATCH]) for at in range(0, ENTRIES, BATCH)]
    with target(engine) as switch:
        runs = [partial(push, rows=rows), partial(loop, requests=requests)]
        spent: list[list[list[float]]] = []
        end = time.monotonic() + SECONDS
        while len(spent) < ROUNDS or time.monotonic() < end:
            spent.append([emptied(switch, run) for run in runs])
    ours, plain = (sum(map(min, zip(*rounds, strict=True))) for rounds in zip(*spent, strict=True))
    return {"rounds": len(spent), "driver": round(ENTRIES / ours), "plain loop": round(ENTRIES / plain), "ratio": round(plain / ours, 2)}


if __name__ == "__main__":
    print(json.dumps({engine: {table: measured(engine, table) for table in TABLES} for engine in sys.argv[1:] or ("embedded", "dpdk")}, indent=1))
