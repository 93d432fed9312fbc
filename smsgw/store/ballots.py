"""Votes of anyone: the numbers they are sent to, and each phone's ballot.

Rules: a phone has one ballot in a vote. Whoever counts or closes a vote locks its numbers first, so
that two processes never count for the same vote at the same time, and nothing is counted behind a
result. Everything here takes many votes with a few statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

import msgspec
from sqlalchemy import Connection, select, update

from smsgw.store.audit import netstrings
from smsgw.store.inbox import InboundRow
from smsgw.store.schema import ballot, inbound, open_number
from smsgw.store.statements import (
    fetch_json,
    insert_rows,
    json_array,
    run,
    shared,
    update_rows,
)

_as_tuple = msgspec.structs.astuple

Number = tuple[str, str]
"""Access number and extension."""

PAGE = 5000
"""Ballots, or messages that wait, read at a time."""


class NumberRow(msgspec.Struct, gc=False):
    """A row of ``open_number``; the fields are its columns, in their order."""

    access_number: str
    extension: str
    request_id: int
    account: str
    closed_at: int | None = None

    @property
    def number(self) -> Number:
        """What identifies it."""
        return self.access_number, self.extension


class BallotRow(msgspec.Struct, gc=False):
    """A row of ``ballot``; the fields are its columns, in their order."""

    request_id: int
    phone: str
    choice: str
    inbound_id: int
    at: int


# ---- numbers -----------------------------------------------------------------------------

_CLAIM = """INSERT INTO open_number (access_number, extension, request_id, account, closed_at)
 VALUES (?, ?, ?, ?, NULL) ON CONFLICT (access_number, extension) DO UPDATE
 SET request_id = excluded.request_id, account = excluded.account, closed_at = NULL
 WHERE open_number.closed_at IS NOT NULL"""


def claim(connection: Connection, row: NumberRow) -> bool:
    """Make a number a vote's; False, and nothing changed, while it is another open vote's."""
    return run(connection, _CLAIM, *_as_tuple(row)[:-1]).rowcount == 1


def numbers(connection: Connection, closed_since: int) -> list[NumberRow]:
    """Return the numbers of all votes but those that were closed before a time (ms)."""
    table = open_number.c
    kept = table.closed_at.is_(None) | (table.closed_at >= closed_since)
    return [NumberRow(*row) for row in connection.execute(select(open_number).where(kept))]


def numbers_of(connection: Connection, request_id: int) -> list[NumberRow]:
    """Return the numbers of a vote that no other one has got since."""
    query = select(open_number).where(open_number.c.request_id == request_id)
    return [NumberRow(*row) for row in connection.execute(query.order_by(*open_number.primary_key))]


_numbers_decoder = msgspec.json.Decoder(list[tuple[str, str, int, str, int | None]])
_LOCKED = """SELECT ROWS(access_number, extension, request_id, account, closed_at)
 FROM open_number WHERE request_id IN IDS(?)"""


def locked(connection: Connection, wanted: Collection[Number]) -> dict[Number, NumberRow]:
    """Return what numbers are for; until the transaction ends nobody else counts or closes there.

    Those that are no vote's are left out.
    """
    table, ids = open_number.c, set()
    for access_number, extension in wanted:
        query = select(table.request_id).where(
            table.access_number == access_number, table.extension == extension
        )
        ids.add(connection.execute(query).scalar())
    ids.discard(None)
    if not ids:
        return {}
    text = _LOCKED
    if shared(connection):  # always in one order, so that two never wait for each other
        text += " ORDER BY access_number, extension FOR UPDATE"
    rows = fetch_json(connection, _numbers_decoder, text, json_array(sorted(ids)))
    found = {(row[0], row[1]): NumberRow(*row) for row in rows}
    return {number: found[number] for number in wanted if number in found}


def close(connection: Connection, request_id: int, at: int) -> list[NumberRow]:
    """Close a vote's numbers and return them; whoever counts at this moment is waited for."""
    wanted = [row.number for row in numbers_of(connection, request_id)]
    rows = [row for row in locked(connection, wanted).values() if row.request_id == request_id]
    connection.execute(
        update(open_number).where(open_number.c.request_id == request_id).values(closed_at=at)
    )
    return rows


# ---- messages ----------------------------------------------------------------------------

_outcomes_decoder = msgspec.json.Decoder(list[tuple[int, str]])
_OUTCOMES = "SELECT ROWS(id, outcome) FROM inbound WHERE id IN IDS(?)"
_HANDLED = """UPDATE inbound SET outcome = ?, handled_at = ?, request_id = ?, account = ?
 WHERE id IN IDS(?)"""


def outcomes(connection: Connection, inbound_ids: Sequence[int]) -> dict[int, str]:
    """Return what reading some messages led to, "" for one that nobody has read yet.

    Until the transaction ends nobody else reads them.
    """
    text = _OUTCOMES + (" FOR UPDATE" if shared(connection) else "")
    return dict(fetch_json(connection, _outcomes_decoder, text, json_array(inbound_ids)))


def waiting(connection: Connection, number: Number, after: int = 0) -> list[InboundRow]:
    """Return messages to a number that nobody has read yet, oldest first, a page of them."""
    table = inbound.c
    query = select(inbound).where(
        table.handled_at.is_(None),
        table.access_number == number[0],
        table.extension == number[1],
        table.id > after,
    )
    return [InboundRow(*row) for row in connection.execute(query.order_by(table.id).limit(PAGE))]


def mark_handled(
    connection: Connection,
    inbound_ids: Sequence[int],
    outcome: str,
    at: int,
    request_id: int,
    account: str,
) -> None:
    """Record what reading some messages led to; they are known to be unhandled, and locked."""
    run(connection, _HANDLED, outcome, at, request_id, account, json_array(inbound_ids))


# ---- ballots -----------------------------------------------------------------------------

_ballots_decoder = msgspec.json.Decoder(list[tuple[int, str, str, int, int]])
_BALLOTS = """SELECT ROWS(request_id, phone, choice, inbound_id, at) FROM ballot
 WHERE request_id = ? AND phone IN TEXTS(?)"""


def of_phones(
    connection: Connection, request_id: int, phones: Iterable[str]
) -> dict[str, BallotRow]:
    """Return the ballots of some phones in a vote."""
    wanted = json_array(list(phones))
    rows = fetch_json(connection, _ballots_decoder, _BALLOTS, request_id, wanted)
    return {row[1]: BallotRow(*row) for row in rows}


def put(connection: Connection, new: Sequence[BallotRow], changed: Sequence[BallotRow]) -> None:
    """Write ballots of phones that had none, and what others have in place of their first."""
    insert_rows(connection, ballot, [_as_tuple(row) for row in new])
    columns = ("choice", "inbound_id", "at")
    update_rows(
        connection, ballot, ("request_id", "phone"), columns, [_as_tuple(row) for row in changed]
    )


_UNCOUNTED = """SELECT outcome, COUNT(*) FROM inbound
 WHERE request_id = ? AND outcome IN ('unclear', 'late') GROUP BY outcome"""


def uncounted(connection: Connection, request_id: int) -> tuple[int, int]:
    """Return how many messages to a vote were unclear, and how many came too late."""
    rows = run(connection, _UNCOUNTED, request_id)
    found: dict[str, int] = {row[0]: row[1] for row in rows}
    return found.get("unclear", 0), found.get("late", 0)


def digest(connection: Connection, request_id: int) -> str:
    """Return SHA-256, in hexadecimal, of all ballots of a vote in the order of the phones.

    Each is its phone, choice, message and time (:func:`smsgw.store.audit.netstrings`).
    """
    table, digest, after = ballot.c, hashlib.sha256(), ""
    columns = (table.phone, table.choice, table.inbound_id, table.at)
    while True:
        query = select(*columns).where(table.request_id == request_id, table.phone > after)
        rows = connection.execute(query.order_by(table.phone).limit(PAGE)).all()
        digest.update(b"".join(netstrings(row) for row in rows))
        if len(rows) < PAGE:
            return digest.hexdigest()
        after = rows[-1].phone
