"""Number portability (携号转网): learned from what phones send, kept in the store, known in memory.

A message that a phone wrote reaches us over its own operator's link, whatever its prefix says. What
this node learns it knows once that is committed; what others learned, or people changed, it reads
when they say so, and every half minute in case that was not heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model import Operator, PortedNumber
from smsgw.routing.ported import PortedNumbers
from smsgw.store import ported
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember

if TYPE_CHECKING:
    from sqlalchemy import Connection

READ_SECONDS = 30.0
FORGOTTEN_SECONDS = READ_SECONDS + 5.0
"""After so long others have read a change, even those that did not hear of it."""
SWEEP_SECONDS = 3600.0

PAGE = 5000
"""Changes read at a time."""


class Portability:
    """Keeps the numbers in memory and those in the store the same.

    Args:
        database: Open when :meth:`start` is called.
        reactor: Its clock and timers.
        numbers: What routing asks.
        operators: Link name to the operator it connects to.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        reactor: IReactorTime,
        numbers: PortedNumbers,
        operators: Mapping[str, Operator],
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._numbers = numbers
        self._operators = operators
        self._last = 0  # id of the newest change seen
        self._swept = 0.0
        self._announced: int | None = None  # read from that id on, as soon as may be
        self._reading = DeferredLock()
        self._timer = LoopingCall(self._follow)
        self._timer.clock = reactor
        if database.presence is not None:
            database.presence.on_ported = self.announced

    async def start(self) -> None:
        """Read everything, and go on reading what changes."""
        await self._read()
        self._timer.start(READ_SECONDS, now=False)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer.running:
            self._timer.stop()

    def learn(self, link: str, phones: Iterable[str]) -> None:
        """Note what a link's messages prove, in the commit of whatever this turn writes."""
        operator = self._operators.get(link, Operator.OTHER)
        source = f"MO on link {link}"
        proofs = [self._numbers.proof(phone, operator, source) for phone in phones]
        new = [proof for proof in proofs if proof is not None]
        if not new:
            return

        def committed(_: object) -> None:
            for number in new:
                self._numbers.add(number)

        def refused(failure: Failure) -> None:
            self.log.warn(
                "{count} ported numbers not recorded, their next message says so again: {why}",
                event="ported.not_recorded",
                count=len(new),
                why=failure.getErrorMessage(),
            )

        self._database.writer.batch(ported.LEARN, new).addCallbacks(committed, refused)

    # ---- what people ask for -------------------------------------------------------------

    def page(self, after: str, limit: int) -> Deferred[list[PortedNumber]]:
        """Return what is believed, in the order of the phones, after one of them."""
        find = partial(ported.page, now=self._now(), after=after, limit=limit)
        return self._database.read(find)

    async def put(self, numbers: Sequence[PortedNumber], once: Once[int] | None = None) -> int:
        """Record all numbers or none; return how many.

        One that is over already, or was learned before what is recorded, is left out. What
        ``once`` makes of how many is recorded in the same commit.
        """
        now = self._now()
        lasting = [number for number in numbers if number.expires_at > now]

        def work(connection: Connection) -> int:
            return remember(connection, once, ported.put(connection, lasting))

        recorded = await self._database.writer.run(work)
        await self._read()
        return recorded

    async def forget(self, phones: Sequence[str], once: Once[int] | None = None) -> int:
        """Go by the prefix again for these normalised numbers; return how many were known.

        ``once``: as of :meth:`put`.
        """
        now = self._now()

        def work(connection: Connection) -> int:
            return remember(connection, once, ported.forget(connection, phones, now))

        forgotten = await self._database.writer.run(work)
        await self._read()
        return forgotten

    async def forget_everywhere(self, phones: Sequence[str]) -> None:
        """Forget them, and wait until every process has: then the rows may be deleted."""
        if await self.forget(phones) and self._database.presence is not None:
            await deferLater(self._reactor, FORGOTTEN_SECONDS)

    # ---- what others changed -------------------------------------------------------------

    def announced(self, first: int) -> None:
        """Read what changed from an id on: some process says so."""
        if not self._timer.running:
            return
        reads = self._announced is not None
        self._announced = min(first, self._announced or first)
        if not reads:
            read = Deferred.fromCoroutine(self._read(announced=True))
            read.addErrback(lambda failure: self._not_read(failure.getErrorMessage()))

    async def _follow(self) -> None:
        try:
            await self._read()
            if self._reactor.seconds() - self._swept >= SWEEP_SECONDS:
                self._swept = self._reactor.seconds()
                self._numbers.sweep()
                await self._database.writer.run(partial(ported.sweep, now=self._now()))
        except Exception as error:
            self._not_read(str(error))

    def _not_read(self, problem: str) -> None:
        if self._timer.running:
            self.log.warn("ported numbers not read: {why}", event="ported.not_read", why=problem)

    async def _read(self, *, announced: bool = False) -> None:
        await self._reading.run(lambda: Deferred.fromCoroutine(self._read_changes(announced)))

    async def _read_changes(self, announced: bool) -> None:
        after, dropped = ported.before(self._last), self._numbers.dropped
        if announced and self._announced is not None:
            after, self._announced = self._announced - 1, None
        while True:
            changes = await self._database.read(partial(ported.changed, after=after, limit=PAGE))
            for _, number in changes:
                self._numbers.add(number)
            if changes:
                after = changes[-1][0]
                self._last = max(self._last, after)
            if len(changes) < PAGE:
                break
        if self._numbers.dropped > dropped:
            self.log.warn(
                "more ported numbers than the {held} that fit in memory: those recorded longest ago"
                " go by their prefix",
                event="ported.dropped",
                held=len(self._numbers),
            )

    def _now(self) -> int:
        return int(self._reactor.seconds() * 1000)
