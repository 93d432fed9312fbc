"""What operators look after: extensions, customers, ported numbers, lost reports, the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from smsgw.client.core import Core, Stream, Work


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """An extension that stands for something, as one phone sees it.

    Attributes:
        state: ``live``, or ``cooling``: late replies still find what it stood for.
        reference: Yours, of the request or the conversation.
    """

    id: str
    phone: str
    sender_number: str
    access_number: str
    extension: str
    state: str
    plan: str
    generation: int
    request_id: str | None
    assignment_id: str | None
    conversation_id: str | None
    reference: str
    allocated_at: datetime
    expires_at: datetime
    released_at: datetime | None
    cools_until: datetime


class SlotRange(msgspec.Struct, frozen=True, kw_only=True):
    """The extensions of some plans, of which each phone has as many.

    Attributes:
        extensions: How many there are for a phone.
        most: What the phone with the most has in use.
        left: What is left for it.
    """

    access_number: str
    plans: list[str]
    prefix: str
    digits: int
    extensions: int
    live: int
    cooling: int
    most: int
    left: int


class BusyPhone(msgspec.Struct, frozen=True):
    """A recipient, and how many extensions it has in use."""

    phone: str
    access_number: str
    live: int
    cooling: int


class SlotsLeft(msgspec.Struct, frozen=True):
    """What is left of each range, and the recipients with the most in use."""

    capacity: list[SlotRange]
    busiest: list[BusyPhone]


class UnmatchedReport(msgspec.Struct, frozen=True):
    """A status report that names no message of ours, or none yet."""

    id: str
    link: str
    carrier_message_id: str
    to: str
    status: str
    stat: str
    error: str
    received_at: datetime


class PortedNumber(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number whose operator is not its prefix's.

    Attributes:
        operator: ``mobile``, ``unicom``, ``telecom``, ``broadnet``.
        source: Who says so; "" for an import.
        learned_at: Since when; None for now.
        expires_at: Until when it is believed; None for the gateway's usual.
    """

    phone: str
    operator: str
    source: str = ""
    learned_at: datetime | None = None
    expires_at: datetime | None = None


class Recorded(msgspec.Struct, frozen=True):
    """How many numbers were news, and how many were known better already."""

    imported: int
    skipped: int


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit chain: docs/evidence.md says what it vouches for.

    Attributes:
        id: ``CHAIN-SEQUENCE``.
        detail: The exact text that was hashed.
        hash: Of this row and all before it, in hexadecimal.
    """

    id: str
    chain: int
    sequence: int
    at: datetime
    at_ms: int
    actor: str
    action: str
    account: str
    subject_id: str
    detail: str
    hash: str


class CustomerBind(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of a customer.

    Attributes:
        receives: Whether reports and messages are brought over it.
        unanswered: Submits of the customer that we have not answered yet.
        in_flight: What it has not acknowledged yet.
    """

    host: str
    version: str
    receives: bool
    unanswered: int
    in_flight: int


class Customer(msgspec.Struct, frozen=True, rename={"message_class": "class"}, kw_only=True):
    """Somebody who binds to the gateway.

    Attributes:
        extensions: What its sender numbers have after the access number.
        allow: Where it may connect from; none is wherever the door is open to.
        rate: Recipients a second, None without a limit.
        binds: Its connections to the process that was asked.
        waiting: Reports and messages that it has not acknowledged.
    """

    name: str
    protocol: str
    account: str
    login: str
    extensions: list[str]
    access_number: str
    message_class: str
    allow: list[str]
    binds_max: int
    window: int
    rate: float | None
    binds: list[CustomerBind]
    waiting: int


class _Customers(msgspec.Struct):
    customers: list[Customer]


class _Forgotten(msgspec.Struct):
    forgotten: int


def slots(
    core: Core, *, phone: str | None = None, access_number: str | None = None
) -> Stream[Slot]:
    """Iterate over extensions in use, newest first."""
    asked = {"phone": phone, "access_number": access_number}
    yield from core.pages("/v1/slots", "slots", Slot, asked)


def slots_left(core: Core) -> Work[SlotsLeft]:
    """Return how many extensions are left."""
    return (yield from core.get("/v1/slots/capacity", SlotsLeft))


def customers(core: Core) -> Work[list[Customer]]:
    """Return who binds to the gateway, and what waits for them."""
    return (yield from core.get("/v1/customers", _Customers)).customers


def unmatched_reports(core: Core, *, link: str | None = None) -> Stream[UnmatchedReport]:
    """Iterate over status reports that match no message, newest first."""
    yield from core.pages("/v1/reports/unmatched", "reports", UnmatchedReport, {"link": link})


def audit(core: Core) -> Stream[AuditEntry]:
    """Iterate over the account's entries in the audit chain, oldest first."""
    yield from core.pages("/v1/audit", "entries", AuditEntry)


def ported(core: Core) -> Stream[PortedNumber]:
    """Iterate over ported numbers, in their order."""
    yield from core.pages("/v1/ported", "numbers", PortedNumber)


def record_ported(core: Core, numbers: Sequence[PortedNumber]) -> Work[Recorded]:
    """Record ported numbers, at most 1000: all or none."""
    return (yield from core.post("/v1/ported", Recorded, {"numbers": list(numbers)}))


def forget_ported(core: Core, phones: Sequence[str]) -> Work[int]:
    """Go by the prefix again for some; return how many of them were known."""
    return (yield from core.post("/v1/ported/forget", _Forgotten, {"phones": phones})).forgotten
