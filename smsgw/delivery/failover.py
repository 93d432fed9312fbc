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
from smsgw.model import MessageClass
from smsgw.store import reroute
from smsgw.store.database import Database
from smsgw.store.queue import QueuedSegment

LOOK_SECONDS = 5.0
"""How often links are looked at, or twice in the time after which messages leave one."""

PAGE_ROWS = 200


class Down:
    """A link that is down, and what was done about it.

    Attributes:
        since: When that was noticed.
        tried: Which links were up when all that waits for it was offered to them.
        looked_at: What was due until then was looked at (ms).
        again_at: When something else is due (ms).
    """

    __slots__ = ("again_at", "looked_at", "since", "tried")

    def __init__(self, since: float) -> None:
        self.since = since
        self.tried: frozenset[str] = frozenset()
        self.looked_at = 0
        self.again_at = 0


class Failover:
    """Looks after links that are down.

    Args:
        senders: By link.
        database: Open before :meth:`start`.
        reactor: Its clock and one timer.
        after: Seconds a link is down before what waits for it takes another one.
        offer: Takes segments that are queued for other links now.

    Attributes:
        after: As above; it may change.
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
        self.after = after
        self._offer = offer
        self._down: dict[str, Down] = {}
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

    async def leave(self, link: str) -> None:
        """Have what waits for a link that is down take others at once, as far as they may.

        Until it is up again, what waits does so too when another link comes up, without the wait.
        """
        down = self._down[link] = Down(float("-inf"))
        await self._look_at(self._senders[link], down, self._up())

    def _up(self) -> frozenset[str]:
        return frozenset(name for name, sender in self._senders.items() if sender.link.up)

    def _arm(self) -> None:
        if not self._stopped:
            pause = min(LOOK_SECONDS, self.after / 2)
            self._timer = self._reactor.callLater(pause, self._look_again)

    def _look_again(self) -> None:
        looked = Deferred.fromCoroutine(self._look())
        looked.addErrback(partial(log_failure, self.log))

    async def _look(self) -> None:
        now = self._reactor.seconds()
        up = self._up()
        try:
            for name, sender in list(self._senders.items()):
                if name in up:
                    self._down.pop(name, None)
                else:
                    await self._look_at(sender, self._down.setdefault(name, Down(now)), up)
        except StoreError as error:
            told = "messages could not change their link: {why}"
            self.log.error(told, event="link.messages_not_moved", why=str(error))
        finally:
            self._arm()

    async def _look_at(self, sender: Sender, down: Down, up: frozenset[str]) -> None:
        """Move what waits for a link, if it is time for that."""
        now = self._reactor.seconds()
        if not up or now - down.since < self.after:
            return
        if down.tried != up:  # all of it: some of these links were not asked yet
            start = reroute.BEGINNING
        elif now * 1000 >= down.again_at:
            start = reroute.after(down.looked_at)
        else:
            return
        down.looked_at, down.tried = int(now * 1000), frozenset()
        sender.return_ready()
        down.again_at = down.looked_at + reroute.AHEAD_MS
        for message_class in MessageClass:
            next_at = await self._move(sender, message_class, down.looked_at, start)
            if next_at is None:
                return
            down.again_at = min(down.again_at, next_at)
        down.tried = up

    async def _move(
        self, sender: Sender, message_class: MessageClass, now_ms: int, start: reroute.Place
    ) -> int | None:
        """Give what waits for a link, and may, to others.

        Returns:
            When the next one of the class is due that is to be sent later, in milliseconds; None
            when not all was looked at.
        """
        link, moved, next_at = sender.link.name, 0, now_ms + reroute.AHEAD_MS
        place: reroute.Place | None = start
        while place is not None and not self._stopped and not sender.link.up:
            move = partial(
                reroute.move_waiting,
                link=link,
                message_class=str(message_class),
                now_ms=now_ms,
                start=place,
                limit=PAGE_ROWS,
            )
            done = await self._database.writer.run(move)
            sender.lanes.drop(done.left)
            self._offer(done.moved)
            moved += len(done.left)
            place, next_at = done.last, min(next_at, done.next_at)
        if moved:
            told = "link {link} is down: {count} messages that waited for it take other links"
            self.log.warn(told, event="link.messages_moved", link=link, count=moved)
        return next_at if place is None else None
