"""Idempotency keys: what came of a request, so that the same one again is answered and not done.

Messages are accepted together with their key in one transaction (:data:`ACCEPT_ONCE`), and so is
what calls :func:`add`; for anything else the key is reserved before and finished after, and what
was cut off in between is found with status 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from sqlalchemy import Connection, delete, select, update

from smsgw.errors import InProgress
from smsgw.store import messages
from smsgw.store.messages import AcceptedMessage
from smsgw.store.schema import idempotency_key
from smsgw.store.statements import insert_new
from smsgw.store.writer import Operation

_table = idempotency_key.c


class KeyRow(msgspec.Struct, gc=False):
    """A row of ``idempotency_key``; the fields are its columns, in their order."""

    account: str
    name: str
    digest: bytes
    status: int
    headers: str
    body: bytes
    at: int


def get(connection: Connection, account: str, name: str) -> KeyRow | None:
    """Return a key of an account, or None."""
    query = select(idempotency_key).where(_table.account == account, _table.name == name)
    row = connection.execute(query).first()
    return KeyRow(*row) if row is not None else None


def reserve(connection: Connection, row: KeyRow, cutoff: int) -> KeyRow | None:
    """Insert a key whose request is about to begin.

    Args:
        connection: In a transaction.
        row: With status 0.
        cutoff: What is older (ms since the Unix epoch) is as good as gone.

    Returns:
        The row that is there already; then nothing was changed.
    """
    _drop(connection, row.account, row.name, cutoff)
    if insert_new(connection, idempotency_key, [msgspec.structs.astuple(row)]):
        return None
    return get(connection, row.account, row.name)


def add(connection: Connection, row: KeyRow) -> None:
    """Insert a key together with what its request does.

    Raises:
        InProgress: It is there already, another process was faster; undo the transaction.
    """
    if insert_new(connection, idempotency_key, [msgspec.structs.astuple(row)]) != 1:
        raise InProgress("a request with this Idempotency-Key is under way", 1)


def finish(connection: Connection, row: KeyRow) -> None:
    """Record what came of a request whose key was reserved."""
    connection.execute(
        update(idempotency_key)
        .where(_table.account == row.account, _table.name == row.name)
        .values(status=row.status, headers=row.headers, body=row.body, at=row.at)
    )


def release(connection: Connection, account: str, name: str) -> None:
    """Forget a key whose request did nothing."""
    _drop(connection, account, name, None)


def sweep(connection: Connection, cutoff: int) -> int:
    """Forget what is older than ``cutoff`` (ms since the Unix epoch); return how many were."""
    return connection.execute(delete(idempotency_key).where(_table.at < cutoff)).rowcount


def _drop(connection: Connection, account: str, name: str, cutoff: int | None) -> None:
    found = delete(idempotency_key).where(_table.account == account, _table.name == name)
    connection.execute(found if cutoff is None else found.where(_table.at < cutoff))


class AcceptOnce(Operation[tuple[AcceptedMessage, KeyRow | None], int]):
    """Record accepted messages with their requests' keys; each result is the message's id.

    The first message of a request has its key. A key that is there already fails its request with
    InProgress: another process was faster.
    """

    name: ClassVar[str] = "accept once"
    rank: ClassVar[int] = 0

    def execute(
        self, connection: Connection, rows: Sequence[tuple[AcceptedMessage, KeyRow | None]]
    ) -> list[int]:
        """Insert them all."""
        keys = [msgspec.structs.astuple(key) for _, key in rows if key is not None]
        if insert_new(connection, idempotency_key, keys) != len(keys):
            raise InProgress("a request with this Idempotency-Key is under way", 1)
        messages.insert(connection, [accepted for accepted, _ in rows])
        return [message.id for (message, _), _ in rows]


ACCEPT_ONCE = AcceptOnce()
