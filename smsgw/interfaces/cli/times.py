"""Times as people type them."""

from __future__ import annotations

from datetime import datetime

import click


class Moment(click.ParamType):
    """A time such as ``2026-11-22T18:00+08:00``; without a zone it is this machine's.

    The value is ISO 8601 text with seconds and zone, as the API takes it.
    """

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time as the API takes it."""
        try:
            return datetime.fromisoformat(value).astimezone().isoformat()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write it like 2026-11-22T18:00", param, ctx)


MOMENT = Moment()
