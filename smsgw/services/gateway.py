"""The gateway behind every interface: links, delivery, submission and requests, wired together.

It is built closed and opened by :meth:`Gateway.start`. Everything a caller gets back is ready for
JSON; what cannot be done is raised as one of :mod:`smsgw.errors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.delivery.dispatcher import Dispatcher
from smsgw.delivery.handover import Handover
from smsgw.delivery.inbound import InboundMessages
from smsgw.delivery.neighbours import Neighbours
from smsgw.delivery.portability import Portability
from smsgw.delivery.reassembly import Reassembly
from smsgw.delivery.reports import Reports
from smsgw.delivery.sender import WAIT_SECONDS
from smsgw.delivery.throttle import Limits
from smsgw.errors import Conflict
from smsgw.model import Coding, Event, MessageClass, MessageStatus
from smsgw.protocols.traffic import Tally
from smsgw.routing.numbers import normalise
from smsgw.services import inbox
from smsgw.services.audit_log import AuditLog
from smsgw.services.conversations import Conversations
from smsgw.services.figures import Figures, figures_of
from smsgw.services.group_sending import Batches
from smsgw.services.idempotency import IdempotencyKeys
from smsgw.services.link_control import ANSWERS_WITHIN, LinkControl, LinkEntry, LinksObserver
from smsgw.services.news import News
from smsgw.services.opt_outs import OptOuts
from smsgw.services.other_links import OtherLinks
from smsgw.services.people import People
from smsgw.services.records import Records
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.stand_ins import StandIns
from smsgw.services.requests.types import RequestTypes
from smsgw.services.retention import Purging
from smsgw.services.slots import SlotMap
from smsgw.services.stats import Stats
from smsgw.services.submission import DAY_SECONDS, Outgoing, Submission
from smsgw.services.survey import Survey
from smsgw.services.terms import Terms
from smsgw.services.traces import Traces
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.book import Webhooks
from smsgw.services.webhooks.lane import Tools as WebhookTools
from smsgw.services.webhooks.posting import Poster
from smsgw.services.webhooks.subscribers import Subscribers
from smsgw.store import audit
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.idempotency import Once
from smsgw.store.ids import made_at
from smsgw.store.inbox import InboundRow
from smsgw.store.progress import StatusChange
from smsgw.store.pulse import Pulse
from smsgw.transport.link import Inbound

Json = dict[str, Any]

REPLIES_WITHIN = 10.0
"""Seconds a stop waits for replies that are being read."""


class GatewayObserver(LinksObserver, Protocol):
    """What the gateway counts; metrics implement it. One call per batch."""

    def watch(self, figures: Callable[[], Figures]) -> None:
        """Ask this at each look."""

    def purged(self, kind: str, count: int) -> None:
        """So many rows were old enough to lose their texts, or to be deleted."""

    def finished(self, message_class: str, status: MessageStatus, count: int = 1) -> None:
        """So many messages of a class reached a final status."""

    def reported(self, link: str, result: str, count: int = 1) -> None:
        """So many status reports met this fate."""

    def unmatched(self, counts: Mapping[str, int]) -> None:
        """So many status reports of each link wait for their segment; of all others none."""

    def replied(self, outcome: str, count: int = 1) -> None:
        """So many inbound messages led to this."""

    def request_finished(self, outcome: str, seconds: float) -> None:
        """A request was closed, so long after it was made."""

    def slots_ran_out(self, outcome: str) -> None:
        """An extension was needed that was not free: ``shortened`` or ``exhausted``."""

    def posted(self, result: str, events: int) -> None:
        """A webhook was called."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message as a customer asks for it.

    Attributes:
        to: The recipient as it was written.
        text: What to send, whole.
        message_class: How urgent it is.
        reference: The customer's own, or "".
        send_at: When to send it, with its zone; None for at once.
        valid_for: Seconds after which it need not be sent any more, from ``send_at`` on; None for
            the default.
        expects_reply: Its reply must find back, so it never leaves the subscriber's own operator.
    """

    to: str
    text: str
    message_class: MessageClass = MessageClass.NOTICE
    reference: str = ""
    send_at: datetime | None = None
    valid_for: float | None = None
    expects_reply: bool = False


class Gateway:
    """Accepts messages and requests, keeps the links, and reads what comes back.

    Args:
        database: Not open yet.
        links: All of them, in order of preference.
        terms: What it goes by, which may change.
        reactor: Its clock and timers.
        observer: Told what is counted.

    Attributes:
        control: Its links.
        traces: Who sees what goes over them.
        records: What is recorded of messages, of what phones sent, and of events.
        requests: Asks people and reads their answers.
        types: Flows saved by name.
        stand_ins: Who answers for whom.
        ported: Numbers that changed operator.
        audit: What was done, and by whom.
        conversations: Extensions that applications use as they like.
        batches: One text to many.
        stats: How many of what there were.
        slots: Which extension stands for what.
        people: What is known of a phone: given out, erased, on hold.
        opt_outs: Who wants no bulk and no notices.
        idempotency: What was done already.
        news: Who waits for events.
        webhooks: Where events are posted to.
        reload: Reads the configuration again: called with who asks, and whether only to say what
            that would change.
        on_lost: Called once, with a line for people, when another process has taken over all our
            work: stop this one.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        links: Sequence[LinkEntry],
        terms: Terms,
        reactor: IReactorTime,
        observer: GatewayObserver,
    ) -> None:
        self.on_lost: Callable[[str], None] = lambda why: None
        self.reload: Callable[[str, bool], Awaitable[Json]] = _no_reload
        self._database = database
        self._pulse = Pulse(database, reactor)
        self._observer = observer
        self._clock = reactor
        self._routes = terms.routes
        self._inbound_table = terms.inbound_table
        self._running = self._lost = self._finished = False
        self._draining = ""
        self.control = control = LinkControl(links, database, reactor, observer, self._take)
        self.traces = Traces(control.entries, reactor, database.ids, self.record)
        control.renewed = self.traces.renew
        self._dispatcher = control.dispatcher = Dispatcher(
            [entry.link for entry in links],
            database,
            reactor,
            limits={entry.link.name: Limits(entry.rate) for entry in links},
            policy=terms.retry,
            doubt=terms.doubt,
            failover_after=terms.failover_after,
            elsewhere=lambda *asked: self._other_links.find(*asked),
            on_changes=self._count_finished,
        )
        self._neighbours = self._make_neighbours()
        self.opt_outs = OptOuts(database, reactor, shared=database.presence is not None)
        self._submission = Submission(
            self._routes,
            control.infos,
            database,
            self._dispatcher,
            reactor.seconds,
            up=control.up,
            full=self._dispatcher.full,
            elsewhere=self._dispatcher.elsewhere,
            wanted=self.opt_outs.check,
        )
        self.records = Records(database)
        self.stats = Stats(database, reactor.seconds)
        self.batches = Batches(database, self._submission, reactor, self._reported)
        self._other_links = OtherLinks(
            self._routes, control.infos, control.up, self._submission.split
        )
        self._tools = tools = Tools(
            ids=database.ids,
            composer=self._submission,
            plans=terms.plans,
            presets=dict(terms.presets),
            quiet=terms.quiet,
            operators=control.operators,
            is_service=self._inbound_table.is_service,
            accept_lost_extension=terms.accept_lost_extension,
        )
        self.requests = RequestEngine(
            database, tools, reactor, self._request_event, shared=database.presence is not None
        )
        self.types = RequestTypes(database, tools, reactor.seconds)
        self.stand_ins = StandIns(database, reactor.seconds)
        self.audit = AuditLog(database, reactor.seconds)
        self.conversations = Conversations(self.requests, database, reactor.seconds)
        self.slots = SlotMap(database, terms.plans, reactor)
        self.news = News(database, reactor, shared=database.presence is not None)
        database.writer.watchers.append(self.news.committed)
        self.idempotency = IdempotencyKeys(database, reactor)
        self._purging = Purging(database, terms.retention, reactor, observer.purged)
        self._handover = Handover(database, reactor, self._read)
        self._reassembly = Reassembly(
            database,
            reactor,
            self._inbound_table,
            self._handover.add,
            families=control.families,
        )
        self.ported = Portability(database, reactor, self._routes.ported, control.operators)
        self._inbound = InboundMessages(database, reactor, self._reassembly, self.ported.learn)
        self.people = People(database, reactor.seconds, self.ported.forget_everywhere)
        self._make_webhooks(terms.webhook_rules)
        self._reports = Reports(
            database,
            reactor,
            self._reported,
            observer.reported,
            observer.unmatched,
            text_ids=control.text_ids,
            on_queued=self._dispatcher.offer,
        )
        self._survey = Survey(database, self.slots, reactor)
        self._delivery = {str(kind): Tally(WAIT_SECONDS) for kind in MessageClass}
        observer.watch(self.figures)

    def adopt(self, terms: Terms) -> None:
        """Go by other terms from now on; what is under way ends by the old ones."""
        self._routes.adopt(terms.routes)
        self._inbound_table.adopt(terms.inbound_table)
        self._dispatcher.adopt(terms.retry, terms.doubt, terms.failover_after)
        tools = self._tools
        tools.plans, tools.quiet = terms.plans, terms.quiet
        tools.presets.update(terms.presets)
        tools.accept_lost_extension = terms.accept_lost_extension
        self.requests.votes.adopt(terms.plans)
        self.slots.plans = terms.plans
        self._poster.adopt(terms.webhook_rules)
        self.webhooks.rules = terms.webhook_rules
        self._purging.retention = terms.retention

    # ---- life ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, take up what the last run left, listen, and dial.

        Raises:
            StoreError: The database cannot be used.
            CannotListenError: A listener's address is taken or not ours.
        """
        self._database.open()
        await self.control.listen()
        await self.ported.start()
        await self._reports.start()
        await self._dispatcher.recover()
        await self.requests.votes.start()
        await self._reassembly.recover()
        await self._handover.recover()
        self.requests.timers.start()
        await self.slots.start()
        await self._survey.start()
        await self.idempotency.start()
        self._purging.start()
        await self.opt_outs.start()
        await self._subscribers.start()
        self.control.start_all()
        if self._neighbours is not None:
            self._neighbours.start()
        self._running = not self._lost

    async def finish(self) -> None:
        """Take nothing more, finish what is in flight, and unbind; the first half of a stop.

        Peers that do not answer hold it up for 30 seconds: 25 s for answers (:meth:`hurry` ends
        that wait), 5 s for an unbind.
        """
        self._running, self._finished = False, True
        self._submission.closed = "the gateway is being stopped; try again"
        if self._neighbours is not None:
            self._neighbours.stop()
        await self._dispatcher.stop(0.0 if self._lost else ANSWERS_WITHIN)
        await self.control.stop_all()

    def hurry(self) -> None:
        """Have :meth:`finish` wait for no more answers: what has none is of unknown outcome."""
        self._dispatcher.hurry()

    async def stop(self) -> None:
        """Finish what is in flight, unbind, and close the store.

        After :meth:`finish`, a database that does not answer holds it up for less than 15 seconds:
        replies that are being read, the 3 s of webhooks, and the last commits.
        """
        if not self._finished:
            await self.finish()
        self.news.stop()
        self.traces.close()
        await self._subscribers.stop()
        await self._poster.close()
        self._reassembly.stop()
        self.ported.stop()
        self._reports.stop()
        await self._handover.stop(REPLIES_WITHIN)
        await self.requests.timers.stop()
        self.requests.votes.stop()
        self.slots.stop()
        self._survey.stop()
        self.idempotency.stop()
        await self._purging.stop()
        self.opt_outs.stop()
        await self._database.close()

    async def drain(self, actor: str, undo: bool = False) -> Json:
        """Take no new work and be not ready, until undone or the next start.

        What was accepted is sent; replies are read. Returns whether it drains, and what waits.
        """
        await self.record(actor, "gateway.drain_undone" if undo else "gateway.drained", {})
        if not self._finished:
            self._draining = "" if undo else actor
            told = "" if undo else "the gateway is being drained; ask another one"
            self._submission.closed = told
        if undo:
            self.log.info("not drained any more: {who}", event="gateway.drain_undone", who=actor)
        else:
            self.log.warn("drained by {who}", event="gateway.drained", who=actor)
        waiting = self._dispatcher.state().values()
        return {
            "draining": bool(self._draining),
            "queued": sum(one["queued"] for one in waiting),
            "sending": sum(one["sending"] for one in waiting),
            "more_in_store": any(one["more_in_store"] for one in waiting),
        }

    async def record(self, actor: str, action: str, detail: Json) -> None:
        """Add to the audit chain what somebody did to the gateway."""
        entry, now = Entry(actor, action, "", 0, detail), int(self._clock.seconds() * 1000)
        await self._database.writer.run(lambda connection: audit.append(connection, now, [entry]))

    @property
    def alive(self) -> bool:
        """Whether what is accepted can be recorded at all: the writer's thread runs."""
        return self._database.writer.alive

    def check_open(self) -> None:
        """Check that new work is taken.

        Raises:
            Overloaded: It is not: the gateway is drained, or being stopped.
        """
        self._submission.check_open()

    def listener_port(self, link: str) -> int:
        """The port on which a link's gateway dials us; 0 where it does not."""
        return self.control.entries[link].link.listener_port or 0

    @property
    def submission(self) -> Submission:
        """The way in for messages, for a door that records more than these."""
        return self._submission

    def _make_neighbours(self) -> Neighbours | None:
        presence = self._database.presence
        if presence is None:
            return None
        presence.on_lost = self._lose
        neighbours = Neighbours(
            self._database,
            presence,
            self._clock,
            self._dispatcher,
            self.control.serves,
            self._reported,
            self._take_up,
        )
        self.control.forget = neighbours.forget
        return neighbours

    def _make_webhooks(self, rules: Rules) -> None:
        database, clock = self._database, self._clock
        self._poster = Poster(clock, rules)
        tools = WebhookTools(database, self._poster, clock, self._observer.posted)
        self._subscribers = Subscribers(tools, database.permit, self._poster.cancel)
        database.writer.watchers.append(self._subscribers.committed)
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
        if self._draining:
            reasons.append(f"drained by {self._draining}")
        if self.control.entries and not any(map(self.control.up, self.control.entries)):
            reasons.append("no link is up")
        return reasons

    # ---- messages ------------------------------------------------------------------------

    async def send(
        self, account: str, outgoing: Sequence[NewMessage], once: Once[Sequence[int]] | None = None
    ) -> list[int]:
        """Accept messages, all or none; returns their ids once they are durable.

        What ``once`` makes of the ids is recorded in the same commit.

        Raises:
            ValidationError: Its field is a path such as ``messages[3].to``.
            Overloaded: More waits already than is taken; try again after its ``retry_after``.
        """
        named = [_outgoing(account, one) for one in outgoing]
        return await self._submission.accept(named, once)

    async def cancel(self, account: str, message_id: int, once: Once[Json] | None = None) -> Json:
        """End a message before anything of it is sent; returns it as it is then.

        What ``once`` makes of that is recorded in the same commit; so in what follows.

        Raises:
            NotFound: No such message, or it is another account's.
            Conflict: A part of it was handed to a link, or it came to an end before.
        """
        change, shown = await self._submission.cancel(account, message_id, once)
        self._count_finished([change])
        return shown

    async def read_inbound(
        self,
        account: str,
        ids: Sequence[int] = (),
        up_to: int | None = None,
        once: Once[int] | None = None,
    ) -> int:
        """Note which messages of phones the account has read; returns how many it had not.

        Args:
            account: Who reads, for itself only.
            ids: These.
            up_to: This one and everything before it.
            once: Is given how many.

        Raises:
            ValidationError: Its field is such as ``ids[2]``; then nothing changed.
        """
        now_ms = int(self._clock.seconds() * 1000)
        if up_to is None:
            return await inbox.read(self._database, account, ids, now_ms, once)
        return await inbox.read_until(self._database, account, up_to, now_ms, once)

    def links(self) -> list[Json]:
        """Return the state of every link."""
        waiting = self._dispatcher.state()
        shown = []
        for name in self.control.entries:
            queue = waiting[name]
            limited_by = queue.pop("limited_by")  # it knows the queues as well as the link
            state = {**self.control.state(name), "report_ids": self._reports.form_of(name)}
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
        links = [{"name": name, "up": self.control.up(name)} for name in found.links]
        return {"to": phone, **msgspec.structs.asdict(found), "links": links}

    def figures(self) -> Figures:
        """Return what can be told without asking the database."""
        hooks, statuses = self._subscribers, self._reports.statuses
        senders = self._dispatcher.senders
        return Figures(
            links=[
                figures_of(entry.link, senders[name], statuses.get(name, {}))
                for name, entry in self.control.entries.items()
                if name in senders  # one that is being added has none yet
            ],
            accepted=self._submission.accepted,
            segments={
                Coding(coding).name.lower(): count
                for coding, count in self._submission.segments.items()
            },
            delivery=self._delivery,
            parts_waiting=self._reassembly.waiting,
            incomplete=self._reassembly.incomplete,
            ported=len(self._routes.ported),
            slots_in_use=self.slots.in_use,
            rows_queued=self._database.writer.queued,
            webhook_backlog=hooks.backlog,
            webhook_oldest=hooks.oldest_seconds,
            webhook_dead=hooks.dead,
            webhooks_paused=hooks.paused,
            stored=self._survey.stored,
        )

    # ---- what comes back -----------------------------------------------------------------

    def _take(self, link: str, batch: list[Inbound]) -> None:
        reports = [item for item in batch if item.report is not None]
        messages = [item for item in batch if item.message is not None]
        if reports:
            self._watched("status reports", self._reports.take(link, reports))
        if messages:
            self._watched("inbound messages", self._inbound.take(link, messages))

    def _watched(self, what: str, work: Deferred[None]) -> None:
        work.addErrback(
            lambda failure: self.log.failure(
                "{operation} failed", failure, event="delivery.failed", operation=what
            )
        )

    def _read(self, row: InboundRow) -> Deferred[None]:
        return self.requests.reply(row).addCallback(self._observer.replied)

    def _reported(self, changes: list[StatusChange]) -> None:
        self._dispatcher.follow(changes)
        self._count_finished(changes)

    def _count_finished(self, changes: Sequence[StatusChange]) -> None:
        ends = Counter([(change.message_class, change.status) for change in changes])
        for (message_class, status), count in ends.items():
            self._observer.finished(message_class, status, count)
        for change in changes:
            if change.status is MessageStatus.DELIVERED:
                self._delivery[change.message_class].add((change.at - change.wanted_at) / 1000)

    def _request_event(self, event: Event) -> None:
        if event.kind == "request.closed":
            seconds = (event.at - made_at(event.subject_id)) / 1000
            self._observer.request_finished(str(event.data.get("outcome", "")), seconds)
        if event.kind in ("conversations.shortened", "conversations.exhausted"):
            self._observer.slots_ran_out(event.kind.removeprefix("conversations."))


def _outgoing(account: str, one: NewMessage) -> Outgoing:
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


async def _no_reload(actor: str, dry_run: bool) -> Json:
    raise Conflict("this gateway was made without a file, so there is none to read again")
