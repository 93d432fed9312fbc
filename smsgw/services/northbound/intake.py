"""What customers submit: checked, joined where it is long, recorded, and only then answered.

The submits of one turn of the reactor are recorded together. A message that stands alone is known
to its customer by its own id; each part of a long one has an id of its own, and so has each
recipient: they follow the first one's. Reports are owed under those ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.errors import Overloaded, StoreError, ValidationError
from smsgw.model import Event, Segment
from smsgw.protocols.carrier import ResultKind
from smsgw.services.northbound.customer import Customer
from smsgw.services.northbound.joining import Group, Joining
from smsgw.services.northbound.reading import (
    FAILURE_REPORT,
    Wanted,
    kind_of,
    problem_of,
    read,
    text_of,
)
from smsgw.services.northbound.times import read_time
from smsgw.services.submission import DAY_SECONDS, Outgoing, Plan, Submission
from smsgw.store import customers as rows_of
from smsgw.store.customers import KEEP_PARTS, SUBMIT, UNFINISHED, Submitted, SubmittedPart
from smsgw.store.database import Database

EXPIRED, REJECTED = "EXPIRED", "REJECTD"


class Answer(NamedTuple):
    """What a submit is answered.

    Attributes:
        kind: OK, or what is wrong with it.
        id: The id its reports will name; 0 when it was refused.
        problem: What is wrong, for the log.
    """

    kind: ResultKind
    id: int = 0
    problem: str = ""


class _Work(msgspec.Struct):
    """What becomes of some submits when they are recorded; places are theirs in the batch."""

    ids: dict[int, int]
    submitted: Submitted
    plans: list[Plan]
    group: Group | None = None


class _Batch:
    """The submits of a customer that came together."""

    def __init__(self, count: int, lost: Callable[[], bool]) -> None:
        self.lost = lost
        self.answers: list[Answer | None] = [None] * count
        self.work: list[_Work] = []
        self.kept: dict[int, SubmittedPart] = {}  # by place

    def refuse(self, place: int, kind: ResultKind, problem: str) -> None:
        self.answers[place] = Answer(kind, 0, problem)


class Intake:
    """Takes the submits of all customers.

    Args:
        customers: All of them.
        database: Open.
        submission: Composes messages and sends them.
        reactor: Its clock and timers.
    """

    log = Logger()

    def __init__(
        self,
        customers: Sequence[Customer],
        database: Database,
        submission: Submission,
        reactor: IReactorTime,
    ) -> None:
        self._customers = {one.name: one for one in customers}
        self._database = database
        self._submission = submission
        self._reactor = reactor
        self._joining = Joining(self._give_up)
        self._timer: IDelayedCall | None = None
        self._stopped = False

    async def start(self) -> None:
        """Take up the parts that the last run left."""
        after = 0
        while True:
            find = partial(rows_of.parts, customers=list(self._customers), after=after)
            parts = await self._database.read(find)
            for part in parts:
                try:
                    self._joining.add(part, part.received_at / 1000)
                except Overloaded as error:  # the limit was higher when they were taken
                    self.log.warn(
                        "customer {customer}: {why}",
                        event="customer.part_dropped",
                        customer=part.customer,
                        why=str(error),
                    )
            if not parts:
                break
            after = parts[-1].id
        self._arm()

    def adopt(self, customers: Sequence[Customer]) -> None:
        """Have these customers too, and others' terms; what one that is gone left is finished."""
        self._customers.update((one.name, one) for one in customers)

    def stop(self) -> None:
        """Stop the timer. What waits is in the store."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def take(
        self,
        customer: Customer,
        submits: Sequence[Sequence[Segment]],
        lost: Callable[[], bool] = lambda: False,
    ) -> Deferred[list[Answer]]:
        """Take submits; fires when they are durable.

        Args:
            customer: Whose.
            submits: Each has a segment for each recipient.
            lost: Whether the connection they came over broke, so that no answer may have arrived.
        """
        return Deferred.fromCoroutine(self._take(customer, submits, lost))

    async def _take(
        self,
        customer: Customer,
        submits: Sequence[Sequence[Segment]],
        lost: Callable[[], bool],
    ) -> list[Answer]:
        batch = _Batch(len(submits), lost)
        for place, segments in enumerate(submits):
            try:
                self._one(customer, batch, place, read(customer, segments))
            except ValidationError as error:
                batch.refuse(place, kind_of(error), problem_of(error))
            except Overloaded as error:
                batch.refuse(place, ResultKind.QUOTA, str(error))
        await self._commit(batch)
        self._arm()
        return [answer or Answer(ResultKind.TEMPORARY) for answer in batch.answers]

    def _one(self, customer: Customer, batch: _Batch, place: int, wanted: Wanted) -> None:
        if wanted.total > 1:
            self._part(customer, batch, place, wanted)
            return
        ids = self._ids(len(wanted.recipients))
        text = text_of([(wanted.coding, wanted.body)], customer.carrier.family)
        plans = self._compose(customer, wanted, text, ids, bool(wanted.report))
        only_failures = wanted.report == FAILURE_REPORT
        awaited = [(i, customer.name, i, only_failures) for i in ids] if wanted.report else []
        submitted = Submitted(self._submission.stored(plans), awaited)
        batch.work.append(_Work({place: ids[0]}, submitted, plans))

    def _compose(
        self, customer: Customer, wanted: Wanted, text: str, ids: list[int], want_report: bool
    ) -> list[Plan]:
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        send_at = read_time(wanted.at_time, "at_time", now) if wanted.at_time else None
        valid_for = float(DAY_SECONDS)
        if wanted.valid_time:
            until = read_time(wanted.valid_time, "valid_time", send_at or now)
            valid_for = (until - (send_at or now)).total_seconds()
        outgoing = [
            Outgoing(
                account=customer.account,
                to=recipient,
                text=text,
                message_class=customer.message_class,
                send_at=send_at,
                valid_for=valid_for,
                extension=wanted.extension,
                access_number=customer.access_number,
                want_report=want_report,
            )
            for recipient in wanted.recipients
        ]
        return self._submission.compose(outgoing, ids)

    def _ids(self, count: int) -> list[int]:
        """Return ids without a gap: a customer counts on from the first recipient's."""
        while True:
            ids = self._database.ids.take(count)
            if ids[-1] - ids[0] == count - 1:
                return ids

    # ---- long messages -------------------------------------------------------------------

    def _part(self, customer: Customer, batch: _Batch, place: int, wanted: Wanted) -> None:
        now = self._reactor.seconds()
        part = SubmittedPart(
            id=self._ids(len(wanted.recipients))[0],
            customer=customer.name,
            source=wanted.source,
            recipients=" ".join(wanted.recipients),
            reference=wanted.reference,
            total=wanted.total,
            sequence=wanted.sequence,
            coding=wanted.coding,
            content=wanted.body,
            report=wanted.report,
            received_at=int(now * 1000),
        )
        known = self._joining.known(part, now)
        if known is not None:
            part.id, is_joined = known
            if is_joined:
                batch.answers[place] = Answer(ResultKind.OK, part.id)
            else:
                batch.kept[place] = part
            return
        group = self._joining.add(part, now)
        if not group.is_whole:
            batch.kept[place] = part
            return
        try:
            batch.work.append(self._join(customer, group, wanted, batch, place))
        except Overloaded:
            self._joining.remove(part)
            raise
        except ValidationError as error:
            self._refuse(batch, group, part, error)
            raise
        self._joining.close(group)

    def _join(
        self,
        customer: Customer,
        group: Group,
        wanted: Wanted,
        batch: _Batch,
        place: int,
        stored: Sequence[int] | None = None,
    ) -> _Work:
        """Make messages of a group whose last part is in the batch, or all of it ``stored``."""
        rows = group.rows
        text = text_of([(one.coding, one.content) for one in rows], customer.carrier.family)
        ids = self._ids(len(wanted.recipients))
        plans = self._compose(customer, wanted, text, ids, any(one.report for one in rows))
        awaited = [
            (one.id + index, customer.name, message_id, one.report == FAILURE_REPORT)
            for one in rows
            if one.report
            for index, message_id in enumerate(ids)
        ]
        places = {place: group.parts[wanted.sequence].id}
        members = {one.id for one in rows}
        for other in [p for p, part in batch.kept.items() if part.id in members]:
            places[other] = batch.kept.pop(other).id
        fresh = set(places.values())
        if stored is None:
            stored = [one.id for one in rows if one.id not in fresh]
        submitted = Submitted(self._submission.stored(plans), awaited, stored)
        return _Work(places, submitted, plans, group)

    def _find_others(self, part: SubmittedPart) -> None:
        """Join a message whose other parts another process has taken."""
        found = self._database.read(partial(rows_of.beside, part=part))
        found.addCallback(partial(self._found, part))
        found.addErrback(partial(log_failure, self.log))

    def _found(self, part: SubmittedPart, others: Sequence[SubmittedPart]) -> Deferred[None] | None:
        group = self._joining.complete(part, others)
        if group is None:
            return None
        customer, batch = self._customers[part.customer], _Batch(1, lambda: False)
        wanted = Wanted(
            part.source,
            customer.extension_of(part.source),
            tuple(part.recipients.split()),
            part.coding,
            part.content,
            part.reference,
            part.total,
            part.sequence,
            part.report,
            "",
            "",
        )
        try:
            work = self._join(customer, group, wanted, batch, 0, [one.id for one in group.rows])
        except ValidationError as error:
            self._give_up(group, problem_of(error), REJECTED)
            return None
        except Overloaded:
            self._joining.reopen(group.rows, group.first_at)
            return None
        batch.work.append(work)
        return Deferred.fromCoroutine(self._commit(batch))

    def _refuse(
        self, batch: _Batch, group: Group, last: SubmittedPart, error: ValidationError
    ) -> None:
        """Give up a message that cannot be sent: who was answered gets a report on it."""
        self._joining.close(group)
        group.parts.pop(last.sequence)
        for place, part in list(batch.kept.items()):
            if group.parts.get(part.sequence) is part:
                del batch.kept[place], group.parts[part.sequence]
                batch.refuse(place, kind_of(error), problem_of(error))
        if group.parts:
            self._give_up(group, problem_of(error), REJECTED)

    def _give_up(self, group: Group, why: str, stat: str = EXPIRED) -> None:
        """Forget the parts of a message that is not sent; reports tell those who want any."""
        customer, source, recipients, _, total = group.key
        to = recipients.split()
        reports = [
            (str(one.id + index), phone)
            for one in group.rows
            if one.report
            for index, phone in enumerate(to)
        ]
        data = {
            "customer": customer,
            "source": source,
            "stat": stat,
            "reason": why,
            "parts": len(group.parts),
            "total": total,
            "reports": reports,
        }
        ids = [one.id for one in group.rows]
        account = self._customers[customer].account
        event = Event(UNFINISHED, ids[0], account, data, at=int(self._reactor.seconds() * 1000))
        told = "customer {customer}: a long message is not sent: {why}"
        self.log.warn(told, event="customer.message_unfinished", customer=customer, why=why)
        give_up = partial(rows_of.give_up_parts, ids=ids, event=event)
        self._database.writer.run(give_up).addErrback(partial(log_failure, self.log))

    def _arm(self) -> None:
        """Have one timer, for the oldest message."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        due = self._joining.due
        if due is not None and not self._stopped:
            wait = max(0.0, due - self._reactor.seconds())
            self._timer = self._reactor.callLater(wait, self._expire)

    def _expire(self) -> None:
        self._joining.expire(self._reactor.seconds())
        self._arm()

    # ---- recording -----------------------------------------------------------------------

    async def _commit(self, batch: _Batch) -> None:
        """Record what the batch came to, and answer by what became of that."""
        writer = self._database.writer
        keeping = writer.batch(KEEP_PARTS, list(batch.kept.values())) if batch.kept else None
        if batch.work:
            submitting = writer.batch(SUBMIT, [one.submitted for one in batch.work])
            await self._submitted(batch, submitting)
        if keeping is not None:
            await self._kept(batch, keeping)

    async def _submitted(self, batch: _Batch, submitting: Deferred[list[bool]]) -> None:
        try:
            results = await submitting
        except StoreError as error:
            told = "submits of a customer were not recorded: {why}"
            self.log.warn(told, event="customer.submits_not_kept", why=str(error))
            results = [False] * len(batch.work)
            for one in batch.work:
                if one.group is not None:
                    stored = [p for p in one.group.rows if p.id in one.submitted.part_ids]
                    self._joining.reopen(stored, one.group.first_at)
        done = [one for one, is_done in zip(batch.work, results, strict=True) if is_done]
        self._submission.send_off([plan for one in done for plan in one.plans])
        for one, is_done in zip(batch.work, results, strict=True):
            if is_done and one.group is not None:
                self._joining.remember(one.group, self._reactor.seconds(), batch.lost)
            for place, given in one.ids.items():
                if is_done:
                    batch.answers[place] = Answer(ResultKind.OK, given)
                else:
                    batch.refuse(place, ResultKind.TEMPORARY, "it could not be recorded")

    async def _kept(self, batch: _Batch, keeping: Deferred[list[None]]) -> None:
        try:
            await keeping
        except StoreError as error:
            told = "parts of a customer were not recorded: {why}"
            self.log.warn(told, event="customer.submits_not_kept", why=str(error))
            for place, part in batch.kept.items():
                self._joining.remove(part)
                batch.refuse(place, ResultKind.TEMPORARY, str(error))
        else:
            for place, part in batch.kept.items():
                batch.answers[place] = Answer(ResultKind.OK, part.id)
                if self._database.presence is not None:
                    self._find_others(part)
