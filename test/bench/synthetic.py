"""The states that the design's table names by size, made up: 100 endpoints, 300 policies, 20,000 rules, 256,000 members."""

import time
from collections.abc import Iterator
from random import Random
from typing import Any

from calico_p4.driver import Driver
from calico_p4.log import configure
from datastore.allocator import Allocator
from felix_proto.types import InSync, IPSetDeltaUpdate, PortRange, Rule
from test.bench.null_switch import NullSwitch
from test.bench.stream import ms, timed
from test.support.policy_state import State, addresses, endpoint, net_set, policy, profile

ENDPOINTS, POLICIES, RULES, SETS, MEMBERS = 100, 300, 20_000, 64, 256_000


def messages(seed: int = 1) -> Iterator[Any]:
    """A snapshot of that size; nine of ten rules name a set, each endpoint has ten policies."""
    rng = Random(seed)
    for number in range(SETS):
        yield net_set(f"s:{number}", addresses(MEMBERS // SETS, 0x0B000000 + number * (MEMBERS // SETS)))
    yield profile()
    for number in range(POLICIES):
        yield policy(f"p{number:03}", [_rule(rng) for _ in range(RULES // POLICIES)])
    for number in range(ENDPOINTS):
        yield endpoint(number, [f"p{p:03}" for p in sorted(rng.sample(range(POLICIES), 10))])


def _rule(rng: Random) -> Rule:
    port = rng.randrange(1, 60_000)
    sets = (f"s:{rng.randrange(SETS)}",) if rng.random() < 0.9 else ()
    return Rule(rng.choice(("allow", "deny")), protocol=rng.choice((6, 17)), dst_ports=(PortRange(port, port),), src_ip_set_ids=sets)


def snapshot() -> dict[str, Any]:
    """From InSync to the last Write confirmed, against building and sending the same rows with plain protobuf; and a restart."""
    configure("warning")
    switch, names = NullSwitch(), Allocator(None)
    try:
        driver = Driver(switch, names)  # type: ignore[arg-type]
        for message in (*messages(), InSync()):
            driver.apply(message)
        cpu = time.process_time()
        seconds = timed(driver.sync)
        cpu = time.process_time() - cpu
        driver.rest()
        rows = [(t, k, v) for t in driver.tracker.desired.tables() for k, v in driver.tracker.desired.rows(t).items()]
        floor_cpu = time.process_time()
        floor = timed(lambda: switch.write_plainly(rows))
        floor_cpu = time.process_time() - floor_cpu
        return {
            "state": f"{ENDPOINTS} endpoints, {POLICIES} policies, {RULES} rules, {MEMBERS} members", "rows": len(rows),
            "snapshot_apply_ms": ms(seconds), "floor_ms": ms(floor), "snapshot_cpu_s": round(cpu, 2), "floor_cpu_s": round(floor_cpu, 2),
            "snapshot_to_floor_cpu": round(cpu / floor_cpu, 2), "restart_writes": restart(driver, switch, names),
        }  # fmt: skip
    finally:
        switch.close()


def restart(before: Driver, switch: NullSwitch, names: Allocator) -> int:
    """Writes of a second driver with the same numbers that finds everything there."""
    switch.rows = {table: dict(before.tracker.desired.rows(table)) for table in before.tracker.desired.tables()}
    switch.fresh = False
    after = Driver(switch, names)  # type: ignore[arg-type]
    for message in (*reversed(list(messages())), InSync()):
        after.apply(message)
    after.sync()
    writes = after.pusher.writes
    return writes.inserted + writes.modified + writes.deleted


def member_flatness(rounds: int = 200) -> dict[str, Any]:
    """One member with a known combination of groups: a state of 100,000 members against one of 1,000, in turns."""
    states = {members: _members_state(members) for members in (1_000, 100_000)}
    best = {members: min(_join(state, n) for n in range(rounds)) for members, state in states.items()}
    return {"member_us": {members: round(seconds * 1e6, 1) for members, seconds in best.items()},
            "member_flat": round(best[100_000] / best[1_000], 2)}  # fmt: skip


def _members_state(members: int) -> State:
    rules = [Rule("allow", src_ip_set_ids=("all",))]
    return State([net_set("all", addresses(members)), profile(), policy("a", rules), *(endpoint(n, ["a"]) for n in range(ENDPOINTS))])


def _join(state: State, number: int) -> float:
    member = addresses(1, 0x0C000000 + number)
    seconds = state.change(IPSetDeltaUpdate("all", member, ())).seconds
    state.change(IPSetDeltaUpdate("all", (), member))
    return seconds
