"""Times as people type them."""

from __future__ import annotations

from datetime import datetime

import click


def moment(
    ctx: click.Context | None, param: click.Parameter | None, value: str | None
) -> str | None:
    """Return a time such as ``2026-11-22T18:00`` as the API takes it: an option's callback.

    Without a zone it is this machine's; seconds may be left out.
    """
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone().isoformat()
    except (ValueError, OverflowError):
        problem = f"{value!r} is no time; write it like 2026-11-22T18:00"
        raise click.BadParameter(problem, ctx=ctx, param=param) from None
