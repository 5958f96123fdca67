"""One recording through the driver: the snapshot, and single changes, against the floor of building and sending the same rows."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from calico_p4.driver import Driver
from calico_p4.log import configure
from datastore.allocator import Allocator
from datastore.intent import IntentStore
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from felix_proto.types import (
    ActivePolicyUpdate,
    IPSetDeltaUpdate,
    IPSetType,
    IPSetUpdate,
    Policy,
    PolicyID,
    Rule,
    TierInfo,
    WorkloadEndpointRemove,
    WorkloadEndpointUpdate,
)
from test.bench.null_switch import NullSwitch

CHANGES = 9


def measure(recording: Path) -> dict[str, Any]:
    """All figures of a recording, by name; times in milliseconds."""
    configure("warning")
    switch = NullSwitch()
    try:
        started = time.perf_counter()
        driver, stored = load(recording, switch)
        at_in_sync, cpu = time.perf_counter(), time.process_time()
        driver.sync()
        confirmed, cpu = time.perf_counter() - at_in_sync, time.process_time() - cpu
        driver.rest()
        rows = list(every_row(driver))
        floor_cpu = time.process_time()
        floor = timed(lambda: switch.write_plainly(rows))
        floor_cpu = time.process_time() - floor_cpu
        return {
            "recording": recording.name,
            "decode_store_ms": ms(stored - started),
            "snapshot_apply_ms": ms(confirmed),
            "snapshot_cpu_s": round(cpu, 2),
            "floor_ms": ms(floor),
            "floor_cpu_s": round(floor_cpu, 2),
            "snapshot_to_floor": round(confirmed / floor, 2),
            "snapshot_to_floor_cpu": round(cpu / floor_cpu, 2),
            "rows": len(rows),
            "intents": (wanted := intents(driver.store)),
            "rows_per_intent": round(len(rows) / wanted, 2),
            **changes(driver, switch),
            **(unrelated(driver) if recording.name.startswith("scale.") else {}),
        }
    finally:
        switch.close()


def load(recording: Path, switch: NullSwitch) -> tuple[Driver, float]:
    """A driver that has read everything and pushed nothing, and when it had."""
    driver = Driver(switch, Allocator(None))  # type: ignore[arg-type]
    decoder = Decoder()
    for frame in read_recording(recording):
        driver.apply(decoder.decode(frame).payload)
    return driver, time.perf_counter()


def intents(store: IntentStore) -> int:
    """The design's count: rules of live policies and profiles by direction, members, endpoints of workloads and of hosts, their addresses,
    routes, VTEPs, service ports."""
    live = [*(policy for key, policy in store.policies.items() if not key.staged), *store.profiles.values()]
    rules = sum(len(each.inbound_rules) + len(each.outbound_rules) for each in live)
    members = sum(len(each.members) for each in store.ip_sets.values())
    addresses = sum(len(each.ipv4_nets) + len(each.ipv6_nets) for each in store.endpoints.values())
    addresses += sum(len(each.expected_ipv4_addrs) + len(each.expected_ipv6_addrs) for each in store.host_endpoints.values())
    ports = sum(len(each.ports) for each in store.services.values())
    return rules + members + len(store.endpoints) + len(store.host_endpoints) + addresses + len(store.routes) + len(store.vteps) + ports


def changes(driver: Driver, switch: NullSwitch) -> dict[str, Any]:
    """Single changes: rows written, the median time from the frame to the last Write confirmed, and that time against building
    and sending as many rows with plain protobuf."""
    found: dict[str, Any] = {}
    if not (driver.store.endpoints and driver.store.ip_sets):
        return found
    for name, there, back in (("member", *member(driver)), ("rule", *rule(driver)), ("endpoint", *endpoint(driver))):
        seconds, written = there_and_back(driver, there, back)
        found[f"one_{name}_ms"], found[f"one_{name}_rows"] = ms(statistics.median(seconds)), written
        some = list(islice(every_row(driver), max(written, 1)))
        floor = statistics.median(timed(lambda rows=some: switch.write_plainly(rows)) for _ in range(CHANGES))
        found[f"one_{name}_to_floor"] = round(statistics.median(seconds) / floor, 1)
    return found


def there_and_back(driver: Driver, there: Any, back: Any) -> tuple[list[float], int]:
    """How long a change takes, some times over, and how many rows it writes."""
    seconds, written = [], 0
    for _ in range(CHANGES):
        before = written_so_far(driver)
        seconds.append(timed(lambda: push(driver, there)))
        written = written_so_far(driver) - before
        push(driver, back)
        driver.rest()
    return seconds, written


def unrelated(driver: Driver) -> dict[str, Any]:
    """The rule's edit again, once another endpoint's policy asks about 100,000 members more: rows, and how many times as long."""
    there, back = rule(driver)
    (alone, rows) = there_and_back(driver, there, back)
    name = PolicyID("GlobalNetworkPolicy", "", "bench.unrelated")
    other = Policy(name, tier="bench", inbound_rules=(Rule("allow", src_ip_set_ids=("s:bench",)),))
    update, _ = endpoint(driver)
    twin = update.endpoint._replace(tiers=(TierInfo("bench", (name,), (), "Deny"),))
    members = tuple(f"19.{n >> 16}.{n >> 8 & 255}.{n & 255}/32" for n in range(100_000))
    for message in (IPSetUpdate("s:bench", members, IPSetType.NET), ActivePolicyUpdate(name, other), WorkloadEndpointUpdate(update.id, twin)):
        push(driver, message)
    driver.rest()
    (among, rows_among) = there_and_back(driver, there, back)
    return {"one_rule_flat": round(min(among) / min(alone), 2), "one_rule_rows_among_unrelated": rows_among, "one_rule_rows_alone": rows}


def every_row(driver: Driver) -> Iterator[tuple[str, Any, Any]]:
    """All desired rows."""
    for table in driver.tracker.desired.tables():
        for key, value in driver.tracker.desired.rows(table).items():
            yield table, key, value


def member(driver: Driver) -> tuple[Any, Any]:
    """A new member of the biggest set of addresses, and its removal."""
    sets = {key: each for key, each in driver.store.ip_sets.items() if each.type != IPSetType.IP_AND_PORT}
    biggest = max(sorted(sets), key=lambda key: len(sets[key].members))
    new = ("198.18.77.77/32",)
    return IPSetDeltaUpdate(biggest, new, ()), IPSetDeltaUpdate(biggest, (), new)


def rule(driver: Driver) -> tuple[Any, Any]:
    """The first inbound rule turned round, of a policy where that changes rows: those with the most rules are tried first."""
    governing = {name for each in driver.store.endpoints.values() for tier in each.tiers for name in tier.ingress_policies if not name.staged}
    policies = driver.store.policies
    for name in sorted(governing, key=lambda key: (-len(policies[key].inbound_rules), key)):
        there, back = turned(name, policies[name])
        before = written_so_far(driver)
        push(driver, there)
        changed = written_so_far(driver) != before
        push(driver, back)
        if changed:
            break
    return there, back


def turned(name: Any, policy: Any) -> tuple[Any, Any]:
    first, *others = policy.inbound_rules or (Rule("deny"),)
    other = first._replace(action="deny" if first.action == "allow" else "allow")
    return ActivePolicyUpdate(name, policy._replace(inbound_rules=(other, *others))), ActivePolicyUpdate(name, policy)


def endpoint(driver: Driver) -> tuple[Any, Any]:
    """A twin of the first endpoint under another name and address, and its removal."""
    first = driver.store.endpoints[min(driver.store.endpoints)]
    twin = first.id._replace(workload_id="bench/twin")
    new = first._replace(id=twin, name="calibench", ipv4_nets=("198.18.77.78/32",), ipv6_nets=())
    return WorkloadEndpointUpdate(twin, new), WorkloadEndpointRemove(twin)


def push(driver: Driver, message: Any) -> None:
    driver.apply(message)
    driver.sync()


def written_so_far(driver: Driver) -> int:
    writes = driver.pusher.writes
    return writes.inserted + writes.modified + writes.deleted


def timed(run: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


