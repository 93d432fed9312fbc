"""Batches: messages to many that were asked for with one text, counted without reading them twice.

A batch's messages have ids that one node made one after the other, in ranges of :data:`RANGE`. What
the messages of a range came to is counted until all have come to an end; then the tally is kept
with the range and they are never looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select, update

from smsgw.errors import Conflict, NotFound
from smsgw.model import FINAL_RANK
from smsgw.store import messages
from smsgw.store.messages import MessageRow
from smsgw.store.progress import RANK
from smsgw.store.schema import batch as table
from smsgw.store.schema import batch_range, message
from smsgw.store.statements import insert_rows

RANGE = 1000
"""Messages that are counted together."""

MESSAGES_MAX = 1_000_000
"""The most messages of one batch."""


class BatchRow(msgspec.Struct, gc=False):
    """A row of ``batch``; the fields are its columns, in their order."""

    id: int
    account: str
    reference: str
    text: str
    message_class: str
    expects_reply: bool
    send_at: int | None
    valid_for: int
    messages: int
    created_at: int
    canceled_at: int | None = None


class Range(NamedTuple):
    """The ids of some of a batch's messages: of one node, from the first to the last."""

    first_id: int
    last_id: int


class Tally(msgspec.Struct):
    """What messages came to.

    Attributes:
        counts: Status to how many have it.
        first_final_at: When the first one came to an end (ms).
        last_final_at: When the last one so far did.
    """

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    first_final_at: int | None = None
    last_final_at: int | None = None

    @property
    def finished(self) -> int:
        """How many came to an end."""
        return sum(count for status, count in self.counts.items() if RANK[status] == FINAL_RANK)

    def add(self, other: Tally) -> None:
        """Count others as well."""
        self.counts = dict(Counter(self.counts) + Counter(other.counts))
        firsts = [one for one in (self.first_final_at, other.first_final_at) if one is not None]
        lasts = [one for one in (self.last_final_at, other.last_final_at) if one is not None]
        self.first_final_at = min(firsts, default=None)
        self.last_final_at = max(lasts, default=None)


class Progress(NamedTuple):
    """A batch, what its messages came to, and tallies that will not change any more."""

    row: BatchRow
    tally: Tally
    settled: list[tuple[int, str]]


_decode = msgspec.json.Decoder(Tally).decode


def insert(connection: Connection, row: BatchRow, ids: Sequence[int]) -> None:
    """Insert a batch; ``ids`` are its messages', made in one go: so many it has."""
    row.messages = len(ids)
    insert_rows(connection, table, [msgspec.structs.astuple(row)])
    _insert_ranges(connection, row.id, ids)


def extend(connection: Connection, row: BatchRow, ids: Sequence[int]) -> None:
    """Add messages to a batch.

    Raises:
        Conflict: It was canceled, or would have too many.
    """
    changed = connection.execute(
        update(table)
        .where(
            table.c.id == row.id,
            table.c.canceled_at.is_(None),
            table.c.messages + len(ids) <= MESSAGES_MAX,
        )
        .values(messages=table.c.messages + len(ids))
    )
    if changed.rowcount != 1:
        found = find(connection, row.account, row.id)
        if found.canceled_at is not None:
            raise Conflict(f"batch {row.id} was canceled; make another one")
        raise Conflict(
            f"batch {row.id} has {found.messages} messages and would have {len(ids)} more, "
            f"limit {MESSAGES_MAX}; make another one"
        )
    _insert_ranges(connection, row.id, ids)


def _insert_ranges(connection: Connection, batch_id: int, ids: Sequence[int]) -> None:
    pieces = [ids[start : start + RANGE] for start in range(0, len(ids), RANGE)]
    rows = [(batch_id, piece[0], piece[-1], "") for piece in pieces]
    insert_rows(connection, batch_range, rows)


def find(connection: Connection, account: str, batch_id: int) -> BatchRow:
    """Return a batch.

    Raises:
        NotFound: There is none, or it is another account's.
    """
    query = select(table).where(table.c.id == batch_id, table.c.account == account)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"batch {batch_id}: not recorded")
    return BatchRow(*row)


def page(
    connection: Connection, account: str, before: int | None = None, limit: int = 50
) -> list[BatchRow]:
    """Return an account's batches, newest first; ``before`` is the last id of the page before."""
    query = select(table).where(table.c.account == account).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [BatchRow(*row) for row in connection.execute(query)]


def cancel(connection: Connection, account: str, batch_id: int, now_ms: int) -> BatchRow:
    """Note that a batch was canceled: it takes no more messages; return it as it is then.

    Raises:
        NotFound: There is none, or it is another account's.
    """
    open_ = (table.c.id == batch_id, table.c.account == account, table.c.canceled_at.is_(None))
    connection.execute(update(table).where(*open_).values(canceled_at=now_ms))
    return find(connection, account, batch_id)


def unfinished(connection: Connection, batch_id: int) -> list[Range]:
    """Return the ranges in which some messages may not have come to an end, oldest first."""
    where = (batch_range.c.batch_id == batch_id, batch_range.c.tally == "")
    query = select(batch_range.c.first_id, batch_range.c.last_id).where(*where)
    return [Range(*row) for row in connection.execute(query.order_by(batch_range.c.first_id))]


def progress(connection: Connection, account: str, batch_id: int) -> Progress:
    """Return a batch and what its messages came to.

    Raises:
        NotFound: There is none, or it is another account's.
    """
    row, total = find(connection, account, batch_id), Tally()
    kept = select(batch_range.c.tally).where(
        batch_range.c.batch_id == batch_id, batch_range.c.tally != ""
    )
    for (written,) in connection.execute(kept):
        total.add(_decode(written))
    settled: list[tuple[int, str]] = []
    for one in unfinished(connection, batch_id):
        counted = _count(connection, account, one)
        total.add(counted)
        if counted.finished == sum(counted.counts.values()):
            settled.append((one.first_id, msgspec.json.encode(counted).decode()))
    return Progress(row, total, settled)


def keep(connection: Connection, batch_id: int, settled: Sequence[tuple[int, str]]) -> None:
    """Keep the tallies of ranges all of whose messages came to an end."""
    for first_id, tally in settled:
        one = (batch_range.c.batch_id == batch_id, batch_range.c.first_id == first_id)
        connection.execute(update(batch_range).where(*one).values(tally=tally))


def _count(connection: Connection, account: str, one: Range) -> Tally:
    now = (
        select(messages.STATUS.element.label("now"), message.c.final_at)
        .where(message.c.account == account, messages.made_together(*one))
        .subquery()
    )
    ends = func.min(now.c.final_at), func.max(now.c.final_at)
    query = select(now.c.now, func.count(), *ends).group_by(now.c.now)
    tally = Tally()
    for status, count, first, last in connection.execute(query):
        tally.add(Tally({status: count}, first, last))
    return tally


def messages_page(
    connection: Connection,
    account: str,
    batch_id: int,
    *,
    before: int | None = None,
    recipient: str | None = None,
    status: str | None = None,
    limit: int = 50,
) -> list[MessageRow]:
    """Return a batch's messages, newest first; ``before`` is the id of the last one of a page."""
    found: list[MessageRow] = []
    for one in _ranges_before(connection, batch_id, before):
        found += messages.page(
            connection,
            before=before,
            account=account,
            recipient=recipient,
            status=status,
            within=one,
            limit=limit - len(found),
        )
        if len(found) == limit:
            break
    return found


def _ranges_before(connection: Connection, batch_id: int, before: int | None) -> Iterator[Range]:
    query = select(batch_range.c.first_id, batch_range.c.last_id)
    query = query.where(batch_range.c.batch_id == batch_id)
    if before is not None:
        query = query.where(batch_range.c.first_id < before)
    for row in connection.execute(query.order_by(batch_range.c.first_id.desc())).all():
        yield Range(*row)
