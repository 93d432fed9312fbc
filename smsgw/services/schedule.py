"""When a message is to be sent: times as people write them, and how far away they may be. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from smsgw.errors import ValidationError

PAST_SECONDS = 300
"""How long ago a time may be that is still taken, for "now": clocks differ, and calls take time."""

AHEAD_DAYS = 90
_AHEAD_SECONDS = AHEAD_DAYS * 86_400

_DATE_CHARACTERS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(written: str, zone: str = "") -> datetime:
    """Return the time that ISO 8601 text says, in UTC.

    Args:
        written: Date and time, with an offset from UTC unless ``zone`` is given.
        zone: An IANA name (``Asia/Shanghai``); the time is what clocks there show.

    Raises:
        ValidationError: Of ``send_at`` or ``zone``: not a time, or not one time only.
    """
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        found = None
    if found is None or len(written) <= _DATE_CHARACTERS:
        problem = f"{written[:40]!r} is no time; write it like 2026-11-22T09:00:00+08:00"
        raise ValidationError("send_at", problem)
    if found.tzinfo is None:
        if not zone:
            problem = "has no zone; write +08:00 or Z at its end, or give zone"
            raise ValidationError("send_at", problem)
        found = _local(found, zone)
    elif zone:
        raise ValidationError("zone", f"{written[:40]!r} says its zone already; leave one out")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValidationError("send_at", f"{written[:40]!r} is out of range") from None


def _local(shown: datetime, name: str) -> datetime:
    try:
        zone = ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        problem = f"{name[:40]!r} is not known here; write a name like Asia/Shanghai, or an offset"
        raise ValidationError("zone", problem) from None
    first, second = shown.replace(tzinfo=zone), shown.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        raise ValidationError(
            "send_at",
            f"{shown.isoformat()} is skipped or comes twice when clocks change in {name}; "
            "write it with its offset",
        )
    return first


def send_time(send_at: datetime, now_ms: int) -> int:
    """Return when to send in milliseconds, checked against the limits.

    Raises:
        ValidationError: Of ``send_at``: without zone, too long ago, or too far ahead.
    """
    if send_at.tzinfo is None:
        raise ValidationError("send_at", "has no zone; give the datetime a tzinfo")
    at = (send_at - _EPOCH) // timedelta(milliseconds=1)
    ahead = (at - now_ms) / 1000
    shown = send_at.isoformat()
    if ahead < -PAST_SECONDS:
        problem = f"{shown} was {-ahead:.0f} s ago, limit {PAST_SECONDS} s; leave it out"
        raise ValidationError("send_at", problem)
    if ahead > _AHEAD_SECONDS:
        problem = f"{shown} is {ahead / 86_400:.1f} days ahead, limit {AHEAD_DAYS} days"
        raise ValidationError("send_at", problem)
    return at
