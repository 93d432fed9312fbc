"""Batches over a store in memory: what is accepted is kept, and sent when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime

from smsgw.errors import OptedOut
from smsgw.model import MessageClass, MessageStatus, Operator
from smsgw.routing.rules import Rule
from smsgw.routing.table import RouteTable
from smsgw.services.group_sending import Batches
from smsgw.services.submission import LinkInfo, Submission
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from tests.support.memory import ACCESS, MemoryStore

LINK = LinkInfo(name="cmcc", access_number=ACCESS, operator=Operator.MOBILE)


class Outbox(list[QueuedSegment]):
    """A dispatcher that keeps what it is offered."""

    def offer(self, segments: Sequence[QueuedSegment]) -> None:
        self.extend(segments)

    def follow(self, changes: Sequence[StatusChange]) -> None:
        ended = {change.message_id for change in changes}
        self[:] = [one for one in self if one.message_id not in ended]


class BatchDesk:
    """The real batches and the real submission, with one link that sends nothing by itself.

    Attributes:
        sent: What may be sent.
        ended: The statuses of messages that were ended here.
        on_end: Called whenever some were.
        opted_out: Phones that want nothing.
    """

    def __init__(self, store: Any = None, clock: IReactorTime | None = None) -> None:
        self.store = store or MemoryStore()
        self.sent = Outbox()
        self.ended: list[MessageStatus] = []
        self.on_end: Callable[[], None] = lambda: None
        self.opted_out: set[str] = set()
        clock = clock or cast(IReactorTime, reactor)
        routes = RouteTable({LINK.name: LINK.operator}, [Rule("all", ((LINK.name,),))])
        self.submission = Submission(
            routes,
            {LINK.name: LINK},
            self.store,
            self.sent,
            clock.seconds,
            wanted=self._check_wanted,
        )
        self.batches = Batches(
            self.store,
            self.submission,
            clock,
            self._end,
        )

    def _check_wanted(self, phone: str, account: str, message_class: MessageClass) -> None:
        if phone in self.opted_out:
            raise OptedOut("to", "opted out")

    def _end(self, changes: list[StatusChange]) -> None:
        self.sent.follow(changes)
        self.ended += [change.status for change in changes]
        self.on_end()
