"""Times as SMPP and CMPP customers write them: YYMMDDhhmmsstnnp.

Spec: SMPP 3.4 section 7.1.1; CMPP's Valid_Time and At_Time are in the same form.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from smsgw.errors import ValidationError

_WRITTEN = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+\-R])", re.ASCII)
YEAR_DAYS, MONTH_DAYS = 365, 30
QUARTERS_MAX = 48


def read_time(written: str, field: str, now: datetime) -> datetime:
    """Return the time that is meant, with its zone.

    Args:
        written: Absolute with its distance from UTC in quarters of an hour, or relative (``R``).
        field: Its name, for the error.
        now: What relative times are relative to.

    Raises:
        ValidationError: It is no such time.
    """
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise ValidationError(field, f"{written[:20]!r} is no time; write YYMMDDhhmmsstnnp")
    numbers = [int(one) for one in match.groups()[:8]]
    year, month, day, hour, minute, second, _, quarters = numbers
    if match[9] == "R":
        days = year * YEAR_DAYS + month * MONTH_DAYS + day
        return now + timedelta(days=days, hours=hour, minutes=minute, seconds=second)
    if quarters > QUARTERS_MAX:
        raise ValidationError(field, f"{quarters} quarters of an hour from UTC, limit 48")
    east = timedelta(minutes=15 * quarters)
    try:
        zone = timezone(east if match[9] == "+" else -east)
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError as error:
        raise ValidationError(field, f"{written[:20]!r} is no time: {error}") from None
