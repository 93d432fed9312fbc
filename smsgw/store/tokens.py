"""Tokens of the HTTP API: who may do what. Only their digests are here.

Rows are never removed: the revoked ones are the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from smsgw.store.schema import token, token_use
from smsgw.store.statements import insert_new, run


class TokenRow(msgspec.Struct, gc=False):
    """A row of ``token``; the fields are its columns, in their order."""

    id: int
    digest: bytes
    prefix: str
    name: str
    account: str
    roles: str
    scopes: str
    networks: str
    rate: int
    daily: int
    expires_at: int | None
    created_at: int
    created_by: str
    version: int = 1
    last_used_at: int | None = None
    revoked_at: int | None = None
    revoked_by: str = ""


def insert(connection: Connection, row: TokenRow) -> bool:
    """Insert one; False when its account has another of that name that is not revoked."""
    return insert_new(connection, token, [msgspec.structs.astuple(row)]) == 1


def get(connection: Connection, token_id: int) -> TokenRow | None:
    """Return one, or None."""
    row = connection.execute(select(token).where(token.c.id == token_id)).first()
    return TokenRow(*row) if row is not None else None


def by_digest(connection: Connection, digest: bytes) -> TokenRow | None:
    """Return the one whose token has this SHA-256, or None."""
    row = connection.execute(select(token).where(token.c.digest == digest)).first()
    return TokenRow(*row) if row is not None else None


def page(
    connection: Connection,
    account: str,
    *,
    revoked: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[TokenRow]:
    """Return an account's, or all with "", newest first.

    Args:
        connection: Any connection.
        account: Whose.
        revoked: Those that were revoked too.
        before: The id of the last one of the page before.
        limit: The most to return.
    """
    query = select(token)
    if account:
        query = query.where(token.c.account == account)
    if not revoked:
        query = query.where(token.c.revoked_at.is_(None))
    if before is not None:
        query = query.where(token.c.id < before)
    rows = connection.execute(query.order_by(token.c.id.desc()).limit(limit))
    return [TokenRow(*row) for row in rows]


def accounts(connection: Connection) -> list[str]:
    """Return every account that ever had a token."""
    return list(connection.execute(select(token.c.account).distinct()).scalars())


def change(connection: Connection, row: TokenRow, **values: Any) -> TokenRow | None:
    """Change one that is still as ``row``; returns it, or None when somebody was faster."""
    values["version"] = row.version + 1
    changed = connection.execute(
        update(token).where(token.c.id == row.id, token.c.version == row.version).values(values)
    )
    return msgspec.structs.replace(row, **values) if changed.rowcount == 1 else None


def used(connection: Connection, times: Mapping[int, int]) -> None:
    """Note when tokens, by id, were used last."""
    for token_id, at in times.items():
        connection.execute(update(token).where(token.c.id == token_id).values(last_used_at=at))


def spent(connection: Connection, token_id: int, day: int) -> int:
    """Return how many messages a token has sent on a day."""
    query = select(token_use.c.messages).where(
        token_use.c.token_id == token_id, token_use.c.day == day
    )
    return connection.execute(query).scalar() or 0


_SPEND = (
    "INSERT INTO token_use (token_id, day, messages) VALUES (?, ?, ?)"
    " ON CONFLICT (token_id, day) DO UPDATE SET messages = token_use.messages + excluded.messages"
    " RETURNING messages"
)


def spend(connection: Connection, counts: Sequence[tuple[int, int, int]]) -> list[int]:
    """Count messages: each a token's id, a day, and how many; returns what there are now."""
    return [int(run(connection, _SPEND, *one).scalar_one()) for one in counts]
