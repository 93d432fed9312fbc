"""Conversations of applications: an extension whose replies carry the application's reference.

Rules: a conversation is with one phone, and only that phone's texts are replies. What comes after
its end still is one while the extension cools down, marked late. No text is ever changed to make up
for an extension: where none is free, there is no conversation. Replies are handed on as they are;
nothing is read in them and nothing answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import MessageClass
from smsgw.routing.numbers import normalise
from smsgw.services import ledger
from smsgw.services.ledger import CONVERSATION, ConversationsExhausted, Owner
from smsgw.services.queries import iso
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.store import conversations as rows_of
from smsgw.store import inbox
from smsgw.store.conversations import ConversationRow
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.inbox import InboundRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

PURPOSE = "conversation"
"""The plan of slots it takes (``[conversations.conversation]``)."""

REFERENCE_CHARACTERS = 128
LIFE_MAX = 90 * 86_400
"""Seconds; so long an extension may be kept from everybody else."""

MESSAGE_VALID_SECONDS = 86_400
REPLIES_SHOWN = 20

LATE = "late"
REPLIED = "replied"

Json = dict[str, Any]
T = TypeVar("T")


class Commits(Protocol):
    """What commits (:class:`smsgw.services.requests.engine.RequestEngine`)."""

    def commit(self, work: Callable[[Changes], T], actor: str) -> Awaitable[T]:
        """Run ``work`` in one transaction, then send and tell what came of it."""
        ...


class Conversations:
    """Opens, uses and ends the conversations of applications.

    Args:
        commits: Runs what changes something.
        store: The open database.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, commits: Commits, store: Database, clock: Callable[[], float]) -> None:
        self._commits = commits
        self._store = store
        self._clock = clock

    async def open(
        self,
        account: str,
        to: str,
        reference: str,
        *,
        valid_for: float | None = None,
        text: str | None = None,
        message_class: MessageClass = MessageClass.INTERACTIVE,
        actor: str = "",
        once: Once[Json] | None = None,
    ) -> Json:
        """Give out an extension, and send a text from it if there is one.

        Args:
            account: Whose it is.
            to: The phone, as the customer writes it.
            reference: The customer's own; every reply carries it.
            valid_for: Seconds it lives; None for the plan's.
            text: The first text; None sends nothing.
            message_class: How urgent that is.
            actor: Who asks, for the record; "" is the account.
            once: What it makes of the answer is recorded in the same commit.

        Raises:
            ValidationError: Says which field; then nothing was stored.
            ConversationsExhausted: All extensions of the phone are in use.
        """
        phone = normalise(to)
        _check_reference(reference)
        life = None if valid_for is None else _life(valid_for)

        def work(changes: Changes) -> Json | ConversationsExhausted:
            row = _give_number(changes, account, phone, reference, life)
            if isinstance(row, ConversationsExhausted):
                return row
            told: Json = {"phone": phone, "sender_number": row.access_number + row.extension}
            if text is not None:
                told["message_id"] = _send(changes, row, text, message_class)
            _tell(changes, "conversation.opened", row, **told)
            shown = conversation_json(row, changes.now)
            if text is not None:
                shown["message_id"] = str(told["message_id"])
            return remember(changes.connection, once, shown)

        outcome = await self._commits.commit(work, actor or account)
        if isinstance(outcome, ConversationsExhausted):
            raise outcome
        return outcome

    async def send(
        self,
        account: str,
        conversation_id: int,
        text: str,
        message_class: MessageClass = MessageClass.INTERACTIVE,
        actor: str = "",
        once: Once[Json] | None = None,
    ) -> Json:
        """Send another text from a conversation's number.

        What ``once`` makes of the answer is recorded in the same commit.

        Raises:
            NotFound: No such conversation, or it is another account's.
            Conflict: It is over.
            ValidationError: The text cannot be sent as it is.
        """

        def work(changes: Changes) -> Json:
            row = _own(changes.connection, account, conversation_id)
            state = _state(row, changes.now)
            if state != "open":
                raise Conflict(f"conversation {row.id} has {state}; open another one")
            message_id = _send(changes, row, text, message_class)
            _tell(changes, "conversation.sent", row, message_id=message_id)
            sent = {"id": str(row.id), "message_id": str(message_id)}
            return remember(changes.connection, once, sent)

        return await self._commits.commit(work, actor or account)

    async def end(
        self, account: str, conversation_id: int, actor: str = "", once: Once[Json] | None = None
    ) -> Json:
        """End a conversation, if it is not over yet, and let its extension cool.

        What ``once`` makes of the answer is recorded in the same commit.

        Raises:
            NotFound: No such conversation, or it is another account's.
        """

        def work(changes: Changes) -> Json:
            row = _own(changes.connection, account, conversation_id)
            if _state(row, changes.now) == "open":
                if not rows_of.end(changes.connection, row.id, changes.now):
                    raise Conflict(f"conversation {row.id}: ended by somebody else meanwhile")
                row.ended_at = changes.now
                ledger.release(
                    changes.connection, row.slot_id, Owner(CONVERSATION, row.id), changes.now
                )
                _tell(changes, "conversation.ended", row)
            return remember(changes.connection, once, conversation_json(row, changes.now))

        return await self._commits.commit(work, actor or account)

    def show(self, account: str, conversation_id: int) -> Deferred[Json]:
        """Return a conversation with its newest replies, or fail with NotFound."""
        now = self._now()

        def show(connection: Connection) -> Json:
            row = _own(connection, account, conversation_id)
            replies = rows_of.replies(connection, row.id, REPLIES_SHOWN)
            return conversation_json(row, now) | {"replies": [reply_json(one) for one in replies]}

        return self._store.read(show)

    def list(
        self,
        account: str,
        *,
        before: int | None = None,
        reference: str | None = None,
        to: str | None = None,
        limit: int = 50,
    ) -> Deferred[list[Json]]:
        """Return conversations, newest first, without their replies; ``to`` is normalised."""
        now = self._now()

        def page(connection: Connection) -> list[Json]:
            rows = rows_of.page(
                connection, account, before=before, reference=reference, phone=to, limit=limit
            )
            return [conversation_json(row, now) for row in rows]

        return self._store.read(page)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def take(changes: Changes, inbound: InboundRow, found: ledger.Mapping) -> str:
    """Hand a reply on to the application whose conversation it is; return the outcome.

    Args:
        changes: The transaction.
        inbound: A stored message that is not handled yet.
        found: What the ledger says its number stands for: a conversation.

    Raises:
        Conflict: Another process handles it; undo the transaction and look again.
    """
    row = rows_of.get(changes.connection, found.slot.owner_id)
    if row is None:
        raise AssertionError(f"slot {found.slot.id} without its conversation")
    outcome = REPLIED if found.live else LATE
    told = {
        "inbound_id": inbound.id,
        "from": inbound.sender,
        "to": inbound.destination,
        "text": inbound.text,
        "missing": inbound.missing,
        "late": not found.live,
    }
    _tell(changes, "conversation.reply", row, **told)
    if not inbox.mark_handled(
        changes.connection,
        inbound.id,
        outcome,
        changes.now,
        conversation_id=row.id,
        account=row.account,
    ):
        raise Conflict(f"inbound {inbound.id}: another process has handled it meanwhile")
    return outcome


def conversation_json(row: ConversationRow, now: int) -> Json:
    """One conversation, without its replies."""
    return {
        "id": str(row.id),
        "to": row.phone,
        "reference": row.reference,
        "state": _state(row, now),
        "sender_number": row.access_number + row.extension,
        "access_number": row.access_number,
        "extension": row.extension,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "ended_at": iso(row.ended_at),
    }


def reply_json(row: InboundRow) -> Json:
    """One reply."""
    return {
        "id": str(row.id),
        "from": row.sender,
        "text": row.text,
        "missing_parts": row.missing,
        "received_at": iso(row.received_at),
        "late": row.outcome == LATE,
    }


def _give_number(
    changes: Changes, account: str, phone: str, reference: str, life: int | None
) -> ConversationRow | ConversationsExhausted:
    """Record a conversation with an extension; the error, and an alarm, when none is free."""
    access_number = changes.tools.composer.sender_for(phone)
    plan = changes.tools.plans.plan(access_number, PURPOSE)
    row_id = changes.tools.ids.next()
    number, owner = (phone, access_number, plan), Owner(CONVERSATION, row_id)
    try:
        slot = ledger.allocate(changes.connection, *number, changes.now, owner, life_seconds=life)
    except ConversationsExhausted as error:
        problem = {"phone": phone, "problem": str(error)}
        changes.emit("conversations.exhausted", row_id, account, **problem)
        return error
    if slot.shortened:
        changes.emit("conversations.shortened", row_id, account, phone=phone)
    row = ConversationRow(
        id=row_id,
        account=account,
        reference=reference,
        phone=phone,
        access_number=access_number,
        extension=slot.extension,
        slot_id=slot.slot_id,
        created_at=changes.now,
        expires_at=slot.expires_at,
    )
    rows_of.insert(changes.connection, row)
    return row


def _send(changes: Changes, row: ConversationRow, text: str, message_class: MessageClass) -> int:
    left = (row.expires_at - changes.now) / 1000
    return changes.send(
        Outgoing(
            account=row.account,
            to=row.phone,
            text=text,
            access_number=row.access_number,
            extension=row.extension,
            expects_reply=True,
            request_id=None,
            reference=row.reference,
            message_class=message_class,
            valid_for=min(MESSAGE_VALID_SECONDS, left),
        )
    )


def _tell(changes: Changes, kind: str, row: ConversationRow, **data: Any) -> None:
    about = {"conversation_id": row.id, "reference": row.reference}
    changes.emit(kind, row.id, row.account, **about, **data)


def _own(connection: Connection, account: str, conversation_id: int) -> ConversationRow:
    row = rows_of.get(connection, conversation_id)
    if row is None or row.account != account:
        raise NotFound(f"no conversation {conversation_id}")
    return row


def _state(row: ConversationRow, now: int) -> str:
    if row.ended_at is not None:
        return "ended"
    return "open" if now < row.expires_at else "expired"


def _check_reference(reference: str) -> None:
    if not reference.strip():
        raise ValidationError("reference", "empty; write what every reply shall carry")
    if len(reference) > REFERENCE_CHARACTERS:
        problem = f"{len(reference)} characters, limit {REFERENCE_CHARACTERS}; shorten it"
        raise ValidationError("reference", problem)


def _life(valid_for: float) -> int:
    if not 1 <= valid_for <= LIFE_MAX:
        raise ValidationError("valid_for", f"{valid_for:g} seconds, allowed 1 to {LIFE_MAX}")
    return int(valid_for)
