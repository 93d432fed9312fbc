"""Shows what was done, and by whom: the audit chain's entries, and the evidence of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred

from smsgw.services.queries import Json
from smsgw.services.requests import evidence
from smsgw.store import audit as chain
from smsgw.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


class AuditLog:
    """Reads the chains.

    Args:
        store: The open database.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, store: Database, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def entries(
        self, account: str, *, after: tuple[int, int], limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return an account's entries by chain and sequence, after one of them."""

        def find(connection: Connection) -> Sequence[Json]:
            rows = chain.page(connection, after=after, account=account, limit=limit)
            return [evidence.entry_json(row) for row in rows]

        return self._store.read(find)

    def evidence(self, account: str, request_id: int) -> Deferred[Json]:
        """Return the evidence of a request, or fail with NotFound."""
        now = int(self._clock() * 1000)
        return self._store.read(lambda c: evidence.document(c, request_id, now, account))
