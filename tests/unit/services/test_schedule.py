from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.errors import ValidationError
from smsgw.services.schedule import moment, send_time

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("2026-11-22T01:00:00Z", ""),
        ("2026-11-22T09:00:00+08:00", ""),
        ("2026-11-22 09:00+0800", ""),
        ("2026-11-22T09:00:00.000", "Asia/Shanghai"),
        ("2026-11-21T20:00", "America/New_York"),
    ],
)
def test_a_time_is_written_with_an_offset_or_as_clocks_of_a_zone_show_it(
    written: str, zone: str
) -> None:
    found = moment(written, zone)
    assert (found, found.tzinfo) == (NOW, UTC)


@pytest.mark.parametrize(
    ("written", "zone", "field", "problem"),
    [
        ("tomorrow", "", "send_at", "is no time; write it like 2026-11-22T09:00:00+08:00"),
        ("", "", "send_at", "is no time"),
        ("2026-11-22", "Asia/Shanghai", "send_at", "is no time"),
        ("2026-13-01T00:00Z", "", "send_at", "is no time"),
        ("2026-11-22T09:00", "", "send_at", "has no zone; write +08:00 or Z"),
        ("2026-11-22T09:00Z", "Asia/Shanghai", "zone", "says its zone already"),
        ("2026-11-22T09:00", "Asia/Beijing", "zone", "'Asia/Beijing' is not known here"),
        ("2026-11-22T09:00", "../../etc/passwd", "zone", "is not known here"),
        ("2026-11-22T09:00", "Asia", "zone", "is not known here"),
        ("2026-11-22T09:00", "\0", "zone", "is not known here"),
        ("0001-01-01T00:00:00+08:00", "", "send_at", "is out of range"),
    ],
)
def test_what_is_no_time_is_refused_by_field(
    written: str, zone: str, field: str, problem: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        moment(written, zone)
    assert caught.value.field == field
    assert problem in caught.value.problem


@pytest.mark.parametrize("written", ["2026-03-08T02:30", "2026-11-01T01:30"])
def test_a_time_that_clocks_skip_or_show_twice_is_asked_for_with_its_offset(written: str) -> None:
    with pytest.raises(ValidationError, match="skipped or comes twice when clocks change"):
        moment(written, "America/New_York")
    assert moment(written + "-05:00").tzinfo is UTC


@pytest.mark.parametrize(
    "ahead", [timedelta(seconds=-300), timedelta(0), timedelta(days=90), timedelta(milliseconds=5)]
)
def test_a_time_within_the_limits_is_taken(ahead: timedelta) -> None:
    assert send_time(NOW + ahead, NOW_MS) == NOW_MS + ahead / timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("send_at", "problem"),
    [
        (NOW - timedelta(seconds=301), "was 301 s ago, limit 300 s"),
        (NOW + timedelta(days=90.5), "is 90.5 days ahead, limit 90 days"),
        (NOW.replace(tzinfo=None), "has no zone"),
    ],
)
def test_a_time_beyond_the_limits_says_which(send_at: datetime, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as caught:
        send_time(send_at, NOW_MS)
    assert caught.value.field == "send_at"
