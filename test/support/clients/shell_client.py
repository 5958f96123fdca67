"""Run by another Python, which has p4runtime-shell: read the pipeline and all entries, write one, delete it.

Argument: HOST:PORT. Prints a JSON object: tables, entries, and the rows of one table before, while and after an entry of ours is there.
"""

import json
import sys

import p4runtime_sh.shell as sh
from p4runtime_sh.p4runtime import P4RuntimeWriteException


def rows(name: str) -> int:
    found = []
    sh.TableEntry(name).read(found.append)
    return len(found)


sh.setup(device_id=1, grpc_addr=sys.argv[1], election_id=(1, 0))
tables = sorted(table.preamble.name for table in sh.context.p4info.tables)
nd_answer = next(name for name in tables if name.endswith("nd_answer"))
readable = [name for name in tables if not next(t for t in sh.context.p4info.tables if t.preamble.name == name).is_const_table]
before = rows(nd_answer)
action = next(a.preamble.name for a in sh.context.p4info.actions if a.preamble.name.endswith("nd_reply"))
entry = sh.TableEntry(nd_answer)(action=action)
entry.match["target"] = "2001:db8::77"
entry.action["mac"] = "02:00:00:00:00:77"
entry.insert()
during = rows(nd_answer)
try:
    entry.insert()
    duplicate = "accepted"
except P4RuntimeWriteException as error:
    duplicate = str(error)
entry.delete()
total = sum(map(rows, readable))
print(json.dumps({"tables": tables, "entries": total, "before": before, "during": during, "after": rows(nd_answer), "duplicate": duplicate}))
sh.teardown()
