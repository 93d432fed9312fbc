from __future__ import annotations

import pytest

from smsgw.errors import RateLimited
from smsgw.services.access.limits import Bucket


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
