"""Will it fit: the rows that are wanted against the room of each table, known before anything is written."""

from collections.abc import Iterable

from calico_p4.degraded import Degraded
from calico_p4.log import get_logger
from datastore.tracker import Desired
from k8s_p4.rows import TABLES


class Forecast:
    """The tables that will be full, by name with the number of rows wanted."""

    def __init__(self) -> None:
        self.overfull: dict[str, int] = {}
        self._log = get_logger()

    def look(self, desired: Desired) -> None:
        """Compare, and log a table that is wanted fuller than it can be when it comes to be so."""
        found = {table: wanted for table in desired.tables() if (wanted := len(desired.rows(table))) > TABLES[table].size}
        for table in found.keys() - self.overfull.keys():
            self._log.warning("table will be full", table=table, wanted=found[table], capacity=TABLES[table].size)
        self.overfull = found

    def degraded(self) -> Iterable[Degraded]:
        """Yield a line for each of these tables; which objects have to wait is told when their rows are refused."""
        for table, wanted in self.overfull.items():
            yield Degraded(f"Table {table}", f"full: {wanted} rows are wanted, and there is room for {TABLES[table].size}", "pending")
