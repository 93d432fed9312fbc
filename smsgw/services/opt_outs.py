"""Phones that want no bulk and no notices, held in memory by their hashes (150 octets each).

Rules: an opt-out is of one account, with all below it, or of everybody's messages. One-time codes
and what people are asked personally (``realtime`` and ``interactive``) pass. What any process
records is known to this one within :data:`LOOK_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import OptedOut, StoreError
from smsgw.model import MessageClass
from smsgw.routing.numbers import normalise
from smsgw.services.access.departments import check_name, is_within
from smsgw.services.queries import Json, iso
from smsgw.store import audit, opt_outs
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.ported import before

if TYPE_CHECKING:
    from sqlalchemy import Connection

ASKS_FIRST = frozenset({MessageClass.BULK, MessageClass.NOTICE})
"""Classes of messages that nobody gets who opted out."""

LOOK_SECONDS = 1.0
PAGE = 5000
PHONES_OF_AN_ENTRY = 50
"""Phones that one entry of the audit chain names."""

T = TypeVar("T")


class OptOuts:
    """Knows who opted out, and records it.

    Args:
        store: The open database.
        clock: Its time and timers.
        shared: Whether other processes write to the database too.
    """

    log = Logger()

    def __init__(self, store: Database, clock: IReactorTime, *, shared: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._shared = shared
        # By hash: a phone may be erased, and opt in again after that.
        self._known: dict[bytes, tuple[str, ...]] = {}
        self._same: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._key = b""
        self._last = 0
        self._reading = DeferredLock()
        self._timer = LoopingCall(self._look)
        self._timer.clock = clock

    async def start(self) -> None:
        """Read who opted out, and from time to time who does, until :meth:`stop`."""
        self._key = await self._store.writer.run(opt_outs.key)
        await self._read()
        self._timer.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._timer.running:
            self._timer.stop()

    def __len__(self) -> int:
        return len(self._known)

    def check(self, phone: str, account: str, message_class: MessageClass) -> None:
        """Check that a phone may be sent a message.

        Args:
            phone: Normalised.
            account: Who sends.
            message_class: Of the message.

        Raises:
            OptedOut: It did; the field is ``to``.
        """
        if not self._known or message_class not in ASKS_FIRST:
            return
        for one in self._known.get(opt_outs.digest(phone, self._key), ()):
            if is_within(account, one):
                whose = f"of {one}" if one else "of all"
                raise OptedOut(
                    "to",
                    f"opted out of {message_class} messages {whose}; leave it out, or see "
                    f"/v1/opt-outs",
                )

    # ---- what people record --------------------------------------------------------------

    async def add(
        self, phones: Sequence[str], account: str, by: str, once: Once[int] | None = None
    ) -> int:
        """Record that phones opt out, all in one commit; returns how many had not.

        Args:
            phones: As people write them.
            account: Whose messages; "" for everybody's.
            by: Who says so.
            once: What it makes of how many is recorded in the same commit.

        Raises:
            ValidationError: A number or the account is none; then nothing was recorded.
        """
        return await self._change(opt_outs.add, phones, account, by, once)

    async def remove(
        self, phones: Sequence[str], account: str, by: str, once: Once[int] | None = None
    ) -> int:
        """Record that phones opt in again; returns how many had opted out. As :meth:`add`."""
        return await self._change(opt_outs.remove, phones, account, by, once)

    async def _change(
        self,
        change: Callable[..., int],
        phones: Sequence[str],
        account: str,
        by: str,
        once: Once[int] | None,
    ) -> int:
        if account:
            check_name(account)
        found = [normalise(one, f"phones[{place}]") for place, one in enumerate(phones)]
        now = int(self._clock.seconds() * 1000)
        done = "opt_out.added" if change is opt_outs.add else "opt_out.removed"

        entries = [
            Entry(by, done, account, audit.NOTHING, {"phones": found[at : at + PHONES_OF_AN_ENTRY]})
            for at in range(0, len(found), PHONES_OF_AN_ENTRY)
        ]

        def work(connection: Connection) -> int:
            audit.append(connection, now, entries)
            changed = change(connection, found, account, f"api:{by}", now)
            return remember(connection, once, changed)

        changed = await self._store.writer.run(work, len(found))
        await self._read()
        return changed

    def page(
        self, *, phone: str | None, account: str | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return opt-outs in force, the newest change first."""

        def find(connection: Connection) -> Sequence[Json]:
            phones = () if phone is None else (phone, opt_outs.hashed(phone, self._key))
            rows = opt_outs.page(
                connection, account=account, phones=phones, before=before, limit=limit
            )
            return [
                {
                    "id": str(row.id),
                    "phone": row.phone,
                    "account": row.account,
                    "source": row.source,
                    "since": iso(row.since),
                }
                for row in rows
            ]

        return self._store.read(find)

    # ---- what is known -------------------------------------------------------------------

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._read()).addErrback(self._not_read)

    def _not_read(self, failure: Failure) -> None:
        failure.trap(StoreError)
        why = failure.getErrorMessage()
        self.log.warn("opt-outs not read: {why}", event="opt_outs.not_read", why=why)

    async def _read(self) -> None:
        """Read what changed since the last time; of others' changes some again."""
        await self._reading.run(lambda: Deferred.fromCoroutine(self._read_changes()))

    async def _read_changes(self) -> None:
        after = before(self._last) if self._shared else self._last
        while True:
            rows = await self._store.read(partial(opt_outs.changed, after=after, limit=PAGE))
            for row in rows:
                self._note(row)
            if rows:
                after = rows[-1].id
                self._last = max(self._last, after)
            if len(rows) < PAGE:
                return

    def _note(self, row: opt_outs.OptOutRow) -> None:
        phone = opt_outs.digest(row.phone, self._key)
        known = self._known.get(phone, ())
        accounts = tuple(one for one in known if one != row.account)
        if row.ended_at is None:
            accounts += (row.account,)
        if accounts:
            self._known[phone] = self._same.setdefault(accounts, accounts)
        else:
            self._known.pop(phone, None)
