"""``[quiet_hours]``: when nobody is asked anything, and the days that are not as others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from smsgw.daemon.sections import Section
from smsgw.services.quiet import ALL_DAY, NEVER, QuietHours, Window

ZONE = "Asia/Shanghai"
RANGE_DAYS_MAX = 366

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AS_WORKDAYS, _AS_WEEKENDS, _ALL_DAY = "workdays", "weekends", "quiet"


def read_quiet_hours(section: Section) -> QuietHours:
    """Return when people are not to be disturbed; without any key: never."""
    on_workdays = _workdays_window(section)
    on_weekends = _window(section, "weekends", _AS_WORKDAYS, on_workdays)
    on_holidays = _window(section, "on_holidays", _ALL_DAY, on_weekends, _AS_WEEKENDS)
    holidays = _dates(section, "holidays")
    workdays = _dates(section, "workdays")
    for day in sorted(holidays & workdays):
        section.add("workdays", f"{day} is one of the holidays too; leave it out of one of them")
    hours = QuietHours(
        zone=_zone(section),
        on_workdays=on_workdays,
        on_weekends=on_weekends,
        on_holidays=on_holidays,
        holidays=holidays,
        workdays=workdays,
    )
    section.finish()
    return hours


def shown_quiet_hours(hours: QuietHours) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    never = hours.on_workdays == NEVER
    return {
        "zone": str(hours.zone),
        "from": "" if never else _clock(hours.on_workdays.start),
        "to": "" if never else _clock(hours.on_workdays.end),
        "weekends": _shown(hours.on_weekends, hours.on_workdays, _AS_WORKDAYS),
        "on_holidays": _shown(hours.on_holidays, hours.on_weekends, _AS_WEEKENDS),
        "holidays": _spans(hours.holidays),
        "workdays": _spans(hours.workdays),
    }


def _zone(section: Section) -> ZoneInfo:
    name = section.text("zone", ZONE, blank=False)
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        if name:
            section.add("zone", f"{name!r} is not known here; write a name like {ZONE}")
        return ZoneInfo(ZONE)


def _workdays_window(section: Section) -> Window:
    ends = []
    for key in ("from", "to"):
        written = section.text(key, "")
        minute = _minute(written)
        if written and minute is None:
            section.add(key, f'{written!r} is no time of day; write it like "22:00"')
        ends.append(minute)
    start, end = ends
    if start is None or end is None:
        for key, other in (("from", "to"), ("to", "from")):
            if not section.values.get(key) and section.values.get(other):
                section.add(key, f'is missing; {other} needs it: write it like "22:00"')
        return NEVER
    if start == end:
        section.add("to", f"{_clock(end)} is the same as from; for no quiet hours leave both out")
        return NEVER
    return Window(start, end)


def _window(
    section: Section, key: str, default: str, like: Window, other: str = _AS_WORKDAYS
) -> Window:
    """Read the quiet hours of special days: those of other days, all day, or their own."""
    written = section.text(key, default, blank=False)
    if written in (other, _ALL_DAY):
        return like if written == other else ALL_DAY
    first, _, last = written.partition("-")
    start, end = _minute(first), _minute(last)
    if start is None or end is None:
        if written:
            hint = f'write "{other}" (as on {other}), "{_ALL_DAY}" (all day), or "21:00-09:30"'
            section.add(key, f"{written!r} is none of these: {hint}")
    elif start == end:
        section.add(key, f'{written!r} begins and ends at once; for all day write "{_ALL_DAY}"')
    else:
        return Window(start, end)
    return like


def _minute(written: str) -> int | None:
    match = _CLOCK.fullmatch(written.strip())
    return None if match is None else int(match[1]) * 60 + int(match[2])


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _shown(window: Window, like: Window, other: str) -> str:
    if window == ALL_DAY:
        return _ALL_DAY
    return other if window == like else f"{_clock(window.start)}-{_clock(window.end)}"


def _dates(section: Section, key: str) -> frozenset[date]:
    found: set[date] = set()
    for written in section.texts(key):
        first, slash, last = written.partition("/")
        try:
            found.update(_span(_date(first), _date(last if slash else first)))
        except ValueError as error:
            section.add(key, f"{written!r} {error}")
    return frozenset(found)


def _date(written: str) -> date:
    """Return a date; raises ValueError with what to write instead."""
    try:
        if _DATE.fullmatch(written.strip()):
            return date.fromisoformat(written.strip())
    except ValueError:
        pass
    raise ValueError('is no date; write "2026-10-01", or "2026-10-01/2026-10-07" with both ends')


def _span(first: date, last: date) -> list[date]:
    if last < first:
        raise ValueError("ends before it begins; write the first day first")
    days = (last - first).days + 1
    if days > RANGE_DAYS_MAX:
        raise ValueError(f"is {days} days long, limit {RANGE_DAYS_MAX}; write it in parts")
    return [first + timedelta(day) for day in range(days)]


def _spans(days: Iterable[date]) -> Sequence[str]:
    """Return dates in order, those that follow each other as one range."""
    spans: list[list[date]] = []
    for day in sorted(days):
        if spans and day - spans[-1][-1] == timedelta(1):
            spans[-1][1:] = [day]
        else:
            spans.append([day])
    return ["/".join(day.isoformat() for day in span) for span in spans]
