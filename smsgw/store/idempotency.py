"""Idempotency keys: what came of a request, so that the same one again is answered and not done.

What a request does and its key are one transaction: messages are accepted with theirs
(:data:`ACCEPT_ONCE`), any other change calls :func:`remember`. What needs several transactions,
each harmless to do again, calls :func:`put` in those after which it can say what it has done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import msgspec
from sqlalchemy import Connection, delete, select, update

from smsgw.errors import InProgress
from smsgw.store import messages
from smsgw.store.messages import AcceptedMessage
from smsgw.store.schema import idempotency_key
from smsgw.store.statements import insert_new
from smsgw.store.writer import Operation

T = TypeVar("T")

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


Once = Callable[[T], KeyRow]
"""Makes of what a change comes to what is recorded with it under an idempotency key."""


def get(connection: Connection, account: str, name: str) -> KeyRow | None:
    """Return a key of an account, or None."""
    query = select(idempotency_key).where(_table.account == account, _table.name == name)
    row = connection.execute(query).first()
    return KeyRow(*row) if row is not None else None


def remember(connection: Connection, once: Once[T] | None, result: T) -> T:
    """Record what ``once`` makes of a result, in the transaction that led to it; return the result.

    Raises:
        InProgress: As of :func:`add`.
    """
    if once is not None:
        add(connection, once(result))
    return result


def add(connection: Connection, row: KeyRow) -> None:
    """Insert a key together with what its request does.

    Raises:
        InProgress: It is there already, another process was faster; undo the transaction.
    """
    if insert_new(connection, idempotency_key, [msgspec.structs.astuple(row)]) != 1:
        raise InProgress("a request with this Idempotency-Key is under way", 1)


def put(connection: Connection, row: KeyRow) -> None:
    """Insert a key, or record what its request has come to since; another request's stays."""
    known = update(idempotency_key).where(
        _table.account == row.account, _table.name == row.name, _table.digest == row.digest
    )
    values = {"status": row.status, "headers": row.headers, "body": row.body, "at": row.at}
    if connection.execute(known.values(values)).rowcount == 0:
        insert_new(connection, idempotency_key, [msgspec.structs.astuple(row)])


def forget(connection: Connection, account: str, name: str, cutoff: int) -> None:
    """Forget a key if it is older than ``cutoff`` (ms since the Unix epoch)."""
    found = delete(idempotency_key).where(_table.account == account, _table.name == name)
    connection.execute(found.where(_table.at < cutoff))


def sweep(connection: Connection, cutoff: int) -> int:
    """Forget what is older than ``cutoff`` (ms since the Unix epoch); return how many were."""
    return connection.execute(delete(idempotency_key).where(_table.at < cutoff)).rowcount


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
