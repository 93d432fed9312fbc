"""Waiting for events: who waits is told when something was recorded that concerns them.

What is new is asked for once for all who wait, soon after a commit, as accounts and kinds; nobody
who waits reads events before there are some. Without anybody who waits nothing is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import Overloaded, StoreError
from smsgw.store import wanted
from smsgw.store.database import Database

WATCHES_MAX = 1000
ACCOUNT_WATCHES_MAX = 100
RETRY_SECONDS = 5

GAP_SECONDS = 0.02
"""The shortest time between two questions for what is new."""

SHARED_LOOK_SECONDS = 1.0
"""Between two looks for what other processes recorded, while somebody waits."""

T = TypeVar("T")


class Watch:
    """One who wants to know of events; :meth:`end` it.

    Attributes:
        tail: The newest event when it began.
    """

    def __init__(
        self, news: News, account: str, below: Collection[str], kinds: Sequence[str], tail: int
    ) -> None:
        self.account = account
        self.tail = tail
        self._news = news
        self._accounts = {account, *below, ""}
        self._kinds = kinds
        self._told: Deferred[bool] = Deferred()
        self._late: IDelayedCall | None = None

    def heard(self, seconds: float) -> Deferred[bool]:
        """Wait until there is an event, at most so long; fires with whether there is."""
        if not self._told.called:
            self._late = self._news.clock.callLater(seconds, self.tell, False)
        return self._told

    def wants(self, account: str, kind: str) -> bool:
        """Whether it wants to know of such an event."""
        return account in self._accounts and wanted.wants(self._kinds, kind)

    def tell(self, there: bool) -> None:
        """Wait no more."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        if not self._told.called:
            self._told.callback(there)

    def end(self) -> None:
        """Want nothing more."""
        self._news.forget(self)
        self.tell(False)


class News:
    """Tells those who wait for events.

    Args:
        store: The database.
        clock: Its timers.
        shared: Whether other processes write to the database too.
    """

    log = Logger()

    def __init__(self, store: Database, clock: IReactorTime, *, shared: bool = False) -> None:
        self.clock = clock
        self._store = store
        self._shared = shared
        self._watches: set[Watch] = set()
        self._counts: Counter[str] = Counter()
        self._tail = 0  # the newest event that those who wait were told of
        self._timer: IDelayedCall | None = None
        self._asking = self._again = self._stopped = False

    async def watch(self, account: str, below: Collection[str], kinds: Sequence[str]) -> Watch:
        """Begin to listen; everything that is recorded from now on is heard.

        Args:
            account: Who listens; what is nobody's concerns everybody.
            below: Other accounts that concern them.
            kinds: As in :func:`smsgw.store.wanted.wants`.

        Raises:
            Overloaded: Too many do.
        """
        if len(self._watches) >= WATCHES_MAX or self._counts[account] >= ACCOUNT_WATCHES_MAX:
            limit = f"{ACCOUNT_WATCHES_MAX} of one account, {WATCHES_MAX} in all"
            raise Overloaded(f"too many wait for events, limit {limit}", RETRY_SECONDS)
        watch = Watch(self, account, below, kinds, await self._store.read(wanted.newest))
        if not self._watches:
            self._tail = watch.tail
        self._watches.add(watch)
        self._counts[account] += 1
        if self._stopped:
            watch.tell(False)
        elif self._shared:
            self._ask_in(SHARED_LOOK_SECONDS)
        return watch

    async def newest(self) -> int:
        """Return the id of the newest event; 0 when there is none."""
        return await self._store.read(wanted.newest)

    def forget(self, watch: Watch) -> None:
        """Tell somebody nothing more."""
        if watch in self._watches:
            self._watches.remove(watch)
            self._counts[watch.account] -= 1
            if not self._counts[watch.account]:
                del self._counts[watch.account]

    def committed(self) -> None:
        """Something was recorded here: events, perhaps."""
        if self._watches:
            if self._shared:
                self._cancel()
            self._ask_in(GAP_SECONDS)

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped = True
        self._cancel()
        for watch in list(self._watches):
            watch.tell(False)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _ask_in(self, seconds: float) -> None:
        if self._asking:
            self._again = True
        elif self._timer is None and not self._stopped:
            self._timer = self.clock.callLater(seconds, self._ask)

    def _ask(self) -> None:
        self._timer = None
        if self._watches:
            self._asking, self._again = True, False
            found = self._store.read(partial(wanted.news, after=self._tail))
            found.addCallback(self._heard).addErrback(self._failed).addBoth(self._asked)

    def _heard(self, found: Sequence[tuple[str, str, int]]) -> None:
        self._tail = max([self._tail, *(newest for _, _, newest in found)])
        for watch in list(self._watches):
            if any(
                newest > watch.tail and watch.wants(account, kind)
                for account, kind, newest in found
            ):
                watch.tell(True)

    def _failed(self, failure: Failure) -> None:
        failure.trap(StoreError)
        told = "nobody was told of events: {why}"
        self.log.warn(told, event="events.not_told", why=failure.getErrorMessage())

    def _asked(self, _: object) -> None:
        self._asking = False
        if self._again:
            self._ask_in(GAP_SECONDS)
        elif self._shared and self._watches:
            self._ask_in(SHARED_LOOK_SECONDS)
