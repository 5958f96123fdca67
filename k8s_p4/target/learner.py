"""Learner tables: entries that the data plane adds, with timeouts over virtual time.

As rte_swx_table_learner: as many buckets as `size` rounded up to a power of two, a few keys in each; a full bucket refuses to learn while
the packet goes on. Expiry has no grain here (DPDK's is about two seconds and may come that much early).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from k8s_p4.target.externs import crc32, round_up
from k8s_p4.target.match import Entry

SECOND = 10**9


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

    __slots__ = ("_buckets", "_entries", "_key_bytes", "_mask", "_order", "_per_bucket", "_timeouts", "forgotten", "found", "key", "learned", "refused")

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
        self._order: deque[LearnedEntry] = deque()
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
        found = self.found or self._place(now)
        if found is None:
            self.refused += 1
            return False
        number = found.bucket * self._per_bucket + found.place + 1
        found.entry = (*entry[:2], number, *entry[3:])
        self.found = found
        self.rearm_new(timeout, now)
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
                self._order.append(learned)
                self._sweep(now)
                return learned
        return None

    def _sweep(self, now: int) -> None:
        """Look at the next two entries, round and round, so that what ran out is gone before many more are learned."""
        for _ in range(min(2, len(self._order) - 1)):
            learned = self._order.popleft()
            if self._entries.get(learned.key) is not learned:
                continue
            if learned.expires > now:
                self._order.append(learned)
            else:
                del self._entries[learned.key]
                self._vacate(learned)

    def _vacate(self, learned: LearnedEntry) -> None:
        bucket = self._buckets[learned.bucket]
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
