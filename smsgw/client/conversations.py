"""Conversations: a number to answer to, whose replies carry your reference."""

from __future__ import annotations

import msgspec

from smsgw.client.answers import Conversation
from smsgw.client.core import Core, Stream, Work, segment
from smsgw.client.drafts import MessageClass


class _Sent(msgspec.Struct):
    message_id: str


def open_(
    core: Core,
    to: str,
    reference: str,
    *,
    text: str | None = None,
    message_class: MessageClass | None = None,
    valid_for: float | None = None,
    idempotency_key: str | None = None,
) -> Work[Conversation]:
    """Give a recipient a number to answer to, and send a text from it.

    Args:
        to: The recipient.
        reference: Your own; every reply carries it.
        text: What to send at once; None sends nothing.
        message_class: Of that text; ``interactive`` unless given.
        valid_for: Seconds the number waits for replies; None is the gateway's usual.
        idempotency_key: Of your own: the same again is the same conversation.

    Raises:
        ApiError: 409 of type ``exhausted`` when all of the recipient's numbers are in use.
    """
    body = {
        "to": to,
        "reference": reference,
        "text": text,
        "class": message_class,
        "valid_for": valid_for,
    }
    return (yield from core.post("/v1/conversations", Conversation, body, idempotency_key))


def show(core: Core, conversation_id: str) -> Work[Conversation]:
    """Return a conversation with its newest replies."""
    return (yield from core.get(f"/v1/conversations/{segment(conversation_id)}", Conversation))


def list_(
    core: Core, *, reference: str | None = None, to: str | None = None
) -> Stream[Conversation]:
    """Iterate over conversations, newest first, without their replies."""
    asked = {"reference": reference, "to": to}
    yield from core.pages("/v1/conversations", "conversations", Conversation, asked)


def send(
    core: Core,
    conversation_id: str,
    text: str,
    *,
    message_class: MessageClass | None = None,
    idempotency_key: str | None = None,
) -> Work[str]:
    """Send another text in a conversation; return the message's id.

    Raises:
        ApiError: 409 when the conversation is over.
    """
    path = f"/v1/conversations/{segment(conversation_id)}/messages"
    body = {"text": text, "class": message_class}
    return (yield from core.post(path, _Sent, body, idempotency_key)).message_id


def end(core: Core, conversation_id: str) -> Work[Conversation]:
    """Give a conversation's number back; return the conversation as it is then."""
    path = f"/v1/conversations/{segment(conversation_id)}/end"
    return (yield from core.post(path, Conversation))
