"""A stranger: finsy connects, reads pipeline and entries, writes one and deletes it. Prints what it saw as JSON.

Run by test_stranger in an environment of its own: python finsy_client.py ADDRESS TABLE FIELD ACTION PARAMETERS COUNTER
"""

import asyncio
import json
import sys

import finsy as fy


def seen(entry: fy.P4TableEntry) -> dict[str, object]:
    """An entry in plain values."""
    return {"table": entry.table_id, "match": {k: str(v) for k, v in (entry.match or {}).items()}, "priority": entry.priority, "action": str(entry.action)}


TABLE, FIELD, ACTION, PARAMS, COUNTER = sys.argv[2], sys.argv[3], sys.argv[4], json.loads(sys.argv[5]), sys.argv[6]


def fresh() -> fy.P4TableEntry:
    """The entry it writes; finsy's unary plus and minus change the entry they are applied to."""
    return fy.P4TableEntry(TABLE, match=fy.Match({FIELD: 3}), action=fy.Action(ACTION, **PARAMS))


async def main(address: str) -> None:
    """Everything a client does in its first minute."""
    async with fy.Switch("switch", address) as switch:
        tables = sorted(table.name for table in switch.p4info.tables)
        before = [seen(e) async for e in switch.read(fy.P4TableEntry())]
        await switch.write([+fresh()])
        during = [seen(e) async for e in switch.read(fy.P4TableEntry(TABLE))]
        (await_one,) = [e async for e in switch.read(fy.P4TableEntry(TABLE, match=fy.Match({FIELD: 3})))]
        try:
            await switch.write([+fresh()])
            duplicate = "accepted"
        except fy.P4ClientError as error:
            duplicate = ", ".join(detail.canonical_code.name for detail in error.details.values())
        await switch.write([-fresh()])
        after = [seen(e) async for e in switch.read(fy.P4TableEntry())]
        counters = [(c.index, c.packet_count) async for c in switch.read(fy.P4CounterEntry(COUNTER))]
        report = {
            "tables": tables, "before": before, "during": during, "after": after, "duplicate": duplicate, "counters": len(counters),
            "one": seen(await_one), "primary": switch.is_primary,
        }  # fmt: skip
    print(json.dumps(report))


asyncio.run(main(sys.argv[1]))
