"""Who may answer for whom: second numbers of the same person, and substitutes for a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.routing.numbers import normalise
from smsgw.services.queries import Json, iso
from smsgw.services.requests.checks import NAME_MAX, check_length
from smsgw.store import audit
from smsgw.store import stand_ins as rows_of
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.stand_ins import SECOND, SUBSTITUTE, StandInRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


KINDS = (SECOND, SUBSTITUTE)

YEARS_MAX = 10
YEAR_MS = 366 * 86_400_000


class StandInDraft(msgspec.Struct, forbid_unknown_fields=True):
    """Who may answer for ``phone``, as a customer writes it.

    Attributes:
        phone: Whose questions.
        other_phone: Who may answer them.
        kind: ``second``: the same person's other number; ``substitute``: somebody else, who is
            asked instead as long as it lasts.
        name: The substitute's.
        start: From when on; now unless given. With its zone.
        until: Until when; for ever unless given. With its zone.
    """

    phone: str
    other_phone: str
    kind: str = SUBSTITUTE
    name: str = ""
    start: datetime | None = None
    until: datetime | None = None


class StandIns:
    """Keeps who stands in for whom; rows that ended are the history.

    Args:
        store: The open database.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, store: Database, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def create(
        self, account: str, draft: StandInDraft, actor: str = "", once: Once[int] | None = None
    ) -> Deferred[int]:
        """Record one; fires with its id after the commit, or fails with ValidationError.

        What ``once`` makes of the id is recorded in the same commit.
        """

        async def create() -> int:
            now = int(self._clock() * 1000)
            row = _row(draft, account, self._store.ids.next(), now)

            def work(connection: Connection) -> int:
                rows_of.insert(connection, row)
                detail = {"phone": row.phone, "other_phone": row.other_phone, "kind": row.kind}
                entry = Entry(actor or account, "stand_in.created", account, row.id, detail)
                audit.append(connection, now, [entry])
                return remember(connection, once, row.id)

            return await self._store.writer.run(work)

        return Deferred.fromCoroutine(create())

    def end(
        self, account: str, row_id: int, actor: str = "", once: Once[int] | None = None
    ) -> Deferred[int]:
        """End one; fires with its id, or fails with NotFound, or Conflict when it was ended before.

        ``once``: as of :meth:`create`.
        """
        now = int(self._clock() * 1000)

        def work(connection: Connection) -> int:
            row = rows_of.get(connection, row_id)
            if row is None or row.account != account:
                raise NotFound(f"stand-in {row_id}: not recorded")
            if not rows_of.end(connection, row_id, now):
                raise Conflict(f"stand-in {row_id} was ended before")
            entry = Entry(actor or account, "stand_in.ended", account, row_id, {})
            audit.append(connection, now, [entry])
            return remember(connection, once, row_id)

        return self._store.writer.run(work)

    def list(
        self, account: str, *, phone: str | None, ended: bool, before: int | None, limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return an account's, newest first; ``before`` continues a page."""

        def page(connection: Connection) -> Sequence[Json]:
            found = rows_of.page(
                connection, account=account, phone=phone, ended=ended, before=before, limit=limit
            )
            return [_shown(row) for row in found]

        return self._store.read(page)


def _row(draft: StandInDraft, account: str, row_id: int, now: int) -> StandInRow:
    """Check a draft.

    Raises:
        ValidationError: Its field is the draft's.
    """
    if draft.kind not in KINDS:
        raise ValidationError("kind", f"{draft.kind[:20]!r} is none of {', '.join(KINDS)}")
    check_length("name", draft.name, NAME_MAX)
    phone = normalise(draft.phone, "phone")
    other = normalise(draft.other_phone, "other_phone")
    if phone == other:
        raise ValidationError("other_phone", "the same number; name another one")
    from_at = now if draft.start is None else _time("start", draft.start, now)
    until_at = None if draft.until is None else _time("until", draft.until, now)
    if until_at is not None and until_at <= max(from_at, now):
        raise ValidationError("until", "is over already, or before it starts; write a later time")
    return StandInRow(
        row_id, account, draft.kind, phone, other, draft.name.strip(), from_at, until_at, now
    )


def _time(field: str, written: datetime, now: int) -> int:
    if written.tzinfo is None:
        raise ValidationError(field, "has no zone; write +08:00 or Z at its end")
    at = int(written.timestamp() * 1000)
    if abs(at - now) > YEARS_MAX * YEAR_MS:
        raise ValidationError(field, f"is more than {YEARS_MAX} years away; write a nearer time")
    return at


def _shown(row: StandInRow) -> Json:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "phone": row.phone,
        "other_phone": row.other_phone,
        "name": row.name,
        "start": iso(row.from_at),
        "until": iso(row.until_at),
        "created_at": iso(row.created_at),
        "ended_at": iso(row.ended_at),
    }
