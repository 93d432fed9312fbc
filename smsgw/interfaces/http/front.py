"""What the HTTP API needs of the gateway behind it, and nothing more.

Everything returned is ready for JSON: ids are decimal strings, times ISO 8601 in UTC. What cannot
be done is raised: ValidationError, NotFound, Conflict, QuotaExceeded of :mod:`smsgw.errors`.
``account`` is who asks; what belongs to another account is not found. ``actor`` is the name of the
token, for the record; "" is the account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from smsgw.model import MessageClass, PortedNumber
from smsgw.services.idempotency import Answer, Asked
from smsgw.services.requests.drafts import Person, RequestDraft
from smsgw.services.requests.stand_ins import StandInDraft
from smsgw.services.submission import Once
from smsgw.store.idempotency import KeyRow

Json = dict[str, Any]


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


class RequestFront(Protocol):
    """Requests and their answers (:class:`smsgw.services.requests.engine.RequestEngine`)."""

    def create(self, account: str, draft: RequestDraft, actor: str = "") -> Awaitable[int]:
        """Record a request, ask its first step, and return its id once all that is durable."""
        ...

    def show(self, request_id: int, account: str | None = None) -> Awaitable[Json]:
        """Return a request with its steps, assignees and answers."""
        ...

    def list(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        reference: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Awaitable[Sequence[Json]]:
        """Return requests, newest first, older than the id ``before``."""
        ...

    def decide(
        self,
        request_id: int,
        assignment_id: int,
        decision: str,
        reason: str = "",
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
    ) -> Awaitable[int]:
        """Record an answer given over the API; return the request's new version.

        Raises:
            Conflict: It is closed or answered already, or its version is another by now.
        """
        ...

    def delegate(
        self,
        request_id: int,
        assignment_id: int,
        to: Person,
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
    ) -> Awaitable[int]:
        """Give an assignee's place to somebody else; return the request's new version."""
        ...

    def withdraw(
        self,
        request_id: int,
        reason: str = "",
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
    ) -> Awaitable[int]:
        """End a request that need not be decided any more; return its new version."""
        ...

    def close(
        self,
        request_id: int,
        version: int | None = None,
        account: str | None = None,
        actor: str = "",
    ) -> Awaitable[int]:
        """End a survey or a vote with what was answered; return its new version."""
        ...

    def resend(
        self, request_id: int, assignment_id: int | None, account: str | None = None
    ) -> Awaitable[int]:
        """Ask again who has not answered; return how many were asked."""
        ...

    def digest(self, phone: str, account: str | None = None) -> Awaitable[bool]:
        """Send a phone the list of all it has open; return whether there was anything."""
        ...


class TypesFront(Protocol):
    """Flows saved by name (:class:`smsgw.services.requests.types.RequestTypes`)."""

    def put(
        self,
        account: str,
        name: str,
        flow: RequestDraft,
        version: int | None = None,
        actor: str = "",
    ) -> Awaitable[int]:
        """Save a flow; return its version."""
        ...

    def show(self, account: str, name: str) -> Awaitable[Json]:
        """Return a flow."""
        ...

    def list(self, account: str, *, after: str, limit: int) -> Awaitable[Sequence[Json]]:
        """Return an account's flows by name, after one of them."""
        ...

    def remove(self, account: str, name: str, actor: str = "") -> Awaitable[None]:
        """Forget a flow."""
        ...


class StandInsFront(Protocol):
    """Who answers for whom (:class:`smsgw.services.requests.stand_ins.StandIns`)."""

    def create(self, account: str, draft: StandInDraft, actor: str = "") -> Awaitable[int]:
        """Record one; return its id."""
        ...

    def end(self, account: str, row_id: int, actor: str = "") -> Awaitable[None]:
        """End one."""
        ...

    def list(
        self, account: str, *, phone: str | None, ended: bool, before: int | None, limit: int
    ) -> Awaitable[Sequence[Json]]:
        """Return an account's, newest first, older than the id ``before``."""
        ...


class PortedFront(Protocol):
    """Numbers that changed operator (:class:`smsgw.delivery.portability.Portability`)."""

    def page(self, after: str, limit: int) -> Awaitable[Sequence[PortedNumber]]:
        """Return what is believed, in the order of the phones, after one of them."""
        ...

    def put(self, numbers: Sequence[PortedNumber]) -> Awaitable[int]:
        """Record all or none; return how many of them are news."""
        ...

    def forget(self, phones: Sequence[str]) -> Awaitable[int]:
        """Go by the prefix again for these normalised numbers; return how many were known."""
        ...


class AuditFront(Protocol):
    """What was done, and by whom (:class:`smsgw.services.audit_log.AuditLog`)."""

    def entries(
        self, account: str, *, after: tuple[int, int], limit: int
    ) -> Awaitable[Sequence[Json]]:
        """Return an account's entries by chain and sequence, after one of them."""
        ...

    def evidence(self, account: str, request_id: int) -> Awaitable[Json]:
        """Return everything that proves what became of a request."""
        ...


class ConversationsFront(Protocol):
    """Numbers to answer to (:class:`smsgw.services.conversations.Conversations`)."""

    def open(
        self,
        account: str,
        to: str,
        reference: str,
        *,
        valid_for: float | None = None,
        text: str | None = None,
        message_class: MessageClass = MessageClass.INTERACTIVE,
        actor: str = "",
    ) -> Awaitable[Json]:
        """Give out an extension, and send a text from it if there is one.

        Raises:
            ConversationsExhausted: All extensions of the phone are in use.
        """
        ...

    def send(
        self,
        account: str,
        conversation_id: int,
        text: str,
        message_class: MessageClass = MessageClass.INTERACTIVE,
        actor: str = "",
    ) -> Awaitable[Json]:
        """Send another text; return its ``message_id``."""
        ...

    def end(self, account: str, conversation_id: int, actor: str = "") -> Awaitable[Json]:
        """End a conversation; return it as it is then."""
        ...

    def show(self, account: str, conversation_id: int) -> Awaitable[Json]:
        """Return a conversation with its newest replies."""
        ...

    def list(
        self,
        account: str,
        *,
        before: int | None = None,
        reference: str | None = None,
        to: str | None = None,
        limit: int = 50,
    ) -> Awaitable[Sequence[Json]]:
        """Return conversations, newest first, older than the id ``before``."""
        ...


class SlotsFront(Protocol):
    """Which extension stands for what (:class:`smsgw.services.slots.SlotMap`)."""

    def page(
        self,
        account: str,
        *,
        phone: str | None = None,
        access_number: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Awaitable[Sequence[Json]]:
        """Return an account's slots in use, newest row first, older than the id ``before``."""
        ...

    def capacity(self, account: str) -> Awaitable[Json]:
        """Return how full each range is, and the account's busiest recipients."""
        ...


class IdempotencyFront(Protocol):
    """What was done already (:class:`smsgw.services.idempotency.IdempotencyKeys`)."""

    def once(
        self, asked: Asked, work: Callable[[], Awaitable[Answer]], *, reserve: bool = True
    ) -> Awaitable[Answer]:
        """Return the answer there was, or what ``work`` comes to."""
        ...

    def row(self, asked: Asked, answer: Answer) -> KeyRow:
        """Return what is stored of a request that was done."""
        ...


class Watching(Protocol):
    """One who waits for events."""

    @property
    def tail(self) -> int:
        """The newest event when it began."""
        ...

    def heard(self, seconds: float) -> Awaitable[bool]:
        """Wait until there is an event, at most so long; return whether there is."""
        ...

    def end(self) -> None:
        """Wait no more."""
        ...


class NewsFront(Protocol):
    """Who waits for events (:class:`smsgw.services.news.News`)."""

    def watch(
        self, account: str, below: Sequence[str], kinds: Sequence[str]
    ) -> Awaitable[Watching]:
        """Begin to listen."""
        ...


class WebhooksFront(Protocol):
    """Where events are posted to (:class:`smsgw.services.webhooks.book.Webhooks`)."""

    def create(self, account: str, url: str, kinds: Sequence[str]) -> Awaitable[Json]:
        """Have events posted from now on; return the webhook with its ``secret``."""
        ...

    def show(self, account: str, webhook_id: int) -> Awaitable[Json]:
        """Return a webhook."""
        ...

    def list(self, account: str, *, before: int | None, limit: int) -> Awaitable[Sequence[Json]]:
        """Return an account's, newest first, older than the id ``before``."""
        ...

    def change(
        self, account: str, webhook_id: int, *, url: str | None, kinds: Sequence[str] | None
    ) -> Awaitable[Json]:
        """Change what is not None; return the webhook."""
        ...

    def remove(self, account: str, webhook_id: int) -> Awaitable[None]:
        """Forget one."""
        ...

    def pause(self, account: str, webhook_id: int) -> Awaitable[Json]:
        """Post nothing until it is resumed; return the webhook."""
        ...

    def resume(self, account: str, webhook_id: int) -> Awaitable[Json]:
        """Go on, at once; return the webhook."""
        ...

    def rotate(self, account: str, webhook_id: int, overlap: float) -> Awaitable[Json]:
        """Sign with a new secret; return the webhook with it as ``secret``."""
        ...

    def test(self, account: str, webhook_id: int) -> Awaitable[Json]:
        """Post one event now; return what became of it."""
        ...

    def dead_letters(
        self, account: str, webhook_id: int, *, before: int | None, limit: int
    ) -> Awaitable[Sequence[Json]]:
        """Return what could not be delivered, newest first, older than the id ``before``."""
        ...

    def replay_dead(
        self, account: str, webhook_id: int, dead_letter: int | None
    ) -> Awaitable[Json]:
        """Have one dead letter delivered, or all with None; return the webhook."""
        ...

    def replay(
        self,
        account: str,
        webhook_id: int,
        *,
        after: int | None,
        since: datetime | None,
        until: int | None,
    ) -> Awaitable[Json]:
        """Have events delivered again; return the webhook."""
        ...


class Front(Protocol):
    """The gateway as the HTTP API sees it."""

    @property
    def idempotency(self) -> IdempotencyFront:
        """What was done already."""
        ...

    @property
    def news(self) -> NewsFront:
        """Who waits for events."""
        ...

    @property
    def webhooks(self) -> WebhooksFront:
        """Where events are posted to."""
        ...

    @property
    def requests(self) -> RequestFront:
        """Requests and their answers."""
        ...

    @property
    def types(self) -> TypesFront:
        """Flows saved by name."""
        ...

    @property
    def stand_ins(self) -> StandInsFront:
        """Who answers for whom."""
        ...

    @property
    def ported(self) -> PortedFront:
        """Numbers that changed operator."""
        ...

    @property
    def audit(self) -> AuditFront:
        """What was done, and by whom."""
        ...

    @property
    def conversations(self) -> ConversationsFront:
        """Numbers to answer to."""
        ...

    @property
    def slots(self) -> SlotsFront:
        """Which extension stands for what."""
        ...

    def explain(
        self, account: str, to: str, *, message_class: MessageClass, expects_reply: bool
    ) -> Json:
        """Return how a message would be routed now, and why."""
        ...

    def send(
        self, account: str, outgoing: Sequence[NewMessage], once: Once | None = None
    ) -> Awaitable[Sequence[int]]:
        """Accept messages, all or none; return their ids once they are durable.

        What ``once`` makes of the ids is recorded in the same commit.

        Raises:
            ValidationError: Its field is that of one message, with its index before it
                (``messages[3].to``).
            Overloaded: More waits already than is taken.
        """
        ...

    def cancel(self, account: str, message_id: int) -> Awaitable[Json]:
        """End a message before anything of it is sent; return it as it is then.

        Raises:
            Conflict: A part of it was handed to a link, or it came to an end before.
        """
        ...

    def message(self, account: str, message_id: int) -> Awaitable[Json]:
        """Return a message with its ``segments``."""
        ...

    def trace(self, account: str, message_id: int) -> Awaitable[Json]:
        """Return a message with its events, the links it left, and its replies."""
        ...

    def messages(
        self,
        account: str,
        *,
        before: int | None,
        limit: int,
        status: str | None,
        to: str | None,
    ) -> Awaitable[Sequence[Json]]:
        """Return messages, newest first, older than the id ``before``; ``to`` is normalised."""
        ...

    def inbound(self, account: str, *, before: int | None, limit: int) -> Awaitable[Sequence[Json]]:
        """Return what phones sent, newest first, older than the id ``before``."""
        ...

    def events(
        self, account: str, *, after: int, limit: int, kinds: Sequence[str] = ()
    ) -> Awaitable[Sequence[Json]]:
        """Return events, oldest first, newer than the id ``after``; of all kinds by none."""
        ...

    def unmatched_reports(
        self, *, link: str | None, before: int | None, limit: int
    ) -> Awaitable[Sequence[Json]]:
        """Return reports whose segment is not known, newest first, older than ``before``."""
        ...

    def links(self) -> Sequence[Json]:
        """Return the state of every link."""
        ...

    def readiness(self) -> Awaitable[Sequence[str]]:
        """Return why the gateway should get no work now; nothing when it should."""
        ...


class Exposition(Protocol):
    """The metrics in the text form that Prometheus reads."""

    content_type: str

    def exposition(self) -> bytes:
        """Return every metric."""
        ...
