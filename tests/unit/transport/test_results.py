"""Results that no carrier gave."""

from __future__ import annotations

from smsgw.errors import Disposition, EncodeError
from smsgw.protocols.events import ResponseLost
from smsgw.transport.results import NO_ANSWER, NOT_SENDABLE, NOT_SENT, not_sendable, unanswered


def test_no_answer_is_unknown_unless_nothing_was_sent() -> None:
    unknown = unanswered(ResponseLost(1, "context", "0a"))
    assert (unknown.code, unknown.disposition) == (NO_ANSWER, Disposition.UNKNOWN)
    assert unknown.carrier_message_id == "0a"
    again = unanswered(ResponseLost(1, "context", written=False))
    assert (again.code, again.disposition) == (NOT_SENT, Disposition.RETRY)
    assert again.carrier_message_id == ""


def test_what_does_not_fit_is_final() -> None:
    result = not_sendable(EncodeError("src_id", "21 octets", "30 octets"))
    assert (result.code, result.disposition) == (NOT_SENDABLE, Disposition.FINAL)
    assert "src_id" in result.text
