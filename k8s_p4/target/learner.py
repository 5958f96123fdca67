"""Learner tables: entries that the data plane adds, with timeouts over virtual time.

As rte_swx_table_learner: as many buckets as `size` rounded up to a power of two, a few keys in each; a full bucket refuses to learn while
the packet goes on. Expiry has no grain here (DPDK's is about two seconds and may come that much early).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from k8s_p4.target.externs import crc32, round_up
from k8s_p4.target.match import Entry

SECOND = 10**9
# What lives longer is looked at as often as this nevertheless, because its timeout may have become shorter.
_LOOK = 60 * SECOND
# Entries looked at for one that is learned, at most: after an idle time many have run out, and the packet waits.
_LOOKS = 1000


class LearnedEntry:
    """One learned entry: `entry` is what a look-up yields, `expires` in ns of virtual time."""

    __slots__ = ("bucket", "entry", "expires", "key", "place", "since", "timeout")

    def __init__(self, key: int, bucket: int, place: int, since: int) -> None:
        """`since`: when it was learned, in ns."""
        self.key, self.bucket, self.place, self.since = key, bucket, place, since
        self.entry: Entry = ()
        self.expires = 0
        self.timeout = 0


class Learner:
    """One learner table.

    `found` and `key` are the state of the last look-up (SWX's mailbox), which learn, rearm and forget work on.
    """

    __slots__ = ("_buckets", "_due", "_entries", "_key_bytes", "_mask", "_per_bucket", "_seconds", "_timeouts", "forgotten", "found", "key", "learned", "refused")

    def __init__(self, size: int, timeouts: list[int], key_bytes: Callable[[int], bytes], per_bucket: int = 4) -> None:
        """`key_bytes` gives a packed key as it lies in memory, which is what the bucket is chosen by; timeouts in seconds."""
        self._mask = round_up(size) - 1
        self._per_bucket = per_bucket
        self._key_bytes = key_bytes
        ids = round_up(len(timeouts))
        self._timeouts = [t * SECOND for t in timeouts] + [timeouts[0] * SECOND] * (ids - len(timeouts))
        self.found: LearnedEntry | None = None
        self.key = 0
        self.clear()

    def resize(self, size: int) -> None:
        """Another number of buckets; forgets everything."""
        self._mask = round_up(size) - 1
        self.clear()

    def clear(self) -> int:
        """Forget everything; returns how many entries there were."""
        count = len(getattr(self, "_entries", ()))
        self._entries: dict[int, LearnedEntry] = {}
        # When entries are to be looked at next: each stands in the list of one second, and the seconds in a heap.
        self._due: dict[int, list[LearnedEntry]] = {}
        self._seconds: list[int] = []
        self._buckets: dict[int, list[LearnedEntry | None]] = {}
        self.found = None
        self.refused = self.learned = self.forgotten = 0
        return count

    def live(self, now: int) -> Iterator[LearnedEntry]:
        """The entries that have not expired."""
        return (learned for learned in self._entries.values() if learned.expires > now)

    def expired(self, now: int) -> int:
        """How many entries have run out since all were forgotten last."""
        return self.learned - self.forgotten - sum(1 for _ in self.live(now))

    def lookup(self, key: int, now: int) -> Entry | None:
        """The entry of the key, if there is one and it has not expired."""
        self.key = key
        found = self.found = self._entries.get(key)
        if found is None:
            return None
        if found.expires <= now:
            self.found = None
            return None
        return found.entry

    def learn(self, entry: Entry, timeout: int, now: int) -> bool:
        """Add or replace the entry of the last look-up's key; False if its bucket is full. `entry` lacks its id (index 2)."""
        new = self.found is None
        found = self.found or self._place(now)
        if found is None:
            self.refused += 1
            return False
        number = found.bucket * self._per_bucket + found.place + 1
        found.entry = (*entry[:2], number, *entry[3:])
        self.found = found
        self.rearm_new(timeout, now)
        if new:
            self._look_later(found, now)
            self._sweep(now)
        return True

    def restore(self, key: int, entry: Entry, left: int, now: int) -> bool:
        """Learn what was learned elsewhere and has `left` ns; False if its bucket is full. When prolonged it has the first timeout."""
        self.lookup(key, now)
        learned = self.learn(entry, 0, now)
        if learned and self.found is not None:
            self.found.expires = now + left
        return learned

    def _place(self, now: int) -> LearnedEntry | None:
        number = crc32(self._key_bytes(self.key)) & self._mask
        bucket = self._buckets.setdefault(number, [None] * self._per_bucket)
        for place, held in enumerate(bucket):
            if held is None or held.expires <= now:
                # A key that ran out here may have been learned again at another place.
                if held is not None and self._entries.get(held.key) is held:
                    del self._entries[held.key]
                learned = bucket[place] = self._entries[self.key] = LearnedEntry(self.key, number, place, now)
                self.learned += 1
                return learned
        return None

    def _look_later(self, learned: LearnedEntry, now: int) -> None:
        second = -(-min(learned.expires, now + _LOOK) // SECOND)
        due = self._due.get(second)
        if due is None:
            due = self._due[second] = []
            heappush(self._seconds, second)
        due.append(learned)

    def _sweep(self, now: int) -> None:
        """Take out what ran out: memory is that of what lives, whatever comes and goes."""
        looks = _LOOKS
        while self._seconds and self._seconds[0] * SECOND <= now:
            due = self._due[self._seconds[0]]
            while due and looks:
                looks -= 1
                self._look(due.pop(), now)
            if due:
                return
            del self._due[heappop(self._seconds)]

    def _look(self, learned: LearnedEntry, now: int) -> None:
        """Take an entry out, or look again later. What was forgotten, or learned anew at another place, is only here any more."""
        there = self._entries.get(learned.key) is learned
        if there and learned.expires > now:
            self._look_later(learned, now)
            return
        if there:
            del self._entries[learned.key]
        self._vacate(learned)

    def _vacate(self, learned: LearnedEntry) -> None:
        bucket = self._buckets.get(learned.bucket)
        if bucket is not None and bucket[learned.place] is learned:
            bucket[learned.place] = None
            if not any(bucket):
                del self._buckets[learned.bucket]

    def rearm(self, now: int) -> None:
        """Start the timeout of the entry just found anew; nothing after a miss."""
        if self.found is not None:
            self.found.expires = now + self._timeouts[self.found.timeout]

    def rearm_new(self, timeout: int, now: int) -> None:
        """The same with another timeout; ids beyond the last wrap, those that only fill up a power of two are the first's."""
        if self.found is not None:
            self.found.timeout = timeout & (len(self._timeouts) - 1)
            self.found.expires = now + self._timeouts[self.found.timeout]

    def forget(self) -> None:
        """Remove the entry just found; nothing after a miss."""
        if self.found is not None:
            del self._entries[self.found.key]
            self.forgotten += 1
            self._vacate(self.found)
            self.found = None
