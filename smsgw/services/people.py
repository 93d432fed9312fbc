"""What the gateway knows of a person: given out, erased, or put on hold; each is an audit entry.

All of it is about a phone in every department. Nothing is erased while something of the phone is
under way or on hold.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from sqlalchemy import Table
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.routing.numbers import normalise
from smsgw.services.access.departments import check_name
from smsgw.services.queries import Json, iso
from smsgw.store import audit, holds, idempotency, opt_outs, people, purge
from smsgw.store.audit import NOTHING, Entry
from smsgw.store.database import Database
from smsgw.store.erasure import Erasure
from smsgw.store.evidence import PSEUDONYM
from smsgw.store.holds import Held, HoldRow
from smsgw.store.idempotency import KeyRow, Once, remember
from smsgw.store.people import Given, Key, Page, Person

if TYPE_CHECKING:
    from sqlalchemy import Connection

REASON_CHARACTERS = 256
ROWS_AT_A_TIME = 100
"""Rows that are erased in one transaction."""
ROUNDS = 3
"""So often all is looked through, for what was written meanwhile."""

T = TypeVar("T")


class People:
    """Exports, erases and holds.

    Args:
        store: The open database.
        clock: Seconds since the Unix epoch.
        forget: Has processes forget which operators phones have.
    """

    def __init__(
        self,
        store: Database,
        clock: Callable[[], float],
        forget: Callable[[Sequence[str]], Awaitable[object]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._forget = forget

    # ---- given out -----------------------------------------------------------------------

    async def export(
        self, phone: str, by: str, cursor: str | None = None, once: Once[Json] | None = None
    ) -> Json:
        """Return rows of a phone, by table, and in ``next`` the cursor of those that follow.

        Args:
            phone: As people write it.
            by: Who asks, for the audit chain, which has an entry for each call.
            cursor: As the call before returned it; None for the first.
            once: What it makes of what is returned is recorded with that entry.

        Raises:
            ValidationError: It is no number of a phone, or no cursor of ours.
        """
        phone, now = normalise(phone, "phone"), self._now()
        began, after = (now, None) if cursor is None else _read_cursor(cursor)
        look = partial(people.rows_after, phone=phone, until=began, after=after)
        given: Given = await self._store.read(look)
        rows: dict[str, list[Json]] = {}
        for table, row in given.rows:
            rows.setdefault(table, []).append(row)
        counts = {table: len(found) for table, found in rows.items()}
        entry = Entry(by, "phone.exported", "", NOTHING, {"phone": phone, "rows": counts})
        exported: Json = {
            "phone": phone,
            "exported_at": iso(began),
            "rows": rows,
            "next": None if given.last is None else _cursor(began, *given.last),
        }

        def work(connection: Connection) -> Json:
            audit.append(connection, now, [entry])
            return remember(connection, once, exported)

        return await self._store.writer.run(work)

    # ---- erased --------------------------------------------------------------------------

    async def erase(
        self, phone: str, by: str, *, dry_run: bool, once: Once[Json] | None = None
    ) -> Json:
        """Take a phone and its texts out of everything, or say what would be.

        Args:
            phone: As people write it.
            by: Who asks, for the audit chain.
            dry_run: Whether nothing is to be changed.
            once: What it makes of what is returned is recorded with the entry that ends it.

        Raises:
            ValidationError: It is no number of a phone.
            Conflict: Something of it is under way or on hold.
        """
        phone = normalise(phone, "phone")
        pseudonym = PSEUDONYM + secrets.token_hex(8)
        rows = Counter[str]()
        if dry_run:
            await self._round(phone, "", rows)
            return {"phone": phone, "erased": False, "rows": rows}
        try:
            for _ in range(ROUNDS):
                before = rows.total()
                await self._round(phone, pseudonym, rows)
                if rows.total() == before:
                    break
            else:
                raise Conflict("the phone is erased up to what still comes in; erase it again")
        except Conflict:
            if rows:
                await self._note_erased(by, pseudonym, rows)
            raise
        erased: Json = {"phone": pseudonym, "erased": True, "rows": rows}
        await self._note_erased(by, pseudonym, rows, None if once is None else once(erased))
        return erased

    async def _note_erased(
        self, by: str, pseudonym: str, rows: Mapping[str, int], key: KeyRow | None = None
    ) -> None:
        now = self._now()
        detail = {"phone": pseudonym, "rows": rows, "entries": {}}
        entry = Entry(by, audit.ERASED, "", NOTHING, detail)

        def work(connection: Connection) -> None:
            audit.append(connection, now, [entry])
            if key is not None:
                idempotency.put(connection, key)

        await self._store.writer.run(work)

    async def _round(self, phone: str, pseudonym: str, rows: Counter[str]) -> None:
        """Look through all tables once, and count the rows of each that there were to erase."""
        who = await self._store.read(partial(people.person, phone=phone))
        await self._store.read(partial(self._check, who=who))
        erasure = None
        if pseudonym:
            await self._forget([phone])
            erasure = Erasure(who, pseudonym, await self._kept(phone))
        for table in people.tables():
            await self._table(table, who, erasure, rows)

    async def _table(
        self, table: Table, who: Person, erasure: Erasure | None, rows: Counter[str]
    ) -> None:
        after = None
        while True:
            look = partial(people.page, table=table, who=who, after=after)
            page: Page = await self._store.read(look)
            for start in range(0, len(page.keys), ROWS_AT_A_TIME):
                keys = page.keys[start : start + ROWS_AT_A_TIME]
                changed = len(keys)
                if erasure is not None:
                    work = partial(self._erase, who=who, erasure=erasure, table=table, keys=keys)
                    changed = await self._store.writer.run(work)
                if changed:
                    rows[table.name] += changed
            if page.last is None:
                return
            after = page.last

    def _erase(
        self,
        connection: Connection,
        who: Person,
        erasure: Erasure,
        table: Table,
        keys: Sequence[Key],
    ) -> int:
        now = self._now()
        if found := _on_hold(connection, who, holds.held(connection, now)):
            raise Conflict(f"the erasure was broken off: {'; '.join(found)}")
        return erasure.erase(connection, table, keys, now)

    def _check(self, connection: Connection, who: Person) -> None:
        """Refuse what is under way or on hold."""
        now = self._now()
        found = people.unfinished(connection, who, now)
        found += _on_hold(connection, who, holds.held(connection, now))
        if found:
            listed = "; ".join(found)
            raise Conflict(f"the phone cannot be erased now: {listed}")

    async def _kept(self, phone: str) -> str:
        """Return what stands for a phone that opted out, once it is erased."""
        key = await self._store.writer.run(opt_outs.key)
        return opt_outs.hashed(phone, key)

    # ---- holds ---------------------------------------------------------------------------

    async def hold(
        self,
        kind: str,
        value: str,
        reason: str,
        until: datetime | None,
        by: str,
        once: Once[Json] | None = None,
    ) -> Json:
        """Put a phone, an account or a request on hold; returns the hold.

        What ``once`` makes of that is recorded in the same commit.

        Raises:
            ValidationError: Says which field.
            NotFound: There is no such request.
        """
        now = self._now()
        if kind not in holds.KINDS:
            raise ValidationError("kind", f"{kind[:20]!r} is none of {', '.join(holds.KINDS)}")
        if kind == holds.PHONE:
            value = normalise(value, "value")
        if not value.strip() or len(value) > 64:
            raise ValidationError("value", f"{len(value)} characters, allowed 1 to 64")
        if kind == holds.ACCOUNT:
            try:
                check_name(value)
            except ValidationError as error:  # else nothing would be on hold
                raise ValidationError("value", error.problem) from None
        if not reason.strip() or len(reason) > REASON_CHARACTERS:
            problem = f"{len(reason)} characters, allowed 1 to {REASON_CHARACTERS}; say why"
            raise ValidationError("reason", problem)
        until_at = None if until is None else int(until.timestamp() * 1000)
        if until_at is not None and until_at <= now:
            raise ValidationError("until", "is over; write a time to come, or leave it out")
        row = HoldRow(self._store.ids.next(), kind, value, reason, until_at, now, by)

        def work(connection: Connection) -> Json:
            if kind == holds.REQUEST and not holds.has_request(connection, value):
                raise NotFound(f"request {value}: not recorded")
            holds.insert(connection, row)
            detail = {"kind": kind, "value": value, "reason_sha256": audit.digest(reason)}
            audit.append(connection, now, [Entry(by, "hold.added", "", row.id, detail)])
            return remember(connection, once, hold_json(row, now))

        return await self._store.writer.run(work)

    async def end_hold(self, hold_id: int, by: str, once: Once[Json] | None = None) -> Json:
        """End a hold; what was kept for it is purged at the next look. As :meth:`hold`.

        Raises:
            NotFound: There is none.
            Conflict: It ended before.
        """
        now = self._now()

        def work(connection: Connection) -> Json:
            row = holds.get(connection, hold_id)
            if row is None:
                raise NotFound(f"hold {hold_id}: not recorded")
            if not holds.end(connection, hold_id, now, by):
                raise Conflict(f"hold {hold_id} is over already")
            purge.begin_anew(connection, now)
            detail = {"kind": row.kind, "value": row.value}
            audit.append(connection, now, [Entry(by, "hold.ended", "", hold_id, detail)])
            row.ended_at, row.ended_by = now, by
            return remember(connection, once, hold_json(row, now))

        return await self._store.writer.run(work)

    def holds(self, *, ended: bool, before: int | None, limit: int) -> Deferred[Sequence[Json]]:
        """Return holds, newest first; with ``ended`` those that are over, too."""
        now = self._now()

        def find(connection: Connection) -> Sequence[Json]:
            rows = holds.page(connection, now, ended=ended, before=before, limit=limit)
            return [hold_json(row, now) for row in rows]

        return self._store.read(find)

    def _now(self) -> int:
        return int(self._clock() * 1000)


_When = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # the last one that has a date
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_cursors = msgspec.json.Decoder(tuple[_When, str, tuple[_Whole | str, ...]])


def _cursor(began: int, table: str, key: Key) -> str:
    """Return where to go on with an export that began at a time (ms)."""
    return urlsafe_b64encode(msgspec.json.encode((began, table, key))).decode()


def _read_cursor(written: str) -> tuple[int, tuple[str, Key]]:
    """Return when an export began, and the table and the key to go on after.

    Raises:
        ValidationError: It is none of ours.
    """
    try:
        began, name, key = _cursors.decode(urlsafe_b64decode(written))
        columns = people.given_tables()[name].primary_key.columns
        wanted = [column.type.python_type for column in columns]
    except (ValueError, KeyError):
        wanted, key = [], (written,)
    if [type(one) for one in key] != wanted:
        raise ValidationError("cursor", "use the value of `next` from the answer before")
    return began, (name, key)


def hold_json(row: HoldRow, now: int) -> Json:
    """One hold."""
    over = row.ended_at is not None or (row.until_at is not None and row.until_at <= now)
    return {
        "id": str(row.id),
        "kind": row.kind,
        "value": row.value,
        "reason": row.reason,
        "state": "ended" if over else "active",
        "until": iso(row.until_at),
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "ended_at": iso(row.ended_at),
        "ended_by": row.ended_by,
    }


def _on_hold(connection: Connection, who: Person, held: Held) -> list[str]:
    """Return what of a phone is on hold, a line for people each."""
    found = []
    if who.phone in held.phones:
        found.append("a hold on it, or on a request it was asked in")
    for account in holds.accounts_of(connection, who.phone, held):
        found.append(f"a hold that covers its account {account}")
    return found
