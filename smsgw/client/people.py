"""What is held of a phone: opt-outs, export, erasure, and holds that keep it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from smsgw.client.core import Core, Found, Stream, Work, segment


class OptOut(msgspec.Struct, frozen=True):
    """A phone that wants no bulk and no notices; ``account`` "" is of anybody."""

    id: str
    phone: str
    account: str
    source: str
    since: datetime


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What is neither purged nor erased; ``state`` is ``active`` or ``ended``."""

    id: str
    kind: str
    value: str
    reason: str
    state: str
    until: datetime | None
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    ended_by: str


class Erasure(msgspec.Struct, frozen=True):
    """What was erased, or would be: rows by table; ``phone`` is what stands for it from then on."""

    phone: str
    erased: bool
    rows: dict[str, int]


class Exported(msgspec.Struct, frozen=True):
    """A row that is held of a phone: what is in it, by the name of its column."""

    table: str
    row: dict[str, Any]


class _Given(msgspec.Struct):
    rows: dict[str, list[dict[str, Any]]]
    next: str | None


class _Added(msgspec.Struct):
    added: int


class _OptedIn(msgspec.Struct):
    removed: int


def opt_out(core: Core, phones: Sequence[str], *, of: str | None = None) -> Work[int]:
    """Send phones no bulk and no notices; return how many had not opted out.

    Args:
        phones: At most 1000.
        of: Whose messages they do not want, an account; everybody's unless given.
    """
    body = {"phones": phones, "account": of}
    return (yield from core.post("/v1/opt-outs", _Added, body)).added


def opt_in(core: Core, phones: Sequence[str], *, of: str | None = None) -> Work[int]:
    """Send them to phones again; return how many had opted out."""
    body = {"phones": phones, "account": of}
    return (yield from core.post("/v1/opt-outs/remove", _OptedIn, body)).removed


def opt_outs(core: Core, *, phone: str | None = None, of: str | None = None) -> Stream[OptOut]:
    """Iterate over who opted out, the newest first."""
    yield from core.pages("/v1/opt-outs", "opt_outs", OptOut, {"phone": phone, "of": of})


def export(core: Core, phone: str) -> Stream[Exported]:
    """Iterate over everything that is held of a phone, table by table."""
    cursor: str | None = None
    while True:
        given = yield from core.post("/v1/exports", _Given, {"phone": phone, "cursor": cursor})
        for table, rows in given.rows.items():
            for row in rows:
                yield Found(Exported(table, row))
        cursor = given.next
        if cursor is None:
            return


def erase(core: Core, phone: str, *, dry_run: bool = True) -> Work[Erasure]:
    """Take a phone and its texts out of everything; by default only say what there is.

    Raises:
        ApiError: 409 while something of it is unfinished or on hold.
    """
    body = {"phone": phone, "dry_run": dry_run}
    return (yield from core.post("/v1/erasures", Erasure, body))


def hold(
    core: Core,
    kind: Literal["phone", "account", "request"],
    value: str,
    reason: str,
    *,
    until: datetime | None = None,
) -> Work[Hold]:
    """Keep what is of a phone, an account or a request, until a time or until it is ended."""
    body = {"kind": kind, "value": value, "reason": reason, "until": until}
    return (yield from core.post("/v1/holds", Hold, body))


def holds(core: Core, *, ended: bool = False) -> Stream[Hold]:
    """Iterate over what is on hold, newest first; with ``ended`` also what was."""
    yield from core.pages("/v1/holds", "holds", Hold, {"ended": "true" if ended else None})


def end_hold(core: Core, hold_id: str) -> Work[Hold]:
    """End a hold."""
    return (yield from core.post(f"/v1/holds/{segment(hold_id)}/remove", Hold))
