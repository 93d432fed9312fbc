"""Results of submits that no carrier gave: codes below 0, which no protocol uses."""

from __future__ import annotations

from smsgw.errors import Disposition, EncodeError
from smsgw.model import SubmitResult
from smsgw.protocols.events import ResponseLost

NO_ANSWER = -1
NOT_SENDABLE = -2
NOT_SENT = -3


def unanswered(event: ResponseLost) -> SubmitResult:
    """Return the result of a submit without an answer; one that never left may be sent again."""
    if not event.written:
        text = "the connection was lost before it was sent"
        return SubmitResult(NOT_SENT, Disposition.RETRY, "", text)
    known = event.carrier_message_id
    return SubmitResult(NO_ANSWER, Disposition.UNKNOWN, known, "no answer came")


def not_sendable(error: EncodeError) -> SubmitResult:
    """Return the result of a segment that does not fit the carrier's PDU."""
    return SubmitResult(NOT_SENDABLE, Disposition.FINAL, "", str(error))
