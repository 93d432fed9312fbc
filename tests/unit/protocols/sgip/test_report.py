"""State and ErrorCode of a Report."""

from __future__ import annotations

import pytest

from smsgw.errors import EncodeError
from smsgw.model import MessageStatus
from smsgw.protocols.sgip.report import error_code_of, state_of, status_of


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (0, MessageStatus.DELIVERED),
        (1, MessageStatus.SENT),
        (2, MessageStatus.UNDELIVERED),
        (3, MessageStatus.SENT),
        (255, MessageStatus.SENT),
    ],
)
def test_only_listed_states_decide_anything(state: int, status: MessageStatus) -> None:
    assert status_of(state) is status


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (MessageStatus.DELIVERED, 0),
        (MessageStatus.SENT, 1),
        (MessageStatus.UNDELIVERED, 2),
        (MessageStatus.EXPIRED, 2),
        (MessageStatus.REJECTED, 2),
    ],
)
def test_every_end_but_delivery_is_a_failure(status: MessageStatus, state: int) -> None:
    assert state_of(status) == state


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [(2, "26", 26), (2, "255", 255), (2, "", 32), (0, "26", 0), (1, "no number", 0)],
)
def test_an_error_code_is_written_for_a_failure_only(state: int, error: str, code: int) -> None:
    assert error_code_of(state, error) == code


@pytest.mark.parametrize("error", ["256", "-1", "MK:0012", "²"])
def test_an_error_that_is_no_code_is_refused(error: str) -> None:
    with pytest.raises(EncodeError, match=r"error_code: .*limit 0 to 255"):
        error_code_of(2, error)
