"""Batches: messages to many that were asked for with one text, counted without reading them twice.

A batch's messages have ids that one node made one after the other, in ranges of :data:`RANGE`. Of a
range nothing came of yet only its first message is looked at. The messages of any other are counted
until most have come to an end; then the tally of those is kept with the range, and they are never
looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, case, func, select, text, update

from smsgw.errors import Conflict, NotFound
from smsgw.model import FINAL_RANK
from smsgw.store import messages
from smsgw.store.messages import MessageRow
from smsgw.store.progress import RANK
from smsgw.store.schema import batch as table
from smsgw.store.schema import batch_range, message, segment
from smsgw.store.statements import insert_rows, json_array, spelled

RANGE = 1000
"""Messages that are counted together."""

MOST = 20
"""A tally is kept when no more than one of so many messages has not ended."""

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
        for status, count in other.counts.items():
            self.counts[status] = self.counts.get(status, 0) + count
        first, last = other.first_final_at, other.last_final_at
        if first is not None and (self.first_final_at is None or first < self.first_final_at):
            self.first_final_at = first
        if last is not None and (self.last_final_at is None or last > self.last_final_at):
            self.last_final_at = last


class Uncounted(NamedTuple):
    """A range in which messages are to be counted.

    Attributes:
        range: Which.
        messages: How many it has.
        ended: What those came to whose end is counted already.
        open_ids: The others; None for all of the range.
    """

    range: Range
    messages: int
    ended: Tally
    open_ids: list[int] | None

    @property
    def weight(self) -> int:
        """How many messages are to be looked at."""
        return self.messages if self.open_ids is None else len(self.open_ids)


class Progress(NamedTuple):
    """What is known of a batch without a look at many of its messages.

    Attributes:
        row: It.
        tally: What the messages of most ranges came to.
        uncounted: The other ranges, for :func:`count`, oldest first.
    """

    row: BatchRow
    tally: Tally
    uncounted: list[Uncounted]


class Kept(NamedTuple):
    """What is kept of a range: ends do not change any more.

    Attributes:
        first_id: Which range.
        tally: What its messages came to that have come to an end, as JSON.
        open_ids: The others, as JSON; "" for none.
    """

    first_id: int
    tally: str
    open_ids: str


class Counted(NamedTuple):
    """What the messages of some ranges came to, and what of it is to be kept."""

    tally: Tally
    kept: list[Kept]


_decode = msgspec.json.Decoder(Tally).decode
_decode_ids = msgspec.json.Decoder(list[int]).decode


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
    rows = [(batch_id, piece[0], piece[-1], len(piece), "", "") for piece in pieces]
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
    some = batch_range.c
    where = (some.batch_id == batch_id, (some.tally == "") | (some.open_ids != ""))
    query = select(some.first_id, some.last_id).where(*where)
    return [Range(*row) for row in connection.execute(query.order_by(batch_range.c.first_id))]


def progress(connection: Connection, account: str, batch_id: int) -> Progress:
    """Return a batch, what is known of its messages, and which are to be counted.

    Raises:
        NotFound: There is none, or it is another account's.
    """
    row, total = find(connection, account, batch_id), Tally()
    uncounted: list[Uncounted] = []
    some = batch_range.c
    columns = (some.first_id, some.last_id, some.messages, some.tally, some.open_ids, *_FIRST)
    query = select(*columns).where(some.batch_id == batch_id).order_by(some.first_id)
    for first_id, last_id, number, written, ids, untouched, something in connection.execute(query):
        one, ended = Range(first_id, last_id), _decode(written) if written else Tally()
        if ids:
            uncounted.append(Uncounted(one, number, ended, _decode_ids(ids)))
        elif written:
            total.add(ended)
        elif untouched is not None and (something is None or something > last_id):
            total.add(Tally({untouched: number}))
        else:
            uncounted.append(Uncounted(one, number, ended, None))
    return Progress(row, total, uncounted)


_IS_OPEN = batch_range.c.tally == ""
_FIRST = (
    # The status of the first message as it was accepted, while that has not come to an end.
    case(
        (
            _IS_OPEN,
            select(message.c.status)
            .where(message.c.id == batch_range.c.first_id, message.c.final_at.is_(None))
            .scalar_subquery(),
        )
    ),
    # The first message from there on that something came of. Asked so, it is found by index.
    case(
        (
            _IS_OPEN,
            select(segment.c.message_id)
            .where(segment.c.message_id >= batch_range.c.first_id)
            .order_by(segment.c.message_id)
            .limit(1)
            .scalar_subquery(),
        )
    ),
)


def count(connection: Connection, uncounted: Sequence[Uncounted]) -> Counted:
    """Count the messages of ranges: a few microseconds for each."""
    total = Tally()
    kept: list[Kept] = []
    now = _now(connection, [one for some in uncounted for one in some.open_ids or ()])
    for some in uncounted:
        if some.open_ids is None:
            counted = _tally(connection, some.range)
            total.add(counted)
            kept += _most(connection, some, counted)
            continue
        ended, still_open = some.ended, []
        for one, (status, final_at) in ((one, now[one]) for one in some.open_ids if one in now):
            if final_at is None:
                still_open.append(one)
                total.add(Tally({status: 1}))
            else:
                ended.add(Tally({status: 1}, final_at, final_at))
        total.add(ended)
        if len(still_open) < len(some.open_ids):
            kept.append(_kept(some.range.first_id, ended, still_open))
    return Counted(total, kept)


def _most(connection: Connection, some: Uncounted, counted: Tally) -> Iterator[Kept]:
    """Yield what is to be kept of a range that was counted, if most of it has ended."""
    ends = {status: n for status, n in counted.counts.items() if RANK[status] == FINAL_RANK}
    still_open = sum(counted.counts.values()) - sum(ends.values())
    if still_open * MOST <= some.messages:
        ids = _open(connection, some.range) if still_open else []
        if len(ids) == still_open:  # else more have ended since
            ended = Tally(ends, counted.first_final_at, counted.last_final_at)
            yield _kept(some.range.first_id, ended, ids)


def keep(connection: Connection, batch_id: int, kept: Sequence[Kept]) -> None:
    """Keep what ranges came to."""
    for one in kept:
        where = (batch_range.c.batch_id == batch_id, batch_range.c.first_id == one.first_id)
        values = {"tally": one.tally, "open_ids": one.open_ids}
        connection.execute(update(batch_range).where(*where).values(values))


def _kept(first_id: int, ended: Tally, open_ids: list[int]) -> Kept:
    ids = msgspec.json.encode(open_ids).decode() if open_ids else ""
    return Kept(first_id, msgspec.json.encode(ended).decode(), ids)


def _tally(connection: Connection, one: Range) -> Tally:
    now = (
        select(messages.STATUS.element.label("now"), message.c.final_at)
        .where(messages.made_together(*one))
        .subquery()
    )
    ends = func.min(now.c.final_at), func.max(now.c.final_at)
    query = select(now.c.now, func.count(), *ends).group_by(now.c.now)
    tally = Tally()
    for status, number, first, last in connection.execute(query):
        tally.add(Tally({status: number}, first, last))
    return tally


def _open(connection: Connection, one: Range) -> list[int]:
    """Return the messages that have not come to an end."""
    which = messages.made_together(*one) & message.c.final_at.is_(None)
    return list(connection.execute(select(message.c.id).where(which)).scalars())


def _now(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, int | None]]:
    """Return the statuses of messages, and when they came to an end."""
    if not ids:
        return {}
    named = text(spelled(connection, "message.id IN IDS(:ids)")).bindparams(ids=json_array(ids))
    query = select(message.c.id, messages.STATUS, message.c.final_at).where(named)
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


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
