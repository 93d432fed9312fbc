"""Accepts messages to phones: checks, routes, splits, stores, and hands them to be sent.

Planning touches nothing outside: what cannot be sent as written is refused with the field's name
and nothing stored. A message counts as accepted when its rows are committed; only then is it
offered to the links. Requests compose their messages inside their own transaction with
:meth:`Submission.insert` and :meth:`Submission.dispatch`.

Spec: text-and-long-messages.md sections 1, 3, 5 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from twisted.internet.defer import Deferred

from smsgw.errors import ValidationError
from smsgw.model import Coding, MessageClass, MessageStatus, Operator
from smsgw.routing.numbers import normalise
from smsgw.routing.table import RouteTable
from smsgw.services.references import References
from smsgw.services.requests.changes import Inserted
from smsgw.services.requests.changes import Outgoing as Composed
from smsgw.store import messages
from smsgw.store.database import Database
from smsgw.store.ids import IdSource
from smsgw.store.messages import ACCEPT, AcceptedMessage, MessageRow, encode_contents
from smsgw.store.queue import QueuedSegment
from smsgw.text import segmentation
from smsgw.text.charset import Family, choose
from smsgw.text.udh import ReferenceWidth

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_SECONDS = 86_400
VALID_FOR_MAX = 30 * DAY_SECONDS
REFERENCE_CHARACTERS = 128
BULK_MAX = 10_000


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


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message a customer wants sent.

    Attributes:
        account: Who asks.
        to: The phone, as the customer writes it.
        text: Whole.
        message_class: How urgent it is.
        reference: The customer's own, up to 128 characters.
        valid_for: Seconds after which it is not sent any more.
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
    valid_for: float = DAY_SECONDS
    expects_reply: bool = False
    extension: str = ""
    access_number: str = ""
    link: str | None = None
    want_report: bool = True


Chosen = dict[tuple[Operator, MessageClass, str, bool], LinkInfo]
"""Which link messages of an operator, class, account and expectation of a reply take now."""


class Plan(msgspec.Struct):
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


class Submission:
    """The way in for messages to phones; also the requests' composer.

    Args:
        routes: Which links may carry a message.
        links: Link name to what composing must know, in order of preference.
        database: Open.
        dispatcher: Sends what is committed.
        clock: Seconds since the Unix epoch.
        ids: Where ids come from; None for the database's.
        up: Whether a link can send now: among a route's links such a one is taken first.
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
    ) -> None:
        self._routes = routes
        self._links = dict(links)
        self._database = database
        self._dispatcher = dispatcher
        self._clock = clock
        self._ids = ids or database.ids
        self._up = up
        self._references = References(clock)

    # ---- what customers ask for ----------------------------------------------------------

    def accept(self, outgoing: Sequence[Outgoing]) -> Deferred[list[int]]:
        """Accept all messages or none; fires with their ids after the commit.

        Fails with ValidationError, whose field is a path such as ``messages[3].to``; then nothing
        was stored.
        """

        async def accept() -> list[int]:
            if not 1 <= len(outgoing) <= BULK_MAX:
                problem = f"{len(outgoing)} messages, allowed 1 to {BULK_MAX} at a time"
                raise ValidationError("messages", problem)
            return await self._commit(self._plans(outgoing))

        return Deferred.fromCoroutine(accept())

    def send(self, outgoing: Outgoing) -> Deferred[int]:
        """Accept one message; fires with its id after the commit.

        Fails with ValidationError, whose field is one of the message's own (``to``).
        """

        async def send() -> int:
            return (await self._commit([self.plan(outgoing)]))[0]

        return Deferred.fromCoroutine(send())

    def _plans(self, outgoing: Sequence[Outgoing]) -> list[Plan]:
        """Plan all, each link chosen once."""
        ids = self._ids.take(len(outgoing))
        chosen: Chosen = {}
        plans: list[Plan] = []
        try:
            for message_id, one in zip(ids, outgoing, strict=True):
                plans.append(self._plan(one, message_id, chosen))
        except ValidationError as error:
            field = f"messages[{len(plans)}].{error.field}"
            raise ValidationError(field, error.problem) from error
        return plans

    def plan(self, outgoing: Outgoing) -> Plan:
        """Return the rows of a message; nothing is stored.

        Raises:
            ValidationError: It cannot be sent as it is; says which field and why.
        """
        return self._plan(outgoing, self._ids.next(), {})

    def _plan(self, outgoing: Outgoing, message_id: int, chosen: Chosen) -> Plan:
        _check(outgoing)
        phone = normalise(outgoing.to)
        operator = self._routes.operator_of(phone)
        link = self._link(outgoing, phone, operator, chosen)
        source = _source(link, outgoing.extension)
        text = _signed(outgoing.text, link.signature)
        split = segmentation.plan(
            text,
            choose(text, link.codings),
            reference_width=link.reference_width,
            family=link.family,
            octets_max=link.content_octets_max,
        )
        total = len(split.parts)
        reference = 0
        if total > 1:
            reference = self._references.next(source, phone, link.reference_width)
        now = int(self._clock() * 1000)
        contents = segmentation.segments(split, reference)
        message = MessageRow(
            id=message_id,
            account=outgoing.account,
            reference=outgoing.reference,
            recipient=phone,
            text=text,
            message_class=str(outgoing.message_class),
            status=str(MessageStatus.QUEUED),
            reason="",
            expects_reply=outgoing.expects_reply,
            want_report=outgoing.want_report,
            operator=str(operator),
            link=link.name,
            access_number=link.access_number,
            extension=outgoing.extension,
            coding=int(split.coding),
            parts=total,
            contents=encode_contents(contents),
            created_at=now,
            valid_until=now + int(outgoing.valid_for * 1000),
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
                want_report=outgoing.want_report,
            )
            for part, content in enumerate(contents, start=1)
        ]
        return Plan(message, segments)

    async def _commit(self, plans: list[Plan]) -> list[int]:
        rows = [plan.rows(self._ids.node) for plan in plans]
        accepted = await self._database.writer.batch(ACCEPT, rows)
        self._dispatcher.offer([item for plan in plans for item in plan.segments])
        return accepted

    # ---- what requests compose -----------------------------------------------------------

    def sender_for(self, phone: str) -> str:
        """Return the access number a phone's own operator is served from; for any thread.

        Raises:
            ValidationError: No link serves the phone's operator.
        """
        route = self._routes.route(
            phone, message_class=MessageClass.INTERACTIVE, expects_reply=True
        )
        return self._first_up(route.links).access_number

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
            )
        )
        about = {} if outgoing.request_id is None else {"request_id": str(outgoing.request_id)}
        messages.insert(connection, [plan.rows(self._ids.node)], about)
        return Inserted(plan.message.id, plan)

    def dispatch(self, inserted: list[Inserted]) -> None:
        """Send what :meth:`insert` wrote; on the reactor thread, after the commit."""
        plans = [one.payload for one in inserted if isinstance(one.payload, Plan)]
        self._dispatcher.offer([item for plan in plans for item in plan.segments])

    # ---- which link ----------------------------------------------------------------------

    def _link(self, outgoing: Outgoing, phone: str, operator: Operator, chosen: Chosen) -> LinkInfo:
        if outgoing.link is not None:
            return self._named_link(outgoing, operator, outgoing.link)
        if outgoing.access_number:
            return self._link_of_number(outgoing.access_number, operator)
        key = (operator, outgoing.message_class, outgoing.account, outgoing.expects_reply)
        link = chosen.get(key)
        if link is None:
            link = chosen[key] = self._first_up(self._routes.route(phone, *key).links)
        return link

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
        links = [link for link in self._links.values() if link.access_number == access_number]
        if not links:
            known = ", ".join(sorted({link.access_number for link in self._links.values()}))
            problem = f"{access_number} is none of ours; write one of {known}"
            raise ValidationError("access_number", problem)
        own = [link for link in links if link.operator == operator]
        return self._first_up([link.name for link in own or links])

    def _first_up(self, names: Sequence[str]) -> LinkInfo:
        return self._links[next((name for name in names if self._up(name)), names[0])]


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


def _source(link: LinkInfo, extension: str) -> str:
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


def _signed(text: str, signature: str) -> str:
    """Return the text with its signature in front; one that is there already stands.

    Spec: text-and-long-messages.md section 5.
    """
    return text if text.lstrip().startswith("【") else signature + text
