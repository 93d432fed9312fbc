"""Everything a database holds of one phone: found and shown.

A row is of a phone when its own columns say so (:func:`is_of`); any other may mention the number,
in a text, in JSON or in octets. Tables come in the order in which they are erased
(:mod:`smsgw.store.erasure`): it begins with what names others by their ids, the events and the
audit chain, and ends with the rows that have the number, so what was broken off can be done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    String,
    Table,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from smsgw.store import schema
from smsgw.store.purge import WINDOW_ROWS
from smsgw.store.schema import metadata

Json = dict[str, Any]
Key = tuple[Any, ...]

NOBODYS = frozenset(
    {"segment", "queue", "sending", "rerouted", "timer", "node", "purge", "reader"}
    | {"report_id_form", "token_use", "open_number", "secret", "batch_range", "inbox_mark"}
    | {"inbound_read", "stopped_link"}
)
"""Tables that hold no phone and no text."""


class Person(msgspec.Struct):
    """The ids of the rows that are of a phone, by table."""

    phone: str
    ids: dict[str, set[int]]

    @property
    def all(self) -> set[str]:
        """The ids by which others name what the phone did, as they are written in JSON."""
        named = ("message", "inbound", "assignment", "answer")
        return {str(one) for table in named for one in self.ids.get(table, ())}


_COLUMNS: Mapping[str, Sequence[str]] = {
    "message": ("recipient",),
    "inbound": ("sender",),
    "inbound_part": ("sender",),
    "parked_report": ("recipient",),
    "request": ("applicant_phone",),
    "assignment": ("phone",),
    "answer": ("actor",),
    "ballot": ("phone",),
    "listed": ("phone",),
    "stand_in": ("phone", "other_phone"),
    "slot": ("phone",),
    "conversation": ("phone",),
    "ported_number": ("phone",),
    "opt_out": ("phone",),
    "hold": ("value",),
}


def is_of(table: Table, phone: str) -> ColumnElement[bool]:
    """Whether a row of a table is of a phone."""
    found = or_(false(), *(table.c[name] == phone for name in _COLUMNS.get(table.name, ())))
    if table is schema.answer:
        asked = select(schema.assignment.c.id).where(schema.assignment.c.phone == phone)
        found |= table.c.assignment_id.in_(asked)
    if table is schema.inbound_part:
        sent = select(schema.inbound.c.id).where(schema.inbound.c.sender == phone)
        found |= table.c.inbound_id.in_(sent)
    if table is schema.event:
        found |= table.c.data.contains(phone)
    if table is schema.audit:
        found |= (table.c.actor == phone) | table.c.detail.contains(phone)
    return found


def person(connection: Connection, phone: str) -> Person:
    """Return the ids of what is of a phone."""
    tables = (
        schema.message,
        schema.inbound,
        schema.inbound_part,
        schema.assignment,
        schema.answer,
        schema.conversation,
    )
    ids = {
        table.name: set(connection.execute(select(table.c.id).where(is_of(table, phone))).scalars())
        for table in tables
    }
    asked = schema.assignment
    requests = select(asked.c.request_id).where(is_of(asked, phone))
    ids["request"] = set(connection.execute(requests).scalars())
    return Person(phone, ids)


# ---- what there is -----------------------------------------------------------------------


def tables() -> list[Table]:
    """Return every table that may hold something of a phone, children before their parents."""
    found = [table for table in reversed(metadata.sorted_tables) if table.name not in NOBODYS]
    last = ("answer", "inbound_part", "assignment", "inbound", "message")
    return sorted(found, key=lambda table: last.index(table.name) if table.name in last else -1)


GIVEN_ROWS = 1000
"""Rows that are given out at a time …"""

GIVEN_CHARACTERS = 1024 * 1024
"""… unless what is in them is more."""

READ_ROWS = 100
"""Rows that are read at a time: the longest have 70 KiB."""


class Given(msgspec.Struct):
    """Some rows of a phone, JSON-ready, each with its table's name.

    Attributes:
        rows: In the order of their tables and keys.
        last: The table and the key of the last one; None when there are no more.
    """

    rows: list[tuple[str, Json]]
    last: tuple[str, Key] | None


def given_tables() -> dict[str, Table]:
    """Return the tables with rows that are of a phone, in the order in which they are given out."""
    found = {str(table.name): table for table in reversed(tables())}
    asked = ("answer", "inbound_part", "event", "audit")
    return {name: one for name, one in found.items() if name in _COLUMNS or name in asked}


def rows_after(
    connection: Connection, phone: str, until: int, after: tuple[str, Key] | None
) -> Given:
    """Return the next rows of a phone.

    Args:
        connection: Any connection.
        phone: Whose.
        until: Entries of the audit chain are given that are older (ms): what is given out makes
            more of them.
        after: The ``last`` of the rows before; None at the beginning.
    """
    given, size = Given([], None), 0
    names = list(given_tables())
    for name in names if after is None else names[names.index(after[0]) :]:
        table = given_tables()[name]
        columns = list(table.primary_key.columns)
        query = select(table).where(is_of(table, phone)).order_by(*columns).limit(READ_ROWS)
        if table is schema.audit:
            query = query.where(table.c.at < until)
        key = after[1] if after is not None and after[0] == name else None
        while True:
            some = query if key is None else query.where(_above(table, key))
            rows = connection.execute(some).all()
            for row in rows:
                shown = {name: _shown(name, value) for name, value in row._mapping.items()}
                key = tuple(row._mapping[column.name] for column in columns)
                given.rows.append((name, shown))
                size += sum(len(value) for value in shown.values() if isinstance(value, str))
                if len(given.rows) >= GIVEN_ROWS or size >= GIVEN_CHARACTERS:
                    given.last = (name, key)
                    return given
            if len(rows) < READ_ROWS:
                break
    return given


def _above(table: Table, key: Key) -> ColumnElement[bool]:
    """Whether a row's primary key is greater than another one."""
    columns = list(table.primary_key.columns)
    values = [literal(one, column.type) for one, column in zip(key, columns, strict=True)]
    above: ColumnElement[bool] = (
        columns[0] > values[0] if len(columns) == 1 else tuple_(*columns) > tuple_(*values)
    )
    return above


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        if name == "id" or name.endswith("_id"):
            return str(value)
        if name in ("at", "since") or name.endswith(("_at", "_until")):
            return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    return value


class Page(msgspec.Struct):
    """Some rows of a table that were looked at.

    Attributes:
        keys: The primary keys of those that are of the phone, or mention it.
        last: That of the last row; None when there are no more.
    """

    keys: list[Key]
    last: Key | None


def page(connection: Connection, table: Table, who: Person, after: Key | None) -> Page:
    """Look at the next rows of a table, in the order of its primary key."""
    columns = list(table.primary_key.columns)
    rows = select(*columns).order_by(*columns)
    if after is not None:
        rows = rows.where(_above(table, after))
    if connection.execute(rows.limit(1)).first() is None:
        return Page([], None)
    last = connection.execute(rows.limit(1).offset(WINDOW_ROWS - 1)).first()
    if last is not None:
        rows = rows.where(~_above(table, tuple(last)))
    found = connection.execute(rows.where(_concerns(connection, table, who)))
    return Page([tuple(row) for row in found], None if last is None else tuple(last))


def _concerns(connection: Connection, table: Table, who: Person) -> ColumnElement[bool]:
    """Whether a row is of a phone, has its digits anywhere, or may name what it did."""
    found: list[ColumnElement[bool]] = [is_of(table, who.phone)]
    for column in table.columns:
        if isinstance(column.type, LargeBinary):
            found.append(_has_phone(connection, column, who.phone))
        elif isinstance(column.type, String):
            found.append(_mentions(column, who.phone))
    if "subject_id" in table.c:
        found += [table.c.subject_id.in_(ids) for ids in _subjects(who.phone)]
    return or_(*found)


def _subjects(phone: str) -> tuple[Select[tuple[int]], ...]:
    """Return what events and audit entries may be about that a phone took part in."""
    asked, wrote, spoke = schema.assignment, schema.inbound, schema.conversation
    return (
        select(asked.c.request_id).where(is_of(asked, phone)),
        select(wrote.c.id).where(is_of(wrote, phone)),
        select(spoke.c.id).where(is_of(spoke, phone)),
    )


def pieces_of(phone: str) -> Sequence[str]:
    """Return a phone in the pieces in which people write it, between spaces or hyphens."""
    return (phone[:3], phone[3:7], phone[7:]) if len(phone) == 11 else (phone,)


def _mentions(column: Column[Any], phone: str) -> ColumnElement[bool]:
    """Whether a text has a phone in it, in one piece or several."""
    pieces = pieces_of(phone)
    found: ColumnElement[bool] = column.contains(phone)
    return found if len(pieces) == 1 else found | column.like(f"%{'_'.join(pieces)}%")


def _has_phone(connection: Connection, column: Column[Any], phone: str) -> ColumnElement[bool]:
    """Whether octets have a phone in them, in ASCII or UCS2."""
    spellings = {separator.join(pieces_of(phone)) for separator in ("", " ", "-")}
    codings = ("ascii", "utf-16-be")
    forms = [one.encode(coding) for one in sorted(spellings) for coding in codings]
    return or_(false(), *(_has(connection, column, form) for form in forms))


def _has(connection: Connection, column: Column[Any], octets: bytes) -> ColumnElement[bool]:
    of = func.pg_catalog.position if connection.dialect.name == "postgresql" else func.instr
    found: ColumnElement[bool] = of(column, literal(octets, LargeBinary)) > 0
    return found


# ---- what there may not be ---------------------------------------------------------------


def unfinished(connection: Connection, who: Person, now: int) -> list[str]:
    """Return what of a phone is under way at ``now`` (ms), a line for people each."""
    phone, found = who.phone, []

    def look(what: str, table: Table, *where: ColumnElement[bool]) -> None:
        count = connection.execute(select(func.count()).select_from(table).where(*where)).scalar()
        if count:
            found.append(f"{count} {what}")

    message, inbound, request = schema.message.c, schema.inbound.c, schema.request.c
    conversation, stand_in = schema.conversation.c, schema.stand_in.c
    sent = message.recipient == phone
    look("messages to it that have not ended", schema.message, sent, message.final_at.is_(None))
    named = (~sent, message.final_at.is_(None), _mentions(message.text, phone))
    look("messages to others that name it and have not ended", schema.message, *named)
    came = inbound.sender == phone
    look("messages from it that were not read", schema.inbound, came, inbound.handled_at.is_(None))
    named = (~came, inbound.handled_at.is_(None), _mentions(inbound.text, phone))
    look("messages from others that name it and were not read", schema.inbound, *named)
    part, submitted = schema.inbound_part.c, schema.submitted_part.c
    own = (part.sender == phone) | _has_phone(connection, part.content, phone)
    waiting = (part.inbound_id.is_(None), own)
    look("parts of a message that wait for others", schema.inbound_part, *waiting)
    own = submitted.recipients.contains(phone) | _has_phone(connection, submitted.content, phone)
    look("parts of customers' messages that wait for others", schema.submitted_part, own)
    asked = request.id.in_(who.ids["request"]) | (request.applicant_phone == phone)
    named_in = _mentions(request.subject, phone) | _mentions(request.body, phone)
    steps = select(schema.step.c.request_id).where(schema.step.c.settings.contains(phone))
    concerned = asked | named_in | request.id.in_(steps)
    look("open requests", schema.request, request.state == "open", concerned)
    live = (conversation.phone == phone, conversation.ended_at.is_(None))
    look("open conversations", schema.conversation, *live, conversation.expires_at > now)
    stands = (is_of(schema.stand_in, phone), stand_in.ended_at.is_(None))
    until = or_(stand_in.until_at.is_(None), stand_in.until_at > now)
    look("stand-ins in force", schema.stand_in, *stands, until)
    flow = schema.request_type.c
    names = select(flow.name).where(flow.definition.contains(phone))
    found += [f"the saved flow {one!r}, which names it" for one in connection.scalars(names)]
    return found
