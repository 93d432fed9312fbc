"""Automatic answers to phones, and what keeps two machines from talking to each other.

Rules: a phone gets at most :data:`ANSWERS` automatic answers in ten minutes, a service number none.
"""

from __future__ import annotations

import re

import msgspec

from smsgw.services.requests.asking import UNSENDABLE
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.store import inbox
from smsgw.store import requests as rows_of
from smsgw.store.inbox import InboundRow

ANSWERS = 3
ANSWERS_WINDOW_MS = 600_000
ANSWERED = "reply.answered"
"""Kind of the event that tells of an automatic answer; the limit counts them."""

ECHO_MS = 15_000
"""The same text again so soon is an echo, unless it can be the answer to ours."""
READ_MS = 3_000
"""Nobody gets a question of ours, reads it and answers it faster."""

_SERVICE_NUMBER = re.compile(r"106\d*|100\d{2}|12\d{3}|95\d{3,}|96\d{3,}")


def answer_phone(changes: Changes, inbound: InboundRow, message: Outgoing) -> bool:
    """Send an automatic answer if this phone may get one; tell whether it goes out.

    Without an access number it is sent from that of the phone's own carrier.
    """
    phone = inbound.sender
    if _SERVICE_NUMBER.fullmatch(phone):
        return False
    since = changes.now - ANSWERS_WINDOW_MS
    if rows_of.automatic_answers(changes.connection, phone, ANSWERED, since) >= ANSWERS:
        return False
    try:
        if not message.access_number:
            number = changes.tools.composer.sender_for(phone)
            message = msgspec.structs.replace(message, access_number=number)
        message_id = changes.send(message)
    except UNSENDABLE as error:
        changes.emit("reply.failed", inbound.id, "", phone=phone, problem=str(error))
        return False
    changes.emit(ANSWERED, inbound.id, message.account, phone=phone, message_id=message_id)
    return True


def heard_us(changes: Changes, inbound: InboundRow) -> bool:
    """Whether we said something just before ``inbound``, with time to read it."""
    heard = rows_of.automatic_answers(
        changes.connection,
        inbound.sender,
        ANSWERED,
        inbound.received_at - ECHO_MS - 1,
        inbound.received_at - READ_MS,
    )
    return heard > 0


def same_before(changes: Changes, inbound: InboundRow, window: int) -> InboundRow | None:
    """Return the last message with the same text to the same number within ``window`` ms."""
    return inbox.recent_same(
        changes.connection,
        inbound.sender,
        inbound.destination,
        inbound.text,
        inbound.received_at - window,
        before=inbound.id,
    )
