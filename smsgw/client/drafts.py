"""What is asked of the gateway, as it is written; which values fit, the gateway says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

MessageClass = Literal["realtime", "interactive", "notice", "bulk"]
"""How urgent a message is: earlier ones overtake."""

Preset = Literal["approval", "dispatch", "survey", "vote"]
OnDeadline = Literal["expire", "approve", "reject"]
Confirmation = Literal["code", "api"]
Effect = Literal["for", "against", "neutral", "progress", "transfer"]


class NewMessage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"message_class": "class", "reference": "ref"},
):
    """One message to send.

    Attributes:
        to: A mainland mobile number, in any usual spelling.
        text: All of it, however long.
        message_class: How urgent it is; ``notice`` unless given.
        reference: Your own, at most 128 characters.
        send_at: When to send it: with an offset, or without one and with ``zone``; None at once.
        zone: Whose clocks ``send_at`` is about, such as ``Asia/Shanghai``.
        valid_for: Seconds after which it is not sent any more; None for a day.
        expect_reply: Whether it must go through the subscriber's own operator.
    """

    to: str
    text: str
    message_class: MessageClass | None = None
    reference: str = ""
    send_at: datetime | None = None
    zone: str = ""
    valid_for: float | None = None
    expect_reply: bool = False


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody with a phone."""

    phone: str
    name: str = ""


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is asked besides, when a step is undecided ``after`` so many seconds."""

    after: float
    phone: str
    name: str = ""


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer of your own.

    Attributes:
        label: As people read and write it.
        key: As programs see it; the label unless given, in a vote its number.
        effect: What it does to the step; ``for`` unless given.
        words: What means it besides the label.
    """

    label: str
    key: str = ""
    effect: Effect | None = None
    words: Sequence[str] = ()


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is asked at the same time, and when that is decided.

    Attributes:
        assignees: Whom to ask; nobody where anyone may vote.
        rule: ``all``, ``any`` or such as ``2 of 3``; "" is the preset's.
        name: What people call it.
        reject_ends: Whether one refusal decides; None is the rule's.
        deadline_after: Seconds it may take; None without a limit.
        on_deadline: What it comes to then; None is the request's.
        reminders: Seconds after the question at which who has not answered is asked again.
        escalation: Who is asked besides, and when.
        answers: What may be answered; none is what the preset allows.
    """

    assignees: Sequence[Person] = ()
    rule: str = ""
    name: str = ""
    reject_ends: bool | None = None
    deadline_after: float | None = None
    on_deadline: OnDeadline | None = None
    reminders: Sequence[float] = ()
    escalation: Sequence[Escalation] = ()
    answers: Sequence[Choice] = ()


class Vote(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How votes are taken.

    Attributes:
        audience: Who may vote; the assignees unless given.
        counts: Which of a phone's votes counts; its first unless given.
        extension: The digits after each access number, where anyone votes.
    """

    audience: Literal["assignees", "anyone"] | None = None
    counts: Literal["first", "last"] | None = None
    extension: str = ""


class Flow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How requests of one kind go; docs/http.md has the limits of each field.

    Attributes:
        steps: In order.
        body: Everything people need to know.
        preset: The kind of request; ``approval`` unless given.
        applicant: Who is told what came of it.
        on_deadline: What it comes to when its time is over.
        confirmation: What a consent needs besides the word.
        allow_change: Whether another answer replaces the first.
        urgent: Whether people are asked in quiet hours too.
        vote: How votes are taken.
    """

    steps: Sequence[Step] | None = None
    body: str | None = None
    preset: Preset | None = None
    applicant: Person | None = None
    on_deadline: OnDeadline | None = None
    confirmation: Confirmation | None = None
    allow_change: bool | None = None
    urgent: bool | None = None
    vote: Vote | None = None
