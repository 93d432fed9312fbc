"""Neutral types: what every layer says about messages, whatever the carrier.

Rules: no carrier's field names, no I/O, no clocks. Times are float seconds since the Unix epoch
(UTC) unless a name says otherwise. Phone numbers are digits without ``86``; octets stay ``bytes``.
The records on the per-message path are ``msgspec.Struct(gc=False)``: they never form cycles. Enums
that are keys there hash as their values do, which is what they compare by, and four times as fast.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from smsgw.errors import Disposition


class Operator(enum.StrEnum):
    """The network that serves, or issued, a phone number."""

    __hash__ = str.__hash__

    MOBILE = "mobile"
    UNICOM = "unicom"
    TELECOM = "telecom"
    BROADNET = "broadnet"
    OTHER = "other"


class MessageClass(enum.StrEnum):
    """How urgent a message is; earlier ones are sent first."""

    __hash__ = str.__hash__

    REALTIME = "realtime"
    INTERACTIVE = "interactive"
    NOTICE = "notice"
    BULK = "bulk"


class MessageStatus(enum.StrEnum):
    """The life of a message. It moves forward only; ``unknown`` stands beside ``sending``."""

    __hash__ = str.__hash__

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CANCELED = "canceled"


STATUS_RANK = {
    MessageStatus.SCHEDULED: 0,
    MessageStatus.QUEUED: 1,
    MessageStatus.SENDING: 2,
    MessageStatus.UNKNOWN: 3,
    MessageStatus.SENT: 4,
    MessageStatus.DELIVERED: 9,
    MessageStatus.UNDELIVERED: 9,
    MessageStatus.EXPIRED: 9,
    MessageStatus.REJECTED: 9,
    MessageStatus.CANCELED: 9,
}
"""A status may only be replaced by one of a higher rank; rank 9 is final."""

FINAL_RANK = 9


class Coding(enum.IntEnum):
    """Data coding of the user data, as Msg_Fmt / MsgFormat / MessageCoding carry it.

    Spec: text-and-long-messages.md section 1.
    """

    __hash__ = int.__hash__

    ASCII = 0
    BINARY = 4
    UCS2 = 8
    GBK = 15


class Segment(msgspec.Struct, gc=False):
    """One submit's worth of a message: what a link is asked to send.

    Attributes:
        to: Recipient, normalised digits.
        source: Access number and extension; the sender number the phone shows.
        coding: The data coding octet; see :class:`Coding`.
        content: User data, its header (UDH) first when ``udhi``.
        udhi: Whether ``content`` starts with a user data header.
        part: From 1.
        total: How many parts the message has.
        want_report: Ask the carrier for a status report.
        link_id: LinkID of the MO this answers (on-demand services), or "".
        failures_only: Of the reports asked for, only those that are none of success.
        at_time: When to send it, as the customer wrote it, or "" for at once.
        valid_time: Until when, or for how long, it may be sent, likewise.
    """

    to: str
    source: str
    coding: int
    content: bytes
    udhi: bool = False
    part: int = 1
    total: int = 1
    want_report: bool = True
    link_id: str = ""
    failures_only: bool = False
    at_time: str = ""
    valid_time: str = ""


class SubmitResult(msgspec.Struct, gc=False):
    """A carrier's answer to one submit, or the lack of one.

    Attributes:
        code: The carrier's result code; -1 when there was no answer.
        disposition: What that means for the message.
        carrier_message_id: The id reports will name: lower-case hex of the carrier's octets (CMPP
            8, SGIP 12, SMGP 10 octets) or SMPP's text; "" when there is none.
        text: The code's meaning, for people.
        kind: What it is about: a :class:`smsgw.protocols.carrier.ResultKind`, or "" when no
            carrier said it.
    """

    code: int
    disposition: Disposition
    carrier_message_id: str = ""
    text: str = ""
    kind: str = ""


class StatusReport(msgspec.Struct, gc=False):
    """What became of one submitted segment, in the carrier's words and ours.

    Attributes:
        carrier_message_id: As in :class:`SubmitResult`.
        status: DELIVERED, UNDELIVERED, EXPIRED or REJECTED; SENT when the report is not final.
        stat: The carrier's state word or number, untouched.
        error: The carrier's error code, untouched, or "".
        to: The recipient the report names, normalised digits.
        source: The sender number (ours) the report names, or "".
        submitted: The carrier's own time text for the submit, or "".
        done: The carrier's own time text for the final state, or "".
    """

    carrier_message_id: str
    status: MessageStatus
    stat: str
    error: str = ""
    to: str = ""
    source: str = ""
    submitted: str = ""
    done: str = ""


class MoMessage(msgspec.Struct, gc=False):
    """One inbound short message, or one part of a long one, as a carrier delivered it.

    Attributes:
        sender: The phone, normalised digits.
        destination: The number it wrote to: access number and extension.
        coding: The data coding octet.
        content: User data, header first when ``udhi``.
        udhi: Whether ``content`` starts with a user data header.
        carrier_message_id: The carrier's id of this delivery, for telling repeats apart.
        link_id: LinkID, or "".
        received: The carrier's own receive time text, or "".
    """

    sender: str
    destination: str
    coding: int
    content: bytes
    udhi: bool = False
    carrier_message_id: str = ""
    link_id: str = ""
    received: str = ""


class PortedNumber(msgspec.Struct, frozen=True, gc=False):
    """A number whose operator is known better than by its prefix (携号转网).

    Attributes:
        phone: Normalised digits.
        operator: Who serves it.
        source: How we know, for people.
        learned_at: When we knew it, in milliseconds since the Unix epoch, UTC.
        expires_at: From when on it is not believed any more, likewise.
    """

    phone: str
    operator: Operator
    source: str
    learned_at: int
    expires_at: int


class Event(msgspec.Struct):
    """One line of the append-only outbox: something a subscriber may want to know.

    Attributes:
        kind: ``message.delivered``, ``inbound.received``, ``request.closed`` and so on.
        subject_id: The id of the message, inbound message or request it is about.
        account: Whose it is; "" when nobody's in particular.
        data: JSON-ready details.
        id: Assigned by the store.
        at: Milliseconds since the Unix epoch, UTC.
    """

    kind: str
    subject_id: int
    account: str = ""
    data: dict[str, Any] = {}
    id: int = 0
    at: int = 0
