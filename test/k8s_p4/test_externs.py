"""Hashes against published vectors, meters against RFC 2698, learner tables against DPDK's rules."""

import pytest

from k8s_p4.target.externs import GREEN, RED, TICKS, YELLOW, Meter, MeterArray, crc32, jhash
from k8s_p4.target.learner import SECOND, Learner


def test_crc32_is_castagnoli_s() -> None:
    """The check value of CRC-32C starts from all ones and is inverted; ones before the data do the first, ~ the second."""
    data = b"123456789"
    turned = bytes(byte ^ 0xFF for byte in data[:4]) + data[4:]
    assert crc32(turned) ^ 0xFFFFFFFF == 0xE3069283
    assert crc32(b"") == 0 and crc32(bytes(8)) == 0


@pytest.mark.parametrize(("data", "expected"), [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)])
def test_jhash_is_lookup3(data: bytes, expected: int) -> None:
    """The vectors stand in lookup3.c itself."""
    assert jhash(data) == expected


@pytest.mark.parametrize("length", [11, 12, 13, 24, 25])
def test_jhash_looks_at_every_byte(length: int) -> None:
    plain = bytes(length)
    assert len({jhash(plain[:at] + b"\1" + plain[at + 1 :]) for at in range(length)} | {jhash(plain)}) == length + 1


def test_a_meter_marks_by_two_rates() -> None:
    meter = Meter(cir=100, cbs=150, pir=200, pbs=300, now=0)
    assert [meter.run(0, 100, GREEN) for _ in range(4)] == [GREEN, YELLOW, YELLOW, RED]
    # half a second later: 50 + 50 committed, 0 + 100 peak
    assert meter.run(SECOND // 2, 100, GREEN) == GREEN
    assert meter.run(SECOND // 2, 1, GREEN) == RED
    # buckets fill no further than their bursts
    assert [meter.run(1000 * SECOND, 150, GREEN) for _ in range(3)] == [GREEN, YELLOW, RED]
    assert meter.packets == [3, 3, 3]


@pytest.mark.parametrize("rate", [1, 3, 1000, 10**6, TICKS // 100, TICKS // 100 + 1, 10**10])
def test_a_meter_s_rate(rate: int) -> None:
    """In an hour, by steps that no period divides, what the rate gives and at most 1 % more."""
    burst, hour = rate * 4000, 3600 * SECOND
    meter = Meter(rate, burst, rate, burst, 0)
    assert meter.run(0, burst, GREEN) == GREEN
    for at in range(7, hour, hour // 61):
        assert meter.run(at, burst, GREEN) == RED
    assert meter.run(hour, rate * 3600, GREEN) == GREEN
    assert meter.run(hour, rate * 36 + 1, GREEN) == RED


def test_a_meter_never_marks_better_than_it_was_told() -> None:
    meter = Meter(cir=1000, cbs=1000, pir=1000, pbs=1000, now=0)
    assert [meter.run(0, 10, colour) for colour in (GREEN, YELLOW, RED)] == [GREEN, YELLOW, RED]


def test_a_meter_array_wraps_and_is_green_where_nothing_is_configured() -> None:
    array = MeterArray(3)
    array.meters[1] = Meter(cir=0, cbs=0, pir=0, pbs=0, now=0)
    assert [array.run(index, 0, 1, GREEN) for index in (0, 1, 5, 4)] == [GREEN, RED, RED, GREEN]


def learner(size: int = 16, timeouts: tuple[int, ...] = (10, 30, 60), bucket: int = 4) -> Learner:
    return Learner(size, list(timeouts), lambda key: key.to_bytes(4, "little"), bucket)


def learn(table: Learner, key: int, timeout: int = 0, now: int = 0) -> bool:
    table.lookup(key, now)
    return table.learn((f"action{key}", (), 0, 0, None, None), timeout, now)


def test_what_was_learned_is_found_until_its_timeout() -> None:
    table = learner()
    assert table.lookup(7, 0) is None
    assert learn(table, 7, 0)
    found = table.lookup(7, 10 * SECOND - 1)
    assert found is not None and found[0] == "action7" and found[2] > 0
    assert table.lookup(7, 10 * SECOND) is None
    assert list(table.live(10 * SECOND)) == [] and len(list(table.live(0))) == 1


def test_rearm_starts_the_timeout_anew_and_may_change_it() -> None:
    table = learner()
    learn(table, 7, 0)
    table.lookup(7, 9 * SECOND)
    table.rearm(9 * SECOND)
    assert table.lookup(7, 18 * SECOND)
    table.rearm_new(1, 18 * SECOND)
    assert table.lookup(7, 47 * SECOND)
    table.rearm(47 * SECOND)
    assert table.lookup(7, 76 * SECOND) and not table.lookup(7, 77 * SECOND)


def test_timeout_ids_wrap_at_a_power_of_two_filled_up_with_the_first() -> None:
    table = learner()
    for timeout, seconds in ((3, 10), (4, 10), (5, 30)):
        learn(table, timeout, timeout)
        assert table.lookup(timeout, seconds * SECOND - 1) and not table.lookup(timeout, seconds * SECOND), timeout


def test_after_a_miss_rearm_and_forget_do_nothing() -> None:
    table = learner()
    learn(table, 7)
    table.lookup(8, 0)
    table.rearm(5 * SECOND)
    table.forget()
    assert table.lookup(7, 0) and not table.lookup(7, 10 * SECOND)


def test_forget_makes_room() -> None:
    table = learner(size=1)
    assert all(learn(table, key) for key in range(4)) and not learn(table, 4)
    table.lookup(2, 0)
    table.forget()
    assert table.lookup(2, 0) is None and learn(table, 4)


def test_a_full_bucket_refuses_until_something_in_it_expires() -> None:
    table = learner(size=1)
    assert [learn(table, key, timeout=int(key > 0)) for key in range(6)] == [True] * 4 + [False] * 2
    assert table.refused == 2 and table.lookup(4, 0) is None
    assert learn(table, 4, now=10 * SECOND), "key 0 has expired"
    assert table.lookup(0, 10 * SECOND) is None and table.lookup(4, 10 * SECOND)
    assert table.clear() == 4, "the expired one is gone for good"


def test_a_key_learned_again_elsewhere_stays_when_its_old_place_is_taken() -> None:
    table = Learner(1, [10, 60], lambda key: key.to_bytes(4, "little"))
    assert learn(table, 1) and learn(table, 2)
    later = 20 * SECOND
    assert learn(table, 2, 1, later), "in the place that was 1's"
    assert learn(table, 3, 1, later), "in the place that was 2's"
    assert table.lookup(2, later) is not None
    table.forget()
    assert learn(table, 4, 1, later) and {each.key for each in table.live(later)} == {3, 4}


def test_learning_a_known_key_replaces_it_where_it_is() -> None:
    table = learner(size=1)
    for key in range(4):
        learn(table, key)
    place = table.lookup(2, 0)
    assert table.learn(("other", (), 0, 0, None, None), 1, 0)
    found = table.lookup(2, 29 * SECOND)
    assert place and found and (found[0], found[2]) == ("other", place[2])


def test_buckets_are_as_large_as_asked() -> None:
    table = learner(size=1, bucket=2)
    assert [learn(table, key) for key in range(3)] == [True, True, False]


def test_entries_have_numbers_of_their_own() -> None:
    table = learner(size=64)
    numbers = set()
    learned = sum(learn(table, key) for key in range(100))
    for key in range(100):
        found = table.lookup(key, 0)
        if found:
            numbers.add(found[2])
    assert len(numbers) == learned > 90 and min(numbers) >= 1 and max(numbers) <= 64 * 4


def test_clear_forgets_everything() -> None:
    table = learner()
    learn(table, 7)
    assert table.clear() == 1 and table.lookup(7, 0) is None and table.clear() == 0
