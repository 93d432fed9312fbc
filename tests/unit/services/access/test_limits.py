from __future__ import annotations

import pytest

from smsgw.errors import RateLimited
from smsgw.services.access.limits import (
    ADDRESSES_MAX,
    BLOCKED_SECONDS,
    FAILURES_MAX,
    WINDOW_SECONDS,
    Bucket,
    Failures,
)


class TestBucket:
    def test_a_seconds_worth_may_come_at_once_and_then_the_rate(self) -> None:
        bucket = Bucket(3, 100.0)
        for _ in range(3):
            bucket.take(100.0)
        with pytest.raises(RateLimited, match="3 requests a second") as caught:
            bucket.take(100.0)
        assert caught.value.retry_after == 1
        bucket.take(100.34)
        with pytest.raises(RateLimited):
            bucket.take(100.35)

    def test_what_is_refused_does_not_count(self) -> None:
        bucket = Bucket(1, 0.0)
        bucket.take(0.0)
        for _ in range(100):
            with pytest.raises(RateLimited):
                bucket.take(0.5)
        bucket.take(1.0)

    def test_a_clock_that_is_set_back_holds_nothing_up(self) -> None:
        bucket = Bucket(2, 1000.0)
        bucket.take(1000.0)
        bucket.take(10.0)
        with pytest.raises(RateLimited):
            bucket.take(10.0)
        bucket.take(10.5)


class TestFailures:
    def setup_method(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.failures = Failures(lambda host, count: self.told.append((host, count)))

    def fail(self, host: str, count: int, now: float = 0.0) -> None:
        for _ in range(count):
            self.failures.check(host, now)
            self.failures.count(host, now)

    def test_an_address_is_blocked_after_so_many_and_said_once(self) -> None:
        self.fail("192.0.2.1", FAILURES_MAX)
        assert self.told == [("192.0.2.1", FAILURES_MAX)]
        with pytest.raises(RateLimited) as caught:
            self.failures.check("192.0.2.1", 15.5)
        assert caught.value.retry_after == 45
        self.failures.check("192.0.2.2", 15.5)
        self.failures.check("192.0.2.1", BLOCKED_SECONDS)
        self.fail("192.0.2.1", FAILURES_MAX - 1, BLOCKED_SECONDS)
        assert len(self.told) == 1

    def test_few_at_a_time_block_nobody(self) -> None:
        for window in range(10):
            self.fail("192.0.2.1", FAILURES_MAX - 1, window * WINDOW_SECONDS)
        assert self.told == []

    def test_addresses_of_one_customer_count_together(self) -> None:
        for last in range(FAILURES_MAX):
            self.fail(f"2001:db8::{last:x}", 1)
        assert self.told == [("2001:db8::/64", FAILURES_MAX)]
        self.fail("::ffff:192.0.2.1", FAILURES_MAX)
        with pytest.raises(RateLimited):
            self.failures.check("192.0.2.1", 1.0)
        self.fail("no:address", FAILURES_MAX)
        assert self.told[-1][0] == "no:address"

    def test_memory_has_an_end(self) -> None:
        for number in range(ADDRESSES_MAX + 10):
            self.failures.count(f"h{number}", 0.0)
        assert len(self.failures._counts) == ADDRESSES_MAX

    def test_a_clock_that_is_set_back_blocks_nobody_for_long(self) -> None:
        self.fail("192.0.2.1", FAILURES_MAX, 1e6)
        self.failures.check("192.0.2.1", 0.0)
