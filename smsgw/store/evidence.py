"""What the audit chain vouches for: digests of texts, of raw PDUs, and of what was decided.

A digest of a column (``message:text``) is one of its value, so that a text can be erased later: the
chain still holds, and what was erased is known for it. A digest of a row (``answer``) is one of
those columns, as netstrings, that nobody ever has to erase.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, bindparam, func, select

from smsgw.store.audit import digest, netstrings
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.store.messages import MessageRow
from smsgw.store.messages import get as get_message
from smsgw.store.schema import (
    answer,
    assignment,
    ballot,
    inbound,
    inbound_part,
    message,
    request,
    timer,
)

SOURCES: Mapping[str, tuple[Column[Any], ...]] = {
    "message:recipient": (message.c.recipient,),
    "message:text": (message.c.text,),
    "inbound:sender": (inbound.c.sender,),
    "inbound:text": (inbound.c.text,),
    "inbound_part:pdu": (inbound_part.c.pdu,),
    "request:subject": (request.c.subject,),
    "request:body": (request.c.body,),
    "request": (request.c.id, request.c.state, request.c.outcome),
    "assignment:phone": (assignment.c.phone,),
    "assignment": (
        assignment.c.id,
        assignment.c.step_id,
        assignment.c.position,
        assignment.c.role,
        assignment.c.decision,
    ),
    "answer:reason": (answer.c.reason,),
    "answer": (
        answer.c.id,
        answer.c.assignment_id,
        answer.c.channel,
        answer.c.inbound_id,
        answer.c.decision,
        answer.c.rule,
        answer.c.anomaly,
        answer.c.counted,
    ),
}
"""What a digest may be of, and the columns that it covers, in their order."""

ERASED = digest("")
"""The digest of what is not there any more."""

PSEUDONYM = "erased-"
"""How what stands in the place of an erased phone begins; no phone does."""

_PSEUDONYM = re.compile(rf"{PSEUDONYM}[0-9a-f]{{16}}")

Digests = dict[str, dict[str, str]]
"""What is vouched for -> id as text -> digest."""


def digest_of(what: str, values: Sequence[Any]) -> str:
    """Return the digest of one of :data:`SOURCES`.

    Args:
        what: Its name.
        values: Those of its columns. None counts as "", truth as 1 or 0.
    """
    if ":" in what:
        erased = isinstance(values[0], str) and _PSEUDONYM.search(values[0])
        return ERASED if erased else digest(values[0])
    return digest(netstrings(_plain(value) for value in values))


def _plain(value: Any) -> object:
    if value is None:
        return ""
    return int(value) if isinstance(value, bool) else value


def digests(connection: Connection, what: str, ids: Collection[int]) -> dict[int, str]:
    """Return the digests of rows as they are now, by id; of those that are there."""
    columns = SOURCES[what]
    key = columns[0].table.c.id
    rows = connection.execute(select(key, *columns).where(key.in_(ids)))
    return {row[0]: digest_of(what, row[1:]) for row in rows}


# ---- what happened just now --------------------------------------------------------------


class SentText(msgspec.Struct, gc=False):
    """Whom a message went to, from which number, and its digests."""

    account: str
    to: str
    sender_number: str
    digests: Digests


_MESSAGES = select(
    message.c.id,
    message.c.account,
    message.c.recipient,
    message.c.access_number + message.c.extension,
    message.c.text,
).where(message.c.id.in_(bindparam("ids", expanding=True)))


def of_messages(connection: Connection, ids: Collection[int]) -> dict[int, SentText]:
    """Return what was sent, by the message's id."""
    found: dict[int, SentText] = {}
    for key, account, to, number, text in connection.execute(_MESSAGES, {"ids": list(ids)}):
        digests = {
            "message:recipient": {str(key): digest(to)},
            "message:text": {str(key): digest(text)},
        }
        found[key] = SentText(account, to, number, digests)
    return found


def of_requests(connection: Connection, ids: Collection[int]) -> dict[int, Digests]:
    """Return the digests of what is asked in requests, and of what they came to."""
    names = ("request:subject", "request:body", "request")
    key = request.c.id
    return _merged(_rows(connection, names, key, key.in_(ids)))


def of_assignments(connection: Connection, request_ids: Collection[int]) -> dict[int, Digests]:
    """Return the digests of who decided what in requests, by request."""
    names = ("assignment:phone", "assignment")
    table = assignment.c
    where = table.request_id.in_(request_ids)
    return _merged(_rows(connection, names, table.request_id, where))


class Answers(msgspec.Struct, gc=False):
    """The digests of an assignment's answers, and the inbound messages that brought them."""

    digests: Digests
    inbound: set[int]


_ANSWERS = select(
    answer.c.assignment_id, answer.c.inbound_id, answer.c.reason, *SOURCES["answer"]
).where(
    answer.c.request_id.in_(bindparam("ids", expanding=True)),
    answer.c.at == bindparam("at"),
)


def of_answers(connection: Connection, request_ids: Collection[int], at: int) -> dict[int, Answers]:
    """Return what was answered in requests at a time (ms), by assignment."""
    rows = connection.execute(_ANSWERS, {"ids": list(request_ids), "at": at})
    found: dict[int, Answers] = {}
    for assignment_id, inbound_id, reason, *values in rows:
        one = found.setdefault(assignment_id, Answers({}, set()))
        key = str(values[0])
        digests = {
            "answer:reason": {key: digest(reason)},
            "answer": {key: digest_of("answer", values)},
        }
        merge(one.digests, digests)
        if inbound_id is not None:
            one.inbound.add(inbound_id)
    return found


_INBOUND = (
    select(inbound.c.id, inbound.c.sender, inbound.c.text, inbound_part.c.id, inbound_part.c.pdu)
    .join_from(inbound, inbound_part, inbound_part.c.inbound_id == inbound.c.id, isouter=True)
    .where(inbound.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(inbound_part.c.id)
)


def of_inbound(connection: Connection, ids: Collection[int]) -> dict[int, Digests]:
    """Return the digests of inbound messages' texts and raw PDUs, by message."""
    found: dict[int, Digests] = {}
    for key, sender, text, part_id, pdu in connection.execute(_INBOUND, {"ids": list(ids)}):
        if key not in found:
            found[key] = {
                "inbound:sender": {str(key): digest(sender)},
                "inbound:text": {str(key): digest(text)},
            }
        if part_id is not None:
            found[key].setdefault("inbound_part:pdu", {})[str(part_id)] = digest(pdu)
    return found


def _rows(
    connection: Connection, names: Sequence[str], owner: Column[Any], where: Any
) -> Iterable[tuple[int, Digests]]:
    """Yield whose each row is, and its digests of several names of one table."""
    columns = [owner.label("owner"), owner.table.c.id.label("row_id")]
    for name in names:
        columns += [column.label(f"c{len(columns)}") for column in SOURCES[name]]
    for of, row_id, *values in connection.execute(select(*columns).where(where)):
        found: Digests = {}
        start = 0
        for name in names:
            end = start + len(SOURCES[name])
            found[name] = {str(row_id): digest_of(name, values[start:end])}
            start = end
        yield of, found


def _merged(found: Iterable[tuple[int, Digests]]) -> dict[int, Digests]:
    merged: dict[int, Digests] = {}
    for owner, one in found:
        merge(merged.setdefault(owner, {}), one)
    return merged


def merge(into: Digests, other: Digests) -> None:
    """Add digests to others."""
    for name, by_id in other.items():
        into.setdefault(name, {}).update(by_id)


# ---- rows of the document ----------------------------------------------------------------


def message_rows(connection: Connection, ids: Collection[int]) -> list[MessageRow]:
    """Return messages, oldest first; those that are there."""
    found = (get_message(connection, message_id) for message_id in sorted(ids))
    return [row for row in found if row is not None]


def inbound_rows(
    connection: Connection, ids: Collection[int]
) -> list[tuple[InboundRow, list[PartRow]]]:
    """Return inbound messages, oldest first, each with its parts in the order they came."""
    rows = connection.execute(select(inbound).where(inbound.c.id.in_(ids)).order_by(inbound.c.id))
    messages = {row.id: (InboundRow(*row), list[PartRow]()) for row in rows}
    part = inbound_part.c
    query = select(inbound_part).where(part.inbound_id.in_(ids))
    for row in connection.execute(query.order_by(part.received_at, part.id)):
        messages[row.inbound_id][1].append(PartRow(*row))
    return list(messages.values())


def tally(connection: Connection, request_id: int) -> dict[str, int]:
    """Return how many phones voted for each choice; nothing where it is no vote."""
    query = (
        select(ballot.c.choice, func.count())
        .where(ballot.c.request_id == request_id)
        .group_by(ballot.c.choice)
        .order_by(ballot.c.choice)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def timers(connection: Connection, request_id: int) -> list[tuple[str, int, int, int]]:
    """Return what is still to happen to a request: kind, subject, turn and when (ms), in order."""
    table = timer.c
    query = (
        select(table.kind, table.subject_id, table.turn, table.due_at)
        .where(table.request_id == request_id)
        .order_by(table.due_at, table.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]
