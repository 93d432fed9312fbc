"""What a request and its steps are told besides whom to ask: kept as JSON in their rows."""

from __future__ import annotations

import enum

import msgspec

from smsgw.services.choices import Choice


class OnDeadline(enum.StrEnum):
    """What a step comes to when its time is over."""

    EXPIRE = "expire"
    APPROVE = "approve"
    REJECT = "reject"


class Confirmation(enum.StrEnum):
    """What a consent of a high value request needs besides the word.

    ``code``: the digits that the question carried; a consent without them is asked back. ``api``:
    a decision over the API or a console; by SMS nobody consents.
    """

    CODE = "code"
    API = "api"


class Audience(enum.StrEnum):
    """Who may vote."""

    ASSIGNEES = "assignees"
    ANYONE = "anyone"


class Counts(enum.StrEnum):
    """Which of a phone's votes counts."""

    FIRST = "first"
    LAST = "last"


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who is asked besides when a step is undecided ``after`` so many seconds; decides alone."""

    after: float
    phone: str
    name: str = ""


class StepSettings(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a step is asked.

    Attributes:
        deadline_after: Seconds it may take from when it opened; None without a limit.
        on_deadline: What it comes to then; None is the preset's.
        reminders: Seconds after the question at which who has not answered is asked again.
        escalation: Who is asked besides, and when, in that order.
        answers: What may be answered; empty is what the preset allows.
    """

    deadline_after: float | None = None
    on_deadline: OnDeadline | None = None
    reminders: tuple[float, ...] = ()
    escalation: tuple[Escalation, ...] = ()
    answers: tuple[Choice, ...] = ()


class VoteSettings(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True
):
    """How votes are taken.

    Attributes:
        audience: Who may vote.
        counts: Which of a phone's votes counts.
        extension: Where anyone votes: digits after every access number.
    """

    audience: Audience = Audience.ASSIGNEES
    counts: Counts = Counts.FIRST
    extension: str = ""


class RequestSettings(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a request is asked.

    Attributes:
        deadline_at: When it ends whatever was answered, in milliseconds since the Unix epoch.
        on_deadline: What it comes to then; None is the preset's.
        confirmation: What a consent needs besides the word; None: nothing, it is of normal value.
        allow_change: Whether another answer replaces the first until the step closes.
        urgent: Whether people are asked in quiet hours too.
        vote: How votes are taken; None where it is no vote.
    """

    deadline_at: int | None = None
    on_deadline: OnDeadline | None = None
    confirmation: Confirmation | None = None
    allow_change: bool = False
    urgent: bool = False
    vote: VoteSettings | None = None


_encoder = msgspec.json.Encoder()
_request = msgspec.json.Decoder(RequestSettings)
_step = msgspec.json.Decoder(StepSettings)


def encode(settings: RequestSettings | StepSettings) -> str:
    """Return settings as their row keeps them."""
    return _encoder.encode(settings).decode()


def request_settings(text: str) -> RequestSettings:
    """Return the settings of a stored request."""
    return _request.decode(text)


def step_settings(text: str) -> StepSettings:
    """Return the settings of a stored step."""
    return _step.decode(text)
