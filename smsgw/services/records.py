"""What is recorded of messages, of what phones sent, and of events, for the API and programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from smsgw.services import queries
from smsgw.store.database import Database

Json = dict[str, Any]


class Records:
    """Reads what the store has, ready for JSON.

    Args:
        database: Open when it is asked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def message(self, account: str, message_id: int) -> Deferred[Json]:
        """Return one message with its segments, or fail with NotFound."""
        return self._database.read(partial(queries.message, account=account, message_id=message_id))

    def trace(self, account: str, message_id: int) -> Deferred[Json]:
        """Return everything recorded about one message, or fail with NotFound."""
        return self._database.read(partial(queries.trace, account=account, message_id=message_id))

    def messages(
        self,
        account: str,
        *,
        before: int | None,
        limit: int,
        status: str | None,
        to: str | None,
        batch: int | None = None,
    ) -> Deferred[Sequence[Json]]:
        """Return messages, newest first; ``batch`` is one of the account's."""
        find = partial(
            queries.message_page,
            account=account,
            batch=batch,
            before=before,
            limit=limit,
            status=status,
            recipient=to,
        )
        return self._database.read(find)

    def inbound(
        self,
        account: str,
        *,
        before: int | None,
        limit: int,
        general: bool = True,
        unread: bool = False,
    ) -> Deferred[Sequence[Json]]:
        """Return what phones sent to the account, newest first.

        ``general`` adds what is nobody's in particular; ``unread`` is only what it has not read.
        """
        find = partial(
            queries.inbound_page,
            account=account,
            before=before,
            limit=limit,
            general=general,
            unread=unread,
        )
        return self._database.read(find)

    def events(
        self, account: str, *, after: int, limit: int, kinds: Sequence[str] = ()
    ) -> Deferred[Sequence[Json]]:
        """Return events, oldest first."""
        find = partial(queries.events_after, account=account, after=after, limit=limit, kinds=kinds)
        return self._database.read(find)

    def unmatched_reports(
        self, *, link: str | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return status reports whose segment is not known yet, newest first."""
        find = partial(queries.unmatched_page, link=link, before=before, limit=limit)
        return self._database.read(find)
