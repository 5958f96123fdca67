"""Services at size, against a switch that takes everything: `python -m test.bench.services [SERVICES [ENDPOINTS]]`; and how even and steady buckets are."""

import gc
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from calico_p4.driver import Driver
from calico_p4.log import configure
from datastore.allocator import Allocator
from datastore.kubernetes import Endpoint, EndpointPort, EndpointSlice, Service, ServicePort
from felix_proto import types as felix
from test.bench.null_switch import NullSwitch
from translator.buckets import IN_ROW, buckets, size
from translator.service_choice import Backend

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 11, 16, 20, 21, 24, 30, 32, 40, 48, 64, 85, 86, 128, 200)
AVERAGE, EACH, CHANGE = 1.7, 2.05, 2.4
"""What may move, in shares of one: on the average of all numbers of backends, of one number, and by one change."""


def balance(tried: int = 16) -> list[dict[str, Any]]:
    """For numbers of backends: buckets, rows for each, deviation from an even share, and what the change of one moves, in shares of one."""
    found = []
    for number in SIZES:
        rng = random.Random(number)
        backends = [Backend(rng.getrandbits(32), 80) for _ in range(number)]
        whole = buckets(backends)
        shares = Counter(whole)
        uneven = max(abs(share * number / len(whole) - 1) for share in shares.values())
        moved = [_moved(buckets(backends[:place] + backends[place + 1 :]), whole) * number for place in range(min(number, tried)) if number > 1]
        found.append({
            "backends": number, "buckets": len(whole), "rows_per_backend": round(len(whole) / IN_ROW / number, 1), "uneven_percent": round(100 * uneven, 1),
            "moved_average": round(sum(moved) / len(moved), 2) if moved else None, "moved_most": round(max(moved), 2) if moved else None,
            "grows": size(number) != size(number - 1),
        })  # fmt: skip
    return found


def _moved(one: tuple[Backend, ...], other: tuple[Backend, ...]) -> float:
    whole = max(len(one), len(other))
    return sum(one[place % len(one)] != other[place % len(other)] for place in range(whole)) / whole


def _resident() -> int:
    gc.collect()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def _slice(number: int, endpoints: int) -> EndpointSlice:
    first = number * endpoints
    members = (f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}" for place in range(first, first + endpoints))
    return EndpointSlice("shop", f"s{number}", f"s{number}", False, (EndpointPort("", "TCP", 8080),), tuple(map(Endpoint, members)))


def measure(services: int = 10_000, endpoints: int = 50_000) -> dict[str, Any]:
    """A snapshot of so many services, then one endpoint that goes and comes back; times are CPU seconds of this process."""
    switch = NullSwitch()
    driver = Driver(switch, Allocator())  # type: ignore[arg-type]
    for message in (felix.ConfigUpdate((("FelixHostname", "node-a"),)), felix.HostMetadataUpdate("node-a", "192.0.2.11/24"), felix.InSync()):
        driver.apply(message)
    driver.sync()
    empty, store, each = _resident(), driver.store.kubernetes, endpoints // services
    store.configured = store.in_sync = True
    for number in range(services):
        address = f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        store.put(Service("shop", f"s{number}", cluster_ips=(address,), ports=(ServicePort("", "TCP", 80),)))
        store.put(_slice(number, each))
    start, cpu = time.perf_counter(), time.process_time()
    driver.sync()
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    written = driver.pusher.writes.as_dict()
    changes = [_change(driver, number, each) for number in range(0, services, max(services // 20, 1))]
    memory = _resident() - empty
    switch.close()
    return {
        "services": services, "endpoints": endpoints, "rows": written["inserted"], "rows_per_endpoint": round(written["inserted"] / endpoints, 1),
        "snapshot_s": round(took, 2), "snapshot_cpu_s": round(cpu, 2), "memory_mib": round(memory / 2**20), "bytes_per_row": round(memory / written["inserted"]),
        "one_endpoint_ms": round(1000 * sum(took for took, *_ in changes) / len(changes), 2), "one_endpoint_rows": max(rows for _, rows, _ in changes),
        "rows_of_the_service": max(held for *_, held in changes),
    }  # fmt: skip


def _change(driver: Driver, number: int, endpoints: int) -> tuple[float, int, int]:
    """One endpoint less: seconds, rows written, and how many rows of buckets its service had or has."""
    before = driver.pusher.writes.as_dict()
    whole = _slice(number, endpoints)
    driver.store.kubernetes.put(whole._replace(endpoints=whole.endpoints[1:]))
    start = time.perf_counter()
    driver.sync()
    took = time.perf_counter() - start
    after = driver.pusher.writes.as_dict()
    rows = sum(after[name] - before[name] for name in ("inserted", "modified", "deleted"))
    return took, rows, max(size(endpoints), size(endpoints - 1)) // IN_ROW


def main(arguments: list[str]) -> int:
    """Print the figures; exit status 1 if a change moves more than meant, or one endpoint's writes more than its service's rows."""
    configure("error")
    print(f"{'backends':>8} {'buckets':>7} {'rows each':>9} {'uneven':>7} {'moved, in shares':>17}")
    rows = balance()
    for row in rows:
        moved = "-" if row["moved_average"] is None else f"{row['moved_average']:.2f} (most {row['moved_most']:.2f})"
        print(f"{row['backends']:>8} {row['buckets']:>7} {row['rows_per_backend']:>9} {row['uneven_percent']:>6}% {moved:>17}{'  grows' if row['grows'] else ''}")
    averages = [row["moved_average"] for row in rows if row["moved_average"]]
    average, each, change = sum(averages) / len(averages), max(averages), max(row["moved_most"] for row in rows if row["moved_most"])
    steady = average <= AVERAGE and each <= EACH and change <= CHANGE
    print(f"  {'ok  ' if steady else 'MISS'} moved by one change: {average:.2f} shares on the average (target {AVERAGE}), "
          f"of one number {each:.2f} (target {EACH}), at most {change:.2f} (target {CHANGE})")  # fmt: skip
    figures = measure(*map(int, arguments))
    print(json.dumps(figures))
    met = figures["one_endpoint_rows"] <= figures["rows_of_the_service"] + 1
    print(f"  {'ok  ' if met else 'MISS'} one endpoint less: {figures['one_endpoint_rows']} rows (target {figures['rows_of_the_service']} of buckets and 1 entry)")
    return int(not (met and steady))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
