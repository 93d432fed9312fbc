"""Events made into what customers are to be brought: status reports, and what phones wrote.

Events are read in their order, once; what is made of some is recorded together with how far they
were read. So nothing is lost or made twice, whatever ends this process, and of several processes
each event is some one's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.errors import StoreError
from smsgw.model import Event, MessageStatus, MoMessage, StatusReport
from smsgw.routing.numbers import PrefixMap
from smsgw.services.northbound.customer import Customer
from smsgw.store import customers as rows_of
from smsgw.store.customers import Delivery, Ended, Made, News
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow
from smsgw.text import segmentation
from smsgw.text.charset import choose

EVENTS_MAX = 2000
"""Events looked at in one step."""

PAUSE_SECONDS = 0.05
"""From a commit until its events are read: those of the commits right after it come along."""

POLL_SECONDS = 1.0
"""How often is looked for events that other processes wrote, or that a failure left."""

REPORT, MO = "report", "mo"
Content = StatusReport | MoMessage
_TYPES: dict[str, type[Content]] = {REPORT: StatusReport, MO: MoMessage}

STATS = {
    MessageStatus.DELIVERED: "DELIVRD",
    MessageStatus.UNDELIVERED: "UNDELIV",
    MessageStatus.EXPIRED: "EXPIRED",
    MessageStatus.REJECTED: "REJECTD",
    MessageStatus.CANCELED: "DELETED",
}
"""The words of CMPP and SMPP for how a message ended."""

CARRIER_STAT = re.compile(r"[A-Z]{2}:[0-9A-Za-z]{1,4}")
"""A carrier's own word, which CMPP customers know (MK:0010)."""

ERROR = re.compile(r"[0-9]{1,3}")

TEXT_CHARACTERS = 16_000
"""More is brought as several messages: a long one has 255 parts at most."""

CHINA = timezone(timedelta(hours=8))
_encode = msgspec.msgpack.Encoder().encode


class Relay:
    """Makes deliveries of events.

    Args:
        customers: All of them.
        database: Open.
        reactor: Its clock and timers.
        made: Called with the names of customers that have something new to be brought.
    """

    log = Logger()

    def __init__(
        self,
        customers: Sequence[Customer],
        database: Database,
        reactor: IReactorTime,
        made: Callable[[set[str]], None],
    ) -> None:
        self.adopt(customers)
        self._database = database
        self._reactor = reactor
        self._made = made
        self._position = self._recorded = 0
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._again = self._stopped = False

    def adopt(self, customers: Sequence[Customer]) -> None:
        """Make deliveries for these customers from now on."""
        self._customers = {one.name: one for one in customers}
        self._accounts = sorted({one.account for one in customers})
        numbers = {number: one for one in customers for number in _numbers(one)}
        self._owners = PrefixMap(numbers)

    async def start(self) -> None:
        """Begin where the last run ended."""
        await self._database.writer.run(rows_of.start_reading)
        await self._find_position()
        self._go()

    async def stop(self) -> None:
        """Make what is under way, and no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running is not None:
            await self._running

    def committed(self) -> None:
        """Something was written: look for events soon."""
        if self._running is not None:
            self._again = True
        elif not self._stopped:
            self._arm(PAUSE_SECONDS)

    def _arm(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + seconds:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(seconds, self._go)

    def _go(self) -> None:
        self._again = False
        running = self._running = Deferred.fromCoroutine(self._read())
        running.addBoth(self._ended)

    def _ended(self, outcome: Any) -> None:
        self._running = None
        if outcome is not None:
            self.log.failure("customers' deliveries", outcome, event="customer.deliveries_failed")
        if not self._stopped:
            self._arm(PAUSE_SECONDS if self._again else POLL_SECONDS)

    async def _read(self) -> None:
        try:
            while not self._stopped and await self._step():
                pass
        except StoreError as error:
            told = "customers' deliveries wait: {why}"
            self.log.warn(told, event="customer.deliveries_wait", why=str(error))

    async def _step(self) -> bool:
        """Read some events; tell whether there are more."""
        after = self._position
        find = partial(rows_of.news, after=after, accounts=self._accounts, limit=EVENTS_MAX)
        found = await self._database.read(find)
        deliveries = list(self._deliveries(found))
        reported = [one.id for one in found.ended]
        if not deliveries and not reported and not found.more:
            self._position = found.reached  # so little is read again after a start
            return False
        made = Made(self._recorded, found.reached, deliveries, reported)
        if not await self._database.writer.run(partial(rows_of.write_deliveries, made=made)):
            await self._find_position()
            return True
        self._position = self._recorded = found.reached
        if deliveries:
            self._made({one.customer for one in deliveries})
        return found.more

    async def _find_position(self) -> None:
        found = await self._database.read(rows_of.position)
        self._position, newest = found or (0, 0)
        self._recorded = self._position
        self._database.ids.continue_after(newest)

    # ---- what is made --------------------------------------------------------------------

    def _deliveries(self, found: News) -> Iterator[Delivery]:
        """Return deliveries in the order of their events."""
        told: list[tuple[int, Callable[[], Iterator[Delivery]]]] = []
        told += [(one.event_id, partial(self._report, one)) for one in found.ended]
        told += [(event_id, partial(self._message, row)) for event_id, row in found.inbound]
        told += [(event.id, partial(self._unfinished, event)) for event in found.unfinished]
        for _, make in sorted(told, key=lambda pair: pair[0]):
            yield from make()

    def _report(self, ended: Ended) -> Iterator[Delivery]:
        customer = self._customers.get(ended.customer)
        status = MessageStatus(ended.kind.removeprefix("message."))
        if customer is None or (ended.failures_only and status is MessageStatus.DELIVERED):
            return
        word, _, error = ended.reason.partition(" ")
        own = customer.carrier.family == "chinese" and CARRIER_STAT.fullmatch(word) is not None
        yield self._delivery(
            customer.name,
            ended.message_id,
            StatusReport(
                carrier_message_id=customer.carrier.own_id(ended.id),
                status=status,
                stat=word if own else STATS[status],
                error=error.zfill(3) if ERROR.fullmatch(error) else "",
                to=ended.recipient,
                source=ended.sender,
                submitted=_minute(ended.created_at),
                done=_minute(ended.at),
            ),
        )

    def _unfinished(self, event: Event) -> Iterator[Delivery]:
        customer = self._customers.get(event.data["customer"])
        if customer is None:
            return
        for given, phone in event.data["reports"]:
            stat = event.data["stat"]
            report = StatusReport(
                carrier_message_id=customer.carrier.own_id(int(given)),
                status=next(status for status, word in STATS.items() if word == stat),
                stat=stat,
                to=phone,
                source=event.data["source"],
                submitted=_minute(event.at),
                done=_minute(event.at),
            )
            yield self._delivery(customer.name, event.subject_id, report)

    def _message(self, row: InboundRow) -> Iterator[Delivery]:
        found = self._owners.longest(row.access_number + row.extension)
        if found is None or found[1].account != row.account:
            return
        customer = found[1]
        for start in range(0, len(row.text) or 1, TEXT_CHARACTERS):
            text = row.text[start : start + TEXT_CHARACTERS]
            split = segmentation.plan(text, choose(text))
            for content in segmentation.segments(split, (row.id + start) & 0xFF):
                message = MoMessage(
                    sender=row.sender,
                    destination=row.access_number + row.extension,
                    coding=split.coding,
                    content=content,
                    udhi=len(split.parts) > 1,
                )
                yield self._delivery(customer.name, row.id, message)

    def _delivery(self, customer: str, subject_id: int, content: Content) -> Delivery:
        made = self._database.ids.next()
        kind = REPORT
        if isinstance(content, MoMessage):
            kind = MO
            content.carrier_message_id = self._customers[customer].carrier.own_id(made)
        now = int(self._reactor.seconds() * 1000)
        return Delivery(made, customer, kind, subject_id, _encode(content), now)


def content_of(delivery: Delivery) -> Content:
    """Return what a delivery brings."""
    return msgspec.msgpack.decode(delivery.content, type=_TYPES[delivery.kind])


def _numbers(customer: Customer) -> list[str]:
    return [
        access_number + extension
        for access_number in customer.access_numbers
        for extension in customer.extensions
    ]


def _minute(ms: int) -> str:
    """Milliseconds since the Unix epoch as YYMMDDhhmm in China (CMPP; SMPP appendix B)."""
    return _spelled(ms // 60_000)


@lru_cache(maxsize=1024)
def _spelled(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(CHINA).strftime("%y%m%d%H%M")
