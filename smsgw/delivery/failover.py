"""What waits for a link that is down takes another link of its route, after a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.delivery.sender import Sender
from smsgw.errors import StoreError
from smsgw.store import reroute
from smsgw.store.database import Database
from smsgw.store.queue import QueuedSegment

LOOK_SECONDS = 5.0
"""How often links are looked at, or twice in the time after which messages leave one."""

PAGE_ROWS = 200


class Failover:
    """Looks after links that are down.

    Args:
        senders: By link.
        database: Open before :meth:`start`.
        reactor: Its clock and one timer.
        after: Seconds a link is down before what waits for it takes another one.
        offer: Takes segments that are queued for other links now.
    """

    log = Logger()

    def __init__(
        self,
        senders: Mapping[str, Sender],
        database: Database,
        reactor: IReactorTime,
        after: float,
        offer: Callable[[Sequence[QueuedSegment]], None],
    ) -> None:
        self._senders = senders
        self._database = database
        self._reactor = reactor
        self._after = after
        self._offer = offer
        self._down: dict[str, float] = {}  # link -> since when
        self._tried: dict[str, frozenset[str]] = {}  # link -> who was up when all that waits moved
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to look."""
        self._arm()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _arm(self) -> None:
        if not self._stopped:
            pause = min(LOOK_SECONDS, self._after / 2)
            self._timer = self._reactor.callLater(pause, self._look_again)

    def _look_again(self) -> None:
        looked = Deferred.fromCoroutine(self._look())
        looked.addErrback(partial(log_failure, self.log))

    async def _look(self) -> None:
        now = self._reactor.seconds()
        up = frozenset(name for name, sender in self._senders.items() if sender.link.up)
        try:
            for name, sender in self._senders.items():
                if name in up:
                    self._down.pop(name, None)
                    self._tried.pop(name, None)
                elif self._is_due(name, now) and up and self._tried.get(name) != up:
                    moved = await self._move(sender)
                    self._tried[name] = up if moved else frozenset()
        except StoreError as error:
            self.log.error("messages could not change their link: {error}", error=str(error))
        finally:
            self._arm()

    def _is_due(self, link: str, now: float) -> bool:
        """Note that a link is down; tell whether it has been for long enough."""
        return now - self._down.setdefault(link, now) >= self._after

    async def _move(self, sender: Sender) -> bool:
        """Give all that waits for a link, and may, to others; tell whether all was looked at."""
        link = sender.link.name
        sender.return_ready()
        moved = 0
        last: reroute.Place | None = reroute.BEGINNING
        while last is not None and not self._stopped and not sender.link.up:
            move = partial(
                reroute.move_waiting,
                link=link,
                now_ms=int(self._reactor.seconds() * 1000),
                after=last,
                limit=PAGE_ROWS,
            )
            done = await self._database.writer.run(move)
            sender.lanes.drop(done.left)
            self._offer(done.moved)
            moved += len(done.left)
            last = done.last
        if moved:
            told = "link {link} is down: {count} messages that waited for it take other links"
            self.log.warn(told, link=link, count=moved)
        return last is None
