"""The gateway behind every interface: links, delivery, submission and requests, wired together.

It is built closed and opened by :meth:`Gateway.start`. Everything a caller gets back is ready for
JSON; what cannot be done is raised as one of :mod:`smsgw.errors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.delivery.dispatcher import FAILOVER_AFTER, Dispatcher
from smsgw.delivery.handover import Handover
from smsgw.delivery.inbound import InboundMessages
from smsgw.delivery.neighbours import Neighbours
from smsgw.delivery.portability import Portability
from smsgw.delivery.reassembly import Reassembly
from smsgw.delivery.reports import Reports
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.throttle import Limits
from smsgw.model import Event, MessageClass, MessageStatus
from smsgw.routing.inbound import InboundTable
from smsgw.routing.numbers import normalise
from smsgw.routing.table import RouteTable
from smsgw.services import queries
from smsgw.services.audit_log import AuditLog
from smsgw.services.conversations import Conversations
from smsgw.services.idempotency import IdempotencyKeys
from smsgw.services.ledger import SlotPlans
from smsgw.services.news import News
from smsgw.services.other_links import OtherLinks
from smsgw.services.quiet import QuietHours
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.presets import PRESETS, Preset
from smsgw.services.requests.stand_ins import StandIns
from smsgw.services.requests.types import RequestTypes
from smsgw.services.slots import SlotMap
from smsgw.services.submission import DAY_SECONDS, LinkInfo, Once, Outgoing, Submission
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.book import Webhooks
from smsgw.services.webhooks.lane import Tools as WebhookTools
from smsgw.services.webhooks.posting import Poster
from smsgw.services.webhooks.subscribers import Subscribers
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow
from smsgw.store.progress import StatusChange
from smsgw.store.pulse import Pulse
from smsgw.transport.link import Inbound, Link

Json = dict[str, Any]

ANSWERS_WITHIN = 25.0
"""Seconds a stop waits for the carriers' answers to what is in flight; then it is unknown."""

REPLIES_WITHIN = 10.0
"""Seconds a stop waits for replies that are being read."""


class GatewayObserver(Protocol):
    """What the gateway counts; metrics implement it. One call per batch."""

    def accepted(self, message_class: MessageClass, count: int = 1) -> None:
        """So many messages are durable."""

    def finished(self, status: MessageStatus, count: int = 1) -> None:
        """So many messages reached a final status."""

    def reported(self, link: str, result: str, count: int = 1) -> None:
        """So many status reports met this fate."""

    def unmatched(self, counts: Mapping[str, int]) -> None:
        """So many status reports of each link wait for their segment; of all others none."""

    def replied(self, outcome: str, count: int = 1) -> None:
        """So many inbound messages led to this."""

    def request_finished(self, outcome: str, count: int = 1) -> None:
        """So many requests were closed."""

    def watch_window(self, link: str, in_use: Callable[[], int]) -> None:
        """Ask this at each look."""

    def watch_limits(self, link: str, seconds: Callable[[], Mapping[str, float]]) -> None:
        """Ask this at each look: seconds the link was held up, by cause."""

    def slots_ran_out(self, outcome: str) -> None:
        """An extension was needed that was not free: ``shortened`` or ``exhausted``."""

    def watch_slots(self, in_use: Callable[[], int]) -> None:
        """Ask this at each look."""

    def watch_writer(self, queued: Callable[[], int]) -> None:
        """Ask this at each look."""

    def posted(self, result: str, events: int) -> None:
        """A webhook was called."""

    def watch_webhooks(self, subscribers: Subscribers) -> None:
        """Ask its attributes at each look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEntry:
    """A link and what the gateway must know of it.

    Attributes:
        link: Not started.
        info: What composing a message for it needs.
        rate: PDUs a second over all binds; 0 = no limit.
    """

    link: Link
    info: LinkInfo
    rate: float = 0.0


class Sends(Protocol):
    """One message as an interface names it."""

    @property
    def to(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def message_class(self) -> MessageClass: ...

    @property
    def reference(self) -> str: ...

    @property
    def send_at(self) -> datetime | None: ...

    @property
    def valid_for(self) -> float | None: ...

    @property
    def expects_reply(self) -> bool: ...


class Gateway:
    """Accepts messages and requests, keeps the links, and reads what comes back.

    Args:
        database: Not open yet.
        links: All of them, in order of preference.
        routes: Which links may carry a message.
        inbound_table: Whose an access number is.
        plans: How extensions are made.
        reactor: Its clock and timers.
        observer: Told what is counted.
        doubt: What follows when a carrier's answer never came.
        retry: When a refused segment is tried again.
        failover_after: Seconds a link is down before what waits for it takes another one.
        quiet: When nobody is asked; None is never.
        presets: The kinds of request, by name.
        webhook_rules: Which addresses webhooks may have.
        accept_lost_extension: Whether a clear reply without its extension decides the one open
            item at once.

    Attributes:
        requests: Asks people and reads their answers.
        types: Flows saved by name.
        stand_ins: Who answers for whom.
        ported: Numbers that changed operator.
        audit: What was done, and by whom.
        conversations: Extensions that applications use as they like.
        slots: Which extension stands for what.
        idempotency: What was done already.
        news: Who waits for events.
        webhooks: Where events are posted to.
        on_lost: Called once, with a line for people, when another process has taken over all our
            work: stop this one.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        links: Sequence[LinkEntry],
        routes: RouteTable,
        inbound_table: InboundTable,
        plans: SlotPlans,
        reactor: IReactorTime,
        observer: GatewayObserver,
        doubt: DoubtPolicy | None = None,
        retry: RetryPolicy | None = None,
        failover_after: float = FAILOVER_AFTER,
        quiet: QuietHours | None = None,
        presets: Mapping[str, Preset] | None = None,
        webhook_rules: Rules | None = None,
        *,
        accept_lost_extension: bool = False,
    ) -> None:
        self.on_lost: Callable[[str], None] = lambda why: None
        self._database = database
        self._pulse = Pulse(database, reactor)
        self._links = {entry.link.name: entry.link for entry in links}
        self._observer = observer
        self._clock = reactor
        self._routes = routes
        self._running = self._lost = False
        self._dispatcher = Dispatcher(
            self._links.values(),
            database,
            reactor,
            limits={entry.link.name: Limits(entry.rate) for entry in links},
            policy=retry,
            doubt=doubt,
            failover_after=failover_after,
            elsewhere=lambda *asked: self._other_links.find(*asked),
            on_changes=self._count_finished,
        )
        self._neighbours = self._make_neighbours()
        self._submission = Submission(
            routes,
            {entry.info.name: entry.info for entry in links},
            database,
            self._dispatcher,
            reactor.seconds,
            up=self._up,
            full=self._dispatcher.full,
            elsewhere=self._dispatcher.elsewhere,
        )
        self._other_links = OtherLinks(
            routes,
            {entry.info.name: entry.info for entry in links},
            self._up,
            self._submission.split,
        )
        operators = {entry.info.name: entry.info.operator for entry in links}
        tools = Tools(
            ids=database.ids,
            composer=self._submission,
            plans=plans,
            presets=PRESETS if presets is None else presets,
            quiet=quiet or QuietHours(),
            operators=operators,
            is_service=inbound_table.is_service,
            accept_lost_extension=accept_lost_extension,
        )
        self.requests = RequestEngine(
            database, tools, reactor, self._request_event, shared=database.presence is not None
        )
        self.types = RequestTypes(database, tools, reactor.seconds)
        self.stand_ins = StandIns(database, reactor.seconds)
        self.audit = AuditLog(database, reactor.seconds)
        self.conversations = Conversations(self.requests, database, reactor.seconds)
        self.slots = SlotMap(database, plans, reactor)
        self.news = News(database, reactor, shared=database.presence is not None)
        database.writer.watchers.append(self.news.committed)
        self.idempotency = IdempotencyKeys(database, reactor, shared=database.presence is not None)
        self._handover = Handover(database, reactor, self._read)
        self._reassembly = Reassembly(
            database,
            reactor,
            inbound_table,
            self._handover.add,
            families={entry.info.name: entry.info.family for entry in links},
        )
        self.ported = Portability(database, reactor, routes.ported, operators)
        self._inbound = InboundMessages(database, reactor, self._reassembly, self.ported.learn)
        self._make_webhooks(webhook_rules or Rules())
        self._reports = Reports(
            database,
            reactor,
            self._reported,
            observer.reported,
            observer.unmatched,
            text_ids=[entry.info.name for entry in links if entry.info.family == "smpp"],
            on_queued=self._dispatcher.offer,
        )

        observer.watch_slots(lambda: self.slots.in_use)
        observer.watch_writer(lambda: database.writer.queued)
        for link in self._links.values():
            link.on_inbound = partial(self._take, link.name)
            observer.watch_window(link.name, partial(_in_flight, link))
            limits = partial(self._dispatcher.limited_seconds, link.name)
            observer.watch_limits(link.name, limits)

    # ---- life ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, take up what the last run left, listen, and dial.

        Raises:
            StoreError: The database cannot be used.
            CannotListenError: A listener's address is taken or not ours.
        """
        self._database.open()
        for link in self._links.values():
            await link.listen()
        await self.ported.start()
        await self._reports.start()
        await self._dispatcher.recover()
        await self.requests.votes.start()
        await self._reassembly.recover()
        await self._handover.recover()
        self.requests.timers.start()
        await self.slots.start()
        await self.idempotency.start()
        await self._subscribers.start()
        for link in self._links.values():
            link.start()
        if self._neighbours is not None:
            self._neighbours.start()
        self._running = not self._lost

    async def stop(self) -> None:
        """Finish what is in flight, unbind, and close the store.

        Peers and database that do not answer hold it up for less than 45 seconds: the two limits
        of this module, the 3 s of webhooks, the 5 s of an unbind, and the last commits.
        """
        self._running = False
        self.news.stop()
        await self._subscribers.stop()
        await self._poster.close()
        if self._neighbours is not None:
            self._neighbours.stop()
        await self._dispatcher.stop(0.0 if self._lost else ANSWERS_WITHIN)
        await DeferredList([link.stop() for link in self._links.values()], consumeErrors=True)
        self._reassembly.stop()
        self.ported.stop()
        self._reports.stop()
        await self._handover.stop(REPLIES_WITHIN)
        await self.requests.timers.stop()
        self.requests.votes.stop()
        self.slots.stop()
        self.idempotency.stop()
        await self._database.close()

    def listener_port(self, link: str) -> int:
        """The port on which a link's gateway dials us; 0 where it does not."""
        return self._links[link].listener_port or 0

    @property
    def submission(self) -> Submission:
        """The way in for messages, for a door that records more than these."""
        return self._submission

    def _up(self, name: str) -> bool:
        """Whether a link can send now, here or where another process has its connections."""
        return self._links[name].up or name in self._dispatcher.elsewhere

    def _make_neighbours(self) -> Neighbours | None:
        presence = self._database.presence
        if presence is None:
            return None
        presence.on_lost = self._lose
        return Neighbours(
            self._database,
            presence,
            self._clock,
            self._dispatcher,
            {name: partial(_is_permitted, link) for name, link in self._links.items()},
            self._reported,
            self._take_up,
        )

    def _make_webhooks(self, rules: Rules) -> None:
        database, clock = self._database, self._clock
        self._poster = Poster(clock, rules)
        tools = WebhookTools(database, self._poster, clock, self._observer.posted)
        self._subscribers = Subscribers(tools, database.permit, self._poster.cancel)
        database.writer.watchers.append(self._subscribers.committed)
        self._observer.watch_webhooks(self._subscribers)
        self.webhooks = Webhooks(tools, rules, self._poster.resolve, self._subscribers.reload)

    def _take_up(self) -> None:
        """Go on with what phones sent to a process that is dead."""

        async def take_up() -> None:
            await self._reassembly.recover()
            await self._handover.recover()

        self._watched("taking up inbound messages", Deferred.fromCoroutine(take_up()))

    def _lose(self, why: str) -> None:
        """Do nothing more: another process does our work."""
        self._lost, self._running = True, False
        self.on_lost(why)

    async def readiness(self) -> list[str]:
        """Why the gateway should get no work now; nothing when it should."""
        if not self._running:
            return ["starting or stopping"]
        reasons = list(filter(None, [await self._pulse.problem()]))
        if self._links and not any(self._up(name) for name in self._links):
            reasons.append("no link is up")
        return reasons

    # ---- messages ------------------------------------------------------------------------

    async def send(
        self, account: str, outgoing: Sequence[Sends], once: Once | None = None
    ) -> list[int]:
        """Accept messages, all or none; returns their ids once they are durable.

        What ``once`` makes of the ids is recorded in the same commit.

        Raises:
            ValidationError: Its field is a path such as ``messages[3].to``.
            Overloaded: More waits already than is taken; try again after its ``retry_after``.
        """
        named = [_outgoing(account, one) for one in outgoing]
        accepted = await self._submission.accept(named, once)
        for message_class, count in Counter([one.message_class for one in outgoing]).items():
            self._observer.accepted(message_class, count)
        return accepted

    async def cancel(self, account: str, message_id: int) -> Json:
        """End a message before anything of it is sent; returns it as it is then.

        Raises:
            NotFound: No such message, or it is another account's.
            Conflict: A part of it was handed to a link, or it came to an end before.
        """
        self._count_finished([await self._submission.cancel(account, message_id)])
        return await self.message(account, message_id)

    def message(self, account: str, message_id: int) -> Deferred[Json]:
        """Return one message with its segments, or fail with NotFound."""
        return self._database.read(partial(queries.message, account=account, message_id=message_id))

    def trace(self, account: str, message_id: int) -> Deferred[Json]:
        """Return everything recorded about one message, or fail with NotFound."""
        return self._database.read(partial(queries.trace, account=account, message_id=message_id))

    def messages(
        self, account: str, *, before: int | None, limit: int, status: str | None, to: str | None
    ) -> Deferred[Sequence[Json]]:
        """Return messages, newest first."""
        find = partial(
            queries.message_page,
            account=account,
            before=before,
            limit=limit,
            status=status,
            recipient=to,
        )
        return self._database.read(find)

    def inbound(self, account: str, *, before: int | None, limit: int) -> Deferred[Sequence[Json]]:
        """Return what phones sent to the account or to nobody in particular, newest first."""
        find = partial(queries.inbound_page, account=account, before=before, limit=limit)
        return self._database.read(find)

    def events(
        self, account: str, *, after: int, limit: int, kinds: Sequence[str] = ()
    ) -> Deferred[Sequence[Json]]:
        """Return events, oldest first."""
        find = partial(queries.events_after, account=account, after=after, limit=limit, kinds=kinds)
        return self._database.read(find)

    def unmatched_reports(
        self, *, link: str | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Json]]:
        """Return status reports whose segment is not known yet, newest first."""
        find = partial(queries.unmatched_page, link=link, before=before, limit=limit)
        return self._database.read(find)

    def links(self) -> list[Json]:
        """Return the state of every link."""
        waiting = self._dispatcher.state()
        shown = []
        for name, link in self._links.items():
            queue = waiting[name]
            limited_by = queue.pop("limited_by")  # it knows the queues as well as the link
            state = {**link.state(), "report_ids": self._reports.form_of(name)}
            shown.append({**state, "limited_by": limited_by, "queue": queue})
        return shown

    def explain(
        self, account: str, to: str, *, message_class: MessageClass, expects_reply: bool
    ) -> Json:
        """Return how a message would be routed now, and why.

        Raises:
            ValidationError: ``to`` is not the number of a phone.
        """
        phone = normalise(to)
        found = self._routes.explain(
            phone, message_class=message_class, account=account, expects_reply=expects_reply
        )
        links = [{"name": name, "up": self._links[name].up} for name in found.links]
        return {"to": phone, **msgspec.structs.asdict(found), "links": links}

    # ---- what comes back -----------------------------------------------------------------

    def _take(self, link: str, batch: list[Inbound]) -> None:
        reports = [item for item in batch if item.report is not None]
        messages = [item for item in batch if item.message is not None]
        if reports:
            self._watched("status reports", self._reports.take(link, reports))
        if messages:
            self._watched("inbound messages", self._inbound.take(link, messages))

    def _watched(self, what: str, work: Deferred[None]) -> None:
        work.addErrback(lambda failure: self.log.failure("{what} failed", failure, what=what))

    def _read(self, row: InboundRow) -> Deferred[None]:
        return self.requests.reply(row).addCallback(self._observer.replied)

    def _reported(self, changes: list[StatusChange]) -> None:
        self._dispatcher.follow(changes)
        self._count_finished(changes)

    def _count_finished(self, changes: Sequence[StatusChange]) -> None:
        for status, count in Counter(change.status for change in changes).items():
            self._observer.finished(status, count)

    def _request_event(self, event: Event) -> None:
        if event.kind == "request.closed":
            self._observer.request_finished(str(event.data.get("outcome", "")))
        if event.kind in ("conversations.shortened", "conversations.exhausted"):
            self._observer.slots_ran_out(event.kind.removeprefix("conversations."))


def _outgoing(account: str, one: Sends) -> Outgoing:
    return Outgoing(
        account=account,
        to=one.to,
        text=one.text,
        message_class=one.message_class,
        reference=one.reference,
        send_at=one.send_at,
        valid_for=DAY_SECONDS if one.valid_for is None else one.valid_for,
        expects_reply=one.expects_reply,
    )


def _is_permitted(link: Link) -> bool:
    return link.permitted


def _in_flight(link: Link) -> int:
    return link.in_flight
