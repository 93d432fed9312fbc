"""Flows by name: what a request of a type says unless it says otherwise itself."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, select, update

from smsgw.store.schema import request_type
from smsgw.store.statements import insert_new


class RequestTypeRow(msgspec.Struct, gc=False):
    """A row of ``request_type``; the fields are its columns, in their order."""

    account: str
    name: str
    definition: str
    version: int
    updated_at: int


def get(connection: Connection, account: str, name: str) -> RequestTypeRow | None:
    """Return an account's flow, or None."""
    columns = request_type.c
    row = connection.execute(
        select(request_type).where(columns.account == account, columns.name == name)
    ).first()
    return RequestTypeRow(*row) if row is not None else None


def page(
    connection: Connection, account: str, *, after: str = "", limit: int = 50
) -> list[RequestTypeRow]:
    """Return an account's flows by name; ``after`` is the last name of the page before."""
    columns = request_type.c
    rows = connection.execute(
        select(request_type)
        .where(columns.account == account, columns.name > after)
        .order_by(columns.name)
        .limit(limit)
    )
    return [RequestTypeRow(*row) for row in rows]


def put(
    connection: Connection, account: str, name: str, definition: str, version: int | None, now: int
) -> int | None:
    """Save a flow; returns its version.

    Args:
        connection: In a transaction.
        account: Whose.
        name: Its name.
        definition: JSON.
        version: The version it replaces, 0 for none; None replaces whatever is there.
        now: Milliseconds since the Unix epoch.

    Returns:
        None, and nothing changed, when another version is there.
    """
    present = get(connection, account, name)
    if present is None:
        if version:
            return None
        new = (account, name, definition, 1, now)
        return 1 if insert_new(connection, request_type, [new]) else None
    if version is not None and version != present.version:
        return None
    columns = request_type.c
    changed = connection.execute(
        update(request_type)
        .where(columns.account == account, columns.name == name, columns.version == present.version)
        .values(definition=definition, version=present.version + 1, updated_at=now)
    )
    return present.version + 1 if changed.rowcount == 1 else None


def remove(connection: Connection, account: str, name: str, version: int) -> bool:
    """Forget a flow; requests made from it stay as they are. False: that version is not there."""
    columns = request_type.c
    gone = connection.execute(
        delete(request_type).where(
            columns.account == account, columns.name == name, columns.version == version
        )
    )
    return gone.rowcount == 1
