"""Batches: one text to many, with variables of their own, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from smsgw.client.core import Core, Stream, Work, segment
from smsgw.client.drafts import MessageClass


class Recipient(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recipient of a batch.

    Attributes:
        to: A mainland mobile number, in any usual spelling.
        variables: What stands for each ``{name}`` of the text.
        ref: Your own, at most 128 characters; the batch's unless given.
    """

    to: str
    variables: Mapping[str, str] = {}
    ref: str = ""


class Batch(
    msgspec.Struct, frozen=True, rename={"message_class": "class", "reference": "ref"}, kw_only=True
):
    """A batch, and how far it is.

    Attributes:
        messages: How many it has.
        counts: Of them, by status; none in lists.
        counted_at: When they were counted: a large batch is not counted at every look. None in
            lists.
        purged: Whether its text is gone, since it is old.
        finished: How many have come to their end; None in lists.
        finished_at: When all had; None before, and in lists.
    """

    id: str
    account: str
    text: str
    message_class: str
    reference: str
    expect_reply: bool
    send_at: datetime | None
    valid_for: float
    messages: int
    created_at: datetime
    canceled_at: datetime | None
    purged: bool = False
    counts: dict[str, int] = {}
    counted_at: datetime | None = None
    finished: int | None = None
    first_final_at: datetime | None = None
    last_final_at: datetime | None = None
    finished_at: datetime | None = None


class Accepted(msgspec.Struct, frozen=True):
    """What became of recipients that were given.

    Attributes:
        id: Of their batch.
        accepted: How many are sent a message.
        opted_out: Places of those who are not, since they opted out; from 0 on, in order.
    """

    id: str
    accepted: int
    opted_out: list[int]


class _Canceling(Batch, frozen=True, kw_only=True):
    """A batch of which there may be more to cancel."""

    more: bool


def create(
    core: Core,
    text: str,
    recipients: Sequence[Recipient],
    *,
    message_class: MessageClass | None = None,
    reference: str = "",
    send_at: datetime | None = None,
    zone: str = "",
    valid_for: float | None = None,
    expect_reply: bool = False,
    idempotency_key: str | None = None,
) -> Work[Accepted]:
    """Send one text to many, all or none but those who opted out.

    Args:
        text: With ``{name}`` for a recipient's variable; ``{{`` and ``}}`` are braces.
        recipients: Whom to.
        message_class: How urgent it is; ``notice`` unless given.
        reference: Your own, at most 128 characters.
        send_at: When to send it: with an offset, or without one and with ``zone``; None at once.
        zone: Whose clocks ``send_at`` is about, such as ``Asia/Shanghai``.
        valid_for: Seconds after which it is not sent any more; None for a day.
        expect_reply: Whether it must go through each subscriber's own operator.
        idempotency_key: Of your own: the same again is the same batch.

    Raises:
        ApiError: ``field`` says which recipient is wrong, such as ``recipients[3].variables.name``.
    """
    body = {
        "text": text,
        "recipients": list(recipients),
        "class": message_class,
        "ref": reference or None,
        "send_at": send_at,
        "zone": zone or None,
        "valid_for": valid_for,
        "expect_reply": expect_reply or None,
    }
    return (yield from core.post("/v1/batches", Accepted, body, idempotency_key))


def extend(
    core: Core,
    batch_id: str,
    recipients: Sequence[Recipient],
    *,
    idempotency_key: str | None = None,
) -> Work[Accepted]:
    """Send a batch's text to more recipients, all or none but those who opted out."""
    path = f"/v1/batches/{segment(batch_id)}/messages"
    body = {"recipients": list(recipients)}
    return (yield from core.post(path, Accepted, body, idempotency_key))


def show(core: Core, batch_id: str) -> Work[Batch]:
    """Return a batch with its progress; ``client.messages(batch=…)`` has its messages."""
    return (yield from core.get(f"/v1/batches/{segment(batch_id)}", Batch))


def list_(core: Core) -> Stream[Batch]:
    """Iterate over batches, newest first, without their progress."""
    yield from core.pages("/v1/batches", "batches", Batch)


def cancel(core: Core, batch_id: str) -> Work[Batch]:
    """End what of a batch is not sent yet; return it as it is then.

    The gateway ends some ten thousand messages at a time, and is asked until it has ended all.
    """
    path = f"/v1/batches/{segment(batch_id)}/cancel"
    while (answer := (yield from core.post(path, _Canceling))).more:
        pass
    return answer
