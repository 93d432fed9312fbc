"""Accepts messages to phones: checks, routes, splits, stores, and hands them to be sent.

Planning touches nothing outside: what cannot be sent as written is refused with the field's name
and nothing stored. A message counts as accepted when its rows are committed; only then is it
offered to the links. When too much waits already, nothing is accepted: the caller is told to come
back. Requests compose their messages inside their own transaction with
:meth:`Submission.insert` and :meth:`Submission.dispatch`.

Spec: text-and-long-messages.md sections 1, 3, 5 and 7.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, Overloaded, ValidationError
from smsgw.model import Coding, MessageClass, MessageStatus, Operator
from smsgw.routing.numbers import normalise
from smsgw.routing.rules import draw
from smsgw.routing.table import RouteTable, Shares
from smsgw.services import queries
from smsgw.services.references import References
from smsgw.services.requests.changes import Inserted
from smsgw.services.requests.changes import Outgoing as Composed
from smsgw.services.schedule import send_time
from smsgw.store import messages, unsent
from smsgw.store.database import Database
from smsgw.store.idempotency import ACCEPT_ONCE, Once, remember
from smsgw.store.ids import IdSource
from smsgw.store.messages import ACCEPT, AcceptedMessage, MessageRow, encode_contents
from smsgw.store.nodes import NOBODY
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.text import segmentation
from smsgw.text.charset import Family
from smsgw.text.udh import ReferenceWidth

if TYPE_CHECKING:
    from sqlalchemy import Connection

Json = dict[str, Any]

DAY_SECONDS = 86_400
VALID_FOR_MAX = 30 * DAY_SECONDS
REFERENCE_CHARACTERS = 128
BULK_MAX = 10_000
PARTS_MAX = 100_000
"""Parts of the messages of one call: all are in memory until they are stored."""

WRITER_ROWS_MAX = 100_000
"""Rows that may wait for the database, a second or two of its work: above, nothing is accepted."""

WRITER_RETRY_SECONDS = 1

STUCK_SECONDS = 5.0
"""How long one commit may take until nothing is accepted: its database is away, or hangs."""

CLOSED_RETRY_SECONDS = 30
"""When to come back to a gateway that is being drained or stopped: its next life, or another."""

BACKLOG_RETRY_SECONDS = 30
"""When to come back: a full queue of a link is counted again as often as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkInfo:
    """What composing a message must know of a link.

    Attributes:
        name: The link.
        access_number: The sender number without extension.
        operator: Whose subscribers it reaches with the extension intact.
        codings: Data codings it may use, best first.
        number_digits_max: Most digits of a sender number, extension included.
        content_octets_max: The carrier's own ceiling on one submit's content, or None.
        reference_width: Bits of the long message reference.
        family: Who gives the coding octet its meaning.
        signature: What every text starts with (``【…】``) unless it is there; "" for nothing.
    """

    name: str
    access_number: str
    operator: Operator
    codings: tuple[Coding, ...] = (Coding.ASCII, Coding.UCS2)
    number_digits_max: int = 20
    content_octets_max: int | None = None
    reference_width: ReferenceWidth = 8
    family: Family = "chinese"
    signature: str = ""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message a customer wants sent.

    Attributes:
        account: Who asks.
        to: The phone, as the customer writes it.
        text: Whole.
        message_class: How urgent it is.
        reference: The customer's own, up to 128 characters.
        send_at: When to send it, with its zone; None for at once.
        valid_for: Seconds after which it is not sent any more, from ``send_at`` on.
        expects_reply: Its reply must find the way back: only the operator's own links.
        extension: Digits after the access number.
        access_number: Which of our numbers to send from; "" for the route's.
        link: Which link to use; None for the route's.
        want_report: Ask the carrier what became of it.
    """

    account: str
    to: str
    text: str
    message_class: MessageClass = MessageClass.NOTICE
    reference: str = ""
    send_at: datetime | None = None
    valid_for: float = DAY_SECONDS
    expects_reply: bool = False
    extension: str = ""
    access_number: str = ""
    link: str | None = None
    want_report: bool = True


Chosen = dict[tuple[Operator, MessageClass, str, bool], Shares]
"""Which links share messages of an operator, class, account and expectation of a reply now."""


class Plan(msgspec.Struct, gc=False):
    """A message as it will be stored and sent."""

    message: MessageRow
    segments: list[QueuedSegment]

    def rows(self, node: int) -> AcceptedMessage:
        """Return what is stored of it."""
        return self.message, [item.queue_row(node, item.due_at) for item in self.segments]


class Sends(Protocol):
    """What is used of a :class:`smsgw.delivery.dispatcher.Dispatcher`."""

    def offer(self, segments: Sequence[QueuedSegment]) -> None:
        """Take segments whose rows are committed."""

    def follow(self, changes: Sequence[StatusChange]) -> None:
        """Stop sending what has come to an end."""


class Submission:
    """The way in for messages to phones; also the requests' composer.

    Args:
        routes: Which links may carry a message.
        links: Link name to what composing must know, in order of preference; it may change.
        database: Open.
        dispatcher: Sends what is committed.
        clock: Seconds since the Unix epoch.
        ids: Where ids come from; None for the database's.
        elsewhere: Links that only other processes have connections of.
        up: Whether a link can send now: among a route's links such a one is taken first.
        full: Whether a link has as much waiting of a class as it may have.
        chance: Random numbers from 0 to 1: which of the links that share messages is taken.
        wanted: Raises ValidationError when a phone has opted out of an account's messages of a
            class.

    Attributes:
        closed: Why nothing new is accepted, for customers; "" when it is.
        accepted: Messages committed so far, by class.
        segments: Their parts, by the data coding octet.
    """

    def __init__(
        self,
        routes: RouteTable,
        links: Mapping[str, LinkInfo],
        database: Database,
        dispatcher: Sends,
        clock: Callable[[], float],
        ids: IdSource | None = None,
        *,
        up: Callable[[str], bool] = lambda link: True,
        full: Callable[[str, MessageClass], bool] = lambda link, message_class: False,
        chance: Callable[[], float] = random.random,
        elsewhere: AbstractSet[str] = frozenset(),
        wanted: Callable[[str, str, MessageClass], None] = lambda phone, account, kind: None,
    ) -> None:
        self._routes = routes
        self._links = links
        self._database = database
        self._dispatcher = dispatcher
        self._clock = clock
        self._ids = ids or database.ids
        self._up = up
        self._full = full
        self._chance = chance
        self._elsewhere = elsewhere
        self._check_wanted = wanted
        self._references = References(clock)
        self.closed = ""
        self.accepted = Counter[str]()
        self.segments = Counter[int]()

    # ---- what customers ask for ----------------------------------------------------------

    def accept(
        self, outgoing: Sequence[Outgoing], once: Once[Sequence[int]] | None = None
    ) -> Deferred[list[int]]:
        """Accept all messages or none; fires with their ids after the commit.

        What ``once`` makes of the ids is recorded in the same commit; when that key is there
        already it fails with InProgress.

        Fails with ValidationError, whose field is a path such as ``messages[3].to``, or with
        Overloaded; then nothing was stored.
        """

        async def accept() -> list[int]:
            if not 1 <= len(outgoing) <= BULK_MAX:
                problem = f"{len(outgoing)} messages, allowed 1 to {BULK_MAX} at a time"
                raise ValidationError("messages", problem)
            self._check_writer()
            return await self._commit(self._plans(outgoing), once)

        return Deferred.fromCoroutine(accept())

    def send(self, outgoing: Outgoing, once: Once[Sequence[int]] | None = None) -> Deferred[int]:
        """Accept one message; fires with its id after the commit. ``once``: as of :meth:`accept`.

        Fails with ValidationError, whose field is one of the message's own (``to``), or with
        Overloaded.
        """

        async def send() -> int:
            self._check_writer()
            return (await self._commit([self.plan(outgoing)], once))[0]

        return Deferred.fromCoroutine(send())

    def cancel(
        self, account: str, message_id: int, once: Once[Json] | None = None
    ) -> Deferred[tuple[StatusChange, Json]]:
        """End a message before anything of it is sent; fires after the commit.

        Fires with its end, and with the message as it is then; what ``once`` makes of that is
        recorded in the same commit. Fails with NotFound, or with Conflict when a part of it was
        handed to a link.
        """

        async def cancel() -> tuple[StatusChange, Json]:
            node, now = self._ids.node, self._now_ms()
            find = partial(unsent.places_of, node=node, account=account, message_id=message_id)
            places = await self._database.read(find)

            def work(connection: Connection) -> tuple[StatusChange, Json]:
                change = unsent.cancel(connection, message_id, places, now)
                shown = queries.message(connection, account, message_id)
                return change, remember(connection, once, shown)

            change, shown = await self._database.writer.run(work)
            self._dispatcher.follow([change])
            return change, shown

        return Deferred.fromCoroutine(cancel())

    # ---- what customers submit over connections of theirs --------------------------------

    def compose(self, outgoing: Sequence[Outgoing], ids: Sequence[int]) -> list[Plan]:
        """Plan messages under ids that were given out; nothing is stored.

        Raises:
            ValidationError: One cannot be sent as it is; says which field and why.
            Overloaded: More waits already than is taken.
        """
        self._check_writer()
        now = self._now_ms()
        chosen: Chosen = {}
        plans = [
            self._plan(one, message_id, now, chosen)
            for message_id, one in zip(ids, outgoing, strict=True)
        ]
        self._check_links(plans)
        return plans

    def stored(self, plans: Sequence[Plan]) -> list[AcceptedMessage]:
        """Return what is to be stored of planned messages, by whoever planned them."""
        return [plan.rows(self._node_for(plan)) for plan in plans]

    def send_off(self, plans: Sequence[Plan]) -> None:
        """Send what is stored now."""
        for plan in plans:
            message = plan.message
            self.accepted[message.message_class] += 1
            self.segments[message.coding] += message.parts
        self._dispatcher.offer([item for plan in plans for item in plan.segments])

    def _check_writer(self) -> None:
        writer = self._database.writer
        self.check_open()
        if (busy := writer.busy_seconds) > STUCK_SECONDS:
            raise Overloaded(f"the database has not answered for {busy:.0f} s", int(STUCK_SECONDS))
        queued = writer.queued
        if queued >= WRITER_ROWS_MAX:
            problem = f"{queued} rows wait for the database, limit {WRITER_ROWS_MAX}"
            raise Overloaded(problem, WRITER_RETRY_SECONDS)

    def _check_links(self, plans: list[Plan]) -> None:
        lanes = {(plan.message.link, plan.segments[0].message_class) for plan in plans}
        for link, message_class in lanes:
            if self._full(link, message_class):
                problem = f"link {link}: too many {message_class} messages wait for it"
                raise Overloaded(problem, BACKLOG_RETRY_SECONDS)

    def _plans(self, outgoing: Sequence[Outgoing]) -> list[Plan]:
        """Plan all, each link chosen once."""
        ids, now = self._ids.take(len(outgoing)), self._now_ms()
        chosen: Chosen = {}
        plans: list[Plan] = []
        parts = 0
        try:
            for message_id, one in zip(ids, outgoing, strict=True):
                plans.append(self._plan(one, message_id, now, chosen))
                parts += plans[-1].message.parts
                if parts > PARTS_MAX:
                    break
        except ValidationError as error:
            field = f"messages[{len(plans)}].{error.field}"
            raise ValidationError(field, error.problem) from error
        check_parts("messages", parts)
        return plans

    def plan(self, outgoing: Outgoing) -> Plan:
        """Return the rows of a message; nothing is stored.

        Raises:
            ValidationError: It cannot be sent as it is; says which field and why.
        """
        return self._plan(outgoing, self._ids.next(), self._now_ms(), {})

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _plan(self, outgoing: Outgoing, message_id: int, now: int, chosen: Chosen) -> Plan:
        _check(outgoing)
        phone = normalise(outgoing.to)
        self._check_wanted(phone, outgoing.account, outgoing.message_class)
        operator = self._routes.operator_of(phone)
        link = self._link(outgoing, phone, operator, chosen)
        source = source_of(link, outgoing.extension)
        text = signed(outgoing.text, link.signature)
        coding, contents = self.split(link, source, phone, text)
        total = len(contents)
        send_at = None if outgoing.send_at is None else send_time(outgoing.send_at, now)
        due_at = send_at if send_at is not None and send_at > now else 0
        message = MessageRow(  # by position: so many names cost a microsecond
            message_id,
            outgoing.account,
            outgoing.reference,
            phone,
            text,
            str(outgoing.message_class),
            str(MessageStatus.SCHEDULED if due_at else MessageStatus.QUEUED),
            "",
            outgoing.expects_reply,
            outgoing.want_report,
            str(operator),
            link.name,
            link.access_number,
            outgoing.extension,
            coding,
            total,
            encode_contents(contents),
            now,
            (due_at or now) + int(outgoing.valid_for * 1000),
            None,
            send_at,
        )
        segments = [
            QueuedSegment(
                message.id,
                part,
                total,
                message.account,
                message.link,
                phone,
                source,
                message.coding,
                content,
                outgoing.message_class,
                message.valid_until,
                due_at,
                outgoing.want_report,
            )
            for part, content in enumerate(contents, start=1)
        ]
        return Plan(message, segments)

    def split(self, link: LinkInfo, source: str, phone: str, text: str) -> tuple[int, list[bytes]]:
        """Return a text's coding on a link, and each part's octets; for any thread.

        Raises:
            ValidationError: It is too long.
        """
        split = segmentation.plan_text(
            text,
            link.codings,
            reference_width=link.reference_width,
            family=link.family,
            octets_max=link.content_octets_max,
        )
        reference = 0
        if len(split.parts) > 1:
            reference = self._references.next(source, phone, link.reference_width)
        return int(split.coding), segmentation.segments(split, reference)

    async def _commit(
        self, plans: list[Plan], once: Once[Sequence[int]] | None = None
    ) -> list[int]:
        self._check_links(plans)
        rows = [plan.rows(self._node_for(plan)) for plan in plans]
        writer = self._database.writer
        if once is None:
            accepted = await writer.batch(ACCEPT, rows)
        else:
            keys = [once([plan.message.id for plan in plans]), *[None] * (len(plans) - 1)]
            accepted = await writer.batch(ACCEPT_ONCE, list(zip(rows, keys, strict=True)))
        self.send_off(plans)
        return accepted

    def _node_for(self, plan: Plan) -> int:
        """Whose queue a message stands in: nobody's, where only others can send it."""
        return NOBODY if plan.message.link in self._elsewhere else self._ids.node

    def check_open(self) -> None:
        """Check that new work is taken.

        Raises:
            Overloaded: It is not, now.
        """
        if self.closed:
            raise Overloaded(self.closed, CLOSED_RETRY_SECONDS)

    # ---- what requests compose -----------------------------------------------------------

    def sender_for(self, phone: str) -> str:
        """Return the access number a phone's own operator is served from; for any thread.

        Raises:
            ValidationError: No link serves the phone's operator.
        """
        route = self._routes.route(
            phone, message_class=MessageClass.INTERACTIVE, expects_reply=True
        )
        return self._links[draw(route.shares(self._up), self._chance())].access_number

    def insert(self, connection: Connection, outgoing: Composed) -> Inserted:
        """Write a request's message into the caller's transaction, on the writer thread.

        Raises:
            ValidationError: It cannot be sent as it is; nothing was written.
        """
        plan = self.plan(
            Outgoing(
                account=outgoing.account,
                to=outgoing.to,
                text=outgoing.text,
                message_class=outgoing.message_class,
                reference=outgoing.reference,
                expects_reply=outgoing.expects_reply,
                extension=outgoing.extension,
                access_number=outgoing.access_number,
                send_at=_time(outgoing.due_at),
                valid_for=DAY_SECONDS if outgoing.valid_for is None else outgoing.valid_for,
            )
        )
        about = {} if outgoing.request_id is None else {"request_id": str(outgoing.request_id)}
        messages.insert(connection, [plan.rows(self._node_for(plan))], about)
        return Inserted(plan.message.id, plan)

    def revoke(self, connection: Connection, message_id: int) -> StatusChange | None:
        """End a request's message in the caller's transaction, if nothing of it was sent."""
        try:
            with connection.begin_nested():  # what goes on leaves every part where it was
                return unsent.cancel(connection, message_id, [], int(self._clock() * 1000))
        except Conflict:
            return None

    def dispatch(self, inserted: list[Inserted], revoked: list[object]) -> None:
        """Send what :meth:`insert` wrote; on the reactor thread, after the commit."""
        self.send_off([one.payload for one in inserted if isinstance(one.payload, Plan)])
        self._dispatcher.follow([one for one in revoked if isinstance(one, StatusChange)])

    # ---- which link ----------------------------------------------------------------------

    def _link(self, outgoing: Outgoing, phone: str, operator: Operator, chosen: Chosen) -> LinkInfo:
        if outgoing.link is not None:
            return self._named_link(outgoing, operator, outgoing.link)
        if outgoing.access_number:
            return self._link_of_number(outgoing.access_number, operator)
        key = (operator, outgoing.message_class, outgoing.account, outgoing.expects_reply)
        shares = chosen.get(key)
        if shares is None:
            shares = chosen[key] = self._routes.route(phone, *key).shares(self._up)
        name = shares[0][0] if len(shares) == 1 else draw(shares, self._chance())
        return self._links[name]

    def _named_link(self, outgoing: Outgoing, operator: Operator, name: str) -> LinkInfo:
        link = self._links.get(name)
        if link is None:
            known = ", ".join(self._links) or "none"
            raise ValidationError("link", f"no link {name!r}; links are: {known}")
        if outgoing.access_number not in ("", link.access_number):
            problem = f"{outgoing.access_number} is not link {name}'s, {link.access_number} is"
            raise ValidationError("access_number", problem)
        if outgoing.expects_reply and link.operator != operator:
            raise ValidationError(
                "link",
                f"{name} is a link of operator {link.operator}; a message to {operator} that "
                "expects a reply may not leave its operator; leave the link out",
            )
        return link

    def _link_of_number(self, access_number: str, operator: Operator) -> LinkInfo:
        """Return a link with that number: the one a conversation under it belongs to.

        The phone's prefix does not matter here: who wrote to the number can be answered from it.
        """
        every = list(self._links.values())  # at once: they may change, and this is any thread
        links = [link for link in every if link.access_number == access_number]
        if not links:
            known = ", ".join(sorted({link.access_number for link in every}))
            problem = f"{access_number} is none of ours; write one of {known}"
            raise ValidationError("access_number", problem)
        own = [link for link in links if link.operator == operator]
        return self._first_up([link.name for link in own or links])

    def _first_up(self, names: Sequence[str]) -> LinkInfo:
        return self._links[next((name for name in names if self._up(name)), names[0])]


def check_parts(field: str, parts: int) -> None:
    """Check how many parts the messages of one call have together."""
    if parts > PARTS_MAX:
        problem = f"more than {PARTS_MAX} parts of messages together, the limit of one call"
        raise ValidationError(field, f"{problem}; write fewer at a time")


def _check(outgoing: Outgoing) -> None:
    """Check what needs no route."""
    if not outgoing.text.strip():
        raise ValidationError("text", "empty; write what the phone should show")
    if len(outgoing.reference) > REFERENCE_CHARACTERS:
        problem = f"{len(outgoing.reference)} characters, limit {REFERENCE_CHARACTERS}; shorten it"
        raise ValidationError("reference", problem)
    if not 0 < outgoing.valid_for <= VALID_FOR_MAX:
        problem = f"{outgoing.valid_for:g} seconds, allowed 1 to {VALID_FOR_MAX}"
        raise ValidationError("valid_for", problem)
    extension = outgoing.extension
    if extension and not (extension.isascii() and extension.isdigit()):
        raise ValidationError(
            "extension", f"{extension[:20]!r} has other characters than digits; write digits only"
        )


def source_of(link: LinkInfo, extension: str) -> str:
    """Return the sender number, checked against the carrier's digits."""
    source = link.access_number + extension
    if len(source) > link.number_digits_max:
        raise ValidationError(
            "extension",
            f"access number {link.access_number} ({len(link.access_number)} digits) and extension "
            f"({len(extension)} digits) are {len(source)} digits, limit {link.number_digits_max} "
            f"on link {link.name}; shorten the extension by "
            f"{len(source) - link.number_digits_max}",
        )
    return source


def signed(text: str, signature: str) -> str:
    """Return the text with its signature in front; one that is there already stands.

    Spec: text-and-long-messages.md section 5.
    """
    return text if text.lstrip().startswith("【") else signature + text


def _time(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
