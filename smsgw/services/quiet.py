"""When people are not to be disturbed: quiet hours by kind of day, with a calendar. Pure.

Each day has the hours of its own kind, from its midnight to the next: a Sunday's quiet evening goes
over into the quiet morning of a workday, and ends with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

MINUTES = 24 * 60
"""Of a day as a clock on the wall shows it, however long it is."""

_SATURDAY = 5
_MINUTE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Quiet hours of one day, in minutes since midnight by the clock on the wall.

    Attributes:
        start: The first quiet minute, 0 to 1439.
        end: The first minute that is not, 0 to 1440; less than ``start`` over midnight: then the
            day is quiet before ``end`` and from ``start`` on. The same as ``start``: never quiet.
    """

    start: int
    end: int

    def has(self, minute: int) -> bool:
        """Tell whether a minute of the day is quiet."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


NEVER = Window(0, 0)
ALL_DAY = Window(0, MINUTES)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When nobody is asked anything.

    Attributes:
        zone: Whose clocks these are.
        on_workdays: Quiet hours from Monday to Friday, and on ``workdays``; never all day.
        on_weekends: Quiet hours on Saturday and Sunday.
        on_holidays: Quiet hours on ``holidays``.
        holidays: Days off, on whatever day of the week.
        workdays: Days of a weekend on which people work all the same (调休).

    Raises:
        ValueError: ``on_workdays`` is all day, so that nobody could ever be asked.
    """

    zone: tzinfo = UTC
    on_workdays: Window = NEVER
    on_weekends: Window = NEVER
    on_holidays: Window = ALL_DAY
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if self.on_workdays == ALL_DAY:
            raise ValueError("on_workdays: quiet all day, so it is never allowed to ask")

    def is_quiet(self, now_ms: int) -> bool:
        """Tell whether a time, in milliseconds since the Unix epoch, is quiet."""
        return self._is_quiet(self._shown(now_ms))

    def next_allowed(self, now_ms: int) -> int:
        """Return the first time from ``now_ms`` on that is not quiet: itself when it is not."""
        at = now_ms
        while self._is_quiet(shown := self._shown(at)):
            at = self._change_after(at, shown)
        return at

    def window_on(self, day: date) -> Window:
        """Return the quiet hours of a day."""
        if day in self.holidays:
            return self.on_holidays
        if day.weekday() >= _SATURDAY and day not in self.workdays:
            return self.on_weekends
        return self.on_workdays

    def _shown(self, at_ms: int) -> datetime:
        """Return what the clocks of the zone show."""
        return (_EPOCH + at_ms * _MILLISECOND).astimezone(self.zone)

    def _is_quiet(self, shown: datetime) -> bool:
        return self.window_on(shown.date()).has(_minute(shown))

    def _change_after(self, at: int, shown: datetime) -> int:
        """Return when it may end to be quiet: the window or the day is over, or clocks are set."""
        end = self.window_on(shown.date()).end
        until = end if _minute(shown) < end else MINUTES
        within = (shown.second * 1_000_000 + shown.microsecond) // 1000
        change = at + (until - _minute(shown)) * _MINUTE_MS - within
        offset = shown.utcoffset()
        if self._shown(change).utcoffset() == offset:
            return change
        before, after = at, change
        while after - before > 1:
            middle = (before + after) // 2
            if self._shown(middle).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


def _minute(shown: datetime) -> int:
    return shown.hour * 60 + shown.minute
