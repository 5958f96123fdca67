"""What instructions call: hashes, ones' complement sums and meters, bit for bit as DPDK has them.

Sources: lib/hash/rte_hash_crc.h, lib/hash/rte_jhash.h, lib/meter/rte_meter.h, and the ckadd and cksub instructions of
lib/pipeline/rte_swx_pipeline_internal.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli, reflected
_MASK32: Final = 0xFFFFFFFF
GREEN, YELLOW, RED = 0, 1, 2


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32(data: bytes) -> int:
    """SWX's "crc32": CRC-32C that starts at 0 and is not inverted at the end (rte_hash_crc with init 0)."""
    crc = 0
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK32


def jhash(data: bytes) -> int:
    """SWX's "jhash": Bob Jenkins' lookup3 over little-endian words, init 0 (rte_jhash)."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK32
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
    while len(data) > 12:
        a, b, c = (a + words[0]) & _MASK32, (b + words[1]) & _MASK32, (c + words[2]) & _MASK32
        a, b, c = _mix(a, b, c)
        words, data = words[3:], data[12:]
    if not words:
        return c
    words += [0] * (3 - len(words))
    return _final((a + words[0]) & _MASK32, (b + words[1]) & _MASK32, (c + words[2]) & _MASK32)


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (4, 6, 8, 16, 19, 4):
        a = (a - c) & _MASK32 ^ _rotate(c, by)
        c = (c + b) & _MASK32
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, by)) & _MASK32
        a, b, c = b, c, a
    return b


HASHES: Final[dict[str, Callable[[bytes], int]]] = {"crc32": crc32, "jhash": jhash}


def _words(data: bytes) -> int:
    """The sum of the 16-bit words; a last odd byte counts as the upper half of one."""
    if len(data) % 2:
        data += b"\0"
    return sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF) or 0xFFFF


def checksum_add(checksum: int, data: bytes) -> int:
    """`ckadd`: the checksum (16 bits) after `data` joined what it covers; never 0."""
    return _fold((~checksum & 0xFFFF) + _words(data))


def checksum_add_header(checksum: int, data: bytes) -> int:
    """`ckadd` with a whole header: bytes after the last full 4 are left out, as DPDK does."""
    return checksum_add(checksum, data[: len(data) & ~3])


def checksum_subtract(checksum: int, data: bytes) -> int:
    """`cksub`: the checksum after `data` left what it covers; never 0."""
    # A multiple of 0xFFFF is added first, so that nothing goes below zero.
    return _fold((~checksum & 0xFFFF) + 0xFFFF00000 - _words(data))


TICKS = 1 << 36
"""A second, where DPDK counts cycles of the CPU."""
_PERIOD_MIN = 100


def _tokens(rate: int) -> tuple[int, int]:
    """A bucket gets so many units each so many ticks (rte_meter_get_tb_params): above TICKS / 100 a second, up to 1 % more than its rate."""
    if not rate:
        return _PERIOD_MIN, 0
    ticks = TICKS / rate
    if ticks >= _PERIOD_MIN:
        return int(ticks), 1
    units = math.ceil(_PERIOD_MIN / ticks)
    return TICKS * units // rate, units


class _Bucket:
    """Tokens that come in whole periods; what is left of one counts for the next, also when the bucket is full."""

    __slots__ = ("_at", "_period", "_size", "_units", "tokens")

    def __init__(self, rate: int, size: int, at: int) -> None:
        """Full at `at`, in ticks."""
        self._period, self._units = _tokens(rate)
        self._at, self._size, self.tokens = at, size, size

    def fill(self, at: int) -> None:
        periods = (at - self._at) // self._period
        self._at += periods * self._period
        self.tokens = min(self.tokens + periods * self._units, self._size)


class Meter:
    """Two rates, three colours, colour-aware (RFC 2698), over virtual time in ns; rates in units per second, bursts in units."""

    __slots__ = ("_committed", "_peak", "cbs", "cir", "octets", "packets", "pbs", "pir", "since")

    def __init__(self, cir: int, cbs: int, pir: int, pbs: int, now: int) -> None:
        self.cir, self.cbs, self.pir, self.pbs, self.since = cir, cbs, pir, pbs, now
        self._committed, self._peak = _Bucket(cir, cbs, _ticks(now)), _Bucket(pir, pbs, _ticks(now))
        self.packets, self.octets = [0, 0, 0], [0, 0, 0]

    def run(self, now: int, length: int, colour: int) -> int:
        """Mark one packet; returns its colour."""
        marked = self._mark(_ticks(now), length, colour)
        self.packets[marked] += 1
        self.octets[marked] += length
        return marked

    def _mark(self, at: int, length: int, colour: int) -> int:
        committed, peak = self._committed, self._peak
        committed.fill(at)
        peak.fill(at)
        if colour == RED or peak.tokens < length:
            return RED
        peak.tokens -= length
        if colour == YELLOW or committed.tokens < length:
            return YELLOW
        committed.tokens -= length
        return GREEN


def _ticks(now: int) -> int:
    return now * TICKS // 10**9


class MeterArray:
    """The meters of one array; one without a configuration marks everything green, as in SWX."""

    __slots__ = ("mask", "meters")

    def __init__(self, size: int) -> None:
        self.mask = round_up(size) - 1
        self.meters: dict[int, Meter] = {}

    def run(self, index: int, now: int, length: int, colour: int) -> int:
        """The `meter` instruction: the index wraps at the next power of two."""
        meter = self.meters.get(index & self.mask)
        return GREEN if meter is None else meter.run(now, length, colour)


def round_up(size: int) -> int:
    """The next power of two, as SWX sizes its arrays."""
    return 1 << (size - 1).bit_length()
