"""Pushing: what is pending goes to the target, level by level, in batches; every update's result is recorded.

A refused update stays pending with its error, and the endpoints that could be wrong without it are closed before the next level is
written. They stay closed until a later try carries the update out or the intent no longer asks for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from calico_p4.batches import Batches, Encode
from calico_p4.order import LEVELS, level, of_level
from calico_p4.p4runtime.errors import RequestRefused, misjudged
from calico_p4.quarantine import bindings_to_close
from datastore.tracker import Kind, Op, Tracker
from translator.stages import STAGES

BATCH = 1000
"""Updates in one Write: beyond some hundred the cost of a request is no longer noticed, and the message stays far below 4 MiB."""

BINDINGS = tuple(f"{stage.name}.binding" for stage in STAGES)

Meanwhile = Callable[[], None]
Write = Callable[[Sequence[Op], Any, Meanwhile | None], list[str | None]]
"""Sends ops, the second time as they were encoded, as one Write; returns None or an error text for each. An exception means that nothing is
known of any. What the third does, if it is given, is best done when the Write is on its way; it need not be called."""

Read = Callable[[str], Mapping[Any, Any]]
"""Reads a table back."""

Row = tuple[str, Any]
WHOLE_REFUSALS = 40
"""Writes refused as a whole, one after the other, before the target itself is held to be what is wrong: to find one bad update among
``BATCH`` takes some ten."""


@dataclass(slots=True)
class Writes:
    """What was sent and carried out, since the start."""

    requests: int = 0
    inserted: int = 0
    modified: int = 0
    deleted: int = 0

    def add(self, done: Mapping[Kind, int]) -> None:
        """Count updates that were carried out, by kind."""
        self.inserted += done["insert"]
        self.modified += done["modify"]
        self.deleted += done["delete"]

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, as the replay contract has them."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


class Pusher:
    """Writes a tracker's pending operations in order, one Write after the other.

    While the target works on one, what became of the last one is recorded and the next one is made, if it is of the same level: no Write is
    sent before the results of all earlier ones are known.
    """

    def __init__(
        self,
        tracker: Tracker,
        write: Write,
        writes: Writes | None = None,
        batch: int = BATCH,
        read: Read | None = None,
        encode: Encode = lambda ops: ops,
    ) -> None:
        """``writes`` goes on counting where another pusher left off. ``read``: without it, what is on the target is never looked up."""
        self.writes = writes or Writes()
        self.closed: frozenset[Row] = frozenset()
        """Bindings (table, key) that are kept off the target because something they depend on was refused."""
        self._tracker, self._write, self._batch, self._read, self._encode = tracker, write, batch, read, encode
        self._ahead = Batches((), batch, encode)
        self._done: Sequence[Op] = ()
        """Carried out, but not yet confirmed to the tracker."""
        self._whole_refusals = 0
        self._refused: dict[Row, Op] = {}

    def push(self, rows: Iterable[Row]) -> None:
        """Bring these rows of the target in line with what is desired. Exceptions of ``write`` pass through."""
        if self._refused:  # what is new may depend on what was refused earlier
            self._close()
        due = (self._tracker.pending_op(table, key) for table, key in dict.fromkeys(rows))
        self._push(op for op in due if op is not None)

    def push_all(self) -> None:
        """Bring everything in line, level by level."""
        self._refused.clear()
        for number in range(LEVELS):
            self._push_level(self._due(*of_level(number)))
        self._reopen()

    def converge(self) -> None:
        """Bring everything in line, whatever it differs in: after a read-back, or to try again what was refused.

        Many changes may have become one difference, and the order in which the translator wanted them is not known any more. So every
        endpoint whose verdict could depend on a differing row is closed first, and opened again when all the others are in place:
        of a packet's two chains each is then the old one unchanged, closed, or the new one.
        """
        if any(self._tracker.actual.rows(table) for table in BINDINGS):  # a target that is still empty has nothing to close
            self.closed |= bindings_to_close(self._tracker, self._tracker.pending())
            self._unbind()
        self.push_all()

    def _due(self, tables: Iterable[str], deletes: bool) -> Iterator[Op]:
        """Yield what is pending for these tables, one by one: the ops of a whole snapshot would be as big as its rows."""
        for table in tables:
            yield from self._tracker.pending_in(table, deletes)

    def reconsider(self) -> None:
        """Let go of refusals that the intent has left behind, and open again what only they kept closed."""
        if self._refused or self.closed:
            errors = self._tracker.errors()
            self._refused = {row: op for row, op in self._refused.items() if row in errors}
            self._reopen()

    def close_all(self) -> None:
        """Take every binding off the target, before rows are changed whose numbers may have meant something else."""
        there = [Op("delete", table, key, None) for table in BINDINGS for key in self._tracker.actual.rows(table)]
        self._send_all(there)

    def _push(self, ops: Iterable[Op]) -> None:
        levels: list[list[Op]] = [[] for _ in range(LEVELS)]
        for op in ops:
            levels[level(op.table, op.kind)].append(op)
        for batch in levels:
            self._push_level(batch)

    def _push_level(self, ops: Iterable[Op]) -> None:
        refused_before = set(self._refused)
        self._send_all(ops if not self.closed else (op for op in ops if (op.table, op.key) not in self.closed))
        if self._refused.keys() - refused_before:
            self._close()

    def _send_all(self, ops: Iterable[Op]) -> None:
        self._ahead = Batches(ops, self._batch, self._encode)
        try:
            while (batch := self._ahead.take()) is not None:
                self._send(*batch)
        finally:
            self._settle()

    def _send(self, batch: Sequence[Op], encoded: Any) -> None:
        """Write a batch; where the target turns out to hold something else than believed, look, and write once more."""
        surprises = [op for op, error in self._attempt(batch, encoded) if misjudged(error)]
        if surprises and self._read is not None:
            self._try_again(self._look_again(surprises))

    def _try_again(self, batch: Sequence[Op]) -> list[tuple[Op, str]]:
        return self._attempt(batch, self._encode(batch)) if batch else []

    def _attempt(self, batch: Sequence[Op], encoded: Any) -> list[tuple[Op, str]]:
        """Write a batch and record the results; returns what was refused."""
        self.writes.requests += 1
        idle = self._ahead.ended and not self._done
        try:
            results = self._write(batch, encoded, None if idle else self._meanwhile)
        except RequestRefused as error:
            self._settle()
            return self._divide(batch, error)
        self._settle()
        self._whole_refusals = 0
        if results.count(None) == len(batch):
            self._done = batch
            return []
        for op, refusal in zip(batch, results, strict=True):
            if refusal is None:
                self._confirm([op])
            else:
                self._fail(op, refusal)
        return [(op, refusal) for op, refusal in zip(batch, results, strict=True) if refusal is not None]

    def _divide(self, batch: Sequence[Op], error: RequestRefused) -> list[tuple[Op, str]]:
        """Find out what of a refused request was carried out, and try the rest in halves, down to the update that is to blame."""
        self._whole_refusals += 1
        if self._read is None or self._whole_refusals > WHOLE_REFUSALS:
            raise error
        left = self._look_again(batch)
        if len(batch) == 1:
            for op in left:
                self._fail(op, str(error))
            return []
        middle = (len(left) + 1) // 2
        return [failed for half in (left[:middle], left[middle:]) for failed in self._try_again(half)]

    def _look_again(self, ops: Sequence[Op]) -> list[Op]:
        """Read the tables of some ops back; returns what still has to be written for the target to hold what they ask."""
        assert self._read is not None
        for table in dict.fromkeys(op.table for op in ops):
            self._tracker.actual.replace(table, self._read(table))
        self._ahead.revise(self._differing)
        self._confirm([op for op in ops if self._tracker.actual.get(op.table, op.key) == op.value])
        return self._differing(ops)

    def _differing(self, ops: Iterable[Op]) -> list[Op]:
        """What has to be written for the target to hold what these ops ask, by what it is believed to hold."""
        found = []
        for op in ops:
            there = self._tracker.actual.get(op.table, op.key)
            if there != op.value:
                found.append(op._replace(kind="delete" if op.value is None else "insert" if there is None else "modify"))
        return found

    def _meanwhile(self) -> None:
        self._settle()
        self._ahead.make()

    def _settle(self) -> None:
        """Confirm what was carried out."""
        done, self._done = self._done, ()
        if done:
            self._confirm(done)

    def _confirm(self, batch: Sequence[Op]) -> None:
        self._tracker.confirm_all(batch)
        for op in batch if self._refused else ():
            self._refused.pop((op.table, op.key), None)
        self.writes.add(Counter([op.kind for op in batch]))

    def _fail(self, op: Op, error: str) -> None:
        self._tracker.fail(op, error)
        self._refused[op.table, op.key] = op

    def _close(self) -> None:
        """Take the bindings away that depend on a refused row."""
        self.closed |= bindings_to_close(self._tracker, self._refused.values())
        self._unbind()

    def _unbind(self) -> None:
        there = [row for row in sorted(self.closed) if self._tracker.actual.get(*row) is not None]
        self._send_all([Op("delete", table, key, None) for table, key in there])

    def _reopen(self) -> None:
        """Write the bindings that nothing refused keeps closed any more."""
        closed = frozenset(bindings_to_close(self._tracker, self._refused.values())) if self._refused else frozenset()
        open_again, self.closed = self.closed - closed, closed
        due = (self._tracker.pending_op(table, key) for table, key in sorted(open_again))
        self._push(op for op in due if op is not None)
