"""Legal holds: what nobody may purge or erase until somebody ends them.

A hold is on a phone, on an account and all below it, or on a request. That on a request covers
whoever was asked in it, and all their messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    false,
    func,
    or_,
    select,
    update,
)

from smsgw.store.schema import assignment, conversation, hold, inbound, message, request
from smsgw.store.statements import insert_rows

PHONE, ACCOUNT, REQUEST = KINDS = ("phone", "account", "request")

_table = hold.c

Text = SQLColumnExpression[str]


class HoldRow(msgspec.Struct, gc=False):
    """A row of ``hold``; the fields are its columns, in their order."""

    id: int
    kind: str
    value: str
    reason: str
    until_at: int | None
    created_at: int
    created_by: str
    ended_at: int | None = None
    ended_by: str = ""


def insert(connection: Connection, row: HoldRow) -> None:
    """Record a new one."""
    insert_rows(connection, hold, [msgspec.structs.astuple(row)])


def get(connection: Connection, hold_id: int) -> HoldRow | None:
    """Return one, or None."""
    row = connection.execute(select(hold).where(_table.id == hold_id)).first()
    return None if row is None else HoldRow(*row)


def end(connection: Connection, hold_id: int, now: int, by: str) -> bool:
    """End one that is in force; tell whether it was."""
    ended = (
        update(hold).where(_table.id == hold_id, _in_force(now)).values(ended_at=now, ended_by=by)
    )
    return connection.execute(ended).rowcount == 1


def page(
    connection: Connection, now: int, *, ended: bool, before: int | None, limit: int
) -> list[HoldRow]:
    """Return holds, newest first: those in force at ``now`` (ms), with ``ended`` all."""
    query = select(hold)
    if not ended:
        query = query.where(_in_force(now))
    if before is not None:
        query = query.where(_table.id < before)
    rows = connection.execute(query.order_by(_table.id.desc()).limit(limit))
    return [HoldRow(*row) for row in rows]


def _in_force(now: int) -> ColumnElement[bool]:
    return _table.ended_at.is_(None) & (_table.until_at.is_(None) | (_table.until_at > now))


@dataclass(frozen=True, slots=True)
class Held:
    """What is on hold now, as conditions for the rows of other tables.

    Attributes:
        phones: On hold themselves, or asked in a request that is.
        accounts: With all below them.
        requests: By id.
    """

    phones: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    requests: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.phones or self.accounts or self.requests)

    def phone(self, column: Column[str]) -> ColumnElement[bool]:
        """Whether a column has a phone that is on hold."""
        return column.in_(self.phones) if self.phones else false()

    def account(self, column: Text) -> ColumnElement[bool]:
        """Whether a column has an account that is on hold, or one below it."""
        return or_(
            false(),
            *(
                (column == one) | (func.substr(column, 1, len(one) + 1) == f"{one}/")
                for one in self.accounts
            ),
        )

    def request(self, column: Column[int]) -> ColumnElement[bool]:
        """Whether a column has the id of a request that is on hold."""
        return column.in_(self.requests) if self.requests else false()


def held(connection: Connection, now: int) -> Held:
    """Return what is on hold at ``now`` (ms)."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, value in connection.execute(select(_table.kind, _table.value).where(_in_force(now))):
        found[kind].add(value)
    requests = [int(one) for one in found[REQUEST]]
    phones = found[PHONE] | (_asked_in(connection, requests) if requests else set())
    return Held(tuple(sorted(phones)), tuple(sorted(found[ACCOUNT])), tuple(sorted(requests)))


def has_request(connection: Connection, written: str) -> bool:
    """Whether there is a request with an id that people wrote."""
    if not (written.isascii() and written.isdigit() and len(written) < 19):
        return False
    return (
        connection.execute(select(request.c.id).where(request.c.id == int(written))).first()
        is not None
    )


def accounts_of(connection: Connection, phone: str, held: Held) -> list[str]:
    """Return the accounts on hold that have something of a phone."""
    found: set[str] = set()
    if held.accounts:
        for table, column in (
            (message, message.c.recipient),
            (inbound, inbound.c.sender),
            (conversation, conversation.c.phone),
            (request, request.c.applicant_phone),
        ):
            mine = select(table.c.account).where(column == phone, held.account(table.c.account))
            found.update(connection.execute(mine.distinct()).scalars())
        asked = select(request.c.account).join(assignment, assignment.c.request_id == request.c.id)
        mine = asked.where(assignment.c.phone == phone, held.account(request.c.account))
        found.update(connection.execute(mine.distinct()).scalars())
    return sorted(found)


def _asked_in(connection: Connection, requests: Sequence[int]) -> set[str]:
    asked = select(assignment.c.phone).where(assignment.c.request_id.in_(requests))
    applied = select(request.c.applicant_phone).where(request.c.id.in_(requests))
    return set(connection.execute(asked.union(applied)).scalars()) - {""}
