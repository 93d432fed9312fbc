"""State and ErrorCode of a Report <-> the model's status (sgip.md section 7)."""

from __future__ import annotations

from smsgw.errors import EncodeError
from smsgw.model import MessageStatus
from smsgw.protocols.sgip import constants

STATUSES = {
    constants.STATE_DELIVERED: MessageStatus.DELIVERED,
    constants.STATE_WAITING: MessageStatus.SENT,
    constants.STATE_FAILED: MessageStatus.UNDELIVERED,
}

STATES = {
    MessageStatus.DELIVERED: constants.STATE_DELIVERED,
    MessageStatus.SENT: constants.STATE_WAITING,
}


def status_of(state: int) -> MessageStatus:
    """What a State means. One that no table lists decides nothing: another Report may follow.

    State 2 also stands for the SMSC's expired, deleted and rejected; nothing in a Report tells
    them apart, so all are UNDELIVERED.
    """
    return STATUSES.get(state, MessageStatus.SENT)


def state_of(status: MessageStatus) -> int:
    """The State that says ``status`` (gateway side): every other end is a failure."""
    return STATES.get(status, constants.STATE_FAILED)


def error_code_of(state: int, error: str) -> int:
    """The ErrorCode for a report's error text (gateway side).

    It is valid only with State 2, else 0; a failure without a code becomes 32, system failure.

    Raises:
        EncodeError: ``error`` is no number from 0 to 255.
    """
    if state != constants.STATE_FAILED:
        return 0
    if not error:
        return constants.RESULT_SYSTEM
    if not (error.isascii() and error.isdigit() and int(error) <= 0xFF):
        raise EncodeError("error_code", "0 to 255", repr(error))
    return int(error)
