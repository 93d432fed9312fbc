from __future__ import annotations

import gc

import pytest

from smsgw.model import MessageStatus
from smsgw.store.progress import Batch, MessageNow, SegmentNow, message_status
from tests.support.store import NOW, StoredMessages


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


def test_what_a_batch_knew_is_gone_with_it_and_leaves_no_cycle(store: StoredMessages) -> None:
    sent = [store.message(MessageStatus.SENT, parts=parts) for parts in (1, 3)]
    gc.collect()
    gc.disable()
    try:
        batch = Batch(store.connection)
        batch.load(message.id for message in sent)
        for message in sent:
            first = batch.find(message.id, 1)
            assert first is not None
            batch.move(first, "delivered", NOW)
        batch.reload(sent[0].id)
        batch.save()
        del batch, first
        assert [one for one in gc.get_objects() if isinstance(one, MessageNow | SegmentNow)] == []
    finally:
        gc.enable()
