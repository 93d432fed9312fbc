"""Rows that are deleted when they are old: kinds of :mod:`smsgw.store.purge` that leave nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    Table,
    case,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)

from smsgw.store import audit, holds, purge, schema
from smsgw.store.audit import Entry
from smsgw.store.holds import Held
from smsgw.store.purge import ROWS_MAX, Kind, Progress, Purged, Window
from smsgw.store.redeliveries import DEAD
from smsgw.store.schema import message


class Deleted(Kind):
    """Rows that are deleted as they are.

    Args:
        name: As of any kind.
        table: Likewise.
        ended: When one ended, in milliseconds; None: its id says when.
        phones: Its phones, which may be on hold.
        account: Its account, likewise.
        children: The columns of other tables by which their rows belong to one.
    """

    def __init__(
        self,
        name: str,
        table: Table,
        *,
        ended: SQLColumnExpression[int] | None = None,
        phones: Sequence[Column[str]] = (),
        account: Column[str] | None = None,
        children: Sequence[Column[int]] = (),
    ) -> None:
        super().__init__(name, table)
        self._children = children
        self._ended = ended
        self._phones = phones
        self._account = account

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it ended before."""
        return true() if self._ended is None else self._ended <= at

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Delete them."""
        key, is_held = self.table.c.id, self._is_held(holds.held(connection, now))
        due = select(key).where(key.in_(ids), self.is_due(at), ~is_held)
        found = list(connection.execute(due).scalars())
        for child in self._children:
            connection.execute(delete(child.table).where(child.in_(found)))
        return Purged(connection.execute(delete(self.table).where(key.in_(found))).rowcount)

    def _is_held(self, held: Held) -> ColumnElement[bool]:
        found = false() if self._account is None else held.account(self._account)
        return or_(found, *map(held.phone, self._phones))


class Events(Deleted):
    """Events: what subscribers have had, or had the time to."""

    def __init__(self) -> None:
        super().__init__("event", schema.event, account=schema.event.c.account)

    def _is_held(self, held: Held) -> ColumnElement[bool]:
        row, sent = schema.event.c, message.c
        found = super()._is_held(held) | held.request(row.subject_id)
        for phone in held.phones:
            to = select(1).where(sent.id == row.subject_id, sent.recipient == phone)
            found |= row.data.contains(phone) | exists(to)
        return found


class AwaitedReports(Deleted):
    """Reports that customers would have had, of messages that came to an end without them."""

    def __init__(self) -> None:
        super().__init__("awaited_report", schema.awaited_report)

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether its message has come to an end."""
        sent = message.c
        of = schema.awaited_report.c.message_id
        return ~exists(select(1).where(sent.id == of, sent.final_at.is_(None)))


class Keyed(Kind):
    """Rows without an id of their own, few enough to be looked for all at once."""

    def __init__(
        self, name: str, table: Table, ended: Column[int], phone: Column[str] | None = None
    ) -> None:
        super().__init__(name, table)
        self._ended = ended
        self._phone = phone

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether it ended before."""
        return self._ended <= at

    def window(self, connection: Connection, after: int, until: int, at: int) -> Window:
        """Say whether there are any; the walk has one step."""
        found = connection.execute(select(1).where(self.is_due(at)).limit(1)).scalar()
        return Window(until, [until]) if found and after < until else Window(None, [])

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Delete some of them."""
        held = holds.held(connection, now)
        keys = self.table.primary_key.columns
        kept = false() if self._phone is None else held.phone(self._phone)
        some = select(*keys).where(self.is_due(at), ~kept).limit(ROWS_MAX)
        chosen = [tuple(row) for row in connection.execute(some)]
        if not chosen:
            return Purged(0)
        gone = delete(self.table).where(tuple_(*keys).in_(chosen))
        return Purged(connection.execute(gone).rowcount, more=True)


class Records(Kind):
    """Rows whose texts are purged, with all that belongs to them.

    An entry of the audit chain says first up to which id they may be gone.

    Args:
        table: ``message`` or ``inbound``.
        is_purged: Whether its texts are.
        children: The columns of other tables by which their rows belong to one.
    """

    def __init__(
        self, table: Table, is_purged: ColumnElement[bool], children: Sequence[Column[int]]
    ) -> None:
        super().__init__(f"{table.name}_row", table)
        self._is_purged = is_purged
        self._children = children

    def is_due(self, at: int) -> ColumnElement[bool]:
        """Whether its text is gone."""
        return self._is_purged

    def purge(
        self, connection: Connection, ids: Sequence[int], at: int, now: int, until: int
    ) -> Purged:
        """Delete them."""
        row, held = self.table.c, holds.held(connection, now)
        due = select(row.id).where(row.id.in_(ids), self._is_purged, ~held.account(row.account))
        found = list(connection.execute(due).scalars())
        if not found:
            return Purged(0)
        self._say(connection, now, until)
        for child in self._children:
            connection.execute(delete(child.table).where(child.in_(found)))
        return Purged(connection.execute(delete(self.table).where(row.id.in_(found))).rowcount)

    def _say(self, connection: Connection, now: int, until: int) -> None:
        """Write the entry, once for each greatest id."""
        name = f"{self.name}_said"
        said = purge.progress(connection, name)
        if said is not None and said.until_id >= until:
            return
        tables = {self.table.name, *(child.table.name for child in self._children)}
        detail = {"until": dict.fromkeys(sorted(tables), until)}
        entry = Entry("gateway", audit.PURGED, "", audit.NOTHING, detail)
        audit.append(connection, now, [entry])
        purge.remember(connection, name, Progress(until, now))


MESSAGE_ROWS = Records(
    message,
    message.c.contents == b"",
    (schema.segment.c.message_id, schema.rerouted.c.message_id),
)
INBOUND_ROWS = Records(
    schema.inbound,
    schema.inbound.c.sender == "",
    (schema.inbound_part.c.inbound_id, schema.inbound_read.c.inbound_id),
)
BATCHES = Deleted(
    "batch",
    schema.batch,
    account=schema.batch.c.account,
    children=(schema.batch_range.c.batch_id,),
)
LISTED = Keyed("listed", schema.listed, schema.listed.c.at, schema.listed.c.phone)
CONVERSATIONS = Deleted(
    "conversation",
    schema.conversation,
    ended=schema.conversation.c.expires_at,
    phones=(schema.conversation.c.phone,),
    account=schema.conversation.c.account,
)
SLOTS = Deleted("slot", schema.slot, ended=schema.slot.c.cools_until, phones=(schema.slot.c.phone,))
STAND_INS = Deleted(
    "stand_in",
    schema.stand_in,
    ended=func.coalesce(schema.stand_in.c.ended_at, schema.stand_in.c.until_at),
    phones=(schema.stand_in.c.phone, schema.stand_in.c.other_phone),
    account=schema.stand_in.c.account,
)
DEAD_LETTERS = Deleted(
    "dead_letter",
    schema.redelivery,
    # What is being replayed is not over, however long ago it died.
    ended=case((schema.redelivery.c.state == DEAD, schema.redelivery.c.at)),
)
DELIVERIES = Deleted(
    "customer_delivery", schema.customer_delivery, ended=schema.customer_delivery.c.created_at
)
