"""Quiet hours against a clock that is read minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsgw.services.quiet import ALL_DAY, NEVER, QuietHours, Window

MINUTE = 60_000
NIGHT = Window(22 * 60, 7 * 60 + 30)
LATE_MORNING = Window(21 * 60, 9 * 60 + 30)
SHANGHAI = ZoneInfo("Asia/Shanghai")
NATIONAL_DAY = frozenset(date(2026, 10, day) for day in range(1, 8))


def ms(written: str, zone: ZoneInfo = SHANGHAI) -> int:
    return round(datetime.fromisoformat(written).replace(tzinfo=zone).timestamp() * 1000)


def shown(at: int, zone: ZoneInfo = SHANGHAI) -> str:
    return datetime.fromtimestamp(at / 1000, zone).replace(tzinfo=None).isoformat(" ")[:16]


OFFICE = QuietHours(
    SHANGHAI,
    on_workdays=NIGHT,
    on_weekends=LATE_MORNING,
    holidays=NATIONAL_DAY,
    workdays=frozenset({date(2026, 10, 10)}),
)


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        ("2026-09-22 12:00", "2026-09-22 12:00"),  # a Tuesday
        ("2026-09-22 07:29", "2026-09-22 07:30"),
        ("2026-09-22 07:30", "2026-09-22 07:30"),
        ("2026-09-22 21:59", "2026-09-22 21:59"),
        ("2026-09-22 22:00", "2026-09-23 07:30"),
        ("2026-09-23 00:00", "2026-09-23 07:30"),
        ("2026-09-25 22:00", "2026-09-26 09:30"),  # Friday night ends as a Saturday does
        ("2026-09-27 21:00", "2026-09-28 07:30"),  # and Sunday night as a Monday does
        ("2026-09-30 22:00", "2026-10-08 07:30"),  # the National Day week
        ("2026-10-04 12:00", "2026-10-08 07:30"),
        ("2026-10-10 08:00", "2026-10-10 08:00"),  # a Saturday on which people work
        ("2026-10-11 08:00", "2026-10-11 09:30"),
    ],
)
def test_a_day_has_the_hours_of_its_kind(now: str, allowed: str) -> None:
    assert shown(OFFICE.next_allowed(ms(now))) == allowed
    assert OFFICE.is_quiet(ms(now)) == (now != allowed)


def test_what_is_allowed_is_so_to_the_millisecond() -> None:
    opens = ms("2026-09-22 07:30")
    assert OFFICE.next_allowed(opens - 1) == opens
    assert OFFICE.next_allowed(opens + 1) == opens + 1
    closes = ms("2026-09-22 22:00")
    assert OFFICE.next_allowed(closes - 1) == closes - 1
    assert OFFICE.next_allowed(closes) == ms("2026-09-23 07:30")


def test_without_a_window_it_is_never_quiet() -> None:
    hours = QuietHours()
    assert [hours.is_quiet(at * 3_600_000) for at in range(24 * 8)] == [False] * 24 * 8


def test_holidays_may_have_hours_of_their_own() -> None:
    hours = QuietHours(SHANGHAI, NIGHT, LATE_MORNING, LATE_MORNING, NATIONAL_DAY)
    assert shown(hours.next_allowed(ms("2026-10-01 08:00"))) == "2026-10-01 09:30"


def test_a_window_may_lie_within_a_day() -> None:
    hours = QuietHours(SHANGHAI, Window(12 * 60, 14 * 60))
    assert shown(hours.next_allowed(ms("2026-09-22 12:30"))) == "2026-09-22 14:00"
    assert not hours.is_quiet(ms("2026-09-22 23:00"))


def test_hours_in_which_nobody_could_ever_be_asked_are_refused() -> None:
    with pytest.raises(ValueError, match="quiet all day"):
        QuietHours(on_workdays=ALL_DAY)


@pytest.mark.parametrize(
    ("window", "now", "allowed"),
    [
        # On 8 March 2026 New York has no 02:00 to 03:00, on 1 November it has 01:00 to 02:00 twice.
        (Window(22 * 60, 2 * 60 + 30), "2026-03-08 06:00", "2026-03-08 07:00"),
        (Window(22 * 60, 7 * 60), "2026-03-08 06:00", "2026-03-08 11:00"),
        (Window(22 * 60, 60 + 30), "2026-11-01 05:00", "2026-11-01 05:30"),
        (Window(22 * 60, 60 + 30), "2026-11-01 06:10", "2026-11-01 06:30"),
        (Window(60 + 30, 2 * 60), "2026-11-01 05:40", "2026-11-01 06:00"),
        (Window(22 * 60, 7 * 60), "2026-11-01 05:00", "2026-11-01 12:00"),
    ],
)
def test_hours_are_those_that_clocks_show_when_they_are_set(
    window: Window, now: str, allowed: str
) -> None:
    utc = ZoneInfo("UTC")
    hours = QuietHours(ZoneInfo("America/New_York"), window, window)
    assert shown(hours.next_allowed(ms(now, utc)), utc) == allowed


# ---- any hours and calendar, beside the oracle --------------------------------------------

ZONES = ["Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "UTC"]
CHANGES = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 4, 12, tzinfo=UTC),
]
"""Near which clocks of these zones are set, or a holiday lies."""

minutes = st.integers(0, 1439) | st.sampled_from([0, 60, 90, 120, 150, 180])
windows = st.builds(Window, minutes, minutes)
days = st.frozensets(st.sampled_from([date(2026, 10, day) for day in range(1, 12)]), max_size=5)
hours = st.builds(
    QuietHours,
    st.sampled_from(ZONES).map(ZoneInfo),
    windows,
    windows | st.just(ALL_DAY) | st.just(NEVER),
    windows | st.just(ALL_DAY),
    days,
    days,
)
moments = st.builds(
    lambda near, away: round((near + timedelta(milliseconds=away)).timestamp() * 1000),
    st.sampled_from(CHANGES),
    st.integers(-2 * 86_400_000, 86_400_000),
)


def by_the_clock(hours: QuietHours, at: int) -> bool:
    """Whether it is quiet, told from what a clock and a calendar on the wall show."""
    wall = datetime.fromtimestamp(at // MINUTE * 60, hours.zone)
    if wall.date() in hours.holidays:
        window = hours.on_holidays
    elif wall.isoweekday() in (6, 7) and wall.date() not in hours.workdays:
        window = hours.on_weekends
    else:
        window = hours.on_workdays
    long = window.end - window.start + (1440 if window.end < window.start else 0)
    return (wall.hour * 60 + wall.minute - window.start) % 1440 < long


@example(OFFICE, ms("2026-09-30 22:00"))
@given(hours, moments)
def test_the_next_allowed_time_is_the_first_minute_that_is_not_quiet(
    hours: QuietHours, now: int
) -> None:
    expected = now
    while by_the_clock(hours, expected):
        expected = (expected // MINUTE + 1) * MINUTE
    assert hours.next_allowed(now) == expected
    assert hours.is_quiet(now) == (expected != now)
