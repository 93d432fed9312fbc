"""What phones sent: parts as carriers delivered them, and messages joined from them.

A part is stored before the carrier gets its answer; a repeated ``(link, dedupe_key)`` is not stored
again. A part belongs to at most one inbound message, and an inbound message is handled once. What
says again what a message before it said is kept among that one's parts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, select, tuple_, update

from smsgw.errors import Conflict
from smsgw.model import Event
from smsgw.store import events
from smsgw.store.schema import inbound, inbound_part, message
from smsgw.store.statements import fetch_json, insert_new, insert_rows, json_array
from smsgw.store.writer import Operation

_as_tuple = msgspec.structs.astuple


class PartRow(msgspec.Struct, gc=False):
    """A row of ``inbound_part``; the fields are its columns, in their order."""

    id: int
    link: str
    dedupe_key: str
    sender: str
    destination: str
    reference: str
    total: int
    sequence: int
    coding: int
    content: bytes
    pdu: bytes
    received_at: int
    inbound_id: int | None = None


class InboundRow(msgspec.Struct, gc=False):
    """A row of ``inbound``; the fields are its columns, in their order."""

    id: int
    link: str
    sender: str
    destination: str
    access_number: str
    extension: str
    text: str
    parts: int
    missing: str
    received_at: int
    account: str = ""
    request_id: int | None = None
    assignment_id: int | None = None
    conversation_id: int | None = None
    outcome: str = ""
    handled_at: int | None = None


class Received(msgspec.Struct, gc=False):
    """Whether a part was known already, and the id it is stored under."""

    duplicate: bool
    id: int


_known_decoder = msgspec.json.Decoder(list[tuple[str, int]])
_KNOWN = """SELECT ROWS(dedupe_key, id) FROM inbound_part
 WHERE link = ? AND dedupe_key IN TEXTS(?)"""


class Receive(Operation[PartRow, Received]):
    """Store parts; the carrier is answered after the commit, also for a part it repeated."""

    name: ClassVar[str] = "receive"
    rank: ClassVar[int] = 3

    def execute(self, connection: Connection, rows: Sequence[PartRow]) -> list[Received]:
        """Insert the parts that are new.

        Another process may store the same ones at this moment: then it is looked again.
        """
        known = _known(connection, rows)
        new: list[PartRow] = []
        results: list[Received] = []
        for row in rows:
            part_id = known.setdefault((row.link, row.dedupe_key), row.id)
            results.append(Received(part_id != row.id, part_id))
            if part_id == row.id:
                new.append(row)
        if insert_new(connection, inbound_part, [_as_tuple(row) for row in new]) < len(new):
            known = _known(connection, rows)
            for row, result in zip(rows, results, strict=True):
                result.id = known[row.link, row.dedupe_key]
                result.duplicate = result.duplicate or result.id != row.id
            new = [row for row, result in zip(rows, results, strict=True) if result.id == row.id]
        events.append(connection, 0, [_part_event(row) for row in new if row.total > 1])
        return results


def _known(connection: Connection, rows: Sequence[PartRow]) -> dict[tuple[str, str], int]:
    keys: dict[str, set[str]] = {}
    for row in rows:
        keys.setdefault(row.link, set()).add(row.dedupe_key)
    known: dict[tuple[str, str], int] = {}
    for link, wanted in keys.items():
        found = fetch_json(connection, _known_decoder, _KNOWN, link, json_array(list(wanted)))
        known.update(((link, key), part_id) for key, part_id in found)
    return known


RECEIVE = Receive()

REPEAT_MS = 600_000
"""So long after a message its content again is a repeat: the carrier's, which gave it another id,
or the phone's."""

COMPARED_MAX = 1000
"""Parts of earlier messages that one is compared with."""


def _part_event(row: PartRow) -> Event:
    """What is told of a part of a long message; not whose, since that is known when it is whole."""
    about = {"link": row.link, "reference": row.reference}
    data = {**about, "part": row.sequence, "total": row.total}
    return Event("inbound.part", row.id, "", data, at=row.received_at)


def waiting_parts(
    connection: Connection, after: tuple[int, int] = (0, 0), limit: int = 1000
) -> list[PartRow]:
    """Return parts that belong to no inbound message yet, oldest first.

    Args:
        connection: Any connection.
        after: ``received_at`` and ``id`` of the last part of the page before.
        limit: The most to return.
    """
    table = inbound_part.c
    query = (
        select(inbound_part)
        .where(
            table.inbound_id.is_(None),
            tuple_(table.received_at, table.id) > tuple_(*after, types=(BigInteger, BigInteger)),
        )
        .order_by(table.received_at, table.id)
        .limit(limit)
    )
    return [PartRow(*row) for row in connection.execute(query)]


def beside(
    connection: Connection, parts: Sequence[PartRow], since: int
) -> tuple[list[PartRow], bool]:
    """Return what else waits of a long message, and whether it repeats one joined before.

    Args:
        connection: Any connection.
        parts: Those that are known of it.
        since: Look at what came at or after it (ms).
    """
    table, one = inbound_part.c, parts[0]
    same = (table.sender, table.destination, table.reference, table.total)
    query = select(inbound_part).where(
        table.inbound_id.is_(None),
        table.received_at >= since,
        tuple_(*same) == (one.sender, one.destination, one.reference, one.total),
        table.id.not_in([part.id for part in parts]),
    )
    rows = connection.execute(query.order_by(table.received_at, table.id))
    waiting = [PartRow(*row) for row in rows]
    ids = [part.id for part in parts]
    newest = max(part.received_at for part in parts)
    said = _Said(one.sender, one.destination, one.total, newest)
    return waiting, _repeated(connection, said, ids) is not None


def waiting_among(connection: Connection, part_ids: Sequence[int]) -> list[PartRow]:
    """Return those of some parts that belong to no inbound message yet."""
    table = inbound_part.c
    query = select(inbound_part).where(table.inbound_id.is_(None), table.id.in_(part_ids))
    return [PartRow(*row) for row in connection.execute(query.order_by(table.id))]


def take_in(connection: Connection, row: InboundRow, part_ids: Sequence[int]) -> bool:
    """Insert an inbound message, unless it repeats one: then its parts are that one's.

    Returns:
        Whether it is news.

    Raises:
        Conflict: As :func:`insert_inbound`.
    """
    said = _Said(row.sender, row.destination, row.parts, row.received_at)
    first = _repeated(connection, said, part_ids, before=row.id)
    if first is None:
        insert_inbound(connection, row, part_ids)
        return True
    _claim_parts(connection, first, part_ids)
    _tell(connection, "inbound.repeated", first, row)
    return False


class _Said(NamedTuple):
    sender: str
    destination: str
    parts: int
    at: int


def _repeated(
    connection: Connection, said: _Said, part_ids: Sequence[int], before: int | None = None
) -> int | None:
    """Find where the phone said the very same a short while ago, and was asked nothing since.

    A message is known by its parts' octets and reference; some of them again are a repeat too. The
    same words may be the answer to a question that went out in between.
    """
    part, row = inbound_part.c, inbound.c
    octets = (part.reference, part.total, part.sequence, part.coding, part.content)
    again = {tuple(one) for one in connection.execute(select(*octets).where(part.id.in_(part_ids)))}
    query = (
        select(row.id, *octets)
        .join_from(inbound, inbound_part, part.inbound_id == row.id)
        .where(
            row.sender == said.sender,
            row.destination == said.destination,
            row.received_at >= said.at - REPEAT_MS,
            row.parts == said.parts,
        )
        .order_by(row.id.desc())
        .limit(COMPARED_MAX)
    )
    if before is not None:
        query = query.where(row.id < before)
    found: dict[int, set[tuple[Any, ...]]] = {}
    for inbound_id, *one in connection.execute(query):
        found.setdefault(inbound_id, set()).add(tuple(one))
    first = next((inbound_id for inbound_id, was in found.items() if again <= was), None)
    if first is None:
        return None
    asked = select(message.c.id).where(
        message.c.recipient == said.sender, message.c.id > first, message.c.expects_reply
    )
    return first if connection.execute(asked.limit(1)).first() is None else None


def insert_inbound(connection: Connection, row: InboundRow, part_ids: Sequence[int]) -> None:
    """Insert an inbound message, claim its parts, and tell subscribers of it.

    Raises:
        Conflict: A part is not recorded or belongs to another message; undo the transaction.
    """
    insert_rows(connection, inbound, [_as_tuple(row)])
    _claim_parts(connection, row.id, part_ids)
    _tell(connection, "inbound.received", row.id, row)


def _claim_parts(connection: Connection, inbound_id: int, part_ids: Sequence[int]) -> None:
    claimed = connection.execute(
        update(inbound_part)
        .where(inbound_part.c.id.in_(part_ids), inbound_part.c.inbound_id.is_(None))
        .values(inbound_id=inbound_id)
    ).rowcount
    if claimed != len(part_ids):
        raise Conflict(
            f"inbound {inbound_id}: {len(part_ids)} parts to join, {claimed} of them free"
        )


def _tell(connection: Connection, kind: str, inbound_id: int, row: InboundRow) -> None:
    told = {"from": row.sender, "to": row.destination, "text": row.text, "missing": row.missing}
    event = Event(kind, inbound_id, row.account, told)
    events.append(connection, row.received_at, [event])


def get(connection: Connection, inbound_id: int) -> InboundRow | None:
    """Return an inbound message, or None."""
    row = connection.execute(select(inbound).where(inbound.c.id == inbound_id)).first()
    return InboundRow(*row) if row is not None else None


def unhandled(connection: Connection, after: int = 0, limit: int = 1000) -> list[InboundRow]:
    """Return inbound messages nobody has read yet, oldest first: what a start has to go on with.

    Args:
        connection: Any connection.
        after: Id of the last message of the page before.
        limit: The most to return.
    """
    table = inbound.c
    query = (
        select(inbound)
        .where(table.handled_at.is_(None), table.id > after)
        .order_by(table.id)
        .limit(limit)
    )
    return [InboundRow(*row) for row in connection.execute(query)]


def mark_handled(
    connection: Connection,
    inbound_id: int,
    outcome: str,
    at: int,
    *,
    request_id: int | None = None,
    assignment_id: int | None = None,
    conversation_id: int | None = None,
    account: str | None = None,
) -> bool:
    """Record what reading an inbound message led to; ``account`` sets its owner unless None.

    Returns:
        False, and nothing changed, when it was handled before (or is not recorded).
    """
    about = {
        "request_id": request_id,
        "assignment_id": assignment_id,
        "conversation_id": conversation_id,
    }
    values: dict[str, object] = {"outcome": outcome, "handled_at": at, **about}
    if account is not None:
        values["account"] = account
    changed = connection.execute(
        update(inbound)
        .where(inbound.c.id == inbound_id, inbound.c.handled_at.is_(None))
        .values(values)
        .returning(inbound.c.account)
    ).first()
    if changed is None:
        return False
    told = {"outcome": outcome, "request_id": None if request_id is None else str(request_id)}
    if conversation_id is not None:
        told["conversation_id"] = str(conversation_id)
    events.append(connection, at, [Event("inbound.handled", inbound_id, changed.account, told)])
    return True


def page(
    connection: Connection,
    *,
    before: int | None = None,
    accounts: Collection[str] | None = None,
    sender: str | None = None,
    request_id: int | None = None,
    outcome: str | None = None,
    limit: int = 50,
) -> list[InboundRow]:
    """Return messages newest first; ``before`` is the id of the last one of the page before."""
    table = inbound.c
    query = select(inbound).order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    if accounts is not None:
        query = query.where(table.account.in_(accounts))
    if sender is not None:
        query = query.where(table.sender == sender)
    if request_id is not None:
        query = query.where(table.request_id == request_id)
    if outcome is not None:
        query = query.where(table.outcome == outcome)
    return [InboundRow(*row) for row in connection.execute(query)]


def recent_same(
    connection: Connection,
    sender: str,
    destination: str,
    text: str,
    since: int,
    before: int | None = None,
) -> InboundRow | None:
    """Return the newest message of the same content received at or after ``since`` (ms), or None.

    Args:
        connection: Any connection.
        sender: The phone.
        destination: The number it wrote to.
        text: The whole text, compared exactly.
        since: Milliseconds since the Unix epoch.
        before: Look only at ids below this one: the message in hand, when it is stored already.
    """
    table = inbound.c
    query = select(inbound).where(
        table.sender == sender,
        table.destination == destination,
        table.received_at >= since,
        table.text == text,
    )
    if before is not None:
        query = query.where(table.id < before)
    row = connection.execute(query.order_by(table.id.desc()).limit(1)).first()
    return InboundRow(*row) if row is not None else None
