"""What comes back from the gateway; docs/http.md says what each value means.

A field that a newer gateway has besides is passed over. Ids are decimal text. Times have their
zone. States are plain text, so that a new one breaks nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Segment(msgspec.Struct, frozen=True):
    """One part of a message; ``carrier_message_id`` is None until the carrier took it."""

    part: int
    total: int
    link: str
    state: str
    carrier_message_id: str | None
    octets: int
    attempts: int
    sent_at: datetime | None
    final_at: datetime | None
    stat: str
    error: str
    possible_duplicate: bool


class Message(
    msgspec.Struct, frozen=True, rename={"message_class": "class", "reference": "ref"}, kw_only=True
):
    """A message and what became of it.

    Attributes:
        status: ``scheduled``, ``queued``, ``sending``, ``unknown``, ``sent``, ``delivered``,
            ``undelivered``, ``expired``, ``rejected`` or ``canceled``.
        final_at: When it came to its end; None before.
        segments: Its parts; none in lists.
    """

    id: str
    to: str
    text: str
    message_class: str
    reference: str
    status: str
    reason: str
    expect_reply: bool
    operator: str
    link: str
    sender_number: str
    access_number: str
    extension: str
    coding: str
    parts: int
    created_at: datetime
    send_at: datetime | None
    valid_until: datetime
    final_at: datetime | None
    segments: list[Segment] = []


class Inbound(msgspec.Struct, frozen=True, rename={"sender": "from"}, kw_only=True):
    """What a phone sent.

    Attributes:
        sender: The phone.
        to: The number it wrote to: access number and extension.
        missing_parts: Such as "2,3"; "" when it is whole.
        outcome: What the gateway made of it.
        handled_at: When it did; None before.
        unread: Whether the account has not marked it as read.
    """

    id: str
    sender: str
    to: str
    access_number: str
    extension: str
    text: str
    parts: int
    missing_parts: str
    link: str
    received_at: datetime
    request_id: str | None
    conversation_id: str | None
    outcome: str
    handled_at: datetime | None
    unread: bool = False


class Reply(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A reply in a conversation; ``late`` when it came after the end."""

    id: str
    sender: str
    text: str
    missing_parts: str
    received_at: datetime
    late: bool


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A number that stands for your reference, as one recipient sees it.

    Attributes:
        state: ``open``, ``ended`` or ``expired``.
        message_id: Of the text it was opened with; None without one, and when it is shown.
        replies: The newest 20, newest first; none in lists.
    """

    id: str
    to: str
    reference: str
    state: str
    sender_number: str
    access_number: str
    extension: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    message_id: str | None = None
    replies: list[Reply] = []


class Applicant(msgspec.Struct, frozen=True):
    """Who is told what came of a request."""

    name: str
    phone: str


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A request as lists show it.

    Attributes:
        state: ``open``, ``closed``, ``withdrawn`` or ``expired``.
        outcome: ``approved``, ``rejected``, ``withdrawn`` or ``expired``; None before its end.
        version: Goes up with every change.
    """

    id: str
    account: str
    type: str | None
    preset: str
    subject: str
    reference: str
    applicant: Applicant | None
    state: str
    outcome: str | None
    version: int
    created_at: datetime
    closed_at: datetime | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that was given, whether it counted or not."""

    id: str
    channel: str
    actor: str
    inbound_id: str | None
    text: str
    decision: str | None
    reason: str
    rule: str
    anomaly: str | None
    counted: bool
    at: datetime


class Assignee(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is asked.

    Attributes:
        id: What ``decide``, ``delegate`` and ``resend`` take.
        state: ``waiting``, ``asked``, ``answered``, ``delegated``, ``released``, ``unreachable``.
        decision: The key of the answer that counts, or None.
        sender_number: The number the question came from, which is the one to reply to.
        answers: All that were ever given.
    """

    id: str
    short_id: str
    name: str
    phone: str
    role: str
    state: str
    access_number: str | None
    extension: str | None
    sender_number: str | None
    prompt_message_id: str | None
    prompt_status: str | None
    progress: str | None
    decision: str | None
    reason: str
    rule: str | None
    channel: str | None
    asked_at: datetime | None
    answered_at: datetime | None
    asked_back: int
    reminded: int
    delegated_from: str | None
    delegated_by: str | None
    answers: list[Answer]


class Contact(msgspec.Struct, frozen=True):
    """Who is asked besides, ``after`` so many seconds."""

    after: float
    phone: str
    name: str


class Mask(msgspec.Struct, frozen=True):
    """The assignees of a step as bits 1, 2, 4 …: all, who is for it, who is against it."""

    full: int
    approved: int
    rejected: int


class Count(msgspec.Struct, frozen=True):
    """An allowed answer, and how many gave it."""

    key: str
    label: str
    effect: str
    count: int


class RequestStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a request; ``state`` is ``waiting``, ``open`` or ``closed``."""

    id: str
    position: int
    name: str
    rule: str
    reject_ends: bool
    state: str
    outcome: str | None
    opened_at: datetime | None
    closed_at: datetime | None
    deadline: datetime | None
    reminders: list[float]
    escalation: list[Contact]
    mask: Mask
    answers: list[Count]
    assignees: list[Assignee]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How a vote stands; ``unclear`` and ``late`` are numbers of messages."""

    audience: str
    counts: str
    extension: str = ""
    numbers: list[str] = []
    votes: int = 0
    unclear: int = 0
    late: int = 0


class Request(RequestSummary, frozen=True, kw_only=True):
    """A request with its steps, its people and their answers."""

    body: str
    deadline: datetime | None
    confirmation: str | None
    allow_change: bool
    urgent: bool
    vote: Tally | None
    steps: list[RequestStep]

    @property
    def assignees(self) -> list[Assignee]:
        """Everybody who is asked, step by step."""
        return [one for step in self.steps for one in step.assignees]


class RequestType(msgspec.Struct, frozen=True):
    """A saved flow, as JSON has it."""

    name: str
    version: int
    updated_at: datetime
    flow: dict[str, Any]


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers for whom; ``kind`` is ``substitute`` or ``second``."""

    id: str
    kind: str
    phone: str
    other_phone: str
    name: str
    start: datetime | None
    until: datetime | None
    created_at: datetime
    ended_at: datetime | None


class Event(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        id: Its place: what ``events(after=…)`` goes on from.
        account: Whose it is; "" for nobody's in particular.
        kind: Such as ``request.closed``.
        subject_id: The id of what the kind begins with.
        data: As docs/http.md lists it for each kind.
    """

    id: str
    at: datetime
    account: str
    kind: str
    subject_id: str
    data: dict[str, Any]


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """One connection of a link; ``retry_in`` is the seconds until it dials again, or None."""

    phase: str
    reason: str
    note: str
    version: str
    refused: str
    retry_in: float | None
    sends: bool
    in_flight: int = 0
    answer_seconds: float = 0.0


class Limit(msgspec.Struct, frozen=True):
    """What keeps a link from sending more."""

    cause: str
    detail: str


class Queue(msgspec.Struct, frozen=True):
    """What waits for a link; ``rate`` is PDUs a second, None without a limit."""

    queued: int
    sending: int
    more_in_store: bool
    rate: float | None


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier, whether it is up, and what waits for it.

    Attributes:
        state: ``up``, ``down``, ``stopping`` or ``stopped``.
        stopped: Who stopped it, ``by``, and when, ``at``; None when nobody did.
    """

    name: str
    protocol: str
    version: str
    up: bool
    binds: list[Bind]
    accepted_binds: int
    window: int
    in_flight: int
    answer_seconds: float
    report_ids: str = ""
    limited_by: Limit
    queue: Queue | None = None
    state: str = ""
    stopped: dict[str, str] | None = None


class RouteLink(msgspec.Struct, frozen=True):
    """A link that a message may take."""

    name: str
    up: bool


class Route(msgspec.Struct, frozen=True):
    """Which links a message would take, best first, and why; or why it would be ``refused``."""

    to: str
    operator: str
    why: str
    rules: list[str]
    links: list[RouteLink]
    refused: str
