"""Run by another Python, which has finsy: read the pipeline and all entries, write one, delete it.

Argument: HOST:PORT. Prints a JSON object: tables, entries, and the rows of one table before, while and after an entry of ours is there.
"""

import asyncio
import json
import sys

import finsy as fy


async def rows(switch: fy.Switch, name: str) -> int:
    return len([entry async for entry in switch.read(fy.P4TableEntry(name))])


async def main() -> None:
    async with fy.Switch("switch", sys.argv[1]) as switch:
        tables = sorted(table.name for table in switch.p4info.tables)
        nd_answer = next(name for name in tables if name.endswith("nd_answer"))
        action = next(a.name for a in switch.p4info.actions if a.name.endswith("nd_reply"))
        entry = fy.P4TableEntry(
            nd_answer, match=fy.Match(target="2001:db8::77"), action=fy.Action(action, mac="02:00:00:00:00:77")
        )
        before = await rows(switch, nd_answer)
        await switch.insert([entry])
        during = await rows(switch, nd_answer)
        try:
            await switch.insert([entry])
            duplicate = "accepted"
        except fy.P4ClientError as error:
            duplicate = str(error)
        await switch.delete([entry])
        total = len([entry async for entry in switch.read(fy.P4TableEntry())])
        print(json.dumps({"tables": tables, "entries": total, "before": before, "during": during,
                          "after": await rows(switch, nd_answer), "duplicate": duplicate}))  # fmt: skip


asyncio.run(main())
