from __future__ import annotations

import pytest

from smsgw.store.progress import message_status


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["queued"], "queued"),
        (["scheduled", "scheduled"], "scheduled"),
        (["queued", "queued"], "queued"),
        (["queued", "sending"], "sending"),
        (["queued", "sent"], "sending"),
        (["sent", "sent"], "sent"),
        (["sent", "delivered"], "sent"),
        (["delivered", "queued"], "sending"),
        (["delivered", "delivered"], "delivered"),
        (["unknown", "sent"], "unknown"),
        (["unknown", "delivered", "queued"], "unknown"),
        (["unknown", "rejected"], "rejected"),
        (["delivered", "undelivered"], "undelivered"),
        (["queued", "expired"], "expired"),
        (["canceled", "canceled"], "canceled"),
    ],
)
def test_a_message_is_as_far_as_its_parts_allow(states: list[str], status: str) -> None:
    assert message_status(states) == status
    assert message_status(states[::-1]) == status
