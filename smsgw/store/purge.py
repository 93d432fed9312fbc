"""Purging: what is old enough loses its texts and phones, and later its rows.

Each kind walks a table in the order of its ids, which is that of time. A window of rows is looked
at by a reader; those to purge are changed by the writer in small batches, and there it is decided
again whether they may be: nothing that is unfinished, on hold, or of an open request.

A message is known to be purged by its empty ``contents``, an inbound one by its empty ``sender``,
a request by its empty ``subject``: none of them is ever empty before. Rows are deleted by
:mod:`smsgw.store.deletions`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    cast,
    exists,
    func,
    select,
)
from sqlalchemy import update as update_table
from sqlalchemy.dialects import postgresql, sqlite

from smsgw.store import holds, schema
from smsgw.store.ids import EPOCH_MS, first_at
from smsgw.store.schema import message

WINDOW_ROWS = 5000
"""Rows that are looked at in one read."""

ROWS_MAX = 500
"""Rows of one statement that a single id may lead to: votes of a request, for example."""


_MILLISECOND = first_at(EPOCH_MS + 1)
"""By how much an id grows in one."""


class Window(NamedTuple):
    """Some rows of a walk.

    Attributes:
        last: The id of the last one that was looked at; None when there is none left.
        ids: Those that may be purged.
    """

    last: int | None
    ids: list[int]


class Purged(NamedTuple):
    """What a batch came to.

    Attributes:
        rows: How many were changed or deleted.
        more: Whether there is more to do of the same ids.
    """

    rows: int
    more: bool = False


class Kind(ABC):
    """What is purged alike.

    Args:
        name: For metrics, and where the walk is remembered.
        table: The one that is walked.
    """

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.table = table

    def window(self, connection: Connection, after: int, until: int, at: int) -> Window:
        """Look at the next rows.

        Args:
            connection: A reading one.
            after: The id of the last row of the window before.
            until: The greatest id there may be.
            at: What ended later (ms since the Unix epoch) stays.
        """
        key = self.table.c.id
        ids = select(key).where(key > after, key <= until).order_by(key)
        last = connection.execute(ids.limit(1).offset(WINDOW_ROWS - 1)).scalar()
        if last is None:
            last = connection.execute(ids.order_by(None).order_by(key.desc()).limit(1)).scalar()
        if last is None:
            return Window(None, [])
        wanted = select(key).where(key > after, key <= last, self.is_due(at)).order_by(key)
        return Window(int(last), list(connection.execute(wanted).scalars()))

    @abstractmethod
    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether a row ended before ``at`` and was not purged yet."""

    @abstractmethod
    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Purge those of some rows that may be, in a transaction of the writer.

        Args:
            connection: In that transaction.
            ids: Of a window.
            at: As for :meth:`window`.
            now: Milliseconds since the Unix epoch.
            until: The greatest id of the walk.
        """


def _open_for(phone: Column[str], since: Column[int]) -> ColumnElement[bool]:
    """Whether an open request asks a phone, and did so before a message of its."""
    asked, of = schema.assignment.c, schema.request.c
    return exists(
        select(1).where(
            asked.phone == phone,
            of.id == asked.request_id,
            of.state == "open",
            of.created_at <= since,
        )
    )


class Messages(Kind):
    """Texts and phones of the messages of one class."""

    def __init__(self, message_class: str) -> None:
        super().__init__(message_class, message)
        self._class = message_class

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it has come to an end, and its text is there."""
        row = message.c
        return (row.message_class == self._class) & (row.contents != b"") & (row.final_at <= at)

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Blank them."""
        row, held = message.c, holds.held(connection, now)
        changed = connection.execute(
            update_table(message)
            .where(
                row.id.in_(ids),
                self.is_due(at),
                ~held.phone(row.recipient),
                ~held.account(row.account),
                ~_open_for(row.recipient, row.created_at),
            )
            .values(recipient="", text="", contents=b"")
        )
        return Purged(changed.rowcount)


class BatchTexts(Kind):
    """Texts of the batches of one class, when that of its newest message would be purged."""

    def __init__(self, message_class: str) -> None:
        super().__init__(f"batch_{message_class}", schema.batch)
        self._class = message_class

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether nothing of it can be under way, and its text is there."""
        row, some = schema.batch.c, schema.batch_range.c
        ended = func.coalesce(row.send_at, row.created_at) + row.valid_for <= at
        added = some.first_id + row.valid_for * _MILLISECOND > first_at(at)
        newer = exists(select(1).where(some.batch_id == row.id, added))
        return (row.message_class == self._class) & (row.text != "") & ended & ~newer

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Blank them."""
        row, held = schema.batch.c, holds.held(connection, now)
        changed = connection.execute(
            update_table(schema.batch)
            .where(row.id.in_(ids), self.is_due(at), ~held.account(row.account))
            .values(text="")
        )
        return Purged(changed.rowcount)


class InboundTexts(Kind):
    """Texts, phones and PDUs of what phones sent."""

    def __init__(self) -> None:
        super().__init__("inbound", schema.inbound)

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it was read, and its sender is there."""
        row = schema.inbound.c
        return (row.sender != "") & (row.handled_at <= at)

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Blank them and their parts."""
        row, held = schema.inbound.c, holds.held(connection, now)
        changed = connection.execute(
            update_table(schema.inbound)
            .where(
                row.id.in_(ids),
                self.is_due(at),
                ~held.phone(row.sender),
                ~held.account(row.account),
                ~_open_for(row.sender, row.received_at),
            )
            .values(sender="", text="")
            .returning(row.id)
        )
        blanked = list(changed.scalars())
        blank_parts(connection, blanked, "")
        return Purged(len(blanked))


def blank_parts(connection: Connection, inbound_ids: Sequence[int], sender: str) -> None:
    """Take everything out of the parts of inbound messages that says who wrote what."""
    part = schema.inbound_part.c
    connection.execute(
        update_table(schema.inbound_part)
        .where(part.inbound_id.in_(inbound_ids))
        .values(sender=sender, content=b"", pdu=b"", dedupe_key=cast(part.id, Text))
    )


class Requests(Kind):
    """What was asked in requests that are closed, of whom, and what they wrote."""

    def __init__(self) -> None:
        super().__init__("request", schema.request)

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it is closed, and its subject is there."""
        row = schema.request.c
        return (row.state != "open") & (row.subject != "") & (row.closed_at <= at)

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Blank what is in them; a request itself last, when nothing else of it is left."""
        row, held = schema.request.c, holds.held(connection, now)
        asked = schema.assignment.c
        of_held = select(asked.request_id).where(held.phone(asked.phone))
        due = select(row.id).where(
            row.id.in_(ids),
            self.is_due(at),
            ~held.account(row.account),
            ~held.request(row.id),
            ~held.phone(row.applicant_phone),
            row.id.not_in(of_held.where(asked.request_id.in_(ids))),
        )
        found = list(connection.execute(due).scalars())
        done = sum(_blank_some(connection, *one, found) for one in _OF_REQUESTS)
        if done:
            return Purged(done, more=True)
        _blank_steps(connection, found)
        values = {"subject": "", "body": "", "applicant_name": "", "applicant_phone": ""}
        blanked = update_table(schema.request).where(row.id.in_(found)).values(values)
        return Purged(connection.execute(blanked).rowcount)


_OF_REQUESTS: Sequence[tuple[Table, dict[str, Any], ColumnElement[bool]]] = (
    (
        schema.assignment,
        {"name": "", "phone": "", "reason": "", "code": "", "delegated_by": ""},
        schema.assignment.c.phone != "",
    ),
    (schema.answer, {"actor": "", "text": "", "reason": ""}, schema.answer.c.actor != ""),
)


def _blank_some(
    connection: Connection,
    table: Table,
    values: dict[str, Any],
    is_left: ColumnElement[bool],
    requests: Sequence[int],
) -> int:
    some = select(table.c.id).where(table.c.request_id.in_(requests), is_left).limit(ROWS_MAX)
    chosen = list(connection.execute(some).scalars())
    blanked = update_table(table).where(table.c.id.in_(chosen)).values(values)
    return connection.execute(blanked).rowcount if chosen else 0


def _blank_steps(connection: Connection, requests: Sequence[int]) -> None:
    """Take out of the steps' settings whom they would have escalated to."""
    step = schema.step.c
    query = select(step.id, step.settings).where(step.request_id.in_(requests))
    for step_id, written in connection.execute(query).all():
        settings = msgspec.json.decode(written) if written else {}
        if settings.pop("escalation", None) is not None:
            blanked = msgspec.json.encode(settings).decode()
            connection.execute(
                update_table(schema.step).where(step.id == step_id).values(settings=blanked)
            )


class Ballots(Kind):
    """The phones that voted in requests that are closed; what they chose still counts."""

    def __init__(self) -> None:
        super().__init__("ballot", schema.request)

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it is closed, and its votes have phones."""
        row = schema.request.c
        return (row.state != "open") & (row.closed_at <= at) & exists(_votes(row.id))

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Put the inbound message's id in the phone's place, for some of them."""
        row, held = schema.request.c, holds.held(connection, now)
        vote = schema.ballot.c
        due = select(row.id).where(
            row.id.in_(ids), self.is_due(at), ~held.account(row.account), ~held.request(row.id)
        )
        for request_id in connection.execute(due).scalars():
            some = select(vote.phone).where(
                vote.request_id == request_id, _named(), ~held.phone(vote.phone)
            )
            phones = list(connection.execute(some.limit(ROWS_MAX)).scalars())
            renamed = (
                update_table(schema.ballot)
                .where(vote.request_id == request_id, vote.phone.in_(phones))
                .values(phone=NAMELESS + cast(vote.inbound_id, Text))
            )
            if phones:
                return Purged(connection.execute(renamed).rowcount, more=True)
        return Purged(0)


NAMELESS = "purged-"


def _named() -> ColumnElement[bool]:
    return schema.ballot.c.phone.not_like(f"{NAMELESS}%")


def _votes(request_id: Column[int]) -> Any:
    return select(1).where(schema.ballot.c.request_id == request_id, _named())


# ---- how far it has come -----------------------------------------------------------------


class Progress(NamedTuple):
    """A row of ``purge``, without its kind."""

    until_id: int
    began_at: int


def progress(connection: Connection, kind: str) -> Progress | None:
    """Return how far the walk of a kind has come, or None before the first."""
    table = schema.purge.c
    query = select(table.until_id, table.began_at).where(table.kind == kind)
    row = connection.execute(query).first()
    return None if row is None else Progress(*row)


def remember(connection: Connection, kind: str, reached: Progress) -> None:
    """Record how far the walk of a kind has come; one that began before the recorded is over."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(schema.purge).values(kind=kind, **reached._asdict())
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["kind"],
            set_=reached._asdict(),
            where=schema.purge.c.began_at <= reached.began_at,
        )
    )


def begin_anew(connection: Connection, now: int) -> None:
    """Have every walk begin anew at ``now`` (ms): what was on hold is not any more."""
    connection.execute(update_table(schema.purge).values(until_id=-1, began_at=now))
