"""What one customer is to be brought next, from its rows in the store to its connections.

Rows are taken in order and stay in the store until they are acknowledged. In memory are those that
are under way, and some that come next; without a connection that receives, none.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.errors import Disposition, StoreError
from smsgw.model import Event
from smsgw.protocols.carrier import Result
from smsgw.services.northbound.customer import Customer
from smsgw.services.northbound.relay import Content, content_of
from smsgw.store import customers as rows_of
from smsgw.store.customers import DELIVERED, REFUSED, Delivery
from smsgw.store.database import Database
from smsgw.transport.permits import ALWAYS, Permit

PAGE = 500
READY_MIN = 200
"""When fewer are ready in memory, more are read."""

ASIDE_MAX = 500
"""Deliveries that were refused and wait to be brought again; above it none other is brought."""

AGAIN_SECONDS = 2.0
AGAIN_LONGEST = 300.0
TRIES = 8
"""How often is brought what a customer refuses for good."""

STORE_SECONDS = 1.0

FORGET_SECONDS = 0.05
"""For how long acknowledgements are collected: each commit holds up what else is to be written."""


class Brought(msgspec.Struct, eq=False):
    """One delivery on its way.

    Attributes:
        row: It, as it is stored.
        content: What it brings.
        tries: How often it was refused.
        done: It was acknowledged: what is left of it here is to be dropped.
        ready: It waits here to be taken.
        round: How often the customer had come back when it was read.
    """

    row: Delivery
    content: Content
    tries: int = 0
    done: bool = False
    ready: bool = True
    round: int = 0


class Outbox:
    """The deliveries of one customer, in this process.

    Args:
        customer: Whose.
        database: Open.
        reactor: Its clock and timers.
        ready: Called when there may be something to take.
    """

    log = Logger()

    def __init__(
        self,
        customer: Customer,
        database: Database,
        reactor: IReactorTime,
        ready: Callable[[], None],
    ) -> None:
        self.customer = customer
        self._database = database
        self._reactor = reactor
        self._ready = ready
        self._permit: Permit = database.permit(f"customer/{customer.name}", 1) or ALWAYS
        self._open = self._active = False
        self._heap: list[tuple[int, Brought]] = []
        self._aside: dict[int, tuple[IDelayedCall, Brought]] = {}
        self._loaded = 0  # the last id read
        self._round = 0
        self._news = False
        self._reading: Deferred[None] | None = None
        self._acknowledged: list[int] = []
        self._forgetting: set[int] = set()
        self._again: IDelayedCall | None = None

    # ---- which process brings them -------------------------------------------------------

    def open(self) -> None:
        """There is a connection that receives."""
        if not self._open:
            self._open = True
            self._permit.ask(self._permitted)
            self._permitted()

    def close(self) -> None:
        """There is none any more: what is not acknowledged stays in the store."""
        if self._open:
            self._open = self._active = False
            self._permit.drop()
            self._clear()

    def _permitted(self) -> None:
        active = self._open and self._permit.held
        if active and not self._active:
            self._active, self._news = True, True
            self._read_on()
        elif self._active and not active:
            self._active = False
            self._clear()

    def _clear(self) -> None:
        self._heap.clear()
        for call, _ in self._aside.values():
            call.cancel()
        self._aside.clear()
        self._loaded = 0
        self._round += 1

    async def stop(self) -> None:
        """Bring nothing more, and record what was acknowledged."""
        self.close()
        if self._again is not None and self._again.active():
            self._again.cancel()
            self._again = None
        if self._reading is not None:
            await self._reading
        if self._acknowledged:
            await self._forget()

    # ---- from the store ------------------------------------------------------------------

    def wake(self) -> None:
        """There is something new in the store."""
        self._news = True
        self._read_on()

    def _read_on(self) -> None:
        wanted = self._active and self._news and len(self._heap) < READY_MIN
        if wanted and self._reading is None:
            self._news = False
            self._reading = Deferred.fromCoroutine(self._read())
            self._reading.addBoth(self._was_read)

    async def _read(self) -> None:
        after, round_read = self._loaded, self._round
        find = partial(rows_of.deliveries, customer=self.customer.name, after=after, limit=PAGE)
        try:
            rows = await self._database.read(find)
        except StoreError as error:
            self.log.warn(
                "customer {customer}: {why}",
                event="customer.deliveries_wait",
                customer=self.customer.name,
                why=str(error),
            )
            self._news = True
            return
        if not self._active or self._round != round_read:
            self._news = True
            return
        for row in rows:
            if row.id not in self._forgetting:
                one = Brought(row, content_of(row), round=self._round)
                heapq.heappush(self._heap, (row.id, one))
        if rows:
            self._loaded = rows[-1].id
        self._news = self._news or len(rows) == PAGE

    def _was_read(self, outcome: object) -> None:
        self._reading = None
        log_failure(self.log, outcome)
        if self._heap and self._active:
            self._ready()
        self._read_on()

    # ---- to the connections --------------------------------------------------------------

    def take(self) -> Brought | None:
        """Return the next delivery to bring, or None; it comes back by one of the others."""
        while self._active and self._heap and len(self._aside) < ASIDE_MAX:
            _, one = heapq.heappop(self._heap)
            one.ready = False
            if not one.done and one.row.id not in self._forgetting:
                self._read_on()
                return one
        return None

    def acknowledge(self, one: Brought) -> None:
        """The customer has it; call :meth:`flush` at the end of the batch."""
        if not one.done:
            one.done = True
            self._acknowledged.append(one.row.id)
            self._forgetting.add(one.row.id)

    def refuse(self, one: Brought, result: Result) -> None:
        """The customer would not take it: later again, but not for ever what it never takes."""
        one.tries += 1
        if result.disposition is Disposition.FINAL and one.tries >= TRIES:
            self._give_up(one, result)
            return
        wait = min(AGAIN_SECONDS * 2 ** (one.tries - 1), AGAIN_LONGEST)
        call = self._reactor.callLater(wait, self._bring_again, one)
        self._aside[one.row.id] = (call, one)

    def give_back(self, ones: Iterable[Brought]) -> None:
        """No answer came: they are brought again, before what comes after them."""
        if not self._active:
            return
        for one in ones:
            if not one.done and not one.ready and one.round == self._round:
                one.ready = True
                heapq.heappush(self._heap, (one.row.id, one))

    def flush(self) -> None:
        """Record what was acknowledged, soon: a crash before only brings it once more."""
        if self._acknowledged and (self._again is None or not self._again.active()):
            self._again = self._reactor.callLater(FORGET_SECONDS, self._forget)

    def _bring_again(self, one: Brought) -> None:
        self._aside.pop(one.row.id, None)
        self.give_back([one])
        self._ready()

    def _give_up(self, one: Brought, result: Result) -> None:
        name, now = self.customer.name, int(self._reactor.seconds() * 1000)
        self.log.warn(
            "customer {customer} refuses a {kind}: {why}",
            event="customer.delivery_refused",
            customer=name,
            kind=one.row.kind,
            why=result.text,
        )
        one.done = True
        self._forgetting.add(one.row.id)
        data = {"customer": name, "kind": one.row.kind, "reason": result.text}
        event = Event(REFUSED, one.row.subject_id, self.customer.account, data, at=now)
        done = self._database.writer.run(
            partial(rows_of.give_up_delivery, delivery_id=one.row.id, event=event)
        )
        done.addBoth(lambda outcome: self._forgetting.discard(one.row.id))

    def _forget(self) -> Deferred[None]:
        ids, self._acknowledged = self._acknowledged, []

        def kept(outcome: object) -> None:
            self._forgetting.difference_update(ids)

        def failed(failure: object) -> None:
            self._acknowledged = ids + self._acknowledged
            if self._open and (self._again is None or not self._again.active()):
                self._again = self._reactor.callLater(STORE_SECONDS, self._forget)

        deleting = self._database.writer.batch(DELIVERED, ids)
        return deleting.addCallbacks(kept, failed)
