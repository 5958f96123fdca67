"""The bench of services, small: what it prints is measured here on every run."""

from test.bench.services import balance, measure


def test_one_endpoint_writes_at_most_its_rows():
    figures = measure(200, 1000)
    assert 0 <= figures["rows"] - 200 * (32 + 1) < 100, "32 rows of buckets and an entry each, and what every node has"
    assert 0 < figures["one_endpoint_rows"] <= figures["rows_of_the_service"] + 1


def test_the_balance_that_is_printed():
    rows = {row["backends"]: row for row in balance(tried=2)}
    assert all(row["uneven_percent"] <= 7 for number, row in rows.items() if number <= 64)
    assert all(row["rows_per_backend"] <= 49 for number, row in rows.items())
