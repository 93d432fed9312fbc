"""Batches: one text to many, each recipient with variables of their own; progress and canceling.

Rules: a batch is accepted whole or not at all, in one commit with its Idempotency-Key; only who
opted out is left out, and the answer says who. It is planned in slices, so that nobody waits for a
long one. What of it waits can be canceled, in pieces: a call that is broken off goes on where it is
made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from smsgw.errors import Conflict, OptedOut, Overloaded, ValidationError
from smsgw.model import MessageClass
from smsgw.services.batch_counts import BatchCounts, Count
from smsgw.services.queries import batch_json, progress_json
from smsgw.services.schedule import send_time
from smsgw.services.submission import (
    DAY_SECONDS,
    WRITER_RETRY_SECONDS,
    Outgoing,
    Plan,
    Submission,
    check_parts,
)
from smsgw.store import batches, idempotency, messages, unsent
from smsgw.store.batches import BatchRow, Range
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.messages import AcceptedMessage, QueueRow
from smsgw.store.progress import StatusChange
from smsgw.text.template import Template

if TYPE_CHECKING:
    from sqlalchemy import Connection

RECIPIENTS_MAX = 10_000
"""Recipients of one call."""

SLICE = 250
"""Messages that are planned in one go: a few milliseconds."""

WAITING_MAX = 16
"""Batches of more than one slice that wait for another one of those; no more are taken."""

CANCEL_SECONDS = 5.0
"""After so long a call that cancels is answered; another one goes on."""

_OF_THE_RECIPIENT = ("to", "text")

Json = dict[str, Any]


class NewBatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all messages of a batch have in common.

    Attributes:
        text: With ``{name}`` where a recipient's variable stands; ``{{`` and ``}}`` are braces.
        message_class: How urgent they are.
        reference: The customer's own, for those that have none of their own.
        send_at: When to send them, with its zone; None for at once.
        valid_for: Seconds after which they need not be sent any more, from ``send_at`` on; None for
            the default.
        expects_reply: Their replies must find back.
    """

    text: str
    message_class: MessageClass = MessageClass.NOTICE
    reference: str = ""
    send_at: datetime | None = None
    valid_for: float | None = None
    expects_reply: bool = False


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """Who gets a message of a batch.

    Attributes:
        to: The phone, as the customer writes it.
        reference: The customer's own; "" for the batch's.
        variables: What stands for the names in the text.
    """

    to: str
    reference: str = ""
    variables: Mapping[str, str | int] = {}


class Taken(NamedTuple):
    """What became of recipients that were given.

    Attributes:
        id: Of their batch.
        accepted: How many are sent a message.
        opted_out: Places of those who are not, since they opted out, in order.
    """

    id: int
    accepted: int
    opted_out: list[int]


class Batches:
    """Takes batches, and tells how far they are.

    Args:
        database: Open.
        submission: Plans and sends the messages.
        clock: Its time and timers.
        canceled: Told of messages that were ended.
    """

    def __init__(
        self,
        database: Database,
        submission: Submission,
        clock: IReactorTime,
        canceled: Callable[[list[StatusChange]], None] = lambda changes: None,
    ) -> None:
        self._database = database
        self._submission = submission
        self._clock = clock
        self._canceled = canceled
        self._turn = DeferredLock()
        self._counts = BatchCounts(database, clock)

    # ---- sending -------------------------------------------------------------------------

    async def create(
        self,
        account: str,
        new: NewBatch,
        recipients: Sequence[Recipient],
        once: Once[Taken] | None = None,
    ) -> Taken:
        """Accept a batch, all or nothing but who opted out; returns once it is durable.

        What ``once`` makes of that is recorded in the same commit.

        Raises:
            ValidationError: Its field is a path such as ``recipients[3].variables.name``.
            Overloaded: More waits already than is taken; try again after its ``retry_after``.
        """
        now = self._now()
        at = None if new.send_at is None else send_time(new.send_at, now)
        valid_for = DAY_SECONDS if new.valid_for is None else new.valid_for
        row = BatchRow(
            id=self._database.ids.next(),
            account=account,
            reference=new.reference,
            text=new.text,
            message_class=str(new.message_class),
            expects_reply=new.expects_reply,
            send_at=at if at is not None and at > now else None,
            valid_for=int(valid_for * 1000),
            messages=0,  # as many as are accepted
            created_at=now,
        )
        return await self._accept(row, recipients, batches.insert, once)

    async def extend(
        self,
        account: str,
        batch_id: int,
        recipients: Sequence[Recipient],
        once: Once[Taken] | None = None,
    ) -> Taken:
        """Add recipients to a batch, all or none but who opted out; others stay as they are.

        What its ``send_at`` has passed by now is sent at once.

        Raises:
            NotFound: No such batch, or it is another account's.
            Conflict: It was canceled, is so old that its text was purged, or would have too many
                messages.
            ValidationError: As of :meth:`create`.
            Overloaded: As of :meth:`create`.
        """
        row = await self._database.read(partial(batches.find, account=account, batch_id=batch_id))
        if not row.text:
            raise Conflict(f"batch {row.id} is old and its text was purged; make another one")
        return await self._accept(row, recipients, batches.extend, once)

    async def _accept(
        self,
        row: BatchRow,
        recipients: Sequence[Recipient],
        record: Callable[[Connection, BatchRow, Sequence[int]], None],
        once: Once[Taken] | None,
    ) -> Taken:
        """Take a batch; of long ones, which are large in memory, one at a time."""
        is_long = len(recipients) > SLICE
        if is_long:
            await self._my_turn()
        try:
            plans, rows, opted_out = await self._planned(row, recipients)
            ids = [plan.message.id for plan in plans]
            taken = Taken(row.id, len(plans), opted_out)

            def store(connection: Connection) -> None:
                remember(connection, once, taken)
                record(connection, row, ids)
                messages.insert(connection, rows)

            await self._database.writer.run(store, sum(plan.message.parts for plan in plans))
            self._submission.send_off(plans)
        finally:
            if is_long:
                self._turn.release()
        return taken

    async def _my_turn(self) -> None:
        if len(self._turn.waiting) >= WAITING_MAX:
            problem = f"{WAITING_MAX} long batches wait already to be taken"
            raise Overloaded(problem, WRITER_RETRY_SECONDS)
        await self._turn.acquire()

    async def _planned(
        self, row: BatchRow, recipients: Sequence[Recipient]
    ) -> tuple[list[Plan], list[AcceptedMessage], list[int]]:
        """Return what is to be sent, what is to be stored of it, and who is left out."""
        if not 1 <= len(recipients) <= RECIPIENTS_MAX:
            problem = f"{len(recipients)} recipients, allowed 1 to {RECIPIENTS_MAX} at a time"
            raise ValidationError("recipients", problem)
        template = Template(row.text)
        plain = "" if template.names else template.fill({})
        parts = 0
        ids = self._database.ids.take(len(recipients))
        plans: list[Plan] = []
        rows: list[AcceptedMessage] = []
        opted_out: list[int] = []
        for start in range(0, len(recipients), SLICE):
            if start:  # others get their turn
                await deferLater(self._clock, 0)
            outgoing = [
                self._outgoing(row, one, template, plain, place)
                for place, one in enumerate(recipients[start : start + SLICE], start)
            ]
            planned = self._composed(
                outgoing, ids[start : start + SLICE], start, not plain, opted_out
            )
            parts += sum(plan.message.parts for plan in planned)
            check_parts("recipients", parts)
            plans += planned
            rows += self._submission.stored(planned)
        if not plans:
            problem = f"all {len(recipients)} opted out of {row.message_class} messages; see"
            raise ValidationError("recipients", f"{problem} /v1/opt-outs")
        return plans, rows, opted_out

    def _outgoing(
        self, row: BatchRow, one: Recipient, template: Template, plain: str, place: int
    ) -> Outgoing:
        try:
            template.check(one.variables)
            variables = {name: str(one.variables[name]) for name in template.names}
            text = plain or template.fill(variables)
        except ValidationError as error:
            raise ValidationError(f"recipients[{place}].{error.field}", error.problem) from None
        late = row.send_at is None or row.send_at <= self._now()
        return Outgoing(
            account=row.account,
            to=one.to,
            text=text,
            message_class=MessageClass(row.message_class),
            reference=one.reference or row.reference,
            send_at=None if late else datetime.fromtimestamp((row.send_at or 0) / 1000, UTC),
            valid_for=row.valid_for / 1000,
            expects_reply=row.expects_reply,
        )

    def _composed(
        self,
        outgoing: Sequence[Outgoing],
        ids: Sequence[int],
        start: int,
        own_text: bool,
        opted_out: list[int],
    ) -> list[Plan]:
        """Plan a slice without who opted out; the error of one that cannot be sent names it."""
        try:
            return self._submission.compose(outgoing, ids)
        except ValidationError:
            plans: list[Plan] = []
            for place, (one, message_id) in enumerate(zip(outgoing, ids, strict=True), start):
                try:
                    plans += self._submission.compose([one], [message_id])
                except OptedOut:
                    opted_out.append(place)
                except ValidationError as error:
                    of_one = error.field in _OF_THE_RECIPIENT and (own_text or error.field == "to")
                    path = f"recipients[{place}].{error.field}" if of_one else error.field
                    raise ValidationError(path, error.problem) from None
            return plans

    # ---- looking -------------------------------------------------------------------------

    def find(self, account: str, batch_id: int) -> Deferred[Json]:
        """Return a batch without its progress, or fail with NotFound."""
        look = partial(batches.find, account=account, batch_id=batch_id)
        return self._database.read(lambda connection: batch_json(look(connection)))

    async def show(self, account: str, batch_id: int) -> Json:
        """Return a batch and how far it is, or was when it was counted.

        Raises:
            NotFound: No such batch, or it is another account's.
        """
        return _counted_json(await self._counts.of(account, batch_id))

    def list(self, account: str, *, before: int | None, limit: int) -> Deferred[list[Json]]:
        """Return batches, newest first, without their progress."""
        look = partial(batches.page, account=account, before=before, limit=limit)
        return self._database.read(lambda connection: [batch_json(one) for one in look(connection)])

    # ---- canceling -----------------------------------------------------------------------

    async def cancel(self, account: str, batch_id: int, once: Once[Json] | None = None) -> Json:
        """End all of a batch that nothing was sent of; it takes no more recipients.

        What ``once`` makes of how far it has come is recorded in each of its commits: broken off
        it has told, as when it takes too long, that there is more.

        Returns:
            The batch, how many messages were ``canceled`` now, and whether there may be ``more``:
            then call it again. When there is not, how far it is as well.

        Raises:
            NotFound: No such batch, or it is another account's.
        """
        canceled, writer = _Canceled(account, batch_id, once), self._database.writer
        await writer.run(partial(canceled.begin, now_ms=self._now()))
        ranges = await self._database.read(partial(batches.unfinished, batch_id=batch_id))
        if await self._cancel_all(canceled, ranges):
            return canceled.so_far
        found = _counted_json(await self._counts.now(account, batch_id))
        shown = found | {"canceled": canceled.count, "more": False}
        if once is not None:
            await writer.run(partial(idempotency.put, row=once(shown)))
        return shown

    async def _cancel_all(self, canceled: _Canceled, ranges: Sequence[Range]) -> bool:
        """End what waits, also of what changes its link meanwhile, for :data:`CANCEL_SECONDS`.

        Returns whether there may be more.
        """
        end = self._clock.seconds() + CANCEL_SECONDS
        while True:
            links, before = await self._database.read(unsent.links_waited_for), canceled.count
            for one in ranges if links else ():
                found = await self._cancel(canceled, links, one)
                if found and self._clock.seconds() >= end:  # so each call gets further
                    return True
            if canceled.count == before:
                return False

    async def _cancel(self, canceled: _Canceled, links: Sequence[str], one: Range) -> int:
        """End what waits of a range; return how many messages that were."""
        find = partial(
            unsent.waiting_between,
            links=links,
            message_class=canceled.row.message_class,
            first_id=one.first_id,
            last_id=one.last_id,
        )
        places = await self._database.read(find)
        if not places:
            return 0
        end = partial(canceled.go_on, places=places, now_ms=self._now())
        changes = await self._database.writer.run(end)
        canceled.count += len(changes)
        self._canceled(changes)
        return len(changes)

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)


def _counted_json(found: Count) -> Json:
    return batch_json(found.row) | progress_json(found.row, found.tally, int(found.at * 1000))


class _Canceled:
    """How far the cancelling of a batch has come, recorded as it goes.

    Attributes:
        row: The batch, once it has begun.
        count: How many messages it has ended, by what is committed.
    """

    row: BatchRow

    def __init__(self, account: str, batch_id: int, once: Once[Json] | None) -> None:
        self.count = 0
        self._account = account
        self._id = batch_id
        self._once = once

    @property
    def so_far(self) -> Json:
        """What a caller hears who has to ask again."""
        return self._told(self.count)

    def begin(self, connection: Connection, now_ms: int) -> None:
        """Have the batch take no more recipients; on the writer's thread."""
        self.row = batches.cancel(connection, self._account, self._id, now_ms)
        self._record(connection, 0)

    def go_on(
        self, connection: Connection, places: Sequence[QueueRow], now_ms: int
    ) -> list[StatusChange]:
        """End what waits there; on the writer's thread."""
        changes = unsent.cancel_all(connection, places, now_ms)
        self._record(connection, self.count + len(changes))
        return changes

    def _record(self, connection: Connection, count: int) -> None:
        if self._once is not None:
            idempotency.put(connection, self._once(self._told(count)))

    def _told(self, count: int) -> Json:
        return batch_json(self.row) | {"canceled": count, "more": True}
